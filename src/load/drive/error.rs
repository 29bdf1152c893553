//! Why there are no figures, in one line each.

use std::net::{IpAddr, SocketAddr};
use std::{error, fmt, io};

use crate::load::measure::metrics::Failures;
use crate::load::units::counted;
use crate::net::ConnectError;

/// Why there are no figures.
#[derive(Debug)]
pub enum RunError {
    /// The target has no address.
    Unresolved {
        /// `HOST:PORT`.
        target: String,
        /// Why not.
        error: ConnectError,
    },
    /// A source address is none of this machine's.
    Source {
        /// The address.
        source: IpAddr,
        /// Why nothing can come from it.
        error: io::Error,
    },
    /// Not one connection was established.
    NotConnected {
        /// The address.
        address: SocketAddr,
        /// What happened instead.
        failures: Failures,
    },
    /// The process may not open enough descriptors for the connections.
    Descriptors {
        /// Descriptors that are needed.
        needed: u64,
        /// Descriptors that the system allows.
        limit: u64,
    },
    /// The server of our own did not start.
    Server(io::Error),
    /// When all were connected, the time to begin was over.
    TooLate,
    /// A signal before there were figures.
    Aborted {
        /// Its number.
        signal: i32,
    },
    /// A second signal, which did not wait for the figures.
    Dropped {
        /// Its number.
        signal: i32,
    },
    /// The system refuses what a loop needs.
    System(io::Error),
    /// A loop has failed.
    Panicked,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved { target, error } => write!(f, "cannot resolve {target}: {error}"),
            Self::Source { source, error } => write!(f, "cannot use --source {source}: {error}"),
            Self::NotConnected { address, failures } => {
                write!(f, "cannot connect to {address}:")?;
                let mut separator = " ";
                for (failure, count) in failures.seen() {
                    let times = counted(count, "time");
                    write!(f, "{separator}{} ({times})", failure.name())?;
                    separator = ", ";
                }
                Ok(())
            }
            Self::Descriptors { needed, limit } => write!(
                f,
                "the connections need {needed} descriptors; the limit is {limit} (ulimit -n {needed})"
            ),
            Self::Server(error) => write!(f, "cannot start a server: {error}"),
            Self::TooLate => f.write_str("--start-at: the time was over before all were connected"),
            Self::Aborted { .. } => f.write_str("interrupted: there are no figures"),
            Self::Dropped { .. } => f.write_str("interrupted again: the figures are dropped"),
            Self::System(error) => write!(f, "cannot run: {error}"),
            Self::Panicked => f.write_str("a loop failed; this is a bug"),
        }
    }
}

impl error::Error for RunError {}
