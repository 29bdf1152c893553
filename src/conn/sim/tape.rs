//! The bytes that the peer of a simulated world sends. Every schedule sends the same bytes, up to a different length.

/// More bytes than any schedule sends.
const LEN: usize = 16;

/// Messages, and after them bytes that are no message.
pub(super) struct Tape {
    pub(super) bytes: [u8; LEN],
    /// For each number of bytes: how many of them belong to whole messages.
    pub(super) whole: [usize; LEN + 1],
}

/// A stream without messages: every byte counts as whole.
pub(super) static STREAM: Tape = Tape::new(
    b"abcdefghijklmnop",
    &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
);

/// The first NUL ends the session.
pub(super) static NUL: Tape = Tape::new(b"abcd\0efghijklmno", &[1, 1, 1, 1]);

/// The fourth message is longer than the limit of 3 bytes.
pub(super) static LINES: Tape = Tape::new(b"a\n\nbc\ndefghijklm", &[2, 1, 3]);

/// The fourth message has the length 0.
pub(super) static LENGTH_PREFIXED: Tape = Tape::new(b"\x02a\x01\x03bc\0defghijkl", &[2, 1, 3]);

impl Tape {
    /// Creates a tape. `messages` are the lengths of the valid messages.
    const fn new(bytes: &[u8; LEN], messages: &[usize]) -> Self {
        let mut whole = [0; LEN + 1];
        let (mut end, mut message, mut read) = (0, 0, 0);
        while read <= LEN {
            if message < messages.len() && end + messages[message] <= read {
                end += messages[message];
                message += 1;
            }
            whole[read] = end;
            read += 1;
        }
        Self {
            bytes: *bytes,
            whole,
        }
    }
}
