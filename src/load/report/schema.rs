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
use crate::load::judge::outcome::Outcome;
use crate::load::judge::slo::{Judgement, Slo};
use crate::load::judge::verdict::{Limit, Verdict};
use crate::load::measure::results::Results;
use crate::load::measure::summary::{IntervalSummary, Summary};

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

impl Report {
    /// Of a measurement, judged by `slo`.
    pub fn new(results: &Results, slo: Option<&Slo>) -> Self {
        Parts::of(results).report(slo)
    }

    /// Returns the outcome of the measurement: the first that applies in the order of [`Outcome`].
    pub fn outcome(&self) -> Outcome {
        Outcome::of(&self.metrics, &self.slo, self.interrupted, &self.verdict)
    }

    /// As one JSON object, with a line break at its end.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self);
        json.expect("names that are text, and numbers") + "\n"
    }
}

#[cfg(test)]
mod tests;
