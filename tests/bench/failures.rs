//! Servers that do not answer, or stop in the middle of an answer: bench counts the error by name, exits with the
//! documented code, and never hangs.

use std::time::{Duration, Instant};

use crate::bench::{Report, bench_against, measure, measure_expecting, run, start};
#[cfg(target_os = "linux")]
use crate::faulty::delays_every;
use crate::faulty::{
    closes_at_once, closes_mid_reply, delays_first, drips, echoes_once, never_answers, never_reads,
    resets_mid_reply, serves_only_first,
};
#[cfg(target_os = "linux")]
use crate::support::strace::{self, WAITS};
use crate::support::unused::unused_address;
use crate::support::{DEADLINE, Server, is_strict, time_bound, until_in_time, wait_for};

#[test]
fn each_message_to_a_silent_server_is_a_timeout() {
    for server in [never_answers(), never_reads()] {
        for args in ["-n 4", "-n 4 -r 100", "-n 16 -p 8", "-n 4 -s 1MiB"] {
            let start = Instant::now();
            let args = format!("-c 2 -w 0 --timeout 200ms {args}");
            let report = measure_expecting(server.address(), &args, 1);
            assert!(
                start.elapsed() < time_bound(Duration::from_secs(1)),
                "{args}"
            );
            assert!(
                report.errors("timeout") >= 2,
                "{args}: {}",
                report.without_histograms()
            );
            for other in ["messages", "unanswered"] {
                assert_eq!(report.count(other), 0, "{args}: {other}");
            }
            // A message that timed out is in the histogram with the time that it waited.
            let oldest = report.percentile("response", 100.0);
            assert!(oldest >= Duration::from_millis(200), "{args}: {oldest:?}");
        }
    }
}

#[test]
fn a_close_in_the_middle_of_a_reply_counts_as_closed() {
    let server = closes_mid_reply(0, 64);
    let report = measure_expecting(server.address(), "-c 2 -n 12 -w 0", 1);
    let seen = report.without_histograms();
    assert_eq!(
        (report.errors("closed"), report.total_errors()),
        (12, 12),
        "{seen}"
    );
    // A connection is replaced at most every 100 ms, so one of the two was replaced four times after its first message and
    // a first replacement at once.
    assert!(report.number("seconds") >= 0.4, "{seen}");

    let server = closes_mid_reply(10, 64);
    let report = measure(server.address(), "-c 2 -n 44 -w 0");
    let closed = report.errors("closed");
    assert_eq!(report.count("messages") + closed, 44);
    assert!((3..=4).contains(&closed), "{closed}");
    assert!(report.count("reconnects") >= 1);
}

#[test]
fn fault_b1_a_connection_that_the_server_closes_between_messages_is_no_error() {
    // One message on each connection, which closes after its reply: no other message is ever due on it.
    let server = echoes_once(64, b"");
    let args = "-c 12 -r 4 -n 12 -w 0 --slo errors<0.1%";
    let report = measure(server.address(), args);
    let seen = report.without_histograms();
    assert_eq!(report.count("service_us/count"), 12, "{seen}");
    assert_eq!(report.total_errors(), 0, "{seen}");
    let closed = report.connection_failures("closed") + report.connection_failures("reset");
    assert!(closed >= 1, "{seen}");
    assert!(report.count("reconnects") >= 1, "{seen}");
    let intervals = report.at("/intervals").as_array().expect("an array");
    assert!(
        intervals.iter().all(|interval| interval["errors"] == 0),
        "{intervals:?}"
    );
}

#[test]
fn fault_b1_a_refused_reconnect_is_no_failed_message() {
    let server = Server::start(&[]);
    let bench = start(bench_against(
        server.address(),
        "-c 2 -r 4 -d 4s -w 0 -i 100ms -J --timeout 500ms",
    ));
    bench.await_answers();
    drop(server);
    let finished = bench.finished();
    finished.expect_code(0);
    let report = Report::of(&finished);
    let seen = report.without_histograms();
    assert!(report.connection_failures("refused") >= 2, "{seen}");
    assert_eq!(report.errors("refused"), 0, "{seen}");
    let ended = report.count("service_us/count") + report.total_errors() + report.count("unsent");
    assert_eq!(ended, 16, "each intended message ends once: {seen}");
}

#[test]
fn fault_b2_a_few_lost_messages_leave_the_lower_percentiles_exact() {
    let server = delays_first(DEADLINE, 64);
    let args = "-c 4 -r 1200 -n 2400 -w 0 --timeout 500ms --slo p50<9s";
    let report = measure(server.address(), args);
    let seen = report.without_histograms();
    let [timeouts, lost] = ["timeout", "lost"].map(|name| report.errors(name));
    assert!(timeouts >= 1 && lost >= 1, "{seen}");
    let unfinished = report.count("unanswered") + report.count("unsent");
    assert_eq!(
        report.count("response_us/lower_bounds"),
        timeouts + lost + unfinished,
        "{seen}"
    );
    for result in report.at("/slo").as_array().expect("an array") {
        assert_eq!(
            (&result["met"], &result["lower_bound"]),
            (&true.into(), &false.into())
        );
    }
}

