//! Parsers of single options of `bench`. An error says what is allowed, on one line.

use std::ops::RangeInclusive;
use std::time::Duration;

use mio_echo::conn::Framing;
use mio_echo::load::{Arrival, Close, SizeRange, Sizes};

use crate::cli::address;
use crate::cli::values::{
    Expected, Words, count_in, decimal_prefix, parse_duration, parse_size, split_unit,
};

/// Most unanswered messages on a connection.
pub const DEEPEST_PIPELINE: usize = 1024;

/// A larger number is a typing error.
const MOST_THREADS: usize = 1024;

/// The greatest weight of a size. The sum of all weights must not overflow.
const GREATEST_WEIGHT: u64 = 1_000_000;

/// Messages or connections a second: from one in a quarter of an hour to more than a machine can make.
const RATES: RangeInclusive<f64> = 0.001..=100_000_000.0;

/// Printing figures more often would take CPU time from the measurement.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// How the messages of an open loop are spaced.
pub const ARRIVAL: Words<Arrival> = &[
    ("constant", Arrival::Constant),
    ("poisson", Arrival::Poisson),
];

/// How connections are closed.
pub const CLOSE: Words<Close> = &[("fin", Close::Fin), ("rst", Close::Rst)];

/// Parses `HOST:PORT`.
pub fn parse_target(text: &str) -> Result<String, String> {
    address::parse_target(text).map_err(|expected| match text.contains(':') {
        true if text.contains('%') => expected,
        true => format!("{expected}: write HOST:PORT"),
        false => "no port given: write HOST:PORT; -p is pipelining".into(),
    })
}

/// Parses a number of threads. A duration is answered with the option for durations.
pub fn parse_threads(text: &str) -> Result<usize, String> {
    count_in(1..=MOST_THREADS)(text).map_err(|expected| match parse_duration(text) {
        Ok(_) if text.parse::<f64>().is_err() => format!("{expected}; -d {text} is the duration"),
        _ => expected,
    })
}

/// Parses the most unanswered messages on a connection. A port is answered with where a port goes.
pub fn parse_pipeline(text: &str) -> Result<usize, String> {
    count_in(1..=DEEPEST_PIPELINE)(text)
        .map_err(|expected| format!("{expected}; -p is pipelining, a port goes into HOST:PORT"))
}

/// Parses a duration. A size is answered with the option for buffer sizes.
pub fn parse_warmup(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|expected| match parse_size(text) {
        Ok(_) => format!("{expected}; -w is the warm-up; see --socket-buffer"),
        Err(_) => expected.into(),
    })
}

/// Parses a duration above 0.
pub fn parse_positive_duration(text: &str) -> Result<Duration, Expected> {
    parse_duration(text)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or("expected a duration above 0, up to 1000000h, such as 500ms, .5 or 2m (units ns, us, ms, s, m, h)")
}

/// Parses the duration between two lines of figures.
pub fn parse_interval(text: &str) -> Result<Duration, Expected> {
    parse_duration(text)
        .ok()
        .filter(|interval| *interval >= SHORTEST_INTERVAL)
        .ok_or("expected a duration from 100ms to 1000000h, such as 500ms, .5 or 2m (units ns, us, ms, s, m, h)")
}

/// Parses a decimal number per second; `k` is 1,000 and `m` is 1,000,000.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    parse_decimal(text)
        .filter(|rate| RATES.contains(rate))
        .ok_or_else(|| {
            let (least, most) = (RATES.start(), RATES.end());
            format!(
                "expected a number per second from {least} to {most}, such as 50k or 0.5 (k is 1000)"
            )
        })
}

/// Parses the name of a framing in which every message has an echo. With nul, a message without NUL has none.
pub fn parse_framing(text: &str) -> Result<Framing, Expected> {
    match address::parse_framing(text) {
        Ok(framing) if framing != Framing::Nul => Ok(framing),
        _ => Err("expected the framing raw, line, crlf, len8, len16 or len16le"),
    }
}

/// Returns the sizes that a message may have, header or terminator included, in bytes.
pub fn possible_sizes(framing: Framing) -> RangeInclusive<usize> {
    const MOST: usize = 1 << 30;
    match framing {
        Framing::Raw | Framing::Nul | Framing::Line => 1..=MOST,
        Framing::Crlf => 2..=MOST,
        Framing::Len8 => 1..=usize::from(u8::MAX),
        Framing::Len16 | Framing::Len16Le => 2..=usize::from(u16::MAX),
    }
}

/// Parses `64`, `1..4k` or `64:9,16k:1`. A range may have a weight too.
pub fn parse_sizes(text: &str) -> Result<Sizes, String> {
    let weighted: Option<Vec<_>> = text.split(',').map(parse_weighted).collect();
    weighted.map(Sizes).ok_or_else(|| {
        format!(
            "expected sizes from 1 to 1g bytes: 64, a range 1..4k, or weights up to {GREATEST_WEIGHT} as in 64:9,16k:1 (k is 1024)"
        )
    })
}

fn parse_weighted(text: &str) -> Option<SizeRange> {
    let (range, weight) = match text.split_once(':') {
        Some((range, weight)) => (range, count_in(1..=GREATEST_WEIGHT)(weight).ok()?),
        None => (text, 1),
    };
    let (from, to) = range.split_once("..").unwrap_or((range, range));
    let (from, to) = (parse_size(from).ok()?, parse_size(to).ok()?);
    (from <= to).then(|| SizeRange::new(from..=to, weight))
}

