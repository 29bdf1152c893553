//! The outcome of a measurement, for a caller that needs a single answer.

use super::slo::Judgement;
use super::verdict::Verdict;
use crate::load::measure::summary::Summary;

/// The outcome of a measurement. If several apply, the first in this order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Returns the outcome of a measurement with these figures and judgements.
    pub(crate) fn of(
        metrics: &Summary,
        slo: &[Judgement],
        interrupted: Option<i32>,
        verdict: &Verdict,
    ) -> Self {
        if metrics.corrupted > 0 {
            Self::WrongBytes
        } else if slo.iter().any(|judgement| !judgement.met) {
            Self::ObjectiveMissed
        } else if let Some(signal) = interrupted {
            Self::Interrupted(signal)
        } else if metrics.answered() == 0 {
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
    use crate::load::report::schema::Report;
    use crate::load::testing::results;

    #[test]
    fn the_first_outcome_in_the_order_of_severity_counts() {
        let wrong = |report: &mut Report| report.metrics.corrupted = 1;
        let missed = |report: &mut Report| {
            report.slo.push(Judgement {
                objective: "max < 1 s".into(),
                measured: None,
                lower_bound: false,
                met: false,
            })
        };
        let interrupted = |report: &mut Report| report.interrupted = Some(15);
        let unanswered = |report: &mut Report| report.metrics.service_us.count = 0;
        let suspect = |report: &mut Report| report.verdict.valid = false;
        type Change = (fn(&mut Report), Outcome);
        let changes: [Change; 5] = [
            (wrong, Outcome::WrongBytes),
            (missed, Outcome::ObjectiveMissed),
            (interrupted, Outcome::Interrupted(15)),
            (unanswered, Outcome::NothingAnswered),
            (suspect, Outcome::Suspect),
        ];
        for first in 0..=changes.len() {
            let mut report = Report::new(&results(), None);
            for (change, _) in &changes[first..] {
                change(&mut report);
            }
            let expected = changes
                .get(first)
                .map_or(Outcome::Finished, |(_, outcome)| *outcome);
            assert_eq!(report.outcome(), expected);
        }
    }
}
