//! Configuration files of the kubelet (kubernetes `staging/src/k8s.io/kubelet/config/v1beta1`): those that an argument names, and RKE2's
//! directory of them.

use super::written::{Around, Written, is_map};
use crate::findings::Findings;
use crate::findings::code::Code;
use crate::rke2::drop_in::Value;
use crate::rke2::options::nearest_of;
use crate::text::escape::quoted;
use crate::text::paths::normalized;
use crate::text::yaml::Node;

/// What every such file says of itself.
const VERSION: &str = "kubelet.config.k8s.io/v1beta1";
const KIND: &str = "KubeletConfiguration";

/// The fields that it has in any of the versions 0.31.14 to 0.37.1 (k8s.io/kubelet `config/v1beta1/types.go`).
const FIELDS: &str = "\
    address allowedUnsafeSysctls authentication authorization cgroupDriver cgroupRoot cgroupsPerQOS clusterDNS clusterDomain \
    configMapAndSecretChangeDetectionStrategy containerLogMaxFiles containerLogMaxSize containerLogMaxWorkers \
    containerLogMonitorInterval containerRuntimeEndpoint contentType cpuCFSQuota cpuCFSQuotaPeriod cpuManagerPolicy \
    cpuManagerPolicyOptions cpuManagerReconcilePeriod crashLoopBackOff defaultPodSysctls enableContentionProfiling \
    enableControllerAttachDetach enableDebugFlagsHandler enableDebuggingHandlers enableProfilingHandler enableServer \
    enableSystemLogHandler enableSystemLogQuery enforceNodeAllocatable eventBurst eventRecordQPS evictionHard \
    evictionMaxPodGracePeriod evictionMinimumReclaim evictionPressureTransitionPeriod evictionSoft evictionSoftGracePeriod \
    failCgroupV1 failSwapOn featureGates fileCheckFrequency hairpinMode healthzBindAddress healthzPort httpCheckFrequency \
    imageGCHighThresholdPercent imageGCLowThresholdPercent imageMaximumGCAge imageMinimumGCAge imagePullCredentialsVerificationPolicy \
    imageServiceEndpoint iptablesDropBit iptablesMasqueradeBit kernelMemcgNotification kubeAPIBurst kubeAPIQPS kubeReserved \
    kubeReservedCgroup kubeletCgroups localStorageCapacityIsolation logging makeIPTablesUtilChains maxOpenFiles maxParallelImagePulls \
    maxPods memoryManagerPolicy memoryReservationPolicy memorySwap memoryThrottlingFactor mergeDefaultEvictionSettings \
    nodeLeaseDurationSeconds nodeStatusMaxImages nodeStatusReportFrequency nodeStatusUpdateFrequency oomScoreAdj podCIDR podLogsDir \
    podPidsLimit podsPerCore port preloadedImagesVerificationAllowlist protectKernelDefaults providerID qosReserved readOnlyPort \
    registerNode registerWithTaints registryBurst registryPullQPS reservedMemory reservedSystemCPUs resolvConf rotateCertificates \
    runOnce runtimeRequestTimeout seccompDefault serializeImagePulls serverTLSBootstrap showHiddenMetricsForVersion \
    shutdownGracePeriod shutdownGracePeriodByPodPriority shutdownGracePeriodCriticalPods singleProcessOOMKill staticPodPath \
    staticPodURL staticPodURLHeader streamingConnectionIdleTimeout syncFrequency systemCgroups systemReserved systemReservedCgroup \
    tlsCertFile tlsCipherSuites tlsCurvePreferences tlsMinVersion tlsPrivateKeyFile topologyManagerPolicy topologyManagerPolicyOptions \
    topologyManagerScope tracing userNamespaces volumePluginDir volumeStatsAggPeriod";

/// The files and directories that `kubelet-arg` names.
pub(super) fn named(around: &Around) -> Vec<String> {
    let arguments = around.option("kubelet-arg").map(Value::texts).unwrap_or_default().iter();
    let named = arguments.filter_map(|it| {
        let (name, path) = it.trim_start_matches('-').split_once('=')?;
        matches!(name, "config" | "config-dir").then(|| normalized(path))
    });
    named.collect()
}

/// Judges a file.
pub(super) fn judge(file: &Written, findings: &mut Findings) {
    let Some(document) = file.yaml(Code::KubeletConfig, "the kubelet does not start with", findings) else { return };
    let root = &document.root;
    let text = |key: &str| root.get(key).and_then(Node::scalar).map(|it| it.text.as_str());
    if !is_map(root) || text("apiVersion") != Some(VERSION) || text("kind") != Some(KIND) {
        let rest = format!(
            "{} is not a {KIND}, so the kubelet does not start; write apiVersion: {VERSION} and kind: {KIND}",
            quoted(&file.path)
        );
        findings.error(Code::KubeletConfig, file.at(), &rest);
        return;
    }
    if !file.path.ends_with(".conf") && file.path.contains("/kubelet.conf.d/") {
        let rest = format!("{} does not end in .conf, so the kubelet passes it over; rename it", quoted(&file.path));
        findings.error(Code::KubeletConfig, file.at(), &rest);
    }
    let fields: Vec<&str> = FIELDS.split(' ').collect();
    for (key, _) in root.entries() {
        let name = key.scalar.text.as_str();
        let at = file.of(&file.key.key(name), key.line);
        if name.contains(['-', '_']) {
            let rest = format!("is not a field of the file, but a flag; write {}", quoted(&camel(name)));
            findings.error(Code::KubeletConfig, at, &rest);
        } else if !fields.contains(&name) && !matches!(name, "apiVersion" | "kind") {
            let meant = nearest_of(name, &fields).map_or("remove it".into(), |near| format!("did you mean {near}?"));
            findings.warn(
                Code::KubeletConfig,
                at,
                &format!("is not a field of a {KIND}, so the kubelet passes it over; {meant}"),
            );
        }
    }
}

/// `max-pods` as the file has it: `maxPods`.
fn camel(flag: &str) -> String {
    let mut words = flag.trim_start_matches('-').split(['-', '_']);
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().map(|it| it.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}
