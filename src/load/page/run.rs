//! The page of a run, or of the sum of the runs of shards.

use std::error::Error;

use askama::Template;

use super::command::command;
use super::details::{Entry, counts, fields};
use super::drawing::{Canvas, Drawing};
use super::figures::{Figure, figures};
use super::frame::page;
use super::interference_rows::not_seen;
use super::over_time::{over_time, silence_sentence, upper_percentile};
use super::slices::Slice;
use super::spectrum::{Curve, spectrum};
use crate::load::report::schema::Report;
use crate::load::report::text;

/// The body of the page.
#[derive(Template)]
#[template(config = "src/load/page/askama.toml", path = "run.html")]
struct RunPage<'a> {
    report: &'a Report,
    title: String,
    figures: Vec<Figure>,
    command: String,
    is_closed: bool,
    spectrum: Vec<Drawing>,
    over_time: Vec<Drawing>,
    silence: String,
    no_interference: String,
    has_intervals: bool,
    has_bounds: bool,
    upper: &'static str,
    latencies: Vec<[String; 9]>,
    counts: Vec<Entry>,
    lines: Vec<Entry>,
    objectives: Vec<String>,
}

/// Returns the report as a page of HTML.
///
/// # Errors
///
/// When a histogram of the report cannot be decoded.
pub fn html(report: &Report) -> Result<String, Box<dyn Error>> {
    let total = report.measurement()?.total;
    let slices = Slice::all_of(report)?;
    let curves = [
        Curve {
            ci95: Some(report.ci95),
            ..Curve::first("response", &total.response)
        },
        Curve::second("service", &total.service),
    ];
    let metrics = &report.metrics;
    let body = RunPage {
        report,
        title: title(report),
        figures: figures(report),
        command: command(&report.config, &report.slo),
        is_closed: report.config.rate_per_s.is_none(),
        spectrum: Canvas::draw_each(|canvas| {
            spectrum("spectrum", canvas, "Latency spectrum", &curves)
        }),
        over_time: Canvas::draw_each(|canvas| over_time(canvas, &slices, metrics.asked_per_sec)),
        silence: silence_sentence(&slices),
        no_interference: not_seen(&slices),
        has_intervals: [report.ci95.p50, report.ci95.p90, report.ci95.p99]
            .iter()
            .any(Option::is_some),
        has_bounds: metrics.response_us.has_lower_bounds(),
        upper: upper_percentile(&slices).name(),
        latencies: text::latency_rows(metrics).into(),
        counts: counts(metrics),
        lines: lines(report),
        objectives: report.slo.iter().map(text::objective).collect(),
    };
    let json = report.to_json();
    Ok(page(
        &body.title,
        body.render()?,
        &json,
        "mio-echo-report.json",
    ))
}

fn title(report: &Report) -> String {
    let target = report.config.target.as_ref();
    let target = target.map_or_else(
        || "a server started for the measurement".into(),
        Clone::clone,
    );
    match &report.config.label {
        Some(label) => format!("{label}: {target}"),
        None => format!("Echo from {target}"),
    }
}

/// Returns the lines of the text report about the generator, the server and the machine, each as its name and the rest.
fn lines(report: &Report) -> Vec<Entry> {
    let server = report.server.as_ref().map(text::server);
    let all = [
        Some(text::generator(&report.generator)),
        server,
        Some(text::machine(&report.interference)),
        Some(text::limit(report)),
        Some(text::system(&report.environment)),
        text::corruption(&report.metrics),
        text::interrupted(report),
    ];
    let entry = |line: String| match line.split_once(": ") {
        Some((name, rest)) => (name.to_owned(), rest.to_owned()),
        None => (String::new(), line),
    };
    all.into_iter().flatten().map(entry).collect()
}

