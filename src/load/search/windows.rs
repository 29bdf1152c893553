//! How long the runs of a search measure.

use std::time::Duration;

use crate::load::judge::slo::{Objective, Slo};
use crate::load::measure::percentile::Percentile;

/// The share of the full duration that a run before the confirmation measures. About twenty such runs then take five times
/// the full duration.
const SHARE: f64 = 0.25;

/// A run measures longer than its share at low rates: until this many times the samples exist from which on a percentile is
/// reported. 100 samples lie above the percentile then, and their number varies by 10 % by chance.
const WANTED: f64 = 10.0;

/// A search is refused if its lowest rate has fewer samples over the full duration than this many times those from which
/// on a percentile is reported: random arrivals may be fewer than expected.
const LEAST: f64 = 2.0;

/// The samples that the mean and the maximum need. Any number has a mean; this is as many as a p90 needs.
const OF_MEAN: f64 = 100.0;

/// The errors that a limit of errors has to allow for: as many as the samples above a percentile.
const ERRORS: f64 = 10.0;

/// Returns how long a run at `rate` before the confirmation measures, where the confirmation measures for `full`.
pub fn step_window(slo: &Slo, rate: f64, full: Duration) -> Duration {
    let needed = slo.0.iter().map(|objective| samples_needed(*objective));
    let seconds = WANTED * needed.fold(0.0, f64::max) / rate;
    let wanted = Duration::try_from_secs_f64(seconds).unwrap_or(full);
    full.mul_f64(SHARE).max(wanted).min(full)
}

/// Returns how long a run at `rate` has to measure at least: a percentile with fewer samples is not reported.
pub fn least_window(slo: &Slo, rate: f64) -> Duration {
    let percentiles = slo.0.iter().filter(|objective| match objective {
        Objective::Percentile(..) => true,
        Objective::Max(_) | Objective::Mean(_) | Objective::Errors(_) => false,
    });
    let needed = percentiles.map(|objective| samples_needed(*objective));
    let seconds = LEAST * needed.fold(0.0, f64::max) / rate;
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

fn samples_needed(objective: Objective) -> f64 {
    let of_percentile = |percentile: Percentile| percentile.samples_needed() as f64;
    match objective {
        Objective::Percentile(percentile, _) => of_percentile(percentile),
        Objective::Max(_) | Objective::Mean(_) => OF_MEAN,
        Objective::Errors(percent) => ERRORS * 100.0 / percent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Duration = Duration::from_secs(10);

    fn slo(objectives: &[Objective]) -> Slo {
        Slo(objectives.to_vec())
    }

    #[test]
    fn a_step_takes_a_quarter_and_longer_where_the_percentile_needs_it() {
        let bound = Duration::from_millis(1);
        let p99 = slo(&[
            Objective::Max(bound),
            Objective::Percentile(Percentile::P99, bound),
        ]);
        let milliseconds = |slo: &Slo, rate| step_window(slo, rate, FULL).as_millis();
        assert_eq!(milliseconds(&p99, 100_000.0), 2_500);
        assert_eq!(milliseconds(&p99, 2_000.0), 5_000, "10,000 samples");
        assert_eq!(milliseconds(&p99, 0.001), 10_000, "never longer");
        assert_eq!(
            milliseconds(&slo(&[Objective::Errors(0.1)]), 20_000.0),
            5_000
        );
    }

    #[test]
    fn a_percentile_has_at_least_twice_the_samples_that_it_needs() {
        let bound = Duration::from_millis(1);
        let p999 = slo(&[
            Objective::Percentile(Percentile::P50, bound),
            Objective::Percentile(Percentile::P999, bound),
            Objective::Errors(0.000_1),
        ]);
        assert_eq!(least_window(&p999, 1_000.0), Duration::from_secs(20));
        let others = slo(&[Objective::Max(bound), Objective::Errors(0.1)]);
        assert_eq!(least_window(&others, 0.001), Duration::ZERO);
    }
}
