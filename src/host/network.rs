//! Whether somebody answers in the network.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::Host;

/// A `ClientHello` of TLS 1.2 and 1.3 (RFC 8446, 4.1.2): the same bytes each time, because no connection comes of it. Its key share is the base
/// point of X25519, which everybody knows.
#[rustfmt::skip]
const CLIENT_HELLO: &[u8] = &[
    // record: a handshake, and the length of the rest
    0x16, 0x03, 0x01, 0x00, 0xa2,
    // ClientHello, its length, TLS 1.2
    0x01, 0x00, 0x00, 0x9e, 0x03, 0x03,
    // random
    0x70, 0x72, 0x6f, 0x76, 0x69, 0x64, 0x65, 0x72, 0x2d, 0x72, 0x6b, 0x65, 0x32, 0x20, 0x6c, 0x6f, 0x6f, 0x6b, 0x73,
    0x20, 0x77, 0x68, 0x6f, 0x20, 0x69, 0x73, 0x20, 0x74, 0x68, 0x65, 0x72, 0x65,
    // no session
    0x00,
    // cipher suites
    0x00, 0x1a, 0x13, 0x01, 0x13, 0x02, 0x13, 0x03, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30, 0xcc, 0xa9, 0xcc,
    0xa8, 0xc0, 0x13, 0xc0, 0x14, 0x00, 0x9c, 0x00, 0x2f,
    // no compression
    0x01, 0x00,
    // extensions
    0x00, 0x5b,
    // supported_groups: x25519, secp256r1, secp384r1
    0x00, 0x0a, 0x00, 0x08, 0x00, 0x06, 0x00, 0x1d, 0x00, 0x17, 0x00, 0x18,
    // ec_point_formats: uncompressed
    0x00, 0x0b, 0x00, 0x02, 0x01, 0x00,
    // signature_algorithms: ECDSA, RSA-PSS and RSA
    0x00, 0x0d, 0x00, 0x12, 0x00, 0x10, 0x04, 0x03, 0x08, 0x04, 0x04, 0x01, 0x05, 0x03, 0x08, 0x05, 0x05, 0x01, 0x08,
    0x06, 0x06, 0x01,
    // supported_versions: 1.3, 1.2
    0x00, 0x2b, 0x00, 0x05, 0x04, 0x03, 0x04, 0x03, 0x03,
    // key_share: x25519
    0x00, 0x33, 0x00, 0x26, 0x00, 0x24, 0x00, 0x1d, 0x00, 0x20, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00,
];

impl Host {
    /// Whether a TLS server other than this node answers at the first reachable address of a name: with the beginning of a `ServerHello`, within
    /// `bound`, the resolution of the name included. Who only takes the connection is a load balancer without a server. With another root than `/`
    /// nobody is asked.
    pub(crate) fn hears_tls(&self, name: &str, port: u16, bound: Duration) -> bool {
        if !self.is_real() {
            return false;
        }
        let own: Vec<IpAddr> = self.interfaces().iter().map(|it| it.address.addr()).collect();
        let (done, waiting) = mpsc::channel();
        let (name, end) = (name.to_owned(), Instant::now() + bound);
        // A name server that does not answer blocks for longer than the bound.
        let resolver = thread::Builder::new().spawn(move || {
            let all: Vec<SocketAddr> =
                (name.as_str(), port).to_socket_addrs().map(Iterator::collect).unwrap_or_default();
            let others = all.into_iter().filter(|it| !it.ip().is_loopback() && !own.contains(&it.ip()));
            // Each for itself: one that is dropped by a firewall takes all of the time.
            for address in others {
                let done = done.clone();
                let _ = thread::Builder::new().spawn(move || done.send(says_hello(address, end)));
            }
        });
        let left = || end.saturating_duration_since(Instant::now());
        resolver.is_ok() && std::iter::from_fn(|| waiting.recv_timeout(left()).ok()).any(|answers| answers)
    }
}

/// Whether the answer to a `ClientHello` begins as a `ServerHello` does.
fn says_hello(address: SocketAddr, end: Instant) -> bool {
    let left = || Some(end.saturating_duration_since(Instant::now())).filter(|it| !it.is_zero());
    let hello = || -> Option<[u8; 6]> {
        let mut stream = TcpStream::connect_timeout(&address, left()?).ok()?;
        stream.set_write_timeout(Some(left()?)).ok()?;
        stream.write_all(CLIENT_HELLO).ok()?;
        let mut answer = [0; 6];
        let mut got = 0;
        while got < answer.len() {
            stream.set_read_timeout(Some(left()?)).ok()?;
            match stream.read(answer.get_mut(got..)?).ok()? {
                0 => return None,
                count => got += count,
            }
        }
        Some(answer)
    };
    // A handshake record, in it a ServerHello.
    hello().is_some_and(|answer| matches!(answer, [0x16, 0x03, _, _, _, 0x02]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hello_has_the_lengths_that_it_tells() {
        let number = |at: usize| usize::from(CLIENT_HELLO[at]) << 8 | usize::from(CLIENT_HELLO[at + 1]);
        assert_eq!(number(3), CLIENT_HELLO.len() - 5);
        assert_eq!(number(7), CLIENT_HELLO.len() - 9);
        let ciphers = 5 + 6 + 32 + 1;
        let extensions = ciphers + 2 + number(ciphers) + 2;
        assert_eq!(number(extensions), CLIENT_HELLO.len() - extensions - 2);
        let mut at = extensions + 2;
        while at < CLIENT_HELLO.len() {
            at += 4 + number(at + 2);
        }
        assert_eq!(at, CLIENT_HELLO.len());
    }
}
