//! The ratio of two figures with its uncertainty: Student's t on logarithms.
//!
//! Ratios are multiplied, so their logarithms are added: a server that is twice as fast and one that is half as fast lie
//! equally far from 1. A run is one sample, because the messages of a run share what the run was subject to.
//!
//! There is no bootstrap: with 10 pairs it finds a difference between equal servers in 10 % of the comparisons, and t in
//! 5 %.

use distrs::StudentsT;
use serde::{Deserialize, Serialize};

/// The quantile of t for the ends of an interval of 95 %.
const UPPER: f64 = 0.975;

/// The share of comparisons in which the smallest difference is found.
const FOUND: f64 = 0.90;

/// The number of runs that each side needs if the runs are not paired. With fewer runs, the spread of a side is unknown.
pub const RUNS_PER_SIDE: usize = 5;

/// The figures of one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    /// The figure of the first run of A.
    pub a: f64,
    /// The figure of B.
    pub b: f64,
    /// The figure of the second run of A.
    pub a_again: f64,
}

/// A ratio with its interval of 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The ratio: the geometric mean over all rounds.
    pub ratio: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
    /// The smallest difference from 1 that would be found in 90 % of such comparisons.
    pub smallest_difference: f64,
}

/// The result of rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    /// B in relation to the two runs of A.
    pub ratio: Ratio,
    /// The second run of A in relation to the first run of A.
    pub control: Ratio,
}

/// Compares B with A over rounds. Returns `None` if there are fewer than two rounds, or if a figure is not positive.
pub fn paired(rounds: &[Round]) -> Option<Paired> {
    let ratio = |round: &Round| round.b.ln() - (round.a.ln() + round.a_again.ln()) / 2.0;
    let control = |round: &Round| round.a_again.ln() - round.a.ln();
    let over_rounds = |difference: &dyn Fn(&Round) -> f64| {
        Ratio::of_sample(Sample::of(rounds.iter().map(difference))?)
    };
    Some(Paired {
        ratio: over_rounds(&ratio)?,
        control: over_rounds(&control)?,
    })
}

/// Compares runs that belong to no rounds: `new` in relation to `base` (Welch's t). Returns `None` if a side has fewer than
/// [`RUNS_PER_SIDE`] runs, or if a figure is not positive.
pub fn unpaired(base: &[f64], new: &[f64]) -> Option<Ratio> {
    if base.len().min(new.len()) < RUNS_PER_SIDE {
        return None;
    }
    let [base, new] = [base, new].map(|runs| Sample::of(runs.iter().map(|figure| figure.ln())));
    Ratio::of_sample(new?.minus(base?))
}

impl Ratio {
    /// Returns true if the interval does not contain 1.
    pub fn differs(&self) -> bool {
        self.low > 1.0 || self.high < 1.0
    }

    /// Returns the ratio whose logarithm was sampled.
    fn of_sample(sample: Sample) -> Option<Self> {
        let Sample {
            mean,
            variance_of_mean,
            freedom,
        } = sample;
        let standard_error = variance_of_mean.sqrt();
        let half = StudentsT::ppf(UPPER, freedom) * standard_error;
        // The difference has to exceed the half interval in `FOUND` of the comparisons.
        let smallest = half + StudentsT::ppf(FOUND, freedom) * standard_error;
        half.is_finite().then(|| Self {
            ratio: mean.exp(),
            low: (mean - half).exp(),
            high: (mean + half).exp(),
            smallest_difference: smallest.exp_m1(),
        })
    }
}

/// The mean of a sample, with its uncertainty.
struct Sample {
    mean: f64,
    variance_of_mean: f64,
    /// The degrees of freedom of the variance.
    freedom: f64,
}

impl Sample {
    /// Returns `None` if there are fewer than two values, or if one is not finite.
    fn of(values: impl ExactSizeIterator<Item = f64> + Clone) -> Option<Self> {
        let count = values.len() as f64;
        let freedom = count - 1.0;
        let mean = values.clone().sum::<f64>() / count;
        let squares: f64 = values.map(|value| (value - mean).powi(2)).sum();
        (freedom > 0.0 && squares.is_finite()).then_some(Self {
            mean,
            variance_of_mean: squares / freedom / count,
            freedom,
        })
    }

