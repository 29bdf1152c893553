//! What one connection says and expects: no socket, no clock.
//!
//! A greeting is discarded; then a message goes out, its echo comes back, the next one follows; behind the last a
//! farewell. A reply is compared as it comes, on the wire: what equals the message with its header or terminator is
//! framed like it, so there is nothing to take apart.

use super::{Difference, Failure, Messages};
use crate::conn::{EncodeError, Framing};

/// Bytes that a report shows of each side.
const SHOWN: usize = 8;

/// One connection's part.
pub(super) struct Conversation {
    lines: Vec<Line>,
    /// Replies that came, and all there are to be.
    replies: u64,
    all: u64,
    /// Bytes of the greeting, those to come and all.
    greeting_left: usize,
    greeting: usize,
    /// Bytes of the message under way, or of the farewell, that went out.
    sent: usize,
    /// Bytes of the reply under way that came.
    matched: usize,
    /// Bytes of all replies.
    received: u64,
    farewell: &'static [u8],
}

struct Line {
    text: String,
    wire: Vec<u8>,
}

/// What bytes of the server have brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// Not the end of anything.
    Part,
    /// The end of the greeting.
    Greeting,
    /// The end of a reply, which says this.
    Reply(String),
}

impl Conversation {
    /// The part of connection `number`.
    pub(super) fn new(
        messages: &Messages,
        number: usize,
        greeting: usize,
    ) -> Result<Self, EncodeError> {
        let lines = messages
            .texts
            .iter()
            .map(|text| Line::new(text, messages.framing, number))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            all: lines.len() as u64 * messages.rounds,
            lines,
            replies: 0,
            greeting_left: greeting,
            greeting,
            sent: 0,
            matched: 0,
            received: 0,
            farewell: match messages.framing {
                Framing::Nul => b"\0",
                _ => b"",
            },
        })
    }

    /// What is to be sent now.
    pub(super) fn outgoing(&self) -> &[u8] {
        &self.wire()[self.sent..]
    }

    /// So many bytes of [`outgoing`](Self::outgoing) went out.
    pub(super) fn note_sent(&mut self, n: usize) {
        self.sent += n;
    }

    /// Whether our FIN comes next.
    pub(super) fn wants_fin(&self) -> bool {
        self.is_over() && self.outgoing().is_empty()
    }

    /// Takes what came from the server.
    pub(super) fn on_bytes(&mut self, bytes: &[u8]) -> Result<Received, Difference> {
        let greeting = self.greeting_left.min(bytes.len());
        self.greeting_left -= greeting;
        self.compare(&bytes[greeting..])?;
        if self.completes_reply() {
            return Ok(Received::Reply(self.next_message()));
        }
        match greeting {
            0 => Ok(Received::Part),
            _ if self.greeting_left > 0 => Ok(Received::Part),
            _ => Ok(Received::Greeting),
        }
    }

    /// The server has finished.
    pub(super) fn on_end(&self) -> Result<(), Failure> {
        let (received, expected) = self.progress();
        if self.greeting_left > 0 {
            return Err(Failure::NoGreeting { received, expected });
        }
        if self.is_over() {
            return Ok(());
        }
        Err(Failure::ClosedEarly { received, expected })
    }

    /// What it waits for, in a word.
    pub(super) fn awaits(&self) -> &'static str {
        match self.greeting_left {
            0 if self.is_over() => "end",
            0 => "reply",
            _ => "greeting",
        }
    }

    /// Bytes that came of the greeting while it waits for that, else of all replies; and how many there are to be.
    pub(super) fn progress(&self) -> (u64, u64) {
        match self.greeting_left {
            0 => (self.received, self.expected()),
            left => ((self.greeting - left) as u64, self.greeting as u64),
        }
    }

    /// Bytes that came back.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Bytes that are to come back, in all.
    pub(super) fn expected(&self) -> u64 {
        let round: u64 = self.lines.iter().map(|line| line.wire.len() as u64).sum();
        round * (self.all / self.lines.len().max(1) as u64)
    }

    fn is_over(&self) -> bool {
        self.greeting_left == 0 && self.replies == self.all
    }

    fn line(&self) -> usize {
        (self.replies % self.lines.len().max(1) as u64) as usize
    }

    fn wire(&self) -> &[u8] {
        match self.greeting_left {
            0 if self.is_over() => self.farewell,
            0 => &self.lines[self.line()].wire,
            _ => &[],
        }
    }

    /// What may come: the rest of the reply, as far as its message has gone out.
    fn awaited(&self) -> &[u8] {
        match self.is_over() {
            true => &[],
            false => &self.wire()[self.matched..self.sent],
        }
    }

    fn compare(&mut self, bytes: &[u8]) -> Result<(), Difference> {
        let awaited = self.awaited();
        let pairs = awaited.iter().zip(bytes);
        let equal = pairs.take_while(|(awaited, got)| awaited == got).count();
        if equal < bytes.len() {
            return Err(Difference {
                reply: self.replies + 1,
                offset: self.matched + equal,
                expected: head(&awaited[equal..]),
                got: head(&bytes[equal..]),
            });
        }
        self.matched += equal;
        self.received += equal as u64;
        Ok(())
    }

    fn completes_reply(&self) -> bool {
        !self.is_over() && self.matched > 0 && self.matched == self.wire().len()
    }

    fn next_message(&mut self) -> String {
        let text = self.lines[self.line()].text.clone();
        self.replies += 1;
        (self.sent, self.matched) = (0, 0);
        text
    }
}

