//! RKE2 into an image, as kairos-init asks for it: from a directory of artifacts, and from a server on this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use provider_rke2::images::sums;
use serde_json::{Value, json};
use serde_yaml::Value as Yaml;
use sha2::{Digest as _, Sha256};

use crate::support::{BINARY, Node, answer, envelope, inner_room, inside, run};

const VERSION: &str = "v1.33.4+rke2r1";
const RKE2: &str = "usr/bin/rke2";
const UNITS: &str = "usr/lib/systemd/system";

/// The archive's name, and that of its checksums.
fn names() -> (String, String) {
    let architecture = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    (format!("rke2.linux-{architecture}.tar.gz"), format!("sha256sum-{architecture}.txt"))
}

/// What looks like RKE2: the header of a program for this machine, much that does not compress, and a version.
fn program(version: &str) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(18, 0);
    bytes.extend(if cfg!(target_arch = "x86_64") { 62u16 } else { 183 }.to_le_bytes());
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    bytes.extend((0..150_000).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    }));
    bytes.extend(format!("\0{version}\0").bytes());
    bytes.resize(bytes.len() + 90_000, b'x');
    bytes
}

/// RKE2's archive with something wrong with it, made by the real tar.
fn archive(fault: &str, version: &str) -> Vec<u8> {
    let tree = Node::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/install/archive"));
    let rke2 = tree.path("bin/rke2");
    let mut bytes = program(version);
    match fault {
        "other-machine" => {
            let other: u16 = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
            bytes[18..20].copy_from_slice(&other.to_le_bytes());
        }
        "script" => bytes = format!("#!/bin/sh\necho rke2 version {version}\n").into_bytes(),
        _ => {}
    }
    match fault {
        "without-program" => {}
        "link" => symlink("/bin/sh", &rke2).unwrap(),
        _ => fs::write(&rke2, bytes).unwrap(),
    }
    let mut tar = Command::new("tar");
    tar.args([
        "--create", "--gzip", "--file=-", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner",
    ]);
    tar.arg("--mode=u=rwX,go=rX").arg("--directory").arg(tree.root());
    match fault {
        "pax" => _ = tar.args(["--format=pax", "bin", "lib", "share"]),
        "hostile" => {
            // Names that lead out, hide or are not RKE2's.
            let change = "s,bin/rke2-killall.sh,bin/../../../evil.sh,;s,bin/rke2-uninstall.sh,bin/.evil,;\
                s,share/rke2/LICENSE.txt,lib/systemd/system/sshd.service,;s,share/man/rke2.1,/etc/shadow,";
            tar.args(["-P", &format!("--transform={change}"), "bin", "lib", "share"]);
        }
        _ => _ = tar.args(["--format=gnu", "."]),
    }
    let output = tar.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut bytes = output.stdout;
    match fault {
        "cut" => bytes.truncate(bytes.len() - 2000),
        "flipped" => {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
        }
        "longer" => bytes.extend(b"more"),
        "empty" => bytes.clear(),
        "text" => bytes = b"<html>please log in</html>\n".to_vec(),
        _ => {}
    }
    bytes
}

fn hex(bytes: &[u8]) -> String {
    sums::hex(&Sha256::digest(bytes).into())
}

/// The checksums of a release: of this archive, and of others.
fn sums_of(archive: &[u8]) -> String {
    let zeros = "0".repeat(64);
    format!("{}  {}\n{zeros}  rke2-images-core.linux-amd64.tar.zst\n", hex(archive), names().0)
}

fn text<'a>(case: &'a Yaml, key: &str, default: &'a str) -> &'a str {
    case.get(key).map_or(default, |value| value.as_str().unwrap())
}

fn payload(version: &str, config: &str) -> Value {
    json!({"provider": "rke2", "version": version, "logLevel": "info", "config": config, "family": "debian"})
}

fn publish(root: &Path, event: &str, data: &Value) -> (BTreeMap<String, String>, Vec<String>) {
    let mut command = Command::new(BINARY);
    if root != Path::new("/") {
        command.arg("--root").arg(root);
    }
    let ran = run(command.arg(event), &envelope(event, &data.to_string(), ""));
    (answer(&ran), ran.said())
}

/// What is in an image, without what the case itself has put there and with programs by their size.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let name = format!("/{}", path.strip_prefix(root).unwrap().display());
            if name == "/artifacts" {
                continue;
            }
            let mode = meta.permissions().mode() & 0o7777;
            if meta.is_dir() {
                found.push(format!("{name}/ {mode:o}"));
                open.push(path);
            } else if meta.is_symlink() {
                found.push(format!("{name} -> {}", fs::read_link(&path).unwrap().display()));
            } else {
                let text = fs::read_to_string(&path).ok().filter(|text| text.len() < 1000);
                let told = text.map_or_else(|| format!("{} bytes", meta.len()), |text| format!("{text:?}"));
                found.push(format!("{name} {mode:o} {told}"));
            }
        }
    }
    found.sort();
    found
}

