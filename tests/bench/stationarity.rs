//! A figure that changes within the window is found.

use std::thread;
use std::time::Duration;

use crate::bench::{Report, bench_against, start};
use crate::support::{Server, is_strict};

#[test]
fn a_server_that_is_stopped_for_a_fifth_of_the_second_half_is_not_stationary() {
    let [half, stop, work] = [2_000, 20, 80].map(Duration::from_millis);
    let server = Server::start(&[]);
    let running = start(bench_against(server.address(), "-J -c 8 -d 4s -i 2s -w 0"));
    running.await_log("2.0 s ");
    for _ in 0..half.as_millis() / (stop + work).as_millis() {
        let frozen = server.freeze();
        thread::sleep(stop);
        drop(frozen);
        thread::sleep(work);
    }
    let report = Report::of(&running.finished());
    let codes = report.at("/verdict/codes").as_array().expect("an array");
    let has = |wanted| codes.iter().any(|code| code == wanted);
    // Other programs make the batches differ so much that the halves do not. The report says that they ran.
    let is_found = has("not_stationary") || !is_strict() && has("busy_machine");
    assert!(is_found, "{}", report.without_histograms());
}
