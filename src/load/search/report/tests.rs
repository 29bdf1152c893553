use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::load::judge::reason::ReasonCode;
use crate::load::judge::slo::Objective;
use crate::load::testing::open_loop;

/// Returns a search with a run that meets the objectives, one that was repeated, and one that does not meet them.
fn search() -> FindMaxReport {
    let slo = |us| Slo(vec![Objective::Max(Duration::from_micros(us))]);
    let mut search = FindMaxReport::new(&slo(900), 1_000.0, 1e6);
    for (rate, result, bound, codes) in [
        (1_000.0, StepResult::Met, 900, vec![]),
        (
            1_500.0,
            StepResult::Met,
            900,
            vec![ReasonCode::LateGenerator, ReasonCode::NotStationary],
        ),
        (
            2_000.0,
            StepResult::Disturbed,
            9,
            vec![ReasonCode::BusyMachine, ReasonCode::LittlesLaw],
        ),
        (2_000.0, StepResult::NotMet, 9, vec![ReasonCode::Overload]),
    ] {
        let mut report = Report::new(&open_loop(), Some(&slo(bound)));
        report.verdict.codes = codes;
        let stage = Stage::Doubling;
        let step = Step { rate, stage };
        search
            .steps
            .push(FindMaxStep::new(step, Some(result), report));
    }
    search.highest_met_per_s = Some(1_000.0);
    search
}

fn answered(rate_per_s: Option<f64>, confirmed: bool, limited_by: SearchLimit) -> FindMaxReport {
    FindMaxReport {
        answer: Some(Answer {
            rate_per_s,
            confirmed,
            limited_by,
        }),
        ..search()
    }
}

/// Returns the last line of the text.
fn last_line(search: &FindMaxReport) -> String {
    let text = search.text();
    text.lines().last().expect("a line").to_owned()
}

#[test]
fn a_search_has_a_line_for_each_run_and_one_for_the_answer() {
    let text = answered(Some(1_000.0), true, SearchLimit::Objectives).text();
    let lines: Vec<_> = text.lines().collect();
    let headline =
        "highest rate from 1000 to 1000000 messages/s with max < 900 us, 4 runs; the first is ";
    assert!(lines[0].starts_with(headline), "{text}");
    assert_eq!(
        lines[1..],
        [
            "rate (messages/s)     stage    s  messages/s  MB/s    p50    p90    p99  p99.9  max (us)  errors",
            "1000               doubling  1.0      2000.0  0.13  200.1  280.1  298.2      -     300.0       0  met",
            "1500               doubling  1.0      2000.0  0.13  200.1  280.1  298.2      -     300.0       0  met despite: late generator",
            "2000               doubling  1.0      2000.0  0.13  200.1  280.1  298.2      -     300.0       0  machine disturbed: max < 9 us, busy machine",
            "2000               doubling  1.0      2000.0  0.13  200.1  280.1  298.2      -     300.0       0  not met: max < 9 us, overload",
            "highest rate with max < 900 us: 1000 messages/s, confirmed over the full duration",
        ]
    );
}

#[test]
fn each_answer_has_its_words_and_its_outcome() {
    for (rate, confirmed, limit, words, outcome) in [
        (
            Some(1e6),
            true,
            SearchLimit::Range,
            "at least 1000000 messages/s: the range ends there (max < 900 us met, confirmed over the full duration)",
            Outcome::Finished,
        ),
        (
            Some(1e3),
            true,
            SearchLimit::Generator,
            "at least 1000 messages/s: the generator is the limit (max < 900 us met, confirmed over the full duration)",
            Outcome::Finished,
        ),
        (
            None,
            false,
            SearchLimit::Generator,
            "no rate found: the generator is the limit",
            Outcome::ObjectiveMissed,
        ),
        (
            Some(1e3),
            false,
            SearchLimit::Machine,
            "at least 1000 messages/s: the machine was disturbed in each repetition of the last run (max < 900 us met, \
             not confirmed over the full duration)",
            Outcome::ObjectiveMissed,
        ),
        (
            None,
            false,
            SearchLimit::Objectives,
            "the low end of the range does not meet max < 900 us: 1000 messages/s",
            Outcome::ObjectiveMissed,
        ),
        (
            Some(1e3),
            false,
            SearchLimit::Objectives,
            "no rate confirmed: 1000 messages/s met max < 900 us in short runs, and neither this rate nor those down to 8 % \
             lower did over the full duration",
            Outcome::ObjectiveMissed,
        ),
    ] {
        let search = answered(rate, confirmed, limit);
        assert_eq!(last_line(&search), words);
        assert_eq!(search.outcome(), outcome, "{words}");
    }
}

#[test]
fn a_search_that_ended_early_tells_what_it_found_so_far() {
    let mut search = search();
    let step = &mut search.steps[3];
    (step.result, step.measured.report.interrupted) = (None, Some(2));
    assert_eq!(
        last_line(&search),
        "the search ended early: 1000 messages/s met max < 900 us so far"
    );
    let lines = search.text();
    assert!(
        lines
            .lines()
            .nth(5)
            .expect("a run")
            .ends_with("  interrupted")
    );
    assert_eq!(search.outcome(), Outcome::Interrupted(2));
}

#[test]
fn wrong_bytes_are_the_outcome_whatever_the_answer() {
    let mut search = answered(Some(1_000.0), true, SearchLimit::Objectives);
    search.steps[2].measured.report.metrics.counts.corrupted = 1;
    assert_eq!(search.outcome(), Outcome::WrongBytes);
    assert!(search.text().contains("busy machine, wrong bytes"));
}

#[test]
fn the_json_and_the_csv_name_stage_and_result_of_each_run() {
    let search = answered(Some(1_000.0), true, SearchLimit::Objectives);
    let json: Value = serde_json::from_str(&search.to_json()).expect("JSON");
    assert_eq!(json["kind"], "find_max");
    assert_eq!(json["objectives"][0], "max < 900 us");
    assert_eq!(json["answer"]["rate_per_s"], 1_000.0);
    assert_eq!(json["answer"]["limited_by"], "objectives");
    let step = &json["steps"][2];
    assert_eq!(
        (&step["stage"], &step["result"]),
        (&"doubling".into(), &"disturbed".into())
    );
    assert_eq!(step["value"], 2_000);
    assert_eq!(step["report"]["metrics"]["messages"], 2_000);

    let csv = search.to_csv();
    let lines: Vec<Vec<_>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert!(lines.iter().all(|fields| fields.len() == lines[0].len()));
    assert_eq!(lines[0][..4], ["stage", "result", "parameter", "value"]);
    assert_eq!(lines[4][..4], ["doubling", "not_met", "rate", "2000"]);
}
