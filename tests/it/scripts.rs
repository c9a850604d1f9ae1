//! The scripts that others call by their path: they hand over to our program, and do the work themselves on an image with the Go
//! provider. They run in rooms of their own (mounts, processes, network), with dash and with nothing but busybox.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

use crate::support::{Node, Ran, run, tree};

const SCRIPTS: [&str; 4] = ["common.sh", "import.sh", "rke2-killall.sh", "rke2-uninstall.sh"];

/// Where the scripts of the repository are.
const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts");

/// The Go provider takes `--version` for an event, and may wait for more.
const GO: &str = "#!/bin/sh\necho '{\"state\":\"\",\"error\":\"no agent-provider-rke2 event --version\"}'\n";

/// Shells, each with the tools it finds.
const SHELLS: [(&str, &str); 2] = [("dash", "/stand:/usr/sbin:/usr/bin:/sbin:/bin"), ("/tools/sh", "/stand:/tools")];

/// Makes a room of the directory `$room`: the host's programs, which cannot be written, and a /proc of the processes in it.
const ROOM: &str = r#"
room=$1 shell=$2 path=$3
for directory in bin sbin lib lib32 lib64 usr/bin usr/sbin usr/lib usr/lib32 usr/lib64 etc/alternatives; do
    if [ -L "/$directory" ]; then
        ln -sfn "$(readlink "/$directory")" "$room/$directory"
    elif [ -d "/$directory" ]; then
        mkdir -p "$room/$directory"
        mount --rbind "/$directory" "$room/$directory"
        mount -o remount,bind,ro "$room/$directory"
    fi
done
mkdir -p "$room/proc" "$room/dev" "$room/tools" "$room/tmp"
mount -t proc proc "$room/proc"
touch "$room/dev/null"
mount --bind /dev/null "$room/dev/null"
busybox --install -s "$room/tools"
call() { status=0; env -i PATH="$path" $(command -v chroot) "$room" "$shell" "$@" || status=$?; echo "exit $status"; }
in_background() { (chroot "$room" "$@" & echo $! >"$room/tmp/pid"); }
is_alive() { readlink "$room/proc/$1/exe" >/dev/null && echo "$2 runs" || echo "$2 is gone"; }
"#;

/// How `unshare` gets a room here, if at all.
static USER: OnceLock<Option<&[&str]>> = OnceLock::new();

/// Runs a shell script in the room that a node's directory becomes; nothing where there are no namespaces, and that is said.
fn in_room(node: &Node, (shell, path): (&str, &str), script: &str) -> Option<Ran> {
    let own = ["--mount", "--net", "--pid", "--fork", "--kill-child"];
    let room = |user: &[&str], script: &str| {
        let mut command = Command::new("unshare");
        command.args(user).args(own).args(["sh", "-e", "-c"]).arg(format!("{ROOM}{script}")).arg("sh");
        run(command.arg(node.root()).args([shell, path]), b"")
    };
    let users = [&["--user", "--map-root-user"][..], &[]];
    let can = |user: &&&[&str]| room(user, "chroot \"$room\" \"$shell\" -c true").code == Some(0);
    let has_unshare = Command::new("unshare").arg("--version").output().is_ok();
    let Some(user) = USER.get_or_init(|| users.iter().filter(|_| has_unshare).find(can).copied()) else {
        let _ =
            std::io::stderr().write_all(b"left out: a room for the scripts (no namespaces, dash or busybox here)\n");
        return None;
    };
    Some(room(user, script))
}

/// A node with the scripts and the Go provider, and tools that stand in for those of the host.
fn node(entries: &str, root: &str) -> Node {
    let node = Node::new();
    for script in SCRIPTS {
        node.write(&format!("{root}opt/rke2/scripts/{script}"), fs::read(format!("{HERE}/{script}")).unwrap(), 0o755);
    }
    node.write("system/providers/agent-provider-rke2", GO, 0o755);
    for line in entries.lines() {
        let entry = line.trim_start_matches(['-', '+', ' ']);
        let (path, rest) = entry.split_once(' ').unwrap_or((entry, ""));
        let at = node.path(path.trim_start_matches('/'));
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        match (rest.strip_prefix("-> "), rest.strip_prefix("= ")) {
            (Some(target), _) => symlink(target, &at).unwrap(),
            (_, Some(text)) => fs::write(&at, format!("{text}\n")).unwrap(),
            _ => fs::write(&at, "x\n").unwrap(),
        }
    }
    node
}

