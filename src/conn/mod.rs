//! The state machine of a connection, without a socket, a clock or an operating system.
//!
//! ```text
//!                         peer finished             delivered
//!            +--------+ ----------------> +-----------+ --------> +--------+
//!  accept -> |  Open  |                   | Finishing |           | Closed |
//!            +--------+                   +-----------+           +--------+
//!                |                              ^                   ^    ^
//!                | we end                       | peer finished     |    |
//!                v                              |                   |    |
//!            +-----------+ ---------------------+                   |    |
//!            | Lingering | --------------- linger over -------------+    |
//!            +-----------+                                               |
//!                 any state: reset, abort ------------------------------->
//! ```
//!
//! A state is what cannot be undone. Everything else (blocked, paused, whether the budget ran out) is derived from
//! what is pending and what is believed, never stored.
//!
//! - `Open`: bytes come in and go back.
//! - `Finishing`: the peer has finished sending; deliver what is pending, then close.
//! - `Lingering`: we end the session. Input is discarded from here on; what is pending is delivered first, then our
//!   FIN goes out, then the peer's FIN or the linger timer ends it. Closing at once could meet unread input, which
//!   turns the close into a reset and eats the peer's last echo.
//! - `Closed`: the socket is to be dropped, with a reset if bytes are owed.
//!
//! # Every state, every event
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
//! A framing that has messages echoes whole ones only, in their order:
//!
//! ```text
//!                         whole, and for the loop
//!   socket -> scratch ----------------------------------------> echo -> socket
//!                |                                            ^
//!                | the begin of one, or for a worker          | pending < high water
//!                v                                            |
//!              inbox --- poll_job --> worker --- handle_completion
//! ```
//!
//! Nothing is read while a whole message waits, so the inbox holds less than one read and one message, and a
//! connection has one job in flight at most: no message overtakes another. A whole message is owed like a pending byte:
//! it is delivered before our FIN, and a close that drops it is a reset. An unfinished one is owed nothing.
//!
//! # Worked traces
//!
//! Each shows what came in, every call on the socket with its answer, every change of state, and what the connection
//! then asks for. Tests run them and compare every word. The scratch buffer has 16 bytes, the high-water mark is 8,
//! and a short read drains the socket, as it does on Linux.
//!
//! ## An echo
//!
//! One read and one write an echo: the short read proves the socket empty, and nothing is armed or disarmed.
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
//! The second read is only made because 6 pending bytes are under the mark; at 22 reading pauses, with the belief kept.
//! The expired timer finds one byte of room of which no event told, and starts afresh.
//!
//! ```text
//! 1 s: event readable
//!     read(16) = 16
//!     write(16) = 10
//!     write(6) = WouldBlock
//!     read(16) = 16
//! -> Wait | WRITABLE armed | Write timer since 1 s
//! 31 s: the write timer runs out
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
//! The event tells of the FIN, so the short read is not the last; what is pending keeps the connection alive.
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

mod connection;
mod drive;
mod encode;
pub mod framing;
mod inbox;
mod messages;
mod readiness;
mod write_buffer;

#[cfg(test)]
pub(crate) mod script;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;

use std::{fmt, io};

pub use connection::{Connection, Progress, Settings};
pub use encode::EncodeError;
#[cfg(feature = "bench")]
pub(crate) use encode::Overhead;
pub use framing::{BadFrame, Framing};
pub(crate) use inbox::INBOX_OVERHEAD;
pub use inbox::Offload;
pub use messages::WorkerPanicked;
#[cfg(any(feature = "client", feature = "bench"))]
pub(crate) use readiness::Readiness;
pub use readiness::{Ready, ShortRead};
pub use write_buffer::{BufferPool, Buffers, POOLED_BUFFERS, WriteBuffer};

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Bytes come in and go back.
    Open,
    /// The peer has finished sending; what is pending is delivered, then the socket is closed.
    Finishing,
    /// We have ended the session; what is pending is delivered, then our FIN, then we wait for the peer's.
    Lingering,
    /// Over. The socket is to be dropped.
    Closed,
}

/// What can move a connection from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A read returned 0.
    PeerFin,
    /// We end the session and owe nothing new: idle timeout, stop.
    LocalClose,
    /// The kernel has taken everything that was owed.
    Delivered,
    /// The peer did not answer our FIN in time.
    LingerExpired,
    /// The socket is dead.
    Reset,
    /// We give up although bytes are owed.
    Abort,
}

