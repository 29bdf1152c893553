//! What SIGINT, SIGTERM and SIGHUP do during a measurement and after it.
//!
//! During a measurement, the first signal ends the run with the results so far, and the second one ends the run
//! without results. After the measurement, a signal ends the process, because the process may wait forever for the
//! reader of its report. One [`SignalWaiter`] reads the signals before and after, so that two signals at once count
//! as one in both cases. After the measurement a thread owns the waiter. No such thread exists while something is
//! measured.

use std::process;
use std::time::Duration;

use mio_echo::load::{ReadyRun, Results, RunError, RunEvent, SignalWaiter};
use mio_echo::net::{self, threads};

use crate::program::exit_code;

/// The time that the report has after a signal. The first signal may arrive when the measurement has just ended, as
/// with `timeout 10 mio-echo bench -d 9`. A report that is being written must not be lost then.
const GRACE: Duration = Duration::from_millis(100);

/// Measures. After this function has returned, SIGINT, SIGTERM and SIGHUP end the process.
pub fn run_to_signal(
    ready: ReadyRun,
    on_event: &mut dyn FnMut(RunEvent),
) -> Result<Results, RunError> {
    let mut signals = SignalWaiter::install()?;
    let results = ready.run(&mut signals, on_event);
    exit_at_signal(signals);
    results
}

/// Lets SIGINT, SIGTERM and SIGHUP end the process from now on. If the system refuses the thread, a signal ends the process
/// without the grace.
pub fn exit_at_signal(mut signals: SignalWaiter) {
    let wait_and_exit = move || {
        let Ok(Some(first)) = signals.next(None) else {
            return;
        };
        let second = signals.next(Some(GRACE));
        let signal = second.ok().flatten().unwrap_or(first);
        process::exit(exit_code::of_signal(signal).into());
    };
    if threads::spawn("signals", wait_and_exit).is_err() {
        net::exit_in_signal_handlers(exit_code::of_signal);
    }
}