impl Line {
    fn new(template: &str, framing: Framing, number: usize) -> Result<Self, EncodeError> {
        let text = template.replace("{i}", &number.to_string());
        let wire = framing.encode(text.as_bytes())?;
        Ok(Self { text, wire })
    }
}

fn head(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(SHOWN)].to_vec()
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

    /// Sends all it wants to and returns that.
    fn sent(conversation: &mut Conversation) -> Vec<u8> {
        let bytes = conversation.outgoing().to_vec();
        conversation.note_sent(bytes.len());
        bytes
    }

    fn reply(text: &str) -> Result<Received, Difference> {
        Ok(Received::Reply(text.into()))
    }

    #[test]
    fn a_message_waits_for_the_reply_to_the_one_before() {
        let mut conversation = conversation(&["a{i}", "b"], 2, Framing::Line, 0);
        for text in ["a7", "b", "a7", "b"] {
            let wire = format!("{text}\n");
            assert_eq!(conversation.awaits(), "reply");
            assert!(!conversation.wants_fin());
            assert_eq!(sent(&mut conversation), wire.as_bytes());
            assert!(conversation.outgoing().is_empty());
            assert_eq!(conversation.on_bytes(wire.as_bytes()), reply(text));
        }
        assert!(conversation.wants_fin());
        assert_eq!(conversation.awaits(), "end");
        assert_eq!((conversation.received(), conversation.expected()), (10, 10));
        conversation.on_end().unwrap();
    }

    #[test]
    fn a_greeting_comes_first_however_it_is_cut() {
        let mut conversation = conversation(&["hello"], 1, Framing::Raw, 4);
        assert!(conversation.outgoing().is_empty());
        assert_eq!(conversation.on_bytes(b"hel"), Ok(Received::Part));
        assert_eq!(conversation.awaits(), "greeting");
        assert!(matches!(
            conversation.on_end(),
            Err(Failure::NoGreeting {
                received: 3,
                expected: 4
            })
        ));
        assert_eq!(conversation.on_bytes(b"l"), Ok(Received::Greeting));
        sent(&mut conversation);
        assert_eq!(conversation.on_bytes(b"he"), Ok(Received::Part));
        assert!(matches!(
            conversation.on_end(),
            Err(Failure::ClosedEarly {
                received: 2,
                expected: 5
            })
        ));
        assert_eq!(conversation.on_bytes(b"llo"), reply("hello"));
    }

    #[test]
    fn the_first_byte_that_differs_is_named() {
        let difference = |reply, offset, expected: &[u8], got: &[u8]| {
            Err(Difference {
                reply,
                offset,
                expected: expected.into(),
                got: got.into(),
            })
        };
        let mut other = conversation(&["hello, world"], 1, Framing::Raw, 0);
        sent(&mut other);
        assert_eq!(other.on_bytes(b"he"), Ok(Received::Part));
        let expected = difference(1, 3, b"lo, worl", b"LO");
        assert_eq!(other.on_bytes(b"lLO"), expected);

        let mut longer = conversation(&["hello"], 2, Framing::Raw, 0);
        sent(&mut longer);
        assert_eq!(longer.on_bytes(b"hello!"), difference(1, 5, b"", b"!"));

        let mut before_its_message = conversation(&["hello"], 1, Framing::Raw, 0);
        assert_eq!(
            before_its_message.on_bytes(b"hello"),
            difference(1, 0, b"", b"hello")
        );

        let mut behind_the_last = conversation(&["a"], 1, Framing::Raw, 0);
        sent(&mut behind_the_last);
        assert_eq!(behind_the_last.on_bytes(b"a"), reply("a"));
        assert_eq!(behind_the_last.on_bytes(b"a"), difference(2, 0, b"", b"a"));
    }

    #[test]
    fn a_nul_ends_the_session_and_is_not_echoed() {
        let mut conversation = conversation(&["a"], 1, Framing::Nul, 0);
        assert_eq!(sent(&mut conversation), b"a");
        assert_eq!(conversation.on_bytes(b"a"), reply("a"));
        assert!(!conversation.wants_fin());
        assert_eq!(sent(&mut conversation), b"\0");
        assert!(conversation.wants_fin());
        assert!(conversation.on_bytes(b"\0").is_err());
    }
}