/// Whether what begins with `-` has gone, and what begins with `+` is there.
fn assert_gone(node: &Node, entries: &str, ran: &Ran) {
    for line in entries.lines() {
        let path = line[2..].split(' ').next().unwrap();
        let is_there = node.path(path.trim_start_matches('/')).symlink_metadata().is_ok();
        assert_eq!(is_there, line.starts_with('+'), "{line}: {ran:#?}");
    }
}

/// A node after a year in a cluster, as in `reset`.
const STATE: &str = "\
- /var/lib/rancher/rke2/server/db/etcd/member/wal
- /var/lib/rancher/rke2/server/outside -> /home/user
- /var/lib/rancher/rke2/agent/images/site.tar.zst
- /var/lib/rancher/rke2/agent/up -> ../../../../../home
- /var/lib/rancher/rke2/data/v1.33.4-rke2r1-0a1b/bin/containerd
- /var/lib/rancher/rke2/data/current -> v1.33.4-rke2r1-0a1b
- /var/lib/rancher/rke2/bin -> /var/lib/rancher/rke2/data/v1.33.4-rke2r1-0a1b/bin
- /var/lib/rancher/rke2/runtime-123456/bin/half
+ /var/lib/rancher/rke2/notes-of-the-admin
+ /var/lib/rancher/rke2/data/mine
+ /var/lib/rancher/k3s/server/db
- /var/lib/kubelet/pods/uid/file
- /var/lib/kubelet/home -> /home
- /etc/cni/net.d/10-canal.conflist
- /var/lib/cni -> /home/user
- /var/lib/calico/nodename
- /var/log/pods/ns_pod_uid/c/0.log
- /var/log/containers/c.log -> /var/log/pods/ns_pod_uid/c/0.log
- /var/log/calico/cni.log
+ /var/log/syslog
- /run/k3s/containerd/containerd.sock
- /run/flannel/subnet.env
- /run/calico/x
- /run/netns/cni-0a1b
+ /run/netns/mine
- /etc/rancher/rke2/config.yaml = {}
- /usr/local/lib/provider-rke2/node.json = {}
+ /etc/rancher/node/password
- /etc/systemd/system/multi-user.target.wants/rke2-server.service -> /usr/lib/x
+ /etc/systemd/system/multi-user.target.wants/sshd.service -> /usr/lib/x
+ /etc/systemd/system/rke2-agent.service -> /opt/rke2-agent.service
- /etc/runlevels/default/rke2-agent -> /etc/init.d/rke2-agent
+ /etc/init.d/rke2-agent
+ /home/user/thesis
+ /opt/content/images/rke2.tar.zst
- /usr/local/cloud-config/cluster.kairos.yaml
+ /usr/local/cloud-config/other.yaml
";

#[test]
fn they_are_plain_sh() {
    let scripts = SCRIPTS.map(|name| format!("{HERE}/{name}"));
    match Command::new("shellcheck").args(["-s", "sh"]).args(&scripts).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "shellcheck: {error}");
            eprintln!("shellcheck is missing, the scripts are not checked");
        }
    }
}

#[test]
fn they_are_written_to_the_node() {
    let node = Node::new();
    assert_eq!(
        node.boot("#cloud-config\ncluster:\n  role: init\n  cluster_token: SECRET-3f9c1e7ab2d84c60915e7d3a\n")["error"],
        ""
    );
    node.stage();
    node.run(&["apply", "images"]);
    for script in SCRIPTS {
        let path = format!("opt/rke2/scripts/{script}");
        assert_eq!(node.read(&path), fs::read_to_string(format!("{HERE}/{script}")).ok());
        assert_eq!(node.mode(&path), 0o755);
    }
}

#[test]
fn our_program_is_handed_over_to_and_no_other() {
    let node = node("", "");
    node.put("with blanks/x", "");
    let ours = "#!/bin/sh\n[ \"$1\" != --version ] || { echo 'agent-provider-rke2 1.0'; exit; }\nprintf '%s|' \"$@\"\n";
    node.write("bin/agent-provider-rke2", ours, 0o755);
    node.write("go/agent-provider-rke2", GO, 0o755);
    let call = |directory: &str, script: &str, arguments: &[&str]| {
        let mut command = Command::new("sh");
        let path = format!("{}:/usr/bin:/bin", node.path(directory).display());
        run(command.arg(format!("{HERE}/{script}")).args(arguments).env("PATH", path).current_dir(node.root()), b"")
    };
    // The directory is one absolute word.
    let directory = format!("apply|images|--from|{}/with blanks|", node.root().display());
    assert_eq!(call("bin", "import.sh", &["with blanks"]).stdout, directory);
    assert_eq!(call("bin", "import.sh", &["/no such/dir"]).stdout, "apply|images|--from|/no such/dir|");
    assert_eq!(call("bin", "rke2-killall.sh", &["--timeout", "5m"]).stdout, "reset|--keep-state|--timeout|5m|");
    assert_eq!(call("bin", "rke2-uninstall.sh", &["--dry-run"]).stdout, "reset|--dry-run|");
    for arguments in [&[][..], &["a", "b"]] {
        assert_eq!(call("bin", "import.sh", arguments).code, Some(2));
    }
    // Without it a rehearsal must not become the real thing.
    for script in ["rke2-killall.sh", "rke2-uninstall.sh"] {
        let ran = call("go", script, &["--dry-run"]);
        let said = format!(
            "{script}: --dry-run: is an option of provider-rke2, which is not on this image; call the script without options\n"
        );
        assert_eq!(ran.outcome(), (Some(2), "", said.as_str()));
    }
    let ran = call("go", "import.sh", &["/no such/dir"]);
    assert_eq!(ran.outcome().2, "import.sh: /no such/dir: there is no such directory, so no images are imported\n");
}

