//! Response times start at the scheduled send, so a stall of the server is measured in full and under the right name.

use std::time::{Duration, Instant};

use crate::bench::{Report, bench_against, measure, run};
use crate::faulty::{RecordingServer, delays_every, delays_first, limits_rate, stalls_once};
use crate::support::{Server, is_strict, time_bound};

const MILLISECOND: Duration = Duration::from_millis(1);

/// A run against a server that stalls once, for a tenth of the run.
struct Stall {
    run: Duration,
    stall: Duration,
    /// How far a percentile may lie below its expected range, and in a strict run above it, as a share of the stall.
    tolerance: [f64; 2],
}

impl Stall {
    fn measure(&self, args: &str) -> Report {
        let server = stalls_once(self.run / 4, self.stall);
        let args = format!("-c 1 -p 1 -w 0 -d {}ms {args}", self.run.as_millis());
        measure(server.address(), &args)
    }

    /// Requires that an open loop measures the stall: every message that was due in the stall has waited for its
    /// end, and so have the messages that queued after them.
    fn expect_in_an_open_loop(&self) {
        let report = self.measure("-r 1000");
        // A queued message takes some time, but less than the median, which includes waking a thread.
        let utilisation = 1000.0 * report.percentile("service", 50.0).as_secs_f64();
        for (percentile, above) in [(95.0, 0.05), (99.0, 0.01)] {
            let [least, most] = [0.0, utilisation].map(|utilisation| {
                let late = self.stall.as_secs_f64() / (1.0 - utilisation);
                self.stall
                    .mul_f64(1.0 - above * self.run.as_secs_f64() / late)
            });
            // If the server of the test was stopped until the end, most messages were never sent, and waited for nothing.
            let rows = match report.count("unsent") {
                0 => &["response", "wait"][..],
                _ => &["response"],
            };
            for row in rows {
                let got = report.percentile(row, percentile);
                let [below, above] = self.tolerance.map(|share| self.stall.mul_f64(share));
                // On a busy machine the queued messages take longer than the median.
                let range = least - below..=time_bound(most + above);
                assert!(
                    range.contains(&got),
                    "{row}: {got:?} is not in {range:?}: {}",
                    report.without_histograms()
                );
            }
        }
        assert!(report.percentile("send_lag", 99.0) < time_bound(MILLISECOND));
        assert!(report.percentile("service", 90.0) < time_bound(MILLISECOND));
        expect_valid(&report);
        let accounted = report.count("response_us/count");
        assert_eq!(accounted, self.run.as_millis() as u64);
    }

    /// Requires that a closed loop does not measure the stall: it waits with the server, so only one message in
    /// thousands is late.
    fn expect_in_a_closed_loop(&self) {
        let report = self.measure("");
        assert!(report.percentile("response", 99.0) < time_bound(self.stall / 4));
        assert!(report.percentile("response", 100.0) >= self.stall.mul_f64(0.9));
        report.expect_no_failure();
    }
}

#[test]
fn an_open_loop_measures_a_stall_and_a_closed_loop_does_not() {
    let stall = Stall {
        run: Duration::from_secs(2),
        stall: Duration::from_millis(200),
        tolerance: [0.03, 0.06],
    };
    stall.expect_in_an_open_loop();
    stall.expect_in_a_closed_loop();
}

#[test]
#[cfg(feature = "soak")]
fn a_stall_of_a_second_moves_percentiles_as_computed() {
    let stall = Stall {
        run: Duration::from_secs(10),
        stall: Duration::from_secs(1),
        tolerance: [0.03; 2],
    };
    stall.expect_in_an_open_loop();
    stall.expect_in_a_closed_loop();
}

/// Measures a server that delays every fiftieth reply by 20 ms.
fn measure_with_late_replies() -> Report {
    let server = delays_every(50, 20 * MILLISECOND, 64);
    let report = measure(server.address(), "-c 40 -r 1000 -d 2s -w 0");
    report.expect_all_scheduled(2000);
    report
}

