//! The service managers: which one a node has, and all of OpenRC that needs none: its init script, under every shell that there may be, what is
//! written and removed, and how its state is read.

use crate::support::{self, BINARY, Node, apply, within};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use provider_rke2::environment;
use provider_rke2::host::Host;
use provider_rke2::service::kind::Kind;
use provider_rke2::service::manager::Manager as _;
use provider_rke2::service::openrc;

const SERVER: &str = "#cloud-config\ncluster:\n  role: init\n  cluster_token: SECRET-token-of-the-cluster\n  config: |\n    cni: calico\n";
const AGENT: &str = "#cloud-config\ncluster:\n  role: worker\n  cluster_token: SECRET-token-of-the-cluster\n  control_plane_host: 10.0.0.1\n";

/// What the script is known by.
const MARK: &str = "# written by provider-rke2";

/// A node with OpenRC that does not run, as in the initramfs.
fn openrc_node() -> Node {
    let node = Node::new();
    node.write("sbin/openrc-run", "", 0o755);
    node.write("usr/bin/rke2", "", 0o755);
    node
}

#[test]
fn the_manager_is_the_one_that_runs_else_the_one_that_is_installed() {
    for (paths, kind) in [
        (&[][..], Kind::Systemd),
        (&["sbin/openrc-run"], Kind::OpenRc),
        (&["sbin/openrc-run", "usr/lib/systemd/systemd"], Kind::Systemd),
        (&["sbin/openrc-run", "lib/systemd/systemd"], Kind::Systemd),
        (&["run/openrc/softlevel"], Kind::OpenRc),
        (&["run/openrc/softlevel", "usr/lib/systemd/systemd"], Kind::OpenRc),
        (&["run/openrc/softlevel", "run/systemd/system/x"], Kind::Systemd),
        (&["sbin/openrc-run", "run/systemd/system/x"], Kind::Systemd),
        (&["etc/init.d/rke2-server"], Kind::Systemd),
    ] {
        let node = Node::new();
        for path in paths {
            node.put(path, "");
        }
        assert_eq!(Kind::of(&Host::new(node.root()).unwrap()), kind, "{paths:?}");
    }
}

#[test]
fn the_gate_of_openrc_is_written_at_plan_time_and_old_links_go() {
    let node = openrc_node();
    let root = node.root();
    for level in ["boot", "default", "site"] {
        fs::create_dir_all(root.join("etc/runlevels").join(level)).unwrap();
        for service in ["rke2-server", "rke2-agent", "rke2-other"] {
            symlink(format!("/etc/init.d/{service}"), root.join("etc/runlevels").join(level).join(service)).unwrap();
        }
    }
    // One of an older version of ours, with another mode.
    node.put("etc/init.d/rke2-agent", "#!/sbin/openrc-run\n# written by provider-rke2; older\n");
    assert_eq!(support::boot(root, SERVER).error, "");

    for unit in ["rke2-server", "rke2-agent"] {
        let script = root.join("etc/init.d").join(unit);
        assert_eq!(fs::read_to_string(&script).unwrap(), openrc::script(support::PROGRAM), "{unit}");
        assert_eq!(fs::metadata(&script).unwrap().permissions().mode() & 0o7777, 0o755, "{unit}");
        for level in ["boot", "default", "site"] {
            assert!(fs::symlink_metadata(root.join("etc/runlevels").join(level).join(unit)).is_err(), "{level} {unit}");
        }
    }
    assert!(fs::symlink_metadata(root.join("etc/runlevels/site/rke2-other")).is_ok());
    // RKE2 would take the node for one with systemd.
    assert!(!root.join("run/systemd").exists());

    // Without a cluster section there is nothing of ours.
    assert_eq!(support::boot(root, GONE).error, "");
    assert_eq!(fs::read_dir(root.join("etc/init.d")).unwrap().count(), 0);
}

