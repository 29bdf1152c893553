//! What one connection sends and expects, without a socket and without a clock.
//!
//! A conversation first discards the greeting. Then it sends one message at a time and waits for the echo. After the last
//! message it sends a farewell, if the framing has one.
//!
//! A reply is compared byte by byte as it arrives, framing included. A correct reply has the framing of its message, so a
//! reply never needs to be decoded.

use super::messages::EncodedMessage;
use super::{ByteCount, Difference, Failure, Messages};
use crate::conn::{EncodeError, Framing};

/// The most bytes that a [`Difference`] shows of each side.
const SHOWN_BYTES: usize = 8;

/// The state of one connection's exchange.
pub(super) struct Conversation {
    messages: Vec<EncodedMessage>,
    /// The number of complete replies.
    replies: u64,
    /// The number of messages to send.
    all: u64,
    /// The bytes of the greeting.
    greeting: ByteCount,
    /// The bytes of all replies.
    pub echo: ByteCount,
    /// The sent bytes of the current message, or of the farewell.
    sent: usize,
    /// The received bytes of the current reply.
    matched: usize,
    farewell: &'static [u8],
}

/// What bytes from the server completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// Nothing.
    Part,
    /// The greeting.
    Greeting,
    /// A reply with this text.
    Reply(String),
}

impl Conversation {
    /// Creates the conversation of connection `number`, which starts with `greeting` bytes from the server.
    pub(super) fn new(
        messages: &Messages,
        number: usize,
        greeting: usize,
    ) -> Result<Self, EncodeError> {
        let texts = messages.texts.iter();
        let encoded: Vec<_> = texts
            .map(|text| messages.encode(text, number))
            .collect::<Result<_, _>>()?;
        let lengths = encoded.iter().map(|message| message.bytes.len());
        let round = lengths.sum::<usize>() as u64;
        Ok(Self {
            all: encoded.len() as u64 * messages.rounds,
            messages: encoded,
            replies: 0,
            greeting: ByteCount::expecting(greeting as u64),
            echo: ByteCount::expecting(round.saturating_mul(messages.rounds)),
            sent: 0,
            matched: 0,
            farewell: if messages.framing == Framing::Nul {
                b"\0"
            } else {
                b""
            },
        })
    }

    /// Returns the bytes to send now.
    pub(super) fn outgoing(&self) -> &[u8] {
        &self.current()[self.sent..]
    }

    /// Records that the first `n` bytes of [`outgoing`](Self::outgoing) were sent.
    pub(super) fn on_sent(&mut self, n: usize) {
        self.sent += n;
    }

    /// Returns true if everything is sent and answered, so that our FIN comes next.
    pub(super) fn wants_fin(&self) -> bool {
        self.is_complete() && self.outgoing().is_empty()
    }

    /// Compares bytes from the server with what is expected.
    pub(super) fn on_bytes(&mut self, bytes: &[u8]) -> Result<Received, Difference> {
        let greeting = self.greeting.take(bytes.len());
        self.compare(&bytes[greeting..])?;
        Ok(if self.completes_reply() {
            Received::Reply(self.next_message())
        } else if greeting > 0 && self.greeting.missing() == 0 {
            Received::Greeting
        } else {
            Received::Part
        })
    }

    /// Handles the FIN of the server. Returns an error if the server closed too early.
    pub(super) fn on_end(&self) -> Result<(), Failure> {
        match self.greeting.missing() {
            0 if self.is_complete() => Ok(()),
            0 => Err(Failure::ClosedEarly(self.echo)),
            _ => Err(Failure::NoGreeting(self.greeting)),
        }
    }

    /// Returns what the conversation waits for, in a word.
    pub(super) fn awaited(&self) -> &'static str {
        match self.greeting.missing() {
            0 if self.is_complete() => "end",
            0 => "reply",
            _ => "greeting",
        }
    }

    /// Returns the bytes of the greeting until it is complete, then of all replies.
    pub(super) fn progress(&self) -> ByteCount {
        match self.greeting.missing() {
            0 => self.echo,
            _ => self.greeting,
        }
    }

    /// Returns true if the greeting and every reply are complete.
    fn is_complete(&self) -> bool {
        self.greeting.missing() == 0 && self.replies == self.all
    }

    fn current_index(&self) -> usize {
        (self.replies % self.messages.len().max(1) as u64) as usize
    }

    /// Returns the bytes of the current message, or the farewell after the last reply.
    fn current(&self) -> &[u8] {
        match self.greeting.missing() {
            0 if self.is_complete() => self.farewell,
            0 => &self.messages[self.current_index()].bytes,
            _ => &[],
        }
    }

    /// Returns the bytes that may arrive now: the rest of the reply, as far as its message was sent.
    fn outstanding(&self) -> &[u8] {
        match self.is_complete() {
            true => &[],
            false => &self.current()[self.matched..self.sent],
        }
    }

    fn compare(&mut self, bytes: &[u8]) -> Result<(), Difference> {
        let outstanding = self.outstanding();
        let pairs = outstanding.iter().zip(bytes);
        let equal = pairs.take_while(|(expected, got)| expected == got).count();
        if equal < bytes.len() {
            return Err(Difference {
                reply: self.replies + 1,
                offset: self.matched + equal,
                expected: shown(&outstanding[equal..]),
                got: shown(&bytes[equal..]),
            });
        }
        self.matched += equal;
        self.echo.received += equal as u64;
        Ok(())
    }

    fn completes_reply(&self) -> bool {
        !self.is_complete() && self.matched > 0 && self.matched == self.current().len()
    }

    /// Counts the current reply and returns its text.
    fn next_message(&mut self) -> String {
        let text = self.messages[self.current_index()].text.clone();
        self.replies += 1;
        (self.sent, self.matched) = (0, 0);
        text
    }
}