impl State {
    /// The transition table.
    pub fn next(self, event: Event) -> State {
        match (self, event) {
            (State::Closed, _) => State::Closed,
            (_, Event::Reset | Event::Abort) => State::Closed,

            (State::Open, Event::PeerFin) => State::Finishing,
            (State::Open, Event::LocalClose) => State::Lingering,
            // An open connection is always delivering, and has sent no FIN that could be answered.
            (State::Open, Event::Delivered | Event::LingerExpired) => State::Open,

            (State::Finishing, Event::Delivered) => State::Closed,
            // It ends as soon as it can already: the peer waits for nothing but what is pending.
            (State::Finishing, Event::PeerFin | Event::LocalClose | Event::LingerExpired) => {
                State::Finishing
            }

            // Both sides have finished; what is still pending keeps it from closing.
            (State::Lingering, Event::PeerFin) => State::Finishing,
            (State::Lingering, Event::LingerExpired) => State::Closed,
            // Delivered: the FIN comes next, and the wait for the peer's.
            (State::Lingering, Event::LocalClose | Event::Delivered) => State::Lingering,
        }
    }
}

impl Event {
    /// A few words for the log.
    pub fn explain(self) -> &'static str {
        match self {
            Event::PeerFin => "peer finished sending",
            Event::LocalClose => "we end the session",
            Event::Delivered => "everything is delivered",
            Event::LingerExpired => "the wait for the peer's FIN is over",
            Event::Reset => "the socket is dead",
            Event::Abort => "we give up",
        }
    }
}

/// Why a connection ended. Exactly one a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer finished sending, and got all of its echo.
    PeerClosed,
    /// The peer reset the connection, or the network did.
    Reset,
    /// A read or write failed for a reason of ours (out of buffers, for instance).
    Failed(io::ErrorKind),
    /// Nothing came or went for the idle timeout.
    IdleTimeout,
    /// Bytes were pending and the peer took none for the write timeout.
    WriteTimeout,
    /// The server stopped, and the peer got all that it was owed.
    Stopped,
    /// The server stopped, and the peer did not take what it was owed in time.
    DrainTimeout,
    /// The first NUL of a `nul` session came.
    NulReceived,
    /// What came is no message, or a longer one than is allowed.
    BadFrame(BadFrame),
    /// The peer finished within a message, which is not echoed.
    Truncated,
    /// A message began and did not end for the frame timeout.
    FrameTimeout,
    /// A worker panicked on one of its messages.
    WorkerPanicked,
}

impl CloseReason {
    /// How many there are.
    pub const COUNT: usize = 12;

    /// One of each, in the order of [`index`](Self::index).
    pub const ALL: [Self; Self::COUNT] = [
        Self::PeerClosed,
        Self::Reset,
        Self::Failed(io::ErrorKind::Other),
        Self::IdleTimeout,
        Self::WriteTimeout,
        Self::Stopped,
        Self::DrainTimeout,
        Self::NulReceived,
        Self::BadFrame(BadFrame::TooShort {
            length: 0,
            header: 1,
        }),
        Self::Truncated,
        Self::FrameTimeout,
        Self::WorkerPanicked,
    ];

    /// Its place in an array of counters.
    pub fn index(self) -> usize {
        match self {
            Self::PeerClosed => 0,
            Self::Reset => 1,
            Self::Failed(_) => 2,
            Self::IdleTimeout => 3,
            Self::WriteTimeout => 4,
            Self::Stopped => 5,
            Self::DrainTimeout => 6,
            Self::NulReceived => 7,
            Self::BadFrame(_) => 8,
            Self::Truncated => 9,
            Self::FrameTimeout => 10,
            Self::WorkerPanicked => 11,
        }
    }

    /// A few words for the log.
    pub fn explain(self) -> &'static str {
        match self {
            Self::PeerClosed => "peer finished",
            Self::Reset => "reset",
            Self::Failed(_) => "failed",
            Self::IdleTimeout => "idle timeout",
            Self::WriteTimeout => "write timeout",
            Self::Stopped => "stopped",
            Self::DrainTimeout => "drain timeout",
            Self::NulReceived => "nul received",
            Self::BadFrame(_) => "bad frame",
            Self::Truncated => "must_abort",
            Self::FrameTimeout => "frame timeout",
            Self::WorkerPanicked => "worker panicked",
        }
    }
}

impl fmt::Display for CloseReason {
    /// As [`explain`](Self::explain), with what is known beside it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(kind) => write!(f, "failed ({kind})"),
            Self::BadFrame(bad) => write!(f, "bad frame ({bad})"),
            reason => f.write_str(reason.explain()),
        }
    }
}

/// The timers of a connection. At most one runs at a time, but for the last.
///
/// Time alone ends nothing but the linger. Where one of the others runs out, the socket is asked first: a write or a read
/// that answers `WouldBlock` is the proof that nothing went or came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Nothing came or went; restarted by any byte in either direction.
    Idle,
    /// Bytes are pending; restarted by each byte that the kernel takes.
    Write,
    /// Our FIN went out; never extended.
    Linger,
    /// A message has begun, and not ended for no reason of ours: the frame timer runs, which its bytes do not restart,
    /// and the idle timer beside it.
    Frame,
}
