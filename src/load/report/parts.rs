//! What a report is computed from: the results of a measurement, or the sum of reports.

use std::collections::BTreeMap;
use std::time::Duration;
use std::{error, fmt};

use super::config::{ConfigReport, rfc3339};
use super::environment::Environment;
use super::histogram;
use super::schema::{GeneratorReport, Report, SCHEMA, ServerReport};
use crate::load::judge::slo::Slo;
use crate::load::judge::throughput::{TargetRate, Throughput};
use crate::load::judge::verdict::{Limit, Verdict};
use crate::load::measure::latency_summary::LatencySummary;
use crate::load::measure::metrics::{Corruption, Failure, Failures, LatencyHistogram, Metrics};
use crate::load::measure::results::{Results, ServerUsage};
use crate::load::measure::summary::{CorruptionReport, IntervalSummary, Summary};
use crate::load::plan::settings::Arrival;

/// Where Nagle's algorithm and a delayed ACK wait for each other, in microseconds: Linux and BSD, Windows.
const NAGLE: [f64; 2] = [40_000.0, 200_000.0];

/// What a report is computed from.
#[derive(Clone, Debug)]
pub struct Parts {
    pub config: ConfigReport,
    pub environment: Environment,
    pub began: String,
    pub merged_from: Option<usize>,
    pub interrupted: Option<i32>,
    pub verdict: Verdict,
    pub limited_by: Option<Limit>,
    pub window: Duration,
    pub connections_asked: usize,
    pub connections_achieved: usize,
    pub asked_per_sec: Option<f64>,
    pub total: Metrics,
    pub cpu: Option<Duration>,
    pub server: Option<ServerReport>,
    pub intervals: Vec<IntervalSummary>,
}

/// A report that holds something else than it should.
#[derive(Debug)]
pub struct DecodeError(String);

impl Parts {
    /// Of a measurement.
    pub fn of(results: &Results) -> Self {
        Self {
            config: ConfigReport::of(results),
            environment: Environment::here(),
            began: rfc3339(results.began),
            merged_from: None,
            interrupted: results.interrupted,
            verdict: Verdict::of(results),
            limited_by: Limit::of(results),
            window: results.window,
            connections_asked: results.settings.shard_connections(),
            connections_achieved: results.connected,
            asked_per_sec: results.settings.shard_rate(),
            total: results.total.clone(),
            cpu: results.generator_cpu,
            server: results.server.map(|usage| server(usage, results.window)),
            intervals: results.intervals.clone(),
        }
    }

    /// Of a report that was written down.
    ///
    /// # Errors
    ///
    /// When a row has no histogram that can be read.
    pub fn read(report: Report) -> Result<Self, DecodeError> {
        let window = seconds(report.metrics.seconds);
        Ok(Self {
            total: tally(&report, window)?,
            config: report.config,
            environment: report.environment,
            began: report.began,
            merged_from: report.merged_from,
            interrupted: report.interrupted,
            verdict: report.verdict,
            limited_by: report.limited_by,
            window,
            connections_asked: report.metrics.connections_asked,
            connections_achieved: report.metrics.connections_achieved,
            asked_per_sec: report.metrics.asked_per_sec,
            cpu: report.generator.cpu_s.map(seconds),
            server: report.server,
            intervals: report.intervals,
        })
    }

    /// What is to be known of it.
    pub fn report(self, slo: Option<&Slo>) -> Report {
        let metrics = self.metrics();
        Report {
            schema: SCHEMA,
            began: self.began.clone(),
            merged_from: self.merged_from,
            interrupted: self.interrupted,
            limited_by: self.limited_by,
            hints: hints(&metrics.response_us),
            slo: slo.map_or_else(Vec::new, |slo| slo.judge(&metrics)),
            generator: self.generator(),
            server: self.server,
            histograms: self.histograms(),
            metrics,
            config: self.config,
            environment: self.environment,
            verdict: self.verdict,
            intervals: self.intervals,
        }
    }

    /// How fast it was, of what was asked; none of a closed loop.
    pub fn pace(&self) -> Option<Throughput> {
        let asked = TargetRate {
            rate: self.asked_per_sec?,
            is_random: self.config.arrival == Some(Arrival::Poisson.to_string()),
            messages: self.config.messages,
        };
        Some(Throughput::of(asked, self.window, &self.total))
    }

    fn metrics(&self) -> Summary {
        let (total, window) = (&self.total, self.window.as_secs_f64());
        let per_second = |number: f64| finite(number / window);
        Summary {
            messages: total.messages,
            seconds: window,
            messages_per_sec: per_second(total.messages as f64),
            asked_per_sec: self.asked_per_sec,
            achieved: self.pace().and_then(|pace| pace.share()),
            bytes: total.bytes,
            mb_per_sec: per_second(total.bytes as f64 / 1e6),
            connections_asked: self.connections_asked,
            connections_achieved: self.connections_achieved,
            errors: total
                .failures
                .seen()
                .map(|(failure, count)| (failure.name().into(), count))
                .collect(),
            corrupted: total.corrupted,
            corruption: total.corruption.as_ref().map(CorruptionReport::of),
            unanswered: total.unanswered,
            unsent: total.unsent,
            reconnects: total.reconnects,
            in_flight: per_second(total.in_flight as f64 / 1e9),
            response_us: LatencySummary::of(&total.response),
            wait_us: LatencySummary::of(&total.wait),
            service_us: LatencySummary::of(&total.service),
            send_lag_us: LatencySummary::of(&total.send_lag),
            connect_us: LatencySummary::of(&total.connect),
            turn_us: LatencySummary::of(&total.turn),
        }
    }