/// A cloud-config without a cluster section, and without a doubt.
const GONE: &str = "#cloud-config\n\n# Sources:\n# - cmdline\n\nhostname: a\n";

#[test]
fn a_script_of_a_service_that_runs_stays_until_it_has_stopped() {
    let node = openrc_node();
    let root = node.root();
    support::boot(root, SERVER);
    for (state, stays) in [("started", true), ("starting", true), ("stopping", true), ("failed", false)] {
        support::boot(root, SERVER);
        let link = format!("run/openrc/{state}/rke2-server");
        fs::create_dir_all(root.join(&link).parent().unwrap()).unwrap();
        symlink("/etc/init.d/rke2-server", root.join(&link)).unwrap();
        support::boot(root, GONE);
        assert_eq!(root.join("etc/init.d/rke2-server").exists(), stays, "{state}");
        assert!(!root.join("etc/init.d/rke2-agent").exists(), "{state}");
        fs::remove_file(root.join(&link)).unwrap();
    }
}

#[test]
fn a_script_of_somebody_else_is_never_touched_and_named() {
    for text in ["#!/sbin/openrc-run\n# of the distribution\n# written by provider-rke2\n", "#!/sbin/openrc-run\n", ""]
    {
        let node = openrc_node();
        let root = node.root();
        node.put("etc/init.d/rke2-server", text);
        support::boot(root, SERVER);
        let log = fs::read_to_string(root.join("var/log/provider-rke2.log")).unwrap();
        assert!(
            log.contains("warning plan: /etc/init.d/rke2-server: was not written by this program, so it stays"),
            "{log}"
        );
        let (done, failed) = apply(root, None);
        assert_eq!(failed, Vec::<String>::new());
        assert!(
            done.iter().any(|it| it.contains("/etc/init.d/rke2-server: was not written by this program")),
            "{done:?}"
        );
        support::boot(root, GONE);
        assert_eq!(fs::read_to_string(root.join("etc/init.d/rke2-server")).unwrap(), text);
    }
}

#[test]
fn in_another_root_the_step_says_what_it_would_ask_of_openrc() {
    let node = openrc_node();
    let root = node.root();
    support::boot(root, AGENT);
    let (done, failed) = apply(root, None);
    assert_eq!(failed, Vec::<String>::new());
    let orders: Vec<&String> = done.iter().filter(|it| it.contains("would run")).collect();
    assert_eq!(orders, ["would run rc-service rke2-agent start"]);
    // What was removed since is written again.
    fs::remove_file(root.join("etc/init.d/rke2-agent")).unwrap();
    assert_eq!(apply(root, Some("service")).1, Vec::<String>::new());
    assert!(root.join("etc/init.d/rke2-agent").exists());
    // Shut.
    fs::remove_file(root.join("run/provider-rke2/ready-rke2-agent")).unwrap();
    assert!(apply(root, Some("service")).1[0].contains("run apply config first"));
    node.put("run/provider-rke2/refused", "cluster.role: is missing\n");
    assert_eq!(apply(root, Some("service")).1, ["cluster.role: is missing"]);
}

/// A socket, as the kernel lists it.
fn socket(port: u16, state: &str) -> String {
    format!("  sl  local_address rem_address   st\n   0: 0100007F:{port:04X} 00000000:0000 {state} 00000000:00000000\n")
}

