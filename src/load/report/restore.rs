//! Restores the measurement that a report was made of.

use std::error::Error;
use std::time::Duration;

use super::histogram;
use super::schema::Report;
use crate::load::measure::latency_histogram::LatencyHistogram;
use crate::load::measure::latency_summary::LatencySummary;
use crate::load::measure::measurement::{Measurement, TargetRate};
use crate::load::measure::metrics::Metrics;

/// Returns the measurement that `report` was made of. The report does not tell how busy the busiest thread was.
///
/// # Errors
///
/// When a histogram is missing or cannot be decoded.
pub fn measurement(report: &Report) -> Result<Measurement, Box<dyn Error>> {
    let metrics = &report.metrics;
    let rate = metrics.asked_per_sec.zip(report.config.arrival);
    Ok(Measurement {
        window: seconds(metrics.seconds),
        connections_asked: metrics.connections_asked,
        connections_achieved: metrics.connections_achieved,
        target_rate: rate.map(|(per_sec, arrival)| TargetRate {
            per_sec,
            arrival,
            stops_at_count: report.config.messages.is_some(),
        }),
        total: total(report)?,
        intervals: report.intervals.clone(),
        busiest: None,
        generator_cpu: report.generator.cpu_s.map(seconds),
        server: report.server,
        interrupted: report.interrupted,
    })
}

fn total(report: &Report) -> Result<Metrics, Box<dyn Error>> {
    let (metrics, generator) = (&report.metrics, &report.generator);
    let latencies = |name, summary| latency_histogram(report, name, summary);
    let window = seconds(metrics.seconds).as_nanos() as f64;
    let in_flight = metrics.in_flight.unwrap_or(0.0) * window;
    Ok(Metrics {
        response: latencies("response", &metrics.response_us)?,
        wait: latencies("wait", &metrics.wait_us)?,
        service: latencies("service", &metrics.service_us)?,
        send_lag: latencies("send_lag", &metrics.send_lag_us)?,
        connect: latencies("connect", &metrics.connect_us)?,
        turn: latencies("turn", &metrics.turn_us)?,
        counts: metrics.counts.clone(),
        in_flight: in_flight.round() as u128,
        polling: nanoseconds(generator.polling_s * 1e6),
        spinning: nanoseconds(generator.spinning_s * 1e6),
        elapsed: nanoseconds(generator.elapsed_s * 1e6),
    })
}

fn latency_histogram(
    report: &Report,
    name: &str,
    summary: &LatencySummary,
) -> Result<LatencyHistogram, Box<dyn Error>> {
    let text = report
        .histograms
        .get(name)
        .ok_or_else(|| format!("no histogram of {name}"))?;
    let histogram =
        histogram::decode(text).map_err(|error| format!("the histogram of {name}: {error}"))?;
    Ok(LatencyHistogram {
        histogram,
        max: summary.max.map_or(0, nanoseconds),
        overflow: summary.overflow,
        lower_bound_from: summary.bounded_from.map(nanoseconds),
    })
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_nanos(nanoseconds(seconds * 1e6))
}

/// Converts to the nearest whole number; a negative number becomes 0.
fn nanoseconds(microseconds: f64) -> u64 {
    (microseconds * 1e3).round() as u64
}
