//! A generator that is stopped says so.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::bench::{Report, bench_against, start};
use crate::support::Server;

#[test]
fn a_generator_that_is_stopped_by_a_signal_reports_a_stall() {
    let stop = Duration::from_millis(400);
    for load in ["", "-r 1000"] {
        let server = Server::start(&[]);
        let args = format!("-J -c 2 -d 1h -w 0 -i 100ms {load}");
        let running = start(bench_against(server.address(), &args));
        running.await_log("messages/s");
        let frozen = running.freeze();
        thread::sleep(stop);
        drop(frozen);
        let lines = running.log_lines().len();
        running.await_log_from(lines + 1, "messages/s");
        running.signal(Signal::INT);
        let finished = running.finished();
        finished.expect_code(130);
        let report = Report::of(&finished);
        // The loop notices a stop up to 20 ms after it began.
        let seen = stop.as_secs_f64() - 0.05;
        let longest = report.number("stalls_us/max") / 1e6;
        assert!(longest >= seen, "{longest}");
        let stalled = report.at("/generator/stalled_s").as_f64();
        assert!(stalled >= Some(seen), "{stalled:?}");
        let codes = report.at("/verdict/codes").as_array().expect("an array");
        assert!(codes.iter().any(|code| code == "stalled"), "{codes:?}");
    }
}
