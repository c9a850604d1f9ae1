//! The kinds of findings and reasons: each has a stable code and a text that explains it.

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Note,
    /// It works, but hardly as meant.
    Warning,
    /// RKE2 will refuse it, or do something else than asked; the plan is made all the same.
    Error,
    /// It would do harm silently, or no RKE2 version accepts it: no plan is made.
    Refused,
}

impl Severity {
    /// The word that is printed.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
            Severity::Refused => "refused",
        }
    }
}

macro_rules! codes {
    ($($variant:ident $code:literal $explain:literal)*) => {
        /// The kind of a finding; its kebab-case name is stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = concat!("`", $code, "`")] $variant,)* }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The stable name.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $code,)* }
            }

            /// The code of this name, if there is one.
            pub(crate) fn of(name: &str) -> Option<Code> {
                Code::ALL.iter().copied().find(|code| code.as_str() == name)
            }

            /// Why it matters and what to do.
            pub fn explain(self) -> &'static str {
                match self { $(Code::$variant => $explain,)* }
            }
        }
    };
}

codes! {
    Unreadable "cloud-config-unreadable" "The cloud-config is not YAML that Kairos can read (a syntax error, a key twice in one mapping); Kairos drops such a file silently, so nothing in it takes effect."
    InputUnreadable "input-unreadable" "The file that check was to look at cannot be read: it is missing, a directory, not UTF-8 or larger than 16 MiB, so nothing is known about it."
    SourceUnreadable "source-unreadable" "A file that the cloud-config was collected from is missing or does not parse; Kairos leaves such a file out, so what it says has no effect."
    HeaderMissing "header-missing" "Kairos reads a file only if one of its first nine lines is #cloud-config, #kairos-config or #node-config; any other file it leaves out without a word (kairos sdk/collector/collector.go)."
    ByteOrderMark "byte-order-mark" "Kairos leaves a file that begins with a byte order mark out without a word; save it as UTF-8 without one."
    FileTooLarge "file-too-large" "Kairos leaves a file of 2 MiB or more out without a word."
    SectionMissing "no-cluster-section" "Without a cluster section the provider does nothing on the node."
    SectionMisnamed "section-misnamed" "The cluster section is the key cluster at the top of the cloud-config; under any other name nobody reads it, so the node stays bare."
    SectionMisplaced "section-misplaced" "The keys of the cluster section stand below the key cluster, which stands at the top of the cloud-config; anywhere else nobody reads them."
    OtherDistribution "other-distribution" "The keys k3s, k0s and p2p are for another provider of Kairos, which brings up a Kubernetes of its own; this provider reads the key cluster alone, and a node holds one Kubernetes."
    SectionGone "section-gone" "The node holds state of RKE2, but its cloud-config has no cluster section any more, so nothing starts RKE2 at boot."
    EventUnfinished "event-unfinished" "agent.boot was cut off before it knew what is asked of the node; the plan of an earlier boot may be another, so nothing is started."
    EventMissing "event-missing" "No agent.boot has finished in this boot, so nobody has looked whether the cloud-config still asks for the same."
    PlanRefused "plan-refused" "The plan of this boot was refused, or the node was reset; nothing is started until agent.boot makes a plan again."
    StepFailed "step-failed" "A step of the boot stages, or of the start of RKE2, could not do what is asked of it."
    CopyMissing "copy-missing" "A server's data is copied before the first start of a newer minor version of RKE2, because an older one may not be able to read it afterwards; RKE2 is started without the copy, so the way back is an etcd snapshot."
    UnitFailed "unit-failed" "RKE2's unit has failed, and its service manager does not start it again."
    UnitRestarts "unit-restarts" "RKE2 ends again and again before it is ready; its service manager starts it anew each time."
    UnitStopped "unit-stopped" "RKE2's unit does not run, although it was started in this boot; somebody has stopped it, or a condition of the unit was not met."
    ImageWithoutRke2 "image-without-rke2" "An image in which no RKE2 is installed has nothing to start; `check --image-root` looks where RKE2's packages and installer put it."
    ImageWithoutProvider "image-without-provider" "Kairos hands events only to programs in /system/providers and /usr/local/system/providers of the image (kairos-agent internal/bus/bus.go)."
    ImageArchiveMissing "image-archive-missing" "An image with some archives of RKE2's images, and without others that the cloud-config needs, is fit for a node with a registry only (rke2 scripts/package-images)."
    ImageFips "image-fips" "An image that Kairos has built for FIPS 140 (KAIROS_FIPS in /etc/kairos-release) keeps its promise only with an RKE2 that is built with BoringCrypto or Go's own module, with the CNI canal and the cipher aescbc (RKE2's pages FIPS and Secrets Encryption)."
    UnitMissing "unit-missing" "RKE2's unit is not on this host, or is masked."
    StatusUnknown "status-unknown" "What became of this boot is recorded where only root can read, or the record or the service manager does not answer."
    SecondDocument "second-document" "Only the first YAML document of a text is read; what follows `---` has no effect."
    WrongType "wrong-type" "The value is of another YAML type than the key takes."
    UnknownKey "unknown-key" "The key is not one of the cluster section; Kairos ignores it."
    KeyMisnamed "key-misnamed" "The cluster section has keys of its own for the token and the address of the cluster; under the names that RKE2 has for them the section does not read them."
    Placeholder "placeholder" "A text such as <token>, ${TOKEN}, changeme or an example of the documentation stands for a value that somebody was to fill in; as a token everybody knows it."
    RoleMissing "role-missing" "Without a role the node cannot know whether it founds a cluster, joins one as a server or as an agent."
    RoleUnknown "role-unknown" "Only init, controlplane and worker are roles; the Go provider took every other word for a joining server."
    TokenMissing "token-missing" "A node cannot join a cluster without its token; RKE2 would found a cluster of its own or wait for ever."
    TokenGenerated "token-generated" "The first server makes a token of its own when none is given; other nodes need it to join (server/token in the data directory)."
    TokenNotText "token-not-text" "An unquoted number, boolean or date is printed anew when Kairos merges cloud-configs, so the token may differ from what was written; quote it."
    TokenBootstrapForm "token-bootstrap-form" "RKE2 servers refuse a token of the form abcdef.0123456789abcdef, which is kept for kubeadm bootstrap tokens (k3s pkg/util/token.go)."
    TokenMalformed "token-malformed" "A token that begins with K10 must read K10<64 hex digits>::<user>:<password> (k3s pkg/clientaccess/token.go)."
    TokenShort "token-short" "A short token can be guessed; it is the key of the whole cluster."
    TokenCharacters "token-characters" "A blank, a typographic quote or a character without width in a token is part of the secret, and most often came along when the text was copied, so that nodes do not agree about it."
    TokenFullOnInit "token-full-on-init" "The form K10<hash>::<user>:<password> names the CA of a cluster that exists; the first server makes a CA of its own, so it takes the password alone."
    TokenUnpinned "token-unpinned" "A token in its short form does not name the CA of the cluster, so a node that joins trusts whoever answers at the address; the full form (server/node-token in the data directory of a server) does."
    TokenEmbedded "token-embedded" "Token and server belong into cluster_token and control_plane_host; inside the options they count only where those are missing."
    TokenGlued "token-glued" "The Go provider glued a token in config and cluster_token to one text; a node with state keeps it, a fresh one must say which token is meant."
    HostMissing "host-missing" "A joining node must know where the cluster is; without it RKE2 would found a cluster of its own."
    HostInvalid "host-invalid" "control_plane_host is a host name or an IP address; the provider itself adds https:// and the port 9345."
    HostPort "host-port" "Nodes register at port 9345; another port in control_plane_host is ignored."
    HostLocal "host-local" "An address that means the node itself, or that has no meaning beyond one link, cannot be where other nodes join."
    ServerOnInit "server-on-init" "The node that founds the cluster must not be told to join one. The Go provider joined that server, so a node with state keeps it."
    OptionsInvalidYaml "options-invalid-yaml" "cluster.config is text with YAML inside; that YAML does not parse."
    OptionsNotMapping "options-not-a-mapping" "cluster.config holds RKE2's options by name, so it must be a mapping."
    OptionsAnchorTwice "options-anchor-twice" "An anchor that is defined twice means different things to different YAML readers."
    OptionsOfOther "options-of-another-program" "cluster.config holds RKE2's options by name; the configuration of kubeadm, Canonical Kubernetes, k3s or another program means nothing to RKE2, which skips what it does not know; options of k3s among those that only RKE2 has are told one by one."
    OptionTwice "option-twice" "The same option stands twice; the last one counts."
    OptionName "option-name" "The name of an option holds a tab or a control character, or is empty."
    OptionUnknown "option-unknown" "RKE2 does not know the option: it logs a warning and ignores it."
    OptionDropped "option-dropped" "The option is one of k3s that RKE2 leaves out: it has no effect in RKE2."
    OptionOfOtherRole "option-of-other-role" "The option is for the other role; it is left out on this node."
    OptionNested "option-nested" "RKE2's options take a single value or a flat list; anything nested turns into garbage text."
    OptionList "option-list" "The option takes one value; of a list RKE2 would silently use the last item."
    OptionBoolean "option-boolean" "The option is a boolean; RKE2 does not start with any other word."
    OptionInteger "option-integer" "The option is a whole number; RKE2 does not start with anything else."
    OptionDuration "option-duration" "The option is a duration, which needs a unit, such as 10m."
    OptionNumberAsText "option-number-as-text" "An unquoted number or boolean is printed anew by RKE2's YAML reader before the option sees it; quote it."
    OptionMode "option-mode" "A file mode without quotes is read as an octal number and printed as a decimal one, which RKE2 then reads as octal again."
    OptionEmpty "option-empty" "An empty value is not the same as no value to RKE2; it is left out."
    OptionAppend "option-append" "`key+` appends to lists only; on a single value it just sets it."
    OptionProfile "option-profile" "RKE2 1.30 and later stop at the versioned CIS profiles; `cis` is their successor from RKE2 1.25.15, 1.26.10 and 1.27.7 on."
    ProfileUnknown "profile-unknown" "RKE2 knows the profiles cis and etcd and stops at any other (rke2 pkg/cli/cmds/profile_linux.go)."
    ProfileKernelDefaults "profile-kernel-defaults" "With the profile cis RKE2 sets protect-kernel-defaults itself and stops where it is set to false (rke2 pkg/cli/cmds/profile_linux.go)."
    SysctlOverridden "sysctl-overridden" "A file that sysctl.d(5) reads after ours sets a kernel setting that RKE2's profile demands to something else; it takes effect when all files are applied anew, and RKE2 then stops at its next start."
    OptionReset "option-reset" "With this option in its configuration the server would reset the cluster at every boot."
    OptionTemplate "option-template" "A template of an option fails or names a value that the node does not have, or it stands in a secret or a variable, where it is text."
    ProviderOptionUnknown "provider-option-unknown" "The key is neither an option of the provider nor one of RKE2."
    ProviderOptionsMisnamed "provider-options-misnamed" "The key is providerConfig; provider_options is accepted in its place."
    ProviderOptionInvalid "provider-option-invalid" "The value is not one that the option of the provider takes; the node does as if the option were not there."
    CidrInvalid "cidr-invalid" "An address range of the cluster is written as address/length; RKE2 does not start with anything else."
    OptionTooNew "option-too-new" "The RKE2 that is judged for does not have the option or variable yet: it logs a warning, or says nothing, and ignores it."
    OptionDeprecated "option-deprecated" "RKE2 still takes the option or its value, and is to lose it."
    OptionNoEffect "option-no-effect" "RKE2 takes the option and does nothing with it, because of another option or of the node's role."
    OptionsConflict "options-conflict" "Two options exclude each other, and RKE2 does not start with both."
    ValueUnknown "value-unknown" "The option takes one of a few words. With another one RKE2 does not start, or takes it for the default."
    NumberOutOfRange "number-out-of-range" "The number is outside of what the option takes."
    IntervalNotPositive "interval-not-positive" "RKE2 does not start with an interval or timeout of 0 or less (k3s pkg/cli/server/server.go)."
    PathRelative "path-relative" "A path that is not absolute is looked for below the directory in which the service manager runs RKE2; nobody replaces ~."
    AddressInvalid "address-invalid" "The option takes IP addresses, without length, port, brackets or zone; RKE2 or the kube-apiserver does not start with anything else."
    CniInvalid "cni-invalid" "RKE2 takes one CNI, or multus and one behind it, and does not start with anything else (rke2 pkg/cli/cmds/server.go)."
    FamiliesDiffer "families-differ" "Pods, Services and nodes must be of the same IP families, at most one range of each and in the same order; RKE2, the kube-apiserver or the kube-controller-manager does not start otherwise."
    RangeHostBits "range-host-bits" "An address range is named by its first address; bits behind its length are dropped without a word."
    RangesOverlap "ranges-overlap" "Nobody refuses ranges of pods, Services and nodes that overlap, but what lies in both cannot be reached."
    RangeSize "range-size" "A range of Services or pods has a size that the kube-apiserver, RKE2 or the kube-controller-manager cannot work with."
    DnsOutside "cluster-dns-outside" "The address of the cluster's DNS is that of a Service, so it must be in the range of Services, and not the first of it, which the Service kubernetes has."
    SanInvalid "tls-san-invalid" "A name or address in tls-san that is written in another way gets into no certificate, or stops RKE2."
    SanWildcard "tls-san-wildcard" "RKE2 before 1.36.3 leaves names with a * out of the certificate of port 9345, at which nodes join."
    NodeNameInvalid "node-name-invalid" "The name of a node, which is that of the host if no option names it, must be a DNS name of its own of at most 63 characters; the API server takes no other."
    LabelInvalid "label-invalid" "The kubelet does not start with a label whose key or value Kubernetes does not take, although RKE2 goes on."
    LabelForbidden "label-forbidden" "The kubelet does not start with a label of kubernetes.io or k8s.io that a node may not give itself, such as node-role.kubernetes.io/worker."
    TaintInvalid "taint-invalid" "The kubelet does not start with a taint that is not KEY=VALUE:EFFECT, or that stands twice, although RKE2 goes on."
    DnsNameInvalid "dns-name-invalid" "The value is a name of DNS or of Kubernetes: lower case letters, digits, - and dots."
    DomainInvalid "cluster-domain-invalid" "The domain of a cluster is a DNS name; it is part of a URL of the kube-apiserver and of every Service."
    PortRangeInvalid "port-range-invalid" "A range of ports is FIRST-LAST, up to 65535; RKE2 does not start with anything else."
    HostNameInvalid "host-name-invalid" "The option takes HOST or HOST:PORT, or a proxy by its URL; it is looked at only when a snapshot is uploaded."
    ArgumentInvalid "argument-invalid" "Each item is one flag, NAME=VALUE, of the program that the option is for; the program does not start with anything else, nor with a flag that its version does not have or a value that the flag does not take. The flags are those that the programs of Kubernetes 1.31 to 1.37 register."
    VariableInvalid "variable-invalid" "RKE2 leaves out a variable of a pod that is not NAME=VALUE."
    MountInvalid "mount-invalid" "RKE2 leaves out a mount of a pod that is not SOURCE:TARGET, with :ro or :rw or a type behind it."
    ResourceInvalid "resource-invalid" "A resource is COMPONENT-cpu=QUANTITY or COMPONENT-memory=QUANTITY; RKE2 does not start without the =, and leaves out one whose name or quantity it does not know."
    ProbeInvalid "probe-invalid" "RKE2 does not start with a probe's setting that has no number, and leaves out one whose name it does not know."
    CronInvalid "cron-invalid" "RKE2 ignores a schedule of snapshots that it cannot read, and never makes one."
    S3Incomplete "s3-incomplete" "Snapshots are not uploaded without a bucket and both keys, and nothing tells so before the first one."
    S3Unused "s3-unused" "An option of S3 is given that RKE2 does not look at."
    DatastoreInvalid "datastore-invalid" "A datastore is named by a URL; RKE2 does not start with anything else."
    DatastoreIncomplete "datastore-incomplete" "A certificate of a datastore needs its key and the datastore."
    IngressInvalid "ingress-controller-invalid" "RKE2 up to 1.35 does not start with an unknown ingress controller, 1.36 leaves the cluster without one, and 1.37 does not start with ingress-nginx alone."
    ChartUnknown "chart-unknown" "disable names charts as RKE2 calls them; a name that none has disables nothing."
    KubeProxyMissing "kube-proxy-missing" "Without kube-proxy and a CNI that does its work no Service is reached."
    CloudProvider "cloud-provider-invalid" "Some options of a cloud provider need each other, and some exclude each other."
    ComponentsDisabled "components-disabled" "Without the parts that are switched off, the server does nothing, or no other server can join it."
    RegistryInvalid "registry-invalid" "The registry of RKE2's own images is HOST or HOST:PORT, from 1.36 on (and late patches before) with a path; RKE2 does not start with anything else."
    ImageInvalid "image-invalid" "The option names an image of a container; RKE2 does not start with anything else."
    SelinuxPolicy "selinux-policy" "Where SELinux is enforced, containers run as they should only if the image has the policy rke2-selinux and RKE2 has selinux on. The policy is looked for where its package and the tools of SELinux put it."
    SwapUnknown "swap-unknown" "providerConfig.swap knows one value, keep; with any other swap is switched off."
    EnvName "env-name" "A name of an environment variable consists of letters, digits and underscores and does not begin with a digit."
    ProxyScheme "proxy-without-scheme" "The address of a proxy is written with its scheme, http://host:port; without one, programs guess it, and not all guess alike."
    ProxyOfContainerd "proxy-of-containerd-only" "CONTAINERD_HTTP_PROXY and CONTAINERD_HTTPS_PROXY reach containerd alone; RKE2 itself pulls its first image before containerd runs, and goes past the proxy."
    EnvReserved "env-reserved" "The variable would override what the cluster section says by its own key."
    EnvControl "env-control-character" "A line break or control character in a value would add lines to the environment file."
    EnvEmpty "env-empty" "A variable without a value is left out."
    EnvCleaned "env-cleaned" "systemd took blanks, line breaks and one pair of quotes off the values that the Go provider wrote; the same is done here."
    DataDirKept "data-dir-kept" "The node has RKE2's state in another data directory than the one that is asked for; in the new one RKE2 would begin anew, and a first server would found a second cluster."
    ConfigOverridden "configuration-overridden" "A file that RKE2 reads after config.yaml would replace the token, the server or the data directory, and so make another node of this one."
    FoundedBefore "founded-before" "The node was a server, its data is gone, and role init would found a second cluster of the same name, which no other node joins. Restore the data, join the cluster as controlplane, or reset the node."
    ClusterAnswers "cluster-answers" "The node has no data and is to found a cluster, but at its control_plane_host a cluster answers already, so this would be a second one. RKE2 is not started; each start looks again."
    RoleChanged "role-changed" "The node is a server, and as a worker its etcd member would vanish from the cluster without being removed. Delete the node from the cluster and reset it first."
    CriticalChanged "critical-changed" "The networks, the domain or the CNI of a cluster cannot be changed while it runs: pods and Services would lose each other."
    CriticalDiffers "critical-differs" "All servers of a cluster must have this option alike; a server that joins with another value is refused by the others."
    TokenChanged "token-changed" "The token encrypts what servers share, so a server does not start with another one; rke2 token rotate changes it."
    DataVolatile "data-volatile" "The data directory of a server is in memory, so its etcd member is gone with the power."
    DataNewer "data-newer" "A newer RKE2 has used the data of this server, and this one cannot read what it wrote: etcd's files have another form, or Kubernetes' objects do. RKE2 is not started; boot the newer image again, or go back with the copy that was made before."
    DataSlightlyNewer "data-slightly-newer" "RKE2 is a minor version older than the one that has used the data of this server. That often works, but nobody tests it."
    MinorSkipped "minor-skipped" "RKE2 is two or more minor versions newer than the data of this server; Kubernetes is upgraded one minor version at a time."
    DataUnmounted "data-unmounted" "The disk with RKE2's data is not mounted, and without it RKE2 would begin anew; it is not started."
    IdentityUnreadable "identity-unreadable" "The record of what this node became cannot be read; a node of role init without data is not started then, because it may have founded a cluster before."
    CertificateInvalid "certificate-invalid" "ca_certs takes whole certificates in PEM form (BEGIN CERTIFICATE), one or more in a text, or the absolute path of a file with them."
    CertificatePrivateKey "certificate-private-key" "A private key has no place among trusted certificates."
    BooleanInvalid "boolean-invalid" "The key takes true or false."
    PathInvalid "path-invalid" "The path must be absolute, without `..` and control characters."
    SourcesClash "sources-clash" "Kairos merges the files of a directory; where two of them give one key values of different types it gives up, and the node gets no cloud-config at all (kairos sdk/collector/collector.go)."
    ConfigUrl "config-url-not-read" "Kairos fetches what config_url names at boot, and merges it over the file; nobody can say beforehand what it holds."
    FleetInits "fleet-several-inits" "A cluster has one first server; each node of role init founds a cluster of its own."
    FleetWithoutInit "fleet-without-init" "Servers of role controlplane join a cluster that a node of role init has founded."
    FleetToken "fleet-token-differs" "All nodes of a cluster have one token, but that workers may have the servers' agent-token; RKE2 turns away a node with another."
    FleetOption "fleet-option-differs" "All servers of a cluster must have this option alike; a server that joins with another value is turned away by the others."
    FleetHost "fleet-host-not-in-certificate" "Nodes join at an address that the certificate of the servers must name; the provider adds the control_plane_host of each file to the certificates of that node."
    FleetNodeName "fleet-node-name-twice" "A cluster takes each node name once; RKE2 turns the second node of a name away, because its node password is another."
    FleetServers "fleet-even-servers" "etcd needs more than half of its servers: of two both, of four three, so an even number survives no more losses than one server less."
    FleetWorkerOptions "fleet-worker-options" "Options of servers in the file of a worker have no effect; if the servers' files do not have them, nobody has."
    FileUnreadable "file-unreadable" "The content of a file that the cloud-config writes is not what its encoding says, so the file is not written as meant (b64, gzip and gz+b64 are known)."
    FileOverwritten "file-overwritten" "The provider, or RKE2, writes the file anew at each boot, so what the cloud-config writes there is lost."
    FileUnread "file-unread" "RKE2 and the provider read files of exact names: registries.yaml, and in config.d and config.yaml.d what ends in .yaml or .yml; any other is passed over without a word."
    RegistriesInvalid "registries-invalid" "RKE2 does not start when registries.yaml does not parse, or when a value in it is of another type than it takes (rancher/wharfie pkg/registries)."
    RegistriesKey "registries-key-unknown" "RKE2 ignores a key of registries.yaml that it does not know; the registry is used as if the key were not there."
    RegistriesHost "registries-host" "mirrors and configs name a registry as images do: host or host:port, without a scheme and a path."
    RegistriesEndpoint "registries-endpoint" "The endpoints of a mirror are URLs with http:// or https://; any other is passed over, and images are pulled from the upstream registry or not at all."
    RegistriesRewrite "registries-rewrite" "The key of a rewrite is a regular expression; RKE2 leaves out one that does not compile."
    RegistriesTls "registries-tls" "A client certificate needs its key, and files are named by absolute paths."
    RegistriesMissing "registries-missing" "RKE2 goes on without mirrors, credentials and certificates, and without a word, if the file that private-registry names is not there (rancher/wharfie pkg/registries/registries.go)."
    EmbeddedRegistry "embedded-registry-without-mirrors" "The embedded registry shares the images of those registries that registries.yaml names under mirrors; without one it shares nothing."
    ManifestInvalid "manifest-invalid" "Servers apply the files of server/manifests in the data directory; a file that is no manifest of Kubernetes is left out, with a line in the log."
    ManifestOnAgent "manifest-on-agent" "Servers alone apply the files of server/manifests; on an agent nobody reads them."
    HelmChartName "helm-chart-name" "A HelmChartConfig changes the chart of the same name and namespace; RKE2's are named rke2-canal, rke2-coredns and so on, and are in kube-system."
    HelmValues "helm-values" "The values of a chart are a text with YAML under spec.valuesContent; Kubernetes drops any other field, or refuses the manifest."
    KubeletConfig "kubelet-config" "A configuration file of the kubelet is a KubeletConfiguration of kubelet.config.k8s.io/v1beta1, with fields such as maxPods; the kubelet stops at a file of another kind, and passes over a field that it does not have."
    DocumentPathUnscanned "document-path-unscanned" "Kairos runs boot stages from /system/oem, /oem and /usr/local/cloud-config only; a document elsewhere is never run."
}
