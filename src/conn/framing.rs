//! Where a message ends.
//!
//! A framing is data: a table row says to which family it belongs and with which bytes. Each family has one function,
//! which looks at the first bytes of what has been read and says how many of them are the next message. What has been
//! looked at in vain is remembered, so a stream is scanned once, however it is cut into reads.

use std::fmt;

use memchr::memchr;

/// How a byte stream is cut into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Not at all: every byte is echoed as it comes.
    Raw,
    /// Not at all, but the first NUL ends the session. It is not echoed, and neither is what follows it.
    Nul,
    /// A message ends with LF.
    Line,
    /// A message ends with CR LF. One without the other is data.
    Crlf,
    /// A message begins with one byte: its length, including that byte.
    Len8,
    /// A message begins with two bytes, the higher first: its length, including those bytes.
    Len16,
    /// A message begins with two bytes, the lower first: its length, including those bytes.
    Len16Le,
}

/// A message that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFrame {
    /// It says that it is shorter than its own header. Both in bytes.
    TooShort {
        /// What it says.
        length: u16,
        /// The least it can be.
        header: u8,
    },
    /// It is longer than it may be. Both in bytes.
    TooLong {
        /// What it says; if only its end would tell, the least that it has.
        length: u32,
        /// The most it may be.
        limit: u32,
    },
}

/// What the first bytes of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// So many of them are a message.
    Message(usize),
    /// The begin of one, or nothing.
    Incomplete,
    /// No message, whatever follows.
    BadFrame(BadFrame),
}

/// Finds the messages of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoder {
    /// How much of the first message has been looked at in vain.
    scanned: usize,
}

pub(super) enum WireFormat {
    Stream,
    Delimited {
        terminator: &'static [u8],
    },
    LengthPrefixed {
        /// Bytes of the header.
        header: usize,
        /// Reads the length of a message from its header.
        length: fn(&[u8]) -> u16,
        /// Makes the header for a length.
        prefix: fn(u16) -> [u8; 2],
    },
}

impl Framing {
    /// All of them, with the names they have on the command line.
    pub const ALL: [(&'static str, Self); 7] = [
        ("raw", Self::Raw),
        ("nul", Self::Nul),
        ("line", Self::Line),
        ("crlf", Self::Crlf),
        ("len8", Self::Len8),
        ("len16", Self::Len16),
        ("len16le", Self::Len16Le),
    ];

    /// Whether there are messages at all, and with them limits and jobs.
    pub fn has_messages(self) -> bool {
        !matches!(self.wire_format(), WireFormat::Stream)
    }

    pub(super) fn wire_format(self) -> WireFormat {
        match self {
            Self::Raw | Self::Nul => WireFormat::Stream,
            Self::Line => WireFormat::Delimited { terminator: b"\n" },
            Self::Crlf => WireFormat::Delimited {
                terminator: b"\r\n",
            },
            Self::Len8 => WireFormat::LengthPrefixed {
                header: 1,
                length: |h| u16::from(h[0]),
                prefix: |length| [length as u8, 0],
            },
            Self::Len16 => WireFormat::LengthPrefixed {
                header: 2,
                length: |h| u16::from_be_bytes([h[0], h[1]]),
                prefix: u16::to_be_bytes,
            },
            Self::Len16Le => WireFormat::LengthPrefixed {
                header: 2,
                length: |h| u16::from_le_bytes([h[0], h[1]]),
                prefix: u16::to_le_bytes,
            },
        }
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL
            .iter()
            .find(|(_, framing)| framing == self)
            .map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl fmt::Display for BadFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { length, header } => {
                write!(f, "length {length} is under the {header} of its header")
            }
            Self::TooLong { length, limit } => {
                write!(f, "length {length} is over the limit of {limit}")
            }
        }
    }
}

impl Decoder {
    /// The next message of `bytes`, which begin where the last one ended and hold all that came since. `limit` is the
    /// most bytes that a message may have, header or terminator included.
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

    fn delimited(&mut self, terminator: &[u8], bytes: &[u8], limit: usize) -> Decoded {
        let last = terminator[terminator.len() - 1];
        let visible = &bytes[..bytes.len().min(limit)];
        while let Some(at) = memchr(last, &visible[self.scanned..]) {
            self.scanned += at + 1;
            if visible[..self.scanned].ends_with(terminator) {
                return Decoded::Message(self.scanned);
            }
        }
        self.scanned = visible.len();
        if visible.len() == limit {
            too_long(limit + 1, limit)
        } else {
            Decoded::Incomplete
        }
    }
}

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
    fn every_name_is_what_is_displayed() {
        for (name, framing) in Framing::ALL {
            assert_eq!(framing.to_string(), name);
        }
    }

    #[test]
    fn fault_f2_every_length_of_16_bits_is_found_and_none_too_early() {
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
    fn a_line_that_trickles_is_looked_at_once() {
        for framing in [Framing::Line, Framing::Crlf] {
            let mut line = vec![b'x'; 1 << 16];
            line.extend(b"\r\n");
            let mut decoder = Decoder::default();
            for come in 1..line.len() {
                let found = decoder.decode(framing, &line[..come], NO_LIMIT);
                assert_eq!(found, Decoded::Incomplete);
                assert_eq!(decoder.scanned, come, "the next look begins here");
            }
            let found = decoder.decode(framing, &line, NO_LIMIT);
            assert_eq!(found, Decoded::Message(line.len()));
            assert_eq!(decoder.scanned, 0);
        }
    }

    #[test]
    fn a_line_full_of_false_ends_is_looked_at_once() {
        let line = [b'\n'; 1 << 16];
        let mut decoder = Decoder::default();
        for come in 1..=line.len() {
            let found = decoder.decode(Framing::Crlf, &line[..come], NO_LIMIT);
            assert_eq!((found, decoder.scanned), (Decoded::Incomplete, come));
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_bad_as_soon_as_that_is_sure() {
        let mut decoder = Decoder::default();
        let bytes = [b'x'; 20];
        let bad = Decoded::BadFrame(BadFrame::TooLong {
            length: 11,
            limit: 10,
        });
        for (come, expected) in [(9, Decoded::Incomplete), (10, bad)] {
            let found = decoder.decode(Framing::Line, &bytes[..come], 10);
            assert_eq!(found, expected);
        }
        assert_eq!(Decoder::default().decode(Framing::Line, &bytes, 10), bad);
    }
}
