//! Makes the load happen: workers with connections, and the coordinator that directs them.
//!
//! ```text
//!   coordinator  <---- worker events (channel) ----  generator, one per thread
//!        |       ----- control (shared) ---------->     |  phases      what is to be done next
//!        |                                              |  clients     which client needs a run
//!        v                                              |    client      one socket after another
//!     events to the caller                              |    connector   opens the sockets
//!                                                       |    session     messages on an open socket
//!                                                       v    admission   may a message start?
//! ```
//!
//! Reading order: [`session`], [`admission`], [`client`], [`connector`], [`clients`], [`phases`], [`generator`], then
//! [`control`], [`workers`] and [`coordinator`]. [`prepare`] is what happens before.

pub mod admission;
pub mod child_server;
pub mod client;
pub mod client_runner;
pub mod clients;
pub mod connector;
pub mod control;
pub mod coordinator;
pub mod error;
pub mod event;
pub mod generator;
pub mod intervals;
pub mod phases;
pub mod prepare;
pub mod session;
pub mod signal_waiter;
pub mod timer_queue;
pub mod worker_setup;
pub mod workers;
