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
                let has_room = T::try_from(50_000).is_ok_and(|number| range.contains(&number));
                let example = if has_room {
                    ", such as 64 or 50k (k is 1000)"
                } else {
                    ""
                };
                format!("expected a count from {least} to {most}{example}")
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

/// A [`size`], or 0.
#[cfg(any(feature = "client", feature = "bench"))]
pub fn size_or_none(text: &str) -> Result<usize, String> {
    match text {
        "0" => Ok(0),
        _ => size(text).map_err(|_| {
            "expected 0 or a size up to 1g bytes, such as 64, 16k or 1MiB (k is 1024)".into()
        }),
    }
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

/// A number and what follows it.
pub fn split_unit(text: &str) -> (&str, &str) {
    let is_unit = |c: char| !c.is_ascii_digit() && c != '.';
    text.split_at(text.find(is_unit).unwrap_or(text.len()))
}

/// What `k` and `m` multiply by, in lower case.
pub fn decimal_prefix(unit: &str) -> Option<u64> {
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
mod tests;
