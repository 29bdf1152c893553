use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 7007\r\n";

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0;
const TCP_IPV4: u8 = 0x11;
const UDP_IPV4: u8 = 0x12;
const TCP_IPV6: u8 = 0x21;
const UNIX: u8 = 0x31;

/// 192.0.2.7:50000, and the server's 198.51.100.1:7007.
const IPV4_ADDRESSES: &[u8] = &[192, 0, 2, 7, 198, 51, 100, 1, 0xc3, 0x50, 0x1b, 0x5f];

fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).expect("a length of 16 bits");
    [SIGNATURE, &[command, family], &length.to_be_bytes(), block].concat()
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("a length of 16 bits");
    [&[kind], &length.to_be_bytes()[..], value].concat()
}

fn client(address: &str) -> Option<SocketAddr> {
    Some(address.parse().expect("an address"))
}

/// Requires that every part of `header` is incomplete, and that bytes behind the header change nothing.
#[track_caller]
fn expect_header(header: &[u8], client: Option<SocketAddr>) {
    for cut in 0..header.len() {
        assert_eq!(decode(&header[..cut]), Ok(None), "cut after {cut} bytes");
    }
    let whole = ProxyHeader {
        length: header.len(),
        client,
    };
    for behind in [&b""[..], b"hello", b"\r\n", &[0; 10_000]] {
        assert_eq!(decode(&[header, behind].concat()), Ok(Some(whole)));
    }
}

#[track_caller]
fn expect_bad(header: &[u8], bad: BadHeader) {
    assert_eq!(decode(header), Err(bad), "{}", header.escape_ascii());
    assert_eq!(decode(&[header, b"hello\r\n"].concat()), Err(bad));
}

