//! The log loses no line, tears no line, and is never the reason that something fails.

use std::{
    collections::BTreeSet,
    env, fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
    time::{Duration, Instant, UNIX_EPOCH},
};

use crate::support::{fifo, mode};
use proptest::prelude::*;
use provider_rke2::host::Host;
use provider_rke2::report::log::{Level, Log, rfc3339};
use provider_rke2::text::escape::escape;

/// Tells a run of this test binary that it is one inside the other, and where its root is.
const ROOM: &str = "LOG_ROOM";
const NAME: &str = "provider-rke2.log";

fn log_directory(root: &Path) -> PathBuf {
    root.join("var/log")
}

/// The names in the log directory, in order.
fn names(root: &Path) -> Vec<String> {
    Host::new(root).unwrap().list("/var/log").unwrap()
}

#[test]
fn a_line_says_when_who_how_bad_where_and_what() {
    let room = tempfile::tempdir().unwrap();
    let host = Host::new(room.path()).unwrap();
    let log = Log::new(&host, "0.1.0");
    let before = rfc3339(host.now());
    log.line(Level::Info, "plan", "the first");
    log.line(Level::Warning, "apply config", "two\nlines \u{202e}");
    log.line(Level::Error, "prestart", "");
    let after = rfc3339(host.now());
    let text = fs::read_to_string(log_directory(room.path()).join(NAME)).unwrap();
    let (times, rest): (Vec<_>, Vec<_>) = text.lines().map(|line| line.split_once(' ').unwrap()).unzip();
    assert_eq!(
        rest,
        ["0.1.0 info plan: the first", r"0.1.0 warning apply config: two\u{a}lines \u{202e}", "0.1.0 error prestart: "]
    );
    for time in times {
        // Of one length and one form, times sort as text.
        assert!(time.len() == 20 && *before <= *time && *time <= *after, "{before} {time} {after}");
    }
    assert_eq!(mode(&log_directory(room.path())), 0o755);
    assert_eq!(mode(&log_directory(room.path()).join(NAME)), 0o600);
}

#[test]
fn a_log_of_another_mode_is_corrected() {
    let room = tempfile::tempdir().unwrap();
    let file = log_directory(room.path()).join(NAME);
    fs::create_dir_all(log_directory(room.path())).unwrap();
    fs::write(&file, "from before\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let host = Host::new(room.path()).unwrap();
    Log::new(&host, "v").line(Level::Info, "plan", "x");
    assert_eq!(mode(&file), 0o600);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("from before\n") && text.ends_with("Z v info plan: x\n"), "{text}");
}

#[test]
fn a_full_log_is_put_aside_and_five_are_kept() {
    let room = tempfile::tempdir().unwrap();
    let host = Host::new(room.path()).unwrap();
    // A line has 38 bytes, two fit.
    let log = Log::with_limit(&host, "v", 90);
    for number in 10..30 {
        log.line(Level::Info, "plan", &format!("line {number}"));
    }
    let all = [NAME.to_owned()].into_iter().chain((1..=5).map(|number| format!("{NAME}.{number}")));
    assert_eq!(names(room.path()), all.clone().collect::<Vec<_>>());
    for (age, name) in all.enumerate() {
        let text = fs::read_to_string(log_directory(room.path()).join(&name)).unwrap();
        let kept: Vec<_> =
            text.lines().map(|line| line.rsplit_once(' ').unwrap().1.parse::<usize>().unwrap()).collect();
        assert_eq!(kept, [28 - 2 * age, 29 - 2 * age], "{name}");
        assert_eq!(mode(&log_directory(room.path()).join(&name)), 0o600, "{name}");
    }
    // Longer than a whole file: a file of its own, and the next line another.
    log.line(Level::Info, "plan", &"x".repeat(500));
    log.line(Level::Info, "plan", "after");
    let size = |name: &str| fs::metadata(log_directory(room.path()).join(name)).unwrap().len();
    assert!(size("provider-rke2.log.1") > 500 && size(NAME) < 90);
}

