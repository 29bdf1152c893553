//! A histogram of durations, and what it cannot hold itself: the exact maximum and the lower bounds.

use std::ops::AddAssign;

use hdrhistogram::Histogram;

/// The longest duration, in nanoseconds, that a histogram distinguishes: one hour. Longer durations count as an hour.
pub const LONGEST: u64 = 3_600_000_000_000;

/// The significant decimal digits that a histogram keeps of a duration.
pub const DIGITS: u8 = 3;

/// A histogram of durations in nanoseconds.
#[derive(Clone, Debug)]
pub struct LatencyHistogram {
    /// The durations from 1 ns to [`LONGEST`], each kept to [`DIGITS`] digits.
    pub histogram: Histogram<u64>,
    /// The exact longest duration, which may exceed [`LONGEST`].
    pub max: u64,
    /// The number of durations that exceed [`LONGEST`].
    pub overflow: u64,
    /// The shortest duration that is only a lower bound: the message had no answer yet when its age was recorded. Each
    /// percentile from here on is a lower bound too.
    pub lower_bound_from: Option<u64>,
}

impl LatencyHistogram {
    /// Adds a duration.
    pub fn record(&mut self, nanoseconds: u64) {
        self.max = self.max.max(nanoseconds);
        self.overflow += u64::from(nanoseconds > LONGEST);
        self.histogram.saturating_record(nanoseconds);
    }

    /// Adds a duration that is only a lower bound: the age of a message that has no answer.
    pub fn record_unfinished(&mut self, nanoseconds: u64) {
        self.record(nanoseconds);
        self.lower_bound_from = least(self.lower_bound_from, Some(nanoseconds));
    }

    /// Returns the duration that the share `quantile` of all durations does not exceed; `None` if there are none.
    pub fn value_at(&self, quantile: f64) -> Option<u64> {
        // The bucket of the histogram may reach beyond the longest duration in it.
        let value = self.histogram.value_at_quantile(quantile).min(self.max);
        (!self.histogram.is_empty()).then_some(value)
    }

    /// Returns the duration from which on percentiles are lower bounds. The histogram counts all durations over
    /// [`LONGEST`] as that, so they are lower bounds too.
    pub fn first_lower_bound(&self) -> Option<u64> {
        least(
            self.lower_bound_from,
            (self.overflow > 0).then_some(LONGEST),
        )
    }
}

fn least(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    [a, b].into_iter().flatten().min()
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self {
            histogram: Histogram::new_with_bounds(1, LONGEST, DIGITS)
                .expect("the lower bound is below the upper bound"),
            max: 0,
            overflow: 0,
            lower_bound_from: None,
        }
    }
}

impl AddAssign<&LatencyHistogram> for LatencyHistogram {
    fn add_assign(&mut self, other: &LatencyHistogram) {
        self.histogram
            .add(&other.histogram)
            .expect("the histograms have the same bounds");
        self.max = self.max.max(other.max);
        self.overflow += other.overflow;
        self.lower_bound_from = least(self.lower_bound_from, other.lower_bound_from);
    }
}