#[test]
fn fault_b6_a_reply_that_makes_progress_does_not_time_out() {
    until_in_time(|| {
        // A reply takes three times the timeout, and a run without an end of a message would count as stalled after two.
        const TIMEOUT: Duration = Duration::from_secs(1);
        let (server, longest_gap) = drips(64, 16, Duration::from_millis(200));
        let args = "-c 2 -n 2 -w 0 --timeout 1s";
        let mut bench = bench_against(server.address(), args);
        bench.arg("-J");
        let finished = start(bench).finished();
        let report = Report::of(&finished);
        if report.errors("timeout") > 0 {
            // The thread of the server may still be on its way.
            let what = format!("a stall of the server, or {}", report.without_histograms());
            wait_for(&what, DEADLINE, || {
                *longest_gap.lock().expect("the longest gap") >= TIMEOUT
            });
            return None;
        }
        report.expect_all(2);
        let longest = report.percentile("response", 100.0);
        assert!(longest >= Duration::from_millis(3_200), "{longest:?}");
        Some(())
    });
}

#[test]
fn a_reset_in_the_middle_of_a_reply_counts_as_reset() {
    let server = resets_mid_reply(0, 64);
    let report = measure_expecting(server.address(), "-c 2 -n 4 -w 0", 1);
    let seen = report.without_histograms();
    assert_eq!(
        (report.errors("reset"), report.total_errors()),
        (4, 4),
        "{seen}"
    );

    let server = resets_mid_reply(10, 64);
    let report = measure(server.address(), "-c 2 -r 1000 -n 100 -w 0");
    assert!(report.errors("reset") >= 2 && report.count("reconnects") >= 1);
}

#[test]
fn a_port_without_a_listener_is_refused() {
    let (_unused, address) = unused_address();
    for args in [
        "-c 3 -d 500ms",
        "-c 3 -n 10",
        "-c 3 -d 500ms --churn",
        "-c 3 -r 100 -d 500ms -J",
    ] {
        let finished = run(bench_against(address, args), 1);
        assert!(
            finished.text().contains(": refused (3 times)"),
            "{args}: {}",
            finished.text()
        );
        assert!(finished.output.is_empty(), "{args}: {:#?}", finished.output);
    }
}

#[test]
fn an_unusable_source_address_is_named() {
    // RFC 5737 reserves TEST-NET-1 for documentation, so no machine has such an address.
    let refused = run(crate::bench::bench("-c 1 -n 1 -w 0 --source 192.0.2.1"), 1);
    let line = refused.text();
    assert!(
        line.contains("cannot connect from source address 192.0.2.1: "),
        "{line}"
    );
}

#[test]
fn a_name_without_an_address_is_named() {
    let mut command = crate::bench::bench("-d 500ms");
    command.arg("nowhere.invalid:7007");
    let finished = run(command, 1);
    assert!(
        finished.text().contains("nowhere.invalid"),
        "{}",
        finished.text()
    );
}

#[test]
fn a_count_that_a_dead_server_cannot_reach_does_not_hang() {
    let server = Server::start(&[]);
    let bench = start(bench_against(
        server.address(),
        "-c 4 -n 1000000000 -w 0 -i 100ms --timeout 500ms",
    ));
    bench.await_answers();
    drop(server);
    let mut bench = bench;
    let start = Instant::now();
    wait_for("the end", DEADLINE, || !bench.is_running());
    assert!(start.elapsed() < time_bound(Duration::from_secs(2)));
    let finished = bench.finished();
    finished.expect_code(0);
    assert!(finished.text().contains("refused"), "{}", finished.text());
}

#[test]
fn connections_that_the_server_drops_do_not_count_as_achieved() {
    until_in_time(|| {
        let server = Server::start(&["--max-connections", "4", "--when-full", "close"]);
        let args = "-c 8 -t 2 -d 1s -w 100ms --strict";
        let mut bench = bench_against(server.address(), args);
        bench.arg("-J");
        let finished = start(bench).finished();
        let report = Report::of(&finished);
        let achieved = report.count("connections_achieved");
        let reasons = report.reasons();
        // A connection counts as up until the generator has read the reset, and a late one reads it late.
        if achieved == 8 && !is_strict() {
            return None;
        }
        finished.expect_code(5);
        let most = if is_strict() { 4 } else { 7 };
        assert!((4..=most).contains(&achieved), "{reasons}");
        let expected = format!("on average {achieved} of 8 connections were up");
        assert!(reasons.contains(&expected), "{reasons}");
        Some(())
    });
}