#[test]
fn a_delay_of_every_fiftieth_reply_moves_p99_and_not_p50() {
    let report = measure_with_late_replies();
    let p99 = report.percentile("response", 99.0);
    assert!(p99 >= 20 * MILLISECOND, "{p99:?}");
    let printed = report.number("response_us/p99");
    assert!((printed - p99.as_secs_f64() * 1e6).abs() <= 0.001 * printed);
    assert!(report.percentile("response", 50.0) < time_bound(20 * MILLISECOND));
}

#[test]
#[cfg(feature = "soak")]
fn a_delay_of_every_fiftieth_reply_is_the_p99_and_leaves_p90() {
    let report = measure_with_late_replies();
    let p99 = report.percentile("response", 99.0);
    let p90 = report.percentile("response", 90.0);
    let figures = report.without_histograms();
    assert!(p99 <= time_bound(21 * MILLISECOND), "{p99:?}: {figures}");
    assert!(p90 < time_bound(MILLISECOND), "{p90:?}: {figures}");
}

#[test]
fn a_server_at_half_the_rate_is_an_overload() {
    let args = "-c 4 -p 16 -r 1000 -d 1s -w 0";
    let report = measure(limits_rate(500, 64).address(), args);
    assert!(!report.is_valid());
    assert!(
        report.reasons().contains("overload"),
        "{}",
        report.reasons()
    );
    let [answered, unanswered, unsent] =
        ["messages", "unanswered", "unsent"].map(|name| report.count(name));
    assert!(
        answered <= 511 && unanswered <= 64,
        "{answered} {unanswered}"
    );
    assert!(unsent >= 1000 - 511 - 64, "{unsent}");
    assert_eq!(
        report.count("response_us/count"),
        1000,
        "every message of the schedule counts"
    );
    // A message that was due at the start and never sent has waited for the whole run.
    assert!(report.percentile("response", 99.0) >= Duration::from_millis(400));

    let text = run(bench_against(limits_rate(500, 64).address(), args), 0);
    let row = text
        .output
        .iter()
        .find(|line| line.trim_start().starts_with("response"));
    assert!(row.is_some_and(|row| row.contains('>')), "{}", text.text());
    let verdict = text
        .output
        .iter()
        .find(|line| line.starts_with("SUSPECT: "));
    assert!(
        verdict.is_some_and(|line| line.contains("overload")),
        "{}",
        text.text()
    );
}

#[test]
fn an_open_loop_sends_at_the_rate_and_excludes_the_warm_up() {
    let server = Server::start(&[]);
    let report = measure(server.address(), "-c 4 -r 500 -d 600ms -w 400ms");
    report.expect_all_scheduled(300);
    assert_eq!(report.number("seconds"), 0.6);
    let echoed = server.stop().figures().get("echoed");
    assert_eq!(echoed, 64 * (200 + 300), "the warm-up counts here");
}

#[test]
fn count_at_a_rate_takes_the_scheduled_time() {
    let server = Server::start(&[]);
    let report = measure(server.address(), "-c 4 -n 20 -r 100 -w 0");
    report.expect_all(20);
    let seconds = report.number("seconds");
    assert!(
        seconds >= 0.2,
        "the last message has its time, too: {seconds}"
    );
    assert!(
        report.number("achieved") <= 1.0,
        "{}",
        report.number("achieved")
    );
}

#[test]
fn fault_b3_the_end_of_a_run_takes_no_time_for_each_unsent_message() {
    let server = Server::start(&[]);
    for arrival in ["constant", "poisson"] {
        let start = Instant::now();
        let args = format!("-c 4 -t 2 -r 100m --arrival {arrival} -d 2s -w 0");
        let report = measure(server.address(), &args);
        let took = start.elapsed();
        let end = Duration::from_secs(2) + time_bound(Duration::from_secs(1));
        assert!(took < end, "{took:?}");
        let seen = report.without_histograms();
        let sent = report.count("service_us/count") + report.count("unanswered");
        let (intended, spread) = match arrival {
            "constant" => (200_000_000, 0),
            // Five standard deviations.
            _ => (200_000_000, 5 * 14_143),
        };
        let ended = sent + report.count("unsent");
        assert!(ended.abs_diff(intended) <= spread, "{ended}: {seen}");
        let count = report.count("response_us/count");
        assert_eq!(count, ended, "{seen}");
        // Nearly all are unsent, so their ages are spread evenly.
        let p50 = report.percentile("response", 50.0);
        let middle = Duration::from_secs(1);
        assert!(p50 >= middle * 9 / 10, "{p50:?}: {seen}");
    }
}

