//! Addresses as text, with the scope of IPv6: `[fe80::1%eth0]:7`.
//!
//! A link-local address (`fe80::/10`) stands for another host on each link, so it means something only together with
//! the network interface of the link. RFC 4007 calls that the zone of the address, and the system calls the number of
//! the interface the scope id. The standard library reads and writes only the number. All addresses that are typed or
//! printed go through this file.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::{error, fmt};

use super::platform;

/// An address with the longest text: the name of an interface has up to 15 bytes on most systems, and 31 on Solaris.
pub(super) const LONGEST_ADDRESS: &str =
    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%1234567890123456789012345678901]:65535";

/// Displays an address with its port, and with its interface if the address has one: `[fe80::1%eth0]:7`.
///
/// The interface has its number where the system does not tell the name.
#[derive(Clone, Copy, Debug)]
pub struct ScopedAddress(pub SocketAddr);

/// Displays an address like [`ScopedAddress`], without its port: `fe80::1%eth0`.
#[derive(Clone, Copy, Debug)]
pub struct ScopedIp(pub SocketAddr);

/// The reason why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// The text does not have the form of an address.
    Malformed,
    /// The address has an interface and is not link-local. The system would ignore the interface.
    NotLinkLocal,
    /// There is no such interface.
    NoInterface,
}

/// Parses an IP address with a port, such as `127.0.0.1:7` or `[fe80::1%eth0]:7`. The interface has its name or its
/// number.
///
/// # Errors
///
/// Returns an error if the text is no address, or if there is no such interface.
pub fn parse_socket_address(text: &str) -> Result<SocketAddr, AddressError> {
    let scoped = split_scoped(text);
    let plain = scoped.map(|(ip, _, port)| format!("{ip}]:{port}"));
    let address = plain.as_deref().unwrap_or(text).parse();
    match (address, scoped) {
        (Ok(address), None) => Ok(address),
        (Ok(SocketAddr::V6(address)), Some((_, interface, _))) => {
            with_interface(address, interface)
        }
        (Ok(SocketAddr::V4(_)), Some(_)) | (Err(_), _) => Err(AddressError::Malformed),
    }
}

/// Splits `[IP%INTERFACE]:PORT` into `[IP`, `INTERFACE` and `PORT`.
fn split_scoped(text: &str) -> Option<(&str, &str, &str)> {
    let (bracketed, port) = text.rsplit_once(':')?;
    let (ip, interface) = bracketed.strip_suffix(']')?.split_once('%')?;
    Some((ip, interface, port))
}

/// Parses an IP address without a port, such as `127.0.0.1` or `fe80::1%eth0`. The port of the result is 0.
///
/// # Errors
///
/// Returns an error like [`parse_socket_address`].
pub fn parse_ip(text: &str) -> Result<SocketAddr, AddressError> {
    let Some((ip, interface)) = text.split_once('%') else {
        let ip: IpAddr = text.parse().map_err(|_| AddressError::Malformed)?;
        return Ok(SocketAddr::new(ip, 0));
    };
    let ip = ip.parse().map_err(|_| AddressError::Malformed)?;
    with_interface(SocketAddrV6::new(ip, 0, 0, 0), interface)
}

fn with_interface(mut address: SocketAddrV6, interface: &str) -> Result<SocketAddr, AddressError> {
    if !address.ip().is_unicast_link_local() {
        return Err(AddressError::NotLinkLocal);
    }
    let scope = find_interface(interface).ok_or(AddressError::NoInterface)?;
    address.set_scope_id(scope);
    Ok(address.into())
}

/// Returns the number of `interface`, a name or a number. A name of digits counts as a name if there is such an interface,
/// as in getaddrinfo(3). bind(2) or connect(2) refuses a number that no interface has.
fn find_interface(interface: &str) -> Option<u32> {
    let by_name = platform::interface_number(interface);
    by_name.or_else(|| interface.parse().ok().filter(|number| *number > 0))
}

impl fmt::Display for ScopedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SocketAddr::V6(address) if address.scope_id() != 0 => {
                let interface = interface_text(address.scope_id());
                write!(f, "[{}%{interface}]:{}", address.ip(), address.port())
            }
            SocketAddr::V4(_) | SocketAddr::V6(_) => self.0.fmt(f),
        }
    }
}

