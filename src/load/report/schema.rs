//! The JSON report, and the terms that it shares with the text report.
//!
//! [`Report`] is the documented schema: its fields have the names of the JSON object. The text report is printed from
//! the same value, so the two cannot differ. The schema only grows: a reader ignores names that it does not know. A
//! number that does not exist is null; there is no other special value. Unless a field says otherwise, a name that ends
//! in `_us` is in microseconds, one that ends in `_s` is in seconds.
//!
//! # Terms
//!
//! Each message has four times: *intended* (due by the schedule), *sendable* (the connection is up, has room in its
//! pipeline and its socket takes bytes), *sent* (the socket took the first byte) and *answered* (the last byte of the
//! reply arrived). In a closed loop, a message is intended when it is sendable.
//!
//! - **closed loop**: each connection sends the next message once a reply makes room for it.
//! - **open loop**: messages are due on a schedule that replies do not change.
//! - **window**: the measured time, after the warm-up. A message belongs to the window if it is intended in the window.
//! - **response**: the time from intended to answered.
//! - **wait**: the time from intended to sendable. The server, or the network, causes this delay.
//! - **service**: the time from sent to answered.
//! - **send lag**: the time from sendable to sent. The generator causes this delay.
//! - **connect**: the time from the first SYN to the established connection.
//! - **turn**, or *generator delay before reading*: the time from the poll's return to the read of a connection. The
//!   generator causes this delay, and service includes it.
//! - **stalls**: how much later than asked the loops of the generator went on, measured every 20 ms. The generator was
//!   stopped, it waited for a CPU, or the machine stood still.
//! - **uncertainty within this run**: the 95 % confidence intervals of the figures. They tell how far the figures would
//!   move in a longer run under the same conditions. They do not tell how far the figures of the next run lie away. A
//!   figure that drifts, in which neighbouring parts of the run are alike, has no interval.
//! - **busy**: the share of the time in which the threads of the generator neither wait for events nor spin.
//! - **spinning**: the share of the time in which the threads poll without waiting, because a send is due soon.
//! - **machine**: what the rest of the machine did in the window. *others used 0.9 of 2 cores*: the CPU time of the
//!   machine less that of the generator, the server and interrupts. *stolen*: the share of the CPU time that the
//!   hypervisor gave to others. *throttled*: the share of the window in which cgroup limits kept threads from running.
//!   *waits for a CPU*: the time for which threads were ready to run and waited, added over the threads.
//! - **limited by**: what limits a closed loop. `generator`: a thread is busy for over 90 % of the time. `server`: a
//!   thread of the server, or the server if its threads are unknown, uses over 90 % of a core, or, if its CPU time is
//!   unknown, replies queue. `neither`: neither of them.
//! - **achieved**: the share of an open loop's rate that was achieved.
//! - **errors**: the messages that failed, by name, see [`Failure`]. With churn, a failed connect is a failed message.
//! - **corrupted**: the replies that differ from what was sent.
//! - **unanswered**: the messages of the window that were sent and had neither a reply nor a timeout at the end.
//! - **unsent**: the messages of the window that were never sent.
//! - **reconnects**: the attempts to replace a connection that was closed or timed out.
//! - **connections 4 of 8**: on average over the window, 4 of the 8 requested connections were up. Names in parentheses
//!   count the connections that failed or were closed while no message was due, and the connects that failed.
//! - **`-`**: the figure does not exist: there are too few samples, or the system does not tell. A percentile needs ten
//!   samples above it.
//! - **`>12.3 s`**: the figure is a lower bound. Messages without a reply have no known time, and count as slower than all
//!   others. A percentile that lies among them is a lower bound, computed with their age at the end. The longest time and
//!   the mean are lower bounds if there is one such message.
//! - **VALID**, **SUSPECT**: the verdict. SUSPECT names the reasons not to trust the figures.
//!
//! [`Failure`]: crate::load::Failure

use super::json::json_object;
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use super::batches::ReportedBatch;
pub use super::environment::Environment;
use super::histogram;
pub use super::settings::ReportedSettings;
use super::settings::rfc3339;
use crate::load::judge::hints::hints;
use crate::load::judge::outcome::Outcome;
use crate::load::judge::slo::{ObjectiveResult, Slo};
use crate::load::judge::verdict::{LimitedBy, Verdict};
use crate::load::measure::batch::Batch;
pub use crate::load::measure::interference::Interference;
pub use crate::load::measure::interval::{IntervalLatency, IntervalSummary};
use crate::load::measure::latency_histogram::LatencyHistogram;
pub use crate::load::measure::latency_summary::LatencySummary;
use crate::load::measure::measurement::{Measurement, Results, TargetRate};
use crate::load::measure::metrics::Metrics;
pub use crate::load::measure::summary::{GeneratorSummary, Summary};
use crate::load::measure::uncertainty::confidence_intervals;
pub use crate::load::measure::uncertainty::{ConfidenceInterval, NoInterval, PerFigure};
pub use crate::load::measure::usage::ServerUsage;