#[test]
fn twelve_writers_lose_no_line() {
    const WRITERS: usize = 12;
    const LINES: usize = 100;
    let room = tempfile::tempdir().unwrap();
    let sentence = |writer: usize, line: usize| format!("{writer:02}-{line:03} {}", "padding ".repeat(writer));
    // 4.5 files' worth: rotated four or five times, nothing rotated away.
    let host = Host::new(room.path()).unwrap();
    Log::new(&host, "v").line(Level::Info, "plan", "");
    let empty = fs::metadata(log_directory(room.path()).join(NAME)).unwrap().len();
    fs::remove_file(log_directory(room.path()).join(NAME)).unwrap();
    let total: u64 = (0..WRITERS).map(|writer| LINES as u64 * (empty + sentence(writer, 0).len() as u64)).sum();
    let limit = total * 2 / 9;
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (tree, sentence) = (room.path(), &sentence);
            scope.spawn(move || {
                let host = Host::new(tree).unwrap();
                let log = Log::with_limit(&host, "v", limit);
                for line in 0..LINES {
                    log.line(Level::Info, "plan", &sentence(writer, line));
                }
            });
        }
    });
    let files = names(room.path());
    assert!(files.len() >= 5, "not rotated: {files:?}");
    let mut found = Vec::new();
    for name in &files {
        let path = log_directory(room.path()).join(name);
        assert_eq!(mode(&path), 0o600, "{name}");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with('\n'), "{name} is torn");
        for line in text.lines() {
            found.push(line.split_once("Z v info plan: ").expect(line).1.to_owned());
        }
    }
    found.sort_unstable();
    let mut expected: Vec<_> =
        (0..WRITERS).flat_map(|writer| (0..LINES).map(move |line| sentence(writer, line))).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn a_log_that_somebody_holds_is_appended_all_the_same() {
    let room = tempfile::tempdir().unwrap();
    let host = Host::new(room.path()).unwrap();
    let log = Log::with_limit(&host, "v", 10);
    log.line(Level::Info, "plan", "one");
    let held = host.lock("/var/log/provider-rke2.log", Duration::ZERO).unwrap();
    let start = Instant::now();
    log.line(Level::Info, "plan", "two");
    let time = start.elapsed();
    assert!(time >= Duration::from_millis(900) && time < Duration::from_secs(4), "{time:?}");
    assert_eq!(names(room.path()), [NAME]);
    drop(held);
    log.line(Level::Info, "plan", "three");
    let older = fs::read_to_string(log_directory(room.path()).join("provider-rke2.log.1")).unwrap();
    assert_eq!(older.lines().count(), 2);
}

#[test]
fn what_cannot_be_put_aside_grows() {
    let room = tempfile::tempdir().unwrap();
    let host = Host::new(room.path()).unwrap();
    fs::create_dir_all(log_directory(room.path()).join("provider-rke2.log.1/full")).unwrap();
    let log = Log::with_limit(&host, "v", 10);
    log.line(Level::Info, "plan", "one");
    // The directory moves on as .2 .. .5 and then stays.
    for _ in 0..9 {
        log.line(Level::Info, "plan", "more");
    }
    let mut lines = BTreeSet::new();
    for name in names(room.path()) {
        if let Ok(text) = fs::read_to_string(log_directory(room.path()).join(&name)) {
            lines.extend(text.lines().enumerate().map(|(number, line)| format!("{name} {number} {line}")));
        }
    }
    assert_eq!(lines.len(), 10, "{lines:?}");
    assert!(log_directory(room.path()).join("provider-rke2.log.5/full").is_dir());
}

/// The run inside: one line to the log of the room.
#[test]
fn one_line() {
    if let Some(room) = env::var_os(ROOM) {
        let host = Host::new(Path::new(&room)).unwrap();
        Log::new(&host, "v").line(Level::Error, "plan", "the sentence");
    }
}

/// Writes one line in a process of its own, whose stderr can be seen.
fn line_of_a_process(root: &Path, launcher: &[&str]) -> Output {
    let mut words = launcher.to_vec();
    let own = env::current_exe().unwrap();
    words.extend([own.to_str().unwrap(), "--exact", "log::one_line", "--nocapture"]);
    let start = Instant::now();
    let output = Command::new(words[0]).args(&words[1..]).env(ROOM, root).output().unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
    output
}

