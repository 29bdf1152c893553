//! The pages of several measurements: of a sweep, of a search, and of a measurement beside bulk connections.

use std::error::Error;

use askama::Template;

use super::details::{Entry, fields};
use super::drawing::{Canvas, Drawing};
use super::frame::page;
use super::numbers::time;
use super::spectrum::{BOUND, Curve, TAIL, spectrum};
use super::steps::{Joined, Look, Step, steps};
use crate::load::judge::slo::Objective;
use crate::load::measure::percentile::Percentile;
use crate::load::report::beside::{BesideReport, Difference};
use crate::load::report::rows;
use crate::load::report::schema::Report;
use crate::load::report::sweep::SweepReport;
use crate::load::search::report::FindMaxReport;
use crate::load::search::result::StepResult;

/// The body of a page.
#[derive(Template)]
#[template(config = "src/load/page/askama.toml", path = "series.html")]
struct SeriesPage {
    kind: &'static str,
    title: String,
    /// What was found, in words.
    conclusion: String,
    /// The class of the conclusion.
    class: &'static str,
    facts: Vec<String>,
    is_closed: bool,
    plots: Vec<Drawing>,
    caption: String,
    rows: Vec<Vec<String>>,
    folded: Vec<(&'static str, Vec<Entry>)>,
}

/// Returns the page of a sweep.
///
/// # Errors
///
/// When the page cannot be made of the report.
pub fn sweep_html(report: &SweepReport) -> Result<String, Box<dyn Error>> {
    let look = Look {
        heading: report.parameter.heading(),
        joined: Joined::Yes,
        upper: Percentile::P99,
        limit_us: None,
    };
    let shown: Vec<_> = report
        .steps
        .iter()
        .map(|step| of_verdict(step.value, &step.report))
        .collect();
    let suspect = shown.iter().filter(|step| !step.is_good).count();
    let first = report.steps.first().map(|step| &step.report);
    let body = SeriesPage {
        kind: "mio-echo bench --sweep",
        title: format!("Sweep of {}", report.parameter),
        conclusion: match suspect {
            0 => "VALID: no reason speaks against any step".into(),
            suspect => format!(
                "{suspect} of {} steps are SUSPECT: the table names the reasons",
                shown.len()
            ),
        },
        class: if suspect == 0 { "valid" } else { "suspect" },
        facts: first
            .map(|first| format!("the first step is {}", first.config.headline()))
            .into_iter()
            .collect(),
        is_closed: first.is_some_and(is_closed),
        plots: Canvas::draw_each(|canvas| steps(canvas, look, &shown)),
        caption: with_bounds(
            "A cross in the throughput is a step that is SUSPECT.",
            report.steps.iter().map(|step| &step.report),
        ),
        rows: report.cells(),
        folded: folded(first),
    };
    render(&body, &report.to_json())
}

/// Returns the page of a search for the highest rate.
///
/// # Errors
///
/// When the page cannot be made of the report.
pub fn find_max_html(report: &FindMaxReport) -> Result<String, Box<dyn Error>> {
    let shown = report.steps.iter().map(|step| Step {
        value: step.measured.value,
        report: &step.measured.report,
        is_good: step.result == Some(StepResult::Met),
        words: step.result.map_or("interrupted", StepResult::words).into(),
    });
    let shown: Vec<_> = shown.collect();
    let first = report.steps.first().map(|step| &step.measured.report);
    let objective = first.and_then(objective_of_percentile);
    let look = Look {
        heading: "rate asked (messages/s)",
        joined: Joined::No,
        upper: objective.map_or(Percentile::P99, |(percentile, _)| percentile),
        limit_us: objective.map(|(_, limit)| limit),
    };
    let is_confirmed = report.answer.is_some_and(|answer| answer.confirmed);
    let body = SeriesPage {
        kind: "mio-echo bench --find-max",
        title: "Highest rate that meets the objectives".into(),
        conclusion: report.answer_in_words(),
        class: if is_confirmed { "valid" } else { "suspect" },
        facts: first
            .map(|first| format!("the first run is {}", first.config.headline()))
            .into_iter()
            .collect(),
        is_closed: false,
        plots: Canvas::draw_each(|canvas| steps(canvas, look, &shown)),
        caption: with_bounds(
            "In the throughput, a circle is a run that met the objectives. A cross is a run that did not, or that does not count: the table names the reason.",
            report.steps.iter().map(|step| &step.measured.report),
        ),
        rows: report.cells(),
        folded: folded(first),
    };
    render(&body, &report.to_json())
}

/// Returns the page of a measurement beside bulk connections.
///
/// # Errors
///
/// When a histogram cannot be decoded.
pub fn beside_html(report: &BesideReport) -> Result<String, Box<dyn Error>> {
    let idle = report.idle.response()?;
    let loaded = report.loaded.as_ref().map(Report::response).transpose()?;
    let loaded = loaded
        .as_ref()
        .map(|loaded| Curve::second("loaded", loaded));
    let curves: Vec<_> = [Curve::first("idle", &idle)]
        .into_iter()
        .chain(loaded)
        .collect();
    let ping = format!("the ping is {}", report.idle.config.headline());
    let pings = [
        ("idle", Some(&report.idle)),
        ("loaded", report.loaded.as_ref()),
    ];
    let pings = pings
        .into_iter()
        .filter_map(|(name, ping)| ping.map(|ping| (name, ping)));
    let doubts: Vec<_> = pings
        .filter(|(_, ping)| !ping.verdict.valid)
        .map(|(name, ping)| format!("{name} is {}", rows::verdict(ping)))
        .collect();
    let body = SeriesPage {
        kind: "mio-echo bench --beside",
        title: "Latency under load".into(),
        conclusion: match doubts.is_empty() {
            true => added_in_words(report),
            false => format!("SUSPECT: {}", added_in_words(report)),
        },
        class: if doubts.is_empty() {
            "neutral"
        } else {
            "suspect"
        },
        facts: doubts
            .into_iter()
            .chain([ping])
            .chain(report.notes())
            .collect(),
        is_closed: is_closed(&report.idle),
        plots: Canvas::draw_each(|canvas| {
            spectrum("spectrum", canvas, "Responses idle and loaded", &curves)
        }),
        caption: with_bounds(
            &format!("The responses of the ping alone and beside the bulk connections. {TAIL}"),
            [Some(&report.idle), report.loaded.as_ref()]
                .into_iter()
                .flatten(),
        ),
        rows: report.cells(),
        folded: folded(Some(&report.idle)),
    };
    render(&body, &report.to_json())
}

/// Returns the first objective of `report` that limits a percentile above the median, with its limit in microseconds.
fn objective_of_percentile(report: &Report) -> Option<(Percentile, f64)> {
    let mut objectives = report.slo.iter();
    objectives.find_map(|result| match result.objective {
        Objective::Percentile(Percentile::P50, _)
        | Objective::Max(_)
        | Objective::Mean(_)
        | Objective::Errors(_) => None,
        Objective::Percentile(percentile, limit) => Some((percentile, limit.as_secs_f64() * 1e6)),
    })
}

/// Says what the bulk connections add to the response.
fn added_in_words(report: &BesideReport) -> String {
    let Some(added) = &report.added else {
        return "The measurement ended before the bulk connections began.".into();
    };
    let figure = |name: &str, difference: Difference| {
        format!("{name} {}", time(difference.us, difference.lower_bound))
    };
    format!(
        "The bulk connections add: {}, {}, {}",
        figure("p50", added.p50),
        figure("p99", added.p99),
        figure("max", added.max)
    )
}

fn of_verdict(value: f64, report: &Report) -> Step<'_> {
    Step {
        value,
        report,
        is_good: report.verdict.valid,
        words: rows::verdict(report),
    }
}

