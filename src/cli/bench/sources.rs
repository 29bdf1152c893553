//! Parser of source addresses: `ADDR,ADDR..` or `ADDR/PREFIX`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most source addresses. Each of them serves 28,000 connections to one destination, so no process needs more.
const MOST: usize = 65_536;

/// A value of `--source`: at least one address, all of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources(pub Vec<IpAddr>);

/// Parses addresses and networks, which are separated by commas. The network and the broadcast address of an IPv4
/// network are left out.
pub fn parse_sources(text: &str) -> Result<Sources, String> {
    let mut all = Vec::new();
    for part in text.split(',') {
        let expanded = expand(part).filter(|more| all.len() + more.len() <= MOST);
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

fn expand(text: &str) -> Option<Vec<IpAddr>> {
    let Some((address, prefix)) = text.split_once('/') else {
        return Some(vec![text.parse().ok()?]);
    };
    let prefix: u32 = match prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        true => prefix.parse().ok()?,
        false => return None,
    };
    match address.parse().ok()? {
        IpAddr::V4(address) => {
            let (first, last) = network(u32::BITS, prefix, u32::from(address).into())?;
            let hosts = match last - first {
                0 | 1 => first..=last,
                _ => first + 1..=last - 1,
            };
            let to_address = |bits| Ipv4Addr::from(bits as u32).into();
            Some(hosts.map(to_address).collect())
        }
        IpAddr::V6(address) => {
            let (first, last) = network(u128::BITS, prefix, address.into())?;
            let to_address = |bits| Ipv6Addr::from(bits).into();
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
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let Sources(sources) = parse_sources(text).expect(text);
        sources.iter().map(IpAddr::to_string).collect()
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
            prop_assert_eq!(parse_sources(&address.to_string()), Ok(Sources(vec![address])));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = parse_sources(&text);
        }
    }
}
