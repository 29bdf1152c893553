//! The errors that keep a server from starting, each with a message of one line.

use std::net::SocketAddr;
use std::{error, fmt, io};

use super::memory_limit::{MemoryLimit, MemorySource};
use super::platform;
use super::scope::ScopedAddress;
use crate::conn::OutOfMemory;

/// The reason why a server cannot start.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be listened on.
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system call that failed.
        operation: &'static str,
        /// The error of the system.
        source: io::Error,
    },
    /// The process may not open enough descriptors for the configured connections, or for one connection.
    Descriptors {
        /// The configured number of connections, or 1.
        connections: usize,
        /// The descriptors that they need.
        needed: u64,
        /// The descriptors that the process may open.
        limit: u64,
    },
    /// The limit of memory is too low for the configured connections, or for one connection.
    Memory {
        /// The configured number of connections, or 1.
        connections: usize,
        /// The bytes that they need.
        needed: usize,
        /// The bytes that they may take.
        limit: MemoryLimit,
    },
    /// The system refuses the memory for the buffers and the slots.
    OutOfMemory(OutOfMemory),
    /// The poll, its waker or the registration of a listener is refused. The error names which.
    Poll(io::Error),
    /// A worker thread cannot be started.
    Workers(io::Error),
    /// The thread of a loop cannot be started.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen {
                address,
                operation,
                source,
            } => {
                let hint = platform::bind_hint(source, address.port());
                let address = ScopedAddress(*address);
                write!(f, "cannot listen on {address}: {operation}: {source}{hint}")
            }
            Self::Descriptors {
                connections,
                needed,
                limit,
            } => {
                write!(
                    f,
                    "--max-connections {connections} needs {needed} descriptors; the limit is {limit} (ulimit -Hn N, or systemd's LimitNOFILE)"
                )
            }
            Self::Memory {
                connections,
                needed,
                limit: MemoryLimit { bytes, source },
            } => {
                write!(
                    f,
                    "--max-connections {connections} needs {needed} bytes of memory; --max-memory is {bytes}"
                )?;
                match source {
                    MemorySource::Configured => Ok(()),
                    MemorySource::Physical
                    | MemorySource::Cgroup
                    | MemorySource::AddressSpace
                    | MemorySource::Unknown => write!(f, " ({source})"),
                }
            }
            Self::OutOfMemory(OutOfMemory) => {
                f.write_str("the system refuses the memory for the buffers and the slots")
            }
            Self::Poll(source) => source.fmt(f),
            Self::Workers(source) => write!(f, "cannot start a worker thread: {source}"),
            Self::Thread(source) => write!(f, "cannot start the thread of a loop: {source}"),
        }
    }
}

/// The message contains the error of the system, so there is no `source` that would repeat it.
impl error::Error for StartError {}

impl From<OutOfMemory> for StartError {
    fn from(refused: OutOfMemory) -> Self {
        Self::OutOfMemory(refused)
    }
}