impl RunPage<'_> {
    fn verdict(&self) -> &'static str {
        if self.report.verdict.valid {
            "VALID"
        } else {
            "SUSPECT"
        }
    }

    fn folded(&self) -> [(&'static str, Vec<Entry>); 4] {
        let report = self.report;
        [
            ("Configuration", fields(&report.config)),
            ("Machine and build", fields(&report.environment)),
            ("Interference of the machine", fields(&report.interference)),
            ("Generator", fields(&report.generator)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::measure::metrics::Metrics;
    use crate::load::plan::settings::Shard;
    use crate::load::report::merge::{Merger, MissingShards};
    use crate::load::testing::{closed_loop, open_loop};

    fn page_of(report: &Report) -> String {
        html(report).expect("a page")
    }

    /// Returns the number of times that `text` is in the page.
    fn count(page: &str, text: &str) -> usize {
        page.matches(text).count()
    }

    #[test]
    fn a_text_of_the_user_is_harmless_everywhere() {
        let mut results = closed_loop();
        let label = r#"</script></title><img src=x onerror=alert(1)>" 'x' <!--"#;
        results.settings.label = Some(label.into());
        let page = page_of(&Report::new(&results, None));
        assert_eq!(count(&page, "<img"), 0);
        assert_eq!(count(&page, "<!--"), 0);
        let ends = [count(&page, "</script>"), count(&page, "</title>")];
        let plain = page_of(&Report::new(&closed_loop(), None));
        assert_eq!(
            ends,
            [count(&plain, "</script>"), count(&plain, "</title>")]
        );
        assert!(
            page.contains("&#60;/script&#62;&#60;/title&#62;&#60;img"),
            "the label is shown"
        );
    }

    #[test]
    fn the_page_holds_the_report() {
        let report = Report::new(&open_loop(), None);
        let page = page_of(&report);
        let (_, rest) = page
            .split_once(r#"id="report">"#)
            .expect("the element of the JSON");
        let (json, _) = rest.split_once("</script>").expect("its end");
        let read: serde_json::Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(read, serde_json::to_value(&report).expect("JSON"));
    }

    #[test]
    fn a_closed_loop_says_what_its_spectrum_cannot_show() {
        let [closed, open] =
            [closed_loop(), open_loop()].map(|results| page_of(&Report::new(&results, None)));
        assert!(closed.contains("<strong>Closed loop:</strong>") && !open.contains("Closed loop:"));
        assert!(open.contains("<strong>Open loop:</strong>") && !closed.contains("Open loop:"));
    }

    #[test]
    fn a_run_without_an_answer_has_a_page() {
        let mut results = closed_loop();
        results.measurement.total = Metrics::default();
        results.measurement.batches.clear();
        results.measurement.intervals.clear();
        for window in [Duration::ZERO, Duration::from_secs(1)] {
            results.measurement.window = window;
            let page = page_of(&Report::new(&results, None));
            assert!(page.contains("No message was answered"), "{window:?}");
            assert_eq!(
                count(&page, "NaN") + count(&page, "inf<") + count(&page, "<svg"),
                0
            );
        }
    }

    #[test]
    fn each_plot_has_two_sizes_with_a_title_and_a_description() {
        let page = page_of(&Report::new(&open_loop(), None));
        for plot in [
            "spectrum-wide",
            "spectrum-narrow",
            "over-time-wide",
            "over-time-narrow",
        ] {
            for element in [
                format!(
                    "<svg class=\"plot {}\" id=\"{plot}\"",
                    plot.rsplit('-').next().expect("a size")
                ),
                format!("<title id=\"{plot}-title\">"),
                format!("<desc id=\"{plot}-desc\">"),
            ] {
                assert_eq!(count(&page, &element), 1, "{element}");
            }
        }
        assert_eq!(count(&page, "NaN"), 0);
    }

    #[test]
    fn a_confidence_interval_is_drawn_only_where_there_is_one() {
        let mut report = Report::new(&open_loop(), None);
        assert_eq!(
            count(&page_of(&report), "class=\"interval one\""),
            0,
            "the run is too short"
        );
        report.ci95.p50 = Some(crate::load::ConfidenceInterval {
            low: 199.0,
            high: 203.0,
        });
        let sizes = 2;
        assert_eq!(count(&page_of(&report), "class=\"interval one\""), sizes);
    }

    #[test]
    fn a_sum_of_shards_has_a_page() {
        let shard = |index| {
            let mut results = closed_loop();
            results.settings.shard = Some(Shard {
                index,
                count: 2,
                launcher: None,
            });
            Report::new(&results, None)
        };
        let mut merger = Merger::default();
        for index in [0, 1] {
            merger
                .add(&format!("{index}.json"), &shard(index))
                .expect("a shard");
        }
        let merged = merger.finish(None, MissingShards::Refused);
        let merged = merged.expect("a sum");
        let page = page_of(&merged.report);
        assert!(page.contains("bench merge, 2 reports"));
        assert!(page.contains("makes the whole load from one process"));
    }
}