#[test]
fn churn_counts_only_connections_that_are_served() {
    let server = serves_only_first(20);
    let report = measure_expecting(server.address(), "-c 4 -d 1s -w 0 --churn --strict", 5);
    let reasons = report.reasons();
    assert!(report.count("connections_achieved") < 4, "{reasons}");
    assert!(reasons.contains(" of 4 connections"), "{reasons}");
}

#[test]
fn a_reply_after_the_window_has_the_same_timeout() {
    let work = ["--workers", "8", "--work-time", "5s"];
    let server = Server::start(&[&["--framing", "line"], &work[..]].concat());
    let args = "-c 8 -d 1s -w 0 --framing line --timeout 1500ms";
    let report = measure_expecting(server.address(), args, 1);
    // A late generator may have sent some messages only.
    let least = if is_strict() { 8 } else { 1 };
    let timeouts = report.errors("timeout");
    assert!((least..=8).contains(&timeouts), "{timeouts}");
    for other in ["messages", "unanswered"] {
        assert_eq!(report.count(other), 0, "{other}");
    }
}

#[test]
fn a_missing_greeting_is_a_timeout_and_the_connection_is_replaced() {
    let server = never_answers();
    let args = "-c 2 -d 2s -w 0 --timeout 100ms --skip 7";
    let report = measure_expecting(server.address(), args, 1);
    let timeouts = report.connection_failures("timeout");
    assert!(timeouts >= 4, "{}", report.without_histograms());
    assert_eq!(report.total_errors(), 0, "no message was sent");
    assert!(report.count("reconnects") >= 4);
}

#[test]
fn churn_fails_a_message_with_its_connection() {
    for (server, name, timeout) in [
        (never_answers(), "timeout", "100ms"),
        (closes_at_once(), "closed", "30s"),
    ] {
        for load in ["", "-r 1000"] {
            let args = format!("-c 4 -n 20 -w 0 --timeout {timeout} --churn --skip 7 {load}");
            let report = measure_expecting(server.address(), &args, 1);
            let failed = report.errors(name);
            assert_eq!((failed, report.total_errors()), (20, 20), "{name}, {load}");
            // Connections that fail before the load starts carry no message.
            let before = report.connection_failures(name);
            assert!(before <= 4, "{name}, {load}: {before}");
            for other in ["messages", "unanswered", "unsent"] {
                assert_eq!(report.count(other), 0, "{name}, {load}: {other}");
            }
        }
    }
}

#[test]
fn churn_accepts_a_close_right_after_the_reply() {
    for args in ["-n 300", "-n 300 -r 3000", "-n 300 -t 2 --close rst"] {
        let server = echoes_once(64, b"");
        let report = measure(server.address(), &format!("-c 8 -w 0 --churn {args}"));
        report.expect_all(300);
    }
}

#[test]
fn churn_counts_an_extra_byte_as_corruption_and_goes_on() {
    let server = echoes_once(64, b"x");
    let report = measure_expecting(server.address(), "-c 8 -w 0 -d 1s --churn", 4);
    assert!(report.count("corrupted") > 0);
    assert_eq!(report.total_errors(), 0, "{}", report.without_histograms());
    let seconds = report.number("seconds");
    assert!(seconds >= 1.0, "{seconds}");
}

#[test]
#[cfg_attr(
    not(feature = "soak"),
    ignore = "takes longer than 5 seconds: --features soak"
)]
fn fault_b5_many_peers_that_do_not_read_are_one_line() {
    let server = never_reads();
    let args = "-c 300 -t 2 -d 7s -w 0 -s 32MiB --socket-buffer 16k";
    let finished = run(bench_against(server.address(), args), 1);
    let lines = finished.log.iter();
    let lines: Vec<_> = lines
        .filter(|line| line.contains("the peer is not reading"))
        .collect();
    // All stop reading at once, but one may be seen before the others. A busy machine stops them one by one, and the line
    // comes again when their number has doubled.
    let most = if is_strict() { 2 } else { 10 };
    assert!((1..=most).contains(&lines.len()), "{lines:#?}");
}

#[test]
#[cfg(target_os = "linux")]
fn fault_b8_a_reply_that_came_while_the_generator_was_stalled_is_no_timeout() {
    let server = delays_every(1, Duration::from_millis(60), 64);
    let command = bench_against(server.address(), "-c 2 -n 4 -w 0 --timeout 200ms -J");
    // Each wait is over at its time, and returns 300 ms later.
    let fault = format!("{}:delay_exit=300000", WAITS.join(","));
    let Some(command) = strace::run_with("fault_b8", &fault, &command) else {
        return;
    };
    Report::of(&run(command, 0)).expect_all(4);
}
