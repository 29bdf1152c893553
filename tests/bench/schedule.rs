//! Times run from the intended send: what a server does to the schedule is seen, whole and under the right name.

use std::time::Duration;

use serde_json::Value;

use crate::bench::{Report, against, measure, run};
use crate::faulty::{Watched, at_most, delays_every, stalls_once};
use crate::support::{Server, bound};

const MILLISECOND: Duration = Duration::from_millis(1);

/// A server that stops for a tenth of the run.
struct Stall {
    run: Duration,
    stall: Duration,
    /// How far percentiles may lie from where they belong, of the length of the stall.
    tolerance: f64,
}

impl Stall {
    fn measure(&self, args: &str) -> Report {
        let server = stalls_once(self.run / 4, self.stall);
        let args = format!("-c 1 -p 1 -w 0 -d {}ms {args}", self.run.as_millis());
        measure(server.address(), &args)
    }

    /// In an open loop all that was due in the stall has waited for its end, and what queued behind it too.
    fn expect_in_an_open_loop(&self) {
        let report = self.measure("-r 1000");
        let utilisation = 1000.0 * report.percentile("service", 50.0).as_secs_f64();
        let share = self.stall.as_secs_f64() / (self.run.as_secs_f64() * (1.0 - utilisation));
        for (percentile, above) in [(95.0, 0.05), (99.0, 0.01)] {
            let expected = self.stall.mul_f64(1.0 - above / share);
            for row in ["response", "wait"] {
                let got = report.percentile(row, percentile);
                assert!(
                    got.abs_diff(expected) <= self.stall.mul_f64(self.tolerance),
                    "{row}: {got:?} is not {expected:?}: {}",
                    report.without_histograms()
                );
            }
        }
        assert!(report.percentile("send_lag", 99.0) < bound(MILLISECOND));
        assert!(report.percentile("service", 90.0) < bound(MILLISECOND));
        expect_valid(&report);
        report.expect_scheduled(self.run.as_millis() as u64);
    }

    /// A closed loop waits with the server, so that one message in thousands shows the stall: it says what it is.
    fn expect_in_a_closed_loop(&self) {
        let report = self.measure("");
        assert!(report.percentile("response", 99.0) < self.stall / 4);
        assert!(report.percentile("response", 100.0) >= self.stall.mul_f64(0.9));
        report.expect_no_failure();
    }
}

#[test]
fn a_stall_is_seen_by_an_open_loop_and_not_by_a_closed_one() {
    let stall = Stall {
        run: Duration::from_secs(2),
        stall: Duration::from_millis(200),
        tolerance: bound(3) as f64 / 100.0,
    };
    stall.expect_in_an_open_loop();
    stall.expect_in_a_closed_loop();
}

#[test]
#[cfg(feature = "soak")]
fn a_stall_of_a_second_lies_where_the_formula_says() {
    let stall = Stall {
        run: Duration::from_secs(10),
        stall: Duration::from_secs(1),
        tolerance: 0.03,
    };
    stall.expect_in_an_open_loop();
    stall.expect_in_a_closed_loop();
}

#[test]
fn every_fiftieth_reply_late_moves_p99_and_not_p90() {
    let server = delays_every(50, 20 * MILLISECOND, 64);
    let report = measure(server.address(), "-c 40 -r 1000 -d 2s -w 0");
    report.expect_scheduled(2000);
    let p99 = report.percentile("response", 99.0);
    assert!(
        p99 >= 20 * MILLISECOND && p99 <= 20 * MILLISECOND + bound(MILLISECOND),
        "{p99:?}: {}",
        report.without_histograms()
    );
    let printed = report.number("response_us/p99");
    assert!(
        (printed - p99.as_secs_f64() * 1e6).abs() <= 0.001 * printed,
        "{printed}"
    );
    assert!(report.percentile("response", 90.0) < bound(MILLISECOND));
    expect_valid(&report);
}

#[test]
fn half_the_rate_is_an_overload_with_what_was_not_sent_and_lower_bounds() {
    let args = "-c 4 -p 16 -r 1000 -d 1s -w 0";
    let report = measure(at_most(500, 64).address(), args);
    assert!(!report.is_valid());
    assert!(
        report.reasons().contains("overload"),
        "{}",
        report.reasons()
    );
    let [answered, unanswered, unsent] =
        ["messages", "unanswered", "unsent"].map(|name| report.count(name));
    assert!((400..=501).contains(&answered), "{answered}");
    assert!(unsent >= 1000 - 501 - 4 * 16 - unanswered, "{unsent}");
    assert_eq!(report.count("response_us/count"), 1000, "all are in it");
    // What is due at the begin and never sent is as old as the run.
    assert!(report.percentile("response", 99.0) >= Duration::from_millis(400));

    let text = run(against(at_most(500, 64).address(), args), 0);
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
fn an_open_loop_sends_what_was_asked_for_and_leaves_the_warm_up_out() {
    let server = Server::start(&[]);
    let report = measure(server.address(), "-c 4 -r 500 -d 600ms -w 400ms");
    report.expect_scheduled(300);
    let seconds = report.number("seconds");
    assert!(
        (0.6..0.6 * f64::from(bound(1))).contains(&seconds),
        "{seconds}"
    );
    let echoed = server.stop().figures().get("echoed");
    assert_eq!(echoed, 64 * (200 + 300), "with the warm-up");
}

#[test]
fn poisson_arrivals_have_the_rate_and_gaps_of_chance() {
    const SENT: f64 = 1000.0;
    let gaps_over_two_means = |arrival: &str| {
        let watched = Watched::start(64);
        let args = format!("-c 1 -r 500 -d 2s -w 0 --arrival {arrival}");
        let report = measure(watched.server().address(), &args);
        let count = report.count("response_us/count") as f64;
        assert!(
            (count - SENT).abs() <= 5.0 * SENT.sqrt(),
            "{arrival}: {count}"
        );
        assert!(report.without_histograms().to_string().contains(arrival));
        let long = watched
            .gaps()
            .into_iter()
            .filter(|gap| *gap > 4 * MILLISECOND);
        long.count() as f64 / count
    };
    // exp(-2) is 13.5 %.
    let poisson = gaps_over_two_means("poisson");
    assert!((0.09..0.18).contains(&poisson), "{poisson}");
    let constant = gaps_over_two_means("constant");
    assert!(constant < 0.05, "{constant}");
}

/// A busy machine may make the generator late, and it must say so; on one at rest there is no excuse.
#[track_caller]
fn expect_valid(report: &Report) {
    let is_strict = bound(1) == 1;
    let reasons = report.at("/verdict/reasons").as_array().expect("a list");
    let is_excused = |reason: &Value| {
        let reason = reason.as_str().expect("a text");
        reason.starts_with("generator ") || reason.starts_with("achieved ")
    };
    let is_excused = !is_strict && !reasons.is_empty() && reasons.iter().all(is_excused);
    assert!(
        report.is_valid() || is_excused,
        "{}",
        report.without_histograms()
    );
}
