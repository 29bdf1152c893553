//! The report of a comparison: the JSON object, from which the text and the markdown are printed.
//!
//! A name has the same meaning as in the report of a run, see [`schema`](crate::load::report::schema).

use std::collections::BTreeMap;

use serde::Serialize;

use super::compared::ComparedFigure;
use super::conclusion::{Comparison, Conclusion, LimitOutcome};
use super::figure::Figure;
use super::order::Side;
use super::rounds::{RUNS_PER_ROUND, Rounds};
use crate::load::judge::reason::ReasonCode;
use crate::load::report::json::json_object;
use crate::load::report::schema::{Environment, Report, SCHEMA};

/// The kind of this report. The report of a run has none.
pub const KIND: &str = "compare";

/// The report of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CompareReport {
    /// The version of the schema, that of the reports of the runs.
    pub schema: u32,
    /// The kind of the report: [`KIND`].
    pub kind: &'static str,
    /// The machine and the build that compared.
    pub environment: Environment,
    /// What A is.
    pub a: ComparedSide,
    /// What B is.
    pub b: ComparedSide,
    /// The rounds; null if reports of runs were compared, which belong to no rounds.
    pub rounds: Option<RoundCounts>,
    /// The number of the signal that ended the comparison early; null if none did.
    pub interrupted: Option<i32>,
    /// Why the comparison ended early; null if it did not, or if a signal ended it.
    pub failure: Option<String>,
    /// The figure that decides.
    pub metric: Figure,
    /// What the figure that decides says about B; null without a verdict: the comparison ended early, or a run lacks the
    /// figure.
    pub conclusion: Option<Conclusion>,
    /// The conclusion in words.
    pub text: String,
    /// The limit of how much slower B may be; null if none was given.
    pub limit: Option<Limit>,
    /// All figures. Only the one of `metric` decides.
    pub figures: Vec<ComparedFigure>,
    /// The runs in the order of time.
    pub runs: Vec<ComparedRun>,
}

/// A side of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ComparedSide {
    /// The target, the command, or the number of files.
    pub name: String,
    /// The options that this side has of its own; null if none were given.
    pub options: Option<String>,
    /// The number of runs that count.
    pub runs: usize,
    /// The number of these runs that are SUSPECT.
    pub suspect: usize,
    /// How many of these runs have a reason, by its code.
    pub reasons: BTreeMap<ReasonCode, usize>,
}

/// The number of rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RoundCounts {
    /// The rounds that were asked for.
    pub asked: usize,
    /// The rounds that are complete, and count.
    pub complete: usize,
    /// The rounds that were started again because the machine was disturbed.
    pub repeated: usize,
}

/// A limit of how much slower B may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Limit {
    /// The limit: 0.02 is 2 %.
    pub slower: f64,
    /// How the interval of the figure that decides lies to the limit.
    pub outcome: LimitOutcome,
}

/// A run of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedRun {
    /// What was measured.
    pub side: Side,
    /// The number of the round, from 1; null for a report that was read.
    pub round: Option<usize>,
    /// The file of a report that was read; null for a run of a round.
    pub file: Option<String>,
    /// True if the run counts: its round is complete.
    pub counts: bool,
    /// The report without intervals and batches, and with the histogram of the response alone.
    pub report: Report,
}

/// Why a comparison ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComparisonEnd {
    /// All runs are done.
    Done,
    /// The signal of this number ended the comparison.
    Interrupted(i32),
    /// A run failed for this reason.
    Failed(String),
}

/// What a side of a comparison is.
#[derive(Clone, Debug)]
pub struct SideName {
    /// The target, the command, or the number of files.
    pub name: String,
    /// The options that this side has of its own.
    pub options: Option<String>,
}

/// What is compared, and what decides.
#[derive(Clone, Debug)]
pub struct Question {
    /// What A is.
    pub a: SideName,
    /// What B is.
    pub b: SideName,
    /// The figure that decides.
    pub metric: Figure,
    /// The share by which B may be slower: 0.02 is 2 %.
    pub limit: Option<f64>,
}

/// The outcome of a comparison. If several apply, the first in this order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOutcome {
    /// A reply of a run differed from what was sent.
    WrongBytes,
    /// The signal of this number ended the comparison.
    Interrupted(i32),
    /// A run failed.
    Failed,
    /// B is slower than the limit allows.
    TooSlow,
    /// It is undecided whether B is slower than the limit allows.
    Undecided,
    /// None of the above.
    Finished,
}

impl ComparedRun {
    /// Returns a run without what a comparison does not need: a comparison has many runs.
    pub fn new(side: Side, round: usize, report: Report) -> Self {
        Self {
            side,
            round: Some(round),
            file: None,
            counts: false,
            report: reduced(report),
        }
    }

    /// Returns the run whose report was read from `file`.
    pub fn of_file(side: Side, file: String, report: Report) -> Self {
        Self {
            side,
            round: None,
            file: Some(file),
            counts: true,
            report: reduced(report),
        }
    }
}

impl CompareReport {
    /// Compares the runs of rounds.
    pub fn of_rounds(
        question: Question,
        runs: Vec<ComparedRun>,
        rounds: &Rounds,
        end: ComparisonEnd,
    ) -> Self {
        let counted: Vec<_> = runs.iter().filter(|run| run.counts).collect();
        let complete = rounds_of(&counted);
        let figures = Figure::ALL.map(|figure| ComparedFigure::of_rounds(figure, &complete));
        let counts = RoundCounts {
            asked: rounds.asked(),
            complete: complete.len(),
            repeated: rounds.repeated(),
        };
        Self::new(question, Some(counts), figures.into(), runs, end)
    }

