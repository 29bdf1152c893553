//! The figures of one measurement as a row of a table of several measurements.

use super::cells::{aligned, max_or_mean, number, percentile};
use super::schema::Report;
use crate::load::measure::percentile::Percentile;

/// The headings of [`figures`]. Times are those of the response.
pub const HEADINGS: [&str; 8] = [
    "messages/s",
    "MB/s",
    "p50",
    "p90",
    "p99",
    "p99.9",
    "max (us)",
    "errors",
];

/// Returns the figures of a measurement, one for each of [`HEADINGS`].
pub fn figures(report: &Report) -> [String; 8] {
    let metrics = &report.metrics;
    let response = &metrics.response_us;
    let time = |p| percentile(response, p, "");
    [
        number(metrics.messages_per_sec, 1),
        number(metrics.mb_per_sec, 2),
        time(Percentile::P50),
        time(Percentile::P90),
        time(Percentile::P99),
        time(Percentile::P999),
        max_or_mean(response, response.max, ""),
        metrics.counts.failures.total().to_string(),
    ]
}

/// Returns a row: `names`, the figures of a measurement, and words about it.
pub fn row<const N: usize>(
    names: [String; N],
    figures: [String; 8],
    words: impl Into<String>,
) -> Vec<String> {
    let cells = names.into_iter().chain(figures);
    cells.chain([words.into()]).collect()
}

/// Returns a line for each row. The last cell of a row is words: it follows the aligned cells, without a heading.
pub fn worded_lines(rows: &[Vec<String>]) -> Vec<String> {
    let split = rows.iter().filter_map(|row| row.split_last());
    let (words, cells): (Vec<_>, Vec<_>) = split.unzip();
    let words = words.into_iter().skip(1).map(String::as_str);
    let lines = aligned(&cells)
        .into_iter()
        .zip([""].into_iter().chain(words));
    lines
        .map(|(line, words)| format!("{line}  {words}").trim_end().to_owned())
        .collect()
}

/// Returns the verdict with the kinds of its reasons, and the objectives that are not met.
pub fn verdict(report: &Report) -> String {
    let verdict = &report.verdict;
    let mut words = match verdict.valid {
        true => "VALID".to_owned(),
        false => {
            let codes: Vec<_> = verdict.codes.iter().map(|code| code.words()).collect();
            format!("SUSPECT: {}", codes.join(", "))
        }
    };
    if report.metrics.counts.corrupted > 0 {
        words += "; wrong bytes";
    }
    for result in report.slo.iter().filter(|result| !result.met) {
        words += &format!("; {} NOT MET", result.objective);
    }
    words
}
