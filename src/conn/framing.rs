//! Where a message ends.
//!
//! Each [`Framing`] has a [`WireFormat`], which says how its messages look and with which bytes. Each wire format has
//! one function, which looks at the first bytes of the input and tells how many of them are the next message. The
//! [`Decoder`] remembers how far it has searched without success, so a stream is searched once, however it is cut into
//! reads.

use std::fmt;

use memchr::memchr;

/// How a byte stream is split into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There are no messages: every byte is echoed as it arrives.
    Raw,
    /// There are no messages, but the first NUL ends the session. Neither the NUL nor what follows it is echoed.
    Nul,
    /// A message ends with LF.
    Line,
    /// A message ends with CR LF. A CR or an LF alone is data.
    Crlf,
    /// A message starts with its length in one byte. The length includes that byte.
    Len8,
    /// A message starts with its length in two bytes, in network byte order. The length includes those bytes.
    Len16,
    /// A message starts with its length in two bytes, in little-endian byte order. The length includes those bytes.
    Len16Le,
}

/// Why input is not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFrame {
    /// The length in the header is less than the header itself. Both are in bytes.
    TooShort {
        /// The length in the header.
        length: u16,
        /// The size of the header.
        header: u8,
    },
    /// The message is longer than the limit. Both are in bytes.
    TooLong {
        /// The length in the header. Without a header, the least length that the message can have.
        length: u32,
        /// The most that a message may have.
        limit: u32,
    },
}

/// What a [`Decoder`] found at the start of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A message of this many bytes.
    Message(usize),
    /// The start of a message, or no input at all.
    Incomplete,
    /// No message, whatever follows.
    BadFrame(BadFrame),
}

/// Finds the messages of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoder {
    /// The number of bytes that were searched for the end of the first message without success.
    scanned: u32,
}

/// How the messages of a framing look.
pub(super) enum WireFormat {
    /// There are no messages.
    Stream,
    /// A message ends with a terminator.
    Delimited { terminator: &'static [u8] },
    /// A message starts with its length.
    LengthPrefixed {
        /// The size of the header in bytes.
        header: usize,
        /// Reads the length of a message from its header.
        length: fn(&[u8]) -> u16,
        /// Writes the header for a length.
        prefix: fn(u16) -> [u8; 2],
    },
}

impl Framing {
    /// All framings in the order of their declaration, with their names on the command line.
    pub const ALL: [(&'static str, Self); 7] = [
        ("raw", Self::Raw),
        ("nul", Self::Nul),
        ("line", Self::Line),
        ("crlf", Self::Crlf),
        ("len8", Self::Len8),
        ("len16", Self::Len16),
        ("len16le", Self::Len16Le),
    ];

    /// Returns true if the framing has messages. Limits and jobs exist only then.
    pub fn has_messages(self) -> bool {
        !matches!(self.wire_format(), WireFormat::Stream)
    }

    /// Returns how the messages of this framing look.
    pub(super) fn wire_format(self) -> WireFormat {
        match self {
            Self::Raw | Self::Nul => WireFormat::Stream,
            Self::Line => WireFormat::Delimited { terminator: b"\n" },
            Self::Crlf => WireFormat::Delimited {
                terminator: b"\r\n",
            },
            Self::Len8 => WireFormat::LengthPrefixed {
                header: 1,
                length: |header| u16::from(header[0]),
                prefix: |length| [length as u8, 0],
            },
            Self::Len16 => WireFormat::LengthPrefixed {
                header: 2,
                length: |header| u16::from_be_bytes([header[0], header[1]]),
                prefix: u16::to_be_bytes,
            },
            Self::Len16Le => WireFormat::LengthPrefixed {
                header: 2,
                length: |header| u16::from_le_bytes([header[0], header[1]]),
                prefix: u16::to_le_bytes,
            },
        }
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, _) = Self::ALL[*self as usize];
        f.write_str(name)
    }
}

impl fmt::Display for BadFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { length, header } => {
                write!(f, "length {length} is less than the {header}-byte header")
            }
            Self::TooLong { length, limit } => {
                write!(f, "length {length} is over the limit of {limit} bytes")
            }
        }
    }
}

impl Decoder {
    /// Finds the next message in `bytes`, which start where the last message ended and hold all input since. A message
    /// may have at most `limit` bytes, header or terminator included.
    pub fn decode(&mut self, framing: Framing, bytes: &[u8], limit: usize) -> Decoded {
        let found = match framing.wire_format() {
            WireFormat::Stream if bytes.is_empty() => Decoded::Incomplete,
            WireFormat::Stream => Decoded::Message(bytes.len()),
            WireFormat::Delimited { terminator } => self.delimited(terminator, bytes, limit),
            WireFormat::LengthPrefixed { header, length, .. } => {
                length_prefixed(header, length, bytes, limit)
            }
        };
        if found != Decoded::Incomplete {
            self.scanned = 0;
        }
        found
    }

