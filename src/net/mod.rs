//! Readiness: the loop, and everything that it knows of sockets, signals and the system.

pub(crate) mod abortive_close;
mod acceptor;
mod bind;
mod capacity;
mod config;
pub(crate) mod connections;
mod error;
mod handle;
mod listener;
mod log_throttle;
mod offload;
#[cfg(any(feature = "client", feature = "bench"))]
pub(crate) mod outbound;
mod per_address;
pub(crate) mod platform;
pub(crate) mod poll;
mod pool;
pub(crate) mod registration;
mod run_queue;
pub(crate) mod server;
pub(crate) mod signals;
pub(crate) mod slot;
mod stats;
pub mod timers;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use capacity::DEFAULT_CONNECTIONS;
pub use config::{Config, Listen, OffloadPolicy, WhenFull};
pub use error::StartError;
pub use handle::Handle;
#[cfg(any(feature = "client", feature = "bench"))]
pub use outbound::{ConnectError, ConnectFailure, IpFamily, check_source, resolve};
pub use platform::BACK_END;
pub use server::{Outcome, Server};
pub use stats::Stats;

/// How long a session that we end waits for the peer's FIN, counted from ours: room for a retransmission after the
/// initial timeout of one second (RFC 6298, section 2), and little enough not to hold up a stop.
const LINGER: Duration = Duration::from_secs(2);

/// When to try again after running out of descriptors or memory: four tries a second cost nothing, and a client that
/// waits does not notice a quarter of one.
const ACCEPT_RETRY: Duration = Duration::from_millis(250);
