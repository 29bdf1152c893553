//! The order of the runs of a round.

use fastrand::Rng;
use serde::Serialize;

/// A run of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The first run of A.
    A,
    /// The run of B.
    B,
    /// The second run of A. It shows how much A differs from itself.
    AAgain,
}

/// The six orders in which the runs of a round can follow each other.
const ORDERS: [[Side; 3]; 6] = [
    [Side::A, Side::B, Side::AAgain],
    [Side::A, Side::AAgain, Side::B],
    [Side::B, Side::A, Side::AAgain],
    [Side::B, Side::AAgain, Side::A],
    [Side::AAgain, Side::A, Side::B],
    [Side::AAgain, Side::B, Side::A],
];

/// The orders of any number of rounds. Of each six rounds in turn, every round has another order.
///
/// A drift of the machine, or an effect of one run on the next, therefore adds to no side more than to the others. The
/// sequence is random, so that it does not follow a rhythm of the machine.
#[derive(Clone, Debug)]
pub struct Orders {
    random: Rng,
    /// The orders that are left of the present six.
    left: Vec<[Side; 3]>,
}

impl Orders {
    /// Returns the orders that belong to `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Rng::with_seed(seed),
            left: Vec::new(),
        }
    }
}

impl Iterator for Orders {
    type Item = [Side; 3];

    /// Returns the order of the next round. The sequence has no end.
    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            self.left = ORDERS.to_vec();
            self.random.shuffle(&mut self.left);
        }
        self.left.pop()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_six_rounds_have_six_orders() {
        let orders: Vec<_> = Orders::new(7).take(60).collect();
        for six in orders.chunks(6) {
            let distinct: HashSet<_> = six.iter().collect();
            assert_eq!(distinct.len(), 6);
            for order in six {
                let sides: HashSet<_> = order.iter().collect();
                assert_eq!(sides.len(), 3, "{order:?}");
            }
        }
    }

    #[test]
    fn the_seed_decides_the_sequence() {
        let orders = |seed| Orders::new(seed).take(12).collect::<Vec<_>>();
        assert_eq!(orders(7), orders(7));
        assert_ne!(orders(7), orders(8));
    }
}
