//! Tests that need facts of Linux: system calls, descriptors, memory, processor time, network namespaces.

mod accept;
#[cfg(feature = "systemd")]
mod activation;
mod close;
mod dead_peers;
mod environment;
mod failed_calls;
mod idle;
mod limits;
mod listener;
mod loops;
mod memory;
mod memory_bound;
mod messages;
mod network;
#[cfg(feature = "systemd")]
mod notifications;
mod random_clients;
mod refused_options;
mod scopes;
mod signals;
mod streams;
mod terminal;
mod threads;
#[cfg(all(target_arch = "x86_64", not(mio_unsupported_force_poll_poll)))]
mod three_views;
mod tools;
mod write;
