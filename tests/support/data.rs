//! Deterministic test data that does not repeat within the length of a test.

use std::sync::OnceLock;

/// A prime, so that no buffer size divides the period.
const PERIOD: usize = 1_048_573;

/// An endless sequence of pseudo-random bytes, the same for the same seed.
#[derive(Clone)]
pub struct Data {
    position: usize,
}

impl Data {
    pub fn new(seed: u64) -> Self {
        Self {
            position: (mix(seed) % PERIOD as u64) as usize,
        }
    }

    /// Returns the next `length` bytes.
    pub fn take(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let ahead = &period()[self.position..];
            let ahead = &ahead[..ahead.len().min(length - bytes.len())];
            bytes.extend_from_slice(ahead);
            self.skip(ahead.len());
        }
        bytes
    }

    pub fn skip(&mut self, length: usize) {
        self.position = (self.position + length) % PERIOD;
    }
}

/// A deterministic sequence of pseudo-random numbers, for sizes and choices.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number, which is below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 += 1;
        (mix(self.0) % end as u64) as usize
    }
}

fn period() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let words = (0..PERIOD as u64).step_by(8).map(mix);
        let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        bytes.truncate(PERIOD);
        bytes
    })
}

/// SplitMix64.
fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
