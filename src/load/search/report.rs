//! The report of a search: a line for each run and the answer, as a table, as CSV and as JSON.

use serde::Serialize;

use super::machine::{Answer, SearchLimit, Stage, Step};
use super::result::{StepResult, causes};
use crate::load::judge::cause::Cause;
use crate::load::judge::outcome::Outcome;
use crate::load::judge::slo::Slo;
use crate::load::report::json::json_object;
use crate::load::report::rows::{HEADINGS, figures, row, worded_lines};
use crate::load::report::schema::{Report, SCHEMA};
use crate::load::report::sweep::{Parameter, SweepStep, csv_names};
use crate::load::units::{format_decimal, pluralize};

/// The report of a search: a JSON object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FindMaxReport {
    /// The version of the schema, as in [`Report::schema`].
    pub schema: u32,
    /// `find_max`. The report of a single measurement has no such field.
    pub kind: &'static str,
    /// The objectives, such as `p99 < 1 ms`.
    pub objectives: Vec<String>,
    /// The low end of the range in messages per second.
    pub low_per_s: f64,
    /// The high end of the range in messages per second.
    pub high_per_s: f64,
    /// What the search has found; null if it ended early.
    pub answer: Option<Answer>,
    /// The highest rate that met the objectives by the majority of its runs; null if none did. The answer may be a lower
    /// rate, which was confirmed.
    pub highest_met_per_s: Option<f64>,
    /// The runs in order. If the search ended early, the runs until then.
    pub steps: Vec<FindMaxStep>,
}

/// A run of a search.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FindMaxStep {
    /// The stage that the run belongs to.
    pub stage: Stage,
    /// What the run says about its rate; null if it was interrupted.
    pub result: Option<StepResult>,
    /// The rate as `value`, and the report of the run.
    #[serde(flatten)]
    pub measured: SweepStep,
}

impl FindMaxReport {
    /// Creates the report of a search from `low` to `high` that has no runs yet.
    pub fn new(slo: &Slo, low: f64, high: f64) -> Self {
        Self {
            schema: SCHEMA,
            kind: "find_max",
            objectives: slo.0.iter().map(ToString::to_string).collect(),
            low_per_s: low,
            high_per_s: high,
            answer: None,
            highest_met_per_s: None,
            steps: Vec::new(),
        }
    }

    /// Returns the outcome of the search. Runs that miss the objectives are part of every search: only the answer counts,
    /// and wrong bytes.
    pub fn outcome(&self) -> Outcome {
        let reports = || self.steps.iter().map(|step| &step.measured.report);
        if reports().any(|report| report.metrics.counts.corrupted > 0) {
            return Outcome::WrongBytes;
        }
        match self.answer {
            Some(answer) => answer.outcome(),
            None => match reports().find_map(|report| report.interrupted) {
                Some(signal) => Outcome::Interrupted(signal),
                None => Outcome::NothingAnswered,
            },
        }
    }

    /// Returns the report as one JSON object that ends with a line break.
    pub fn to_json(&self) -> String {
        json_object(self)
    }

