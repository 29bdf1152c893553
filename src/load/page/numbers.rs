//! Numbers and times as pages write them.

use crate::load::measure::latency_summary::LatencySummary;
use crate::load::measure::percentile::Percentile;
use crate::load::report::cells::NO_FIGURE;
use crate::load::units::{format_decimal, format_microseconds};

/// Formats a number with `digits` after the point and a comma after each three digits before it: `84,396.5`.
pub fn grouped(number: f64, digits: usize) -> String {
    let text = format!("{number:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let digits = whole.len() - usize::from(whole.starts_with('-'));
    let with_comma = |(index, digit): (usize, char)| {
        let left = whole.len() - index;
        let is_group_end = left > 1 && left % 3 == 1 && digits > 3 && digit != '-';
        [Some(digit), is_group_end.then_some(',')]
            .into_iter()
            .flatten()
    };
    let grouped: String = whole.chars().enumerate().flat_map(with_comma).collect();
    grouped + rest
}

/// Formats a rate: whole numbers from 100 on, one digit below.
pub fn rate(per_sec: f64) -> String {
    grouped(per_sec, if per_sec < 100.0 { 1 } else { 0 })
}

/// Formats a round time in microseconds, as a tick of an axis: `500 us`, `2 ms`.
pub fn tick_time(microseconds: f64) -> String {
    let (number, unit) = match microseconds {
        0.0 => return "0".into(),
        us if us < 1.0 => (us * 1e3, "ns"),
        us if us < 1e3 => (us, "us"),
        us if us < 1e6 => (us / 1e3, "ms"),
        us => (us / 1e6, "s"),
    };
    format!("{} {unit}", format_decimal(number, 3))
}

/// Formats a percentile with its unit; a lower bound has `>`.
pub fn percentile(latency: &LatencySummary, percentile: Percentile) -> String {
    time(
        latency.percentile(percentile),
        latency.is_lower_bound(percentile),
    )
}

/// Formats a time in microseconds; a lower bound has `>`.
pub fn time(microseconds: Option<f64>, is_lower_bound: bool) -> String {
    match (microseconds, is_lower_bound) {
        (None, _) => NO_FIGURE.into(),
        (Some(time), true) => format!(">{}", format_microseconds(time)),
        (Some(time), false) => format_microseconds(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        for (number, digits, text) in [
            (0.0, 0, "0"),
            (999.0, 0, "999"),
            (1_000.0, 0, "1,000"),
            (-84_396.54, 1, "-84,396.5"),
            (1_234_567.0, 0, "1,234,567"),
        ] {
            assert_eq!(grouped(number, digits), text);
        }
    }
}