    /// Finds a message that ends with `terminator`.
    fn delimited(&mut self, terminator: &[u8], bytes: &[u8], limit: usize) -> Decoded {
        let last = terminator[terminator.len() - 1];
        let within_limit = &bytes[..bytes.len().min(limit)];
        let mut scanned = self.scanned as usize;
        while let Some(at) = memchr(last, &within_limit[scanned..]) {
            scanned += at + 1;
            if within_limit[..scanned].ends_with(terminator) {
                return Decoded::Message(scanned);
            }
        }
        self.scanned = within_limit.len() as u32;
        if within_limit.len() == limit {
            too_long(limit + 1, limit)
        } else {
            Decoded::Incomplete
        }
    }
}

/// Finds a message that starts with its length.
fn length_prefixed(header: usize, length: fn(&[u8]) -> u16, bytes: &[u8], limit: usize) -> Decoded {
    if bytes.len() < header {
        return Decoded::Incomplete;
    }
    let length = length(bytes);
    match usize::from(length) {
        whole if whole < header => Decoded::BadFrame(BadFrame::TooShort {
            length,
            header: header as u8,
        }),
        whole if whole > limit => too_long(whole, limit),
        whole if whole > bytes.len() => Decoded::Incomplete,
        whole => Decoded::Message(whole),
    }
}

fn too_long(length: usize, limit: usize) -> Decoded {
    let clamped = |bytes| u32::try_from(bytes).unwrap_or(u32::MAX);
    Decoded::BadFrame(BadFrame::TooLong {
        length: clamped(length),
        limit: clamped(limit),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_LIMIT: usize = usize::MAX;

    #[test]
    fn a_framing_is_displayed_by_its_name() {
        for (name, framing) in Framing::ALL {
            assert_eq!(framing.to_string(), name);
        }
    }

    #[test]
    fn a_stream_is_a_message_as_long_as_its_bytes_and_nothing_is_none() {
        let decode = |bytes: &[u8]| Decoder::default().decode(Framing::Raw, bytes, NO_LIMIT);
        assert_eq!(decode(b"ab"), Decoded::Message(2));
        assert_eq!(decode(b""), Decoded::Incomplete);
        assert!(!Framing::Raw.has_messages() && Framing::Line.has_messages());
    }

    #[test]
    fn fault_f2_every_16_bit_length_is_found_at_its_last_byte_and_not_before() {
        let mut bytes = vec![0; 1 << 16];
        for length in 2..=u16::MAX {
            for (framing, header) in [
                (Framing::Len16, length.to_be_bytes()),
                (Framing::Len16Le, length.to_le_bytes()),
            ] {
                bytes[..2].copy_from_slice(&header);
                let mut decoder = Decoder::default();
                let whole = usize::from(length);
                let found = decoder.decode(framing, &bytes[..whole - 1], NO_LIMIT);
                assert_eq!(found, Decoded::Incomplete);
                let found = decoder.decode(framing, &bytes, NO_LIMIT);
                assert_eq!(found, Decoded::Message(whole));
            }
        }
    }

    #[test]
    fn a_line_that_arrives_byte_by_byte_is_searched_once() {
        for framing in [Framing::Line, Framing::Crlf] {
            let mut line = vec![b'x'; 1 << 16];
            line.extend(b"\r\n");
            let mut decoder = Decoder::default();
            for arrived in 1..line.len() {
                let found = decoder.decode(framing, &line[..arrived], NO_LIMIT);
                assert_eq!(found, Decoded::Incomplete);
                assert_eq!(
                    decoder.scanned as usize, arrived,
                    "the next search starts here"
                );
            }
            let found = decoder.decode(framing, &line, NO_LIMIT);
            assert_eq!(found, Decoded::Message(line.len()));
            assert_eq!(decoder.scanned, 0);
        }
    }

    #[test]
    fn a_line_full_of_incomplete_terminators_is_searched_once() {
        let line = [b'\n'; 1 << 16];
        let mut decoder = Decoder::default();
        for arrived in 1..=line.len() {
            let found = decoder.decode(Framing::Crlf, &line[..arrived], NO_LIMIT);
            assert_eq!(found, Decoded::Incomplete);
            assert_eq!(decoder.scanned as usize, arrived);
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_bad_once_the_limit_is_reached() {
        let mut decoder = Decoder::default();
        let bytes = [b'x'; 20];
        let bad = Decoded::BadFrame(BadFrame::TooLong {
            length: 11,
            limit: 10,
        });
        for (arrived, expected) in [(9, Decoded::Incomplete), (10, bad)] {
            let found = decoder.decode(Framing::Line, &bytes[..arrived], 10);
            assert_eq!(found, expected);
        }
        assert_eq!(Decoder::default().decode(Framing::Line, &bytes, 10), bad);
    }
}
