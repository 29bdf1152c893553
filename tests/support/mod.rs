//! Shared by the integration tests: the server under test, its clients, and waiting with a deadline.

#[cfg(all(feature = "systemd", target_os = "linux"))]
pub mod activation;
pub mod client;
pub mod data;
#[cfg(target_os = "linux")]
pub mod link_local;
pub mod messages;
#[cfg(target_os = "linux")]
pub mod proc;
pub mod server;
#[cfg(target_os = "linux")]
pub mod strace;
pub mod temp_dir;
#[cfg(target_os = "linux")]
pub mod terminal;
#[cfg(unix)]
pub mod unix;
pub mod unused;

use std::io::{self, Write};
use std::ops::Mul;
use std::thread;
use std::time::{Duration, Instant};

pub use client::{Client, End};
pub use data::Data;
pub use server::Server;

/// The longest wait for an event that has no bound of its own.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// How long a test waits to show that nothing happens.
pub const QUIET: Duration = Duration::from_millis(200);

/// How long a server that has sent its FIN waits for the FIN of the client. Then it closes, and a client that is late may
/// find a reset instead of an open connection.
pub const LINGER: Duration = Duration::from_secs(2);

/// The sizes of the read buffer in the tests of reading and closing: one byte, a few bytes, the default.
pub const READ_BUFFERS: [&str; 3] = ["1", "8", "256k"];

/// Returns true if `MIO_ECHO_TEST_STRICT` is 1: the machine does nothing else, and every upper bound is the figure itself.
pub fn is_strict() -> bool {
    std::env::var_os("MIO_ECHO_TEST_STRICT").is_some_and(|value| value == "1")
}

/// Returns the upper bound of a size, a count or processor time: `figure` itself in a strict run, otherwise ten times as
/// much. Lower bounds are never loosened.
pub fn size_bound<T: Mul<u32, Output = T>>(figure: T) -> T {
    figure * if is_strict() { 1 } else { 10 }
}

/// Returns the upper bound of a time that passes on a clock: `figure` itself in a strict run, otherwise [`DEADLINE`],
/// because a busy machine may stop a process for seconds.
pub fn time_bound(figure: Duration) -> Duration {
    match is_strict() {
        true => figure,
        false => DEADLINE,
    }
}

/// Returns true if the server under test runs on Windows: the tests do too, or they drive a server under Wine.
pub fn serves_on_windows() -> bool {
    cfg!(windows) || server::server_override().is_some_and(|words| words[0].ends_with("wine"))
}

/// Returns how many warnings of one kind a server may log in `time`: one at once, and one every 5 s.
pub fn most_warnings(time: Duration) -> usize {
    1 + (time.as_secs() / 5) as usize
}

/// Runs `action` and requires that `action` takes no longer than the [`time_bound`] of `figure`.
#[track_caller]
pub fn within<T>(figure: Duration, action: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = action();
    let (took, allowed) = (start.elapsed(), time_bound(figure));
    assert!(took <= allowed, "took {took:?}, more than {allowed:?}");
    result
}

/// Waits until `condition` holds and checks every 2 ms. Use it only for a change that no event announces.
#[track_caller]
pub fn wait_for(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + deadline;
    while !condition() {
        assert!(
            Instant::now() < until,
            "did not happen within {deadline:?}: {what}"
        );
        thread::sleep(Duration::from_millis(2));
    }
}

/// Calls `attempt` until it returns a result.
///
/// An attempt has to do something before a timeout of the program is over. It returns `None` if it has measured that it did
/// so too late, because a busy machine has stopped the test: then the program was right to give up. An attempt that was in
/// time fails the test by itself.
#[track_caller]
pub fn until_in_time<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        assert!(Instant::now() < until, "every attempt was late");
        println!("the test was late: again");
    }
}

/// Prints that a test is skipped. The line goes past the output capture of the test harness.
pub fn skip(test: &str, why: &str) {
    // A closed standard error is no reason to fail.
    let _ = writeln!(io::stderr(), "SKIPPED {test}: {why}");
}
