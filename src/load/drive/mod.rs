//! What makes it happen: loops with connections, and the one that directs them.

pub mod child_server;
pub mod client;
pub mod connector;
pub mod control;
pub mod coordinator;
pub mod error;
pub mod event;
pub mod generator;
pub mod phases;
pub mod prepare;
pub mod session;
pub mod signal_waiter;
pub mod timer_queue;
pub mod workers;
