//! A row of times, as reports give it.

use serde::{Deserialize, Serialize};

use super::metrics::{LONGEST, LatencyHistogram};
use super::percentile::Percentile;

/// Times of one kind, in microseconds.
///
/// A percentile is null unless at least ten samples lie above it. It is that of the histogram, which keeps three digits;
/// `max` is exact. All are null when there was no sample.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencySummary {
    /// Samples.
    pub count: u64,
    /// The least.
    pub min: Option<f64>,
    /// The median.
    pub p50: Option<f64>,
    /// 90 % are not longer.
    pub p90: Option<f64>,
    /// 99 % are not longer.
    pub p99: Option<f64>,
    /// 99.9 % are not longer.
    pub p99_9: Option<f64>,
    /// 99.99 % are not longer.
    pub p99_99: Option<f64>,
    /// The greatest.
    pub max: Option<f64>,
    /// The sum of all by their number.
    pub mean: Option<f64>,
    /// From here on a percentile and `max` are lower bounds, and so is `mean`: there are samples of which only that much
    /// is known to have passed. Null if there is none.
    pub bounded_from: Option<f64>,
    /// Samples longer than an hour, which the histogram counts as an hour.
    pub overflow: u64,
}

impl LatencySummary {
    /// Of `row`.
    pub fn of(row: &LatencyHistogram) -> Self {
        let count = row.histogram.len();
        if count == 0 {
            return Self::default();
        }
        let quantiles = Percentile::ALL.map(Percentile::quantile);
        let mut values = row.histogram.value_at_quantiles(quantiles);
        let [p50, p90, p99, p99_9, p99_99] = Percentile::ALL.map(|percentile| {
            let value = values.next()?;
            // The bucket may reach beyond the longest sample in it.
            (count >= percentile.samples_needed()).then(|| microseconds(value.min(row.max)))
        });
        Self {
            count,
            min: Some(microseconds(row.histogram.min().min(row.max))),
            p50,
            p90,
            p99,
            p99_9,
            p99_99,
            max: Some(microseconds(row.max)),
            mean: Some(row.histogram.mean().round() / 1e3),
            bounded_from: bounded_from(row).map(microseconds),
            overflow: row.overflow,
        }
    }

    /// The percentile, if there is one.
    pub fn percentile(&self, percentile: Percentile) -> Option<f64> {
        match percentile {
            Percentile::P50 => self.p50,
            Percentile::P90 => self.p90,
            Percentile::P99 => self.p99,
            Percentile::P999 => self.p99_9,
            Percentile::P9999 => self.p99_99,
        }
    }

    /// Whether `value`, a percentile or the maximum, only says how much it is at least.
    pub fn is_lower_bound(&self, value: f64) -> bool {
        self.bounded_from.is_some_and(|bound| value >= bound)
    }
}

/// What the histogram cannot tell from an hour is a lower bound too.
fn bounded_from(row: &LatencyHistogram) -> Option<u64> {
    let overflow = (row.overflow > 0).then_some(LONGEST);
    [row.bounded_from, overflow].into_iter().flatten().min()
}

fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(times: impl IntoIterator<Item = u64>) -> LatencyHistogram {
        let mut row = LatencyHistogram::default();
        times.into_iter().for_each(|time| row.record(time));
        row
    }

    #[test]
    fn a_row_without_samples_has_no_numbers() {
        let report = LatencySummary::of(&LatencyHistogram::default());
        assert_eq!(report, LatencySummary::default());
        let json = serde_json::to_string(&report).expect("JSON");
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
                .map(|count| LatencySummary::of(&row(1..=count)).percentile(percentile));
            assert!(
                few.is_none() && enough.is_some(),
                "{} {few:?} {enough:?}",
                percentile.name()
            );
        }
    }

    #[test]
    fn the_maximum_is_exact_and_no_percentile_exceeds_it() {
        let report = LatencySummary::of(&row([1_234_567; 20]));
        assert_eq!((report.p50, report.max), (Some(1_234.567), Some(1_234.567)));
    }

    #[test]
    fn from_an_unanswered_message_on_there_are_lower_bounds() {
        let mut row = row((0..980).map(|_| 1_000));
        for age in 0..20 {
            row.record_unfinished(50_000_000 + age);
        }
        let report = LatencySummary::of(&row);
        let is_bound = |value: Option<f64>| report.is_lower_bound(value.expect("a number"));
        assert_eq!(
            [report.p50, report.p99, report.max].map(is_bound),
            [false, true, true]
        );
        assert_eq!(report.bounded_from, Some(50_000.0));
    }

    #[test]
    fn more_than_an_hour_is_a_lower_bound() {
        let mut row = row([2 * LONGEST]);
        row.record_unfinished(3 * LONGEST);
        let report = LatencySummary::of(&row);
        assert_eq!((report.overflow, report.bounded_from), (2, Some(3_600e6)));
        assert!(report.is_lower_bound(report.max.expect("a maximum")));
    }

    proptest! {
        #[test]
        fn percentiles_ascend(times in prop::collection::vec(1..10_000_000_000_u64, 1..200)) {
            let report = LatencySummary::of(&row(times));
            let all = [report.min, report.p50, report.p90, report.max];
            let known: Vec<f64> = all.into_iter().flatten().collect();
            prop_assert!(known.is_sorted(), "{known:?}");
        }
    }
}
