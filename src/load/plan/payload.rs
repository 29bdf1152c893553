//! Which bytes are sent, so that any that come back wrong are noticed.
//!
//! Byte `o` of a connection is taken from a table of [`PERIOD`] random bytes, from a start that is hashed of the seed and
//! the connection's number. The period is a prime: no block of a power of two can be swapped with another unseen. Nothing
//! is computed where bytes are sent or compared, and nothing is kept of what was sent. With a framing the header and the
//! terminator lie over the bytes of the table.

use std::ops::Range;

use super::random::{RngStream, random};
use crate::conn::{Framing, Overhead};

/// Bytes until the table repeats.
pub const PERIOD: usize = 1_048_583;

/// The most bytes of a message that are handed out at once: as many as the loop reads or writes in a call.
pub const PIECE: usize = 256 * 1024;

/// How many bytes of a difference are shown.
const SHOWN: usize = 8;

/// The bytes of all connections.
#[derive(Debug)]
pub struct Payload {
    framing: Framing,
    seed: u64,
    /// One period, and the begin of the next, so that a piece is never cut.
    table: Box<[u8]>,
}

/// One message of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    table: &'a [u8],
    /// Of its first byte, in the table.
    start: usize,
    size: usize,
    overhead: Overhead,
}

/// A stretch of a message that lies in memory as one, and then another, and a third.
pub type Pieces<'a> = [&'a [u8]; 3];

impl Payload {
    /// The bytes for `seed`. Where a terminator ends a message they are printable, and none is part of one.
    pub fn new(framing: Framing, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut table = vec![0; PERIOD + PIECE].into_boxed_slice();
        match framing {
            Framing::Line | Framing::Crlf => table.fill_with(|| random.u8(b' '..=b'~')),
            _ => random.fill(&mut table),
        }
        let (period, next) = table.split_at_mut(PERIOD);
        next.copy_from_slice(&period[..PIECE]);
        Self {
            framing,
            seed,
            table,
        }
    }

    /// Where the connection with this number begins in the table.
    pub fn start(&self, connection: u64) -> usize {
        random(self.seed, RngStream::Start, connection).usize(..PERIOD)
    }

    /// The message of `size` bytes that begins at byte `offset` of a connection that begins at `start`.
    pub fn message(&self, start: usize, offset: u64, size: usize) -> Message<'_> {
        Message {
            table: &self.table,
            start: (start + (offset % PERIOD as u64) as usize) % PERIOD,
            size,
            overhead: self.framing.overhead(size),
        }
    }
}

impl<'a> Message<'a> {
    /// Its bytes from `from` on, at most [`PIECE`] of the table.
    pub fn pieces(&'a self, from: usize) -> Pieces<'a> {
        let (header, terminator) = (self.overhead.header(), self.overhead.terminator());
        let body_begin = from.max(header.len());
        let body_end = self.size - terminator.len();
        let header = &header[from.min(header.len())..];
        let body = self.body(body_begin..body_end);
        let is_last = body_begin + body.len() >= body_end;
        let terminator = match is_last {
            true => &terminator[from.saturating_sub(body_end)..],
            false => &[],
        };
        [header, body, terminator]
    }

    /// Where `bytes`, which came in place of those from `from` on, differ first, counted from the begin of the message.
    pub fn difference(&self, mut from: usize, mut bytes: &[u8]) -> Option<usize> {
        while !bytes.is_empty() {
            for piece in self.pieces(from) {
                let length = piece.len().min(bytes.len());
                let (come, rest) = bytes.split_at(length);
                if come != &piece[..length] {
                    let at = come.iter().zip(piece).position(|(come, due)| come != due);
                    return at.map(|at| from + at);
                }
                bytes = rest;
                from += length;
            }
        }
        None
    }

    /// A few bytes from `from` on.
    pub fn sample(&self, from: usize) -> Vec<u8> {
        self.pieces(from).concat().into_iter().take(SHOWN).collect()
    }

    fn body(&self, range: Range<usize>) -> &'a [u8] {
        let begin = (self.start + range.start) % PERIOD;
        &self.table[begin..begin + range.len().min(PIECE)]
    }
}

/// A few of `bytes`, from `from` on.
pub fn sample(bytes: &[u8], from: usize) -> Vec<u8> {
    bytes.iter().skip(from).take(SHOWN).copied().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::conn::framing::{Decoded, Decoder};

    fn whole(message: &Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < message.size {
            bytes.extend(message.pieces(bytes.len()).concat());
        }
        bytes
    }

    #[test]
    fn a_message_of_every_framing_is_one_message() {
        for (_, framing) in Framing::ALL {
            let payload = Payload::new(framing, 7);
            for size in [2, 3, 64, 255] {
                let bytes = whole(&payload.message(payload.start(1), 1_000_000, size));
                assert_eq!(bytes.len(), size, "{framing}");
                let found = Decoder::default().decode(framing, &bytes, usize::MAX);
                assert_eq!(found, Decoded::Message(size), "{framing}");
            }
        }
    }

    #[test]
    fn swapped_blocks_are_different() {
        let payload = Payload::new(Framing::Raw, 1);
        let message = payload.message(payload.start(1), 0, 256 * 1024);
        for block in (0..=17).map(|power| 1 << power) {
            let mut bytes = whole(&message);
            let (first, second) = bytes.split_at_mut(block);
            first.swap_with_slice(&mut second[..block]);
            assert!(message.difference(0, &bytes).is_some_and(|at| at < block));
        }
    }

    proptest! {
        #[test]
        fn the_offset_of_the_first_wrong_byte_is_found(
            size in 2_usize..700_000, from in 0.0..1.0, at in 0.0..1.0, which in 0..7_usize
        ) {
            let (_, framing) = Framing::ALL[which];
            let size = match framing { Framing::Len8 => 2 + size % 254, Framing::Len16 | Framing::Len16Le => 2 + size % 65_534, _ => size };
            let payload = Payload::new(framing, 3);
            let message = payload.message(payload.start(9), 12_345_678_901, size);
            let from = (from * size as f64) as usize;
            let at = from + (at * (size - from) as f64) as usize;
            let mut bytes = whole(&message);
            prop_assert_eq!(message.difference(from, &bytes[from..]), None);
            bytes[at] ^= 1;
            prop_assert_eq!(message.difference(from, &bytes[from..]), Some(at));
        }
    }
}
