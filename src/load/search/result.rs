//! What one run of a search says about its rate.

use serde::Serialize;

use crate::load::judge::cause::Cause;
use crate::load::judge::reason::ReasonCode;
use crate::load::report::schema::Report;

/// What one run says about its rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepResult {
    /// The server kept up with the rate and met all objectives.
    Met,
    /// The server did not keep up with the rate, or missed an objective.
    NotMet,
    /// An objective is missed, and the generator was late or busy: the server may be able to do more.
    GeneratorLimit,
    /// An objective is missed, and the machine was disturbed: the run is repeated.
    Disturbed,
}

impl StepResult {
    /// Returns what the run of `report` says.
    ///
    /// A busy machine and a late generator can only lengthen a response, which counts from the intended time. They
    /// therefore raise no doubt about a run that meets all objectives.
    pub fn of(report: &Report) -> Self {
        let has = |cause| causes(report).any(|(_, of_code)| of_code == cause);
        let is_met = report.slo.iter().all(|result| result.met);
        let is_right = report.metrics.counts.corrupted == 0;
        if is_met && is_right && !has(Cause::Server) {
            Self::Met
        } else if has(Cause::Machine) {
            Self::Disturbed
        } else if has(Cause::Generator) {
            Self::GeneratorLimit
        } else {
            Self::NotMet
        }
    }

    /// Returns the result in words, for tables.
    pub fn words(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotMet => "not met",
            Self::GeneratorLimit => "generator at its limit",
            Self::Disturbed => "machine disturbed",
        }
    }
}

/// Returns the reasons not to trust the measurement of `report`, with their causes.
pub fn causes(report: &Report) -> impl Iterator<Item = (ReasonCode, Cause)> {
    let codes = report.verdict.codes.iter();
    codes.map(|code| (*code, Cause::of(*code)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::judge::slo::{Objective, Slo};
    use crate::load::testing::open_loop;

    /// Returns what a run with these reasons says, whose objective is met or not.
    fn result(is_met: bool, codes: &[ReasonCode]) -> StepResult {
        let bound = if is_met { 1_000_000 } else { 1 };
        let objective = Objective::Max(std::time::Duration::from_micros(bound));
        let mut report = Report::new(&open_loop(), Some(&Slo(vec![objective])));
        report.verdict.codes = codes.to_vec();
        StepResult::of(&report)
    }

    #[test]
    fn overload_and_a_missed_rate_mean_not_met() {
        for code in [ReasonCode::Overload, ReasonCode::BelowRate] {
            assert_eq!(result(true, &[code]), StepResult::NotMet);
            assert_eq!(result(false, &[code]), StepResult::NotMet);
        }
        assert_eq!(result(false, &[]), StepResult::NotMet);
        assert_eq!(result(true, &[]), StepResult::Met);
    }

    #[test]
    fn only_reasons_of_the_machine_repeat_a_step() {
        for code in [
            ReasonCode::BusyMachine,
            ReasonCode::StolenTime,
            ReasonCode::Throttled,
            ReasonCode::Stalled,
        ] {
            assert_eq!(result(false, &[code]), StepResult::Disturbed);
            let codes = [ReasonCode::Overload, ReasonCode::LateGenerator, code];
            assert_eq!(result(false, &codes), StepResult::Disturbed);
            assert_eq!(result(true, &[code]), StepResult::Met, "it met even so");
        }
        for code in [
            ReasonCode::NotStationary,
            ReasonCode::MissingConnections,
            ReasonCode::LittlesLaw,
            ReasonCode::TooFewSamples,
        ] {
            assert_eq!(result(false, &[code]), StepResult::NotMet);
            assert_eq!(result(true, &[code]), StepResult::Met);
        }
    }

    #[test]
    fn a_late_or_busy_generator_is_the_limit_unless_the_objectives_are_met() {
        for code in [ReasonCode::LateGenerator, ReasonCode::BusyGenerator] {
            assert_eq!(result(false, &[code]), StepResult::GeneratorLimit);
            let codes = [code, ReasonCode::Overload];
            assert_eq!(result(true, &codes), StepResult::GeneratorLimit);
            assert_eq!(result(true, &[code]), StepResult::Met);
        }
    }

    #[test]
    fn wrong_bytes_meet_no_objective() {
        let mut report = Report::new(&open_loop(), None);
        report.metrics.counts.corrupted = 1;
        assert_eq!(StepResult::of(&report), StepResult::NotMet);
    }
}