/// The image that a case begins with.
fn image(node: &Node, kind: &str) {
    match kind {
        "" => {}
        "openrc" => node.write("sbin/openrc-run", "", 0o755),
        "units-in-etc" => node.write("etc/systemd/system/rke2-server.service", "[Service]\n", 0o644),
        "enabled" => {
            let link = node.path("etc/systemd/system/multi-user.target.wants/rke2-server.service");
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink("/usr/lib/systemd/system/rke2-server.service", link).unwrap();
        }
        "same" | "older" => {
            node.write(RKE2, program(if kind == "same" { VERSION } else { "v1.32.1+rke2r1" }), 0o755);
            for unit in ["rke2-server", "rke2-agent"] {
                node.write(&format!("{UNITS}/{unit}.service"), "[Service]\n# what was there\n", 0o644);
            }
        }
        "stage" => node.write("usr/.provider-rke2/7", "a part", 0o600),
        "obstacle" => {
            node.write(RKE2, program("v1.32.1+rke2r1"), 0o755);
            // Met after the program has been put in its place.
            node.write("usr/share/rke2", "a file where a directory belongs", 0o644);
        }
        other => panic!("{other}"),
    }
}

#[test]
fn an_installation_from_a_directory_is_whole_or_leaves_the_image_as_it_was() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/install");
    let cases: Vec<Yaml> = serde_yaml::from_str(&fs::read_to_string(data.join("cases.yaml")).unwrap()).unwrap();
    let (archive_name, sums_name) = names();
    let (mut whole, mut told) = (String::new(), BTreeSet::new());
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let node = Node::new();
        image(&node, text(case, "image", ""));
        let version = text(case, "holds", VERSION);
        let (given, right) = (archive(text(case, "archive", "whole"), version), archive("whole", version));
        if text(case, "archive", "whole") != "absent" {
            node.write(&format!("artifacts/{archive_name}"), &given, 0o644);
        }
        let is_other = ["pax", "without-program", "other-machine", "script", "link", "hostile"]
            .contains(&text(case, "archive", ""));
        let sums = match text(case, "sums", if is_other { "of-image" } else { "right" }) {
            "right" => Some(sums_of(&right)),
            "of-image" => Some(sums_of(&given)),
            "other-release" => Some(sums_of(&archive("whole", "v1.30.1+rke2r1"))),
            "other-files" => Some(format!("{}  install.sh\n", hex(&right))),
            "empty" => Some(String::new()),
            "absent" => None,
            other => panic!("{other}"),
        };
        if let Some(sums) = sums {
            node.write(&format!("artifacts/{sums_name}"), sums, 0o644);
        }
        node.write("artifacts/config.yaml", "artifacts: /artifacts\n", 0o644);
        let before = files(node.root());
        let config = text(case, "config", "/artifacts").replace("RIGHT", &hex(&right));
        let (answer, said) =
            publish(node.root(), "init.provider.install", &payload(text(case, "version", VERSION), &config));
        let after = files(node.root());

        let is_error = answer["state"] == "error";
        assert_eq!(is_error, !answer["error"].is_empty(), "{name}: {answer:?}");
        assert!(["error", "success"].contains(&answer["state"].as_str()), "{name}: {answer:?}");
        whole.push_str(&format!("# {name}\n"));
        if is_error {
            assert_eq!(after, before, "{name}: something is left behind");
            whole.push_str(&format!("error: {}\n\n", answer["error"]));
        } else {
            let (info, _) = publish(node.root(), "init.provider.info", &Value::Null);
            assert_eq!(info["data"], answer["data"], "{name}: what is told afterwards");
            whole.push_str(&format!("{}\n{}\n", answer["data"], answer["log"]));
            whole.extend(said.iter().map(|line| format!("  said: {line}\n")));
            for file in after.iter().filter(|file| !before.contains(file)) {
                // What a file holds is told once.
                let short = file.split_once(" \"").map_or(&**file, |(short, _)| short);
                let file = if told.insert(file.clone()) { file } else { short };
                whole.push_str(&format!("  + {file}\n"));
            }
            whole.extend(before.iter().filter(|file| !after.contains(file)).map(|file| format!("  - {file}\n")));
            whole.push('\n');
        }
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(data);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter("[0-9a-f]{64}", "[sha256]");
    settings.add_filter("amd64|arm64", "[arch]");
    settings.bind(|| insta::assert_snapshot!("cases", whole));
}

