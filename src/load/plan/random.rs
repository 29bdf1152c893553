//! Random numbers that a seed repeats.

use fastrand::Rng;

/// What is drawn. Each has numbers of its own, or the sizes of messages would go with their times.
#[derive(Clone, Copy, Debug)]
pub enum RngStream {
    /// Where the bytes of a connection begin in the table.
    Start,
    /// How large the messages of a connection are.
    Sizes,
    /// How far apart the messages of a connection are.
    Gaps,
}

/// The numbers for one connection.
///
/// Generators that begin at seeds close to each other give numbers that go together: of as many connections the arrivals
/// would be far more even than random ones, and ten measurements with ten seeds nearly one and the same. So all that
/// tells the connections apart is mixed first.
pub fn random(seed: u64, drawn: RngStream, connection: u64) -> Rng {
    Rng::with_seed(mix(mix(mix(seed) ^ drawn as u64) ^ connection))
}

/// A bijection in which every bit of the argument changes half of the bits: the finalizer of SplitMix64 (Steele, Lea and
/// Flood, Fast Splittable Pseudorandom Number Generators, 2014), made for arguments that follow one another.
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
    fn no_two_connections_seeds_or_purposes_share_their_numbers() {
        let mut seen = HashSet::new();
        for seed in 0..20 {
            for drawn in [RngStream::Start, RngStream::Sizes, RngStream::Gaps] {
                for connection in 0..100 {
                    let mut random = random(seed, drawn, connection);
                    for _ in 0..10 {
                        assert!(seen.insert(random.u64(..)));
                    }
                }
            }
        }
    }

    #[test]
    fn a_seed_repeats_them() {
        let draw = || random(7, RngStream::Gaps, 3).u64(..);
        assert_eq!(draw(), draw());
    }
}
