//! Why the client could not do what it was asked to, as values and in one line each.

use std::time::Duration;
use std::{error, fmt, io};

use crate::conn::EncodeError;
use crate::net::ConnectError;

use super::Attempt;

/// Why a connection, or the client as a whole, did not come to its end.
#[derive(Debug)]
pub enum Failure {
    /// The name has no address.
    Unresolved {
        /// `HOST:PORT`
        target: String,
        /// What the system said.
        source: ConnectError,
    },
    /// No address of the name could be connected to.
    Unconnected {
        /// `HOST:PORT`
        target: String,
        /// Each address, and why not.
        attempts: Vec<Attempt>,
    },
    /// The server closed before the greeting was complete.
    NoGreeting {
        /// Bytes of it that came.
        received: u64,
        /// Bytes that were expected.
        expected: u64,
    },
    /// The server closed before everything had come back.
    ClosedEarly {
        /// Bytes that came back.
        received: u64,
        /// Bytes that should have.
        expected: u64,
    },
    /// The connection broke.
    Reset {
        /// Bytes that came back.
        received: u64,
        /// Bytes that should have.
        expected: u64,
        /// What the system said.
        source: io::Error,
    },
    /// What was waited for did not come.
    TimedOut {
        /// What that was.
        awaited: &'static str,
        /// How long it had.
        after: Duration,
        /// Bytes that came of the greeting, if that was waited for, else of all replies.
        received: u64,
        /// Bytes there were to be of it or them.
        expected: u64,
    },
    /// A reply is not what was sent.
    Differs(Difference),
    /// The framing cannot carry the message.
    EncodeError(EncodeError),
    /// Standard input could not be read.
    Input(io::Error),
    /// Standard output could not be written.
    Output(io::Error),
    /// The poll, or a thread beside it, could not be set up or failed.
    System {
        /// What was to be done.
        operation: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Where a reply differs first from what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its number on its connection, from 1. One more than there are: bytes came behind the last.
    pub reply: u64,
    /// The first byte that differs, from 0, header included.
    pub offset: usize,
    /// What was expected from there on, shortened. Nothing: the reply should have ended there.
    pub expected: Vec<u8>,
    /// What came, shortened.
    pub got: Vec<u8>,
}

impl Failure {
    /// Whether it is no more than that nobody reads standard output any longer.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    pub(super) fn polling(source: io::Error) -> Self {
        Self::System {
            operation: "poll",
            source,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved { target, source } => {
                write!(f, "cannot connect to {target}: {source}")
            }
            Self::Unconnected { target, attempts } => explain_attempts(f, target, attempts),
            Self::NoGreeting { received, expected } => write!(
                f,
                "closed early ({received} of {expected} bytes of the greeting)"
            ),
            Self::ClosedEarly { received, expected } => {
                write!(f, "closed early ({received} of {expected} bytes)")
            }
            Self::Reset {
                received,
                expected,
                source,
            } => write!(f, "reset ({received} of {expected} bytes): {source}"),
            Self::TimedOut {
                awaited,
                after,
                received,
                expected,
            } => write!(
                f,
                "timed out: no {awaited} within {after:?} ({received} of {expected} bytes)"
            ),
            Self::Differs(difference) => difference.fmt(f),
            Self::EncodeError(error) => write!(f, "the framing cannot carry the message: {error}"),
            Self::Input(error) => write!(f, "cannot read standard input: {error}"),
            Self::Output(error) => write!(f, "cannot write standard output: {error}"),
            Self::System { operation, source } => write!(f, "{operation}: {source}"),
        }
    }
}

fn explain_attempts(f: &mut fmt::Formatter<'_>, target: &str, attempts: &[Attempt]) -> fmt::Result {
    write!(f, "cannot connect to {target}")?;
    if let [attempt] = attempts
        && attempt.address.to_string() == target
    {
        return write!(f, ": {}", attempt.error);
    }
    for (at, Attempt { address, error }) in attempts.iter().enumerate() {
        let separator = if at == 0 { ": " } else { "; " };
        write!(f, "{separator}{address} {error}")?;
    }
    Ok(())
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            reply,
            offset,
            expected,
            got,
        } = self;
        write!(f, "reply {reply} differs at offset {offset}: expected ")?;
        match expected[..] {
            [] => f.write_str("nothing more")?,
            _ => write_hex(f, expected)?,
        }
        f.write_str(", got ")?;
        write_hex(f, got)
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for (at, byte) in bytes.iter().enumerate() {
        let separator = if at == 0 { "" } else { " " };
        write!(f, "{separator}{byte:02x}")?;
    }
    Ok(())
}

impl error::Error for Failure {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Unresolved { source, .. } => Some(source),
            Self::Unconnected { attempts, .. } => attempts
                .last()
                .map(|attempt| &attempt.error as &(dyn error::Error + 'static)),
            Self::Reset { source, .. } | Self::System { source, .. } => Some(source),
            Self::Input(error) | Self::Output(error) => Some(error),
            Self::EncodeError(error) => Some(error),
            Self::NoGreeting { .. }
            | Self::ClosedEarly { .. }
            | Self::TimedOut { .. }
            | Self::Differs(_) => None,
        }
    }
}
