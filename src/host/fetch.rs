//! Downloads, by the program of the image that can: this one has no TLS of its own.

use std::ffi::OsString;
use std::time::Duration;

use super::{Error, Host};

/// Variables that the program which downloads gets beside the search path: by what, and trusting whom. A proxy may hold a password, so it is
/// never an argument.
const VARIABLES: [&str; 11] = [
    "ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "all_proxy", "https_proxy", "http_proxy", "no_proxy",
    "CURL_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE",
];

/// How long a server may take to be reached, in seconds.
const CONNECT: &str = "30";

/// How much longer than the program's own limit it may run.
const GRACE: Duration = Duration::from_secs(5);

impl Host {
    /// Downloads a URL to a file of this path, of at most `limit` bytes where the program can tell, with curl, else with GNU wget: that of
    /// busybox does not look at certificates.
    ///
    /// Fails unless [`Host::is_real`], if there is neither, and with the last words of the program.
    pub(crate) fn fetch(&self, url: &str, path: &str, limit: u64, deadline: Duration) -> Result<(), Error> {
        let (limit, seconds) = (limit.to_string(), deadline.as_secs().to_string());
        if self.has_program("curl") || !self.has_gnu_wget() {
            // A server on this machine may send no one elsewhere without TLS; no file of settings is read.
            let redirected = if url.starts_with("https:") { "=https" } else { "=http,https" };
            let options = [
                "--disable", "--fail", "--silent", "--show-error", "--location", "--proto", "=http,https",
                "--proto-redir", redirected, "--connect-timeout", CONNECT, "--retry", "3", "--max-time", &seconds,
                "--max-filesize", &limit, "--output", path, "--url", url,
            ];
            return self.run_in("curl", &options, &variables(), deadline + GRACE).map(drop);
        }
        let options = ["--no-config", "--timeout", CONNECT, "--tries", "3", "--output-document", path, url];
        self.run_in("wget", &options, &variables(), deadline + GRACE).map(drop)
    }

    /// Where a URL leads to, without going there; empty if nowhere else. Only curl tells.
    pub(crate) fn redirect(&self, url: &str, deadline: Duration) -> Result<String, Error> {
        let seconds = deadline.as_secs().to_string();
        let options = [
            "--disable", "--fail", "--silent", "--show-error", "--head", "--proto", "=http,https", "--connect-timeout",
            CONNECT, "--retry", "3", "--max-time", &seconds, "--output", "/dev/null", "--write-out", "%{redirect_url}",
            "--url", url,
        ];
        self.run_in("curl", &options, &variables(), deadline + GRACE)
    }

    fn has_gnu_wget(&self) -> bool {
        let path = ["/usr/bin/wget", "/bin/wget"].into_iter().find_map(|path| self.real_path(path));
        path.is_some_and(|path| path.ends_with("/wget") || path.ends_with("/wget1"))
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the host")]
fn variables() -> Vec<(&'static str, OsString)> {
    VARIABLES.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))).collect()
}
