//! The cells of tables and lines for people. A figure that does not exist is a dash.

use crate::load::measure::latency_summary::LatencySummary;
use crate::load::measure::percentile::Percentile;
use crate::load::units::format_microseconds;

/// Stands for a figure that does not exist.
pub const NO_FIGURE: &str = "-";

/// Returns a line for each row. The first column is aligned to the left, the others to the right, and each column is as wide
/// as its widest cell.
pub fn aligned(rows: &[impl AsRef<[String]>]) -> Vec<String> {
    let columns = rows.first().map_or(0, |row| row.as_ref().len());
    let width = |column: usize| rows.iter().map(|row| row.as_ref()[column].len()).max();
    let widths: Vec<_> = (0..columns).filter_map(width).collect();
    rows.iter().map(|row| line(row.as_ref(), &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let name = format!("{:<width$}", row[0], width = widths[0]);
    let numbers = row[1..]
        .iter()
        .zip(&widths[1..])
        .map(|(cell, width)| format!("  {cell:>width$}"));
    numbers.fold(name, |line, cell| line + &cell)
}

/// Formats a percentile: a lower bound with `>`, an exact time with one digit and `unit`.
pub fn percentile(latency: &LatencySummary, percentile: Percentile, unit: &str) -> String {
    match latency.percentile(percentile) {
        Some(time) if latency.is_lower_bound(percentile) => lower_bound(time),
        time => exact(time, unit),
    }
}

/// Formats the maximum or the mean `time` of `latency`.
pub fn max_or_mean(latency: &LatencySummary, time: Option<f64>, unit: &str) -> String {
    match time {
        Some(time) if latency.has_lower_bounds() => lower_bound(time),
        time => exact(time, unit),
    }
}

/// Formats a time in microseconds with one digit.
pub fn exact(time: Option<f64>, unit: &str) -> String {
    time.map_or_else(|| NO_FIGURE.into(), |time| format!("{time:.1}{unit}"))
}

/// Formats a time in microseconds that is only a lower bound.
pub fn lower_bound(microseconds: f64) -> String {
    format!(">{}", format_microseconds(microseconds))
}

/// Formats a number that may not exist.
pub fn number(number: Option<f64>, digits: usize) -> String {
    number.map_or_else(|| NO_FIGURE.into(), |number| format!("{number:.digits$}"))
}

/// Formats a share in percent.
pub fn percent(share: Option<f64>, digits: usize) -> String {
    format!("{} %", number(share.map(|share| share * 100.0), digits))
}
