//! The event loop and its sockets.
//!
//! | file | content |
//! |------|---------|
//! | `server.rs` | [`Server`]: one turn of the loop, and how the server stops |
//! | `connections.rs`, `slot.rs` | the order in which connections run, and one run |
//! | `registration.rs`, `poll.rs` | what the kernel is told about a socket, and the wait for its events |
//! | `acceptor.rs`, `listener.rs`, `per_address.rs` | which clients get a slot |
//! | `run_queue.rs`, `timers.rs` | queues of connections and their deadlines |
//! | `offload.rs`, `workers.rs` | messages that worker threads process |
//! | `capacity.rs`, `bind.rs`, `config.rs` | what is decided before the loop starts |
//! | `memory_limit.rs`, `memory_needs.rs` | the most memory that connections may hold, its default, and what it is for |
//! | `cgroup.rs` | the control groups of the process, on Linux |
//! | `signals.rs`, `handle.rs` | how other threads and signals reach the loop |
//! | `threads.rs` | starting a thread where the system may refuse one |
//! | `outbound.rs` | connections of the client and the load generator |
//! | `socket.rs` | what all TCP sockets have in common |
//! | `scope.rs`, `peer_address.rs` | addresses as text, with their interfaces; the address of a peer in few bytes |
//! | `platform.rs` | everything that differs between systems |

mod acceptor;
mod bind;
mod capacity;
pub(crate) mod cgroup;
mod config;
pub(crate) mod connections;
mod error;
mod handle;
mod listener;
mod log_throttle;
mod memory_limit;
mod memory_needs;
mod offload;
#[cfg(any(feature = "client", feature = "bench"))]
pub(crate) mod outbound;
mod peer_address;
mod per_address;
pub(crate) mod platform;
pub(crate) mod poll;
pub(crate) mod registration;
mod run_queue;
mod scope;
pub(crate) mod server;
pub(crate) mod signals;
pub(crate) mod slot;
pub(crate) mod socket;
mod stats;
pub mod threads;
pub mod timers;
mod workers;

#[cfg(test)]
mod tests;

pub use capacity::DEFAULT_CONNECTIONS;
pub use config::{Config, Listen, OffloadPolicy, WhenFull};
pub use error::StartError;
pub use handle::Handle;
pub use memory_limit::{MemoryLimit, MemorySource};
#[cfg(any(feature = "client", feature = "bench"))]
pub use outbound::{ConnectError, ConnectFailure, IpFamily, check_source, resolve};
pub use platform::BACK_END;
pub use scope::{AddressError, ScopedAddress, ScopedIp, parse_ip, parse_socket_address};
pub use server::{Outcome, Server};
pub use signals::{exit_at_signals, exit_in_signal_handlers};
pub use stats::Stats;
