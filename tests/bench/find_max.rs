//! `bench --find-max`: a table, CSV and JSON with a report for each run, and an answer.
//!
//! What a busy machine does to a run is a result of the search too. These tests allow for it: the state machine has tests of
//! its own.

use std::fs;

#[cfg(unix)]
use rustix::process::Signal;
use serde_json::Value;

use crate::bench::{Report, bench_against, start};
use crate::support::Server;
use crate::support::server::Finished;
use crate::support::temp_dir::TempDir;

/// Every search of these tests is short.
const SHORT: &str = "-c 2 -d 200ms -w 0";

/// Requires that the exit code, the report and its last line in text agree, and returns the highest rate that was met.
#[track_caller]
fn highest_met(finished: &Finished, report: &Report) -> Option<f64> {
    let rate = report.at("/answer/rate_per_s").as_f64();
    let is_confirmed = report.at("/answer/confirmed") == true;
    let line = match report.at("/answer/limited_by").as_str() {
        Some("objectives") if is_confirmed => "highest rate with ",
        Some("objectives") if rate.is_some() => "no rate confirmed: ",
        Some("objectives") => "the low end of the range does not meet ",
        Some(_) if rate.is_some() => "at least ",
        Some(_) => "no rate found: ",
        None => panic!("no limit"),
    };
    finished.expect_code(if is_confirmed { 0 } else { 3 });
    let last = finished.output.last().expect("an answer");
    assert!(last.starts_with(line), "{last}");
    report.at("/highest_met_per_s").as_f64()
}

/// Runs a search against `server` and returns its end and its report.
#[track_caller]
fn search(server: &Server, args: &str) -> (Finished, Report) {
    let dir = TempDir::new(&format!("find-max-{}", server.address().port()));
    let (json, csv) = (dir.file("search.json"), dir.file("search.csv"));
    let mut command = bench_against(server.address(), &format!("{SHORT} {args}"));
    command.arg("-o").arg(&json).arg("--csv").arg(&csv);
    let finished = start(command).finished();
    assert!(json.exists(), "{}", finished.text());
    let report = Report::read(&json);
    let runs = steps(&report).len();
    let csv = fs::read_to_string(csv).expect("the table");
    assert_eq!(csv.lines().count(), runs + 1, "{csv}");
    assert_eq!(finished.output.len(), runs + 3, "{:#?}", finished.output);
    (finished, report)
}

fn steps(report: &Report) -> &Vec<Value> {
    report.at("/steps").as_array().expect("a list")
}

#[test]
fn a_search_reports_each_run_and_its_answer() {
    let server = Server::start(&[]);
    let (finished, report) = search(&server, "--slo p50<10s --find-max 200..800");
    assert_eq!(report.at("/kind"), "find_max");
    assert_eq!(report.at("/schema"), 2);
    assert_eq!(report.at("/objectives/0"), "p50 < 10 s");
    assert_eq!(report.at("/steps/0/value"), 200);
    assert_eq!(report.at("/steps/0/stage"), "doubling");
    let mut seeds = Vec::new();
    for step in steps(&report) {
        let config = &step["report"]["config"];
        assert_eq!(
            config["rate_per_s"],
            step["value"].as_f64().expect("a rate")
        );
        seeds.push(config["seed"].as_u64());
        if step["stage"] == "confirmation" {
            assert_eq!(config["duration_s"], 0.2);
        }
    }
    seeds.dedup();
    assert_eq!(seeds.len(), steps(&report).len(), "a seed for each run");
    highest_met(&finished, &report);
}

#[test]
fn no_rate_meets_an_objective_that_no_server_can_meet() {
    let server = Server::start(&[]);
    let (finished, report) = search(&server, "--slo p50<1ns --find-max 1k..1m");
    let is_low_end = |step: &Value| step["value"] == 1_000 && step["result"] != "met";
    assert!(steps(&report).iter().all(is_low_end));
    assert_eq!(highest_met(&finished, &report), None);
}

#[test]
fn no_rate_is_found_beyond_what_the_server_can_do() {
    // The worker blocks for 1 ms for each message, so it has at most 1,000 messages/s.
    let server = Server::start(&["--framing", "line", "--workers", "1", "--work-time", "1ms"]);
    let args = "--framing line --slo p50<5ms --find-max 200..100k";
    let (finished, report) = search(&server, args);
    // A queue that grows for half of the 200 ms and is 4 ms long then grows by 4 %.
    let highest = highest_met(&finished, &report);
    assert!(highest.is_none_or(|rate| rate < 1_050.0), "{highest:?}");
    let answer = report.at("/answer/rate_per_s").as_f64();
    assert!(answer <= highest, "{answer:?}");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_search_and_the_runs_so_far_are_reported() {
    let server = Server::start(&[]);
    // The first messages have 50 ms and more to come back in the window, so that each of these rates is met.
    let args = format!("{SHORT} --slo errors<100% --find-max 5..100m -J");
    let search = start(bench_against(server.address(), &args));
    search.await_log("run 3: ");
    search.signal(Signal::INT);
    let finished = search.finished();
    finished.expect_code(130);
    let report = Report::of(&finished);
    assert!(report.at("/answer").is_null());
    assert!(steps(&report).len() >= 2);
}
