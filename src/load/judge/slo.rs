//! What a measurement has to meet.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::load::measure::latency_summary::LatencySummary;
use crate::load::measure::percentile::Percentile;
use crate::load::measure::summary::Summary;
use crate::load::units;

/// Behind the point of a percentage; no smaller one is more than 0.
const MOST_DIGITS: usize = 324;

/// Service level objectives. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo(pub Vec<Objective>);

/// One of them: a bound that the measured value has to be under.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Objective {
    /// Of the response times.
    Percentile(Percentile, Duration),
    /// Of the response times.
    Max(Duration),
    /// Of the response times.
    Mean(Duration),
    /// Failures, unanswered, unsent and corrupted messages, as a share of all that ended; of one.
    Errors(f64),
}

/// What became of an objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The objective, as in `p99 < 1 ms`.
    pub objective: String,
    /// What was measured, in microseconds, or for errors as a share of one; null if there is no such number.
    pub measured: Option<f64>,
    /// Whether `measured` is only a lower bound.
    pub lower_bound: bool,
    /// Whether the objective is met. Never by a number that does not exist or is only a lower bound.
    pub met: bool,
}

impl Slo {
    /// What becomes of each objective, given `metrics`.
    pub(crate) fn judge(&self, metrics: &Summary) -> Vec<Judgement> {
        self.0
            .iter()
            .map(|objective| objective.judge(metrics))
            .collect()
    }
}

impl Judgement {
    /// Whether `measured` is a share of one, not a time.
    pub(crate) fn is_share(&self) -> bool {
        self.objective.starts_with("errors")
    }
}

impl Objective {
    fn judge(&self, metrics: &Summary) -> Judgement {
        let response = &metrics.response_us;
        match *self {
            Self::Percentile(percentile, limit) => {
                self.judge_time(response, response.percentile(percentile), limit)
            }
            Self::Max(limit) => self.judge_time(response, response.max, limit),
            Self::Mean(limit) => {
                let mut judgement = self.judge_time(response, response.mean, limit);
                // A mean over a single lower bound is one.
                judgement.lower_bound = response.mean.is_some() && response.bounded_from.is_some();
                judgement.met &= !judgement.lower_bound;
                judgement
            }
            Self::Errors(limit) => self.judgement(metrics.error_share(), limit, false),
        }
    }

    fn judge_time(
        &self,
        row: &LatencySummary,
        measured: Option<f64>,
        limit: Duration,
    ) -> Judgement {
        let is_bound = measured.is_some_and(|value| row.is_lower_bound(value));
        self.judgement(measured, units::microseconds(limit), is_bound)
    }

    fn judgement(&self, measured: Option<f64>, limit: f64, lower_bound: bool) -> Judgement {
        Judgement {
            objective: self.to_string(),
            measured,
            lower_bound,
            met: !lower_bound && measured.is_some_and(|value| value < limit),
        }
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Percentile(percentile, limit) => {
                write!(f, "{} < {}", percentile.name(), units::exact(limit))
            }
            Self::Max(limit) => write!(f, "max < {}", units::exact(limit)),
            Self::Mean(limit) => write!(f, "mean < {}", units::exact(limit)),
            Self::Errors(limit) => write!(f, "errors < {} %", percent(limit)),
        }
    }
}

/// The shortest percentage that is this share.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let is_it = |text: &String| {
        text.parse()
            .is_ok_and(|percent: f64| percent / 100.0 == share)
    };
    (0..=MOST_DIGITS)
        .map(|digits| units::rounded(percent, digits))
        .find(is_it)
        .unwrap_or_else(|| percent.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::load::measure::metrics::Failure;
    use crate::load::measure::results::Results;
    use crate::load::report::schema::Report;
    use crate::load::testing::results;

    static SUMMARY: LazyLock<Summary> = LazyLock::new(|| Report::new(&results(), None).metrics);

    fn judge(results: &Results, objective: Objective) -> Judgement {
        let slo = Slo(vec![objective]);
        let report = Report::new(results, Some(&slo));
        report.slo.into_iter().next().expect("one objective")
    }

    fn is_met(results: &Results, objective: Objective) -> bool {
        judge(results, objective).met
    }

    #[test]
    fn an_objective_is_met_by_a_time_under_it() {
        let results = results();
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
            assert_eq!(is_met(&results, objective), met, "{objective}");
        }
    }

    #[test]
    fn a_percentile_that_is_not_printed_is_not_met() {
        let objective = Objective::Percentile(Percentile::P999, Duration::from_secs(9));
        let judgement = judge(&results(), objective);
        assert_eq!((judgement.measured, judgement.met), (None, false));
    }

    #[test]
    fn a_lower_bound_is_not_met() {
        let mut results = results();
        results.total.response.record_unfinished(299_500);
        let far = Duration::from_secs(9);
        assert!(is_met(
            &results,
            Objective::Percentile(Percentile::P50, far)
        ));
        for objective in [Objective::Max(far), Objective::Mean(far)] {
            let judgement = judge(&results, objective);
            assert_eq!(
                (judgement.lower_bound, judgement.met),
                (true, false),
                "{objective}"
            );
        }
    }

    #[test]
    fn errors_are_a_share_of_all_that_ended() {
        let mut results = results();
        assert!(is_met(&results, Objective::Errors(0.000_001)));
        // An answer that came behind the window is no part of the rate, and none of the errors.
        results.total.messages = 1_000;
        results.total.failures[Failure::Reset] = 200;
        results.total.unanswered = 150;
        results.total.unsent = 100;
        results.total.corrupted = 50;
        assert_eq!(judge(&results, Objective::Errors(0.1)).measured, Some(0.2));
        assert!(!is_met(&results, Objective::Errors(0.2)));
        assert!(is_met(&results, Objective::Errors(0.201)));

        results.total = crate::load::Metrics::default();
        assert!(!is_met(&results, Objective::Errors(1.0)), "nothing ended");
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
            (Objective::Errors(0.001), "errors < 0.1 %"),
            (Objective::Errors(0.07 / 100.0), "errors < 0.07 %"),
            (Objective::Errors(1.0), "errors < 100 %"),
            (Objective::Errors(1e-8 / 100.0), "errors < 0.00000001 %"),
            (
                Objective::Errors(1e-12 / 100.0),
                "errors < 0.000000000001 %",
            ),
        ] {
            assert_eq!(objective.to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn an_objective_is_met_by_what_is_under_its_limit(value: u32, limit in 1..=u32::MAX, which in 0..3_usize, bound: bool) {
            let us = Some(f64::from(value) / 1e3);
            let mut metrics = SUMMARY.clone();
            metrics.response_us = LatencySummary {
                p90: us,
                max: us,
                mean: us,
                bounded_from: us.filter(|_| bound),
                ..LatencySummary::default()
            };
            let limit_time = Duration::from_nanos(limit.into());
            let objective = [
                Objective::Max(limit_time),
                Objective::Mean(limit_time),
                Objective::Percentile(Percentile::P90, limit_time),
            ][which];
            prop_assert_eq!(objective.judge(&metrics).met, value < limit && !bound);
        }
    }
}
