//! Durations, sizes, counts and text as they are typed. A refusal says what is allowed, on one line.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use mio_echo::net::{OffloadPolicy, WhenFull};

/// The longest duration: timers add one to the clock in 64-bit nanoseconds, and the sum must not overflow.
const LONGEST: Duration = Duration::from_secs(1_000_000 * 3600);

/// Linux keeps the idle time of keepalive in 15 bits of whole seconds.
const KEEPALIVE_SECONDS: RangeInclusive<u64> = 1..=32_767;

const LONGEST_BANNER: usize = 4096;

/// A decimal with a unit; seconds without one. Exact to the nanosecond, or refused.
pub fn duration(text: &str) -> Result<Duration, String> {
    nanoseconds(text)
        .map(Duration::from_nanos)
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| {
            "expected a duration from 0 to 1000000h, such as 500ms, .5 or 2m (units ns, us, ms, s, m, h)".into()
        })
}

/// A duration that the kernel accepts as the idle time of keepalive, or 0.
pub fn keepalive(text: &str) -> Result<Duration, String> {
    duration(text)
        .ok()
        .filter(|idle| idle.is_zero() || KEEPALIVE_SECONDS.contains(&idle.as_secs()))
        .ok_or_else(|| "expected 0 (off) or a duration from 1s to 32767s, such as 60s or 5m".into())
}

/// A whole number in `range`; `k` is 1,000 and `m` a million.
pub fn count<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: TryFrom<u64> + PartialOrd + Display + Clone,
{
    move |text| {
        whole_number(text, decimal_prefix)
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                let (least, most) = (range.start(), range.end());
                format!("expected a count from {least} to {most}, such as 64 or 50k (k is 1000)")
            })
    }
}

/// From 1 byte to 1 GiB; `k`, `kB` and `KiB` are 1,024 bytes, and so on for `m` and `g`.
pub fn size(text: &str) -> Result<usize, String> {
    whole_number(text, binary_prefix)
        .filter(|bytes| (1..=1 << 30).contains(bytes))
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| {
            "expected a size from 1 to 1g bytes, such as 64, 16k or 1MiB (k is 1024)".into()
        })
}

/// Text with the escapes `\r`, `\n`, `\t` and `\\`.
pub fn banner(text: &str) -> Result<String, String> {
    unescape(text)
        .filter(|banner| banner.len() <= LONGEST_BANNER)
        .ok_or_else(|| {
            r"expected at most 4 KiB of text, with the escapes \r \n \t \\ and no others".into()
        })
}

/// What to do with a client that is one too many.
pub fn when_full(text: &str) -> Result<WhenFull, String> {
    match text {
        "wait" => Ok(WhenFull::Wait),
        "close" => Ok(WhenFull::Close),
        _ => Err("expected wait or close".into()),
    }
}

/// Which messages go to the workers.
pub fn offload(text: &str) -> Result<OffloadPolicy, String> {
    match text {
        "all" => Ok(OffloadPolicy::All),
        "large" => Ok(OffloadPolicy::Large),
        _ => Err("expected all or large".into()),
    }
}

/// A flag that was given a value.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("expected true, 1, false or 0".into()),
    }
}

fn nanoseconds(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text);
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (number, ""),
    };
    let unit: u128 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" | "" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = 10_u128.checked_pow(fraction.len().try_into().ok()?)?;
    let scaled = digits.checked_mul(unit)?;
    let exact = scaled.is_multiple_of(scale);
    exact.then(|| (scaled / scale).try_into().ok()).flatten()
}