fn parse_decimal(text: &str) -> Option<f64> {
    let (number, unit) = split_unit(text);
    let is_whole = !number.starts_with('.') && !number.ends_with('.');
    let unit = decimal_prefix(&unit.to_ascii_lowercase())?;
    let number: f64 = number.parse().ok().filter(|_| is_whole)?;
    Some(number * unit as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_target_has_a_host_and_a_port() {
        for text in [
            "localhost:7007",
            "127.0.0.1:1",
            "[::1]:65535",
            "a-b.example:7",
        ] {
            assert_eq!(parse_target(text).as_deref(), Ok(text));
        }
        for (text, why) in [
            ("localhost", "write HOST:PORT; -p is pipelining"),
            ("", "write HOST:PORT"),
            (":7007", "write HOST:PORT"),
            ("7007", "write HOST:PORT"),
            ("http://localhost:80", "write HOST:PORT"),
            ("localhost:http", "a port from 1 to 65535"),
            ("localhost:0", "a port from 1 to 65535"),
            ("localhost:65536", "a port from 1 to 65535"),
            ("localhost:+1", "a port from 1 to 65535"),
            ("localhost:", "a port from 1 to 65535"),
            ("::1:7007", "IPv6 goes in brackets"),
            ("[fe80::1%nowhere]:7007", "no such interface, expected"),
            (
                "[::1%1]:7007",
                "expected an interface only after a link-local",
            ),
            ("[fe80::1%1]:0", "a port from 1 to 65535"),
            ("[fe80::x%1]:7007", "expected HOST:PORT"),
        ] {
            let refusal = parse_target(text).expect_err(text);
            assert!(refusal.contains(why), "{text}: {refusal}");
        }
    }

    #[test]
    fn habits_of_other_tools_are_answered() {
        for text in ["10s", "500ms", "2h"] {
            let refusal = parse_threads(text).expect_err(text);
            let hint = format!("; -d {text} is the duration");
            assert!(refusal.ends_with(&hint), "{refusal}");
        }
        for text in ["0", "1025", "x"] {
            assert!(
                !parse_threads(text).expect_err(text).contains("-d "),
                "{text}"
            );
        }
        for text in ["64k", "1MiB"] {
            let refusal = parse_warmup(text).expect_err(text);
            assert!(
                refusal.ends_with("; -w is the warm-up; see --socket-buffer"),
                "{refusal}"
            );
        }
        assert!(!parse_warmup("soon").expect_err("no size").contains("-w"));
        assert!(
            parse_pipeline("7007")
                .expect_err("a port")
                .contains("-p is pipelining")
        );
        assert_eq!(parse_pipeline("1024"), Ok(1024));
    }

    #[test]
    fn a_rate_is_a_decimal() {
        for (text, a_second) in [
            ("0.001", 0.001),
            ("1", 1.0),
            ("12.5", 12.5),
            ("1.5k", 1_500.0),
            ("50K", 50_000.0),
            ("100m", 100_000_000.0),
        ] {
            assert_eq!(parse_rate(text), Ok(a_second), "{text}");
        }
        for text in [
            "", "0", "0.0", "-1", "+1", "1e3", ".5", "5.", "1.2.3", "inf", "NaN", "1s", "101m",
            "0.0009", " 1",
        ] {
            let refusal = parse_rate(text).expect_err(text);
            assert!(
                refusal.starts_with("expected a number per second"),
                "{refusal}"
            );
        }
    }

    #[test]
    fn sizes_are_one_size_a_range_or_weighted() {
        for (text, expected) in [
            ("64", vec![(64..=64, 1)]),
            ("1..4k", vec![(1..=4096, 1)]),
            ("7..7", vec![(7..=7, 1)]),
            ("64:9,16k:1", vec![(64..=64, 9), (16_384..=16_384, 1)]),
            ("1..2:3,5", vec![(1..=2, 3), (5..=5, 1)]),
        ] {
            let expected = expected.into_iter();
            let expected = expected.map(|(range, weight)| SizeRange::new(range, weight));
            assert_eq!(parse_sizes(text), Ok(Sizes(expected.collect())), "{text}");
        }
        for text in [
            "",
            "0",
            "2..1",
            "1..",
            "..2",
            "1...2",
            "1..=2",
            "64:",
            "64:0",
            ":1",
            "64,",
            ",64",
            "64:1:1",
            "-1",
            "64:1000001",
            "2g",
        ] {
            let refusal = parse_sizes(text).expect_err(text);
            assert!(refusal.starts_with("expected sizes from 1"), "{refusal}");
        }
    }

    #[test]
    fn a_framing_with_an_echo_for_each_message_is_accepted() {
        assert_eq!(parse_framing("len16le"), Ok(Framing::Len16Le));
        for text in ["", "Raw", "nul", "0"] {
            parse_framing(text).expect_err(text);
        }
    }

    #[test]
    fn a_positive_duration_is_longer_than_0() {
        assert_eq!(parse_positive_duration("1ns"), Ok(Duration::from_nanos(1)));
        for text in ["0", "0s", "-1", ""] {
            parse_positive_duration(text).expect_err(text);
        }
    }

    #[test]
    fn fault_b7_an_interval_is_at_least_100_ms() {
        assert_eq!(parse_interval("100ms"), Ok(Duration::from_millis(100)));
        for text in ["99999us", "10ms", "0", "-1", ""] {
            parse_interval(text).expect_err(text);
        }
    }

    proptest! {
        #[test]
        fn every_range_of_sizes_is_parsed(from in 1..=1_usize << 30, more in 0..1000_usize, weight in 1..=1_000_000_u64) {
            let to = (from + more).min(1 << 30);
            prop_assert_eq!(parse_sizes(&format!("{from}..{to}:{weight}")), Ok(Sizes(vec![SizeRange::new(from..=to, weight)])));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in ".*") {
            let _ = (parse_target(&text), parse_threads(&text), parse_pipeline(&text), parse_warmup(&text), parse_rate(&text), parse_sizes(&text));
        }
    }
}
