//! A report: everything that is known of a measurement, as one JSON object. The text is made from it too, so the two
//! cannot differ.
//!
//! [`Report`] is the documented schema. Its fields have the names that JSON has. It only grows: a reader ignores what it
//! does not know. A number that does not exist is null, and there is no other special value. Times end in `_us`
//! (microseconds) or `_s` (seconds).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::config::ConfigReport;
use super::environment::Environment;
use super::parts::Parts;
use super::row::LatencySummary;
use crate::load::judge::slo::{Judgement, Slo};
use crate::load::judge::verdict::{Limit, Verdict};
use crate::load::measure::results::Results;

/// The version of the schema.
pub const SCHEMA: u32 = 1;

/// Everything that is known of a measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What was asked for.
    pub config: ConfigReport,
    /// Where it was measured.
    pub environment: Environment,
    /// When the window began, RFC 3339, on the clock of the first process.
    pub began: String,
    /// How many reports this one is the sum of; null: it is of one process.
    pub merged_from: Option<usize>,
    /// The signal that ended the measurement early; null: it came to its end.
    pub interrupted: Option<i32>,
    /// Whether the measurement can be believed.
    pub verdict: Verdict,
    /// What bounded a closed loop: `generator`, `server` or `neither`; null: an open loop, or shards that differ.
    pub limited_by: Option<Limit>,
    /// What the numbers suggest, each on one line.
    pub hints: Vec<String>,
    /// What became of the objectives; empty without any.
    pub slo: Vec<Judgement>,
    /// What was measured.
    pub metrics: Summary,
    /// What it took.
    pub generator: GeneratorReport,
    /// The server that was started for the measurement; null: there was none.
    pub server: Option<ServerReport>,
    /// The window, piece by piece.
    pub intervals: Vec<IntervalSummary>,
    /// Of `response`, `wait`, `service`, `send_lag`, `connect` and `turn`, in nanoseconds: base64 of HdrHistogram's V2
    /// encoding with DEFLATE.
    pub histograms: BTreeMap<String, String>,
}

/// What was measured in the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Replies that came in the window, verified unless that was not wanted.
    pub messages: u64,
    /// The length of the window.
    pub seconds: f64,
    /// `messages` by `seconds`.
    pub messages_per_sec: Option<f64>,
    /// What an open loop was to reach (a shard its part of it); null: a closed loop.
    pub asked_per_sec: Option<f64>,
    /// `messages_per_sec` by `asked_per_sec`; where a number of messages was asked for, without the time until the first
    /// of them was back.
    pub achieved: Option<f64>,
    /// Payload received.
    pub bytes: u64,
    /// 10^6 bytes of payload received, by `seconds`.
    pub mb_per_sec: Option<f64>,
    /// Of this process.
    pub connections_asked: usize,
    /// That the server let us have, on average over the window. With churn each is many, one after the other, and is
    /// missing from a failure until another succeeds.
    pub connections_achieved: usize,
    /// How often what failed: `refused`, `unreachable`, `unresolved`, `connect_timeout`, `no_source_port`, `descriptors`,
    /// `self_connect`, `reset`, `closed`, `timeout`, `other`. What did not happen is left out.
    pub errors: BTreeMap<String, u64>,
    /// Replies that differed from what was sent.
    pub corrupted: u64,
    /// The first of them; null: there was none.
    pub corruption: Option<CorruptionReport>,
    /// Sent, and neither answered nor timed out at the end.
    pub unanswered: u64,
    /// Intended, and never sent.
    pub unsent: u64,
    /// Attempts to replace a connection.
    pub reconnects: u64,
    /// Unanswered messages, on average over the window.
    pub in_flight: Option<f64>,
    /// Intended until answered.
    pub response_us: LatencySummary,
    /// Intended until the connection could take it: the peer's part of a delay.
    pub wait_us: LatencySummary,
    /// Sent until answered.
    pub service_us: LatencySummary,
    /// Could be sent until sent: the generator's part of a delay.
    pub send_lag_us: LatencySummary,
    /// Connects.
    pub connect_us: LatencySummary,
    /// From the poll's return until the read: the generator's own, and part of `service_us`.
    pub turn_us: LatencySummary,
}

/// Where a reply differed from what was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorruptionReport {
    /// The number of the connection, from 1.
    pub connection: u64,
    /// Of the first wrong byte among the bytes that the connection echoed, from 0.
    pub offset: u64,
    /// The bytes that were due there, a few, in hex.
    pub expected: String,
    /// The bytes that came, a few, in hex.
    pub got: String,
}

/// What the measurement took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeneratorReport {
    /// The share of the time, over all threads, in which it neither waited nor looked again.
    pub busy: Option<f64>,
    /// The share of the time in which it looked again and again because something was due soon.
    pub spinning: Option<f64>,
    /// CPU time by `messages`; null where the system does not tell.
    pub cpu_us_per_message: Option<f64>,
    /// CPU time; null where the system does not tell.
    pub cpu_s: Option<f64>,
    /// Time of all threads.
    pub elapsed_s: f64,
    /// Of it, waiting.
    pub polling_s: f64,
    /// Of it, looking again and again.
    pub spinning_s: f64,
}

/// What the server took that was started for the measurement; null where the system does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerReport {
    /// CPU time in the window.
    pub cpu_s: Option<f64>,
    /// The same, as a share of one core.
    pub cpu: Option<f64>,
    /// Resident memory at the end.
    pub rss_bytes: Option<u64>,
    /// Resident memory that a connection added.
    pub bytes_per_connection: Option<f64>,
}

/// A part of the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntervalSummary {
    /// Since the begin of the window.
    pub start_s: f64,
    /// Its length.
    pub seconds: f64,
    /// Answered in it.
    pub messages: u64,
    /// Failures in it, of all kinds. Wrong replies are none of them.
    pub errors: u64,
    /// Of messages of the window that ended in it. Those that ended behind the window are in the last interval.
    pub response_us: IntervalLatency,
}

/// Response times of an interval, in microseconds. See [`LatencySummary`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IntervalLatency {
    /// The median.
    pub p50: Option<f64>,
    /// 99 % are not longer.
    pub p99: Option<f64>,
    /// The greatest.
    pub max: Option<f64>,
    /// From here on these are lower bounds.
    pub bounded_from: Option<f64>,
}

impl Report {
    /// Of a measurement, judged by `slo`.
    pub fn new(results: &Results, slo: Option<&Slo>) -> Self {
        Parts::of(results).report(slo)
    }

    /// As one JSON object, with a line break at its end.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self);
        json.expect("names that are text, and numbers") + "\n"
    }
}

impl Summary {
    /// Messages of the window that were answered, in it or behind it.
    pub fn answered(&self) -> u64 {
        self.service_us.count
    }

    /// Failures, unanswered, unsent and corrupted messages, as a share of all that ended; none if none did.
    pub fn error_share(&self) -> Option<f64> {
        let failures: u64 = self.errors.values().sum();
        let bad = failures + self.unanswered + self.unsent + self.corrupted;
        let all = bad + self.answered();
        (all > 0).then(|| bad as f64 / all as f64)
    }
}

#[cfg(test)]
mod tests;