/// The version of the schema. Version 2 counts failures of connections in `connections`, apart from `errors`.
pub const SCHEMA: u32 = 2;

/// The report of a measurement: the JSON object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The version of the schema: [`SCHEMA`].
    pub schema: u32,
    /// The settings of the run.
    pub config: ReportedSettings,
    /// The machine and the build that generated the load.
    pub environment: Environment,
    /// The start of the window in RFC 3339. In a sum of reports: of the first report.
    pub began: String,
    /// The number of reports that were added; null for the report of one process.
    pub merged_from: Option<usize>,
    /// The number of the signal that ended the measurement early; null if none did.
    pub interrupted: Option<i32>,
    /// Whether the figures can be trusted.
    pub verdict: Verdict,
    /// What limits a closed loop: `generator`, `server` or `neither`; null for an open loop, or if the shards differ.
    pub limited_by: Option<LimitedBy>,
    /// Likely causes of unusual figures, each on one line.
    pub hints: Vec<String>,
    /// The objectives and whether they are met; empty without objectives. Reading a report drops them, because a sum of
    /// reports is checked against its own objectives.
    #[serde(skip_deserializing)]
    pub slo: Vec<ObjectiveResult>,
    /// The figures of the window.
    pub metrics: Summary,
    /// The 95 % confidence intervals of figures within this run: null without one. They do not tell how far the next run
    /// may lie away. Percentiles are those of the response in microseconds.
    pub ci95: PerFigure<Option<ConfidenceInterval>>,
    /// Why a figure has no confidence interval; null if it has one.
    pub ci95_missing: PerFigure<Option<NoInterval>>,
    /// The time and CPU time that the generator spent.
    pub generator: GeneratorSummary,
    /// The usage of the server that was started for the measurement, or whose process was named; null if its process is
    /// unknown. In a sum of reports, null if processes were named: several shards may have named the same one.
    pub server: Option<ServerUsage>,
    /// What the rest of the machine did to the measurement. Reports of earlier versions do not tell.
    #[serde(default)]
    pub interference: Interference,
    /// The intervals of the window in order. In a sum of reports: empty if the shards have different intervals.
    pub intervals: Vec<IntervalSummary>,
    /// The batches of the window in order. In a sum of reports: empty if the shards have different batches.
    pub batches: Vec<ReportedBatch>,
    /// The histograms of `response`, `wait`, `service`, `send_lag`, `connect`, `turn` and `stalls`, in nanoseconds: base64 of
    /// HdrHistogram's V2 encoding with DEFLATE. If some of the samples are only lower bounds, `response_lower_bounds` is
    /// the histogram of those alone, and the like for the others.
    pub histograms: BTreeMap<String, String>,
}

impl Report {
    /// Returns the report of a run, checked against the objectives `slo`.
    pub fn new(results: &Results, slo: Option<&Slo>) -> Self {
        Self::of(
            ReportedSettings::of(results),
            Environment::current(),
            rfc3339(results.began),
            &results.measurement,
            slo,
        )
    }

    /// Returns the report of a measurement, judged as the measurement of one process.
    pub(super) fn of(
        config: ReportedSettings,
        environment: Environment,
        began: String,
        measurement: &Measurement,
        slo: Option<&Slo>,
    ) -> Self {
        let metrics = Summary::of(measurement);
        let ci95 = confidence_intervals(&measurement.batches);
        let histograms = measurement.total.histograms().into_iter();
        let histograms = histograms.flat_map(|(name, latencies)| {
            let all = (name.to_owned(), &latencies.histogram);
            let lower_bounds = latencies.lower_bounds.as_ref();
            let lower_bounds = lower_bounds.map(|bounds| (lower_bounds_of(name), bounds));
            [Some(all), lower_bounds].into_iter().flatten()
        });
        Self {
            schema: SCHEMA,
            config,
            environment,
            began,
            merged_from: None,
            interrupted: measurement.interrupted,
            verdict: Verdict::of(measurement),
            limited_by: LimitedBy::of(measurement),
            hints: hints(&metrics.response_us, &measurement.interference),
            slo: slo.map_or_else(Vec::new, |slo| slo.check(&metrics)),
            metrics,
            ci95: ci95.map(Result::ok),
            ci95_missing: ci95.map(Result::err),
            generator: GeneratorSummary::of(measurement),
            server: measurement.server,
            interference: measurement.interference,
            intervals: measurement.intervals.clone(),
            batches: measurement.batches.iter().map(ReportedBatch::of).collect(),
            histograms: histograms
                .map(|(name, histogram)| (name, histogram::encode(histogram)))
                .collect(),
        }
    }

