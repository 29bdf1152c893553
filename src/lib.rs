//! An echo server on a hand-rolled, single-threaded readiness loop, a client, and a load generator on the same parts.
//!
//! ```text
//!             events                       what happened              one read, one write
//!   kernel ------------> net::Server ------------------> Connection <--------------------> socket
//!      ^                      |                               |
//!      |   only what changes  |    wants_write, timer         |
//!      +----------------------+<------------------------------+
//! ```
//!
//! Two halves. [`conn`] is the state machine of one connection: it decides what to read, to write and when to end,
//! and knows neither a socket nor a clock. [`net`] is the loop: it waits, tells connections what happened, and tells
//! the kernel what they want.
//!
//! # Where to begin
//!
//! 1. [`conn`]: the diagram, the table of all transitions, three worked traces.
//! 2. `conn/readiness.rs`: the one idea, as bits: what is believed of a socket and what disproves it.
//! 3. `conn/connection.rs`: what a connection is told, what it answers, how its state changes.
//! 4. `conn/drive.rs`: all I/O there is.
//! 5. `net/server.rs`: one turn of the loop.
//! 6. `net/connections.rs`: who runs next, and what the kernel is told afterwards.
//!
//! `client/mod.rs` and `load/mod.rs` have tours of their own.
//!
//! # What holds everywhere
//!
//! - Readiness is a belief. Only `WouldBlock` disproves it, so no event is waited for that has already come.
//! - The loop blocks in one place, and no peer can end it: a peer's failure is a [`conn::CloseReason`].
//! - A connection whose peer keeps up owns no heap memory. One whose peer does not, owns a bounded amount.
//! - A truncated echo never ends in a FIN: where bytes that are owed are dropped, the close is a reset.
//! - Imports run one way: the program uses `client`, `load` and [`net`], those two use [`net`], [`net`] uses [`conn`],
//!   [`conn`] uses only the standard library and the log. There is no `mio`, no time and no operating system in
//!   [`conn`].
#![forbid(unsafe_code)]

#[cfg(feature = "client")]
pub mod client;
pub mod conn;
#[cfg(feature = "bench")]
pub mod load;
pub mod net;
#[cfg(any(feature = "client", feature = "bench"))]
pub mod patient;