    /// Returns the report as a table with one line for each run, and the answer.
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        if let Some(first) = self.steps.first() {
            lines.push(format!(
                "highest rate from {} to {} messages/s with {}, {}; the first is {}",
                rate(self.low_per_s),
                rate(self.high_per_s),
                self.objectives(),
                pluralize(self.steps.len() as u64, "run"),
                first.measured.report.config.headline()
            ));
        }
        lines.extend(worded_lines(&self.cells()));
        lines.push(self.answer_in_words());
        lines.join("\n") + "\n"
    }

    /// Returns the cells of the table with what each run says, its head first.
    pub fn cells(&self) -> Vec<Vec<String>> {
        let headings = [Parameter::Rate.heading(), "stage", "s"].map(String::from);
        let head = row(headings, HEADINGS.map(String::from), "result");
        let rows = self.steps.iter().map(FindMaxStep::row);
        [head].into_iter().chain(rows).collect()
    }

    /// Returns the report as CSV: the columns of a sweep after `stage` and `result`.
    pub fn to_csv(&self) -> String {
        let mut csv = format!("stage,result,{}\n", csv_names());
        for step in &self.steps {
            let result = step.result.map_or_else(String::new, name);
            let fields = step.measured.csv_fields(Parameter::Rate);
            csv += &format!("{},{result},{fields}\n", name(step.stage));
        }
        csv
    }

    fn objectives(&self) -> String {
        self.objectives.join(", ")
    }

    /// Returns what the search has found.
    pub fn answer_in_words(&self) -> String {
        let highest = self.highest_met_per_s.map(rate);
        let so_far = match &highest {
            Some(highest) => format!("{highest} messages/s met {} so far", self.objectives()),
            None => format!("no rate met {} so far", self.objectives()),
        };
        let Some(answer) = self.answer else {
            return format!("the search ended early: {so_far}");
        };
        let found = answer.rate_per_s.map(rate);
        let objectives = self.objectives();
        let confirmed = match answer.confirmed {
            true => "confirmed over the full duration",
            false => "not confirmed over the full duration",
        };
        match (answer.limited_by, found) {
            (SearchLimit::Objectives, Some(found)) if answer.confirmed => {
                format!("highest rate with {objectives}: {found} messages/s, {confirmed}")
            }
            (SearchLimit::Objectives, Some(found)) => format!(
                "no rate confirmed: {found} messages/s met {objectives} in short runs, and neither this rate nor those \
                 down to 8 % lower did over the full duration"
            ),
            (SearchLimit::Objectives, None) => format!(
                "the low end of the range does not meet {objectives}: {} messages/s",
                rate(self.low_per_s)
            ),
            (limit, Some(found)) => {
                format!(
                    "at least {found} messages/s: {} ({objectives} met, {confirmed})",
                    limit.words()
                )
            }
            (limit, None) => format!("no rate found: {}", limit.words()),
        }
    }
}

impl FindMaxStep {
    /// Creates the step of a run that says `result`.
    pub fn new(step: Step, result: Option<StepResult>, report: Report) -> Self {
        Self {
            stage: step.stage,
            result,
            measured: SweepStep {
                value: step.rate,
                report,
            },
        }
    }

    fn row(&self) -> Vec<String> {
        let report = &self.measured.report;
        let names = [
            rate(self.measured.value),
            self.stage.words().to_owned(),
            format!("{:.1}", report.metrics.seconds),
        ];
        row(names, figures(report), self.words())
    }

    /// Returns the result, the objectives that are missed and the kinds of the reasons that count.
    fn words(&self) -> String {
        let report = &self.measured.report;
        let Some(result) = self.result else {
            return "interrupted".into();
        };
        let missed = report.slo.iter().filter(|result| !result.met);
        let mut reasons: Vec<_> = missed.map(|result| result.objective.to_string()).collect();
        let counts = |cause| match cause {
            Cause::Machine | Cause::Generator | Cause::Server => true,
            Cause::Other => false,
        };
        let codes = causes(report).filter(|(_, cause)| counts(*cause));
        reasons.extend(codes.map(|(code, _)| code.words()));
        if report.metrics.counts.corrupted > 0 {
            reasons.push("wrong bytes".into());
        }
        if reasons.is_empty() {
            return result.words().into();
        }
        let (words, reasons) = (result.words(), reasons.join(", "));
        match result {
            StepResult::Met => format!("{words} despite: {reasons}"),
            StepResult::NotMet | StepResult::GeneratorLimit | StepResult::Disturbed => {
                format!("{words}: {reasons}")
            }
        }
    }
}

impl Answer {
    /// Returns the outcome: no confirmed rate is as bad as a measurement that misses the objectives.
    fn outcome(&self) -> Outcome {
        match self.confirmed {
            true => Outcome::Finished,
            false => Outcome::ObjectiveMissed,
        }
    }
}

impl Stage {
    /// Returns the name of the stage in words, for tables and lines.
    pub fn words(self) -> &'static str {
        match self {
            Self::Doubling => "doubling",
            Self::Bisection => "bisection",
            Self::BestOfThree => "best of three",
            Self::Confirmation => "confirmation",
        }
    }
}

impl SearchLimit {
    fn words(self) -> &'static str {
        match self {
            Self::Objectives => "a higher rate does not meet the objectives",
            Self::Range => "the range ends there",
            Self::Generator => "the generator is the limit",
            Self::Machine => "the machine was disturbed in each repetition of the last run",
        }
    }
}

fn rate(per_sec: f64) -> String {
    format_decimal(per_sec, 3)
}

/// Returns the name in JSON.
fn name(value: impl Serialize) -> String {
    let json = serde_json::to_string(&value).expect("a name");
    json.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests;
