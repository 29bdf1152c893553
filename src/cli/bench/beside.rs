//! Parser of the load beside a measurement: `8x1MiB`.

use super::sweep::MOST_CONNECTIONS;
use crate::cli::values::{Expected, count_in, parse_size};

/// A value of `--beside`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BesideArg {
    /// The number of bulk connections.
    pub connections: usize,
    /// The size of their messages, in bytes.
    pub size: usize,
}

/// Parses a number of connections and the size of their messages.
pub fn parse_beside(text: &str) -> Result<BesideArg, Expected> {
    parse(text).ok_or(
        "expected NxSIZE, connections and the size of their messages, such as 8x1MiB or 1x64k (k is 1024)",
    )
}

fn parse(text: &str) -> Option<BesideArg> {
    let (connections, size) = text.split_once('x')?;
    Some(BesideArg {
        connections: count_in(1..=MOST_CONNECTIONS)(connections).ok()?,
        size: parse_size(size).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bulk_is_a_number_of_connections_and_a_size() {
        for (text, connections, size) in [
            ("8x1MiB", 8, 1 << 20),
            ("1x64k", 1, 65_536),
            ("10000000x1", 10_000_000, 1),
        ] {
            let bulk = BesideArg { connections, size };
            assert_eq!(parse_beside(text), Ok(bulk), "{text}");
        }
        for text in [
            "",
            "8",
            "x",
            "8x",
            "x1MiB",
            "0x1",
            "8x0",
            "8X1k",
            "8 x 1k",
            "-1x1",
            "8x1x1",
            "8x2g",
            "10000001x1",
            "8*1k",
            "1MiBx8",
        ] {
            let refusal = parse_beside(text).expect_err(text);
            assert!(refusal.starts_with("expected NxSIZE"), "{text}: {refusal}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".*", numbers in "[0-9x]*") {
            let _ = (parse_beside(&text), parse_beside(&numbers));
        }
    }
}
