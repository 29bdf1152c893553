//! The bytes of the messages, chosen so that every wrong byte of a reply is noticed.
//!
//! The byte stream of a connection is read from a table of [`PERIOD`] random bytes, from a position that is hashed from
//! the seed and the connection's number. The period is a prime, so two swapped blocks of a power of two always differ.
//! Sending and comparing draw no random numbers, and no copy of the sent bytes is kept. With a framing, the header and
//! the terminator of a message replace the bytes of the table at their place.

use std::iter::repeat_with;
use std::ops::Range;

use super::random::{RngStream, random};
use crate::conn::{Framing, Overhead};

/// The number of bytes after which the table repeats.
pub const PERIOD: usize = 1_048_583;

/// The most bytes of a message that are handed out at once: as many as the worker reads in a call.
pub const PIECE: usize = 256 * 1024;

/// The number of bytes that a sample shows.
const SAMPLE: usize = 8;

/// The bytes of all connections.
#[derive(Debug)]
pub struct Payload {
    framing: Framing,
    seed: u64,
    /// One period and the first [`PIECE`] of the next, so that no piece is cut at the end of the period.
    table: Box<[u8]>,
}

/// The bytes of one message.
#[derive(Clone, Copy, Debug)]
pub struct MessageBytes<'a> {
    table: &'a [u8],
    /// The position of the first byte in the table.
    start: usize,
    size: usize,
    overhead: Overhead,
}

/// Consecutive bytes of a message: a part of its header, of its body and of its terminator. Each may be empty.
pub type Pieces<'a> = [&'a [u8]; 3];

impl Payload {
    /// Creates the bytes for `seed`. If a terminator ends a message, the bytes are printable and not in the terminator.
    pub fn new(framing: Framing, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut table = vec![0; PERIOD + PIECE].into_boxed_slice();
        let terminator = framing.overhead(0).terminator();
        if terminator.is_empty() {
            random.fill(&mut table);
        } else {
            table.fill_with(|| {
                repeat_with(|| random.u8(b' '..=b'~'))
                    .find(|byte| !terminator.contains(byte))
                    .unwrap_or(b' ')
            });
        }
        let (period, next) = table.split_at_mut(PERIOD);
        next.copy_from_slice(&period[..PIECE]);
        Self {
            framing,
            seed,
            table,
        }
    }

    /// Returns the position in the table at which the byte stream of a connection starts.
    pub fn start(&self, connection: u64) -> usize {
        random(self.seed, RngStream::Start, connection).usize(..PERIOD)
    }

    /// Returns the message of `size` bytes at `offset` of a byte stream that starts at position `start` of the table.
    pub fn message(&self, start: usize, offset: u64, size: usize) -> MessageBytes<'_> {
        MessageBytes {
            table: &self.table,
            start: (start + (offset % PERIOD as u64) as usize) % PERIOD,
            size,
            overhead: self.framing.overhead(size),
        }
    }
}

impl<'a> MessageBytes<'a> {
    /// Returns the bytes from offset `from` on, at most [`PIECE`] of the body.
    pub fn pieces(&'a self, from: usize) -> Pieces<'a> {
        let (header, terminator) = (self.overhead.header(), self.overhead.terminator());
        let body_start = from.max(header.len());
        let body_end = self.size - terminator.len();
        let header = &header[from.min(header.len())..];
        let body = self.body(body_start..body_end);
        let is_last = body_start + body.len() >= body_end;
        let terminator = match is_last {
            true => &terminator[from.saturating_sub(body_end)..],
            false => &[],
        };
        [header, body, terminator]
    }

    /// Returns the offset of the first wrong byte of `reply`, which answers the message from offset `from` on.
    pub fn first_difference(&self, mut from: usize, mut reply: &[u8]) -> Option<usize> {
        while !reply.is_empty() {
            for piece in self.pieces(from) {
                let length = piece.len().min(reply.len());
                let (got, rest) = reply.split_at(length);
                if got != &piece[..length] {
                    let at = got.iter().zip(piece).position(|(got, sent)| got != sent);
                    return at.map(|at| from + at);
                }
                reply = rest;
                from += length;
            }
        }
        None
    }

    /// Returns the first few bytes from offset `from` on.
    pub fn sample(&self, from: usize) -> Vec<u8> {
        sample(&self.pieces(from).concat(), 0)
    }

    fn body(&self, range: Range<usize>) -> &'a [u8] {
        let start = (self.start + range.start) % PERIOD;
        &self.table[start..start + range.len().min(PIECE)]
    }
}

/// Returns the first few of `bytes` from offset `from` on.
pub fn sample(bytes: &[u8], from: usize) -> Vec<u8> {
    bytes.iter().skip(from).take(SAMPLE).copied().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::conn::framing::{Decoded, Decoder};

    fn all_bytes(message: &MessageBytes) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < message.size {
            bytes.extend(message.pieces(bytes.len()).concat());
        }
        bytes
    }

    #[test]
    fn every_framing_decodes_its_message_as_one_message() {
        for (_, framing) in Framing::ALL {
            let payload = Payload::new(framing, 7);
            for size in [2, 3, 64, 255] {
                let bytes = all_bytes(&payload.message(payload.start(1), 1_000_000, size));
                assert_eq!(bytes.len(), size, "{framing}");
                let decoded = Decoder::default().decode(framing, &bytes, usize::MAX);
                assert_eq!(decoded, Decoded::Message(size), "{framing}");
            }
        }
    }

    #[test]
    fn swapped_blocks_of_a_power_of_two_differ() {
        let payload = Payload::new(Framing::Raw, 1);
        let message = payload.message(payload.start(1), 0, 256 * 1024);
        for block in (0..=17).map(|power| 1 << power) {
            let mut bytes = all_bytes(&message);
            let (first, second) = bytes.split_at_mut(block);
            first.swap_with_slice(&mut second[..block]);
            assert!(
                message
                    .first_difference(0, &bytes)
                    .is_some_and(|at| at < block)
            );
        }
    }

    proptest! {
        // A case takes 20 ms without optimisation.
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_offset_of_the_first_wrong_byte_is_found(
            size in 2_usize..700_000, from in 0.0..1.0, at in 0.0..1.0, which in 0..Framing::ALL.len()
        ) {
            let (_, framing) = Framing::ALL[which];
            let size = match framing {
                Framing::Len8 => 2 + size % 254,
                Framing::Len16 | Framing::Len16Le => 2 + size % 65_534,
                Framing::Raw | Framing::Nul | Framing::Line | Framing::Crlf => size,
            };
            let payload = Payload::new(framing, 3);
            let message = payload.message(payload.start(9), 12_345_678_901, size);
            let from = (from * size as f64) as usize;
            let at = from + (at * (size - from) as f64) as usize;
            let mut bytes = all_bytes(&message);
            prop_assert_eq!(message.first_difference(from, &bytes[from..]), None);
            bytes[at] ^= 1;
            prop_assert_eq!(message.first_difference(from, &bytes[from..]), Some(at));
        }
    }
}
