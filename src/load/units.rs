//! Numbers as people read them, with their units.

use std::time::Duration;

/// As a decimal number of microseconds.
pub fn microseconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}

/// With as many digits as it has, in the unit that suits: `1.5 us`, `90 s`.
pub fn exact(time: Duration) -> String {
    let nanoseconds = time.as_nanos() as f64;
    let (number, unit) = match time.as_nanos() {
        0 => (0.0, "s"),
        1..=999 => (nanoseconds, "ns"),
        1_000..=999_999 => (nanoseconds / 1e3, "us"),
        1_000_000..=999_999_999 => (nanoseconds / 1e6, "ms"),
        _ => (nanoseconds / 1e9, "s"),
    };
    format!("{} {unit}", rounded(number, 9))
}

/// With one digit after the point, in the unit that suits, of microseconds: `12.3 ms`.
pub fn about(microseconds: f64) -> String {
    match microseconds {
        us if us < 1e3 => format!("{us:.1} us"),
        us if us < 1e6 => format!("{:.1} ms", us / 1e3),
        us => format!("{:.1} s", us / 1e6),
    }
}

/// With at most `digits` after the point, and no zeros at the end.
pub fn rounded(number: f64, digits: usize) -> String {
    let text = format!("{number:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A number with its noun, which takes an s unless there is one: `1 thread`, `2 threads`.
pub fn counted(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_the_unit_that_suits() {
        for (nanoseconds, text) in [
            (0, "0 s"),
            (1, "1 ns"),
            (1_500, "1.5 us"),
            (200_000, "200 us"),
            (1_000_000, "1 ms"),
            (1_000_000_001, "1.000000001 s"),
            (90_000_000_000, "90 s"),
        ] {
            assert_eq!(exact(Duration::from_nanos(nanoseconds)), text);
        }
        for (microseconds, text) in [
            (0.5, "0.5 us"),
            (12_345.6, "12.3 ms"),
            (12_345_600.0, "12.3 s"),
        ] {
            assert_eq!(about(microseconds), text);
        }
    }

    #[test]
    fn zeros_at_the_end_say_nothing() {
        for (number, text) in [(100.0, "100"), (0.10, "0.1"), (1e-9, "0"), (2.5, "2.5")] {
            assert_eq!(rounded(number, 6), text);
        }
        assert_eq!(rounded(100.4, 0), "100");
    }
}
