//! What to say to a server, and what came of it.

use std::time::Duration;
use std::{fmt, io};

use super::Failure;
use crate::conn::{EncodeError, Framing};

/// What to say, and how.
#[derive(Clone, Debug)]
pub struct Messages {
    /// One after another; `{i}` stands for the number of the connection, from 1.
    pub texts: Vec<String>,
    /// Connections at once.
    pub connections: usize,
    /// How often each says all of the texts.
    pub rounds: u64,
    /// How messages are cut. With `nul` they go as they are, and a NUL behind the last one ends the session.
    pub framing: Framing,
    /// How long a reply may take, and the server's end behind the last; none: for ever.
    pub timeout: Option<Duration>,
}

/// What came of it.
#[derive(Debug)]
pub struct ExchangeSummary {
    /// Replies that equal their messages.
    pub equal: u64,
    /// Messages there were to be.
    pub all: u64,
    /// Connections that failed, by their numbers from 1, and why. The others came to their end, unless an error of the output
    /// cut them short.
    pub failures: Vec<(usize, Failure)>,
    /// Why a line could not be written.
    pub output_error: Option<io::Error>,
}

impl Messages {
    /// Messages, over all connections.
    pub fn count(&self) -> u64 {
        (self.texts.len() as u64)
            .saturating_mul(self.rounds)
            .saturating_mul(self.connections as u64)
    }

    /// Whether the framing can carry them, on the connection with the longest number. The error holds the first that it
    /// cannot.
    ///
    /// # Errors
    ///
    /// When it cannot.
    pub fn check(&self) -> Result<(), (&str, EncodeError)> {
        let number = self.connections.to_string();
        for text in &self.texts {
            let longest = text.replace("{i}", &number);
            if let Err(error) = self.framing.encode(longest.as_bytes()) {
                return Err((text, error));
            }
        }
        Ok(())
    }
}

impl ExchangeSummary {
    /// Whether a reply differed.
    pub fn differs(&self) -> bool {
        let mut failures = self.failures.iter();
        failures.any(|(_, failure)| matches!(failure, Failure::Differs(_)))
    }
}

impl fmt::Display for ExchangeSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} equal", self.equal, self.all)
    }
}
