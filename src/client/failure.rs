//! The failures of the client, each with a message of one line.

use std::net::SocketAddr;
use std::time::Duration;
use std::{error, fmt, io};

use crate::conn::EncodeError;
use crate::net::ConnectError;
use crate::net::outbound::explain_attempts;

/// The reason why a connection, or the client as a whole, failed.
#[derive(Debug)]
pub enum Failure {
    /// The name has no address.
    Unresolved {
        /// `HOST:PORT`
        target: String,
        /// The error of the system.
        source: ConnectError,
    },
    /// No address of the target could be connected to.
    Unconnected {
        /// `HOST:PORT`
        target: String,
        /// Each address with its error.
        attempts: Vec<(SocketAddr, ConnectError)>,
    },
    /// The server closed before the greeting was complete.
    NoGreeting(ByteCount),
    /// The server closed before the echo was complete.
    ClosedEarly(ByteCount),
    /// The connection was reset.
    Reset {
        /// The bytes of all replies.
        bytes: ByteCount,
        /// The error of the system.
        source: io::Error,
    },
    /// The server did not send what was expected within the timeout.
    TimedOut {
        /// What was expected: a greeting, a reply or the end.
        awaited: &'static str,
        /// The timeout.
        after: Duration,
        /// The bytes of the greeting if it is incomplete, else of all replies.
        bytes: ByteCount,
    },
    /// A reply differs from its message.
    Differs(Difference),
    /// The framing cannot carry the message.
    Encode(EncodeError),
    /// Standard input cannot be read.
    Input(io::Error),
    /// Standard output cannot be written.
    Output(io::Error),
    /// The poll failed. The error names the operation.
    Poll(io::Error),
    /// A thread cannot be started.
    Thread(io::Error),
}

/// The number of bytes that were received, and that are expected in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteCount {
    /// The received bytes.
    pub received: u64,
    /// The expected bytes.
    pub expected: u64,
}

/// The first difference between a reply and its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The number of the reply on its connection, from 1. One more than the last reply means unexpected bytes after it.
    pub reply: u64,
    /// The offset of the first wrong byte, from 0, header included.
    pub offset: usize,
    /// The expected bytes from this offset on, shortened. Empty if no further bytes were expected.
    pub expected: Vec<u8>,
    /// The received bytes from this offset on, shortened.
    pub got: Vec<u8>,
}

impl Failure {
    /// Returns true if the failure only means that the reader of standard output is gone.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl ByteCount {
    /// Creates the count of `expected` bytes before the first has arrived.
    pub(super) fn expecting(expected: u64) -> Self {
        let received = 0;
        Self { received, expected }
    }

    /// Returns the number of bytes that are still missing.
    pub(super) fn missing(&self) -> u64 {
        self.expected.saturating_sub(self.received)
    }

    /// Counts those of `n` bytes that are still missing, and returns their number.
    pub(super) fn take(&mut self, n: usize) -> usize {
        let taken = usize::try_from(self.missing()).map_or(n, |missing| missing.min(n));
        self.received += taken as u64;
        taken
    }
}

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.received, self.expected)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved { target, source } => {
                write!(f, "cannot connect to {target}: {source}")
            }
            Self::Unconnected { target, attempts } => {
                write!(
                    f,
                    "cannot connect to {target}: {}",
                    explain_attempts(attempts, target)
                )
            }
            Self::NoGreeting(bytes) => write!(f, "closed early ({bytes} of the greeting)"),
            Self::ClosedEarly(bytes) => write!(f, "closed early ({bytes})"),
            Self::Reset { bytes, source } => write!(f, "reset ({bytes}): {source}"),
            Self::TimedOut {
                awaited,
                after,
                bytes,
            } => write!(f, "timed out: no {awaited} within {after:?} ({bytes})"),
            Self::Differs(difference) => difference.fmt(f),
            Self::Encode(error) => write!(f, "the framing cannot carry the message: {error}"),
            Self::Input(error) => write!(f, "cannot read standard input: {error}"),
            Self::Output(error) => write!(f, "cannot write standard output: {error}"),
            Self::Poll(error) => error.fmt(f),
            Self::Thread(error) => {
                write!(f, "cannot start a thread for a standard stream: {error}")
            }
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |bytes| join(bytes, " ", |byte| format!("{byte:02x}"));
        let expected = match self.expected[..] {
            [] => "nothing more".into(),
            _ => hex(&self.expected),
        };
        let (reply, offset, got) = (self.reply, self.offset, hex(&self.got));
        write!(
            f,
            "reply {reply} differs at offset {offset}: expected {expected}, got {got}"
        )
    }
}

/// Joins the texts of `items`.
fn join<T>(items: &[T], separator: &str, text: impl Fn(&T) -> String) -> String {
    let texts: Vec<String> = items.iter().map(text).collect();
    texts.join(separator)
}

/// The message contains the error of the system, so there is no `source` that would repeat it.
impl error::Error for Failure {}
