//! Makes the load happen: workers with connections, and the coordinator that directs them.
//!
//! ```text
//!   coordinator  ---- control: times, stop ------>  generator, one per worker thread
//!        |       <--- worker events -------------      |
//!        |                                             +-- phases           what is to be done next
//!        v                                             +-- clients          which client is run now
//!   run events to the caller                                 |
//!                                                            +-- client_runner    what a run does
//!                                                                  +-- client        one socket after another
//!                                                                  +-- connector     opens the sockets
//!                                                                  +-- closer        closes the sockets at the end
//!                                                                  +-- admission     may a message start?
//!                                                                  +-- session       messages on an open socket
//! ```
//!
//! Reading order: [`session`] with its two halves, [`admission`], [`client`], [`connector`], [`client_runner`],
//! [`clients`], [`closer`], [`phases`] and [`generator`] for a worker; then [`prepare`], [`control`], [`workers`] and
//! [`coordinator`] for a run.

pub mod admission;
pub mod affinity;
pub mod batches;
pub mod beside;
pub mod child_process;
pub mod child_server;
pub mod client;
pub mod client_runner;
pub mod clients;
pub mod closer;
pub mod command_server;
pub mod connector;
pub mod control;
pub mod coordinator;
pub mod error;
pub mod event;
pub mod generator;
pub mod intervals;
pub mod part_collector;
pub mod part_sum;
pub mod phases;
pub mod prepare;
pub mod session;
pub mod signal_waiter;
pub mod stalls;
pub mod tallies;
pub mod timer_queue;
pub mod totals;
pub mod workers;
