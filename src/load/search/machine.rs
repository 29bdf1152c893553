//! The state machine of a search. Its input is what each run says about its rate, and its output is the next run or the
//! answer.
//!
//! 1. **Doubling**: from the low end of the range, each rate is twice the rate before, until a rate does not meet the
//!    objectives.
//! 2. **Bisection**: the geometric mean of the highest rate that meets the objectives and the lowest rate that does not,
//!    until the two differ by at most 2 %.
//! 3. **Best of three**: both of these rates are measured again until two of at most three runs agree. A rate whose majority
//!    contradicts its first run moves the bracket, and the search goes on from there.
//! 4. **Confirmation**: a run over the full duration. While it does not meet the objectives, the rate is lowered by 2, 4
//!    and 8 %.
//!
//! A run that was disturbed by the machine is repeated. Two runs at one rate in which the generator was the limit end the
//! search upwards: the highest rate that meets the objectives until then is confirmed.

use serde::Serialize;

use super::result::StepResult;
use super::votes::{RateVotes, Rates};

/// The bisection ends when the rates that meet and miss the objectives differ by at most this share. The p99 of a run varies
/// by more than what a smaller difference of the rate changes.
const PRECISION: f64 = 0.02;

/// The shares by which the rate is lowered while it is not confirmed. A rate that is still missed 8 % lower was found by
/// short runs that do not tell what a long one does.
const STEPS_DOWN: [f64; 4] = [0.0, 0.02, 0.04, 0.08];

/// The most repetitions of a run that the machine has disturbed. What has disturbed four runs is going to stay.
const MOST_REPETITIONS: u32 = 3;

/// The number of runs at one rate that have to find the generator at its limit: a single one may have been late by chance.
const GENERATOR_LIMITS: usize = 2;

/// The significant digits of a rate. Rates that are easy to read are still much closer than the precision.
const DIGITS: usize = 4;

/// The search for the highest rate that meets the objectives.
#[derive(Clone, Debug)]
pub struct Search {
    low: f64,
    high: f64,
    rates: Rates,
    /// The rates of runs that found the generator at its limit.
    generator_limits: Vec<f64>,
    /// The number of disturbed runs since the last one that was not.
    disturbed: u32,
    /// What limits the first rate of the confirmation.
    limit: SearchLimit,
    /// The rates that are still to be confirmed, the next one first.
    candidates: Vec<f64>,
    next: Next,
}

/// What a search does next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// Measure.
    Measure(Step),
    /// The search has ended.
    Finished(Answer),
}

/// A run of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Messages per second.
    pub rate: f64,
    /// The stage that the run belongs to.
    pub stage: Stage,
}

/// A stage of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Rates are doubled.
    Doubling,
    /// The bracket is halved.
    Bisection,
    /// The ends of the bracket are measured again.
    BestOfThree,
    /// The found rate is measured over the full duration.
    Confirmation,
}

/// What a search has found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The highest rate in messages per second that meets the objectives; null if no rate of the range does.
    pub rate_per_s: Option<f64>,
    /// True if the rate met the objectives over the full duration too.
    pub confirmed: bool,
    /// What keeps the search from a higher rate.
    pub limited_by: SearchLimit,
}

/// What keeps a search from a higher rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchLimit {
    /// The server: a higher rate does not meet the objectives.
    Objectives,
    /// The high end of the range.
    Range,
    /// The generator, which was late or busy at a higher rate.
    Generator,
    /// Others on the machine: each repetition of a run was disturbed.
    Machine,
}

impl Search {
    /// Creates a search from `low` to `high`, which is higher.
    pub fn new(low: f64, high: f64) -> Self {
        Self {
            low,
            high,
            rates: Rates::default(),
            generator_limits: Vec::new(),
            disturbed: 0,
            limit: SearchLimit::Objectives,
            candidates: Vec::new(),
            next: Next::Measure(Step {
                rate: low,
                stage: Stage::Doubling,
            }),
        }
    }

    /// Returns the next run, or the answer.
    pub fn next(&self) -> Next {
        self.next
    }

    /// Returns the highest rate that meets the objectives so far.
    pub fn highest_met(&self) -> Option<f64> {
        self.rates.bracket().met.map(|votes| votes.rate)
    }

    /// Records what the run that was due next says about its rate.
    pub fn record(&mut self, result: StepResult) {
        if let Next::Measure(step) = self.next {
            self.next = self.after(step, result);
        }
    }

