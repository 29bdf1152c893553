use serde_json::Value;

use super::*;
use crate::load::compare::conclusion::Direction;
use crate::load::testing::closed_loop;

/// Returns a report of `rate` messages per second.
fn report(rate: f64) -> Report {
    let mut report = Report::new(&closed_loop(), None);
    report.metrics.messages_per_sec = Some(rate);
    report
}

fn question(limit: Option<f64>) -> Question {
    let side = |name: &str| SideName {
        name: name.into(),
        options: None,
    };
    Question {
        a: side("old:7"),
        b: side("new:7"),
        metric: Figure::MessagesPerSec,
        limit,
    }
}

/// Returns the runs of two rounds, in which B has `ratio` times the rate of A. All runs count.
fn runs(ratio: f64) -> Vec<ComparedRun> {
    let round = |round, spread: f64| {
        let run = move |side, rate| {
            let mut run = ComparedRun::new(side, round, report(rate));
            run.counts = true;
            run
        };
        [
            run(Side::AAgain, 1000.0 / spread),
            run(Side::B, 1000.0 * ratio * spread),
            run(Side::A, 1000.0 * spread),
        ]
    };
    [round(1, 1.001), round(2, 0.999)].concat()
}

fn compare(runs: Vec<ComparedRun>, limit: Option<f64>, end: ComparisonEnd) -> CompareReport {
    CompareReport::of_rounds(question(limit), runs, &Rounds::new(2, 7), end)
}

#[test]
fn a_run_of_b_is_compared_with_the_runs_of_a_in_its_round() {
    let found = compare(runs(0.5), None, ComparisonEnd::Done);
    assert_eq!(found.conclusion, Some(Conclusion::Slower));
    assert!(
        found.text.starts_with("B 50.0 % slower ("),
        "{}",
        found.text
    );
    let rate = &found.figures[0];
    assert_eq!(rate.figure, Figure::MessagesPerSec);
    let (a, b) = (rate.a.expect("A"), rate.b.expect("B"));
    assert!(
        (a - 1000.0).abs() < 1e-3 && (b - 500.0).abs() < 1e-3,
        "{a} {b}"
    );
    assert_eq!((found.a.runs, found.b.runs), (4, 2));
}

#[test]
fn only_the_figure_that_decides_has_words() {
    let found = compare(runs(0.5), None, ComparisonEnd::Done);
    // The times of all runs are the same.
    let p50 = found
        .figures
        .iter()
        .find(|figure| figure.figure == Figure::P50);
    let comparison = p50.and_then(ComparedFigure::comparison).expect("a ratio");
    assert_eq!(comparison.direction, Direction::LessIsFaster);
    assert_eq!(comparison.conclusion(), Conclusion::NoDifference);
    assert_eq!(found.conclusion, Some(Conclusion::Slower));
}

#[test]
fn runs_of_a_round_that_was_started_again_do_not_count() {
    let mut with_more = runs(0.5);
    let mut disturbed = ComparedRun::new(Side::B, 1, report(1e6));
    disturbed.report.metrics.counts.corrupted = 0;
    with_more.insert(0, disturbed);
    let found = compare(with_more, None, ComparisonEnd::Done);
    assert_eq!(
        found.figures,
        compare(runs(0.5), None, ComparisonEnd::Done).figures
    );
    assert_eq!((found.b.runs, found.runs.len()), (2, 7));
}

#[test]
fn a_figure_that_a_run_lacks_is_null_and_says_why() {
    let mut runs = runs(0.5);
    runs[4].report.metrics.messages_per_sec = None;
    let found = compare(runs, Some(0.02), ComparisonEnd::Done);
    assert_eq!((found.conclusion, found.figures[0].ratio), (None, None));
    assert_eq!(found.text, "no verdict: no message was answered");
    assert_eq!(found.outcome(), CompareOutcome::Undecided);
    let cpu = found.figures[1].missing.as_deref();
    assert_eq!(cpu, Some("the CPU time of the server is unknown"));
}

#[test]
fn a_comparison_that_ends_early_has_figures_and_no_verdict() {
    for (end, text, outcome) in [
        (
            ComparisonEnd::Interrupted(2),
            "no verdict: interrupted",
            CompareOutcome::Interrupted(2),
        ),
        (
            ComparisonEnd::Failed("B: gone".into()),
            "no verdict: a run failed",
            CompareOutcome::Failed,
        ),
    ] {
        let found = compare(runs(0.5), Some(0.02), end);
        assert!(found.figures[0].ratio.is_some());
        assert_eq!((found.conclusion, found.text.as_str()), (None, text));
        assert_eq!(
            found.limit.map(|limit| limit.outcome),
            Some(LimitOutcome::Undecided)
        );
        assert_eq!(found.outcome(), outcome);
    }
}

#[test]
fn the_interval_decides_whether_the_limit_is_kept() {
    for (ratio, limit, expected) in [
        (0.5, Some(0.02), CompareOutcome::TooSlow),
        (1.0, Some(0.02), CompareOutcome::Finished),
        (2.0, Some(0.0), CompareOutcome::Finished),
        (0.5, Some(0.5), CompareOutcome::Undecided),
        (0.5, None, CompareOutcome::Finished),
    ] {
        let found = compare(runs(ratio), limit, ComparisonEnd::Done);
        assert_eq!(
            found.outcome(),
            expected,
            "{ratio} {limit:?} {}",
            found.text
        );
    }
}

#[test]
fn wrong_bytes_come_before_a_signal_a_failure_and_the_limit() {
    let mut runs = runs(0.5);
    // A run that does not count, too.
    let mut wrong = ComparedRun::new(Side::A, 1, report(1000.0));
    wrong.report.metrics.counts.corrupted = 1;
    runs.insert(0, wrong);
    for end in [
        ComparisonEnd::Done,
        ComparisonEnd::Interrupted(15),
        ComparisonEnd::Failed("A: gone".into()),
    ] {
        let found = compare(runs.clone(), Some(0.02), end);
        assert_eq!(found.outcome(), CompareOutcome::WrongBytes);
    }
}

#[test]
fn reasons_of_the_runs_that_count_are_counted_a_side() {
    let mut runs = runs(0.5);
    for index in [1, 2, 4] {
        let verdict = &mut runs[index].report.verdict;
        verdict.valid = false;
        verdict.codes = vec![ReasonCode::Overload];
    }
    runs[4].counts = false;
    let found = compare(runs, None, ComparisonEnd::Done);
    assert_eq!((found.a.suspect, found.b.suspect), (1, 1));
    assert_eq!(found.b.reasons, [(ReasonCode::Overload, 1)].into());
    assert!(found.is_suspect());
}

#[test]
fn the_json_names_its_kind_and_holds_the_reports_without_their_parts() {
    let found = compare(runs(0.5), Some(0.02), ComparisonEnd::Done);
    let json: Value = serde_json::from_str(&found.to_json()).expect("JSON");
    assert_eq!(json["schema"], SCHEMA);
    assert_eq!(json["kind"], "compare");
    assert_eq!(json["conclusion"], "slower");
    assert_eq!(json["limit"]["outcome"], "beyond");
    assert_eq!(json["rounds"]["complete"], 2);
    let run = &json["runs"][0];
    assert_eq!(
        (&run["side"], &run["round"]),
        (&"a_again".into(), &1.into())
    );
    assert_eq!(run["report"]["schema"], SCHEMA);
    assert_eq!(run["report"]["batches"].as_array().map(Vec::len), Some(0));
    let histograms = run["report"]["histograms"].as_object().expect("an object");
    assert_eq!(histograms.len(), 1, "{histograms:?}");
}
