//! Where to listen, as it is typed: `[FRAMING@]ADDR:PORT`.

use mio_echo::conn::Framing;
use mio_echo::net::Listen;

const FORM: &str =
    "expected [FRAMING@]ADDR:PORT, ADDR an IP literal, [IPv6] or *, PORT from 0 to 65535";

/// One value of `--listen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The prefix; None leaves the choice to `--framing`.
    pub framing: Option<Framing>,
    /// The address and port.
    pub at: Listen,
}

/// `[FRAMING@]ADDR:PORT`, `:PORT` or `PORT`.
pub fn listener(text: &str) -> Result<Listener, String> {
    refuse_reserved(text)?;
    let (name, address) = match text.split_once('@') {
        Some((name, address)) => (Some(name), address),
        None => (None, text),
    };
    Ok(Listener {
        framing: name.map(framing).transpose()?,
        at: listen(address)?,
    })
}

/// `HOST:PORT`: a name, an IP literal or `[IPv6]`, and a port to connect to.
#[cfg(any(feature = "client", feature = "bench"))]
pub fn target(text: &str) -> Result<String, String> {
    const FORM: &str =
        "expected HOST:PORT, HOST a name, an IP literal or [IPv6], with a port from 1 to 65535";
    let (host, port) = text.rsplit_once(':').ok_or(FORM)?;
    let is_bracketed = host.starts_with('[') && host.ends_with(']') && host.len() > 2;
    let is_foreign = |c: char| c.is_whitespace() || c.is_control() || ['/', '@', ','].contains(&c);
    if host.is_empty() || host.contains(is_foreign) {
        return Err(FORM.into());
    }
    if host.contains([':', '[', ']']) && !is_bracketed {
        return Err(format!("IPv6 goes in brackets, as in [::1]:7007; {FORM}"));
    }
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(1..) if is_number => Ok(text.to_owned()),
        _ => Err(FORM.into()),
    }
}

/// The name of a framing.
pub fn framing(text: &str) -> Result<Framing, String> {
    match Framing::ALL.iter().find(|(name, _)| *name == text) {
        Some((_, framing)) => Ok(*framing),
        None => Err(format!(
            "expected the framing {}",
            Framing::ALL.map(|(name, _)| name).join(", ")
        )),
    }
}

fn refuse_reserved(text: &str) -> Result<(), String> {
    if text.starts_with("unix:") {
        return Err(format!("unix: is reserved; {FORM}"));
    }
    match ["://", ","]
        .iter()
        .find(|reserved| text.contains(**reserved))
    {
        Some(reserved) => Err(format!("'{reserved}' is reserved; {FORM}")),
        None => Ok(()),
    }
}

fn listen(text: &str) -> Result<Listen, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let port = port_number(port)?;
    match host {
        "" | "*" => Ok(Listen::Wildcard(port)),
        _ => text.parse().map(Listen::At).map_err(|_| explain(host)),
    }
}

fn port_number(text: &str) -> Result<u16, String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FORM.into());
    }
    text.parse().map_err(|_| format!("no such port; {FORM}"))
}

fn explain(host: &str) -> String {
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
    fn an_address_is_an_ip_literal_or_everywhere() {
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
            let plain = Listener {
                framing: None,
                at: expected,
            };
            assert_eq!(listener(text), Ok(plain), "{text}");

            let prefixed = Listener {
                framing: Some(Framing::Raw),
                at: expected,
            };
            assert_eq!(listener(&format!("raw@{text}")), Ok(prefixed), "raw@{text}");
        }
    }

    #[test]
    fn a_refused_address_says_why() {
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
            let refusal = listener(text).expect_err(text);
            assert!(refusal.starts_with(why), "{text}: {refusal}");
        }
    }

    #[test]
    fn seed_s1_1_a_port_of_70000_is_refused() {
        assert!(
            listener("127.0.0.1:70000")
                .unwrap_err()
                .contains("PORT from 0 to 65535")
        );
    }

    #[test]
    fn a_framing_is_called_what_it_is_printed_as() {
        for (name, value) in Framing::ALL {
            assert_eq!(framing(name), Ok(value));
            assert_eq!(value.to_string(), name);
        }
        for text in ["", "Raw", "lines"] {
            assert_eq!(
                framing(text),
                Err("expected the framing raw, nul, line, crlf, len8, len16, len16le".into()),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn seed_s2_7_every_socket_address_is_accepted_as_it_is_printed(ip: IpAddr, port: u16) {
            let address = SocketAddr::from((ip, port));
            prop_assert_eq!(listener(&address.to_string()).map(|listener| listener.at), Ok(Listen::At(address)));
        }

        #[test]
        fn no_text_upsets_the_parser(text in ".*") {
            let _ = listener(&text);
        }
    }
}
