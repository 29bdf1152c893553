//! An echo server on a hand-written, single-threaded readiness loop, or on one such loop for each thread, with a client
//! and a load generator that use the same parts. The crate is written to be read by anyone who wants to learn
//! non-blocking I/O.
//!
//! **An event makes the loop believe that a socket is ready. Only the socket's own answer disproves it: `WouldBlock`,
//! or, on epoll, a read that came back short.** This one idea covers epoll, kqueue, Windows and poll(2), back-pressure,
//! fairness, a full server and a process without free descriptors.
//!
//! ```text
//!             events                     handle_ready                     read, write
//!   kernel ------------> net::Server -------------------> Connection <-----------------> socket
//!      ^                      |                               |
//!      |   only what changes  |    wants_write, timer         |
//!      +----------------------+<------------------------------+
//! ```
//!
//! The server has two halves. [`conn`] is the state machine of one connection: it decides what to read, what to write
//! and when to end, and knows neither a clock nor an operating system. [`net`] is the loop: it waits for events, tells
//! each connection what happened, and tells the kernel what the connection wants.
//!
//! With several threads, each runs this loop for connections of its own. The first one accepts all clients and hands them
//! over. The files below describe one loop, and `net/loops.rs` describes what several loops share.
//!
//! # The tour
//!
//! Before the tour, `examples/README.md` leads through three servers of at most 60 lines, the fault that breaks each, and
//! what the real one adds. [`glossary`] explains the terms. After the tour, `examples/EXERCISES.md` has exercises whose
//! answers are checked.
//!
//! Six files, best read from top to bottom and in this order:
//!
//! 1. [`conn`], in `conn/mod.rs`: the terms, the states, the table of all transitions, three worked traces.
//! 2. [`conn::readiness`], in `conn/readiness.rs`: the one idea as six bits, and what sets and clears each.
//! 3. [`conn::connection`], in `conn/connection.rs`: what a connection is told, what it answers, how its state changes.
//! 4. [`conn::drive`], in `conn/drive.rs`: all reads and writes.
//! 5. [`net::server`], in `net/server.rs`: one turn of the loop.
//! 6. [`net::connections`], in `net/connections.rs`: which connection runs next, and what follows from its run.
//!
//! These files call a few others. [`net::slot`] owns a connection and its socket: it sends our FIN and registers for
//! write events. [`conn::messages`] splits input into messages and hands them to workers. [`net::timers`] keeps the
//! deadlines. To see that the rules hold, read the simulation in `conn/sim/`: it plays every schedule of a small
//! world.
//!
//! The echo client and the load generator have tours of their own, in `client/mod.rs` and `load/mod.rs`.
//!
//! # Invariants
//!
//! - No connection waits for an event that has already been delivered.
//! - The loop blocks in one place, the wait of the poll. No peer can end it: a peer's failure is a
//!   [`conn::CloseReason`].
//! - A connection whose peer keeps up holds no memory but its slot. What all other connections hold is bounded by one
//!   number, and no connection waits for the memory of another.
//! - A truncated echo never ends with a FIN. If bytes owed to a peer are dropped, the close is a reset.
//!
//! # Layers
//!
//! Imports run one way:
//!
//! ```text
//!   main -> program -> cli -> { client, load, metrics } -> net -> conn
//! ```
//!
//! - `main`, `program` and `cli` are the executable: exit codes, standard streams and the log; the command line. The
//!   library knows neither options nor exit codes. The feature `serve` builds the executable.
//! - `client` is the echo client, `load` the load generator, and `metrics` shows the figures of a server. Each can be
//!   left out with a feature of the same purpose: `client`, `bench`, `metrics`.
//! - `player` plays a schedule of the simulation and shows each step, for the page of `play/`. It uses [`conn`] alone, and
//!   the feature `player` adds it.
//! - [`net`] has the sockets, the timers, the signals, and all differences between operating systems. The feature `net`
//!   adds it, and every feature above includes that one.
//! - [`conn`] is always there. It uses only the standard library, `log`, `memchr` and `bytemuck`. It names neither `mio`,
//!   nor the time, nor an operating system.
//!
//! # This documentation
//!
//! `cargo doc --no-deps --open` in the repository documents private items too, because the diagrams and tables stand in
//! private modules. Without private items, the links of the tour to private modules are plain text.
#![forbid(unsafe_code)]
// The tour links to private modules, which are documented with `--document-private-items` (`.cargo/config.toml`).
#![allow(rustdoc::private_intra_doc_links)]

#[cfg(feature = "client")]
pub mod client;
pub mod conn;
#[cfg(feature = "bench")]
pub mod load;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "player")]
pub mod player;

#[cfg(doc)]
#[doc = include_str!("glossary.md")]
pub mod glossary {}