/// Two mounts, one of them busy, with names that need escapes; a process of RKE2, one of somebody else's.
const BUSY: &str = r#"
data=/var/lib/rancher/rke2
strange="$room/run/k3s/a b
c\\d"
mkdir -p "$strange" "$room/var/lib/kubelet/pods/busy"
mount -t tmpfs strange "$strange"
mount -t tmpfs busy "$room/var/lib/kubelet/pods/busy"
echo kept >"$room/var/lib/kubelet/pods/busy/file"
cp -L /bin/sleep "$room$data/data/v1.33.4-rke2r1-0a1b/bin/sleep"
in_background $data/data/v1.33.4-rke2r1-0a1b/bin/sleep 1000
rke2=$(cat "$room/tmp/pid")
in_background sleep 1000 9<"$room/var/lib/kubelet/pods/busy/file"
other=$(cat "$room/tmp/pid")
sleep 0.3
"#;

#[test]
fn rke2_is_uninstalled_without_our_program() {
    for shell in SHELLS {
        let node = node(STATE, "");
        let script = format!(
            "{BUSY}call /opt/rke2/scripts/rke2-uninstall.sh\nis_alive $rke2 rke2\nis_alive $other other\ncat $room/var/lib/kubelet/pods/busy/file\n\
             kill $other\nsleep 0.3\ncall /opt/rke2/scripts/rke2-uninstall.sh\n"
        );
        let Some(ran) = in_room(&node, shell, &script) else { return };
        assert_eq!(ran.stdout, "exit 1\nrke2 is gone\nother runs\nkept\nexit 0\n", "{ran:#?}");
        assert_gone(&node, STATE, &ran);
        assert!(ran.stderr.contains("/var/lib/kubelet/pods/busy: cannot be unmounted: "), "{ran:#?}");
        let left = "rke2-uninstall.sh: /var/lib/kubelet: /var/lib/kubelet/pods/busy is still mounted, so it was not deleted; \
                    unmount that and call it again\n";
        assert_eq!(ran.stderr.matches(left).count(), 1, "{ran:#?}");
    }
}

