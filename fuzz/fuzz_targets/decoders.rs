//! No decoder panics on any input, and the messages that it finds do not depend on how the stream is cut into pieces.
//!
//! The fuzzer's input is a framing, a limit and the seed of a segmentation, one byte each, and then the stream.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mio_echo::conn::Framing;
use mio_echo::conn::framing::{BadFrame, Decoded, Decoder};

/// The least limit: room for every header.
const LEAST_LIMIT: usize = 2;

fuzz_target!(|input: &[u8]| {
    let [framing, limit, seed, stream @ ..] = input else {
        return;
    };
    let (_, framing) = Framing::ALL[usize::from(*framing) % Framing::ALL.len()];
    if !framing.has_messages() {
        return;
    }
    let limit = LEAST_LIMIT + usize::from(*limit);
    let at_once = decode_all(framing, limit, stream, &[stream.len()]);
    assert_sound(framing, limit, stream, &at_once);
    let by_byte: Vec<usize> = (1..=stream.len()).collect();
    for arrivals in [by_byte, arrivals(*seed, stream.len())] {
        assert_eq!(decode_all(framing, limit, stream, &arrivals), at_once);
    }
});

/// The lengths of the messages in a stream, and the error that ended them.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    messages: Vec<usize>,
    bad: Option<BadFrame>,
}

/// Decodes `stream`. `arrivals` tells how many of its bytes have arrived at each attempt.
fn decode_all(framing: Framing, limit: usize, stream: &[u8], arrivals: &[usize]) -> Found {
    let mut decoder = Decoder::default();
    let mut messages = vec![];
    let mut start = 0;
    for &arrived in arrivals {
        loop {
            match decoder.decode(framing, &stream[start..arrived], limit) {
                Decoded::Message(length) => {
                    messages.push(length);
                    start += length;
                }
                Decoded::Incomplete => break,
                Decoded::BadFrame(bad) => {
                    let bad = Some(bad);
                    return Found { messages, bad };
                }
            }
        }
    }
    Found {
        messages,
        bad: None,
    }
}

/// Asserts that every message has between one byte and the limit, and that a rest without an error is shorter than the
/// limit.
fn assert_sound(framing: Framing, limit: usize, stream: &[u8], found: &Found) {
    assert!(found.messages.iter().all(|n| (1..=limit).contains(n)));
    let rest = stream.len() - found.messages.iter().sum::<usize>();
    assert!(
        found.bad.is_some() || rest < limit,
        "{framing}: {rest} bytes are left"
    );
}

/// Returns how many bytes have arrived at each attempt: steps of 1 to 16 bytes that depend only on `seed`.
fn arrivals(seed: u8, len: usize) -> Vec<usize> {
    let mut state = u32::from(seed);
    let mut arrived = 0;
    let mut arrivals = vec![];
    while arrived < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        arrived = len.min(arrived + 1 + (state >> 28) as usize);
        arrivals.push(arrived);
    }
    arrivals
}