#[test]
fn gaps_longer_than_the_timeout_do_not_fail_a_message() {
    let server = Server::start(&[]);
    // Two messages, 3.6 s apart.
    let args = "-c 1 -d 4s -r 0.28 -w 0 --timeout 3s";
    measure(server.address(), args).expect_all_scheduled(2);
}

#[test]
fn bytes_count_only_messages_of_the_window() {
    let server = Server::start(&[]);
    let report = measure(server.address(), "-c 64 -n 2000 -w 100ms");
    report.expect_all(2000);
    assert_eq!(report.count("bytes"), 2000 * 64);
}

#[test]
fn count_does_not_wait_for_a_late_reply_of_the_warm_up() {
    let server = delays_first(Duration::from_secs(9), 64);
    let report = measure(server.address(), "-c 4 -n 500 -w 100ms");
    report.expect_all(500);
    let seconds = report.number("seconds");
    assert!(seconds < 8.0, "{seconds}");
}

#[test]
fn each_worker_gets_the_same_share_of_messages_and_rate() {
    let server = Server::start(&[]);
    let report = measure(server.address(), "-c 3 -t 2 -n 90 -r 300 -w 0");
    report.expect_all(90);
    let hundredths = (report.number("seconds") * 100.0).round();
    let most = if is_strict() { 30.0 } else { 6000.0 };
    assert!((30.0..=most).contains(&hundredths), "{hundredths}");
}

/// Returns the number of messages on one connection and the median gap between them.
fn measure_arrivals(args: &str) -> (u64, Duration) {
    let recording = RecordingServer::start(64);
    let report = measure(recording.server().address(), &format!("-c 1 -w 0 {args}"));
    let mut gaps = recording.gaps();
    gaps.sort();
    (report.count("response_us/count"), gaps[gaps.len() / 2])
}

#[test]
fn both_arrival_processes_keep_the_rate() {
    let args = "-r 1000 -d 1s --arrival";
    let (constant, _) = measure_arrivals(&format!("{args} constant"));
    assert_eq!(constant, 1000);
    let (poisson, _) = measure_arrivals(&format!("{args} poisson"));
    assert!(
        poisson.abs_diff(1000) <= 5 * 32 && poisson != 1000,
        "{poisson}"
    );
}

#[test]
#[cfg(feature = "soak")]
fn gaps_between_arrivals_are_even_or_exponential() {
    let args = "-r 100 -d 4s --arrival";
    let (_, constant) = measure_arrivals(&format!("{args} constant"));
    assert!(
        constant.abs_diff(10 * MILLISECOND) < time_bound(MILLISECOND / 2),
        "{constant:?}"
    );
    // The median of an exponential distribution is ln 2 of the mean. The tolerance is 5 sigma of the median of 400.
    let (_, poisson) = measure_arrivals(&format!("{args} poisson"));
    let expected = 10 * MILLISECOND * 693 / 1000;
    assert!(
        poisson.abs_diff(expected) < time_bound(MILLISECOND * 25 / 10),
        "{poisson:?}"
    );
}

/// Requires a valid report in a strict run. On a busy machine the generator may be late, but then must say so.
#[track_caller]
fn expect_valid(report: &Report) {
    if is_strict() {
        assert!(report.is_valid(), "{}", report.without_histograms());
        report.expect_no_failure();
    }
    let reasons = report.at("/verdict/reasons").as_array().expect("a list");
    assert_eq!(reasons.is_empty(), report.is_valid());
}