/// Returns the caption of a plot of `reports`, with what a triangle means if there is one.
fn with_bounds<'a>(caption: &str, mut reports: impl Iterator<Item = &'a Report>) -> String {
    match reports.any(|report| report.metrics.response_us.has_lower_bounds()) {
        true => format!("{caption} {BOUND}"),
        false => caption.into(),
    }
}

fn is_closed(report: &Report) -> bool {
    report.config.rate_per_s.is_none()
}

fn folded(report: Option<&Report>) -> Vec<(&'static str, Vec<Entry>)> {
    let of = |report: &Report| {
        vec![
            (
                "Configuration of the first measurement",
                fields(&report.config),
            ),
            ("Machine and build", fields(&report.environment)),
        ]
    };
    report.map(of).unwrap_or_default()
}

fn render(body: &SeriesPage, json: &str) -> Result<String, Box<dyn Error>> {
    Ok(page(
        &body.title,
        body.render()?,
        json,
        "mio-echo-report.json",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::sweep::{Parameter, SweepStep};
    use crate::load::testing::{closed_loop, open_loop};

    fn run() -> Report {
        let mut results = open_loop();
        results.settings.label = Some("</script><b>".into());
        Report::new(&results, None)
    }

    #[test]
    fn a_sweep_has_a_mark_for_each_step() {
        let mut sweep = SweepReport::new(Parameter::Size);
        for value in [64.0, 128.0, 1024.0] {
            sweep.steps.push(SweepStep {
                value,
                report: run(),
            });
        }
        sweep.steps[1].report.verdict.valid = false;
        let page = sweep_html(&sweep).expect("a page");
        let sizes = 2;
        for (class, marks) in [
            ("mark three", 2),
            ("mark doubt", 1),
            ("mark one", 3),
            ("mark two", 3),
            ("hit", 3),
        ] {
            assert_eq!(
                page.matches(&format!("class=\"{class}\"")).count(),
                sizes * marks,
                "{class}"
            );
        }
        assert!(page.contains("size (B) (logarithmic)"));
        assert!(page.contains("1 of 3 steps are SUSPECT"));
        assert!(!page.contains("<b>") && !page.contains("NaN"));
    }

    #[test]
    fn a_sweep_without_a_step_has_a_page() {
        let page = sweep_html(&SweepReport::new(Parameter::Rate)).expect("a page");
        assert!(page.contains("nothing to show") && !page.contains("<svg"));
    }

    #[test]
    fn both_pings_share_one_spectrum() {
        let idle = || Report::new(&closed_loop(), None);
        let page = beside_html(&BesideReport::new(idle(), run(), run())).expect("a page");
        for label in [">idle</text>", ">loaded</text>"] {
            assert_eq!(page.matches(label).count(), 2, "{label}");
        }
        assert!(page.contains("The bulk connections add: p50 ") && page.contains("Closed loop:"));
        let page = beside_html(&BesideReport::of_idle(idle())).expect("a page");
        assert!(page.contains("ended before the bulk connections began"));
    }
}
