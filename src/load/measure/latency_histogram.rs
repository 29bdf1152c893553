//! A histogram of durations, and what it cannot hold itself: the exact maximum and the lower bounds.

use std::borrow::Cow;
use std::ops::AddAssign;

use hdrhistogram::Histogram;

use super::percentile::Percentile;

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
    /// Those of the durations that are only lower bounds: the message had no answer when its age was recorded, or its
    /// duration exceeds [`LONGEST`]. `None` if there are none, which saves the memory.
    pub lower_bounds: Option<Histogram<u64>>,
}

impl LatencyHistogram {
    /// Adds a duration.
    pub fn record(&mut self, nanoseconds: u64) {
        match nanoseconds > LONGEST {
            true => self.record_unfinished(nanoseconds, 1),
            false => self.add(nanoseconds, 1),
        }
    }

    /// Adds a duration that is only a lower bound, `count` times: the age of messages that have no answer.
    pub fn record_unfinished(&mut self, nanoseconds: u64, count: u64) {
        self.add(nanoseconds, count);
        let lower_bounds = self.lower_bounds.get_or_insert_with(empty);
        lower_bounds.saturating_record_n(nanoseconds, count);
    }

    /// Returns the shortest duration that counts as the same as `nanoseconds`.
    pub fn shortest_equivalent(&self, nanoseconds: u64) -> u64 {
        match nanoseconds > LONGEST {
            true => LONGEST + 1,
            false => self.histogram.lowest_equivalent(nanoseconds),
        }
    }

    fn add(&mut self, nanoseconds: u64, count: u64) {
        self.max = self.max.max(nanoseconds);
        if nanoseconds > LONGEST {
            self.overflow += count;
        }
        self.histogram.saturating_record_n(nanoseconds, count);
    }

    /// Returns the histogram of the durations that are exactly known.
    pub fn known(&self) -> Cow<'_, Histogram<u64>> {
        let Some(lower_bounds) = &self.lower_bounds else {
            return Cow::Borrowed(&self.histogram);
        };
        let mut known = self.histogram.clone();
        known
            .subtract(lower_bounds)
            .expect("the lower bounds are among the durations");
        Cow::Owned(known)
    }

    /// Returns `percentile` of all durations, of which `known` are known; `None` if there are none.
    ///
    /// A duration that is only a lower bound counts as longer than all others. A percentile whose rank is among the
    /// lower bounds is one itself, see [`Percentile::is_known`]: then each duration counts with what is known of it.
    pub fn percentile(&self, percentile: Percentile, known: &Histogram<u64>) -> Option<u64> {
        let count = self.histogram.len();
        (count > 0).then(|| self.value_at_rank(percentile.rank(count), known))
    }

    /// Returns the duration of `rank` among all durations in ascending order, from 1, as [`Self::percentile`] does.
    pub fn value_at_rank(&self, rank: u64, known: &Histogram<u64>) -> u64 {
        let durations = match rank <= known.len() {
            true => known,
            false => &self.histogram,
        };
        // Half a rank lower: the histogram rounds up to a whole rank.
        let quantile = (rank as f64 - 0.5) / durations.len() as f64;
        // The bucket of the histogram may reach beyond the longest duration in it.
        durations.value_at_quantile(quantile).min(self.max)
    }

    /// Removes all durations, and keeps the memory.
    pub fn reset(&mut self) {
        // Clearing an empty histogram would only make its pages resident.
        if !self.histogram.is_empty() {
            self.histogram.reset();
        }
        (self.max, self.overflow, self.lower_bounds) = (0, 0, None);
    }

    /// Returns the number of durations that are only lower bounds.
    pub fn lower_bounds(&self) -> u64 {
        self.lower_bounds.as_ref().map_or(0, Histogram::len)
    }
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, DIGITS)
        .expect("the lower bound is below the upper bound")
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self {
            histogram: empty(),
            max: 0,
            overflow: 0,
            lower_bounds: None,
        }
    }
}

impl AddAssign<&LatencyHistogram> for LatencyHistogram {
    fn add_assign(&mut self, other: &LatencyHistogram) {
        if other.histogram.is_empty() {
            return;
        }
        self.histogram
            .add(&other.histogram)
            .expect("the histograms have the same bounds");
        self.max = self.max.max(other.max);
        self.overflow += other.overflow;
        if let Some(lower_bounds) = &other.lower_bounds {
            self.lower_bounds
                .get_or_insert_with(empty)
                .add(lower_bounds)
                .expect("the histograms have the same bounds");
        }
    }
}
