//! How many connections come from where.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// Counts connections by IPv4 address or IPv6 /64, the smallest unit that one customer is given (RFC 6177).
#[derive(Debug)]
pub(super) struct PerAddress {
    limit: u32,
    counts: HashMap<Source, u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl PerAddress {
    /// At most `limit` from each source. `connections` is the most there can be in all; it has room for so many.
    pub(super) fn new(limit: u32, connections: usize) -> Self {
        Self {
            limit,
            counts: HashMap::with_capacity(connections),
        }
    }

    /// Counts one more from `peer`, unless that would be over the limit.
    pub(super) fn enter(&mut self, peer: SocketAddr) -> bool {
        let count = self.counts.entry(source(peer)).or_insert(0);
        let admitted = *count < self.limit;
        *count += u32::from(admitted);
        admitted
    }

    /// One that was counted has gone.
    pub(super) fn leave(&mut self, peer: SocketAddr) {
        let source = source(peer);
        if let Some(count) = self.counts.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&source);
            }
        }
    }
}

fn source(peer: SocketAddr) -> Source {
    match peer.ip().to_canonical() {
        IpAddr::V4(address) => Source::V4(address.octets()),
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h, ..] = address.octets();
            Source::V6([a, b, c, d, e, f, g, h])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), 1)
    }

    #[test]
    fn fault_l3_an_ipv4_mapped_address_counts_as_ipv4() {
        let mut counts = PerAddress::new(2, 16);
        assert!(counts.enter(peer("10.0.0.1")));
        assert!(counts.enter(peer("::ffff:10.0.0.1")));
        assert!(!counts.enter(peer("10.0.0.1")));
        assert!(counts.enter(peer("10.0.0.2")));
        counts.leave(peer("10.0.0.1"));
        assert!(counts.enter(peer("::ffff:10.0.0.1")));
    }

    #[test]
    fn an_ipv6_prefix_of_64_bits_is_one_source() {
        let mut counts = PerAddress::new(1, 16);
        assert!(counts.enter(peer("2001:db8::1")));
        assert!(!counts.enter(peer("2001:db8::2:1")));
        assert!(counts.enter(peer("2001:db8:0:1::1")));
    }

    #[test]
    fn an_address_without_connections_is_forgotten() {
        let mut counts = PerAddress::new(1, 16);
        assert!(counts.enter(peer("10.0.0.1")));
        counts.leave(peer("10.0.0.1"));
        assert!(counts.counts.is_empty());
    }
}
