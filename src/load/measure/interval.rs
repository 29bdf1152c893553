//! An interval of the window: its raw figures, and the summary that is kept of them.

use std::ops::AddAssign;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::latency_histogram::LatencyHistogram;
use super::latency_summary::LatencySummary;
use super::metrics::Counts;

/// The starts and the lengths of intervals that count as the same interval differ by less than this share of an interval. A
/// generator that was late for the end of an interval is late by some milliseconds.
const ALIGNMENT: f64 = 0.1;

/// The raw figures of an interval of the window.
#[derive(Clone, Debug)]
pub struct Interval {
    /// From the start of the window to the start of the interval.
    pub start: Duration,
    /// The length of the interval.
    pub length: Duration,
    /// The response times of the messages that ended in the interval.
    pub response: LatencyHistogram,
    /// The counts.
    pub counts: Counts,
}

/// The summary of an interval of the window. It holds no histogram: those of an hour would fill the memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntervalSummary {
    /// Seconds from the start of the window to the start of the interval.
    pub start_s: f64,
    /// The length of the interval in seconds.
    pub seconds: f64,
    /// The number of verified replies that arrived in the interval.
    pub messages: u64,
    /// The number of messages that failed in the interval, by any name. Wrong replies are not failures, and neither are
    /// connections that failed while no message was due.
    pub errors: u64,
    /// The response times of the messages that ended in the interval. The last interval includes the messages of the
    /// window that ended after it.
    pub response_us: IntervalLatency,
}

/// The response times of an interval in microseconds, computed as in [`LatencySummary`]. In a sum of reports, `p50` and
/// `p99` are null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IntervalLatency {
    /// The median; null if there are fewer than 20 samples.
    pub p50: Option<f64>,
    /// The time that 99 % of the samples do not exceed; null if there are fewer than 1,000 samples.
    pub p99: Option<f64>,
    /// The longest time; null if there is no sample.
    pub max: Option<f64>,
    /// The number of samples.
    pub count: u64,
    /// The number of samples that are only lower bounds. See [`LatencySummary::lower_bounds`].
    pub lower_bounds: u64,
}

/// Adds the interval that follows.
impl AddAssign<&Interval> for Interval {
    fn add_assign(&mut self, next: &Interval) {
        self.length += next.length;
        self.response += &next.response;
        self.counts += &next.counts;
    }
}

impl IntervalSummary {
    /// Computes the summary of `interval`.
    pub fn of(interval: &Interval) -> Self {
        let times = LatencySummary::of(&interval.response);
        Self {
            start_s: interval.start.as_secs_f64(),
            seconds: interval.length.as_secs_f64(),
            messages: interval.counts.messages,
            errors: interval.counts.failures.total(),
            response_us: IntervalLatency {
                p50: times.p50,
                p99: times.p99,
                max: times.max,
                count: times.count,
                lower_bounds: times.lower_bounds,
            },
        }
    }

    /// Adds the intervals of two shards one by one. Returns an empty list if the shards have different intervals.
    pub fn add_all(a: &[Self], b: &[Self]) -> Vec<Self> {
        let pairs = || a.iter().zip(b);
        let are_same = a.len() == b.len()
            && pairs().all(|(a, b)| {
                let is_near = |one: f64, other: f64| (one - other).abs() < ALIGNMENT * a.seconds;
                is_near(a.start_s, b.start_s) && is_near(a.seconds, b.seconds)
            });
        match are_same {
            true => pairs().map(|(a, b)| a.sum(b)).collect(),
            false => Vec::new(),
        }
    }

    /// Percentiles cannot be added without histograms.
    fn sum(&self, other: &Self) -> Self {
        let (a, b) = (&self.response_us, &other.response_us);
        let known = |a: Option<f64>, b| [a, b].into_iter().flatten();
        Self {
            messages: self.messages + other.messages,
            errors: self.errors + other.errors,
            response_us: IntervalLatency {
                p50: None,
                p99: None,
                max: known(a.max, b.max).reduce(f64::max),
                count: a.count + b.count,
                lower_bounds: a.lower_bounds + b.lower_bounds,
            },
            ..*self
        }
    }
}
