//! What the end of the program says of a measurement.

use super::schema::Report;

const FINISHED: u8 = 0;
const NOTHING_ANSWERED: u8 = 1;
const SLO_NOT_MET: u8 = 3;
const WRONG_BYTES: u8 = 4;
const SUSPECT: u8 = 5;

/// Plus the number of the signal.
const SIGNAL: u8 = 128;

/// The exit code of a program that made `report`: 4 wrong bytes, 3 an objective is not met, 128 and the number of a
/// signal that ended it early, 1 nothing was answered, 5 the measurement is suspect and that is an error (`strict`),
/// else 0. Of several the first in this order.
pub fn exit_code(report: &Report, strict: bool) -> u8 {
    let signal = report
        .interrupted
        .map(|signal| SIGNAL.saturating_add(signal as u8));
    let is_met = report.slo.iter().all(|judgement| judgement.met);
    match () {
        () if report.metrics.corrupted > 0 => WRONG_BYTES,
        () if !is_met => SLO_NOT_MET,
        () if signal.is_some() => signal.unwrap_or(SIGNAL),
        () if report.metrics.answered() == 0 => NOTHING_ANSWERED,
        () if strict && !report.verdict.valid => SUSPECT,
        () => FINISHED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::judge::slo::Judgement;
    use crate::load::testing::results;

    /// There is nothing to complain about.
    fn report() -> Report {
        Report::new(&results(), None)
    }

    #[test]
    fn of_several_the_first_of_this_order_counts() {
        let wrong = |report: &mut Report| report.metrics.corrupted = 1;
        let missed = |report: &mut Report| {
            report.slo.push(Judgement {
                objective: "max < 1 s".into(),
                measured: None,
                lower_bound: false,
                met: false,
            })
        };
        let cut = |report: &mut Report| report.interrupted = Some(15);
        let silent = |report: &mut Report| report.metrics.service_us.count = 0;
        let suspect = |report: &mut Report| report.verdict.valid = false;
        type Change = (fn(&mut Report), u8);
        let changes: [Change; 5] = [
            (wrong, 4),
            (missed, 3),
            (cut, 143),
            (silent, 1),
            (suspect, 5),
        ];

        assert_eq!(exit_code(&report(), true), 0);
        for (first, (_, code)) in changes.iter().enumerate() {
            let mut report = report();
            changes[first..]
                .iter()
                .for_each(|(change, _)| change(&mut report));
            assert_eq!(exit_code(&report, true), *code);
        }
        let mut report = report();
        suspect(&mut report);
        assert_eq!(exit_code(&report, false), 0, "without --strict");
    }
}
