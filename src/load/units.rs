//! Formats numbers with their units for people.

use std::time::Duration;

/// Returns `duration` in microseconds.
pub fn microseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e3
}

/// Formats a duration exactly, in the largest unit that is not longer than the duration: `1.5 us`, `90 s`.
pub fn format_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos() as f64;
    let (number, unit) = match duration.as_nanos() {
        0 => (0.0, "s"),
        1..=999 => (nanoseconds, "ns"),
        1_000..=999_999 => (nanoseconds / 1e3, "us"),
        1_000_000..=999_999_999 => (nanoseconds / 1e6, "ms"),
        _ => (nanoseconds / 1e9, "s"),
    };
    format!("{} {unit}", format_decimal(number, 9))
}

/// Formats microseconds with one digit after the point, in us, ms or s: `12.3 ms`.
pub fn format_microseconds(microseconds: f64) -> String {
    match microseconds {
        us if us < 1e3 => format!("{us:.1} us"),
        us if us < 1e6 => format!("{:.1} ms", us / 1e3),
        us => format!("{:.1} s", us / 1e6),
    }
}

/// Formats a number with at most `digits` after the point and without zeros at the end.
pub fn format_decimal(number: f64, digits: usize) -> String {
    let text = format!("{number:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Formats a number with its noun, which takes an s unless the number is 1: `1 thread`, `2 threads`.
pub fn pluralize(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_formatted_in_the_largest_unit_of_which_it_has_one() {
        for (nanoseconds, text) in [
            (0, "0 s"),
            (1, "1 ns"),
            (1_500, "1.5 us"),
            (200_000, "200 us"),
            (1_000_000, "1 ms"),
            (1_000_000_001, "1.000000001 s"),
            (90_000_000_000, "90 s"),
        ] {
            assert_eq!(format_duration(Duration::from_nanos(nanoseconds)), text);
        }
        for (microseconds, text) in [
            (0.5, "0.5 us"),
            (12_345.6, "12.3 ms"),
            (12_345_600.0, "12.3 s"),
        ] {
            assert_eq!(format_microseconds(microseconds), text);
        }
    }

    #[test]
    fn a_decimal_has_no_zeros_at_the_end() {
        for (number, text) in [(100.0, "100"), (0.10, "0.1"), (1e-9, "0"), (2.5, "2.5")] {
            assert_eq!(format_decimal(number, 6), text);
        }
        assert_eq!(format_decimal(100.4, 0), "100");
    }
}
