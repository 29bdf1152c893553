//! Parsers of addresses: `[FRAMING@]ADDR:PORT` to listen on, `HOST:PORT` to connect to, and the name of a framing.

use mio_echo::conn::Framing;
use mio_echo::net::{AddressError, Listen, parse_socket_address};

const FORM: &str =
    "expected [FRAMING@]ADDR:PORT, ADDR an IP literal, [IPv6] or *, PORT from 0 to 65535";

/// A value of `--listen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenArg {
    /// The prefix. Without one, `--framing` decides.
    pub framing: Option<Framing>,
    /// The address and the port.
    pub at: Listen,
}

/// Parses `[FRAMING@]ADDR:PORT`, `:PORT` or `PORT`.
pub fn parse_listener(text: &str) -> Result<ListenArg, String> {
    refuse_reserved(text)?;
    let (framing, address) = match text.split_once('@') {
        Some((name, address)) => (Some(parse_framing(name)?), address),
        None => (None, text),
    };
    let at = parse_listen(address)?;
    Ok(ListenArg { framing, at })
}

/// Parses `ADDR:PORT`, `:PORT` or `PORT`, without a framing.
#[cfg(feature = "metrics")]
pub fn parse_metrics_address(text: &str) -> Result<Listen, String> {
    const PREFIX: &str = "[FRAMING@]";
    if text.contains('@') {
        return Err(FORM.replace(PREFIX, ""));
    }
    let parsed = parse_listener(text).map_err(|refused| refused.replace(PREFIX, ""))?;
    Ok(parsed.at)
}

/// Parses `HOST:PORT`: a name, an IP literal or `[IPv6]`, and a port from 1 to 65535.
#[cfg(any(feature = "client", feature = "bench"))]
pub fn parse_target(text: &str) -> Result<String, String> {
    const FORM: &str =
        "expected HOST:PORT, HOST a name, an IP literal or [IPv6], with a port from 1 to 65535";
    let (host, port) = text.rsplit_once(':').ok_or(FORM)?;
    let is_bracketed = host.starts_with('[') && host.ends_with(']') && host.len() > 2;
    let is_forbidden =
        |c: char| c.is_whitespace() || c.is_control() || ['/', '@', ','].contains(&c);
    if host.is_empty() || host.contains(is_forbidden) {
        return Err(FORM.into());
    }
    if host.contains([':', '[', ']']) && !is_bracketed {
        return Err(format!("IPv6 goes in brackets, as in [::1]:7007; {FORM}"));
    }
    // Another use of `%` is left to the lookup of the name.
    if is_bracketed
        && host.contains('%')
        && let Err(refused) = parse_socket_address(text)
    {
        return Err(match refused {
            AddressError::Malformed => FORM.into(),
            refused @ (AddressError::NotLinkLocal | AddressError::NoInterface) => {
                refused.to_string()
            }
        });
    }
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(1..) if is_number => Ok(text.to_owned()),
        _ => Err(FORM.into()),
    }
}

/// Parses the name of a framing.
pub fn parse_framing(text: &str) -> Result<Framing, String> {
    let found = Framing::ALL.into_iter().find(|(name, _)| *name == text);
    found.map(|(_, framing)| framing).ok_or_else(|| {
        let names = Framing::ALL.map(|(name, _)| name).join(", ");
        format!("expected the framing {names}")
    })
}

fn refuse_reserved(text: &str) -> Result<(), String> {
    if text.starts_with("unix:") {
        return Err(format!("unix: is reserved; {FORM}"));
    }
    let mut reserved = ["://", ","].into_iter();
    match reserved.find(|reserved| text.contains(reserved)) {
        Some(reserved) => Err(format!("'{reserved}' is reserved; {FORM}")),
        None => Ok(()),
    }
}

fn parse_listen(text: &str) -> Result<Listen, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let port = parse_port(port)?;
    match host {
        "" | "*" => Ok(Listen::Wildcard(port)),
        _ => parse_socket_address(text)
            .map(Listen::At)
            .map_err(|error| match error {
                AddressError::Malformed => explain_refused_host(host),
                refused @ (AddressError::NotLinkLocal | AddressError::NoInterface) => {
                    refused.to_string()
                }
            }),
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FORM.into());
    }
    text.parse().map_err(|_| format!("no such port; {FORM}"))
}

