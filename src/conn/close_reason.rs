//! Why a connection ended.
//!
//! A failure of a peer is a value, and never an error that leaves the loop: no peer can end the server.

use std::io::{self, ErrorKind};
use std::{fmt, num::NonZeroI32};

use super::framing::BadFrame;

/// A system call on a socket, as an error names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketCall {
    /// A read of input.
    Read,
    /// A write of output.
    Write,
    /// A change of the registration with the poll.
    Register,
    /// The shutdown that sends a FIN.
    Shutdown,
    /// The error was reported by an event, or by another socket.
    Unknown,
}

/// The error of a system call on a socket. Many errors, such as ENOBUFS and EIO, have a number and a text, and no
/// kind of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketError {
    call: SocketCall,
    kind: ErrorKind,
    /// The number of the error, if the system has reported it.
    number: Option<NonZeroI32>,
}

impl SocketError {
    /// An example for [`CloseReason::ALL`].
    const EXAMPLE: Self = Self {
        call: SocketCall::Unknown,
        kind: ErrorKind::Other,
        number: None,
    };

    /// Creates the error that `call` has returned.
    #[cold]
    pub fn new(call: SocketCall, error: &io::Error) -> Self {
        Self {
            call,
            kind: error.kind(),
            number: error.raw_os_error().and_then(NonZeroI32::new),
        }
    }
}

impl From<ErrorKind> for SocketError {
    fn from(kind: ErrorKind) -> Self {
        Self {
            kind,
            ..Self::EXAMPLE
        }
    }
}

impl fmt::Display for SocketError {
    /// Writes the call and the text of the system.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.call {
            SocketCall::Read => "read: ",
            SocketCall::Write => "write: ",
            SocketCall::Register => "registration with the poll: ",
            SocketCall::Shutdown => "shutdown: ",
            SocketCall::Unknown => "",
        })?;
        match self.number {
            Some(number) => io::Error::from_raw_os_error(number.get()).fmt(f),
            None => self.kind.fmt(f),
        }
    }
}

/// Why a connection ended. A connection has exactly one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer finished sending and received its whole echo.
    PeerClosed,
    /// The peer or the network reset the connection.
    Reset,
    /// The kernel gave the peer up: it answered no keepalive probe, or acknowledged no byte for too long.
    NoAnswer,
    /// A read or a write failed for a reason on our side, for example because the system was out of buffers.
    Failed(SocketError),
    /// No byte moved in either direction for the idle timeout.
    IdleTimeout,
    /// Bytes were pending, and the socket took no byte for the write timeout.
    WriteTimeout,
    /// The server stopped, and everything owed to the peer was delivered.
    Stopped,
    /// The server stopped, and the peer did not take everything owed to it in time.
    DrainTimeout,
    /// A session with the `nul` framing received its first NUL.
    NulReceived,
    /// The input is no message, or the message is longer than the limit.
    BadFrame(BadFrame),
    /// The peer finished sending within a message. That message is not echoed.
    Truncated,
    /// A message stayed incomplete for the frame timeout.
    FrameTimeout,
    /// The connection reached the age of the session timeout.
    SessionTimeout,
    /// A worker panicked on a message of this connection.
    WorkerPanicked,
    /// The system refused the memory for bytes of this connection.
    NoMemory,
}

impl CloseReason {
    /// The number of reasons.
    pub const COUNT: usize = 15;

    /// All reasons, in the order of [`index`](Self::index). Reasons that carry details stand here with examples.
    pub const ALL: [Self; Self::COUNT] = [
        Self::PeerClosed,
        Self::Reset,
        Self::NoAnswer,
        Self::Failed(SocketError::EXAMPLE),
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
        Self::SessionTimeout,
        Self::WorkerPanicked,
        Self::NoMemory,
    ];

    /// Returns the position of this reason in [`ALL`](Self::ALL), for arrays of counters.
    pub fn index(self) -> usize {
        self.index_and_words().0
    }

    /// Returns a few words for the log.
    pub fn explain(self) -> &'static str {
        self.index_and_words().1
    }

    fn index_and_words(self) -> (usize, &'static str) {
        match self {
            Self::PeerClosed => (0, "peer finished"),
            Self::Reset => (1, "reset"),
            Self::NoAnswer => (2, "no answer"),
            Self::Failed(_) => (3, "failed"),
            Self::IdleTimeout => (4, "idle timeout"),
            Self::WriteTimeout => (5, "write timeout"),
            Self::Stopped => (6, "stopped"),
            Self::DrainTimeout => (7, "drain timeout"),
            Self::NulReceived => (8, "nul received"),
            Self::BadFrame(_) => (9, "bad frame"),
            Self::Truncated => (10, "truncated"),
            Self::FrameTimeout => (11, "frame timeout"),
            Self::SessionTimeout => (12, "session timeout"),
            Self::WorkerPanicked => (13, "worker panicked"),
            Self::NoMemory => (14, "no memory"),
        }
    }
}

impl fmt::Display for CloseReason {
    /// Writes the words of [`explain`](Self::explain), and the details if the reason has any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "failed ({error})"),
            Self::BadFrame(bad) => write!(f, "bad frame ({bad})"),
            reason => f.write_str(reason.explain()),
        }
    }
}

impl From<SocketError> for CloseReason {
    /// Tells a dead connection, which has many names, from a failure on our side. mio's poll(2) back end reports
    /// `NotFound` for a socket that it has already dropped because the connection is dead.
    ///
    /// A kernel that gives a peer up reports `TimedOut`, or in its place the last ICMP error about the peer, such as
    /// `HostUnreachable` (tcp(7)).
    fn from(error: SocketError) -> Self {
        match error.kind {
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
            | ErrorKind::NotFound => Self::Reset,
            ErrorKind::TimedOut
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown => Self::NoAnswer,
            _ => Self::Failed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_words_of_its_own() {
        for (at, reason) in CloseReason::ALL.iter().enumerate() {
            let is_same = |other: &CloseReason| other.explain() == reason.explain();
            assert_eq!(CloseReason::ALL.iter().position(is_same), Some(at));
        }
        assert_eq!(CloseReason::Reset.explain(), "reset");
    }

    #[test]
    fn fault_m3_an_error_without_a_kind_is_named_with_its_call_and_the_text_of_the_system() {
        // On Linux, ENOBUFS and EIO.
        for number in [105, 5] {
            let error = io::Error::from_raw_os_error(number);
            let reason = CloseReason::from(SocketError::new(SocketCall::Write, &error));
            assert_eq!(reason.to_string(), format!("failed (write: {error})"));
        }
        let reason = CloseReason::from(SocketError::from(ErrorKind::WriteZero));
        assert_eq!(reason.to_string(), "failed (write zero)");
    }
}