#[test]
fn killing_all_deletes_nothing() {
    for shell in SHELLS {
        let node = node(STATE, "");
        let tool = |name: &str, text: &str| node.write(&format!("stand/{name}"), format!("#!/bin/sh\n{text}\n"), 0o755);
        fs::create_dir_all(node.path("run/systemd/system")).unwrap();
        tool("systemctl", "echo systemctl $* >>/log; [ $2 = rke2-server.service ] || exit 5");
        tool(
            "ip",
            "echo ip $* >>/log; [ \"$1 $2\" != '-o link' ] || printf '%s\\n' '1: lo: <UP> mtu 1' '2: cni0: <UP> mtu 1' \
             '3: veth1@if2: <UP> mtu 1 qdisc q master cni0 state UP' '4: veth2@if2: <UP> mtu 1 master docker0 state UP' \
             '5: cali12d4a061371@if4: <UP>' '6: california1: <UP>' '7: lxcbr0: <UP>' '8: lxc0a1b2c3d4e5f@if12: <UP>'",
        );
        tool(
            "iptables-nft-save",
            "printf '%s\\n' '*nat' ':INPUT ACCEPT [0:0]' ':KUBE-X - [0:0]' ':MY-KUBE-X - [0:0]' '[3:180] -A INPUT -j KUBE-X' \
             '-A INPUT -m comment --comment \"-j KUBE-X\" -j MY-KUBE-X' '-A KUBE-X -j DROP' COMMIT '*filter' COMMIT",
        );
        tool("iptables-nft-restore", "echo iptables-nft-restore $* >>/log; cat >>/log");
        tool("ip6tables-nft-save", "exit 3");
        // Whatever the host has, no tool of its own is asked.
        tool("ip6tables-save", "");
        let script = format!(
            "{BUSY}kill $other\nsleep 0.3\nrm $room/var/lib/kubelet/pods/busy/file\ncall /opt/rke2/scripts/rke2-killall.sh\n\
             is_alive $rke2 rke2\nmount | grep -c -e strange -e busy || true\n"
        );
        let Some(ran) = in_room(&node, shell, &script) else { return };
        assert_eq!(ran.stdout, "exit 1\nrke2 is gone\n0\n", "{ran:#?}");
        // One failure is told, and the rest goes on.
        let said = "rke2-killall.sh: ip6tables-nft-save: fails, so its rules were not looked at; see the line before\n";
        assert_eq!(ran.stderr, said);
        assert_gone(&node, &STATE.replace("- /", "+ /"), &ran);
        let expected = "systemctl stop rke2-server.service\nsystemctl stop rke2-agent.service\nip -o link show\n\
            ip link delete dev cni0\nip link delete dev veth1\nip link delete dev cali12d4a061371\nip link delete dev lxc0a1b2c3d4e5f\n\
            iptables-nft-restore --noflush\n*nat\n-D INPUT -j KUBE-X\n-F KUBE-X\n-X KUBE-X\nCOMMIT\n";
        assert_eq!(node.read("log").unwrap(), expected);
    }
}

#[test]
fn directories_that_cannot_be_rke2s_are_refused() {
    let rows = [
        ("{\n  \"token\": \"x\",\n  \"data-dir\": \"/var/lib\"\n}", "is a directory of the system"),
        ("data-dir: //usr/ # ours\r", "is a directory of the system"),
        ("data-dir: '/proc/1/root'", "is a directory of the system"),
        ("data-dir: /link", "is no directory, or leads through a symlink"),
        ("data-dir: /home/user/../user", "is not a plain absolute path"),
        ("data-dir: home", "is not a plain absolute path"),
        ("\"data-dir\": \"/home/user\"", "has nothing that only RKE2 makes"),
    ];
    for shell in SHELLS {
        let node = node("/real/server/db/x\n/home/user/server/thesis\n/link -> /real\n/var/lib/kubelet/x\n", "");
        let directories = || ["home", "real", "var"].map(|path| tree(&node.path(path)));
        for (number, (config, _)) in rows.iter().enumerate() {
            node.put(&format!("configs/{number}"), config);
        }
        node.put("etc/rancher/rke2/config.yaml", "");
        let before = directories();
        let script = "for number in 0 1 2 3 4 5 6; do cat $room/configs/$number >$room/etc/rancher/rke2/config.yaml\n\
            call /opt/rke2/scripts/rke2-uninstall.sh; call /opt/rke2/scripts/rke2-killall.sh; done";
        let Some(ran) = in_room(&node, shell, script) else { return };
        assert_eq!(ran.stdout, "exit 1\n".repeat(2 * rows.len()), "{ran:#?}");
        let said: Vec<&str> = ran.stderr.lines().collect();
        assert_eq!(said.len(), 2 * rows.len(), "{ran:#?}");
        for ((config, why), said) in rows.iter().zip(said.chunks(2)) {
            assert!(said.iter().all(|line| line.contains(why)), "{config}: {said:?}");
        }
        assert_eq!(before, directories());
    }
}

#[test]
fn a_prefix_and_a_data_directory_of_its_own_are_cleared() {
    let entries = "\
- /persistent/root/srv/my-rke2/server/db/x
- /srv/my-rke2/agent/etc/x
+ /var/lib/rancher/rke2/server/db/x
- /persistent/root/var/lib/kubelet/x
- /var/lib/kubelet/x
- /persistent/root/usr/local/cloud-config/cluster.kairos.yaml
+ /persistent/root/home/x
+ /home/elsewhere/x
";
    for shell in SHELLS {
        let node = node(entries, "persistent/root/");
        node.write("etc/rancher/rke2/config.yaml", "{\n  \"data-dir\": \"/srv/my-rke2\",\n  \"x\": 1\n}\n", 0o600);
        // What is not reached by its own name stays.
        symlink("/home/elsewhere", node.path("persistent/root/var/log")).unwrap();
        fs::create_dir_all(node.path("home/elsewhere/pods")).unwrap();
        let script = "call /persistent/root/opt/rke2/scripts/rke2-uninstall.sh";
        let Some(ran) = in_room(&node, shell, script) else { return };
        assert_eq!(ran.stdout, "exit 1\n", "{ran:#?}");
        let said = "rke2-uninstall.sh: /persistent/root/var/log/pods: is behind a symlink, so it was not deleted; delete it by hand\n";
        assert!(ran.stderr.ends_with(said), "{ran:#?}");
        assert!(node.exists("home/elsewhere/pods"));
        assert_gone(&node, entries, &ran);
    }
}

