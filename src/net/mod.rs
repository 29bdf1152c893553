//! The event loop and its sockets.
//!
//! | file | content |
//! |------|---------|
//! | `server.rs` | [`Server`]: one turn of the loop, and how the server stops |
//! | `connections.rs`, `slot.rs` | the order in which connections run, and one run |
//! | `connection_log.rs` | the log lines about single clients |
//! | `registration.rs`, `poll.rs` | what the kernel is told about a socket, and the wait for its events |
//! | `acceptor.rs`, `listener.rs`, `per_address.rs` | which clients get a slot |
//! | `proxy/` | the address of a client that comes through a proxy |
//! | `run_queue.rs`, `timers.rs` | queues of connections and their deadlines |
//! | `offload.rs`, `workers.rs`, `job_queue.rs` | messages that worker threads process |
//! | `loops.rs`, `sibling.rs`, `arrivals.rs`, `occupancy.rs`, `requests.rs`, `reporter.rs`, `ids.rs` | several loops: who gets a client, and what they tell each other; `no_siblings.rs` stands for them without the feature `threads` |
//! | `start.rs`, `capacity.rs`, `bind.rs`, `config.rs`, `check.rs` | what is decided before the loop starts, and what that would be |
//! | `memory_limit.rs`, `memory_needs.rs`, `limits.rs` | the most memory that connections may hold, its default, and what it is for |
//! | `cgroup.rs` | the control groups of the process, on Linux |
//! | `signals.rs`, `handle.rs`, `stop_flag.rs`, `mailbox.rs`, `sync.rs` | how signals and other threads reach the loop; `sync.rs` lets loom replace what they share |
//! | `observer.rs`, `stats.rs` | what looks at the server once a turn; what it can see |
//! | `threads.rs` | starting a thread where the system may refuse one |
//! | `outbound.rs` | connections of the client and the load generator |
//! | `socket.rs` | what all TCP sockets have in common |
//! | `error.rs`, `log_throttle.rs` | why a server does not start; fewer log lines about a flood of clients |
//! | `scope.rs`, `peer_address.rs` | addresses as text, with their interfaces; the address of a peer in few bytes |
//! | `platform.rs` | everything that differs between systems |

pub(crate) mod acceptor;
#[cfg(feature = "threads")]
mod arrivals;
pub(crate) mod bind;
mod capacity;
pub(crate) mod cgroup;
mod check;
mod config;
mod connection_log;
pub(crate) mod connections;
mod error;
mod handle;
mod ids;
mod job_queue;
mod limits;
mod listener;
mod log_throttle;
mod loops;
pub(crate) mod mailbox;
mod memory_limit;
mod memory_needs;
#[cfg(not(feature = "threads"))]
mod no_siblings;
mod observer;
#[cfg(feature = "threads")]
mod occupancy;
mod offload;
#[cfg(any(feature = "client", feature = "bench"))]
pub(crate) mod outbound;
mod peer_address;
mod per_address;
pub(crate) mod platform;
pub(crate) mod poll;
pub mod proxy;
pub(crate) mod registration;
mod reporter;
#[cfg(feature = "threads")]
mod requests;
pub(crate) mod run_queue;
mod scope;
pub(crate) mod server;
#[cfg(feature = "threads")]
mod sibling;
pub(crate) mod signals;
pub(crate) mod slot;
pub(crate) mod socket;
mod start;
mod stats;
mod stop_flag;
mod sync;
pub mod threads;
pub mod timers;
mod workers;

#[cfg(test)]
mod tests;

pub use capacity::DEFAULT_CONNECTIONS;
pub use check::check;
pub use config::{Config, Listen, OffloadPolicy, WhenFull};
pub use error::StartError;
pub use handle::Handle;
pub use loops::{StatsRequest, TurnRequest};
#[cfg(feature = "metrics")]
pub(crate) use memory_limit::resident_memory;
pub use memory_limit::{MemoryLimit, MemorySource};
pub use observer::{Observation, Observer};
#[cfg(any(feature = "client", feature = "bench"))]
pub use outbound::{ConnectError, ConnectFailure, IpFamily, check_source, resolve};
pub use platform::BACK_END;
pub use scope::{AddressError, ScopedAddress, ScopedIp, parse_ip, parse_socket_address};
pub use server::{Outcome, Server};
pub use signals::{exit_at_signals, exit_in_signal_handlers};
pub use stats::{ListenerStats, Stats};
