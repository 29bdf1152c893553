//! The state machine of a connection, without a socket, a clock or an operating system.
//!
//! **An event makes the loop believe that a socket is ready. Only the socket's own answer disproves it: `WouldBlock`,
//! or, on epoll, a read that came back short.** Everything in this module follows from that rule.
//!
//! ```text
//!                          PeerFin                   Delivered
//!             +--------+ ----------> +-----------+ ------------> +--------+
//!   accept -> |  Open  |             | Finishing |               | Closed |
//!             +--------+             +-----------+               +--------+
//!                 |                        ^                       ^    ^
//!                 | LocalClose             | PeerFin               |    |
//!                 v                        |                       |    |
//!             +-----------+ ---------------+                       |    |
//!             | Lingering | ------------ LingerExpired ------------+    |
//!             +-----------+                                             |
//!                  any state: Reset, Abort -----------------------------+
//! ```
//!
//! A connection never returns to a state that it has left. Everything that can be undone, such as "blocked" or
//! "paused", is no state: it is derived from the pending bytes and the beliefs, and never stored.
//!
//! - `Open`: input is echoed.
//! - `Finishing`: the peer has finished sending. What is owed is delivered, then the connection closes.
//! - `Lingering`: we have stopped echoing, and input is discarded from now on. What is owed is delivered, then our FIN
//!   goes out, then the peer's FIN or the linger timer closes the connection. If the socket were closed with input
//!   unread, the kernel would send a reset, and a reset drops the last part of the echo: what our kernel has not delivered
//!   yet, and on some systems also what the peer's kernel has and the peer has not read (RFC 9293, 3.10.7.4).
//! - `Closed`: the owner drops the socket. If bytes were still owed, it resets the socket, so that a truncated echo
//!   never looks complete.
//!
//! # Terms
//!
//! - *Owner*: the code that holds the socket and calls the connection: a slot of the loop, in `net/slot.rs`.
//! - *Session*: the time in which input is echoed. It ends when the peer sends its FIN or when we stop echoing.
//! - *Delivered*: handed to our kernel, which sends the bytes to the peer.
//! - *Run*: one call of [`Connection::drive`]. *Budget*: the bytes after which a run starts no further
//!   read. Each read counts as at least 16 KiB, which bounds the reads of a run, too.
//! - *Believed*: a read (or a write) is expected to succeed. An event causes this belief. After a timeout or a stop the
//!   connection adopts it itself, so that the next run asks the socket. The socket's own answer disproves it.
//! - *Pending* bytes: bytes of the echo that the kernel has not taken yet.
//! - *High-water mark*: while this many bytes or more are pending, an open connection reads nothing.
//! - *Message*: a part of the stream that is echoed only as a whole. The [`Framing`] tells where a message ends.
//! - *Inbox*: input that cannot be echoed yet. *Job*: a message that a worker thread processes before it is echoed.
//! - *Block*: the unit of the memory in which pending bytes and inboxes are stored. A connection is guaranteed a few, and
//!   may take extra ones while there are any. *Offer*: the bytes that a read may return at most. It never exceeds what
//!   there is memory for, so what was read can always be stored (`conn/block_pool.rs`).
//! - *Owed*: pending bytes, and whole messages that wait in the inbox or that a worker has.
//! - *Key*: the number of a connection's slot in the loop, and its token in the poll. A later connection gets the key
//!   again. *Id*: the number of a connection, which no other connection of the server has.
//! - *Backlog*: the queue of connections whose budget ran out. The queue of a listening socket is the *listen backlog*.
//! - *Timer*: starts at some moment and expires after its timeout. A connection tells which timer runs, and the loop
//!   keeps the deadlines. *Check*: what the next runs have to ask the socket after a timer expired or the server was
//!   stopped.
//!
//! # The transition table
//!
//! A unit test reads this table and compares each cell with [`State::next`].
//!
//! | state     | PeerFin   | LocalClose | Delivered | LingerExpired | Reset  | Abort  |
//! |-----------|-----------|------------|-----------|---------------|--------|--------|
//! | Open      | Finishing | Lingering  | Open      | Open          | Closed | Closed |
//! | Finishing | Finishing | Finishing  | Closed    | Finishing     | Closed | Closed |
//! | Lingering | Finishing | Lingering  | Lingering | Closed        | Closed | Closed |
//! | Closed    | Closed    | Closed     | Closed    | Closed        | Closed | Closed |
//!
//! # Messages
//!
//! If the framing has messages, a connection echoes only whole messages, in their order:
//!
//! ```text
//!                         whole, and needs no worker
//!   socket -> read buffer ----------------------------------------> echo -> socket
//!                  |                                            ^
//!                  | incomplete, or has to wait                 | once there is room
//!                  v                                            |
//!                inbox ------------------ resume ---------------+
//!                  |                                            |
//!                  +--- poll_job --> worker --- handle_completion
//! ```
//!
//! An open connection reads nothing while a whole message waits. So one block is enough for an inbox, a connection has at
//! most one job in flight, and no message overtakes another. A whole message is owed like a pending
//! byte: it is delivered before our FIN, and a close that drops it is a reset. Nothing is owed for an incomplete message.
//! [`Offload`] decides which messages need a worker.
//!
//! # Worked traces
//!
//! Each trace shows the input, every system call with its answer, every change of state, and what the connection asks
//! for afterwards. Tests run the traces and compare every word. The read buffer has 16 bytes, the high-water mark is 8,
//! and a short read proves the socket empty, as on Linux.
//!
//! ## An echo
//!
//! An echo takes one read and one write. The short read proves the socket empty, and no registration changes.
//!
//! ```text
//! 1 s: event readable
//!     read(16) = 5
//!     write(5) = 5
//! -> Wait | Idle timer since 1 s
//! 2 s: event readable
//!     read(16) = 5
//!     write(5) = 5
//! -> Wait | Idle timer since 2 s
//! ```
//!
//! ## A slow reader
//!
//! With 6 bytes pending, which is below the mark, the connection reads a second time. With 22 bytes pending it
//! pauses, and keeps its belief that the socket is readable. When the write timer expires, the connection tries a
//! write and finds room for one byte that no event reported. The timer starts anew.
//!
//! ```text
//! 1 s: event readable
//!     read(16) = 16
//!     write(16) = 10
//!     write(6) = WouldBlock
//!     read(16) = 16
//! -> Wait | WRITABLE armed | Write timer since 1 s
//! 31 s: the write timer expires
//!     write(22) = 1
//!     write(21) = WouldBlock
//! -> Wait | WRITABLE armed | Write timer since 31 s
//! 32 s: event writable
//!     write(21) = 21
//!     read(16) = 3
//!     write(3) = 3
//! -> Wait | Idle timer since 32 s
//! ```
//!
//! ## A half-close
//!
//! The event reports the FIN, so the connection reads on after the short read. It stays until the pending bytes are
//! delivered.
//!
//! ```text
//! 1 s: event readable, read closed
//!     read(16) = 5
//!     write(5) = 2
//!     write(3) = WouldBlock
//!     read(16) = 0
//!     conn 7: Open -> Finishing (peer finished sending)
//! -> Wait | WRITABLE armed | Write timer since 1 s
//! 2 s: event writable
//!     write(3) = 3
//!     conn 7: Finishing -> Closed (everything is delivered)
//! -> Close
//! ```

