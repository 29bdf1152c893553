//! What the peer of a simulated world sends: the same bytes in every schedule, as many of them as it gets to send.

/// More bytes than any schedule sends.
const LEN: usize = 16;

/// Messages, and then something that is none.
pub(super) struct Tape {
    pub(super) bytes: [u8; LEN],
    /// For each number of bytes, how many of them belong to whole messages.
    pub(super) whole: [usize; LEN + 1],
}

/// Every byte for itself.
pub(super) static STREAM: Tape = Tape::new(
    b"abcdefghijklmnop",
    &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
);

/// The first NUL ends it.
pub(super) static NUL: Tape = Tape::new(b"abcd\0efghijklmno", &[1, 1, 1, 1]);

/// The fourth message is longer than 3.
pub(super) static LINES: Tape = Tape::new(b"a\n\nbc\ndefghijklm", &[2, 1, 3]);

/// The fourth message says 0.
pub(super) static PACKETS: Tape = Tape::new(b"\x02a\x01\x03bc\0defghijkl", &[2, 1, 3]);

impl Tape {
    /// `messages` are the lengths of those that are whole and sound.
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
