//! Errors that end a run without results, each worded in one line.

use std::{error, fmt, io};

/// The reason why a run has no results.
#[derive(Debug)]
pub enum RunError {
    /// A signal ended the run before there were results.
    Interrupted {
        /// The number of the signal.
        signal: i32,
    },
    /// A second signal ended the run, and the results are dropped.
    InterruptedTwice {
        /// The number of the second signal.
        signal: i32,
    },
    /// Any other reason, in words for the user.
    Failed(String),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupted { .. } => "interrupted before there were results",
            Self::InterruptedTwice { .. } => "interrupted a second time: the results are dropped",
            Self::Failed(reason) => reason,
        })
    }
}

impl error::Error for RunError {}

/// The system refuses a resource that every run needs, for example a thread or a poll.
impl From<io::Error> for RunError {
    fn from(error: io::Error) -> Self {
        Self::Failed(format!("cannot run: {error}"))
    }
}
