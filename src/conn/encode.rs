//! Turns a payload into a message: the reverse of the [`Decoder`](super::framing::Decoder).

use std::{error, fmt};

use memchr::memmem;

use super::framing::{Framing, WireFormat};

/// Why a framing cannot carry a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The payload is empty, and the framing has no messages. No echo would answer it.
    Empty,
    /// The payload contains the bytes that end a message or the session.
    ContainsTerminator {
        /// The name of those bytes.
        terminator: &'static str,
    },
    /// The payload has more bytes than the length in the header can tell.
    TooLong {
        /// The most bytes that the framing can carry.
        limit: usize,
    },
}

/// The bytes of a message that are not its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Overhead {
    header: [u8; 2],
    header_size: usize,
    terminator: &'static [u8],
}

impl Overhead {
    /// Returns the bytes before the payload.
    pub(crate) fn header(&self) -> &[u8] {
        &self.header[..self.header_size]
    }

    /// Returns the bytes after the payload.
    pub(crate) fn terminator(&self) -> &'static [u8] {
        self.terminator
    }
}

impl Framing {
    /// Returns the overhead of a message of `length` bytes. The length includes the overhead.
    pub(crate) fn overhead(self, length: usize) -> Overhead {
        let (header, header_size, terminator): (_, _, &[u8]) = match self.wire_format() {
            WireFormat::Stream => ([0; 2], 0, b""),
            WireFormat::Delimited { terminator } => ([0; 2], 0, terminator),
            WireFormat::LengthPrefixed { header, prefix, .. } => {
                (prefix(length as u16), header, b"")
            }
        };
        Overhead {
            header,
            header_size,
            terminator,
        }
    }

    /// Returns `payload` with its header or terminator.
    ///
    /// # Errors
    ///
    /// Fails if the receiver would not find exactly `payload` in the result.
    pub fn encode(self, payload: &[u8]) -> Result<Vec<u8>, EncodeError> {
        match self.wire_format() {
            WireFormat::Stream if payload.is_empty() => return Err(EncodeError::Empty),
            WireFormat::Stream | WireFormat::Delimited { .. } => self.expect_no_end(payload)?,
            WireFormat::LengthPrefixed { header, .. } => expect_length(payload, header)?,
        }
        let empty = self.overhead(0);
        let overhead =
            self.overhead(empty.header().len() + payload.len() + empty.terminator().len());
        Ok([overhead.header(), payload, overhead.terminator()].concat())
    }

    /// Returns an error if `payload` contains what ends a message or the session.
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

/// Returns an error if a header of `header` bytes cannot tell the length of a message with this payload. The length
/// includes the header.
fn expect_length(payload: &[u8], header: usize) -> Result<(), EncodeError> {
    let limit = (1 << (8 * header)) - 1 - header;
    if payload.len() > limit {
        return Err(EncodeError::TooLong { limit });
    }
    Ok(())
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
    fn a_payload_that_the_receiver_would_misread_is_rejected() {
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
            (
                Framing::Len8,
                text(254),
                Ok([&[255], &text(254)[..]].concat()),
            ),
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

    #[test]
    fn an_error_says_what_is_expected() {
        for (framing, payload, expected) in [
            (Framing::Line, &b"a\nb"[..], "expected text without LF"),
            (Framing::Len8, &[b'x'; 300], "expected at most 254 bytes"),
            (Framing::Raw, b"", "expected at least one byte"),
        ] {
            let told = framing.encode(payload).map_err(|error| error.to_string());
            assert_eq!(told, Err(expected.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn an_encoded_payload_is_decoded_as_one_message(payload: Vec<u8>, longest in 60_000_usize..65_533) {
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
