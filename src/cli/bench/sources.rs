//! Parser of source addresses: `ADDR,ADDR..` or `ADDR/PREFIX`. A link-local address is followed by its interface, as in
//! `fe80::2%eth0` and `fe80::2%eth0/126` (RFC 4007).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use mio_echo::net::{AddressError, parse_ip};

/// Most source addresses. Each of them serves 28,000 connections to one destination, so no process needs more.
const MOST: usize = 65_536;

/// A value of `--source`: at least one address with port 0, all of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources(pub Vec<SocketAddr>);

/// Parses addresses and networks, which are separated by commas. The network and the broadcast address of an IPv4
/// network are left out.
pub fn parse_sources(text: &str) -> Result<Sources, String> {
    let mut all = Vec::new();
    for part in text.split(',') {
        let expanded = expand(part)?.filter(|more| all.len() + more.len() <= MOST);
        all.extend(expanded.ok_or_else(expected)?);
    }
    match all
        .iter()
        .all(|source| source.is_ipv4() == all[0].is_ipv4())
    {
        true => Ok(Sources(all)),
        false => Err(expected()),
    }
}

fn expected() -> String {
    format!(
        "expected addresses of one family, ADDR,ADDR.. or ADDR/PREFIX, at most {MOST} in all, such as 10.0.0.0/24"
    )
}

/// Returns the addresses that `text` stands for, or `None` if the text has another form or stands for too many.
///
/// # Errors
///
/// When the interface of an address is refused.
fn expand(text: &str) -> Result<Option<Vec<SocketAddr>>, String> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    match (parse_ip(address), prefix) {
        (Ok(address), None) => Ok(Some(vec![address])),
        (Ok(address), Some(prefix)) => Ok(expand_network(address, prefix)),
        (Err(AddressError::Malformed), _) => Ok(None),
        (Err(refused @ (AddressError::NotLinkLocal | AddressError::NoInterface)), _) => {
            Err(refused.to_string())
        }
    }
}

fn expand_network(address: SocketAddr, prefix: &str) -> Option<Vec<SocketAddr>> {
    let prefix: u32 = match prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        true => prefix.parse().ok()?,
        false => return None,
    };
    match address {
        SocketAddr::V4(address) => {
            let (first, last) = network(u32::BITS, prefix, u32::from(*address.ip()).into())?;
            let hosts = match last - first {
                0 | 1 => first..=last,
                _ => first + 1..=last - 1,
            };
            let to_address = |bits| (Ipv4Addr::from(bits as u32), 0).into();
            Some(hosts.map(to_address).collect())
        }
        SocketAddr::V6(address) => {
            let (first, last) = network(u128::BITS, prefix, (*address.ip()).into())?;
            let scope = address.scope_id();
            let to_address = |bits| SocketAddrV6::new(Ipv6Addr::from(bits), 0, 0, scope).into();
            Some((first..=last).map(to_address).collect())
        }
    }
}

/// Returns the first and the last address, as numbers of `width` bits, that share the first `prefix` bits with
/// `address`.
fn network(width: u32, prefix: u32, address: u128) -> Option<(u128, u128)> {
    let host_bits = width.checked_sub(prefix)?;
    let size = 1_u128
        .checked_shl(host_bits)
        .filter(|size| *size <= MOST as u128)?;
    let first = address & !(size - 1);
    Some((first, first + (size - 1)))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use mio_echo::net::ScopedIp;
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let Sources(sources) = parse_sources(text).expect(text);
        let text = |source| ScopedIp(source).to_string();
        sources.into_iter().map(text).collect()
    }

    #[test]
    fn addresses_and_networks_are_expanded_in_order() {
        for (text, expected) in [
            ("127.0.0.2", &["127.0.0.2"][..]),
            ("127.0.0.3,127.0.0.2", &["127.0.0.3", "127.0.0.2"]),
            ("10.0.0.5/30", &["10.0.0.5", "10.0.0.6"]),
            ("10.0.0.5/31", &["10.0.0.4", "10.0.0.5"]),
            ("10.0.0.5/32,10.0.1.1", &["10.0.0.5", "10.0.1.1"]),
            ("fd00::6/127", &["fd00::6", "fd00::7"]),
            ("::1/128", &["::1"]),
        ] {
            assert_eq!(texts(text), expected, "{text}");
        }
        assert_eq!(texts("10.1.0.0/16").len(), 65_534);
        assert_eq!(texts("fd00::/112").len(), 65_536);
    }

    #[test]
    fn other_text_and_too_many_addresses_are_refused() {
        for text in [
            "",
            ",",
            "127.0.0.1,",
            "localhost",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/15",
            "0.0.0.0/0",
            "::/0",
            "::/111",
            "::/129",
            "10.0.0.1,::1",
            "10.1.0.0/16,10.2.0.0/24",
            "1/8",
        ] {
            let refusal = parse_sources(text).expect_err(text);
            assert!(
                refusal.starts_with("expected addresses of one family"),
                "{text}: {refusal}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_address_is_a_source(address: IpAddr) {
            prop_assert_eq!(parse_sources(&address.to_string()), Ok(Sources(vec![SocketAddr::new(address, 0)])));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = parse_sources(&text);
        }
    }
}