// Some modules are `pub(crate)` only so that the tour in `src/lib.rs` can link to them.
mod block_pool;
mod checks;
mod close_reason;
pub(crate) mod connection;
pub(crate) mod drive;
mod encode;
pub mod framing;
mod inbox;
pub(crate) mod messages;
pub(crate) mod readiness;
mod settings;
mod write_buffer;

#[cfg(test)]
pub(crate) mod script;
#[cfg(any(test, feature = "player"))]
pub(crate) mod sim;
#[cfg(test)]
pub(crate) mod tests;

pub use block_pool::{BlockPool, OutOfMemory};
pub use close_reason::{CloseReason, SocketCall, SocketError};
pub use connection::{Connection, Progress};
pub use encode::EncodeError;
#[cfg(feature = "bench")]
pub(crate) use encode::Overhead;
pub use framing::{BadFrame, Framing};
pub use messages::WorkerPanicked;
#[cfg(any(feature = "client", feature = "bench"))]
pub(crate) use readiness::Readiness;
pub use readiness::{Ready, ShortRead};
pub use settings::{Offload, Settings};
pub use write_buffer::{Buffers, WriteBuffer};

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Input is echoed.
    Open,
    /// The peer has finished sending. What is owed is delivered, then the connection closes.
    Finishing,
    /// We have stopped echoing. What is owed is delivered, then we send our FIN and wait for the peer's FIN.
    Lingering,
    /// The connection is over, and its owner drops the socket.
    Closed,
}