    /// Compares runs that belong to no rounds.
    pub fn of_files(question: Question, runs: Vec<ComparedRun>) -> Self {
        let of_side = |side| {
            let runs = runs.iter().filter(move |run| run.side == side);
            runs.map(|run| &run.report).collect::<Vec<_>>()
        };
        let (base, new) = (of_side(Side::A), of_side(Side::B));
        let figures = Figure::ALL.map(|figure| ComparedFigure::of_files(figure, &base, &new));
        Self::new(question, None, figures.into(), runs, ComparisonEnd::Done)
    }

    fn new(
        question: Question,
        rounds: Option<RoundCounts>,
        figures: Vec<ComparedFigure>,
        runs: Vec<ComparedRun>,
        end: ComparisonEnd,
    ) -> Self {
        let metric = question.metric;
        let primary = figures.iter().find(|figure| figure.figure == metric);
        let comparison = primary.and_then(ComparedFigure::comparison);
        let comparison = comparison.filter(|_| end == ComparisonEnd::Done);
        let text = match (&end, &comparison) {
            (ComparisonEnd::Interrupted(_), _) => "no verdict: interrupted".into(),
            (ComparisonEnd::Failed(_), _) => "no verdict: a run failed".into(),
            (ComparisonEnd::Done, Some(comparison)) => comparison.to_string(),
            (ComparisonEnd::Done, None) => {
                let missing = primary.and_then(|figure| figure.missing.as_deref());
                format!("no verdict: {}", missing.unwrap_or("no runs"))
            }
        };
        let against = |slower| comparison.as_ref().map(|found| found.against_limit(slower));
        Self {
            schema: SCHEMA,
            kind: KIND,
            environment: Environment::current(),
            a: ComparedSide::of(question.a, &runs, |side| side != Side::B),
            b: ComparedSide::of(question.b, &runs, |side| side == Side::B),
            rounds,
            interrupted: match end {
                ComparisonEnd::Interrupted(signal) => Some(signal),
                ComparisonEnd::Done | ComparisonEnd::Failed(_) => None,
            },
            failure: match end {
                ComparisonEnd::Failed(reason) => Some(reason),
                ComparisonEnd::Done | ComparisonEnd::Interrupted(_) => None,
            },
            metric,
            conclusion: comparison.as_ref().map(Comparison::conclusion),
            text,
            limit: question.limit.map(|slower| Limit {
                slower,
                outcome: against(slower).unwrap_or(LimitOutcome::Undecided),
            }),
            figures,
            runs,
        }
    }

    /// Returns the outcome.
    pub fn outcome(&self) -> CompareOutcome {
        let mut reports = self.runs.iter().map(|run| &run.report);
        if reports.any(|report| report.metrics.counts.corrupted > 0) {
            CompareOutcome::WrongBytes
        } else if let Some(signal) = self.interrupted {
            CompareOutcome::Interrupted(signal)
        } else if self.failure.is_some() {
            CompareOutcome::Failed
        } else {
            match self.limit.map(|limit| limit.outcome) {
                Some(LimitOutcome::Beyond) => CompareOutcome::TooSlow,
                Some(LimitOutcome::Undecided) => CompareOutcome::Undecided,
                Some(LimitOutcome::Inside) | None => CompareOutcome::Finished,
            }
        }
    }

    /// Returns true if a run that counts is SUSPECT.
    pub fn is_suspect(&self) -> bool {
        self.a.suspect + self.b.suspect > 0
    }

    /// Returns the report as one JSON object that ends with a line break.
    pub fn to_json(&self) -> String {
        json_object(self)
    }
}

impl ComparedSide {
    fn of(side: SideName, runs: &[ComparedRun], is_of_side: impl Fn(Side) -> bool) -> Self {
        let mut compared = Self {
            name: side.name,
            options: side.options,
            ..Self::default()
        };
        for run in runs.iter().filter(|run| run.counts && is_of_side(run.side)) {
            let verdict = &run.report.verdict;
            compared.runs += 1;
            compared.suspect += usize::from(!verdict.valid);
            for code in &verdict.codes {
                *compared.reasons.entry(*code).or_default() += 1;
            }
        }
        compared
    }
}

/// Returns the complete rounds: the reports of A, of B and of A again.
fn rounds_of<'a>(counted: &[&'a ComparedRun]) -> Vec<[&'a Report; RUNS_PER_ROUND]> {
    let rounds = counted.chunk_by(|a, b| a.round == b.round);
    let of_round = |round: &[&'a ComparedRun]| {
        let report = |side| {
            let mut runs = round.iter();
            runs.find(|run| run.side == side).map(|run| &run.report)
        };
        Some([report(Side::A)?, report(Side::B)?, report(Side::AAgain)?])
    };
    rounds.filter_map(of_round).collect()
}

fn reduced(mut report: Report) -> Report {
    report.intervals.clear();
    report.batches.clear();
    report
        .histograms
        .retain(|name, _| name.starts_with("response"));
    report
}

#[cfg(test)]
mod tests;