impl fmt::Display for ScopedIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SocketAddr::V6(address) if address.scope_id() != 0 => {
                let interface = interface_text(address.scope_id());
                write!(f, "{}%{interface}", address.ip())
            }
            SocketAddr::V4(_) | SocketAddr::V6(_) => self.0.ip().fmt(f),
        }
    }
}

/// Returns the name of an interface, or its number.
fn interface_text(number: u32) -> String {
    platform::interface_name(number).unwrap_or_else(|| number.to_string())
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not an IP address",
            Self::NotLinkLocal => {
                "expected an interface only after a link-local address (fe80::/10)"
            }
            Self::NoInterface => "no such interface, expected its name or number",
        })
    }
}

impl error::Error for AddressError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn fault_n2_a_scope_is_typed_and_printed_by_name_and_typed_by_number() {
        let ip = "fe80::1".parse().expect("an address");
        // The loopback interface is number 1 on every machine.
        let address = SocketAddr::V6(SocketAddrV6::new(ip, 7, 0, 1));
        assert_eq!(ScopedAddress(address).to_string(), "[fe80::1%lo]:7");
        assert_eq!(ScopedIp(address).to_string(), "fe80::1%lo");
        for text in ["[fe80::1%lo]:7", "[fe80::1%1]:7"] {
            assert_eq!(parse_socket_address(text).unwrap(), address);
        }
        let source = parse_ip("fe80::1%lo").unwrap();
        assert_eq!(source, SocketAddrV6::new(ip, 0, 0, 1).into());
    }

    #[test]
    fn a_number_stands_for_an_interface_without_a_name() {
        let ip = "fe80::1".parse().expect("an address");
        let address = SocketAddr::V6(SocketAddrV6::new(ip, 7, 0, u32::MAX));
        assert_eq!(ScopedAddress(address).to_string(), "[fe80::1%4294967295]:7");
    }

    #[cfg(unix)]
    #[test]
    fn fault_n2_an_unknown_interface_is_refused() {
        for unknown in ["nowhere", "", "0", "4294967296", "-1", "a%b"] {
            let address = format!("[fe80::1%{unknown}]:7");
            let source = format!("fe80::1%{unknown}");
            let refused = Err(AddressError::NoInterface);
            assert_eq!(parse_socket_address(&address), refused, "{unknown}");
            assert_eq!(parse_ip(&source), refused, "{unknown}");
        }
    }

    #[test]
    fn only_a_link_local_address_has_an_interface() {
        for text in ["::1%1", "2001:db8::1%lo", "::%1", "::ffff:10.0.0.1%1"] {
            let refused = Err(AddressError::NotLinkLocal);
            assert_eq!(
                parse_socket_address(&format!("[{text}]:7")),
                refused,
                "{text}"
            );
            assert_eq!(parse_ip(text), refused, "{text}");
        }
        for text in [
            "[fe80::1%1]",
            "[fe80::1]%1:7",
            "[10.0.0.1%1]:7",
            "[%1]:7",
            "[fe80::1%1]:",
            "[fe80::1%1]:65536",
        ] {
            let refused = parse_socket_address(text).unwrap_err();
            assert!(matches!(refused, AddressError::Malformed), "{text}");
        }
        for text in [
            "10.0.0.1%1",
            "%1",
            "fe80:%1",
            "[fe80::1%1]",
            "[fe80::1]%1",
            "name%1",
        ] {
            let refused = parse_ip(text).unwrap_err();
            assert!(matches!(refused, AddressError::Malformed), "{text}");
        }
    }

    #[test]
    fn the_longest_address_is_not_shorter_than_any_other() {
        let ip = std::net::Ipv6Addr::from_bits(u128::MAX);
        let address = SocketAddrV6::new(ip, u16::MAX, 0, u32::MAX);
        let text = ScopedAddress(address.into()).to_string();
        assert!(text.len() <= LONGEST_ADDRESS.len());
    }

    proptest! {
        #[test]
        fn an_address_without_a_scope_is_parsed_and_printed_as_by_the_standard_library(ip: IpAddr, port: u16) {
            let address = SocketAddr::new(ip, port);
            prop_assert_eq!(ScopedAddress(address).to_string(), address.to_string());
            prop_assert_eq!(parse_socket_address(&address.to_string()).unwrap(), address);
            prop_assert_eq!(ScopedIp(address).to_string(), ip.to_string());
            prop_assert_eq!(parse_ip(&ip.to_string()).unwrap(), SocketAddr::new(ip, 0));
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in ".*") {
            let _ = (parse_socket_address(&text), parse_ip(&text));
        }
    }
}