fn shown(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(SHOWN_BYTES)].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(
        texts: &[&str],
        rounds: u64,
        framing: Framing,
        greeting: usize,
    ) -> Conversation {
        let messages = Messages {
            texts: texts.iter().copied().map(String::from).collect(),
            connections: 9,
            rounds,
            framing,
            timeout: None,
        };
        Conversation::new(&messages, 7, greeting).unwrap()
    }

    /// Sends everything that is to be sent now, and returns it.
    fn send_all(conversation: &mut Conversation) -> Vec<u8> {
        let bytes = conversation.outgoing().to_vec();
        conversation.on_sent(bytes.len());
        bytes
    }

    fn reply(text: &str) -> Result<Received, Difference> {
        Ok(Received::Reply(text.into()))
    }

    #[test]
    fn a_message_is_sent_after_the_reply_to_the_previous_one() {
        let mut conversation = conversation(&["a{i}", "b"], 2, Framing::Line, 0);
        for text in ["a7", "b", "a7", "b"] {
            let bytes = format!("{text}\n");
            assert_eq!(conversation.awaited(), "reply");
            assert!(!conversation.wants_fin());
            assert_eq!(send_all(&mut conversation), bytes.as_bytes());
            assert!(conversation.outgoing().is_empty());
            assert_eq!(conversation.on_bytes(bytes.as_bytes()), reply(text));
        }
        assert!(conversation.wants_fin());
        assert_eq!(conversation.awaited(), "end");
        assert_eq!(conversation.progress().to_string(), "10 of 10 bytes");
        conversation.on_end().unwrap();
    }

    #[test]
    fn the_greeting_is_discarded_in_parts_too() {
        let mut conversation = conversation(&["hello"], 1, Framing::Raw, 4);
        assert!(conversation.outgoing().is_empty());
        assert_eq!(conversation.on_bytes(b"hel"), Ok(Received::Part));
        assert_eq!(conversation.awaited(), "greeting");
        assert!(matches!(
            conversation.on_end(),
            Err(Failure::NoGreeting(ByteCount {
                received: 3,
                expected: 4
            }))
        ));
        assert_eq!(conversation.on_bytes(b"l"), Ok(Received::Greeting));
        send_all(&mut conversation);
        assert_eq!(conversation.on_bytes(b"he"), Ok(Received::Part));
        assert!(matches!(
            conversation.on_end(),
            Err(Failure::ClosedEarly(ByteCount {
                received: 2,
                expected: 5
            }))
        ));
        assert_eq!(conversation.on_bytes(b"llo"), reply("hello"));
    }

    #[test]
    fn a_difference_names_the_first_wrong_byte() {
        let difference = |reply, offset, expected: &[u8], got: &[u8]| {
            Err(Difference {
                reply,
                offset,
                expected: expected.into(),
                got: got.into(),
            })
        };
        let mut other = conversation(&["hello, world"], 1, Framing::Raw, 0);
        send_all(&mut other);
        assert_eq!(other.on_bytes(b"he"), Ok(Received::Part));
        let expected = difference(1, 3, b"lo, worl", b"LO");
        assert_eq!(other.on_bytes(b"lLO"), expected);

        let mut longer = conversation(&["hello"], 2, Framing::Raw, 0);
        send_all(&mut longer);
        assert_eq!(longer.on_bytes(b"hello!"), difference(1, 5, b"", b"!"));

        let mut before_its_message = conversation(&["hello"], 1, Framing::Raw, 0);
        assert_eq!(
            before_its_message.on_bytes(b"hello"),
            difference(1, 0, b"", b"hello")
        );

        let mut after_the_last = conversation(&["a"], 1, Framing::Raw, 0);
        send_all(&mut after_the_last);
        assert_eq!(after_the_last.on_bytes(b"a"), reply("a"));
        assert_eq!(after_the_last.on_bytes(b"a"), difference(2, 0, b"", b"a"));
    }

    #[test]
    fn with_nul_framing_a_nul_ends_the_session() {
        let mut conversation = conversation(&["a"], 1, Framing::Nul, 0);
        assert_eq!(send_all(&mut conversation), b"a");
        assert_eq!(conversation.on_bytes(b"a"), reply("a"));
        assert!(!conversation.wants_fin());
        assert_eq!(send_all(&mut conversation), b"\0");
        assert!(conversation.wants_fin());
        assert!(conversation.on_bytes(b"\0").is_err());
    }
}
