//! The address of a peer in 22 bytes.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// An address with its port and its scope. A `SocketAddr` takes 32 bytes, and a slot must stay small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PeerAddress {
    /// An IPv6 address, or an IPv4 address in the form of IPv6.
    ip: [u8; 16],
    port: u16,
    /// The scope id of an IPv6 address, or [`IPV4`](Self::IPV4). As bytes, because a number would be aligned to 4 bytes.
    scope: [u8; 4],
}

const _: () = assert!(size_of::<PeerAddress>() == 22);

impl PeerAddress {
    /// Tells an IPv4 address from the same address of an IPv6 socket, which has no scope.
    const IPV4: [u8; 4] = [0xff; 4];

    fn ipv4(self) -> Option<Ipv4Addr> {
        let mapped = Ipv6Addr::from(self.ip).to_ipv4_mapped();
        mapped.filter(|_| self.scope == Self::IPV4)
    }
}

impl From<SocketAddr> for PeerAddress {
    fn from(address: SocketAddr) -> Self {
        let (ip, scope) = match address {
            SocketAddr::V4(address) => (address.ip().to_ipv6_mapped(), Self::IPV4),
            SocketAddr::V6(address) => (*address.ip(), address.scope_id().to_ne_bytes()),
        };
        Self {
            ip: ip.octets(),
            port: address.port(),
            scope,
        }
    }
}

impl From<PeerAddress> for SocketAddr {
    fn from(peer: PeerAddress) -> Self {
        match peer.ipv4() {
            Some(ip) => (ip, peer.port).into(),
            None => {
                let scope = u32::from_ne_bytes(peer.scope);
                SocketAddrV6::new(peer.ip.into(), peer.port, 0, scope).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    fn is_kept(address: SocketAddr) -> bool {
        SocketAddr::from(PeerAddress::from(address)) == address
    }

    proptest! {
        #[test]
        fn every_address_is_kept_with_its_scope(ip: IpAddr, port: u16, scope in 0..u32::MAX) {
            prop_assert!(is_kept(SocketAddr::new(ip, port)));
            let bytes = PeerAddress::from(SocketAddr::new(ip, port)).ip;
            let ipv6 = Ipv6Addr::from(bytes);
            prop_assert!(is_kept(SocketAddrV6::new(ipv6, port, 0, scope).into()));
        }
    }
}
