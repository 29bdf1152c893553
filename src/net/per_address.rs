//! How many connections come from where.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// Counts connections by IPv4 address or IPv6 /64, the smallest unit that one customer is given (RFC 6177).
#[derive(Debug)]
pub(super) struct PerAddress {
    limit: u32,
    counts: HashMap<Source, u32>,
}

/// What a connection costs here at most, in bytes. The table has [`ROOM`] places a connection, of which it keeps an eighth
/// free, in a number that is a power of two; each takes an entry and a byte of the table's own (hashbrown).
pub(super) const SOURCE_BYTES: usize =
    (2 * ROOM * 8 * (size_of::<(Source, u32)>() + 1)).div_ceil(7);

/// Places are used up by sources that have gone, too. A table that is less than half full clears them up where it is; a
/// fuller one would grow for want of places, while it serves.
const ROOM: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl PerAddress {
    /// At most `limit` from each source. `connections` is the most there can be in all: for so many it never allocates
    /// again.
    pub(super) fn new(limit: u32, connections: usize) -> Self {
        Self {
            limit,
            counts: HashMap::with_capacity(ROOM.saturating_mul(connections)),
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
    fn fault_w6_however_many_sources_come_and_go_the_table_stays_as_large_as_it_was_reserved() {
        // The most that a table of this size takes.
        const CONNECTIONS: u32 = 1792;
        let peer = |number: u32| SocketAddr::new(IpAddr::V4(number.into()), 1);
        let mut counts = PerAddress::new(1, CONNECTIONS as usize);
        let reserved = counts.counts.capacity();
        assert!(reserved * 8 / 7 * 17 <= CONNECTIONS as usize * SOURCE_BYTES);
        for number in 0..100_000_u32 {
            if let Some(oldest) = number.checked_sub(CONNECTIONS) {
                counts.leave(peer(oldest));
            }
            assert!(counts.enter(peer(number)));
            let places = counts.counts.capacity();
            assert!(places <= reserved, "{places} places, {reserved} reserved");
        }
    }

    #[test]
    fn an_address_without_connections_is_forgotten() {
        let mut counts = PerAddress::new(1, 16);
        assert!(counts.enter(peer("10.0.0.1")));
        counts.leave(peer("10.0.0.1"));
        assert!(counts.counts.is_empty());
    }
}
