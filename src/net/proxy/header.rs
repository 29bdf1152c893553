//! The header of the PROXY protocol, in both versions.
//!
//! | version | the header                                                                                    |
//! |---------|-----------------------------------------------------------------------------------------------|
//! | 1       | a line of text: `PROXY TCP4 10.0.0.1 10.0.0.2 50000 7007` CR LF                                |
//! | 2       | a signature, the command, the family of the addresses, a length; then addresses and TLVs of this length |
//!
//! A TLV is an extension: a type, a length and a value. TLVs are skipped, except for a checksum of the header.
//!
//! The specification: <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>. The crate `ppp` parses headers. This
//! file decides whether a header is complete, which headers are too long, and whether the checksum is right.

use std::fmt;
use std::net::SocketAddr;

use crc::{CRC_32_ISCSI, Crc, NoTable};
use ppp::{v1, v2};

/// The longest header that is accepted, in bytes: as many as nginx accepts. Addresses take at most 232 of them.
pub const LONGEST_HEADER: usize = 4096;

/// The longest line of version 1, its CR LF included.
const LONGEST_LINE: usize = 107;

/// How every line of version 1 begins.
const LINE_START: &[u8] = b"PROXY ";

/// The length of a header of version 2 without its addresses and TLVs.
const FIXED_BYTES: usize = 16;

/// The type and the length of a TLV.
const TLV_HEAD_BYTES: usize = 3;

/// The checksum of version 2. CRC-32/ISCSI is another name of CRC32c.
const CRC32C: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISCSI);

/// A whole header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// The number of bytes of the header. What follows them is the client's.
    pub length: usize,
    /// The address of the client, or `None` if the client is the peer of the connection itself: the proxy checks whether
    /// the server is alive (LOCAL), or does not know the address or its family.
    pub client: Option<SocketAddr>,
}

/// Why a stream does not begin with a header that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHeader {
    /// The bytes are no header.
    Malformed,
    /// The header is longer than [`LONGEST_HEADER`], or its line is longer than the specification allows.
    TooLong,
    /// The checksum in the header is not the checksum of the header.
    WrongChecksum,
}

impl fmt::Display for BadHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed",
            Self::TooLong => "too long",
            Self::WrongChecksum => "damaged: its checksum is wrong",
        })
    }
}

/// Decodes the header at the start of a stream that begins with `bytes`. Returns `None` if more bytes are needed.
///
/// # Errors
///
/// Fails as soon as the bytes cannot become a header that is accepted.
pub fn decode(bytes: &[u8]) -> Result<Option<ProxyHeader>, BadHeader> {
    match bytes.first() {
        None => Ok(None),
        Some(b'\r') => decode_v2(bytes),
        Some(_) => decode_v1(bytes),
    }
}

fn decode_v1(bytes: &[u8]) -> Result<Option<ProxyHeader>, BadHeader> {
    let bytes = &bytes[..bytes.len().min(LONGEST_LINE)];
    let compared = bytes.len().min(LINE_START.len());
    if bytes[..compared] != LINE_START[..compared] {
        return Err(BadHeader::Malformed);
    }
    let Some(line_feed) = memchr::memchr(b'\n', bytes) else {
        return match bytes.len() {
            LONGEST_LINE => Err(BadHeader::TooLong),
            _ => Ok(None),
        };
    };
    // The crate gets whole lines alone: it refuses a line that was cut right before its last port.
    let line = &bytes[..=line_feed];
    let header = v1::Header::try_from(line).map_err(|_| BadHeader::Malformed)?;
    let client = match header.addresses {
        v1::Addresses::Tcp4(ipv4) => Some((ipv4.source_address, ipv4.source_port).into()),
        v1::Addresses::Tcp6(ipv6) => Some((ipv6.source_address, ipv6.source_port).into()),
        v1::Addresses::Unknown => None,
    };
    Ok(Some(ProxyHeader {
        length: line.len(),
        client,
    }))
}

fn decode_v2(bytes: &[u8]) -> Result<Option<ProxyHeader>, BadHeader> {
    let header = match v2::Header::try_from(bytes) {
        Ok(header) if header.len() <= LONGEST_HEADER => header,
        Ok(_) => return Err(BadHeader::TooLong),
        Err(v2::ParseError::Partial(_, rest)) if FIXED_BYTES + rest > LONGEST_HEADER => {
            return Err(BadHeader::TooLong);
        }
        Err(v2::ParseError::Incomplete(_) | v2::ParseError::Partial(..)) => return Ok(None),
        Err(_) => return Err(BadHeader::Malformed),
    };
    let client = match header.command {
        // The receiver must "discard the protocol block including the family" (section 2.2).
        v2::Command::Local => None,
        v2::Command::Proxy => {
            check_tlvs(&header)?;
            client_of(&header)
        }
    };
    Ok(Some(ProxyHeader {
        length: header.len(),
        client,
    }))
}

/// Returns the address of the client if the client uses TCP. Otherwise the address of the connection itself counts, as
/// in HAProxy.
fn client_of(header: &v2::Header<'_>) -> Option<SocketAddr> {
    match (header.protocol, header.addresses) {
        (v2::Protocol::Stream, v2::Addresses::IPv4(ipv4)) => {
            Some((ipv4.source_address, ipv4.source_port).into())
        }
        (v2::Protocol::Stream, v2::Addresses::IPv6(ipv6)) => {
            Some((ipv6.source_address, ipv6.source_port).into())
        }
        (v2::Protocol::Stream | v2::Protocol::Datagram | v2::Protocol::Unspecified, _) => None,
    }
}

/// Checks that the TLVs fill the rest of the header, and that a checksum among them is right.
fn check_tlvs(header: &v2::Header<'_>) -> Result<(), BadHeader> {
    let bytes = header.as_bytes();
    // `Header::tlvs` finds no TLV if the family is unspecified.
    let mut at = FIXED_BYTES + header.addresses.len();
    for tlv in v2::TypeLengthValues::from(&bytes[at..]) {
        let tlv = tlv.map_err(|_| BadHeader::Malformed)?;
        let value_at = at + TLV_HEAD_BYTES;
        at = value_at + tlv.len();
        if tlv.kind == u8::from(v2::Type::CRC32C) {
            let stored = <[u8; 4]>::try_from(&*tlv.value).map_err(|_| BadHeader::Malformed)?;
            if u32::from_be_bytes(stored) != checksum(&bytes[..value_at], &bytes[at..]) {
                return Err(BadHeader::WrongChecksum);
            }
        }
    }
    Ok(())
}

/// Returns the checksum of a header, of which `before` precedes the checksum and `after` follows it. The checksum itself
/// counts as zero.
fn checksum(before: &[u8], after: &[u8]) -> u32 {
    let mut digest = CRC32C.digest();
    digest.update(before);
    digest.update(&[0; size_of::<u32>()]);
    digest.update(after);
    digest.finalize()
}

#[cfg(test)]
mod tests;
