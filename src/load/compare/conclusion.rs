//! What a comparison concludes: the words, and the outcome against a limit.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::statistics::{Paired, Ratio};

/// The direction of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More is faster: messages per second.
    MoreIsFaster,
    /// Less is faster: a time.
    LessIsFaster,
}

/// What a comparison says about B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// B is faster than A.
    Faster,
    /// B is slower than A.
    Slower,
    /// The interval of the ratio contains 1.
    NoDifference,
    /// B differs from A, and A differs from itself by at least as much.
    NoVerdict,
}

/// How much slower B may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitOutcome {
    /// The whole interval is beyond the limit: B is too slow.
    Beyond,
    /// The whole interval is inside the limit.
    Inside,
    /// The interval lies across the limit, or there is no verdict.
    Undecided,
}

/// A comparison of one figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The direction of the figure.
    pub direction: Direction,
    /// B in relation to A.
    pub ratio: Ratio,
    /// A in relation to itself; `None` if the runs belong to no rounds.
    pub control: Option<Ratio>,
}

impl Comparison {
    /// Returns the comparison over rounds.
    pub fn of_rounds(direction: Direction, paired: Paired) -> Self {
        Self {
            direction,
            ratio: paired.ratio,
            control: Some(paired.control),
        }
    }

    /// Returns the comparison of runs that belong to no rounds.
    pub fn of_files(direction: Direction, ratio: Ratio) -> Self {
        Self {
            direction,
            ratio,
            control: None,
        }
    }

    /// Returns what the comparison says about B.
    pub fn conclusion(&self) -> Conclusion {
        if !self.ratio.differs() {
            Conclusion::NoDifference
        } else if self.control.is_some_and(|control| self.is_doubted(control)) {
            Conclusion::NoVerdict
        } else if self.is_faster() {
            Conclusion::Faster
        } else {
            Conclusion::Slower
        }
    }

    /// Compares the interval with `limit`, the share by which B may be slower: 0.02 is 2 %.
    pub fn against_limit(&self, limit: f64) -> LimitOutcome {
        let is_doubted = self.conclusion() == Conclusion::NoVerdict;
        let [best, worst] = self.faster_first().map(|ratio| self.slowdown(ratio));
        if is_doubted {
            LimitOutcome::Undecided
        } else if best > limit {
            LimitOutcome::Beyond
        } else if worst < limit {
            LimitOutcome::Inside
        } else {
            LimitOutcome::Undecided
        }
    }

    /// Returns true if A differs from itself by at least as much as from B.
    ///
    /// The control alone raises no doubt: 5 % of equal servers would differ from themselves, in addition to the 5 % that
    /// differ from each other. With this rule, both are 5 % together. A real difference that is just large enough to be
    /// found in 90 % of the comparisons is doubted in 1 %.
    fn is_doubted(&self, control: Ratio) -> bool {
        let size = |ratio: Ratio| ratio.ratio.ln().abs();
        control.differs() && size(control) >= size(self.ratio)
    }

    fn is_faster(&self) -> bool {
        self.slowdown(self.ratio.ratio) < 0.0
    }

    /// Returns the share by which B is slower at `ratio`; negative if B is faster.
    fn slowdown(&self, ratio: f64) -> f64 {
        match self.direction {
            Direction::MoreIsFaster => 1.0 - ratio,
            Direction::LessIsFaster => ratio - 1.0,
        }
    }

    /// Returns the ends of the interval, the faster one first.
    fn faster_first(&self) -> [f64; 2] {
        let Ratio { low, high, .. } = self.ratio;
        match self.direction {
            Direction::MoreIsFaster => [high, low],
            Direction::LessIsFaster => [low, high],
        }
    }

    /// Returns an end of the interval in words: `1.6 % faster`.
    fn in_words(&self, ratio: f64) -> String {
        let slowdown = self.slowdown(ratio);
        let word = if slowdown < 0.0 { "faster" } else { "slower" };
        format!("{} {word}", percent(slowdown.abs()))
    }
}

/// Formats the conclusion with its figures, on one line.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.conclusion() {
            Conclusion::Faster | Conclusion::Slower => {
                let ends = self.faster_first().map(|ratio| self.slowdown(ratio).abs());
                let (near, far) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
                let words = self.in_words(self.ratio.ratio);
                write!(f, "B {words} ({:.1} to {})", near * 100.0, percent(far))?;
            }
            Conclusion::NoDifference => {
                let [best, worst] = self.faster_first().map(|ratio| self.in_words(ratio));
                write!(f, "no difference found (B {worst} to {best})")?;
            }
            Conclusion::NoVerdict => f.write_str("no verdict: A differs from itself")?,
        }
        if let Some(control) = self.control {
            let [ratio, low, high] = [control.ratio, control.low, control.high].map(signed_percent);
            write!(
                f,
                "; A against itself {ratio:.1} % ({low:.1} to {high:.1} %)"
            )?;
        }
        let smallest = percent(self.ratio.smallest_difference);
        write!(f, "; smallest difference found with 90 %: {smallest}")
    }
}

/// Returns the difference of `ratio` from 1 in percent, rounded to tenths: 0.0 and never -0.0.
fn signed_percent(ratio: f64) -> f64 {
    ((ratio - 1.0) * 1e3).round() / 10.0 + 0.0
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests;
