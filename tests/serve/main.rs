//! `mio-echo serve` from outside: real sockets, the real binary, real signals.
//!
//! A test carries the number of the fault or of the forerunner that it stands for. What needs signals is in `unix`,
//! what needs the facts of Linux in `linux`; the rest runs on every system.

#![forbid(unsafe_code)]

// Shared with the tests of other subcommands, which use other parts.
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;

mod accept;
mod close;
mod limits;
#[cfg(target_os = "linux")]
mod linux;
mod messages;
mod options;
mod read;
mod time;
#[cfg(unix)]
mod unix;
mod workers;
mod write;
