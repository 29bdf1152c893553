//! Parser of a range of rates: `1k..1m`.

use super::values::parse_rate;

/// A value of `--find-max`: rates in messages per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateRange {
    /// The lowest rate.
    pub low: f64,
    /// The highest rate.
    pub high: f64,
}

/// Parses two rates, the lower one first.
pub fn parse_rate_range(text: &str) -> Result<RateRange, String> {
    let expected = "expected LOW..HIGH in messages per second, LOW below HIGH, such as 1k..1m";
    let (low, high) = text.split_once("..").ok_or(expected)?;
    let (low, high) = (parse_rate(low)?, parse_rate(high)?);
    match low < high {
        true => Ok(RateRange { low, high }),
        false => Err(expected.into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_of_rates_has_a_low_end_and_a_high_end() {
        for (text, low, high) in [
            ("1k..1m", 1e3, 1e6),
            ("0.5..2", 0.5, 2.0),
            ("1..1.5k", 1.0, 1_500.0),
        ] {
            assert_eq!(parse_rate_range(text), Ok(RateRange { low, high }));
        }
        for (text, why) in [
            ("", "LOW..HIGH"),
            ("1k", "LOW..HIGH"),
            ("2k..1k", "LOW below HIGH"),
            ("1k..1000", "LOW below HIGH"),
            ("1k..", "expected a number per second"),
            ("..1k", "expected a number per second"),
            ("0..1k", "expected a number per second"),
            ("1k...2k", "expected a number per second"),
        ] {
            let refusal = parse_rate_range(text).expect_err(text);
            assert!(refusal.contains(why), "{text}: {refusal}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".*", values in "[0-9.k]*") {
            let _ = (parse_rate_range(&text), parse_rate_range(&values));
        }
    }
}
