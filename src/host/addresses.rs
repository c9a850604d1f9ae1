//! The addresses of this machine's interfaces, asked of the kernel by rtnetlink(7): getifaddrs(3) does not tell how old they are.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;
use rustix::fd::OwnedFd;
use rustix::io::retry_on_intr;
use rustix::net::netdevice::index_to_name;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};
use rustix::time::{ClockId, clock_gettime};

use super::{Host, Interface};

/// The kernel answers at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// The parts of the protocol (linux `include/uapi/linux/netlink.h`, `rtnetlink.h`, `if_addr.h`).
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const REQUEST_DUMP: u16 = 0x301;
const HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_LABEL: u16 = 3;
const IFA_CACHEINFO: u16 = 6;

impl Host {
    /// Gives the addresses of this machine's interfaces, whatever the root; none if the system does not tell.
    pub fn interfaces(&self) -> Vec<Interface> {
        ask().unwrap_or_default()
    }
}

fn ask() -> rustix::io::Result<Vec<Interface>> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    let length = u32::try_from(HEADER + ADDRESS_HEADER).unwrap_or_default();
    let mut request = Vec::new();
    request.extend(length.to_ne_bytes());
    request.extend(GET_ADDRESS.to_ne_bytes());
    request.extend(REQUEST_DUMP.to_ne_bytes());
    // Sequence, sender, and an address of no family: all are asked for.
    request.extend([0; 8 + ADDRESS_HEADER]);
    retry_on_intr(|| send(&socket, &request, SendFlags::empty()))?;
    let mut found = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let (_, length) = retry_on_intr(|| recv(&socket, buffer.as_mut_slice(), RecvFlags::empty()))?;
        let Some(answer) = buffer.get(..length).filter(|answer| !answer.is_empty()) else { return Ok(found) };
        for (kind, body) in messages(answer) {
            match kind {
                NEW_ADDRESS => found.extend(Address::of(body).and_then(|it| it.interface(&socket))),
                // Of a refusal there is no more to come either.
                _ => return Ok(found),
            }
        }
    }
}

/// The messages of an answer: kind and content. What is cut off is left out.
fn messages(answer: &[u8]) -> Vec<(u16, &[u8])> {
    parts(answer, HEADER, |header| Some((usize::try_from(u32_at(header, 0)?).ok()?, u16_at(header, 4)?)))
}

/// The attributes of a message, likewise.
fn attributes(body: &[u8]) -> Vec<(u16, &[u8])> {
    parts(body, 4, |header| Some((usize::from(u16_at(header, 0)?), u16_at(header, 2)?)))
}

/// What has a header with its length and kind, one after the other, each padded to four bytes.
fn parts(mut bytes: &[u8], header: usize, read: impl Fn(&[u8]) -> Option<(usize, u16)>) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let Some((length, kind)) = read(bytes)
        && let Some(body) = bytes.get(header..length)
    {
        found.push((kind, body));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// What the kernel tells of an address.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    network: IpNet,
    /// The number of its interface.
    index: u32,
    /// The name of its interface, which may have a `:` and more after it; only of IPv4.
    label: Option<String>,
    /// When it was added, in hundredths of a second since the boot.
    added: Option<u32>,
}

impl Address {
    fn of(body: &[u8]) -> Option<Address> {
        let attributes = attributes(body.get(ADDRESS_HEADER..)?);
        let get = |kind| attributes.iter().find(|(it, _)| *it == kind).map(|(_, value)| *value);
        // Of a point-to-point link IFA_ADDRESS is the other end.
        let bytes = get(IFA_LOCAL).or_else(|| get(IFA_ADDRESS))?;
        let of_v4 = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).ok().map(|it| Ipv4Addr::from(it).into());
        let of_v6 = |bytes: &[u8]| <[u8; 16]>::try_from(bytes).ok().map(|it| Ipv6Addr::from(it).into());
        let label = get(IFA_LABEL).map(|it| String::from_utf8_lossy(it).trim_end_matches('\0').to_owned());
        Some(Address {
            network: IpNet::new(of_v4(bytes).or_else(|| of_v6(bytes))?, *body.get(1)?).ok()?,
            index: u32_at(body, 4)?,
            label,
            added: get(IFA_CACHEINFO).and_then(|it| u32_at(it, 8)),
        })
    }

    fn interface(self, socket: &OwnedFd) -> Option<Interface> {
        let name = self.label.or_else(|| index_to_name(socket, self.index).ok())?;
        let age = self.added.map(|added| age(added, clock_gettime(ClockId::Monotonic)));
        Some(Interface { name, address: self.network, age })
    }
}

