//! A batch: one of the parts of the window, in order, from which the uncertainty of the figures is computed.

use std::time::Duration;

use super::interference::Interference;
use super::interval::Interval;
use super::latency_histogram::LatencyHistogram;
use super::percentile::Percentile;
use super::series::WeightedValue;

/// The starts and the lengths of batches that count as the same batch differ by less than a batch divided by this. A
/// generator that was late for the end of a batch is late by some milliseconds, and its next batch is shorter.
const ALIGNMENT: u32 = 4;

/// A part of the window. The batches of a run follow each other without gaps.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// From the start of the window to the start of the batch.
    pub start: Duration,
    /// The length of the batch.
    pub length: Duration,
    /// The number of verified replies that arrived in the batch.
    pub messages: u64,
    /// The response times of the messages that ended in the batch. The last batch includes the messages of the window
    /// that ended after it.
    pub response: LatencyHistogram,
    /// What the rest of the machine did meanwhile.
    pub interference: Interference,
}

impl Batch {
    /// Returns the batch of an interval.
    pub fn new(interval: Interval, interference: Interference) -> Self {
        Self {
            start: interval.start,
            length: interval.length,
            messages: interval.counts.messages,
            response: interval.response,
            interference,
        }
    }

    /// Extends the batch by `next`, which follows it.
    pub fn append(&mut self, next: &Self) {
        let lengths = (self.length, next.length);
        self.interference = self.interference.followed_by(next.interference, lengths);
        self.length += next.length;
        self.messages += next.messages;
        self.response += &next.response;
    }

    /// Returns the sum of batches that follow each other; `None` if there are none.
    pub fn join(batches: &[Self]) -> Option<Self> {
        let (first, others) = batches.split_first()?;
        let mut sum = first.clone();
        others.iter().for_each(|next| sum.append(next));
        Some(sum)
    }

    /// Returns messages per second, with the seconds as weight. The value is 0 if no time passed.
    pub fn messages_per_sec(&self) -> WeightedValue {
        let seconds = self.length.as_secs_f64();
        let value = match seconds > 0.0 {
            true => self.messages as f64 / seconds,
            false => 0.0,
        };
        WeightedValue {
            value,
            weight: seconds,
        }
    }

    /// Returns a percentile of the response in nanoseconds, with the number of samples as weight. The value is 0 if
    /// there is no sample.
    pub fn percentile(&self, percentile: Percentile) -> WeightedValue {
        let known = self.response.known();
        let value = self.response.percentile(percentile, &known);
        WeightedValue {
            value: value.unwrap_or_default() as f64,
            weight: self.samples(),
        }
    }

    /// Returns the number of response times.
    pub fn samples(&self) -> f64 {
        self.response.histogram.len() as f64
    }

    /// Adds the batches of two shards one by one. Returns an empty list if the shards have different batches.
    pub fn add_all(mut a: Vec<Self>, b: &[Self]) -> Vec<Self> {
        let is_same = |(a, b): (&Self, &Self)| {
            let tolerance = a.length / ALIGNMENT;
            a.start.abs_diff(b.start) < tolerance && a.length.abs_diff(b.length) < tolerance
        };
        if a.len() != b.len() || !a.iter().zip(b).all(is_same) {
            return Vec::new();
        }
        for (a, b) in a.iter_mut().zip(b) {
            a.messages += b.messages;
            a.response += &b.response;
            a.interference = a.interference.sum(b.interference);
        }
        a
    }
}
