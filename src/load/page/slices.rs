//! The window as slices of time: the batches of a report, or its intervals if it has no batches.

use std::error::Error;

use crate::load::measure::batch::Batch;
use crate::load::measure::interference::Interference;
use crate::load::measure::interval::IntervalSummary;
use crate::load::measure::latency_summary::LatencySummary;
use crate::load::report::schema::Report;

/// A slice without a reply stands out if this many replies were to be expected.
const REPLIES_EXPECTED: f64 = 10.0;

/// A part of the window.
#[derive(Clone, Debug)]
pub struct Slice {
    /// Seconds from the start of the window to the start of the slice.
    pub start: f64,
    /// Seconds from the start of the window to the end of the slice.
    pub end: f64,
    /// The replies that arrived.
    pub messages: u64,
    /// The response times of the messages that ended.
    pub response: LatencySummary,
    /// What the rest of the machine did.
    pub interference: Interference,
}

impl Slice {
    /// Returns the slices of the window of `report`, in order.
    ///
    /// # Errors
    ///
    /// When a batch cannot be decoded.
    pub fn all_of(report: &Report) -> Result<Vec<Self>, Box<dyn Error>> {
        if report.batches.is_empty() {
            return Ok(report.intervals.iter().map(Self::of_interval).collect());
        }
        let batches = report
            .batches
            .iter()
            .map(|batch| Ok(Self::of_batch(&batch.batch()?)));
        batches.collect()
    }

    fn of_batch(batch: &Batch) -> Self {
        Self {
            start: batch.start.as_secs_f64(),
            end: (batch.start + batch.length).as_secs_f64(),
            messages: batch.messages,
            response: LatencySummary::of(&batch.response),
            interference: batch.interference,
        }
    }

    fn of_interval(interval: &IntervalSummary) -> Self {
        let times = &interval.response_us;
        Self {
            start: interval.start_s,
            end: interval.start_s + interval.seconds,
            messages: interval.messages,
            response: LatencySummary {
                count: times.count,
                p50: times.p50,
                p99: times.p99,
                max: times.max,
                lower_bounds: times.lower_bounds,
                ..LatencySummary::default()
            },
            interference: Interference::default(),
        }
    }

    /// Returns the replies per second.
    pub fn rate(&self) -> f64 {
        let seconds = self.end - self.start;
        if seconds > 0.0 {
            self.messages as f64 / seconds
        } else {
            0.0
        }
    }
}

/// Returns the times, from start to end in seconds, in which no reply arrived although some were to be expected. Without any
/// reply that is the whole window.
pub fn silences(slices: &[Slice]) -> Vec<(f64, f64)> {
    let total: u64 = slices.iter().map(|slice| slice.messages).sum();
    if let (0, Some(first), Some(last)) = (total, slices.first(), slices.last()) {
        return vec![(first.start, last.end)];
    }
    let seconds: f64 = slices.iter().map(|slice| slice.end - slice.start).sum();
    let mut silences: Vec<(f64, f64)> = Vec::new();
    let mut is_after_silence = false;
    for slice in slices {
        let expected = total as f64 * (slice.end - slice.start) / seconds;
        let is_silent = slice.messages == 0 && expected >= REPLIES_EXPECTED;
        match silences.last_mut() {
            Some((_, end)) if is_silent && is_after_silence => *end = slice.end,
            Some(_) | None if is_silent => silences.push((slice.start, slice.end)),
            Some(_) | None => {}
        }
        is_after_silence = is_silent;
    }
    silences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_without_a_reply_that_follow_each_other_are_one_silence() {
        let of = |messages: &[u64]| {
            let slices = messages.iter().enumerate().map(|(at, messages)| Slice {
                start: at as f64,
                end: at as f64 + 1.0,
                messages: *messages,
                response: LatencySummary::default(),
                interference: Interference::default(),
            });
            silences(&slices.collect::<Vec<_>>())
        };
        assert_eq!(of(&[0, 0, 100, 0, 100]), [(0.0, 2.0), (3.0, 4.0)]);
        assert_eq!(of(&[0, 9, 9]), [], "few replies were to be expected");
        assert_eq!(of(&[0, 0]), [(0.0, 2.0)]);
        assert_eq!(of(&[]), []);
    }
}