#[test]
fn every_kind_of_case_occurs() {
    let cases = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/install/cases.yaml")).unwrap();
    let head: String =
        cases.lines().take_while(|line| line.starts_with('#')).map(|line| line.trim_start_matches("# ")).collect();
    let cases: Vec<Yaml> = serde_yaml::from_str(&cases).unwrap();
    for case in &cases {
        for key in ["archive", "sums", "image"] {
            assert!(head.contains(text(case, key, "")), "{case:?}: the head does not explain it");
        }
    }
}

// --- kairos-init ----------------------------------------------------------------------------------------------------

/// kairos-init, as far as plugins meet it (kairos `kairos-init/pkg/stages/steps_install.go`, `steps_init.go`): every plugin gets every event.
struct KairosInit {
    plugins: Vec<PathBuf>,
    /// What it writes to /etc/kairos-release: the last answer that names both.
    release: Option<(String, String)>,
}

impl KairosInit {
    /// Publishes an event to all plugins at once, and gives their answers.
    fn publish(&self, event: &str, data: &Value) -> Vec<BTreeMap<String, String>> {
        let input = &envelope(event, &data.to_string(), "");
        thread::scope(|scope| {
            let running: Vec<_> = self
                .plugins
                .iter()
                .map(|plugin| scope.spawn(move || answer(&run(Command::new(plugin).arg(event), input))))
                .collect();
            running.into_iter().map(|it| it.join().unwrap()).collect()
        })
    }

    /// The phase `install`, for one `--provider`. Fails with what fails the build of the image.
    fn install(&self, provider: &str, config: &str) -> Result<usize, String> {
        let mut data = payload(VERSION, config);
        data["provider"] = provider.into();
        let answers = self.publish("init.provider.install", &data);
        let errors: Vec<&str> = answers.iter().map(|it| it["error"].as_str()).filter(|it| !it.is_empty()).collect();
        if !errors.is_empty() {
            return Err(errors.join("; "));
        }
        Ok(answers.iter().filter(|it| it["state"] == "success").count())
    }

    /// The phase `init`.
    fn init(&mut self) {
        for answer in self.publish("init.provider.info", &Value::Null) {
            assert_eq!(answer["error"], "");
            if answer["state"] == "non-applicable" {
                assert_eq!(answer["data"], "");
                continue;
            }
            let data: Value = serde_json::from_str(&answer["data"]).expect("an answer that applies has data");
            let field = |key: &str| data[key].as_str().unwrap().to_owned();
            self.release = Some((field("provider"), field("version")));
        }
    }
}

/// An image with our plugin and one of another make, which installs k3s.
fn with_two_plugins(node: &Node) -> KairosInit {
    let plugin = |name: &str, script: String| {
        node.write(&format!("plugins/{name}"), script, 0o755);
        node.path(&format!("plugins/{name}"))
    };
    let ours = format!("#!/bin/sh\nexec '{BINARY}' --root '{}' \"$1\"\n", node.root().display());
    let answer = r#"{"state":"'$state'","data":"","error":"","log":""}"#;
    let other = format!(
        "#!/bin/sh\nstate=non-applicable\nif [ \"$1\" = init.provider.install ] && grep -q '\"provider\\\\\":\\\\\"k3s'; then state=success; fi\n\
         echo '{answer}'\n"
    );
    let plugins = vec![plugin("agent-provider-other", other), plugin("agent-provider-rke2", ours)];
    KairosInit { plugins, release: None }
}

#[test]
fn kairos_init_is_answered_in_either_order_of_its_events_and_beside_another_plugin() {
    let node = Node::new();
    let bytes = archive("whole", VERSION);
    node.write(&format!("artifacts/{}", names().0), &bytes, 0o644);
    node.write(&format!("artifacts/{}", names().1), sums_of(&bytes), 0o644);
    let mut build = with_two_plugins(&node);
    // The phase that asks before anything is installed, and an image for another provider.
    build.init();
    assert_eq!(build.release, None);
    assert_eq!(build.install("k3s", ""), Ok(1));
    assert_eq!(build.install("k0s", "/artifacts"), Ok(0));
    assert!(!node.exists(RKE2));
    build.init();
    assert_eq!(build.release, None);
    // An installation that fails fails the build, and can be tried again.
    assert!(build.install("rke2", "/elsewhere").unwrap_err().contains("/elsewhere"));
    assert_eq!(build.install("rke2", "/artifacts"), Ok(1));
    assert_eq!(build.install("rke2", "/artifacts"), Ok(1));
    build.init();
    let told = Some(("rke2".to_owned(), VERSION.to_owned()));
    assert_eq!(build.release, told);
    // The other order of the plugins, and the event once more.
    build.plugins.reverse();
    build.release = None;
    build.init();
    build.init();
    assert_eq!(build.release, told);
}

// --- downloads ------------------------------------------------------------------------------------------------------

/// A server of artifacts on this machine: path to what is answered, and what was asked for.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

