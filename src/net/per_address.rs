//! The limit of connections per client address.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts connections per IPv4 address or IPv6 /64, and enforces a limit. A /64 is the smallest network that one customer
/// is given (RFC 6177). The /64 of link-local addresses exists on the link of each interface, so it counts per interface.
#[derive(Debug)]
pub(super) struct PerAddressLimit {
    limit: u32,
    counts: HashMap<Network, u32>,
}

/// The limit of all loops of a server.
#[derive(Clone, Debug)]
pub(super) struct SharedAddressLimit(Arc<Mutex<PerAddressLimit>>);

/// The most memory of the table per connection, in bytes. The table (hashbrown) has [`PLACES_PER_CONNECTION`] places for
/// each connection, keeps an eighth of them free and rounds their number up to a power of two. A place takes an entry and
/// one byte.
pub(super) const ADDRESS_BYTES: usize =
    (2 * PLACES_PER_CONNECTION * 8 * (size_of::<(Network, u32)>() + 1)).div_ceil(7);

/// Removed networks use up places too. A table that is less than half full reclaims these places without growing. A
/// fuller table would allocate while the server runs.
const PLACES_PER_CONNECTION: usize = 2;

/// The part of an address that identifies a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Network {
    V4([u8; 4]),
    V6([u8; 8]),
    /// The link of the interface with this scope id.
    Link(u32),
}

impl PerAddressLimit {
    /// Allows `limit` connections of each network. The table never grows with up to `connections` connections in all.
    pub(super) fn new(limit: u32, connections: usize) -> Self {
        Self {
            limit,
            counts: HashMap::with_capacity(PLACES_PER_CONNECTION.saturating_mul(connections)),
        }
    }

    /// Counts a connection from `peer`. Returns false, and counts nothing, if the limit is reached.
    pub(super) fn try_add(&mut self, peer: SocketAddr) -> bool {
        let count = self.counts.entry(network(peer)).or_insert(0);
        let is_admitted = *count < self.limit;
        *count += u32::from(is_admitted);
        is_admitted
    }

    /// Removes a counted connection from `peer`.
    pub(super) fn remove(&mut self, peer: SocketAddr) {
        let network = network(peer);
        if let Some(count) = self.counts.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&network);
            }
        }
    }
}

impl SharedAddressLimit {
    /// Shares `limit`.
    pub(super) fn new(limit: PerAddressLimit) -> Self {
        Self(Arc::new(Mutex::new(limit)))
    }

    /// Counts a connection as [`PerAddressLimit::try_add`].
    pub(super) fn try_add(&self, peer: SocketAddr) -> bool {
        self.lock().try_add(peer)
    }

    /// Removes a counted connection from `peer`.
    pub(super) fn remove(&self, peer: SocketAddr) {
        self.lock().remove(peer);
    }

    fn lock(&self) -> MutexGuard<'_, PerAddressLimit> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn network(peer: SocketAddr) -> Network {
    if let SocketAddr::V6(peer) = peer
        && peer.ip().is_unicast_link_local()
    {
        return Network::Link(peer.scope_id());
    }
    match peer.ip().to_canonical() {
        IpAddr::V4(address) => Network::V4(address.octets()),
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h, ..] = address.octets();
            Network::V6([a, b, c, d, e, f, g, h])
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV6;

    use super::*;

    fn peer(ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), 1)
    }

    #[test]
    fn fault_l3_an_ipv4_mapped_address_counts_as_its_ipv4_address() {
        let mut limit = PerAddressLimit::new(2, 16);
        assert!(limit.try_add(peer("10.0.0.1")));
        assert!(limit.try_add(peer("::ffff:10.0.0.1")));
        assert!(!limit.try_add(peer("10.0.0.1")));
        assert!(limit.try_add(peer("10.0.0.2")));
        limit.remove(peer("10.0.0.1"));
        assert!(limit.try_add(peer("::ffff:10.0.0.1")));
    }

    #[test]
    fn the_addresses_of_an_ipv6_64_count_together() {
        let mut limit = PerAddressLimit::new(1, 16);
        assert!(limit.try_add(peer("2001:db8::1")));
        assert!(!limit.try_add(peer("2001:db8::2:1")));
        assert!(limit.try_add(peer("2001:db8:0:1::1")));
    }

    #[test]
    fn fault_n2_link_local_addresses_count_per_interface() {
        let peer = |ip: &str, scope| {
            let ip = ip.parse().unwrap();
            SocketAddrV6::new(ip, 1, 0, scope).into()
        };
        let mut limit = PerAddressLimit::new(1, 16);
        assert!(limit.try_add(peer("fe80::1", 2)));
        assert!(!limit.try_add(peer("fe80::2", 2)));
        assert!(limit.try_add(peer("fe80::1", 3)));
        limit.remove(peer("fe80::1", 2));
        assert!(!limit.try_add(peer("fe80::1", 3)));
        assert!(limit.try_add(peer("fe80::2", 2)));
    }

    #[test]
    fn fault_w6_the_table_does_not_grow_however_many_networks_come_and_go() {
        // The most connections that a table of this size takes.
        const CONNECTIONS: u32 = 1792;
        let peer = |number: u32| SocketAddr::new(IpAddr::V4(number.into()), 1);
        let mut limit = PerAddressLimit::new(1, CONNECTIONS as usize);
        let reserved = limit.counts.capacity();
        assert!(reserved * 8 / 7 * 17 <= CONNECTIONS as usize * ADDRESS_BYTES);
        for number in 0..100_000_u32 {
            if let Some(oldest) = number.checked_sub(CONNECTIONS) {
                limit.remove(peer(oldest));
            }
            assert!(limit.try_add(peer(number)));
            let places = limit.counts.capacity();
            assert!(places <= reserved, "{places} places, {reserved} reserved");
        }
    }

    #[test]
    fn an_address_without_connections_takes_no_entry() {
        let mut limit = PerAddressLimit::new(1, 16);
        assert!(limit.try_add(peer("10.0.0.1")));
        limit.remove(peer("10.0.0.1"));
        assert!(limit.counts.is_empty());
    }
}
