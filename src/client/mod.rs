//! The echo client: what connects, sends, and takes the echo.
//!
//! ```text
//!   standard input --> thread --+                    +--> thread --> standard output
//!                               | buffers, there     |
//!                               | and back, a wake   |       pipe: one connection
//!                               v                    |
//!   server <---------------- Link <------------------+
//!     ^
//!     +--------------------- Link <-- Conversation           exchange: many at once
//! ```
//!
//! Two ways to use it. [`pipe()`] joins the two standard streams to one connection, as `nc` does. [`exchange()`] sends
//! messages over many connections at once, and compares every reply.
//!
//! # Where to begin
//!
//! 1. `link.rs`: a socket and what is believed of it. All system calls of a connection are there, under the rule of
//!    the server: while believed and wanted, one call.
//! 2. `dialing.rs`: how a name becomes a link, address after address.
//! 3. `pipe.rs`, and `stdio.rs` with its two threads.
//! 4. `conversation.rs`: what one connection says and expects, without a socket; `exchange.rs`: the loop around it;
//!    `lines.rs`: what it prints, and its clock.

mod conversation;
mod dialing;
mod exchange;
mod failure;
mod link;
mod messages;
mod pipe;
mod reply_writer;
mod stdio;

use std::time::Duration;

use crate::net::IpFamily;

pub use dialing::Attempt;
pub use exchange::exchange;
pub use failure::{Difference, Failure};
pub use messages::{ExchangeSummary, Messages};
pub use pipe::pipe;

/// Whom to connect to, and what to expect of it.
#[derive(Clone, Debug)]
pub struct Config {
    /// `HOST:PORT`. All addresses of the name are tried, in turn.
    pub target: String,
    /// Which of them.
    pub family: IpFamily,
    /// How long each may take to answer; none: as long as the system lets it.
    pub connect_timeout: Option<Duration>,
    /// Bytes of a greeting, which are discarded.
    pub skip: usize,
}
