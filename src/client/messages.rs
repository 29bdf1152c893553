//! The messages for a server, and the summary of their exchange.

use std::time::Duration;
use std::{fmt, io};

use super::Failure;
use crate::conn::{EncodeError, Framing};

/// The messages to send, and how to send them.
#[derive(Clone, Debug)]
pub struct Messages {
    /// The texts, sent one after another. `{i}` stands for the number of the connection, from 1.
    pub texts: Vec<String>,
    /// The number of connections at once.
    pub connections: usize,
    /// How often each connection sends all texts.
    pub rounds: u64,
    /// The framing of the messages. With `nul` they are sent without framing, and a NUL after the last one ends the
    /// session.
    pub framing: Framing,
    /// How long a reply may take, and how long the server may take to close after the last one. `None` disables the limit.
    pub timeout: Option<Duration>,
}

/// A message of one connection.
pub(super) struct EncodedMessage {
    pub text: String,
    /// The text with its framing.
    pub bytes: Vec<u8>,
}

/// The summary of an exchange.
#[derive(Debug, Default)]
pub struct ExchangeSummary {
    /// The number of replies that equal their messages.
    pub equal: u64,
    /// The number of messages to exchange.
    pub all: u64,
    /// The numbers of the connections that failed, from 1, with their failures. The other connections finished, unless
    /// [`output_error`](Self::output_error) ended them early.
    pub failures: Vec<(usize, Failure)>,
    /// The error of the output, if a reply could not be written.
    pub output_error: Option<io::Error>,
}

impl Messages {
    /// Returns the number of messages over all connections.
    pub fn count(&self) -> u64 {
        (self.texts.len() as u64)
            .saturating_mul(self.rounds)
            .saturating_mul(self.connections as u64)
    }

    /// Checks that the framing can carry every message, also on the connection with the longest number.
    ///
    /// # Errors
    ///
    /// Returns the first text that the framing cannot carry, with the reason.
    pub fn check(&self) -> Result<(), (&str, EncodeError)> {
        self.texts.iter().try_for_each(|text| {
            let encoded = self.encode(text, self.connections);
            encoded.map(drop).map_err(|error| (text.as_str(), error))
        })
    }

    /// Returns `text` for connection `number`, as it is printed and with its framing.
    pub(super) fn encode(&self, text: &str, number: usize) -> Result<EncodedMessage, EncodeError> {
        let text = text.replace("{i}", &number.to_string());
        let bytes = self.framing.encode(text.as_bytes())?;
        Ok(EncodedMessage { text, bytes })
    }
}

impl ExchangeSummary {
    /// Returns true if a reply differed from its message.
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
