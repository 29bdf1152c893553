//! The echo client.
//!
//! ```text
//!   standard input --> thread --+                       +--> thread --> standard output
//!                               | buffers in both       |
//!                               | directions, wakes     |     pipe: one connection
//!                               v                       |
//!   server <--------------- ClientSocket <--------------+
//!     ^
//!     +-------------------- ClientSocket <-- Conversation     exchange: many connections
//! ```
//!
//! The client has two functions. [`pipe()`] joins the two standard streams to one connection, as `nc` does.
//! [`exchange()`] sends messages over many connections at once and compares every reply.
//!
//! # Where to start reading
//!
//! 1. `socket.rs`: a connected socket and its readiness. All reads and writes are there. The rule is the server's: while
//!    the socket is believed to be ready and the operation is wanted, make one system call.
//! 2. `connect.rs`: a target becomes a connected socket, by trying one address after another.
//! 3. `pipe.rs`, and `stdio.rs` with its two threads.
//! 4. `conversation.rs`: what one connection sends and expects, without a socket. `exchange.rs`: the loop that runs all
//!    conversations. `reply_writer.rs`: the output of replies, and a clock that stops while output is written.

mod connect;
mod conversation;
mod exchange;
mod failure;
mod messages;
mod pipe;
mod reply_writer;
mod socket;
mod stdio;

use std::time::Duration;

use crate::net::IpFamily;

pub use exchange::exchange;
pub use failure::{ByteCount, Difference, Failure};
pub use messages::{ExchangeSummary, Messages};
pub use pipe::pipe;

/// The server to connect to, and the greeting to expect from it.
#[derive(Clone, Debug)]
pub struct Config {
    /// `HOST:PORT`. All addresses of the host are tried in turn.
    pub target: String,
    /// The family of the addresses that are tried.
    pub family: IpFamily,
    /// How long each address may take to answer. `None` leaves the timeout to the system.
    pub connect_timeout: Option<Duration>,
    /// The number of greeting bytes to discard.
    pub skip: usize,
}