fn explain_refused_host(host: &str) -> String {
    let is_bracketed = host.starts_with('[');
    match host {
        "localhost" => format!("for localhost write 127.0.0.1; {FORM}"),
        _ if host.contains(':') && !is_bracketed => {
            format!("IPv6 goes in brackets, as in [::1]:7007; {FORM}")
        }
        _ => format!("not an IP literal; {FORM}"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

    use proptest::prelude::*;

    use super::*;

    fn at(address: impl Into<SocketAddr>) -> Listen {
        Listen::At(address.into())
    }

    #[test]
    fn an_address_is_an_ip_literal_or_a_wildcard() {
        for (text, expected) in [
            ("127.0.0.1:7007", at((Ipv4Addr::LOCALHOST, 7007))),
            ("0.0.0.0:0", at((Ipv4Addr::UNSPECIFIED, 0))),
            ("[::1]:65535", at((Ipv6Addr::LOCALHOST, 65535))),
            ("[::]:7007", at((Ipv6Addr::UNSPECIFIED, 7007))),
            ("*:7007", Listen::Wildcard(7007)),
            (":7007", Listen::Wildcard(7007)),
            ("7007", Listen::Wildcard(7007)),
            ("0", Listen::Wildcard(0)),
        ] {
            let plain = ListenArg {
                framing: None,
                at: expected,
            };
            assert_eq!(parse_listener(text), Ok(plain), "{text}");

            let prefixed = ListenArg {
                framing: Some(Framing::Raw),
                at: expected,
            };
            assert_eq!(
                parse_listener(&format!("raw@{text}")),
                Ok(prefixed),
                "raw@{text}"
            );
        }
    }

    #[test]
    fn a_refusal_of_an_address_says_why() {
        for (text, why) in [
            ("", "expected [FRAMING@]ADDR:PORT"),
            (":", "expected [FRAMING@]ADDR:PORT"),
            ("*", "expected [FRAMING@]ADDR:PORT"),
            ("*:", "expected [FRAMING@]ADDR:PORT"),
            ("127.0.0.1", "expected [FRAMING@]ADDR:PORT"),
            ("[::1]", "expected [FRAMING@]ADDR:PORT"),
            ("127.0.0.1:http", "expected [FRAMING@]ADDR:PORT"),
            ("127.0.0.1:-1", "expected [FRAMING@]ADDR:PORT"),
            ("127.0.0.1:+80", "expected [FRAMING@]ADDR:PORT"),
            ("127.0.0.1:80 ", "expected [FRAMING@]ADDR:PORT"),
            ("127.0.0.1:70000", "no such port"),
            ("[::1]:70000", "no such port"),
            ("70000", "no such port"),
            ("localhost:7007", "for localhost write 127.0.0.1"),
            ("example.com:7007", "not an IP literal"),
            ("300.0.0.1:7007", "not an IP literal"),
            ("127.1:7007", "not an IP literal"),
            ("[127.0.0.1]:7007", "not an IP literal"),
            ("[*]:7007", "not an IP literal"),
            (" 127.0.0.1:7007", "not an IP literal"),
            (
                "[::1%1]:7007",
                "expected an interface only after a link-local",
            ),
            ("[fe80::1%nowhere]:7007", "no such interface, expected"),
            ("len8@[fe80::1%]:7007", "no such interface, expected"),
            ("[fe80::1%1]:70000", "no such port"),
            ("[127.0.0.1%1]:7007", "not an IP literal"),
            ("fe80::1%1:7007", "IPv6 goes in brackets"),
            ("::1:7007", "IPv6 goes in brackets"),
            (":::7007", "IPv6 goes in brackets"),
            ("unix:/tmp/echo", "unix: is reserved"),
            ("tcp://127.0.0.1:7007", "'://' is reserved"),
            ("7007,7008", "',' is reserved"),
            ("127.0.0.1:7007,", "',' is reserved"),
            (
                "lines@7007",
                "expected the framing raw, nul, line, crlf, len8, len16, len16le",
            ),
            ("@7007", "expected the framing raw, nul"),
            ("raw@raw@7007", "expected [FRAMING@]ADDR:PORT"),
        ] {
            let refusal = parse_listener(text).expect_err(text);
            assert!(refusal.starts_with(why), "{text}: {refusal}");
        }
    }

    #[test]
    fn seed_s1_1_a_port_of_70000_is_refused() {
        assert!(
            parse_listener("127.0.0.1:70000")
                .unwrap_err()
                .contains("PORT from 0 to 65535")
        );
    }

    #[test]
    fn a_framing_is_parsed_as_it_is_printed() {
        for (name, value) in Framing::ALL {
            assert_eq!(parse_framing(name), Ok(value));
            assert_eq!(value.to_string(), name);
        }
        for text in ["", "Raw", "lines"] {
            assert_eq!(
                parse_framing(text),
                Err("expected the framing raw, nul, line, crlf, len8, len16, len16le".into()),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn seed_s2_7_every_socket_address_is_parsed_as_it_is_printed(ip: IpAddr, port: u16) {
            let address = SocketAddr::from((ip, port));
            prop_assert_eq!(parse_listener(&address.to_string()).map(|listener| listener.at), Ok(Listen::At(address)));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = parse_listener(&text);
        }
    }
}