#[test]
fn the_state_of_a_service_is_read_from_openrc_and_from_the_port_that_it_serves() {
    for (state, unit, tcp, expected) in [
        ("", "rke2-server", String::new(), "inactive (stopped)"),
        ("starting", "rke2-server", socket(6443, "0A"), "activating (starting)"),
        ("started", "rke2-server", String::new(), "activating (started)"),
        ("started", "rke2-server", socket(6443, "01"), "activating (started)"),
        ("started", "rke2-server", socket(10250, "0A"), "activating (started)"),
        ("started", "rke2-server", socket(6443, "0A"), "active (started)"),
        ("started", "rke2-agent", socket(6443, "0A"), "activating (started)"),
        ("started", "rke2-agent", socket(10250, "0A"), "active (started)"),
        ("started", "cos-setup-boot", String::new(), "active (started)"),
        ("starting", "cos-setup-boot", String::new(), "activating (starting)"),
        ("stopping", "rke2-server", socket(6443, "0A"), "deactivating (stopping)"),
        ("failed", "rke2-server", String::new(), "failed (failed)"),
    ] {
        for file in ["proc/net/tcp", "proc/net/tcp6"] {
            let node = openrc_node();
            let root = node.root();
            node.put("run/openrc/softlevel", "default\n");
            node.put(file, &tcp);
            if !state.is_empty() {
                fs::create_dir_all(root.join("run/openrc").join(state)).unwrap();
                symlink(format!("/etc/init.d/{unit}"), root.join("run/openrc").join(state).join(unit)).unwrap();
            }
            node.put(&format!("etc/init.d/{unit}"), "");
            let host = Host::new(root).unwrap();
            let found = openrc::OpenRc::of(&host).show(unit).unwrap();
            assert_eq!(
                (format!("{} ({})", found.active.as_str(), found.sub).as_str(), found.load.as_str()),
                (expected, "loaded")
            );
        }
    }
    let node = openrc_node();
    let host = Host::new(node.root()).unwrap();
    assert_eq!(openrc::OpenRc::of(&host).show("rke2-server").unwrap().load.as_str(), "not-found");
    node.put("etc/init.d/rke2-server", "");
    assert_eq!(openrc::OpenRc::of(&host).show("rke2-server").unwrap().load.as_str(), "loaded");
    fs::remove_file(node.path("usr/bin/rke2")).unwrap();
    assert_eq!(openrc::OpenRc::of(&host).show("rke2-server").unwrap().load.as_str(), "not-found");
}

/// The shells that may be `/bin/sh` where OpenRC is. One that is missing is said, and in CI a failure.
fn shells() -> Vec<Vec<&'static str>> {
    let mut shells = vec![vec!["dash"], vec!["busybox", "sh"], vec!["bash", "--posix"]];
    shells.retain(|shell| {
        let works =
            Command::new(shell[0]).args(&shell[1..]).args(["-c", ":"]).output().is_ok_and(|it| it.status.success());
        assert!(works || std::env::var_os("CI").is_none(), "{} is missing", shell[0]);
        if !works {
            eprintln!("{} is missing, the init script is not run with it", shell[0]);
        }
        works
    });
    shells
}

/// The init script on a node in a directory: its paths are below it, it waits for tenths of seconds.
struct Script {
    room: Node,
    shell: Vec<&'static str>,
    unit: &'static str,
}

