//! The report of a sweep: the same measurement for several values of one parameter, as a table, as CSV and as JSON.

use std::fmt;

use serde::{Serialize, Serializer};

use super::json::json_object;
use super::rows::{HEADINGS, figures, row, verdict, worded_lines};
use super::schema::{Report, SCHEMA};
use crate::load::judge::outcome::Outcome;
use crate::load::units::{format_decimal, pluralize};

/// The report of a sweep: a JSON object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SweepReport {
    /// The version of the schema, as in [`Report::schema`].
    pub schema: u32,
    /// `sweep`. The report of a single measurement has no such field.
    pub kind: &'static str,
    /// The parameter that the steps vary.
    pub parameter: Parameter,
    /// The steps in the order of the measurements. If the sweep ended early, the steps until then.
    pub steps: Vec<SweepStep>,
}

/// One step of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SweepStep {
    /// The value of the parameter: bytes, messages per second, connections, or messages.
    #[serde(serialize_with = "as_number")]
    pub value: f64,
    /// The report of the measurement with this value.
    pub report: Report,
}

/// What a sweep varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Parameter {
    /// The size of the messages in bytes.
    Size,
    /// The rate of an open loop in messages per second.
    Rate,
    /// The number of connections.
    Connections,
    /// The most unanswered messages of a connection.
    Pipeline,
}

impl SweepReport {
    /// Creates the report of a sweep that has no steps yet.
    pub fn new(parameter: Parameter) -> Self {
        Self {
            schema: SCHEMA,
            kind: "sweep",
            parameter,
            steps: Vec::new(),
        }
    }

    /// Returns the worst outcome of the steps: a sweep is as good as its worst step.
    pub fn outcome(&self) -> Outcome {
        let outcomes = self.steps.iter().map(|step| step.report.outcome());
        outcomes.min().unwrap_or(Outcome::NothingAnswered)
    }

    /// Returns the report as one JSON object that ends with a line break.
    pub fn to_json(&self) -> String {
        json_object(self)
    }

    /// Returns the report as a table with one line for each step.
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        if let Some(first) = self.steps.first() {
            lines.push(format!(
                "sweep of {}, {}; the first is {}",
                self.parameter,
                pluralize(self.steps.len() as u64, "step"),
                first.report.config.headline()
            ));
        }
        lines.extend(worded_lines(&self.cells()));
        lines.join("\n") + "\n"
    }

    /// Returns the cells of the table with the verdicts, its head first.
    pub fn cells(&self) -> Vec<Vec<String>> {
        let heading = self.parameter.heading().to_owned();
        let head = row([heading], HEADINGS.map(String::from), "verdict");
        let rows = self.steps.iter().map(SweepStep::row);
        [head].into_iter().chain(rows).collect()
    }

    /// Returns the report as CSV: a line with the names of the columns, and a line for each step. A figure that does not
    /// exist is an empty field. No field has a comma or a quote.
    pub fn to_csv(&self) -> String {
        let steps = self.steps.iter();
        let lines = steps.map(|step| step.csv_fields(self.parameter) + "\n");
        csv_names() + "\n" + &lines.collect::<String>()
    }
}

impl SweepStep {
    fn row(&self) -> Vec<String> {
        let value = format_decimal(self.value, 3);
        row([value], figures(&self.report), verdict(&self.report))
    }

    /// Returns the fields of the step, as [`csv_names`] names them.
    pub(crate) fn csv_fields(&self, parameter: Parameter) -> String {
        COLUMNS.map(|(_, field)| field(parameter, self)).join(",")
    }
}

impl Parameter {
    /// Returns the heading of the column of the values.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::Size => "size (B)",
            Self::Rate => "rate (messages/s)",
            Self::Connections => "connections",
            Self::Pipeline => "pipeline",
        }
    }
}

