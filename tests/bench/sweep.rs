//! `bench --sweep`: a table, CSV and JSON with a report for each value.

use std::fs;

#[cfg(unix)]
use rustix::process::Signal;

#[cfg(unix)]
use crate::bench::start;
use crate::bench::{Report, bench, bench_against, run};
use crate::faulty::{Damage, DamagingServer};
use crate::support::Server;
use crate::support::temp_dir::TempDir;

const SHORT: &str = "-c 2 -d 100ms -w 0";

#[test]
fn a_sweep_reports_each_value_in_json() {
    let server = Server::start(&[]);
    let dir = TempDir::new("sweep");
    let (json, csv) = (dir.file("sweep.json"), dir.file("sweep.csv"));
    let mut command = bench_against(server.address(), &format!("{SHORT} --sweep size=64..256"));
    command.arg("-o").arg(&json).arg("--csv").arg(&csv);
    let finished = run(command, 0);

    let report = Report::read(&json);
    assert_eq!(report.at("/kind"), "sweep");
    assert_eq!(report.at("/schema"), 2);
    assert_eq!(report.at("/parameter"), "size");
    let steps = report.at("/steps").as_array().expect("a list");
    for (step, size) in steps.iter().zip([64, 128, 256]) {
        assert_eq!(step["value"], size);
        assert_eq!(step["report"]["config"]["sizes"][0]["to_bytes"], size);
        assert!(step["report"]["metrics"]["messages"].as_u64() > Some(0));
    }
    assert_eq!(steps.len(), 3);

    let csv = fs::read_to_string(csv).expect("the table");
    assert_eq!(csv.lines().count(), 4, "{csv}");
    assert!(csv.starts_with("parameter,value,"), "{csv}");

    let table = &finished.output[1..];
    let values: Vec<_> = table
        .iter()
        .map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(values, [Some("size"), Some("64"), Some("128"), Some("256")]);
}

#[test]
fn a_sweep_starts_a_server_for_each_value() {
    let args = format!("{SHORT} --sweep rate=500..1k/2 -J");
    let report = Report::of(&run(bench(&args), 0));
    for (index, rate) in [500.0, 1000.0].iter().enumerate() {
        let step = format!("/steps/{index}/report");
        assert_eq!(report.at(&format!("{step}/config/rate_per_s")), rate);
        assert_eq!(
            report.at(&format!("{step}/metrics/response_us/count")),
            rate / 10.0
        );
    }
}

#[test]
fn the_worst_step_decides_the_exit_code() {
    let server = Server::start(&[]);
    let sweep = String::from("-d 100ms -w 0 --sweep connections=1,2");
    let code = |args: &str, code| {
        run(
            bench_against(server.address(), &format!("{sweep} {args}")),
            code,
        )
    };
    let missed = code("--slo p50<1ns", 3);
    assert!(
        missed.text().contains("p50 < 1 ns NOT MET"),
        "{}",
        missed.text()
    );
    // A window of 100 ms at 10 messages/s has too few samples.
    let suspect = format!("{SHORT} --sweep rate=10,20");
    run(bench_against(server.address(), &suspect), 0);
    run(
        bench_against(server.address(), &format!("{suspect} --strict")),
        5,
    );
    let damaging = DamagingServer::start(Damage::Corrupted { offset: 0 }, 64);
    let target = damaging.server().address();
    run(bench_against(target, &format!("{sweep} --slo p50<1ns")), 4);
}

#[cfg(unix)]
#[test]
fn a_step_that_cannot_run_ends_the_sweep_with_the_steps_before() {
    let server = Server::start(&[]);
    // No system allows so many descriptors.
    let args = "-d 100ms -w 0 --sweep connections=1,10000000 -J";
    let finished = run(bench_against(server.address(), args), 1);
    let report = Report::of(&finished);
    assert_eq!(report.at("/steps").as_array().map(Vec::len), Some(1));
    let last = finished.log.last().expect("a reason");
    assert!(last.contains("descriptors"), "{last}");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_sweep_and_the_steps_so_far_are_reported() {
    let server = Server::start(&[]);
    let args = format!("{SHORT} --sweep size=1..100/100 -J");
    let sweep = start(bench_against(server.address(), &args));
    sweep.await_log("step 3 of 100");
    sweep.signal(Signal::INT);
    let finished = sweep.finished();
    finished.expect_code(130);
    let steps = Report::of(&finished).at("/steps").as_array().map(Vec::len);
    assert!(matches!(steps, Some(2..100)), "{steps:?}");
}
