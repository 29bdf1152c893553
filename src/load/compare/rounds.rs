//! The plan of the rounds: which run is next, and which round is repeated.

use super::order::{Orders, Side};
use crate::load::judge::cause::Cause;
use crate::load::judge::verdict::Verdict;

/// The runs of a round.
pub const RUNS_PER_ROUND: usize = 3;

/// One round in this number of rounds may be repeated: at most half as many again. A machine that is disturbed more often
/// is not the place for a comparison, and the user should learn that in a bounded time.
const ROUNDS_PER_REPEAT: usize = 2;

/// The plan of all rounds. It knows neither the figures of a run nor the ratio.
#[derive(Clone, Debug)]
pub struct Rounds {
    asked: usize,
    completed: usize,
    repeats_left: usize,
    repeated: usize,
    orders: Orders,
    /// The order of the current round.
    order: [Side; RUNS_PER_ROUND],
    /// The number of runs of the current round that are done.
    done: usize,
}

/// A run that is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextRun {
    /// The number of the round, from 1.
    pub round: usize,
    /// The number of the run in its round, from 1.
    pub run: usize,
    /// What is measured.
    pub side: Side,
}

/// What becomes of the current round after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundState {
    /// Some of its runs are still to be done.
    Continues,
    /// All its runs are done, and count.
    Complete,
    /// Its runs do not count, and the round starts again.
    Repeats,
}

impl Rounds {
    /// Plans `asked` rounds whose orders belong to `seed`.
    pub fn new(asked: usize, seed: u64) -> Self {
        let mut orders = Orders::new(seed);
        Self {
            asked,
            completed: 0,
            repeats_left: asked / ROUNDS_PER_REPEAT,
            repeated: 0,
            order: next_order(&mut orders),
            orders,
            done: 0,
        }
    }

    /// Returns the run that is next; `None` after all rounds.
    pub fn next_run(&self) -> Option<NextRun> {
        (self.completed < self.asked).then(|| NextRun {
            round: self.completed + 1,
            run: self.done + 1,
            side: self.order[self.done],
        })
    }

    /// Records that the next run is done, and whether the machine disturbed it. A disturbed round starts again at once, in
    /// the same order, as long as there are repeats left. Then it counts.
    pub fn record(&mut self, is_disturbed: bool) -> RoundState {
        if is_disturbed && self.repeats_left > 0 {
            self.repeats_left -= 1;
            self.repeated += 1;
            self.done = 0;
            return RoundState::Repeats;
        }
        self.done += 1;
        if self.done < RUNS_PER_ROUND {
            return RoundState::Continues;
        }
        self.done = 0;
        self.completed += 1;
        self.order = next_order(&mut self.orders);
        RoundState::Complete
    }

    /// Returns the number of runs that are left if no round is repeated.
    pub fn runs_left(&self) -> usize {
        (self.asked - self.completed) * RUNS_PER_ROUND - self.done
    }

    /// Returns the number of rounds that were asked for.
    pub fn asked(&self) -> usize {
        self.asked
    }

    /// Returns the number of rounds that were started again.
    pub fn repeated(&self) -> usize {
        self.repeated
    }
}

/// Returns the first reason of `verdict` for which a round is repeated, in words: those of the machine. They have nothing to
/// do with what is compared, so leaving such rounds out favours no side. What the server does (not stationary, overload) is
/// a part of its figures, and is kept.
pub fn disturbance(verdict: &Verdict) -> Option<String> {
    let mut reasons = verdict.coded_reasons();
    let of_the_machine = reasons.find(|reason| Cause::of(reason.code) == Cause::Machine);
    of_the_machine.map(|reason| reason.text)
}

fn next_order(orders: &mut Orders) -> [Side; RUNS_PER_ROUND] {
    orders.next().expect("the orders have no end")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::judge::reason::ReasonCode;

    /// Does all runs. The runs with the numbers `disturbed` (from 0) are disturbed. Returns the runs and their states.
    fn all_runs(asked: usize, disturbed: impl Fn(usize) -> bool) -> Vec<(NextRun, RoundState)> {
        let mut rounds = Rounds::new(asked, 7);
        let mut runs = Vec::new();
        while let Some(run) = rounds.next_run() {
            let state = rounds.record(disturbed(runs.len()));
            runs.push((run, state));
        }
        runs
    }

    #[test]
    fn a_round_has_each_side_once() {
        let runs = all_runs(12, |_| false);
        assert_eq!(runs.len(), 36);
        for (index, round) in runs.chunks(3).enumerate() {
            for side in [Side::A, Side::B, Side::AAgain] {
                assert_eq!(round.iter().filter(|(run, _)| run.side == side).count(), 1);
            }
            let numbers = round.iter().map(|(run, _)| (run.round, run.run));
            assert!(numbers.eq((1..=3).map(|run| (index + 1, run))));
            assert_eq!(round[2].1, RoundState::Complete);
        }
    }

    #[test]
    fn a_disturbed_round_starts_again_in_the_same_order() {
        let runs = all_runs(4, |run| run == 4);
        assert_eq!(runs[4].1, RoundState::Repeats);
        assert_eq!(runs.len(), 12 + 2);
        for (before, after) in [(3, 5), (4, 6)] {
            assert_eq!(runs[before].0, runs[after].0);
        }
    }

    #[test]
    fn only_reasons_of_the_machine_repeat_a_round() {
        for (code, repeats) in [
            (ReasonCode::LateGenerator, false),
            (ReasonCode::BusyGenerator, false),
            (ReasonCode::Overload, false),
            (ReasonCode::BelowRate, false),
            (ReasonCode::Stalled, true),
            (ReasonCode::MissingConnections, false),
            (ReasonCode::LittlesLaw, false),
            (ReasonCode::BusyMachine, true),
            (ReasonCode::StolenTime, true),
            (ReasonCode::Throttled, true),
            (ReasonCode::NotStationary, false),
            (ReasonCode::TooFewSamples, false),
        ] {
            let verdict = Verdict {
                valid: false,
                reasons: vec!["overload".into(), "why".into()],
                codes: vec![ReasonCode::Overload, code],
            };
            let expected = repeats.then(|| "why".to_owned());
            assert_eq!(disturbance(&verdict), expected, "{code}");
        }
    }

    #[test]
    fn at_most_half_as_many_rounds_are_repeated_and_then_all_count() {
        for (asked, repeats) in [(1, 0), (2, 1), (5, 2), (12, 6)] {
            let runs = all_runs(asked, |_| true);
            let repeated = runs
                .iter()
                .filter(|(_, state)| *state == RoundState::Repeats);
            assert_eq!(repeated.count(), repeats);
            let complete = runs
                .iter()
                .filter(|(_, state)| *state == RoundState::Complete);
            assert_eq!(complete.count(), asked);
        }
    }
}
