//! Why a server could not start, in one line each.

use std::net::SocketAddr;
use std::{error, fmt, io};

/// Why a server could not start.
#[derive(Debug)]
pub enum StartError {
    /// An address could not be listened on.
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system call that failed.
        operation: &'static str,
        /// What the system said.
        source: io::Error,
        /// What would help, or nothing.
        hint: &'static str,
    },
    /// The process may not open enough descriptors for the connections that were asked for, or for one.
    Descriptors {
        /// Connections that were asked for, or 1.
        connections: usize,
        /// Descriptors that they need.
        needed: u64,
        /// Descriptors that the system allows.
        limit: u64,
    },
    /// The poll could not be set up.
    Poll(io::Error),
    /// A worker thread could not be started.
    Workers(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen {
                address,
                operation,
                source,
                hint,
            } => {
                write!(f, "cannot listen on {address}: {operation}: {source}{hint}")
            }
            Self::Descriptors {
                connections,
                needed,
                limit,
            } => {
                write!(
                    f,
                    "{needed} descriptors are needed to serve {connections} at once; the limit is {limit} (ulimit -Hn)"
                )
            }
            Self::Poll(source) => write!(f, "cannot set up the poll: {source}"),
            Self::Workers(source) => write!(f, "cannot start a worker: {source}"),
        }
    }
}

impl error::Error for StartError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Listen { source, .. } | Self::Poll(source) | Self::Workers(source) => {
                Some(source)
            }
            Self::Descriptors { .. } => None,
        }
    }
}
