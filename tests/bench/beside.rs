//! `bench --beside`: the ping alone, the ping beside bulk connections, and what they add.

#[cfg(unix)]
use std::thread;
#[cfg(unix)]
use std::time::Duration;

#[cfg(unix)]
use rustix::process::Signal;

#[cfg(unix)]
use crate::bench::start;
use crate::bench::{Report, bench, bench_against, run};
#[cfg(unix)]
use crate::faulty::RecordingServer;
use crate::faulty::{Damage, DamagingServer};
use crate::support::Server;
use crate::support::temp_dir::TempDir;
#[cfg(unix)]
use crate::support::{DEADLINE, wait_for};

const SHORT: &str = "--beside 2x64k -r 500 -d 200ms -w 50ms";

/// Returns a number of the report.
#[track_caller]
fn number(report: &Report, path: &str) -> f64 {
    let value = report.at(path);
    value.as_f64().unwrap_or_else(|| panic!("{path}: {value}"))
}

#[test]
fn the_ping_is_measured_alone_and_beside_bulk_connections() {
    let server = Server::start(&[]);
    let dir = TempDir::new("beside");
    let json = dir.file("beside.json");
    let mut command = bench_against(server.address(), SHORT);
    command.arg("-o").arg(&json);
    let finished = run(command, 0);

    let report = Report::read(&json);
    assert_eq!(
        (report.at("/kind"), report.at("/schema")),
        (&"beside".into(), &2.into())
    );
    for row in ["idle", "loaded"] {
        let at = |name: &str| number(&report, &format!("/{row}/{name}"));
        assert_eq!(at("config/connections"), 1.0);
        assert_eq!(at("metrics/response_us/count"), 100.0);
    }
    let bulk = |name: &str| number(&report, &format!("/bulk/{name}"));
    assert_eq!(bulk("config/connections"), 2.0);
    assert_eq!(bulk("config/sizes/0/to_bytes"), 65_536.0);
    assert_eq!(bulk("metrics/connections_achieved"), 2.0);
    assert!(bulk("metrics/mb_per_sec") > 0.0 && bulk("metrics/messages_per_sec") > 0.0);
    let longer = bulk("metrics/seconds") >= number(&report, "/loaded/metrics/seconds");
    assert!(longer, "the window of bulk has that of the ping in it");

    for figure in ["p50", "p90", "max"] {
        let time = |row| number(&report, &format!("/{row}/metrics/response_us/{figure}"));
        let added = number(&report, &format!("/added/{figure}/us"));
        let expected = time("loaded") - time("idle");
        assert!(
            (added - expected).abs() < 0.001,
            "{figure}: {added} {expected}"
        );
    }
    assert!(report.at("/added/p99/us").is_null(), "100 samples");

    let names: Vec<_> = finished.output[2..6]
        .iter()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(names, ["idle", "loaded", "added", "bulk:"]);
}

#[test]
fn the_own_server_takes_the_messages_of_ping_and_bulk() {
    // The largest message of a server is 64 KiB unless it is told otherwise.
    let args = "--beside 2x100k --framing line -d 100ms -w 0 -J";
    let report = Report::of(&run(bench(args), 0));
    assert!(number(&report, "/bulk/metrics/messages") > 0.0);
    assert_eq!(*report.at("/bulk/metrics/errors"), serde_json::json!({}));
}

#[test]
fn objectives_and_wrong_bytes_of_either_ping_decide_the_exit_code() {
    let server = Server::start(&[]);
    let missed = format!("{SHORT} --slo p50<1ns");
    let text = run(bench_against(server.address(), &missed), 3).text();
    assert_eq!(text.matches("p50 < 1 ns NOT MET").count(), 2, "{text}");
    let damaging = DamagingServer::start(Damage::Corrupted { offset: 0 }, 64);
    let target = damaging.server().address();
    let text = run(bench_against(target, SHORT), 4).text();
    assert!(text.contains("; wrong bytes"), "{text}");
}

#[test]
fn bulk_connections_that_the_server_closes_are_a_named_error() {
    let server = Server::start(&["--framing", "line", "--max-message", "1000"]);
    let args = format!("{SHORT} --framing line -J");
    let finished = run(bench_against(server.address(), &args), 1);
    let last = finished.log.last().expect("a reason");
    assert!(last.contains("bulk: no message was answered: "), "{last}");
    let report = Report::of(&finished);
    assert!(number(&report, "/idle/metrics/messages") > 0.0);
    assert!(report.at("/loaded").is_null());
}

#[cfg(unix)]
#[test]
fn bulk_connections_that_cannot_run_are_a_named_error() {
    let server = Server::start(&[]);
    // No system allows so many descriptors.
    let args = "--beside 10000000x64 -d 100ms -w 0 -J";
    let finished = run(bench_against(server.address(), args), 1);
    let last = finished.log.last().expect("a reason");
    assert!(last.contains("descriptors"), "{last}");
    assert!(Report::of(&finished).at("/loaded").is_null());
}

#[cfg(unix)]
#[test]
fn a_signal_during_the_first_measurement_leaves_out_the_second() {
    let recording = RecordingServer::start(64);
    let args = "--beside 2x64k -d 1h -w 0 -J";
    let running = start(bench_against(recording.server().address(), args));
    wait_for("messages of the ping", DEADLINE, || {
        !recording.gaps().is_empty()
    });
    running.signal(Signal::INT);
    let finished = running.finished();
    finished.expect_code(130);
    let report = Report::of(&finished);
    assert!(number(&report, "/idle/metrics/messages") > 0.0);
    assert!(report.at("/loaded").is_null());
}

#[cfg(unix)]
#[test]
fn a_signal_ends_ping_and_bulk_and_the_results_so_far_are_reported() {
    let server = Server::start(&[]);
    let running = start(bench_against(
        server.address(),
        "--beside 2x64k -d 2s -w 0 -J",
    ));
    running.await_log("loaded: ");
    server.await_active(3, DEADLINE);
    thread::sleep(Duration::from_millis(100));
    running.signal(Signal::TERM);
    let finished = running.finished();
    finished.expect_code(143);
    let report = Report::of(&finished);
    assert!(number(&report, "/idle/metrics/messages") > 0.0);
    // On a busy machine, the signal may come before the window.
    let loaded = report.at("/loaded");
    assert_eq!(loaded.is_object(), report.at("/bulk").is_object());
    if loaded.is_object() {
        assert_eq!(loaded["interrupted"], 15);
        assert!(number(&report, "/loaded/metrics/seconds") < 2.0);
        assert!(number(&report, "/bulk/metrics/seconds") < 2.0);
        assert!(report.at("/bulk/interrupted").is_null());
    }
}
