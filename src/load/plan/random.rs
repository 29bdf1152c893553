//! Random numbers that the same seed repeats.

use fastrand::Rng;

/// A purpose of random numbers. Each purpose has a stream of its own; otherwise message sizes would correlate with
/// message times.
#[derive(Clone, Copy, Debug)]
pub enum RngStream {
    /// The position in the payload table where the bytes of a connection start.
    Start,
    /// The sizes of a connection's messages.
    Sizes,
    /// The gaps between a connection's messages.
    Gaps,
}

/// Returns the generator for one purpose and one connection.
///
/// Seeds that are close to each other give correlated generators: the arrivals of many connections would be far more
/// even than random ones, and ten runs with ten seeds would give nearly the same result. The seed, the purpose and the
/// connection are therefore mixed first.
pub fn random(seed: u64, stream: RngStream, connection: u64) -> Rng {
    Rng::with_seed(mix(mix(mix(seed) ^ stream as u64) ^ connection))
}

/// Mixes the bits of `number`: each bit of the argument changes about half of the result's bits.
///
/// This is the finalizer of SplitMix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014).
/// The finalizer is a bijection and is made for consecutive arguments.
fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_seeds_streams_or_connections_share_random_numbers() {
        let mut seen = HashSet::new();
        for seed in 0..20 {
            for stream in [RngStream::Start, RngStream::Sizes, RngStream::Gaps] {
                for connection in 0..100 {
                    let mut random = random(seed, stream, connection);
                    for _ in 0..10 {
                        assert!(seen.insert(random.u64(..)));
                    }
                }
            }
        }
    }

    #[test]
    fn the_same_seed_repeats_the_numbers() {
        let draw = || random(7, RngStream::Gaps, 3).u64(..);
        assert_eq!(draw(), draw());
    }
}
