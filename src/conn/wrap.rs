//! The reverse of the deframer: a message, made of what it is to carry.

use std::{error, fmt};

use memchr::memmem;

use super::Framing;

/// Why a framing cannot carry something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CannotWrap {
    /// A stream does not carry nothing: no echo would answer it.
    Nothing,
    /// It holds what ends a message, or the session.
    Holds {
        /// What that is called.
        terminator: &'static str,
    },
    /// More bytes than the length in front can say.
    TooLong {
        /// Bytes that it can carry.
        limit: usize,
    },
}

impl Framing {
    /// `payload` with its header or terminator.
    ///
    /// # Errors
    ///
    /// When the other side would take it for something else.
    pub fn wrap(self, payload: &[u8]) -> Result<Vec<u8>, CannotWrap> {
        match self {
            Self::Raw | Self::Nul if payload.is_empty() => Err(CannotWrap::Nothing),
            Self::Raw => Ok(payload.to_vec()),
            Self::Nul if payload.contains(&0) => Err(CannotWrap::Holds { terminator: "NUL" }),
            Self::Nul => Ok(payload.to_vec()),
            Self::Line => terminated(payload, b"\n", "LF"),
            Self::Crlf => terminated(payload, b"\r\n", "CR LF"),
            Self::Len8 => prefixed(payload, u8::MAX.into(), |whole| vec![whole as u8]),
            Self::Len16 => prefixed(payload, u16::MAX, |whole| whole.to_be_bytes().into()),
            Self::Len16Le => prefixed(payload, u16::MAX, |whole| whole.to_le_bytes().into()),
        }
    }
}

fn terminated(payload: &[u8], end: &[u8], terminator: &'static str) -> Result<Vec<u8>, CannotWrap> {
    match memmem::find(payload, end) {
        Some(_) => Err(CannotWrap::Holds { terminator }),
        None => Ok([payload, end].concat()),
    }
}

/// `longest` is the most that the header can say, itself included.
fn prefixed(
    payload: &[u8],
    longest: u16,
    header: fn(u16) -> Vec<u8>,
) -> Result<Vec<u8>, CannotWrap> {
    let bytes = header(0).len();
    match u16::try_from(payload.len() + bytes) {
        Ok(whole) if whole <= longest => Ok([&header(whole), payload].concat()),
        _ => Err(CannotWrap::TooLong {
            limit: usize::from(longest) - bytes,
        }),
    }
}

impl fmt::Display for CannotWrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("expected at least one byte"),
            Self::Holds { terminator } => write!(f, "expected text without {terminator}"),
            Self::TooLong { limit } => write!(f, "expected at most {limit} bytes"),
        }
    }
}

impl error::Error for CannotWrap {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::framing::{Deframer, Found};
    use super::*;

    #[test]
    fn what_the_other_side_would_misread_is_refused() {
        let text = |length| vec![b'x'; length];
        let holds = |terminator| Err(CannotWrap::Holds { terminator });
        let too_long = |limit| Err(CannotWrap::TooLong { limit });
        for (framing, payload, expected) in [
            (Framing::Raw, text(0), Err(CannotWrap::Nothing)),
            (Framing::Nul, text(0), Err(CannotWrap::Nothing)),
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
                framing.wrap(&payload),
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
                    let Ok(message) = framing.wrap(payload) else { continue };
                    let found = Deframer::default().next(framing, &message, usize::MAX);
                    prop_assert_eq!(found, Found::Message(message.len()));
                }
            }
        }
    }
}