/// An answer: its status line, its bytes, and how many are promised.
#[derive(Clone)]
struct Page(&'static str, Vec<u8>, usize);

fn page(bytes: &[u8]) -> Page {
    Page("200 OK", bytes.to_vec(), bytes.len())
}

fn serve(pages: BTreeMap<String, Page>) -> Server {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (url, asked) = (format!("http://{}", listener.local_addr().unwrap()), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let request = lines.next().unwrap_or_default();
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            let Page(status, bytes, length) = pages.get(&path).cloned().unwrap_or(Page("404 Not Found", Vec::new(), 0));
            seen.lock().unwrap().push(path);
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(&bytes);
        }
    });
    Server { url, asked }
}

/// A /usr of its own, into which RKE2 can be installed, and nothing of RKE2 in it.
const OWN_USR: &str = "mount -t tmpfs tmpfs \"$1\"; mkdir \"$1/up\" \"$1/work\"; \
    mount -t overlay overlay -o \"lowerdir=/usr,upperdir=$1/up,workdir=$1/work\" /usr; \
    rm -rf /usr/bin/rke2* /usr/local/bin/rke2*";

#[test]
fn a_download_is_checked_before_anything_is_installed() {
    let Some(_) = inner_room() else {
        let room = tempfile::tempdir().unwrap();
        return inside("install::a_download_is_checked_before_anything_is_installed", OWN_USR, room.path());
    };
    let root = Path::new("/");
    let (archive_name, sums_name) = names();
    let good = archive("whole", VERSION);
    let at = |name: &str| format!("/v1.33.4%2Brke2r1/{name}");
    let pages = |archive: Page, sums: Page| BTreeMap::from([(at(&archive_name), archive), (at(&sums_name), sums)]);
    let install = |server: &Server| publish(root, "init.provider.install", &payload(VERSION, &server.url)).0;
    let left = || {
        [RKE2, "usr/.provider-rke2", "usr/lib/systemd/system/rke2-server.service"].map(|path| root.join(path).exists())
    };

    let mut cut = page(&good);
    cut.1.truncate(good.len() / 2);
    let sums = || page(sums_of(&good).as_bytes());
    for (what, pages, sentence) in [
        ("nothing there", BTreeMap::new(), "404"),
        ("no archive", BTreeMap::from([(at(&sums_name), sums())]), "404"),
        ("checksums of nothing", pages(page(&good), page(b"")), "does not name"),
        ("a connection that ends too early", pages(cut, sums()), "cannot be downloaded"),
        ("cut", pages(page(&archive("cut", VERSION)), sums()), "is damaged or another"),
        ("flipped", pages(page(&archive("flipped", VERSION)), sums()), "is damaged or another"),
        ("another release", pages(page(&archive("whole", "v1.34.1+rke2r1")), sums()), "is damaged or another"),
        (
            "another release with its checksums",
            {
                let other = archive("whole", "v1.34.1+rke2r1");
                pages(page(&other), page(sums_of(&other).as_bytes()))
            },
            "holds RKE2 v1.34.1+rke2r1, and v1.33.4+rke2r1 is asked for",
        ),
        ("a server that fails", pages(Page("500 Oops", Vec::new(), 0), sums()), "500"),
    ] {
        let answer = install(&serve(pages));
        assert_eq!(answer["state"], "error", "{what}: {answer:?}");
        assert!(answer["error"].contains(sentence), "{what}: {answer:?}");
        assert_eq!(left(), [false; 3], "{what}");
    }

    let server = serve(pages(page(&good), sums()));
    let answer = install(&server);
    assert_eq!((&*answer["state"], &*answer["error"]), ("success", ""), "{answer:?}");
    assert_eq!(*server.asked.lock().unwrap(), [at(&sums_name), at(&archive_name)]);
    assert_eq!(left(), [true, false, true]);
    assert_eq!(fs::read(root.join(RKE2)).unwrap(), program(VERSION));

    // With the checksum in config nothing else is asked for; without curl it is wget.
    fs::remove_file(root.join(RKE2)).unwrap();
    fs::remove_file("/usr/bin/curl").unwrap();
    let server = serve(pages(page(&good), page(b"")));
    let config = format!("{{mirror: \"{}/\", sha256: {}}}", server.url, hex(&good));
    let (answer, said) = publish(root, "init.provider.install", &payload(VERSION, &config));
    assert_eq!(&*answer["state"], "success", "{answer:?}");
    assert_eq!(*server.asked.lock().unwrap(), [at(&archive_name)]);
    assert!(said[0].starts_with("downloads http://127.0.0.1:"), "{said:?}");

    // Neither is there.
    fs::remove_file(root.join(RKE2)).unwrap();
    fs::remove_file("/usr/bin/wget").unwrap();
    let answer = install(&serve(BTreeMap::new()));
    assert!(answer["error"].contains("no such program"), "{answer:?}");
    assert!(!left()[1]);
}