    fn generator(&self) -> GeneratorReport {
        let total = &self.total;
        let in_seconds = |nanoseconds: u64| Duration::from_nanos(nanoseconds).as_secs_f64();
        let cpu = self.cpu.map(|cpu| cpu.as_secs_f64());
        GeneratorReport {
            busy: total.busy(),
            spinning: finite(total.spinning as f64 / total.elapsed as f64),
            cpu_us_per_message: cpu.and_then(|cpu| finite(cpu * 1e6 / total.messages as f64)),
            cpu_s: cpu,
            elapsed_s: in_seconds(total.elapsed),
            polling_s: in_seconds(total.polling),
            spinning_s: in_seconds(total.spinning),
        }
    }

    fn histograms(&self) -> BTreeMap<String, String> {
        self.total
            .rows()
            .into_iter()
            .map(|(name, row)| (name.into(), histogram::encode(&row.histogram)))
            .collect()
    }
}

/// What the numbers suggest.
fn hints(response: &LatencySummary) -> Vec<String> {
    let near = |delay: &f64| {
        response
            .p50
            .is_some_and(|p50| (0.9 * delay..=1.1 * delay).contains(&p50))
    };
    let hint = |delay: f64| {
        let milliseconds = delay / 1e3;
        format!(
            "p50 of response is near {milliseconds} ms: it looks like Nagle's algorithm and delayed ACK (is TCP_NODELAY \
             set on the server?)"
        )
    };
    NAGLE.into_iter().filter(near).map(hint).collect()
}

fn server(usage: ServerUsage, window: Duration) -> ServerReport {
    let cpu = usage.cpu.map(|cpu| cpu.as_secs_f64());
    ServerReport {
        cpu_s: cpu,
        cpu: cpu.and_then(|cpu| finite(cpu / window.as_secs_f64())),
        rss_bytes: usage.rss,
        bytes_per_connection: usage.bytes_per_connection.and_then(finite),
    }
}

fn tally(report: &Report, window: Duration) -> Result<Metrics, DecodeError> {
    let metrics = &report.metrics;
    let row = |name: &str, row: &LatencySummary| decode_row(report, name, row);
    let generator = &report.generator;
    let in_flight = metrics.in_flight.unwrap_or(0.0) * window.as_nanos() as f64;
    Ok(Metrics {
        response: row("response", &metrics.response_us)?,
        wait: row("wait", &metrics.wait_us)?,
        service: row("service", &metrics.service_us)?,
        send_lag: row("send_lag", &metrics.send_lag_us)?,
        connect: row("connect", &metrics.connect_us)?,
        turn: row("turn", &metrics.turn_us)?,
        messages: metrics.messages,
        bytes: metrics.bytes,
        unanswered: metrics.unanswered,
        unsent: metrics.unsent,
        reconnects: metrics.reconnects,
        failures: failures(&metrics.errors),
        corrupted: metrics.corrupted,
        corruption: metrics.corruption.as_ref().map(CorruptionReport::read),
        in_flight: in_flight.round() as u128,
        polling: nanoseconds(generator.polling_s * 1e6),
        spinning: nanoseconds(generator.spinning_s * 1e6),
        elapsed: nanoseconds(generator.elapsed_s * 1e6),
    })
}

fn decode_row(
    report: &Report,
    name: &str,
    row: &LatencySummary,
) -> Result<LatencyHistogram, DecodeError> {
    let text = report
        .histograms
        .get(name)
        .ok_or_else(|| DecodeError(format!("no histogram of {name}")))?;
    let histogram = histogram::decode(text)
        .map_err(|error| DecodeError(format!("the histogram of {name}: {error}")))?;
    Ok(LatencyHistogram {
        histogram,
        max: row.max.map_or(0, nanoseconds),
        overflow: row.overflow,
        bounded_from: row.bounded_from.map(nanoseconds),
    })
}

/// A name that a later version has added is another failure.
fn failures(errors: &BTreeMap<String, u64>) -> Failures {
    let mut failures = Failures::default();
    for (name, count) in errors {
        let known = Failure::ALL
            .into_iter()
            .find(|failure| failure.name() == name);
        failures[known.unwrap_or(Failure::Other)] += count;
    }
    failures
}

fn seconds(number: f64) -> Duration {
    Duration::from_nanos(nanoseconds(number * 1e6))
}

/// Of microseconds; what cannot be is nearest to it.
fn nanoseconds(microseconds: f64) -> u64 {
    (microseconds * 1e3).round() as u64
}

fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

impl CorruptionReport {
    fn of(corruption: &Corruption) -> Self {
        let hex =
            |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
        Self {
            connection: corruption.connection,
            offset: corruption.offset,
            expected: hex(&corruption.expected),
            got: hex(&corruption.got),
        }
    }

    fn read(&self) -> Corruption {
        Corruption {
            connection: self.connection,
            offset: self.offset,
            expected: bytes(&self.expected),
            got: bytes(&self.got),
        }
    }
}

/// Of hex digits, as far as they are any.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().map_while(|c| c.to_digit(16)).collect();
    digits
        .chunks_exact(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for DecodeError {}
