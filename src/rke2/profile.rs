//! Settings of the kernel as sysctl.d(5) writes them.

/// What RKE2's profile `cis` demands of the kernel, on servers and agents (rke2 `pkg/cli/cmds/profile_linux.go`).
pub(crate) const CIS: [(&str, &str); 4] =
    [("vm.overcommit_memory", "1"), ("vm.panic_on_oom", "0"), ("kernel.panic", "10"), ("kernel.panic_on_oops", "1")];

/// Where RKE2 ships the same: by its archive with the default prefix, by package, by its archive where /usr/local is read-only.
pub(crate) const SHIPPED: [&str; 3] = [
    "/usr/local/share/rke2/rke2-cis-sysctl.conf",
    "/usr/share/rke2/rke2-cis-sysctl.conf",
    "/opt/rke2/share/rke2/rke2-cis-sysctl.conf",
];

/// What many pods that watch files need: each is the least that is set.
pub(crate) const INOTIFY: [(&str, u64); 2] =
    [("fs.inotify.max_user_instances", 8192), ("fs.inotify.max_user_watches", 524_288)];

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Its name, as it is written.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Written with a `-` before the name: a failure to set it does not matter.
    pub optional: bool,
}

impl Setting {
    /// One that matters.
    pub(crate) fn new(name: &str, value: &str) -> Setting {
        Setting { name: name.to_owned(), value: value.to_owned(), optional: false }
    }

    /// The file of the kernel. A name that begins with a part before `/` has it as it is; else `.` and `/` stand for each other.
    pub(crate) fn path(&self) -> String {
        let swapped = |c: char| match c {
            '.' => '/',
            '/' => '.',
            c => c,
        };
        let is_path =
            self.name.find(['.', '/']).is_some_and(|at| self.name.get(at..).is_some_and(|it| it.starts_with('/')));
        let path = if is_path { self.name.clone() } else { self.name.chars().map(swapped).collect() };
        format!("/proc/sys/{path}")
    }

    /// Whether the kernel's text is this value; it writes tabs between numbers.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.value.split_whitespace().eq(text.split_whitespace())
    }
}

/// Reads the text of a file. Lines that set nothing, or set a pattern of names, are passed over.
pub(crate) fn read(text: &str) -> Vec<Setting> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let settings = lines.filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        let (name, optional) = match name.trim().strip_prefix('-') {
            Some(name) => (name.trim(), true),
            None => (name.trim(), false),
        };
        let is_name = !name.is_empty()
            && name.split(['.', '/']).all(|part| !part.is_empty())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/'));
        is_name.then(|| Setting { name: name.to_owned(), value: value.trim().to_owned(), optional })
    });
    settings.filter(|setting| !setting.value.is_empty() && !setting.value.chars().any(char::is_control)).collect()
}

/// The lines of settings for a file.
pub(crate) fn text(settings: &[Setting]) -> String {
    let line = |it: &Setting| format!("{}{}={}\n", if it.optional { "-" } else { "" }, it.name, it.value);
    settings.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_sysctl_d_has_it() {
        let text = "# comment\n; another\n\n vm.panic_on_oom = 0 \nkernel/panic=10\n-net.ipv4.ip_forward=1\nno value\nvm.x=\n\
                    net.ipv4.conf.*.rp_filter=1\n..=1\n.a=1\na..b=1\nkernel.core_pattern=|/bin/x %p=%e\n=1\n-=1\nnet.ipv4.tcp_rmem=4096 1 2\n";
        let read: Vec<_> = read(text).into_iter().map(|it| (it.name, it.value, it.optional)).collect();
        let expected = [
            ("vm.panic_on_oom", "0", false),
            ("kernel/panic", "10", false),
            ("net.ipv4.ip_forward", "1", true),
            ("kernel.core_pattern", "|/bin/x %p=%e", false),
            ("net.ipv4.tcp_rmem", "4096 1 2", false),
        ];
        assert_eq!(read, expected.map(|(name, value, optional)| (name.to_owned(), value.to_owned(), optional)));
    }

    #[test]
    fn a_name_leads_to_its_file() {
        for (name, path) in [
            ("kernel.panic", "/proc/sys/kernel/panic"),
            ("kernel/panic", "/proc/sys/kernel/panic"),
            ("net.ipv4.conf.eth0/100.forwarding", "/proc/sys/net/ipv4/conf/eth0.100/forwarding"),
            ("net/ipv4/conf/eth0.100/forwarding", "/proc/sys/net/ipv4/conf/eth0.100/forwarding"),
        ] {
            assert_eq!(Setting::new(name, "1").path(), path);
        }
        assert!(Setting::new("x", "4096 1 2").is("4096\t1\t2\n") && !Setting::new("x", "1").is("11\n"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let settings = [Setting::new("a.b", "1"), Setting { optional: true, ..Setting::new("c/d", "x y") }];
        assert_eq!(read(&text(&settings)), settings);
        assert_eq!(read(&text(&CIS.map(|(name, value)| Setting::new(name, value)))).len(), CIS.len());
    }
}
