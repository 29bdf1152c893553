//! The exit codes of the program. The library reports outcomes; only the program gives them numbers.

use mio_echo::net;

/// The command did what was asked for.
pub const FINISHED: u8 = 0;

/// The command could not run, or `bench` got no answer.
pub const FAILED: u8 = 1;

/// The command line was refused.
pub const USAGE: u8 = 2;

/// An objective of `--slo` is not met.
#[cfg(feature = "bench")]
pub const OBJECTIVE_MISSED: u8 = 3;

/// A reply differs from what was sent.
#[cfg(any(feature = "bench", feature = "client"))]
pub const WRONG_BYTES: u8 = 4;

/// The measurement is suspect, and `--strict` was given.
#[cfg(feature = "bench")]
pub const SUSPECT: u8 = 5;

/// B is slower than A by more than the limit of `--fail-if-slower`.
#[cfg(feature = "bench")]
pub const TOO_SLOW: u8 = 6;

/// It is undecided whether B is slower than A by more than the limit of `--fail-if-slower`.
#[cfg(feature = "bench")]
pub const UNDECIDED: u8 = 7;

/// Shells report a process that a signal ended as this number plus that of the signal.
const SIGNAL_BASE: u8 = 128;

/// Returns the exit code of a command that `signal` ended: 129 for SIGHUP, 130 for SIGINT, 143 for SIGTERM.
pub fn of_signal(signal: i32) -> u8 {
    SIGNAL_BASE.saturating_add(signal as u8)
}

/// Lets signals end the program until its command handles them.
pub fn exit_at_signals() {
    net::exit_at_signals(of_signal);
}
