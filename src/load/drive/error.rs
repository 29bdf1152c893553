//! Errors that end a run without results, each worded in one line.

use std::net::{IpAddr, SocketAddr};
use std::{error, fmt, io};

use crate::load::measure::failure::Failures;
use crate::load::units::pluralize;
use crate::net::ConnectError;

/// The reason why a run has no results.
#[derive(Debug)]
pub enum RunError {
    /// The target does not resolve to an address.
    Unresolved {
        /// The target, `HOST:PORT`.
        target: String,
        /// The resolver's error.
        error: ConnectError,
    },
    /// The system refuses to bind a socket to a source address.
    SourceAddress {
        /// The source address.
        source: IpAddr,
        /// The system's error.
        error: io::Error,
    },
    /// No connection was established.
    NotConnected {
        /// The address of the server.
        address: SocketAddr,
        /// The failures of all connects.
        failures: Failures,
    },
    /// The process may not open as many descriptors as the connections need.
    Descriptors {
        /// The number of descriptors that the run needs.
        needed: u64,
        /// The number of descriptors that the system allows.
        limit: u64,
    },
    /// The server that the run starts itself did not start.
    OwnServer(io::Error),
    /// The requested start time passed before all connections were tried.
    StartTimePassed,
    /// A signal ended the run before there were results.
    Interrupted {
        /// The number of the signal.
        signal: i32,
    },
    /// A second signal ended the run, and the results are dropped.
    InterruptedTwice {
        /// The number of the second signal.
        signal: i32,
    },
    /// The system refuses a resource that the run needs, for example a thread or a poll.
    System(io::Error),
    /// A worker thread panicked.
    WorkerPanicked,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved { target, error } => write!(f, "cannot resolve {target}: {error}"),
            Self::SourceAddress { source, error } => {
                write!(f, "cannot connect from source address {source}: {error}")
            }
            Self::NotConnected { address, failures } => {
                write!(f, "cannot connect to {address}:")?;
                let mut separator = " ";
                for (failure, count) in failures.seen() {
                    let times = pluralize(count, "time");
                    write!(f, "{separator}{failure} ({times})")?;
                    separator = ", ";
                }
                Ok(())
            }
            Self::Descriptors { needed, limit } => write!(
                f,
                "the run needs {needed} descriptors and the limit is {limit}: raise it with ulimit -n {needed}"
            ),
            Self::OwnServer(error) => write!(f, "cannot start a server to measure: {error}"),
            Self::StartTimePassed => f.write_str(
                "the start time passed before all connections were open: choose a later one",
            ),
            Self::Interrupted { .. } => f.write_str("interrupted before there were results"),
            Self::InterruptedTwice { .. } => {
                f.write_str("interrupted a second time: the results are dropped")
            }
            Self::System(error) => write!(f, "cannot run: {error}"),
            Self::WorkerPanicked => f.write_str("a worker thread panicked: this is a bug"),
        }
    }
}

impl error::Error for RunError {}
