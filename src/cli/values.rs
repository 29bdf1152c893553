//! Parsers of typed durations, sizes, counts, words and text. An error says what is allowed, on one line.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The longest duration. Timers add a duration to the clock in 64-bit nanoseconds, and the sum must not overflow.
const LONGEST: Duration = Duration::from_secs(1_000_000 * 3600);

/// The idle time of keepalive, in seconds. Linux stores whole seconds in 15 bits.
const KEEPALIVE_SECONDS: RangeInclusive<u64> = 1..=32_767;

/// The longest banner, in bytes.
const LONGEST_BANNER: usize = 4096;

/// What an option accepts, as the end of the line that refuses a value.
pub type Expected = &'static str;

/// Words that an option accepts, and their meanings.
pub type Words<T> = &'static [(&'static str, T)];

/// The values of a switch.
pub const BOOL: Words<bool> = &[("true", true), ("1", true), ("false", false), ("0", false)];

/// Parses a decimal with a unit; a number without a unit is in seconds. A fraction of a nanosecond is refused.
pub fn parse_duration(text: &str) -> Result<Duration, Expected> {
    nanoseconds(text)
        .map(Duration::from_nanos)
        .filter(|duration| *duration <= LONGEST)
        .ok_or("expected a duration from 0 to 1000000h, such as 500ms, .5 or 2m (units ns, us, ms, s, m, h)")
}

/// Parses a duration that the kernel accepts as the idle time of keepalive, or 0.
pub fn parse_keepalive(text: &str) -> Result<Duration, Expected> {
    parse_duration(text)
        .ok()
        .filter(|idle| idle.is_zero() || KEEPALIVE_SECONDS.contains(&idle.as_secs()))
        .ok_or("expected 0 (off) or a duration from 1s to 32767s, such as 60s or 5m")
}

/// Returns a parser of whole numbers in `range`; `k` is 1,000 and `m` is 1,000,000.
pub fn count_in<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone
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

/// Parses a size from 1 byte to 1 GiB. `k`, `kB` and `KiB` are 1,024 bytes; `m` and `g` likewise.
pub fn parse_size(text: &str) -> Result<usize, Expected> {
    whole_number(text, binary_prefix)
        .filter(|bytes| (1..=1 << 30).contains(bytes))
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or("expected a size from 1 to 1g bytes, such as 64, 16k or 1MiB (k is 1024)")
}

/// Parses the memory of a process: a size from 1 byte to 1,024 GiB.
pub fn parse_memory(text: &str) -> Result<usize, Expected> {
    whole_number(text, binary_prefix)
        .filter(|bytes| (1..=1 << 40).contains(bytes))
        // A process of 32 bits has less memory than that in any case.
        .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
        .ok_or("expected a size from 1 to 1024g bytes, such as 64m, 2g or 512MiB (k is 1024)")
}

/// Parses a size from 0 bytes to 1 GiB.
#[cfg(any(feature = "client", feature = "bench"))]
pub fn parse_size_or_zero(text: &str) -> Result<usize, Expected> {
    match text {
        "0" => Ok(0),
        _ => parse_size(text).map_err(
            |_| "expected 0 or a size up to 1g bytes, such as 64, 16k or 1MiB (k is 1024)",
        ),
    }
}

/// Parses text with the escapes `\r`, `\n`, `\t` and `\\`.
pub fn parse_banner(text: &str) -> Result<String, Expected> {
    unescape(text)
        .filter(|banner| banner.len() <= LONGEST_BANNER)
        .ok_or(r"expected at most 4 KiB of text, with the escapes \r \n \t \\ and no others")
}

/// Returns a parser of one of `words`.
pub fn one_of<T: Copy>(words: Words<T>) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            format!("expected {}", words.join(" or "))
        })
    }
}

/// Returns `duration`, or nothing if it is zero: an option whose 0 means "off" or "never".
pub fn nonzero(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
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

/// Splits `text` after its number.
pub fn split_unit(text: &str) -> (&str, &str) {
    let is_unit = |c: char| !c.is_ascii_digit() && c != '.';
    text.split_at(text.find(is_unit).unwrap_or(text.len()))
}

/// Returns the factor of `k` and `m`, in lower case: 1,000 and 1,000,000.
pub fn decimal_prefix(unit: &str) -> Option<u64> {
    match unit {
        "" => Some(1),
        "k" => Some(1_000),
        "m" => Some(1_000_000),
        _ => None,
    }
}

/// Returns the factor of `k`, `m` and `g`, in lower case: powers of 1,024.
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
    let mut unescaped = String::with_capacity(text.len());
    while let Some(c) = typed.next() {
        unescaped.push(match c {
            '\\' => match typed.next()? {
                'r' => '\r',
                'n' => '\n',
                't' => '\t',
                '\\' => '\\',
                _ => return None,
            },
            c => c,
        });
    }
    Some(unescaped)
}

#[cfg(test)]
mod tests;
