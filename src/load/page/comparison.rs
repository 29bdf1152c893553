//! The page of a comparison.

use std::error::Error;

use askama::Template;

use super::details::{Entry, fields};
use super::drawing::{Canvas, Drawing};
use super::forest::forest;
use super::frame::page;
use super::spectrum::{Curve, spectrum};
use crate::load::compare::conclusion::{Conclusion, LimitOutcome};
use crate::load::compare::order::Side;
use crate::load::compare::report::{CompareReport, ComparedRun};
use crate::load::compare::text;
use crate::load::measure::latency_histogram::LatencyHistogram;
use crate::load::report::rows;

/// The body of the page.
#[derive(Template)]
#[template(config = "src/load/page/askama.toml", path = "comparison.html")]
struct ComparisonPage<'a> {
    report: &'a CompareReport,
    title: String,
    conclusion: String,
    /// The class of the verdict.
    class: &'static str,
    limit: Option<String>,
    failure: Option<String>,
    facts: Vec<String>,
    is_closed: bool,
    forest: Vec<Drawing>,
    figures: Vec<[String; 6]>,
    spectrum: Vec<Drawing>,
    has_bounds: bool,
    has_control: bool,
    runs: Vec<Vec<String>>,
}

/// Returns the report as a page of HTML.
///
/// # Errors
///
/// When a histogram of a run cannot be decoded.
pub fn html(report: &CompareReport) -> Result<String, Box<dyn Error>> {
    let (a, b) = (
        sum(report, |side| side != Side::B)?,
        sum(report, |side| side == Side::B)?,
    );
    let curves = [Curve::first("A", &a), Curve::second("B", &b)];
    let is_closed = |run: &ComparedRun| run.report.config.rate_per_s.is_none();
    let body = ComparisonPage {
        report,
        title: title(report),
        conclusion: text::conclusion(report),
        class: class(report),
        limit: text::limit(report),
        failure: text::failure(report),
        facts: text::facts(report),
        is_closed: report.runs.iter().any(is_closed),
        forest: Canvas::draw_each(|canvas| forest(canvas, &report.figures)),
        figures: text::table(report),
        spectrum: Canvas::draw_each(|canvas| {
            spectrum("spectrum", canvas, "Responses of A and B", &curves)
        }),
        has_control: report.figures.iter().any(|figure| figure.control.is_some()),
        has_bounds: a.lower_bounds() + b.lower_bounds() > 0,
        runs: runs(report),
    };
    Ok(page(
        &body.title,
        body.render()?,
        &report.to_json(),
        "mio-echo-comparison.json",
    ))
}

fn title(report: &CompareReport) -> String {
    let (a, b) = (&report.a.name, &report.b.name);
    match a == b {
        true => format!("A and B: {a}"),
        false => format!("A: {a}, B: {b}"),
    }
}

/// Returns the sum of the responses of the runs of a side that count.
fn sum(
    report: &CompareReport,
    is_of_side: impl Fn(Side) -> bool,
) -> Result<LatencyHistogram, Box<dyn Error>> {
    let mut sum = LatencyHistogram::default();
    for run in report
        .runs
        .iter()
        .filter(|run| run.counts && is_of_side(run.side))
    {
        sum += &run.report.response()?;
    }
    Ok(sum)
}

/// Returns the class of the verdict: good news, no news, or what calls for attention.
fn class(report: &CompareReport) -> &'static str {
    let limit = report.limit.map(|limit| limit.outcome);
    match (limit, report.conclusion) {
        (Some(LimitOutcome::Inside), _) => "valid",
        (Some(LimitOutcome::Beyond | LimitOutcome::Undecided), _) => "suspect",
        (None, Some(Conclusion::Faster)) => "valid",
        (None, Some(Conclusion::NoDifference)) => "neutral",
        (None, Some(Conclusion::Slower | Conclusion::NoVerdict) | None) => "suspect",
    }
}

/// Returns the rows of the table of runs, its head first.
fn runs(report: &CompareReport) -> Vec<Vec<String>> {
    let head = rows::row(["run".into()], rows::HEADINGS.map(String::from), "verdict");
    let row = |run: &ComparedRun| {
        let side = match run.side {
            Side::A => "A",
            Side::B => "B",
            Side::AAgain => "A again",
        };
        let name = match (run.round, &run.file) {
            (Some(round), _) => format!("{round} {side}"),
            (None, Some(file)) => format!("{side} {file}"),
            (None, None) => side.into(),
        };
        let name = if run.counts {
            name
        } else {
            format!("{name} (left out)")
        };
        let report = &run.report;
        rows::row([name], rows::figures(report), rows::verdict(report))
    };
    [head]
        .into_iter()
        .chain(report.runs.iter().map(row))
        .collect()
}

impl ComparisonPage<'_> {
    fn folded(&self) -> Vec<(&'static str, Vec<Entry>)> {
        let configuration = |side| {
            let run = self.report.runs.iter().find(|run| run.side == side);
            run.map(|run| fields(&run.report.config))
                .unwrap_or_default()
        };
        vec![
            ("Configuration of A", configuration(Side::A)),
            ("Configuration of B", configuration(Side::B)),
            ("Machine and build", fields(&self.report.environment)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::compare::figure::Figure;
    use crate::load::compare::report::{ComparisonEnd, Question, SideName};
    use crate::load::compare::rounds::Rounds;
    use crate::load::report::schema::Report;
    use crate::load::testing::closed_loop;

    /// Returns a comparison of two rounds. The first `counted` of them count.
    fn comparison(counted: usize) -> CompareReport {
        let side = || SideName {
            name: "</script><b>".into(),
            options: None,
        };
        let question = Question {
            a: side(),
            b: side(),
            metric: Figure::MessagesPerSec,
            limit: Some(0.02),
        };
        let runs = [1, 2].into_iter().flat_map(|round| {
            [Side::A, Side::B, Side::AAgain].map(|side| {
                let mut run = ComparedRun::new(side, round, Report::new(&closed_loop(), None));
                run.counts = round <= counted;
                run
            })
        });
        CompareReport::of_rounds(
            question,
            runs.collect(),
            &Rounds::new(2, 7),
            ComparisonEnd::Done,
        )
    }

    #[test]
    fn both_sides_share_one_spectrum_and_each_ratio_has_its_control() {
        let page = html(&comparison(2)).expect("a page");
        let sizes = 2;
        // The CPU time of the server is unknown, so three of four figures have a ratio.
        for (class, ratios) in [("mark one", 3), ("mark two", 3)] {
            let plots = page
                .split("<svg")
                .filter(|plot| plot.contains("id=\"ratios-"));
            let marks: usize = plots
                .map(|plot| plot.matches(&format!("class=\"{class}\"")).count())
                .sum();
            assert_eq!(marks, sizes * ratios, "{class}");
        }
        for label in [">A</text>", ">B</text>"] {
            assert_eq!(page.matches(label).count(), sizes, "{label}");
        }
        assert!(page.contains("Closed loop:"));
        assert!(!page.contains("<b>") && !page.contains("NaN"));
    }

    #[test]
    fn the_verdicts_of_the_runs_break_between_words() {
        let page = html(&comparison(1)).expect("a page");
        let (_, runs) = page.split_once("<h2>Runs</h2>").expect("the runs");
        assert!(runs.contains("<table class=\"worded\">"));
    }

    #[test]
    fn a_comparison_without_a_complete_round_has_a_page() {
        let page = html(&comparison(0)).expect("a page");
        assert!(page.contains("No figure has a ratio") && page.contains("No run counts"));
        assert!(page.contains("(left out)"));
    }
}