/// How long ago that was. The kernel's number begins anew after 497 days.
fn age(added: u32, now: rustix::time::Timespec) -> Duration {
    let hundredths = i128::from(now.tv_sec) * 100 + i128::from(now.tv_nsec) / 10_000_000;
    let now = u32::try_from(hundredths.rem_euclid(1 << 32)).unwrap_or_default();
    // Its clock may be a tick ahead of ours.
    let passed = now.wrapping_sub(added);
    Duration::from_millis(if passed > u32::MAX - 100 { 0 } else { u64::from(passed) * 10 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: u16 = 3;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn an_address_is_read_as_the_kernel_sends_it() {
        let header = |family: u8, prefix: u8| [&[family, prefix, 0, 0][..], &7_u32.to_ne_bytes()].concat();
        let cache = [0_u32, 0, 1234, 99].map(u32::to_ne_bytes).concat();
        let v4 = [
            header(2, 24),
            attribute(IFA_ADDRESS, &[10, 0, 0, 9]),
            attribute(IFA_LOCAL, &[10, 0, 0, 1]),
            attribute(IFA_LABEL, b"eth0:1\0"),
            attribute(IFA_CACHEINFO, &cache),
        ];
        let expected = Address {
            network: "10.0.0.1/24".parse().unwrap(),
            index: 7,
            label: Some("eth0:1".into()),
            added: Some(1234),
        };
        assert_eq!(Address::of(&v4.concat()), Some(expected));
        let v6 = [header(10, 64), attribute(IFA_ADDRESS, &Ipv6Addr::LOCALHOST.octets())].concat();
        let expected = Address { network: "::1/64".parse().unwrap(), index: 7, label: None, added: None };
        assert_eq!(Address::of(&v6), Some(expected));
        for end in 0..v6.len() {
            assert_eq!(Address::of(v6.get(..end).unwrap()), None, "{end}");
        }
        for odd in [[header(2, 33), attribute(IFA_LOCAL, &[1, 2, 3, 4])].concat(), header(2, 8)] {
            assert_eq!(Address::of(&odd), None);
        }
    }

    #[test]
    fn an_answer_that_is_cut_off_or_odd_ends() {
        let message = |length: u32, kind: u16| {
            let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10]].concat();
            bytes.extend([1, 2, 3, 4]);
            bytes
        };
        let both = [message(20, NEW_ADDRESS), message(20, DONE)].concat();
        assert_eq!(messages(&both), [(NEW_ADDRESS, &[1, 2, 3, 4][..]), (DONE, &[1, 2, 3, 4])]);
        assert_eq!(messages(both.get(..39).unwrap()).len(), 1);
        for length in [0, 3, 15, 21, u32::MAX] {
            assert_eq!(messages(&message(length, DONE)), [], "{length}");
        }
    }

    #[test]
    fn the_age_counts_over_the_end_of_the_number() {
        let at = |seconds| rustix::time::Timespec { tv_sec: seconds, tv_nsec: 500_000_000 };
        assert_eq!(age(1000, at(15)), Duration::from_millis(5500));
        assert_eq!(age(u32::MAX - 49, at((1 << 32) / 100)).as_secs(), 0);
        assert_eq!(age(u32::MAX - 999, at((1 << 32) / 100 + 5)).as_secs(), 14);
        assert_eq!(age(1551, at(15)), Duration::ZERO);
    }

    #[test]
    fn this_machine_has_an_address_of_its_own() {
        let found = ask().unwrap();
        let own = found.iter().find(|it| it.name == "lo" && it.address.addr().is_loopback());
        // A container may have none at all, but none without an age.
        assert!(own.is_none_or(|it| it.age.is_some()), "{found:?}");
    }
}
