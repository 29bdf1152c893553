//! Parser of a network, `ADDR/PREFIX`, or of a single address.

use std::net::IpAddr;

use mio_echo::net::proxy::IpNet;

use super::values::Expected;

/// Parses a network. An address without a prefix is a network of its own.
pub fn parse_network(text: &str) -> Result<IpNet, Expected> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse()
        .or_else(|_| address())
        .map_err(|_| "expected a network or an address, such as 10.0.0.0/8, fd00::/8 or 127.0.0.1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_a_prefix_and_an_address_is_a_network_of_its_own() {
        for (text, expected) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("127.0.0.1", "127.0.0.1/32"),
            ("fd00::/8", "fd00::/8"),
            ("::1", "::1/128"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            let network = parse_network(text).expect(text);
            assert_eq!(network.to_string(), expected);
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "10.0.0.0/",
            "10.0.0.0/33",
            "::/129",
            "10/8",
            "localhost",
            "*",
        ] {
            parse_network(text).expect_err(text);
        }
    }
}
