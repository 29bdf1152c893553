//! Whatever comes, in whatever pieces: no decoder panics, and all find the same messages as in one piece.
//!
//! The input is a framing, a limit and the seed of a segmentation, one byte each, and then the stream.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mio_echo::conn::Framing;
use mio_echo::conn::framing::{BadFrame, Decoder, Decoded};

/// Room for any header.
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
    let at_once = deframe(framing, limit, stream, &[stream.len()]);
    assert_sound(framing, limit, stream, &at_once);
    let by_byte: Vec<usize> = (1..=stream.len()).collect();
    for arrivals in [by_byte, arrivals(*seed, stream.len())] {
        assert_eq!(deframe(framing, limit, stream, &arrivals), at_once);
    }
});

/// The lengths of the messages, and why there is no further one.
#[derive(Debug, PartialEq, Eq)]
struct Deframed {
    messages: Vec<usize>,
    bad: Option<BadFrame>,
}

/// What is found if so much of the stream has come at each look.
fn deframe(framing: Framing, limit: usize, stream: &[u8], arrivals: &[usize]) -> Deframed {
    let mut decoder = Decoder::default();
    let mut messages = vec![];
    let mut start = 0;
    for &come in arrivals {
        loop {
            match decoder.decode(framing, &stream[start..come], limit) {
                Decoded::Message(length) => {
                    messages.push(length);
                    start += length;
                }
                Decoded::Incomplete => break,
                Decoded::BadFrame(bad) => {
                    let bad = Some(bad);
                    return Deframed { messages, bad };
                }
            }
        }
    }
    Deframed {
        messages,
        bad: None,
    }
}

/// Messages have a byte at least and the limit at most; what is left over has fewer, or is bad.
fn assert_sound(framing: Framing, limit: usize, stream: &[u8], found: &Deframed) {
    assert!(found.messages.iter().all(|n| (1..=limit).contains(n)));
    let rest = stream.len() - found.messages.iter().sum::<usize>();
    assert!(
        found.bad.is_some() || rest < limit,
        "{framing}: {rest} left"
    );
}

/// How much has come at each look: steps of 1 to 16 bytes that depend on `seed` alone.
fn arrivals(seed: u8, len: usize) -> Vec<usize> {
    let mut state = u32::from(seed);
    let mut come = 0;
    let mut arrivals = vec![];
    while come < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        come = len.min(come + 1 + (state >> 28) as usize);
        arrivals.push(come);
    }
    arrivals
}
