//! The comparison of reports that were read from files.

use std::error::Error;

use super::figure::Figure;
use super::order::Side;
use super::report::{CompareReport, ComparedRun, Question, SideName};
use crate::load::report::schema::Report;
use crate::load::units::pluralize;

/// Compares the reports `new` with the reports `base`, each with its name. `metric` is the figure that decides, and `limit`
/// the share by which the new ones may be slower.
///
/// # Errors
///
/// When there are no reports, when the settings of two runs differ, or when two reports are of the same run. The text of the
/// error is one line and names the report.
pub fn compare_files(
    base: Vec<(String, Report)>,
    new: Vec<(String, Report)>,
    metric: Option<Figure>,
    limit: Option<f64>,
) -> Result<CompareReport, Box<dyn Error>> {
    let all: Vec<_> = base.iter().chain(&new).collect();
    let (first_name, first) = all.first().ok_or("no reports")?;
    for (position, (name, report)) in all.iter().enumerate() {
        if let Some(difference) = first.config.difference_of_runs(&report.config) {
            return Err(format!("{name}: not comparable with {first_name}: {difference}").into());
        }
        let is_same =
            |other: &Report| other.began == report.began && other.metrics == report.metrics;
        let mut earlier = all[..position].iter();
        if let Some((same, _)) = earlier.find(|(_, other)| is_same(other)) {
            return Err(format!("{name}: the same run as {same}").into());
        }
    }
    let is_open_loop = first.config.rate_per_s.is_some();
    let name = |reports: &[_]| SideName {
        name: pluralize(reports.len() as u64, "report"),
        options: None,
    };
    let question = Question {
        a: name(&base),
        b: name(&new),
        metric: metric.unwrap_or(Figure::primary(is_open_loop)),
        limit,
    };
    let runs = |reports: Vec<(String, Report)>, side| {
        let reports = reports.into_iter();
        reports.map(move |(name, report)| ComparedRun::of_file(side, name, report))
    };
    let runs = runs(base, Side::A).chain(runs(new, Side::B));
    Ok(CompareReport::of_files(question, runs.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::compare::conclusion::Conclusion;
    use crate::load::testing::{closed_loop, open_loop};

    /// Returns five reports, whose rates lie around `rate` messages per second.
    fn reports(name: &str, rate: f64) -> Vec<(String, Report)> {
        let report = |index: usize| {
            let mut report = Report::new(&closed_loop(), None);
            report.metrics.messages_per_sec = Some(rate + index as f64);
            (format!("{name}{index}"), report)
        };
        (0..5).map(report).collect()
    }

    fn refusal(base: Vec<(String, Report)>, new: Vec<(String, Report)>) -> String {
        let refused = compare_files(base, new, None, None).expect_err("reports that are unlike");
        refused.to_string()
    }

    #[test]
    fn reports_are_compared_without_rounds() {
        let (base, new) = (reports("a", 1000.0), reports("b", 500.0));
        let found = compare_files(base, new, None, Some(0.02)).expect("a comparison");
        assert_eq!(found.conclusion, Some(Conclusion::Slower));
        assert_eq!((found.rounds, found.figures[0].control), (None, None));
        assert_eq!((found.a.runs, found.b.runs), (5, 5));
        assert_eq!(found.runs[9].file.as_deref(), Some("b4"));
        assert!(!found.text.contains("itself"), "{}", found.text);
    }

    #[test]
    fn the_loop_decides_which_figure_decides() {
        let open = |name: &str, rate| {
            let mut reports = reports(name, rate);
            for (_, report) in &mut reports {
                report.config = Report::new(&open_loop(), None).config;
            }
            reports
        };
        let metric = |base, new, metric| {
            let found = compare_files(base, new, metric, None);
            found.expect("a comparison").metric
        };
        let (base, new) = (reports("a", 1000.0), reports("b", 500.0));
        assert_eq!(metric(base, new, None), Figure::MessagesPerSec);
        let (base, new) = (open("a", 1000.0), open("b", 500.0));
        assert_eq!(metric(base.clone(), new.clone(), None), Figure::P99);
        assert_eq!(metric(base, new, Some(Figure::P50)), Figure::P50);
    }

    #[test]
    fn runs_with_unlike_settings_are_refused() {
        let mut new = reports("b", 500.0);
        new[3].1.config.connections = 64;
        let refused = refusal(reports("a", 1000.0), new);
        assert_eq!(
            refused,
            "b3: not comparable with a0: connections is 64, not 2"
        );
        // Another server, another time and another seed are what a comparison is about.
        let mut new = reports("b", 500.0);
        for (_, report) in &mut new {
            report.config.target = None;
            report.config.address = "127.0.0.1:9".into();
            report.config.label = Some("new".into());
            report.config.seed = 2;
        }
        compare_files(reports("a", 1000.0), new, None, None).expect("a comparison");
    }

    #[test]
    fn a_report_that_is_given_twice_is_refused() {
        let mut base = reports("a", 1000.0);
        base[2].1 = base[0].1.clone();
        let refused = refusal(base, reports("b", 500.0));
        assert_eq!(refused, "a2: the same run as a0");
    }
}
