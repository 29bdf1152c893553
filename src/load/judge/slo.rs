//! Service level objectives: bounds that the figures of a measurement have to stay below.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::load::measure::percentile::Percentile;
use crate::load::measure::summary::Summary;
use crate::load::units::{format_duration, microseconds};

/// Service level objectives. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo(pub Vec<Objective>);

/// A service level objective: a bound that a figure has to stay below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Objective {
    /// A percentile of the response times.
    Percentile(Percentile, Duration),
    /// The longest response time.
    Max(Duration),
    /// The mean response time.
    Mean(Duration),
    /// Failed, unanswered, unsent and corrupted messages in percent of all messages that were intended.
    Errors(f64),
}

/// An objective and the figure that it was checked against: an element of `slo` in the JSON report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ObjectiveResult {
    /// The objective. In JSON: its text, such as `p99 < 1 ms`.
    #[serde(serialize_with = "as_text")]
    pub objective: Objective,
    /// The measured figure: microseconds, or for `errors` a share where 1 is all messages; null if there are too few
    /// samples.
    pub measured: Option<f64>,
    /// True if `measured` is only a lower bound.
    pub lower_bound: bool,
    /// True if the objective is met: `measured` exists, is not only a lower bound, and is below the bound.
    pub met: bool,
}

impl Slo {
    /// Checks each objective against `summary`.
    pub(crate) fn check(&self, summary: &Summary) -> Vec<ObjectiveResult> {
        let objectives = self.0.iter();
        objectives
            .map(|objective| objective.check(summary))
            .collect()
    }
}

impl Objective {
    fn check(self, summary: &Summary) -> ObjectiveResult {
        let response = &summary.response_us;
        let (measured, bound) = match self {
            Self::Percentile(percentile, bound) => {
                (response.percentile(percentile), microseconds(bound))
            }
            Self::Max(bound) => (response.max, microseconds(bound)),
            Self::Mean(bound) => (response.mean, microseconds(bound)),
            Self::Errors(bound) => (summary.error_share(), bound / 100.0),
        };
        let is_lower_bound = match self {
            Self::Percentile(percentile, _) => response.is_lower_bound(percentile),
            Self::Max(_) | Self::Mean(_) => response.has_lower_bounds(),
            Self::Errors(_) => false,
        };
        ObjectiveResult {
            objective: self,
            measured,
            lower_bound: is_lower_bound && measured.is_some(),
            met: !is_lower_bound && measured.is_some_and(|figure| figure < bound),
        }
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (figure, bound) = match *self {
            Self::Percentile(percentile, bound) => (percentile.name(), format_duration(bound)),
            Self::Max(bound) => ("max", format_duration(bound)),
            Self::Mean(bound) => ("mean", format_duration(bound)),
            Self::Errors(bound) => ("errors", format!("{bound} %")),
        };
        write!(f, "{figure} < {bound}")
    }
}

fn as_text<S: Serializer>(objective: &Objective, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(objective)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::load::measure::failure::Failure;
    use crate::load::measure::latency_summary::LatencySummary;
    use crate::load::measure::measurement::Measurement;
    use crate::load::measure::metrics::Metrics;
    use crate::load::testing::closed_loop;

    static SUMMARY: LazyLock<Summary> = LazyLock::new(|| Summary::of(&closed()));

    fn closed() -> Measurement {
        closed_loop().measurement
    }

    fn check(measurement: &Measurement, objective: Objective) -> ObjectiveResult {
        objective.check(&Summary::of(measurement))
    }

    fn is_met(measurement: &Measurement, objective: Objective) -> bool {
        check(measurement, objective).met
    }

    #[test]
    fn a_time_below_the_bound_meets_an_objective() {
        let measurement = closed();
        let us = Duration::from_micros;
        for (objective, met) in [
            (Objective::Percentile(Percentile::P50, us(201)), true),
            (Objective::Percentile(Percentile::P50, us(200)), false),
            (Objective::Percentile(Percentile::P99, us(299)), true),
            (Objective::Max(us(300)), false),
            (Objective::Max(us(301)), true),
            (Objective::Mean(us(200)), false),
            (Objective::Mean(us(201)), true),
        ] {
            assert_eq!(is_met(&measurement, objective), met, "{objective}");
        }
    }

    #[test]
    fn an_objective_is_not_met_if_its_percentile_has_too_few_samples() {
        let objective = Objective::Percentile(Percentile::P999, Duration::from_secs(9));
        let result = check(&closed(), objective);
        assert_eq!((result.measured, result.met), (None, false));
    }

    #[test]
    fn a_lower_bound_does_not_meet_an_objective() {
        let mut measurement = closed();
        measurement.total.response.record_unfinished(100, 1);
        let far = Duration::from_secs(9);
        for percentile in [Percentile::P50, Percentile::P99] {
            assert!(is_met(&measurement, Objective::Percentile(percentile, far)));
        }
        for objective in [Objective::Max(far), Objective::Mean(far)] {
            let result = check(&measurement, objective);
            assert_eq!(
                (result.lower_bound, result.met),
                (true, false),
                "{objective}"
            );
        }
    }

    #[test]
    fn errors_are_a_share_of_all_messages_that_were_intended() {
        let mut measurement = closed();
        assert!(is_met(&measurement, Objective::Errors(0.000_1)));
        // A reply that arrives after the window does not count towards the rate, and is not an error.
        measurement.total.counts.messages = 1_000;
        measurement.total.counts.failures[Failure::Reset] = 200;
        measurement.total.counts.unanswered = 150;
        measurement.total.counts.unsent = 100;
        measurement.total.counts.corrupted = 50;
        assert_eq!(
            check(&measurement, Objective::Errors(10.0)).measured,
            Some(0.2)
        );
        assert!(!is_met(&measurement, Objective::Errors(20.0)));
        assert!(is_met(&measurement, Objective::Errors(20.1)));

        measurement.total = Metrics::default();
        assert!(
            !is_met(&measurement, Objective::Errors(100.0)),
            "no message was intended"
        );
    }

    #[test]
    fn an_objective_is_printed_with_units() {
        for (objective, text) in [
            (
                Objective::Percentile(Percentile::P99, Duration::from_millis(1)),
                "p99 < 1 ms",
            ),
            (
                Objective::Percentile(Percentile::P9999, Duration::from_nanos(1_500)),
                "p99.99 < 1.5 us",
            ),
            (Objective::Max(Duration::from_secs(90)), "max < 90 s"),
            (Objective::Errors(0.1), "errors < 0.1 %"),
            (Objective::Errors(0.07), "errors < 0.07 %"),
            (Objective::Errors(100.0), "errors < 100 %"),
            (Objective::Errors(1e-8), "errors < 0.00000001 %"),
            (Objective::Errors(1e-12), "errors < 0.000000000001 %"),
        ] {
            assert_eq!(objective.to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn a_figure_meets_an_objective_if_it_is_below_the_bound_and_exact(value: u32, bound in 1..=u32::MAX, which in 0..3_usize, is_lower_bound: bool) {
            let us = Some(f64::from(value) / 1e3);
            let mut summary = SUMMARY.clone();
            summary.response_us = LatencySummary {
                p90: us,
                max: us,
                mean: us,
                count: 100,
                lower_bounds: if is_lower_bound { 11 } else { 0 },
                ..LatencySummary::default()
            };
            let limit = Duration::from_nanos(bound.into());
            let objective = [
                Objective::Max(limit),
                Objective::Mean(limit),
                Objective::Percentile(Percentile::P90, limit),
            ][which];
            prop_assert_eq!(objective.check(&summary).met, value < bound && !is_lower_bound);
        }
    }
}