impl Script {
    /// With RKE2 and `prestart`, which record how they are called.
    fn new(shell: &[&'static str], unit: &'static str) -> Script {
        let room = Node::new();
        let below = room.root().to_str().unwrap().to_owned();
        let program = format!("{below}/it's $here/agent");
        let mut text = openrc::script(&program);
        for path in [
            "/run/provider-rke2", "/etc/default", "/etc/sysconfig", "/usr/bin/rke2", "/usr/local/bin/rke2",
            "/opt/rke2/bin/rke2", "/var/log",
        ] {
            assert!(text.contains(path), "{path}");
            text = text.replace(path, &format!("{below}{path}"));
        }
        let text = text.replace("sleep 5", "sleep 0.1");
        let script = Script { room, shell: shell.to_vec(), unit };
        script.program(&format!("etc/init.d/{unit}"), &text);
        script.program(
            "it's $here/agent",
            &format!("#!/bin/sh\necho \"$@\" >>{below}/prestart\necho 'LATE=\"once\"' >{below}/run/provider-rke2/{unit}.env\nexit 3\n"),
        );
        script.program("bin/modprobe", &format!("#!/bin/sh\necho \"$@\" >>{below}/modules\nexit 1\n"));
        script.program(
            "opt/rke2/bin/rke2",
            &format!(
                "#!/bin/sh\n/bin/cat /proc/$$/environ >{below}/environ\nulimit -n >{below}/files\nulimit -c >{below}/core\n\
                 echo \"$@\" >{below}/arguments\n"
            ),
        );
        fs::create_dir_all(script.path("var/log")).unwrap();
        script.write(&format!("run/provider-rke2/ready-{unit}"), "");
        script
    }

    fn path(&self, path: &str) -> PathBuf {
        self.room.path(path)
    }

    fn write(&self, path: &str, text: &str) {
        self.room.put(path, text);
    }

    fn program(&self, path: &str, text: &str) {
        self.room.write(path, text, 0o755);
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.shell[0]);
        command.args(&self.shell[1..]).env_clear().stdin(Stdio::null());
        command.env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.path("bin").display()));
        command
    }

    /// What the supervisor runs.
    fn run(&self) -> Command {
        let mut command = self.command();
        command.arg(self.path("etc/init.d").join(self.unit)).arg("run");
        command
    }

    /// What OpenRC does: the script is read by a shell that has the functions, then one of its own is called.
    fn call(&self, function: &str) -> Output {
        let script = self.path("etc/init.d").join(self.unit);
        let functions = "for it in want use need after before provide; do eval \"$it() { echo $it \\\"\\$@\\\"; }\"; done\n\
                         eerror() { echo \"$@\"; }\nset -- \"$0\" start run\n. \"$0\" || exit 9\n";
        let mut command = self.command();
        command.env("RC_SVCNAME", self.unit).env("RC_SERVICE", &script);
        command.arg("-c").arg(format!("{functions}{function}")).arg(&script).output().unwrap()
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let bytes = fs::read(self.path("environ")).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        text.split_terminator('\0').map(|it| it.split_once('=').unwrap()).map(|(a, b)| (a.into(), b.into())).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Ended with the test, however that ends.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_nasty_value_and_name_reaches_rke2_as_it_is() {
    let strings = support::nasty_strings();
    let allowed = strings.into_iter().filter(|text| !text.chars().any(char::is_control));
    let mut variables: BTreeMap<String, String> =
        allowed.enumerate().map(|(number, text)| (format!("NASTY_{number}"), text)).collect();
    assert!(variables.len() > 1000, "{}", variables.len());
    // The script has such names itself, and the shell knows some.
    for name in
        ["unit", "file", "log", "program", "module", "command", "PATH", "IFS", "HOME", "ENV", "PS4", "CDPATH", "TERM"]
    {
        variables.insert(name.into(), format!("/{name} \"$(id)\" e'"));
    }
    for shell in shells() {
        let script = Script::new(&shell, "rke2-server");
        script.write("etc/default/rke2-server", &environment::text(&variables));
        let ran = script.run().output().unwrap();
        assert!(ran.status.success(), "{shell:?}: {}", text(&ran.stderr));
        let mut found = script.environment();
        // PATH leads nowhere by then.
        assert!(found.contains_key("LATE"), "{shell:?}: the file after it is not read");
        found.retain(|name, _| !["LATE", "PWD", "OLDPWD", "SHLVL", "_"].contains(&name.as_str()));
        assert_eq!(found, variables, "{shell:?}");
        assert_eq!(script.read("arguments"), "server\n", "{shell:?}");
    }
}

#[test]
fn what_is_read_later_counts_and_prestart_runs_before_it() {
    for shell in shells() {
        let script = Script::new(&shell, "rke2-agent");
        script.write("etc/default/rke2-agent", "A=default\nB=default\nLATE=default\n");
        script.write("etc/sysconfig/rke2-agent", "B=\"sysconfig\"\nC='${A}'\nLATE=sysconfig\n");
        script.write("run/provider-rke2/rke2-agent.env", "LATE=\"of the start before\"\n");
        let ran = script.run().output().unwrap();
        assert!(ran.status.success(), "{shell:?}: {}", text(&ran.stderr));
        let found = script.environment();
        let get = |name: &str| found.get(name).map(String::as_str);
        assert_eq!(
            [get("A"), get("B"), get("C"), get("LATE")],
            [Some("default"), Some("sysconfig"), Some("${A}"), Some("once")]
        );
        assert_eq!(script.read("arguments"), "agent\n", "{shell:?}");
        // A prestart that fails, and modules that cannot be loaded, keep nothing from starting.
        assert_eq!(script.read("prestart"), "prestart rke2-agent\n", "{shell:?}");
        assert_eq!(script.read("modules"), "br_netfilter\noverlay\n", "{shell:?}");
        assert_eq!(script.read("core"), "unlimited\n", "{shell:?}");
        assert!(script.read("files").trim().parse::<u64>().unwrap() > 1024, "{shell:?}: {}", script.read("files"));
    }
}

#[test]
fn a_file_that_is_none_for_a_shell_is_left_out_and_not_quoted() {
    for shell in shells() {
        for broken in [
            "A=\"SECRET-unterminated\n", "A=1\n)SECRET-word\n", "if SECRET-if; then\n", "A=${NONE:?SECRET}\n",
            "A=1\nexit 0\n", "A=1\nexec true\n",
        ] {
            let script = Script::new(&shell, "rke2-server");
            script.write("etc/default/rke2-server", broken);
            script.write("etc/sysconfig/rke2-server", "B=2\nno-such-SECRET-command SECRET-argument\nC=3\n");
            let ran = script.run().output().unwrap();
            let (said, found) = (text(&ran.stderr), script.environment());
            assert!(ran.status.success(), "{shell:?} {broken:?}: {said}");
            assert!(said.contains("/etc/default/rke2-server: is not read"), "{shell:?} {broken:?}: {said}");
            assert!(!said.contains("SECRET"), "{shell:?} {broken:?}: {said}");
            assert_eq!(
                (found.get("A"), found["B"].as_str(), found["C"].as_str()),
                (None, "2", "3"),
                "{shell:?} {broken:?}"
            );
        }
    }
}

#[test]
fn openrc_starts_nothing_while_the_gate_is_shut_or_without_rke2() {
    for shell in shells() {
        let script = Script::new(&shell, "rke2-server");
        let start = || {
            let ran = script.call("start_pre");
            (ran.status.code().unwrap(), text(&ran.stdout) + &text(&ran.stderr))
        };
        assert_eq!(start(), (0, String::new()), "{shell:?}");
        script.write("run/provider-rke2/refused", "");
        let (code, said) = start();
        assert!(
            code == 1 && said.starts_with("rke2-server: its configuration is not installed"),
            "{shell:?} {code}: {said}"
        );
        assert!(said.contains("it's $here/agent status"), "{shell:?}: {said}");
        fs::remove_file(script.path("run/provider-rke2/refused")).unwrap();
        fs::rename(
            script.path("run/provider-rke2/ready-rke2-server"),
            script.path("run/provider-rke2/ready-rke2-agent"),
        )
        .unwrap();
        assert_eq!(start().0, 1, "{shell:?}");
        fs::rename(
            script.path("run/provider-rke2/ready-rke2-agent"),
            script.path("run/provider-rke2/ready-rke2-server"),
        )
        .unwrap();
        fs::remove_file(script.path("opt/rke2/bin/rke2")).unwrap();
        let (code, said) = start();
        assert!(code == 1 && said.starts_with("rke2-server: there is no rke2 in"), "{shell:?} {code}: {said}");
        // Nothing of it is ever started by OpenRC's reading the script.
        let asked = ("guard rke2-server\n".to_owned(), String::new());
        assert_eq!((script.read("prestart"), script.read("arguments")), asked, "{shell:?}");
    }
}

/// How a guard ends, whether a node with state starts then, and whether one starts that would found a cluster.
const GUARDS: [(&str, bool, bool); 6] = [
    ("exit 0", true, true),
    ("exit 1", false, false),
    ("exit 3", true, false),
    ("exit 255", true, false),
    ("kill -SEGV $$", true, false),
    ("kill -KILL $$", true, false),
];

#[test]
fn only_a_guard_that_says_no_keeps_a_node_with_state_from_starting() {
    for shell in shells() {
        let script = Script::new(&shell, "rke2-server");
        for (guard, starts, founds) in GUARDS {
            script.program("it's $here/agent", &format!("#!/bin/sh\n{guard}\n"));
            for (is_fresh, expected) in [(false, starts), (true, founds)] {
                if is_fresh {
                    script.write("run/provider-rke2/fresh-rke2-server", "");
                }
                assert_eq!(script.call("start_pre").status.success(), expected, "{shell:?}: {guard}, {is_fresh}");
                let _ = fs::remove_file(script.path("run/provider-rke2/fresh-rke2-server"));
            }
        }
        fs::remove_file(script.path("it's $here/agent")).unwrap();
        assert!(script.call("start_pre").status.success(), "{shell:?}: missing");
    }
}

/// The condition of systemd's unit, run by the shell as systemd does.
#[test]
fn the_condition_of_the_unit_says_no_only_where_the_guard_does() {
    for shell in shells() {
        let node = Node::new();
        assert_eq!(node.boot("cluster:\n  role: init\n")["error"], "");
        let drop_in = node.read("run/systemd/system/rke2-server.service.d/50-provider-rke2.conf").unwrap();
        let line = drop_in.lines().find_map(|line| line.strip_prefix("ExecCondition=/bin/sh -c '")).unwrap();
        let (text, program) = line.rsplit_once("' ").unwrap();
        assert_eq!(program, BINARY);
        let below = node.root().display();
        let text = text.replace("$$", "$").replace("%N", "rke2-server");
        let text = text.replace("/run/provider-rke2", &format!("{below}/run/provider-rke2"));
        let guard = node.path("guard");
        let ends = |program: &Path| {
            let mut command = Command::new(shell[0]);
            command.args(&shell[1..]).arg("-c").arg(&text).arg(program).output().unwrap().status.code().unwrap()
        };
        for (how, starts, founds) in GUARDS {
            node.write("guard", format!("#!/bin/sh\n[ \"$*\" = 'guard rke2-server' ] || exit 1\n{how}\n"), 0o755);
            assert_eq!(ends(&guard), i32::from(!starts), "{shell:?}: {how}");
            node.put("run/provider-rke2/fresh-rke2-server", "");
            assert_eq!(ends(&guard), i32::from(!founds), "{shell:?}: {how}, fresh");
            node.clear("run/provider-rke2/fresh-rke2-server");
        }
        assert_eq!(ends(Path::new("/does/not/exist")), 0, "{shell:?}");
        node.put("run/provider-rke2/fresh-rke2-server", "");
        assert_eq!(ends(Path::new("/does/not/exist")), 1, "{shell:?}");
    }
}

#[test]
fn a_start_of_the_supervisor_waits_for_the_gate() {
    for shell in shells() {
        for shut in ["refused", "ready"] {
            let script = Script::new(&shell, "rke2-server");
            let ready = "run/provider-rke2/ready-rke2-server";
            if shut == "ready" {
                fs::remove_file(script.path(ready)).unwrap();
            } else {
                script.write("run/provider-rke2/refused", "");
            }
            let mut started = Started(script.run().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
            sleep(Duration::from_millis(400));
            assert_eq!(
                (script.read("prestart"), script.read("arguments")),
                (String::new(), String::new()),
                "{shell:?}"
            );
            assert!(started.0.try_wait().unwrap().is_none(), "{shell:?}");
            if shut == "ready" {
                script.write(ready, "");
            } else {
                fs::remove_file(script.path("run/provider-rke2/refused")).unwrap();
            }
            assert!(within(Duration::from_secs(10), || script.read("arguments") == "server\n"), "{shell:?} {shut}");
            started.0.wait().unwrap();
        }
    }
}

#[test]
fn the_log_never_grows_for_long() {
    for shell in shells() {
        let script = Script::new(&shell, "rke2-server");
        let root = script.room.root().display().to_string();
        script.program("opt/rke2/bin/rke2", &format!("#!/bin/sh\necho x >{root}/arguments\nexec sleep 30\n"));
        let log = fs::File::create(script.path("var/log/rke2-server.log")).unwrap();
        log.set_len((32 << 20) - 1).unwrap();
        let started = Started(script.run().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        assert!(within(Duration::from_secs(10), || script.read("arguments") == "x\n"), "{shell:?}");
        sleep(Duration::from_millis(300));
        assert!(!script.path("var/log/rke2-server.log.1").exists(), "{shell:?}");
        // While RKE2 runs, and more than once.
        for size in [(32 << 20) + 513, 40 << 20] {
            log.set_len(size).unwrap();
            let copy = script.path("var/log/rke2-server.log.1");
            assert!(
                within(Duration::from_secs(10), || fs::metadata(&copy).is_ok_and(|it| it.len() == size)),
                "{shell:?}"
            );
            assert!(within(Duration::from_secs(10), || log.metadata().unwrap().len() == 0), "{shell:?}");
        }
        // Who looks after the log ends with RKE2.
        let running = || {
            let name = script.path("etc/init.d/rke2-server").display().to_string();
            let of = |it: fs::DirEntry| text(&fs::read(it.path().join("cmdline")).unwrap_or_default()).contains(&name);
            fs::read_dir("/proc")
                .unwrap()
                .flatten()
                .filter(|it| it.file_name().to_string_lossy().parse::<u32>().is_ok())
                .any(of)
        };
        assert!(running(), "{shell:?}");
        drop(started);
        assert!(within(Duration::from_secs(10), || !running()), "{shell:?}");
    }
}

#[test]
fn what_openrc_reads_of_the_script() {
    for shell in shells() {
        let script = Script::new(&shell, "rke2-agent");
        // The service that runs the boot stages starts this one from its middle: who waits for it there waits for ever.
        assert_eq!(
            text(&script.call("depend").stdout),
            "want cgroups\nuse net dns\nafter network-online firewall\n",
            "{shell:?}"
        );
        let values = "echo \"$supervisor|$respawn_delay|$respawn_max|$rc_cgroup_cleanup|$retry|$pidfile|${output_log##*/}|${error_log##*/}\"";
        assert_eq!(
            text(&script.call(values).stdout),
            "supervise-daemon|5|0|no|TERM/45/KILL/5|/run/rke2-agent.pid|rke2-agent.log|rke2-agent.log\n",
            "{shell:?}"
        );
        // The line that OpenRC evaluates is the one that the other tests run.
        let line = format!("-i HOME=/root PATH=.* /bin/sh {} run\n", script.path("etc/init.d/rke2-agent").display());
        let found = text(&script.call("echo \"$command_args\"").stdout);
        let (head, tail) = line.split_once(".*").unwrap();
        assert!(found.starts_with(head) && found.ends_with(tail), "{shell:?}: {found}");
    }
    assert!(openrc::script(support::PROGRAM).lines().nth(1).unwrap().starts_with(MARK));
    assert!(!openrc::script(support::PROGRAM).contains("@PROGRAM@"));
}

#[test]
fn shellcheck_finds_nothing() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/openrc/rke2");
    match Command::new("shellcheck").args(["-s", "sh", path]).output() {
        Ok(ran) => assert!(ran.status.success(), "{}", text(&ran.stdout)),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "shellcheck: {error}");
            eprintln!("shellcheck is missing, the init script is not checked");
        }
    }
}
