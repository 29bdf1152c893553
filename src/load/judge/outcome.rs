//! The outcome of a measurement, for a caller that needs a single answer.

use super::slo::ObjectiveResult;
use super::verdict::Verdict;
use crate::load::measure::summary::Summary;

/// The outcome of a measurement. If several apply, the first in this order counts; so the least outcome of several
/// measurements is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// A reply differed from what was sent.
    WrongBytes,
    /// An objective is not met.
    ObjectiveMissed,
    /// The signal of this number ended the measurement early.
    Interrupted(i32),
    /// No message was answered.
    NothingAnswered,
    /// The verdict is SUSPECT.
    Suspect,
    /// None of the above.
    Finished,
}

impl Outcome {
    /// Returns the outcome of a measurement with these figures.
    pub(crate) fn of(
        summary: &Summary,
        slo: &[ObjectiveResult],
        interrupted: Option<i32>,
        verdict: &Verdict,
    ) -> Self {
        if summary.counts.corrupted > 0 {
            Self::WrongBytes
        } else if slo.iter().any(|result| !result.met) {
            Self::ObjectiveMissed
        } else if let Some(signal) = interrupted {
            Self::Interrupted(signal)
        } else if summary.answered() == 0 {
            Self::NothingAnswered
        } else if !verdict.valid {
            Self::Suspect
        } else {
            Self::Finished
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::judge::slo::Objective;
    use crate::load::testing::closed_loop;

    /// What an outcome is computed from.
    struct Input {
        summary: Summary,
        slo: Vec<ObjectiveResult>,
        interrupted: Option<i32>,
        verdict: Verdict,
    }

    #[test]
    fn the_first_outcome_in_the_order_of_the_variants_counts() {
        let wrong = |input: &mut Input| input.summary.counts.corrupted = 1;
        let missed = |input: &mut Input| {
            input.slo.push(ObjectiveResult {
                objective: Objective::Errors(10.0),
                measured: None,
                lower_bound: false,
                met: false,
            })
        };
        let interrupted = |input: &mut Input| input.interrupted = Some(15);
        let unanswered = |input: &mut Input| input.summary.service_us.count = 0;
        let suspect = |input: &mut Input| input.verdict.valid = false;
        type Change = (fn(&mut Input), Outcome);
        let changes: [Change; 5] = [
            (wrong, Outcome::WrongBytes),
            (missed, Outcome::ObjectiveMissed),
            (interrupted, Outcome::Interrupted(15)),
            (unanswered, Outcome::NothingAnswered),
            (suspect, Outcome::Suspect),
        ];
        let measurement = closed_loop().measurement;
        for first in 0..=changes.len() {
            let mut input = Input {
                summary: Summary::of(&measurement),
                slo: vec![],
                interrupted: None,
                verdict: Verdict::of(&measurement),
            };
            for (change, _) in &changes[first..] {
                change(&mut input);
            }
            let outcome = Outcome::of(
                &input.summary,
                &input.slo,
                input.interrupted,
                &input.verdict,
            );
            let expected = changes.get(first).map(|(_, outcome)| *outcome);
            assert_eq!(outcome, expected.unwrap_or(Outcome::Finished));
        }
    }
}
