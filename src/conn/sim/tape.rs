//! The bytes that the peer of a simulated world sends. Every schedule sends the same bytes, up to a different length.

/// Messages, and after them bytes that are no message.
pub(crate) struct Tape {
    /// After the last byte, the first one follows again.
    bytes: &'static [u8],
    /// The lengths of the valid messages. `None` is a stream without messages: every byte counts as whole.
    messages: Option<&'static [usize]>,
}

/// A stream without messages.
pub(crate) static STREAM: Tape = Tape {
    bytes: b"abcdefghijklmnopqrstuvwxyz",
    messages: None,
};

/// The first NUL ends the session.
#[cfg(test)]
pub(super) static NUL: Tape = Tape {
    bytes: b"abcd\0efghijklmno",
    messages: Some(&[1, 1, 1, 1]),
};

/// The fourth message is longer than the limit of 3 bytes.
#[cfg(test)]
pub(super) static LINES: Tape = Tape {
    bytes: b"a\n\nbc\ndefghijklm",
    messages: Some(&[2, 1, 3]),
};

/// The fourth message has the length 0.
#[cfg(test)]
pub(super) static LENGTH_PREFIXED: Tape = Tape {
    bytes: b"\x02a\x01\x03bc\0defghijkl",
    messages: Some(&[2, 1, 3]),
};

impl Tape {
    /// Returns the byte after the first `position` bytes.
    pub(crate) fn byte(&self, position: usize) -> u8 {
        self.bytes[position % self.bytes.len()]
    }

    /// Returns how many of the first `length` bytes belong to whole messages.
    pub(super) fn whole(&self, length: usize) -> usize {
        let Some(messages) = self.messages else {
            return length;
        };
        let mut whole = 0;
        for message in messages {
            if whole + message > length {
                break;
            }
            whole += message;
        }
        whole
    }
}