    /// Returns the difference of two independent samples, with the degrees of freedom of Welch and Satterthwaite.
    fn minus(self, other: Self) -> Self {
        let variance = self.variance_of_mean + other.variance_of_mean;
        let part = |sample: &Self| sample.variance_of_mean.powi(2) / sample.freedom;
        let freedom = match variance > 0.0 {
            true => variance.powi(2) / (part(&self) + part(&other)),
            false => self.freedom + other.freedom,
        };
        Self {
            mean: self.mean - other.mean,
            variance_of_mean: variance,
            freedom,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_near(a: f64, b: f64) -> bool {
        (a - b).abs() < 5e-4 * b.abs().max(1.0)
    }

    #[test]
    fn the_ratio_is_the_geometric_mean_over_rounds() {
        // Twice and half as fast cancel each other.
        let round = |b| Round {
            a: 100.0,
            b,
            a_again: 100.0,
        };
        let result = paired(&[round(200.0), round(50.0)]).expect("two rounds");
        assert!(is_near(result.ratio.ratio, 1.0));
        assert_eq!(result.control.ratio, 1.0);
        assert!(!result.ratio.differs());
    }

    #[test]
    fn a_run_of_b_is_compared_with_both_runs_of_a() {
        let round = Round {
            a: 50.0,
            b: 100.0,
            a_again: 200.0,
        };
        let result = paired(&[round, round]).expect("two rounds");
        assert!(is_near(result.ratio.ratio, 1.0));
        assert!(is_near(result.control.ratio, 4.0));
    }

    #[test]
    fn an_interval_has_the_width_of_students_t() {
        // The logarithms are 0.01, 0.02 and 0.03: the mean is 0.02 and the standard error 0.01 / sqrt(3). The table of t
        // has 4.303 for 97.5 % and 1.886 for 90 %, with 2 degrees of freedom.
        let round = |log: f64| Round {
            a: 1.0,
            b: log.exp(),
            a_again: 1.0,
        };
        let result = paired(&[0.01, 0.02, 0.03].map(round)).expect("three rounds");
        let error = 0.01 / 3.0_f64.sqrt();
        assert!(is_near(result.ratio.low, (0.02 - 4.303 * error).exp()));
        assert!(is_near(result.ratio.high, (0.02 + 4.303 * error).exp()));
        let smallest = ((4.303 + 1.886) * error).exp() - 1.0;
        assert!(is_near(result.ratio.smallest_difference, smallest));
    }

    #[test]
    fn runs_without_rounds_are_compared_by_welchs_t() {
        // The logarithms of the sides have the means 0 and 0.1, and the variances 0.0004 and 0.0016 of 5 values. The
        // variance of the difference is 0.0004, with 0.0004^2 / (0.00008^2 / 4 + 0.00032^2 / 4) = 5.88 degrees of
        // freedom, for which t is 2.459.
        let spread = 0.02_f64 * (4.0_f64 / 4.0).sqrt();
        let logs = |mean: f64, spread: f64| {
            [1.0, -1.0, 1.0, -1.0, 0.0].map(|sign: f64| (mean + sign * spread).exp())
        };
        let result = unpaired(&logs(0.0, spread), &logs(0.1, 2.0 * spread)).expect("five runs");
        assert!(is_near(result.ratio, 0.1_f64.exp()));
        assert!(is_near(result.low, (0.1 - 2.459 * 0.02_f64).exp()));
        assert!(result.differs());
    }

    #[test]
    fn a_comparison_needs_two_rounds_or_five_runs_a_side_and_positive_figures() {
        let round = Round {
            a: 1.0,
            b: 1.0,
            a_again: 1.0,
        };
        assert_eq!(paired(&[]), None);
        assert_eq!(paired(&[round]), None);
        assert!(paired(&[round, round]).is_some());
        assert_eq!(paired(&[round, Round { b: 0.0, ..round }]), None);
        assert_eq!(unpaired(&[1.0; 5], &[1.0; 4]), None);
        assert_eq!(unpaired(&[1.0; 4], &[1.0; 9]), None);
        assert!(unpaired(&[1.0; 5], &[1.0; 5]).is_some());
    }
}