fn whole_number(text: &str, prefix: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let (digits, unit) = split_unit(text);
    let unit = prefix(&unit.to_ascii_lowercase())?;
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn split_unit(text: &str) -> (&str, &str) {
    let is_unit = |c: char| !c.is_ascii_digit() && c != '.';
    text.split_at(text.find(is_unit).unwrap_or(text.len()))
}

fn decimal_prefix(unit: &str) -> Option<u64> {
    match unit {
        "" => Some(1),
        "k" => Some(1_000),
        "m" => Some(1_000_000),
        _ => None,
    }
}

fn binary_prefix(unit: &str) -> Option<u64> {
    match unit {
        "" => Some(1),
        "k" | "kb" | "kib" => Some(1 << 10),
        "m" | "mb" | "mib" => Some(1 << 20),
        "g" | "gb" | "gib" => Some(1 << 30),
        _ => None,
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut typed = text.chars();
    let mut meant = String::with_capacity(text.len());
    while let Some(c) = typed.next() {
        meant.push(match c {
            '\\' => escaped(typed.next()?)?,
            c => c,
        });
    }
    Some(meant)
}

fn escaped(c: char) -> Option<char> {
    match c {
        'r' => Some('\r'),
        'n' => Some('\n'),
        't' => Some('\t'),
        '\\' => Some('\\'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_is_a_decimal_with_a_unit_and_seconds_without_one() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("0h", 0),
            ("1ns", 1),
            ("1.000ns", 1),
            ("15us", 15_000),
            ("1.5ms", 1_500_000),
            (".5", 500_000_000),
            ("0.5", 500_000_000),
            ("2", 2_000_000_000),
            ("30s", 30_000_000_000),
            ("0.000000001", 1),
            (".5m", 30_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("1000000h", 3_600_000_000_000_000_000),
        ] {
            assert_eq!(
                duration(text),
                Ok(Duration::from_nanos(nanoseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_duration_that_is_not_exact_or_out_of_range_is_refused() {
        for text in [
            "",
            ".",
            "5.",
            "s",
            "abc",
            "-1",
            "-1s",
            "+1",
            "1e3",
            "1_000",
            "1,5",
            "1.2.3",
            "5 s",
            " 5s",
            "5s ",
            "5S",
            "5min",
            "5d",
            "1h30m",
            "inf",
            "NaN",
            "٣s",
            "0.5ns",
            "1.0000000001",
            "1000001h",
            "18446744073709551616ns",
            "340282366920938463463374607431768211456",
            ".000000000000000000000000000000000000000000000000000001",
        ] {
            let refusal = duration(text).expect_err(text);
            assert!(
                refusal.starts_with("expected a duration from 0"),
                "{refusal}"
            );
        }
    }

    #[test]
    fn keepalive_is_off_or_what_the_kernel_takes() {
        for (text, seconds) in [("0", 0), ("1", 1), ("5m", 300), ("32767s", 32_767)] {
            assert_eq!(keepalive(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "off", "-1", "1ms", "999ms", "32768s", "10h"] {
            keepalive(text).expect_err(text);
        }
    }

    #[test]
    fn a_count_is_a_whole_number_and_k_is_a_thousand() {
        for (text, number) in [
            ("1", 1),
            ("007", 7),
            ("50k", 50_000),
            ("50K", 50_000),
            ("2m", 2_000_000),
        ] {
            assert_eq!(count(1..=u32::MAX)(text), Ok(number), "{text}");
        }
    }

    #[test]
    fn seed_s1_1_a_count_is_parsed_strictly() {
        for text in [
            "",
            "abc",
            "-1",
            "+1",
            "0",
            "1.5",
            "1.5k",
            "k",
            "10 ",
            "5kB",
            "0x10",
            "1e3",
            "4294967296",
            "5000m",
            "99999999999999999999",
            "18446744073709551615k",
        ] {
            let refusal = count(1..=u32::MAX)(text).expect_err(text);
            assert!(
                refusal.starts_with("expected a count from 1 to 4294967295"),
                "{refusal}"
            );
        }
    }

    #[test]
    fn a_size_is_in_bytes_and_k_is_1024() {
        for (text, bytes) in [
            ("1", 1),
            ("64", 64),
            ("16k", 16 << 10),
            ("16K", 16 << 10),
            ("16kB", 16 << 10),
            ("16KiB", 16 << 10),
            ("1m", 1 << 20),
            ("1MB", 1 << 20),
            ("1MiB", 1 << 20),
            ("1g", 1 << 30),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "0",
            "0k",
            "abc",
            "-1",
            "+1",
            "1.5k",
            ".5",
            "k",
            "16 k",
            "16ki",
            "16bytes",
            "1t",
            "1025m",
            "2g",
            "17179869184g",
            "99999999999999999999",
        ] {
            let refusal = size(text).expect_err(text);
            assert!(
                refusal.starts_with("expected a size from 1 to 1g bytes"),
                "{refusal}"
            );
        }
    }

    #[test]
    fn a_banner_knows_four_escapes_and_leaves_the_braces_to_the_server() {
        for (text, bytes) in [
            ("", ""),
            ("Welcome\\r\\n", "Welcome\r\n"),
            ("a\\tb\\\\n", "a\tb\\n"),
            ("{peer} {id} {other}", "{peer} {id} {other}"),
            ("grüß\n", "grüß\n"),
        ] {
            assert_eq!(banner(text).as_deref(), Ok(bytes), "{text}");
        }
        for text in ["\\", "a\\", "\\q", "\\0", "\\x41", "\\N"] {
            banner(text).expect_err(text);
        }
    }

    #[test]
    fn a_banner_is_measured_after_unescaping() {
        assert_eq!(
            banner(&"\\n".repeat(4096)).map(|banner| banner.len()),
            Ok(4096)
        );
        banner(&"x".repeat(4097)).expect_err("one byte too many");
        banner(&"ü".repeat(2049)).expect_err("bytes count, not characters");
    }

    #[test]
    fn words_are_taken_literally() {
        assert_eq!(when_full("wait"), Ok(WhenFull::Wait));
        assert_eq!(when_full("close"), Ok(WhenFull::Close));
        for text in ["", "Wait", "drop"] {
            when_full(text).expect_err(text);
        }
        assert_eq!(["true", "1"].map(boolean), [Ok(true), Ok(true)]);
        assert_eq!(["false", "0"].map(boolean), [Ok(false), Ok(false)]);
        for text in ["", "yes", "2", "TRUE"] {
            boolean(text).expect_err(text);
        }
    }

    proptest! {
        #[test]
        fn every_duration_can_be_written_in_seconds(nanoseconds in 0..=3_600_000_000_000_000_000_u64) {
            let text = format!("{}.{:09}s", nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
            prop_assert_eq!(duration(&text), Ok(Duration::from_nanos(nanoseconds)));
        }

        #[test]
        fn every_count_and_size_can_be_written_plainly(number in 1..=1_u64 << 30) {
            prop_assert_eq!(count(1..=u64::MAX)(&number.to_string()), Ok(number));
            prop_assert_eq!(size(&number.to_string()).map(|bytes| bytes as u64), Ok(number));
        }

        #[test]
        fn no_text_upsets_a_parser(text in ".*") {
            let _ = (duration(&text), keepalive(&text), count(1..=u32::MAX)(&text), size(&text), banner(&text));
        }
    }
}