/// What can move a connection from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A read returned 0: the peer has finished sending.
    PeerFin,
    /// We end the session, for example after an idle timeout or because the server stops. What is owed is delivered.
    LocalClose,
    /// The kernel has taken everything that was owed.
    Delivered,
    /// The peer did not answer our FIN in time.
    LingerExpired,
    /// The socket is dead: the peer has reset the connection, or no longer answers.
    Reset,
    /// We end the session at once, although something may be owed.
    Abort,
}

impl State {
    /// Returns the state that follows this one because of `cause`.
    pub fn next(self, cause: Cause) -> State {
        match (self, cause) {
            (State::Closed, _) => State::Closed,
            (_, Cause::Reset | Cause::Abort) => State::Closed,

            (State::Open, Cause::PeerFin) => State::Finishing,
            (State::Open, Cause::LocalClose) => State::Lingering,
            // Neither changes the state: more input may come, and the linger timer starts with our FIN.
            (State::Open, Cause::Delivered | Cause::LingerExpired) => State::Open,

            (State::Finishing, Cause::Delivered) => State::Closed,
            // The connection closes as soon as possible anyway: the peer waits only for what is owed.
            (State::Finishing, Cause::PeerFin | Cause::LocalClose | Cause::LingerExpired) => {
                State::Finishing
            }

            // Both sides have finished. Only what is still owed delays the close.
            (State::Lingering, Cause::PeerFin) => State::Finishing,
            (State::Lingering, Cause::LingerExpired) => State::Closed,
            // After the delivery, our FIN goes out, and then the connection waits for the peer's FIN.
            (State::Lingering, Cause::LocalClose | Cause::Delivered) => State::Lingering,
        }
    }
}

/// The timers of a connection. A connection runs one timer at a time, with two exceptions: the idle timer runs beside
/// the frame timer, and the session timer runs beside all others.
///
/// Only the linger timer closes a connection without asking the socket. When another timer expires, the next run asks
/// the socket first: a write or a read that answers `WouldBlock` is the proof that no byte moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Runs while the connection waits for input. Every byte in either direction restarts it, and so does a completed
    /// job.
    Idle,
    /// Runs while bytes are pending. Every byte that the kernel takes restarts it.
    Write,
    /// Runs from our FIN on. Nothing restarts it.
    Linger,
    /// Runs while a message is incomplete and the rest is up to the peer. The bytes of the message do not restart it,
    /// so a peer that trickles cannot keep a message open for ever. A pause on our side stops it, and afterwards it
    /// starts anew.
    Frame,
    /// Runs from the accept until our FIN. No byte restarts it, so a peer that trickles cannot keep a slot for ever. It
    /// expires a second time a little later: by then the peer must have taken what it is owed.
    Session,
}

impl Timer {
    /// All timers, in the order of the variants.
    pub const ALL: [Self; 5] = [
        Self::Idle,
        Self::Write,
        Self::Linger,
        Self::Frame,
        Self::Session,
    ];
}