/// What is in the way, and how it gets there.
type Case = (&'static str, fn(&Path));

#[test]
fn a_log_that_cannot_be_opened_is_stderr() {
    let cases: [Case; 7] = [
        ("a symlink", |file| symlink("../../victim", file).unwrap()),
        ("a dangling symlink", |file| symlink("../../absent", file).unwrap()),
        ("a named pipe", fifo),
        ("a directory", |file| fs::create_dir(file).unwrap()),
        ("a socket", |file| drop(std::os::unix::net::UnixListener::bind(file).unwrap())),
        ("in a file", |file| {
            fs::remove_dir(file.parent().unwrap()).unwrap();
            fs::write(file.parent().unwrap(), "").unwrap();
        }),
        ("in a dangling symlink", |file| {
            fs::remove_dir(file.parent().unwrap()).unwrap();
            symlink("../absent", file.parent().unwrap()).unwrap();
        }),
    ];
    for (case, prepare) in cases {
        let room = tempfile::tempdir().unwrap();
        fs::create_dir_all(log_directory(room.path())).unwrap();
        fs::write(room.path().join("victim"), "untouched").unwrap();
        prepare(&log_directory(room.path()).join(NAME));
        let output = line_of_a_process(room.path(), &[]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{case}: {stderr}");
        assert!(stderr.ends_with("Z v error plan: the sentence\n"), "{case}: {stderr:?}");
        assert_eq!(stderr.lines().count(), 1, "{case}: {stderr:?}");
        assert_eq!(fs::read_to_string(room.path().join("victim")).unwrap(), "untouched", "{case}");
        assert!(!room.path().join("absent").exists() && !room.path().join("var/absent").exists(), "{case}");
        // Nobody listens there either.
        let output = line_of_a_process(room.path(), &["sh", "-c", "exec \"$@\" 2>&-", "sh"]);
        assert!(output.status.success(), "{case} and stderr closed");
        let output = line_of_a_process(room.path(), &["sh", "-c", "exec \"$@\" 2>/dev/full", "sh"]);
        assert!(output.status.success(), "{case} and stderr full");
    }
}

#[test]
fn a_log_in_a_read_only_directory_is_stderr() {
    let mount =
        "mount -t tmpfs none \"$LOG_ROOM/var/log\" && mount -o remount,bind,ro \"$LOG_ROOM/var/log\" && exec \"$@\"";
    let user = ["unshare", "--user", "--map-root-user", "--mount", "--", "sh", "-c", mount, "sh"];
    let privileged = ["unshare", "--mount", "--", "sh", "-c", mount, "sh"];
    let room = tempfile::tempdir().unwrap();
    fs::create_dir_all(log_directory(room.path())).unwrap();
    for launcher in [&user[..], &privileged[..]] {
        let output = line_of_a_process(room.path(), launcher);
        if String::from_utf8_lossy(&output.stdout).contains("running 1 test") {
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success() && stderr.ends_with("Z v error plan: the sentence\n"), "{stderr}");
            return;
        }
    }
    let _ = std::io::Write::write_all(&mut std::io::stderr(), b"left out: a read-only log (no mount namespace here)\n");
}

#[test]
fn times_are_those_of_the_calendar() {
    let at = |seconds: u64| rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!(at(0), "1970-01-01T00:00:00Z");
    assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
    assert_eq!(at(1_709_210_096), "2024-02-29T12:34:56Z");
    assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00Z");
    assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_millis(1)), "1970-01-01T00:00:00Z");
    assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_secs(86_400)), "1970-01-01T00:00:00Z");
    // Day by day, counted as on paper, over more than the 400 years after which the calendar repeats.
    let (mut year, mut month, mut day) = (1970, 1, 1);
    for number in 0..200_000_u64 {
        assert_eq!(at(number * 86_400), format!("{year:04}-{month:02}-{day:02}T00:00:00Z"));
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = match month {
            2 => 28 + i32::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        day += 1;
        if day > length {
            (month, day) = (month + 1, 1);
        }
        if month > 12 {
            (year, month) = (year + 1, 1);
        }
    }
}

#[test]
fn what_cannot_be_seen_is_escaped_and_nothing_else() {
    for text in ["", "plain", "äöü 日本 🙂 e\u{301}", "a\\n \"quoted\" 'and' {{ }}", "\u{a0}\u{ad}"] {
        assert_eq!(escape(text), text);
    }
    assert_eq!(escape("a\nb\r\t\0\x1b[0m\x7f"), r"a\u{a}b\u{d}\u{9}\u{0}\u{1b}[0m\u{7f}");
    assert_eq!(escape("\u{80}\u{9f}\u{200b}\u{200d}\u{feff}"), r"\u{80}\u{9f}\u{200b}\u{200d}\u{feff}");
    assert_eq!(escape("\u{202e}\u{2066}\u{2069}\u{61c}\u{200f}"), r"\u{202e}\u{2066}\u{2069}\u{61c}\u{200f}");
    assert_eq!(escape("\u{2028}\u{2029}\u{e0041}"), r"\u{2028}\u{2029}\u{e0041}");
}

proptest! {
    #[test]
    fn any_sentence_is_one_line(version in ".*", step in "(?s).*", sentence in "(?s)\\PC{0,9}[\\p{C}\\p{Z}a]{0,40}.*") {
        let room = tempfile::tempdir().unwrap();
        let host = Host::new(room.path()).unwrap();
        Log::new(&host, &version).line(Level::Info, &step, &sentence);
        let text = fs::read_to_string(log_directory(room.path()).join(NAME)).unwrap();
        let line = text.strip_suffix('\n').unwrap();
        let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202e}');
        prop_assert!(!line.contains(breaks), "{line:?}");
    }
}
