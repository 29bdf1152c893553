//! What signals do while a measurement runs, and after it.
//!
//! In it they are the measurement's: the first ends it, and the figures so far follow; a second one leaves no figures.
//! After it they end the program, which may wait for whoever is to read its report, and for ever. They are read where
//! they were before, by a thread, so that also here two of the same that come at once are one; only the thread is new,
//! and there is none while something is measured.

use std::process;
use std::thread;
use std::time::Duration;

use mio_echo::load::{ReadyRun, Results, RunError, RunEvent, SignalWaiter};

use crate::program::exit_code;

/// How long the report has after a signal. The first one may come when the measurement has just ended, as that of
/// `timeout 10 mio-echo bench -d 9` does, and a report that is being written is not to be lost by it.
const GRACE: Duration = Duration::from_millis(100);

/// Measures. When this returns, SIGINT and SIGTERM end the process.
pub fn run_to_signal(
    prepared: ReadyRun,
    on_event: &mut dyn FnMut(RunEvent),
) -> Result<Results, RunError> {
    let mut interrupts = SignalWaiter::install()?;
    let results = prepared.run(&mut interrupts, on_event);
    exit_at_signal(interrupts);
    results
}

/// Without a thread, for want of resources, the signals do nothing any more.
fn exit_at_signal(mut interrupts: SignalWaiter) {
    let wait_and_exit = move || {
        let Ok(Some(first)) = interrupts.next(None) else {
            return;
        };
        let second = interrupts.next(Some(GRACE));
        let signal = second.ok().flatten().unwrap_or(first);
        process::exit(exit_code::of_signal(signal).into());
    };
    let _ = thread::Builder::new()
        .name("signals".into())
        .spawn(wait_and_exit);
}