    fn after(&mut self, step: Step, result: StepResult) -> Next {
        let is_disturbed = result == StepResult::Disturbed;
        self.disturbed = if is_disturbed { self.disturbed + 1 } else { 0 };
        match result {
            StepResult::Disturbed if self.disturbed > MOST_REPETITIONS => {
                self.unconfirmed(SearchLimit::Machine)
            }
            StepResult::Disturbed => Next::Measure(step),
            StepResult::GeneratorLimit => self.after_generator_limit(step),
            StepResult::Met => self.after_result(step, true),
            StepResult::NotMet => self.after_result(step, false),
        }
    }

    fn after_generator_limit(&mut self, step: Step) -> Next {
        self.generator_limits.push(step.rate);
        let of_rate = self.generator_limits.iter();
        let count = of_rate.filter(|rate| **rate == step.rate).count();
        match (count < GENERATOR_LIMITS, step.stage, self.highest_met()) {
            (true, _, _) => Next::Measure(step),
            (false, Stage::Doubling | Stage::Bisection | Stage::BestOfThree, Some(rate)) => {
                self.confirm(rate, SearchLimit::Generator)
            }
            (false, Stage::Confirmation, _) | (false, _, None) => {
                self.unconfirmed(SearchLimit::Generator)
            }
        }
    }

    fn after_result(&mut self, step: Step, is_met: bool) -> Next {
        match step.stage {
            Stage::Doubling | Stage::Bisection | Stage::BestOfThree => {
                self.rates.record(step.rate, is_met);
                self.next_of_search()
            }
            Stage::Confirmation if is_met => {
                let is_first = self.highest_met() == Some(step.rate);
                Next::Finished(Answer {
                    rate_per_s: Some(step.rate),
                    confirmed: true,
                    // The rates above a lowered rate were not met.
                    limited_by: if is_first {
                        self.limit
                    } else {
                        SearchLimit::Objectives
                    },
                })
            }
            Stage::Confirmation => self.next_candidate(),
        }
    }

    fn next_of_search(&mut self) -> Next {
        let bracket = self.rates.bracket();
        match (self.rates.tied(), bracket.met, bracket.not_met) {
            (Some(tied), _, _) => again(tied),
            // Before the first result the low end is due already.
            (None, None, None) => self.next,
            (None, None, Some(low)) if !low.is_decided() => again(low),
            (None, None, Some(_)) => self.unconfirmed(SearchLimit::Objectives),
            (None, Some(met), None) if met.rate == self.high => {
                self.confirm(met.rate, SearchLimit::Range)
            }
            (None, Some(met), None) => Next::Measure(Step {
                rate: self.rounded(2.0 * met.rate),
                stage: Stage::Doubling,
            }),
            (None, Some(met), Some(not_met)) if not_met.rate > met.rate * (1.0 + PRECISION) => {
                Next::Measure(Step {
                    rate: self.rounded((met.rate * not_met.rate).sqrt()),
                    stage: Stage::Bisection,
                })
            }
            (None, Some(met), Some(not_met)) => {
                match [not_met, met].into_iter().find(|end| !end.is_decided()) {
                    Some(end) => again(end),
                    None => self.confirm(met.rate, SearchLimit::Objectives),
                }
            }
        }
    }

    /// Starts the confirmation of `rate`, which `limit` keeps from being higher.
    fn confirm(&mut self, rate: f64, limit: SearchLimit) -> Next {
        self.limit = limit;
        let lowered = STEPS_DOWN.map(|share| match share == 0.0 {
            true => rate,
            false => self.rounded(rate * (1.0 - share)),
        });
        self.candidates = lowered.to_vec();
        self.candidates.dedup();
        self.next_candidate()
    }

    fn next_candidate(&mut self) -> Next {
        if self.candidates.is_empty() {
            return self.unconfirmed(SearchLimit::Objectives);
        }
        Next::Measure(Step {
            rate: self.candidates.remove(0),
            stage: Stage::Confirmation,
        })
    }

    fn unconfirmed(&self, limited_by: SearchLimit) -> Next {
        Next::Finished(Answer {
            rate_per_s: self.highest_met(),
            confirmed: false,
            limited_by,
        })
    }

    /// Rounds a rate to [`DIGITS`] significant digits, within the range.
    fn rounded(&self, rate: f64) -> f64 {
        let text = format!("{rate:.digits$e}", digits = DIGITS - 1);
        let rounded: f64 = text.parse().expect("a formatted number is one");
        rounded.clamp(self.low, self.high)
    }
}

fn again(votes: RateVotes) -> Next {
    Next::Measure(Step {
        rate: votes.rate,
        stage: Stage::BestOfThree,
    })
}

#[cfg(test)]
mod tests;
