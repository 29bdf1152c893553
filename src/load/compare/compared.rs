//! A figure of both sides.

use serde::Serialize;

use super::conclusion::Comparison;
use super::figure::Figure;
use super::rounds::RUNS_PER_ROUND;
use super::statistics::{Paired, Ratio, Round, paired, unpaired};
use crate::load::report::schema::Report;

/// A figure of both sides: an element of `figures` in the JSON report of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedFigure {
    /// The name of the figure.
    pub figure: Figure,
    /// The geometric mean of the runs of A, which fits the ratio; null if a run lacks the figure.
    pub a: Option<f64>,
    /// The geometric mean of the runs of B; null if a run lacks the figure.
    pub b: Option<f64>,
    /// B divided by A; null if a run lacks the figure, or if there are too few runs.
    pub ratio: Option<Ratio>,
    /// The second run of A in a round divided by the first run of A; null without `ratio`, and without rounds.
    pub control: Option<Ratio>,
    /// Why there is no ratio; null if there is one.
    pub missing: Option<String>,
}

impl ComparedFigure {
    /// Compares `figure` over rounds of A, B and A again.
    pub fn of_rounds(figure: Figure, rounds: &[[&Report; RUNS_PER_ROUND]]) -> Self {
        let all = |round: &[&Report; RUNS_PER_ROUND]| {
            let [a, b, a_again] = round.map(|report| figure.of(report));
            Some(Round {
                a: a?,
                b: b?,
                a_again: a_again?,
            })
        };
        let figures: Option<Vec<_>> = rounds.iter().map(all).collect();
        let Some(figures) = figures else {
            return Self::missing(figure, figure.why_missing());
        };
        let of_a = figures.iter().flat_map(|round| [round.a, round.a_again]);
        let of_b = figures.iter().map(|round| round.b);
        let (a, b) = (geometric_mean(of_a), geometric_mean(of_b));
        match paired(&figures) {
            Some(Paired { ratio, control }) => Self {
                figure,
                a,
                b,
                ratio: Some(ratio),
                control: Some(control),
                missing: None,
            },
            None => Self {
                a,
                b,
                ..Self::missing(figure, "fewer than two complete rounds")
            },
        }
    }

    /// Compares `figure` of runs that belong to no rounds.
    pub fn of_files(figure: Figure, base: &[&Report], new: &[&Report]) -> Self {
        let all = |reports: &[&Report]| {
            let figures = reports.iter().map(|report| figure.of(report));
            figures.collect::<Option<Vec<_>>>()
        };
        let Some((base, new)) = all(base).zip(all(new)) else {
            return Self::missing(figure, figure.why_missing());
        };
        let ratio = unpaired(&base, &new);
        let means = [base, new].map(|runs| geometric_mean(runs.into_iter()));
        let missing = ratio.is_none().then(|| "too few runs".to_owned());
        Self {
            figure,
            a: means[0],
            b: means[1],
            ratio,
            control: None,
            missing,
        }
    }

    /// Returns what the figure says; `None` without a ratio.
    pub fn comparison(&self) -> Option<Comparison> {
        let (direction, ratio) = (self.figure.direction(), self.ratio?);
        Some(match self.control {
            Some(control) => Comparison::of_rounds(direction, Paired { ratio, control }),
            None => Comparison::of_files(direction, ratio),
        })
    }

    fn missing(figure: Figure, why: &str) -> Self {
        Self {
            figure,
            a: None,
            b: None,
            ratio: None,
            control: None,
            missing: Some(why.into()),
        }
    }
}

fn geometric_mean(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = figures.fold((0.0, 0), |(sum, count), figure| {
        (sum + figure.ln(), count + 1)
    });
    (count > 0).then(|| (sum / f64::from(count)).exp())
}