/// Formats the name in options and reports.
impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A column of the CSV: its name, and how its field is made.
type Column = (&'static str, fn(Parameter, &SweepStep) -> String);

/// Times are those of the response, in microseconds.
const COLUMNS: [Column; 22] = [
    ("parameter", |parameter, _| parameter.to_string()),
    ("value", |_, step| format_decimal(step.value, 3)),
    ("seconds", |_, step| {
        field(Some(step.report.metrics.seconds))
    }),
    ("messages", |_, step| {
        step.report.metrics.counts.messages.to_string()
    }),
    ("messages_per_sec", |_, step| {
        field(step.report.metrics.messages_per_sec)
    }),
    ("mb_per_sec", |_, step| {
        field(step.report.metrics.mb_per_sec)
    }),
    ("p50_us", |_, step| {
        field(step.report.metrics.response_us.p50)
    }),
    ("p90_us", |_, step| {
        field(step.report.metrics.response_us.p90)
    }),
    ("p99_us", |_, step| {
        field(step.report.metrics.response_us.p99)
    }),
    ("p99_9_us", |_, step| {
        field(step.report.metrics.response_us.p99_9)
    }),
    ("p99_99_us", |_, step| {
        field(step.report.metrics.response_us.p99_99)
    }),
    ("max_us", |_, step| {
        field(step.report.metrics.response_us.max)
    }),
    ("mean_us", |_, step| {
        field(step.report.metrics.response_us.mean)
    }),
    ("lower_bounds", |_, step| {
        step.report.metrics.response_us.lower_bounds.to_string()
    }),
    ("errors", |_, step| {
        step.report.metrics.counts.failures.total().to_string()
    }),
    ("corrupted", |_, step| {
        step.report.metrics.counts.corrupted.to_string()
    }),
    ("unanswered", |_, step| {
        step.report.metrics.counts.unanswered.to_string()
    }),
    ("unsent", |_, step| {
        step.report.metrics.counts.unsent.to_string()
    }),
    ("generator_busy", |_, step| {
        field(step.report.generator.busy)
    }),
    ("server_cpu", |_, step| {
        field(step.report.server.and_then(|server| server.cpu))
    }),
    ("slo_met", |_, step| match &step.report.slo[..] {
        [] => String::new(),
        results => results.iter().all(|result| result.met).to_string(),
    }),
    ("reasons", |_, step| {
        let codes = step.report.verdict.codes.iter();
        codes.map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }),
];

/// Returns the names of the columns of the CSV.
pub(crate) fn csv_names() -> String {
    COLUMNS.map(|(name, _)| name).join(",")
}

fn field(number: Option<f64>) -> String {
    number.map_or_else(String::new, |number| format_decimal(number, 6))
}

/// Writes a whole number without a fraction: 64, not 64.0.
fn as_number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match value.fract() == 0.0 {
        true => serializer.serialize_u64(*value as u64),
        false => serializer.serialize_f64(*value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::load::measure::metrics::Metrics;
    use crate::load::testing::closed_loop;

    /// Returns a sweep with a step that is valid and one that has no answers.
    fn sweep() -> SweepReport {
        let mut silent = closed_loop();
        silent.measurement.total = Metrics::default();
        let mut sweep = SweepReport::new(Parameter::Size);
        for (value, results) in [(64.0, closed_loop()), (1024.0, silent)] {
            let report = Report::new(&results, None);
            sweep.steps.push(SweepStep { value, report });
        }
        sweep
    }

    #[test]
    fn a_sweep_has_a_line_for_each_step() {
        let text = sweep().text();
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[0].starts_with("sweep of size, 2 steps; the first is localhost:7007 "),
            "{text}"
        );
        assert_eq!(
            lines[1..],
            [
                "size (B)  messages/s  MB/s    p50    p90    p99  p99.9  max (us)  errors",
                "64            2000.0  0.13  200.1  280.1  298.2      -     300.0       0  VALID",
                "1024             0.0  0.00      -      -      -      -         -       0  SUSPECT: too few samples",
            ]
        );
    }

    #[test]
    fn every_line_of_the_csv_has_a_field_for_each_column() {
        let csv = sweep().to_csv();
        let lines: Vec<Vec<_>> = csv.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(lines.len(), 3);
        let field = |line: usize, name: &str| {
            let column = lines[0].iter().position(|column| *column == name);
            lines[line][column.expect("a column")]
        };
        assert!(lines.iter().all(|fields| fields.len() == COLUMNS.len()));
        assert_eq!(
            ["parameter", "value", "p99_us"].map(|name| field(1, name)),
            ["size", "64", "298.239"]
        );
        assert_eq!(
            (field(2, "p99_us"), field(2, "reasons")),
            ("", "too_few_samples")
        );
    }

    #[test]
    fn the_json_names_its_kind_and_holds_a_report_for_each_step() {
        let json: Value = serde_json::from_str(&sweep().to_json()).expect("JSON");
        assert_eq!(json["schema"], SCHEMA);
        assert_eq!(
            (&json["kind"], &json["parameter"]),
            (&"sweep".into(), &"size".into())
        );
        assert_eq!(json["steps"][1]["value"], 1024);
        assert_eq!(json["steps"][0]["report"]["metrics"]["messages"], 2000);
    }

    #[test]
    fn the_worst_step_is_the_outcome() {
        assert_eq!(sweep().outcome(), Outcome::NothingAnswered);
        let mut sweep = sweep();
        sweep.steps.pop();
        assert_eq!(sweep.outcome(), Outcome::Finished);
    }
}