#[test]
fn fault_p1_a_header_of_either_version_is_complete_with_its_last_byte() {
    expect_header(V1, client("192.0.2.7:50000"));
    expect_header(
        b"PROXY TCP6 2001:db8::7 ::1 65535 1\r\n",
        client("[2001:db8::7]:65535"),
    );
    let ipv4 = v2(PROXY, TCP_IPV4, IPV4_ADDRESSES);
    expect_header(&ipv4, client("192.0.2.7:50000"));
    let mut addresses = [0; 36];
    addresses[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    addresses[15] = 7;
    addresses[32..34].copy_from_slice(&[0xff, 0xff]);
    let ipv6 = v2(PROXY, TCP_IPV6, &addresses);
    expect_header(&ipv6, client("[2001:db8::7]:65535"));
}

#[test]
fn fault_p1_without_an_address_of_a_tcp_client_the_peer_is_the_client() {
    expect_header(b"PROXY UNKNOWN\r\n", None);
    expect_header(b"PROXY UNKNOWN ffff::1 ::1 65535 1\r\n", None);
    expect_header(&v2(LOCAL, UNSPECIFIED, b""), None);
    expect_header(&v2(LOCAL, UNSPECIFIED, b"anything"), None);
    expect_header(&v2(LOCAL, TCP_IPV4, IPV4_ADDRESSES), None);
    expect_header(&v2(PROXY, UNSPECIFIED, b""), None);
    expect_header(&v2(PROXY, UDP_IPV4, IPV4_ADDRESSES), None);
    expect_header(&v2(PROXY, UNIX, &[b'/'; 216]), None);
}

#[test]
fn fault_p1_tlvs_are_skipped_and_a_checksum_is_checked() {
    let authority = tlv(2, b"echo.example");
    let unknown = tlv(0xee, &[0; 200]);
    let zero = tlv(3, &[0; 4]);
    let block = [IPV4_ADDRESSES, &authority, &zero, &unknown].concat();
    let mut header = v2(PROXY, TCP_IPV4, &block);
    expect_bad(&header, BadHeader::WrongChecksum);

    let sum = Crc::<u32>::new(&CRC_32_ISCSI).checksum(&header);
    let at = FIXED_BYTES + IPV4_ADDRESSES.len() + authority.len() + TLV_HEAD_BYTES;
    header[at..at + 4].copy_from_slice(&sum.to_be_bytes());
    expect_header(&header, client("192.0.2.7:50000"));

    // With another type, the checksum would be a TLV that is skipped.
    let type_at = at - TLV_HEAD_BYTES;
    for byte in (FIXED_BYTES..header.len()).filter(|byte| *byte != type_at) {
        let mut damaged = header.clone();
        damaged[byte] ^= 1;
        assert!(decode(&damaged).is_err(), "byte {byte}");
    }
}

#[test]
fn fault_p1_the_checksum_is_that_of_rfc_3720() {
    // 32 bytes of zeros (RFC 3720, appendix B.4), which is written with the least significant byte first.
    assert_eq!(checksum(&[0; 20], &[0; 8]), 0x8a91_36aa);
}

#[test]
fn fault_p2_other_bytes_are_refused_as_soon_as_they_differ() {
    for text in [
        "GET / HTTP/1.1",
        "P\r",
        "PROXY\n",
        "PROXYTCP4",
        "PROXY TCP4 192.0.2.7\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 50000\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 50000 7007 \r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 65536 7007\r\n",
        "PROXY TCP4 ::1 ::1 50000 7007\r\n",
        "PROXY TCP6 192.0.2.7 198.51.100.1 50000 7007\r\n",
        "PROXY UDP4 192.0.2.7 198.51.100.1 50000 7007\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 50000 7007\n",
        "\r\n\r\nhello, world",
    ] {
        expect_bad(text.as_bytes(), BadHeader::Malformed);
    }
    for header in [
        v2(0x11, TCP_IPV4, IPV4_ADDRESSES),
        v2(0x22, TCP_IPV4, IPV4_ADDRESSES),
        v2(PROXY, 0x41, IPV4_ADDRESSES),
        v2(PROXY, 0x13, IPV4_ADDRESSES),
        v2(PROXY, TCP_IPV4, &IPV4_ADDRESSES[1..]),
        v2(PROXY, TCP_IPV4, &[IPV4_ADDRESSES, &[1]].concat()),
        v2(PROXY, TCP_IPV4, &[IPV4_ADDRESSES, &[1, 0, 9]].concat()),
        v2(
            PROXY,
            TCP_IPV4,
            &[IPV4_ADDRESSES, &tlv(3, &[0; 5])].concat(),
        ),
    ] {
        expect_bad(&header, BadHeader::Malformed);
    }
}

#[test]
fn fault_p2_a_header_that_is_too_long_is_refused_before_it_is_complete() {
    let line = |length: usize| [b"PROXY UNKNOWN ", &vec![b'x'; length - 16][..], b"\r\n"].concat();
    expect_header(&line(LONGEST_LINE), None);
    expect_bad(&line(LONGEST_LINE + 1)[..LONGEST_LINE], BadHeader::TooLong);

    let header = |length: usize| v2(LOCAL, UNSPECIFIED, &vec![0; length - FIXED_BYTES]);
    expect_header(&header(LONGEST_HEADER), None);
    expect_bad(
        &header(LONGEST_HEADER + 1)[..FIXED_BYTES],
        BadHeader::TooLong,
    );
    expect_bad(&header(60_000), BadHeader::TooLong);
}

proptest! {
    #[test]
    fn fault_p2_more_bytes_never_change_a_decision(bytes in starts()) {
        let mut decided = None;
        for length in 0..=bytes.len() {
            let decision = decode(&bytes[..length]);
            match decided {
                Some(earlier) => prop_assert_eq!(decision, earlier, "{} bytes", length),
                None if decision == Ok(None) => {}
                None => decided = Some(decision),
            }
        }
    }
}

/// The start of a header, then any bytes.
fn starts() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop_oneof![
        Just(V1.to_vec()),
        Just(v2(PROXY, TCP_IPV4, IPV4_ADDRESSES)),
        Just(v2(PROXY, UNIX, &[0; 216])),
        Just(v2(LOCAL, UNSPECIFIED, &[])),
    ];
    (
        whole,
        any::<prop::sample::Index>(),
        vec(any::<u8>(), 0..100),
    )
        .prop_map(|(whole, cut, rest)| [&whole[..cut.index(whole.len() + 1)], &rest].concat())
}
