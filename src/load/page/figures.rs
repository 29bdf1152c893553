//! The figures that matter most, in large type, each with its confidence interval.

use super::numbers::{grouped, percentile, rate};
use crate::load::measure::percentile::Percentile;
use crate::load::measure::uncertainty::{ConfidenceInterval, NoInterval};
use crate::load::report::cells::NO_FIGURE;
use crate::load::report::schema::Report;
use crate::load::units::format_microseconds;

/// A figure.
pub struct Figure {
    /// What the figure is.
    pub name: &'static str,
    /// The figure with its unit.
    pub value: String,
    /// Its confidence interval, or why there is none.
    pub interval: String,
}

/// Returns the figures of a run.
pub fn figures(report: &Report) -> Vec<Figure> {
    let metrics = &report.metrics;
    let (ci95, missing) = (&report.ci95, &report.ci95_missing);
    let whole = |per_sec: f64| grouped(per_sec, 0);
    let server = report.server.and_then(|server| server.cpu_s);
    let server = server.filter(|_| metrics.counts.messages > 0);
    let server = server.map(|cpu| cpu * 1e6 / metrics.counts.messages as f64);
    vec![
        Figure {
            name: "messages per second",
            value: metrics
                .messages_per_sec
                .map_or_else(|| NO_FIGURE.into(), rate),
            interval: metrics
                .asked_per_sec
                .map(|asked| format!("asked: {}; ", rate(asked)))
                .unwrap_or_default()
                + &interval(ci95.messages_per_sec, missing.messages_per_sec, whole),
        },
        Figure {
            name: "response, p50",
            value: percentile(&metrics.response_us, Percentile::P50),
            interval: interval(ci95.p50, missing.p50, format_microseconds),
        },
        Figure {
            name: "response, p99",
            value: percentile(&metrics.response_us, Percentile::P99),
            interval: interval(ci95.p99, missing.p99, format_microseconds),
        },
        Figure {
            name: "generator CPU",
            value: cpu(report.generator.cpu_us_per_message),
            interval: "per message, without spinning".into(),
        },
        Figure {
            name: "server CPU",
            value: cpu(server),
            interval: match server {
                Some(_) => "per message, all its threads".into(),
                None => "the process of the server is unknown".into(),
            },
        },
    ]
}

fn cpu(microseconds: Option<f64>) -> String {
    microseconds.map_or_else(|| NO_FIGURE.into(), format_microseconds)
}

fn interval(
    interval: Option<ConfidenceInterval>,
    missing: Option<NoInterval>,
    format: impl Fn(f64) -> String,
) -> String {
    match (interval, missing) {
        (Some(ConfidenceInterval { low, high }), _) => {
            format!("95 %: {} to {}", format(low), format(high))
        }
        (None, Some(reason)) => format!("no interval: {reason}"),
        (None, None) => "no interval".into(),
    }
}