    /// Returns the measurement that the report was made of. The report does not tell how busy the busiest thread was.
    ///
    /// # Errors
    ///
    /// When a histogram is missing or cannot be decoded.
    pub fn measurement(&self) -> Result<Measurement, Box<dyn Error>> {
        let metrics = &self.metrics;
        let rate = metrics.asked_per_sec.zip(self.config.arrival);
        Ok(Measurement {
            window: seconds(metrics.seconds),
            connections_asked: metrics.connections_asked,
            connections_achieved: metrics.connections_achieved,
            target_rate: rate.map(|(per_sec, arrival)| TargetRate {
                per_sec,
                arrival,
                stops_at_count: self.config.messages.is_some(),
            }),
            total: total(self)?,
            intervals: self.intervals.clone(),
            batches: batches(self)?,
            busiest: None,
            generator_cpu: self.generator.cpu_s.map(seconds),
            server: self.server.filter(|_| self.config.server_pid.is_none()),
            interference: self.interference,
            interrupted: self.interrupted,
        })
    }

    /// Returns the response times.
    ///
    /// # Errors
    ///
    /// When the histogram is missing or cannot be decoded.
    pub fn response(&self) -> Result<LatencyHistogram, Box<dyn Error>> {
        latency_histogram(self, "response", &self.metrics.response_us)
    }

    /// Returns the outcome of the measurement.
    pub fn outcome(&self) -> Outcome {
        Outcome::of(&self.metrics, &self.slo, self.interrupted, &self.verdict)
    }

    /// Returns the report as one JSON object that ends with a line break.
    pub fn to_json(&self) -> String {
        json_object(self)
    }
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
        stalls: latencies("stalls", &metrics.stalls_us)?,
        counts: metrics.counts.clone(),
        in_flight: in_flight.round() as u128,
        polling: nanoseconds(generator.polling_s * 1e6),
        spinning: nanoseconds(generator.spinning_s * 1e6),
        stalled: nanoseconds(generator.stalled_s * 1e6),
        elapsed: nanoseconds(generator.elapsed_s * 1e6),
    })
}

fn batches(report: &Report) -> Result<Vec<Batch>, Box<dyn Error>> {
    let batches = report.batches.iter().map(ReportedBatch::batch);
    let in_batches = |error| format!("the batches: {error}").into();
    batches.collect::<Result<_, _>>().map_err(in_batches)
}

fn latency_histogram(
    report: &Report,
    name: &str,
    summary: &LatencySummary,
) -> Result<LatencyHistogram, Box<dyn Error>> {
    let in_histogram = |error: Box<dyn Error>| format!("the histogram of {name}: {error}");
    let decode = |text: &String| histogram::decode(text).map_err(in_histogram);
    let text = report
        .histograms
        .get(name)
        .ok_or_else(|| format!("no histogram of {name}"))?;
    let histogram = decode(text)?;
    let lower_bounds = report.histograms.get(&lower_bounds_of(name));
    let lower_bounds = lower_bounds.map(decode).transpose()?;
    if let Some(lower_bounds) = &lower_bounds {
        let subtracted = histogram.clone().subtract(lower_bounds);
        subtracted.map_err(|_| in_histogram("it lacks some of its lower bounds".into()))?;
    }
    Ok(LatencyHistogram {
        histogram,
        max: summary.max.map_or(0, nanoseconds),
        overflow: summary.overflow,
        lower_bounds,
    })
}

/// Returns the name of the histogram of the samples of the histogram `name` that are only lower bounds.
fn lower_bounds_of(name: &str) -> String {
    format!("{name}_lower_bounds")
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_nanos(nanoseconds(seconds * 1e6))
}

/// Converts to the nearest whole number; a negative number becomes 0.
fn nanoseconds(microseconds: f64) -> u64 {
    (microseconds * 1e3).round() as u64
}

#[cfg(test)]
mod tests;