#[test]
fn images_are_imported_without_our_program() {
    let wanted = ["-dash.tar.lz4", "deep/er/with blanks.tar.zst", "deep/line\nbreak.tgz", "list.txt"];
    let others = [".hidden/no.tar", "._a.tar", "sha256sum-amd64.txt", "notes.md", "UPPER.TAR"];
    for shell in SHELLS {
        let node = node("/elsewhere/target = linked\n", "");
        for path in wanted.iter().chain(&others) {
            node.write(&format!("usb/{path}"), path, 0o644);
            let time = UNIX_EPOCH + Duration::new(1_700_000_000, 250_000_000);
            fs::File::options()
                .append(true)
                .open(node.path(&format!("usb/{path}")))
                .unwrap()
                .set_modified(time)
                .unwrap();
        }
        symlink("../elsewhere/target", node.path("usb/linked.tbz")).unwrap();
        symlink("nowhere", node.path("usb/broken.tar")).unwrap();
        node.write("etc/rancher/rke2/config.yaml", "token: x\ndata-dir: \"/srv/rke2\" # ours\n", 0o600);
        node.write("srv/rke2/agent/.provider-rke2/run.999999/copy", "of a run that was killed", 0o600);
        node.write("srv/rke2/agent/images/mine.tar", "mine", 0o644);
        let script = "call /opt/rke2/scripts/import.sh /usb\nrm $room/usb/broken.tar; echo second >&2\n\
            echo new >$room/usb/deep/z.tar; mkdir $room/usb/z; echo other >$room/usb/z/z.tar\ncall /opt/rke2/scripts/import.sh /usb\n";
        let Some(ran) = in_room(&node, shell, script) else { return };
        assert_eq!(ran.stdout, "exit 1\nexit 1\n", "{ran:#?}");
        let (first, second) = ran.stderr.split_once("second\n").unwrap();
        let mut said: Vec<&str> = first.lines().map(|line| line.strip_prefix("import.sh: ").expect(line)).collect();
        said.sort_unstable();
        let expected = [
            "-dash.tar.lz4: imported",
            "broken.tar: cannot be read; put the archive itself there",
            "deep/er/with blanks.tar.zst: imported",
            "deep/line?break.tgz: imported",
            "linked.tbz: imported",
            "list.txt: imported",
        ];
        assert_eq!(said, expected, "{ran:#?}");
        // What is unchanged is not copied again; which of two with one name is first is the file system's choice.
        let lines = |one, other| {
            format!(
                "import.sh: {one}: imported\nimport.sh: {other}: another archive has the same name; rename one of them\n"
            )
        };
        assert!(
            [lines("deep/z.tar", "z/z.tar"), lines("z/z.tar", "deep/z.tar")].contains(&second.to_owned()),
            "{ran:#?}"
        );
        let images = node.path("srv/rke2/agent/images");
        let names: BTreeSet<String> =
            fs::read_dir(&images).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        let all =
            ["-dash.tar.lz4", "line\nbreak.tgz", "linked.tbz", "list.txt", "mine.tar", "with blanks.tar.zst", "z.tar"];
        assert_eq!(names, BTreeSet::from(all.map(ToOwned::to_owned)));
        assert_eq!(fs::read_to_string(images.join("linked.tbz")).unwrap(), "linked\n");
        assert_eq!(fs::metadata(images.join("line\nbreak.tgz")).unwrap().mtime(), 1_700_000_000);
        // Nothing is left of this run, nor of the one that was killed.
        assert!(!node.exists("srv/rke2/agent/.provider-rke2"), "{ran:#?}");
    }
}

#[test]
fn a_directory_for_images_is_made_as_rke2_makes_it() {
    for shell in SHELLS {
        let node = node("/usb/a.tar\n", "");
        let Some(ran) = in_room(&node, shell, "call /opt/rke2/scripts/import.sh /usb") else { return };
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("exit 0\n", "import.sh: a.tar: imported\n"));
        assert_eq!(node.mode("var/lib/rancher/rke2/agent/images"), 0o700);
        assert_eq!(node.mode("var/lib/rancher/rke2/agent"), 0o700);
    }
}
