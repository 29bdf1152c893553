//! The figures of a latency histogram, as reports give them.

use serde::{Deserialize, Serialize};

use super::latency_histogram::LatencyHistogram;
use super::percentile::Percentile;

/// The figures of a latency histogram. Times are in microseconds.
///
/// A percentile is null if fewer than ten samples lie above it. Percentiles are read from the histogram, which keeps
/// three digits; `max` is exact. All times are null if there is no sample.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencySummary {
    /// The number of samples.
    pub count: u64,
    /// The shortest time of an answered message; null if there is none.
    pub min: Option<f64>,
    /// The median; null if there are fewer than 20 samples.
    pub p50: Option<f64>,
    /// The time that 90 % of the samples do not exceed; null if there are fewer than 100 samples.
    pub p90: Option<f64>,
    /// The time that 99 % of the samples do not exceed; null if there are fewer than 1,000 samples.
    pub p99: Option<f64>,
    /// The time that 99.9 % of the samples do not exceed; null if there are fewer than 10,000 samples.
    pub p99_9: Option<f64>,
    /// The time that 99.99 % of the samples do not exceed; null if there are fewer than 100,000 samples.
    pub p99_99: Option<f64>,
    /// The longest time.
    pub max: Option<f64>,
    /// The arithmetic mean.
    pub mean: Option<f64>,
    /// The number of samples that are only lower bounds. A message without an answer enters `response` with its age at
    /// the end, and a time over an hour counts as an hour. In percentiles, these samples count as longer than all others:
    /// a percentile is a lower bound if its rank is among theirs, so `p99` is one if this is over 1 % of `count`. `max` and
    /// `mean` are lower bounds if this is not 0. The text report marks lower bounds with `>`.
    pub lower_bounds: u64,
    /// The number of samples over an hour. The histogram counts them as an hour.
    pub overflow: u64,
}

impl LatencySummary {
    /// Computes the figures of `latencies`.
    pub fn of(latencies: &LatencyHistogram) -> Self {
        let (histogram, max) = (&latencies.histogram, latencies.max);
        let count = histogram.len();
        if count == 0 {
            return Self::default();
        }
        let known = latencies.known();
        let [p50, p90, p99, p99_9, p99_99] = Percentile::ALL.map(|percentile| {
            let value = latencies.percentile(percentile, &known)?;
            (count >= percentile.samples_needed()).then(|| microseconds(value))
        });
        Self {
            count,
            min: (!known.is_empty()).then(|| microseconds(known.min().min(max))),
            p50,
            p90,
            p99,
            p99_9,
            p99_99,
            max: Some(microseconds(max)),
            mean: Some(histogram.mean().round() / 1e3),
            lower_bounds: latencies.lower_bounds(),
            overflow: latencies.overflow,
        }
    }

    /// Returns the percentile; `None` if there are too few samples.
    pub fn percentile(&self, percentile: Percentile) -> Option<f64> {
        self.percentiles()[percentile as usize]
    }

    /// Returns the percentiles in the order of [`Percentile::ALL`].
    pub fn percentiles(&self) -> [Option<f64>; 5] {
        [self.p50, self.p90, self.p99, self.p99_9, self.p99_99]
    }

    /// Returns true if the percentile is only a lower bound.
    pub fn is_lower_bound(&self, percentile: Percentile) -> bool {
        !percentile.is_known(self.count, self.lower_bounds)
    }

    /// Returns true if the maximum and the mean are only lower bounds: a single sample makes them so.
    pub fn has_lower_bounds(&self) -> bool {
        self.lower_bounds > 0
    }
}

fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::load::measure::latency_histogram::LONGEST;

    fn histogram(times: impl IntoIterator<Item = u64>) -> LatencyHistogram {
        let mut histogram = LatencyHistogram::default();
        times.into_iter().for_each(|time| histogram.record(time));
        histogram
    }

    #[test]
    fn without_samples_all_times_are_null() {
        let summary = LatencySummary::of(&LatencyHistogram::default());
        assert_eq!(summary, LatencySummary::default());
        let json = serde_json::to_string(&summary).expect("JSON");
        assert!(
            json.starts_with(r#"{"count":0,"min":null,"p50":null"#),
            "{json}"
        );
    }

    #[test]
    fn a_percentile_needs_ten_samples_above_it() {
        for (percentile, samples) in Percentile::ALL
            .into_iter()
            .zip([20, 100, 1_000, 10_000, 100_000])
        {
            let [few, enough] = [samples - 1, samples]
                .map(|count| LatencySummary::of(&histogram(1..=count)).percentile(percentile));
            assert!(
                few.is_none() && enough.is_some(),
                "{} {few:?} {enough:?}",
                percentile.name()
            );
        }
    }

    #[test]
    fn the_maximum_is_exact_and_no_percentile_exceeds_it() {
        let summary = LatencySummary::of(&histogram([1_234_567; 20]));
        assert_eq!(
            (summary.p50, summary.max),
            (Some(1_234.567), Some(1_234.567))
        );
    }

    #[test]
    fn fault_b2_a_percentile_is_a_lower_bound_by_its_rank_and_not_by_its_value() {
        // 20 of 1,000 messages have no answer, and they are younger than every answer is old.
        let mut latencies = histogram((1..=980).map(|n| 1_000_000 + n * 1_000));
        for age in 1..=20 {
            latencies.record_unfinished(age, 1);
        }
        let summary = LatencySummary::of(&latencies);
        assert_eq!(
            [Percentile::P50, Percentile::P90, Percentile::P99].map(|p| summary.is_lower_bound(p)),
            [false, false, true]
        );
        // The 500th and the 900th of the answered messages.
        for (time, expected) in [(summary.p50, 1_500.0), (summary.p90, 1_900.0)] {
            let time = time.expect("enough samples");
            assert!((time - expected).abs() < 1.5, "{time}");
        }
        assert_eq!(
            (summary.lower_bounds, summary.has_lower_bounds()),
            (20, true)
        );
        let min = summary.min.expect("an answer");
        assert!((1_000.0..1_002.0).contains(&min), "{min}");
    }

    #[test]
    fn fault_b2_without_an_answer_there_is_no_shortest_time() {
        let mut latencies = LatencyHistogram::default();
        latencies.record_unfinished(5_000, 1);
        let summary = LatencySummary::of(&latencies);
        assert_eq!(
            (summary.count, summary.min, summary.max),
            (1, None, Some(5.0))
        );
    }

    #[test]
    fn times_over_an_hour_are_lower_bounds() {
        let mut latencies = histogram([2 * LONGEST]);
        latencies.record_unfinished(3 * LONGEST, 1);
        let summary = LatencySummary::of(&latencies);
        assert_eq!((summary.overflow, summary.lower_bounds), (2, 2));
        assert!(summary.is_lower_bound(Percentile::P50) && summary.has_lower_bounds());
    }

    proptest! {
        #[test]
        fn percentiles_are_in_ascending_order(times in prop::collection::vec(1..10_000_000_000_u64, 1..200)) {
            let summary = LatencySummary::of(&histogram(times));
            let all = [summary.min, summary.p50, summary.p90, summary.max];
            let known: Vec<f64> = all.into_iter().flatten().collect();
            prop_assert!(known.is_sorted(), "{known:?}");
        }
    }
}
