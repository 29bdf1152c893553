//! `mio-echo serve` from outside: real sockets, the real executable, real signals.
//!
//! The name of a test starts with the ids of its rows in `tests/FAULTS.md` and `tests/CLASSICS.md`. Tests that need
//! signals are in `unix`, tests that need facts of Linux are in `linux`. The other tests run on every system.

#![forbid(unsafe_code)]

// Every test program includes this module and uses a part of the module.
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;

mod accept;
mod check;
mod close;
mod limits;
#[cfg(target_os = "linux")]
mod linux;
mod log_format;
mod messages;
#[cfg(feature = "metrics")]
mod metrics;
mod options;
#[cfg(feature = "proxy")]
mod proxy;
mod read;
mod threads;
mod time;
#[cfg(unix)]
mod unix;
mod workers;
mod write;
