//! The reverse of the decoder: a message, made of what it is to carry.

use std::{error, fmt};

use memchr::memmem;

use super::Framing;
use super::framing::WireFormat;

/// Why a framing cannot carry something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// A stream does not carry nothing: no echo would answer it.
    Empty,
    /// It holds what ends a message, or the session.
    ContainsTerminator {
        /// What that is called.
        terminator: &'static str,
    },
    /// More bytes than the length in front can say.
    TooLong {
        /// Bytes that it can carry.
        limit: usize,
    },
}

/// What lies around the payload of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Overhead {
    header: [u8; 2],
    header_size: usize,
    terminator: &'static [u8],
}

impl Overhead {
    /// In front of the payload.
    pub(crate) fn header(&self) -> &[u8] {
        &self.header[..self.header_size]
    }

    /// Behind the payload.
    pub(crate) fn terminator(&self) -> &'static [u8] {
        self.terminator
    }
}

impl Framing {
    /// The overhead of a message that has `whole` bytes with it.
    pub(crate) fn overhead(self, whole: usize) -> Overhead {
        let (header, header_size, terminator): (_, _, &[u8]) = match self.wire_format() {
            WireFormat::Stream => ([0; 2], 0, b""),
            WireFormat::Delimited { terminator } => ([0; 2], 0, terminator),
            WireFormat::LengthPrefixed { header, prefix, .. } => {
                (prefix(whole as u16), header, b"")
            }
        };
        Overhead {
            header,
            header_size,
            terminator,
        }
    }

    /// `payload` with its header or terminator.
    ///
    /// # Errors
    ///
    /// When the other side would take it for something else.
    pub fn encode(self, payload: &[u8]) -> Result<Vec<u8>, EncodeError> {
        match self.wire_format() {
            WireFormat::Stream if payload.is_empty() => return Err(EncodeError::Empty),
            WireFormat::Stream | WireFormat::Delimited { .. } => self.expect_no_end(payload)?,
            WireFormat::LengthPrefixed { header, .. } => expect_length(payload, header)?,
        }
        let around = self.overhead(0);
        let whole = around.header().len() + payload.len() + around.terminator().len();
        let around = self.overhead(whole);
        Ok([around.header(), payload, around.terminator()].concat())
    }

    fn expect_no_end(self, payload: &[u8]) -> Result<(), EncodeError> {
        let (end, terminator): (&[u8], _) = match self {
            Self::Nul => (b"\0", "NUL"),
            Self::Line => (self.overhead(0).terminator(), "LF"),
            Self::Crlf => (self.overhead(0).terminator(), "CR LF"),
            Self::Raw | Self::Len8 | Self::Len16 | Self::Len16Le => return Ok(()),
        };
        match memmem::find(payload, end) {
            Some(_) => Err(EncodeError::ContainsTerminator { terminator }),
            None => Ok(()),
        }
    }
}

/// The most that a header of so many bytes can say includes the header.
fn expect_length(payload: &[u8], header: usize) -> Result<(), EncodeError> {
    let limit = (1 << (8 * header)) - 1 - header;
    match payload.len() <= limit {
        true => Ok(()),
        false => Err(EncodeError::TooLong { limit }),
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("expected at least one byte"),
            Self::ContainsTerminator { terminator } => {
                write!(f, "expected text without {terminator}")
            }
            Self::TooLong { limit } => write!(f, "expected at most {limit} bytes"),
        }
    }
}

impl error::Error for EncodeError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::framing::{Decoded, Decoder};
    use super::*;

    #[test]
    fn what_the_other_side_would_misread_is_refused() {
        let text = |length| vec![b'x'; length];
        let holds = |terminator| Err(EncodeError::ContainsTerminator { terminator });
        let too_long = |limit| Err(EncodeError::TooLong { limit });
        for (framing, payload, expected) in [
            (Framing::Raw, text(0), Err(EncodeError::Empty)),
            (Framing::Nul, text(0), Err(EncodeError::Empty)),
            (Framing::Nul, b"a\0".to_vec(), holds("NUL")),
            (Framing::Raw, b"a\0\r\n".to_vec(), Ok(b"a\0\r\n".to_vec())),
            (Framing::Line, text(0), Ok(b"\n".to_vec())),
            (Framing::Line, b"a\nb".to_vec(), holds("LF")),
            (Framing::Line, b"a\r".to_vec(), Ok(b"a\r\n".to_vec())),
            (Framing::Crlf, b"a\r\nb".to_vec(), holds("CR LF")),
            (Framing::Crlf, b"\na\r".to_vec(), Ok(b"\na\r\r\n".to_vec())),
            (Framing::Len8, text(0), Ok(vec![1])),
            (Framing::Len8, text(255), too_long(254)),
            (Framing::Len16, text(65_534), too_long(65_533)),
            (Framing::Len16Le, text(65_534), too_long(65_533)),
            (Framing::Len16, b"a".to_vec(), Ok(vec![0, 3, b'a'])),
            (Framing::Len16Le, b"a".to_vec(), Ok(vec![3, 0, b'a'])),
        ] {
            assert_eq!(
                framing.encode(&payload),
                expected,
                "{framing} {}",
                payload.len()
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_wrapped_is_found_as_one_message(payload: Vec<u8>, longest in 60_000_usize..65_533) {
            for (_, framing) in Framing::ALL {
                for payload in [&payload[..], &vec![b'x'; longest]] {
                    let Ok(message) = framing.encode(payload) else { continue };
                    let found = Decoder::default().decode(framing, &message, usize::MAX);
                    prop_assert_eq!(found, Decoded::Message(message.len()));
                }
            }
        }
    }
}
