//! What the integration tests share: the server under test, its clients, and waiting with a deadline.

pub mod client;
pub mod data;
pub mod messages;
#[cfg(target_os = "linux")]
pub mod proc;
pub mod server;
#[cfg(target_os = "linux")]
pub mod strace;
pub mod temp_dir;
#[cfg(unix)]
pub mod unix;

use std::io::{self, Write};
use std::ops::Mul;
use std::thread;
use std::time::{Duration, Instant};

pub use client::{Client, End};
pub use data::Data;
pub use server::Server;

/// The longest wait for anything that has no figure of its own.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// How long nothing may happen before a test takes it that nothing will.
pub const QUIET: Duration = Duration::from_millis(200);

/// The scratch buffers with which the tests of reading and closing run: a chunk of one byte, of a few, the default.
pub const READ_BUFFERS: [&str; 3] = ["1", "8", "256k"];

/// An upper bound of memory or of a number: `figure` itself when `MIO_ECHO_TEST_STRICT` is 1, ten times as much on a
/// machine that other tests use at the same time. Lower bounds are never loosened.
pub fn size_bound<T: Mul<u32, Output = T>>(figure: T) -> T {
    figure
        * if is_set("MIO_ECHO_TEST_STRICT") {
            1
        } else {
            10
        }
}

/// The same for a time: a hundred times as much when `MIO_ECHO_TEST_SLOW` is 1, for a system that another one stands
/// in for.
pub fn time_bound<T: Mul<u32, Output = T>>(figure: T) -> T {
    match is_set("MIO_ECHO_TEST_SLOW") {
        true => figure * 100,
        false => size_bound(figure),
    }
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| value == "1")
}

/// Runs `action` and requires that it took no longer than the [`time_bound`] of `figure`.
#[track_caller]
pub fn within<T>(figure: Duration, action: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = action();
    let (took, allowed) = (begun.elapsed(), time_bound(figure));
    assert!(took <= allowed, "took {took:?}, allowed are {allowed:?}");
    result
}

/// Waits until `condition` holds, looking every few milliseconds; for facts that nothing announces.
#[track_caller]
pub fn wait_for(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + deadline;
    while !condition() {
        assert!(Instant::now() < until, "not within {deadline:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Says that a test does not run here, past the capture of the test harness.
pub fn skip(test: &str, why: &str) {
    // Nobody to tell is no reason to fail.
    let _ = writeln!(io::stderr(), "SKIPPED {test}: {why}");
}
