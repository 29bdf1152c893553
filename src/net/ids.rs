//! The ids of connections.

/// The ids that one loop gives to its connections. No two connections of a server have the same id.
#[derive(Debug)]
pub(super) struct ConnectionIds {
    next: u64,
    step: u64,
}

impl ConnectionIds {
    /// Returns the numbers of the loop at `index`, of `loops` loops: every number from 1 on belongs to one loop.
    pub(super) fn of_loop(index: usize, loops: usize) -> Self {
        Self {
            next: index as u64 + 1,
            step: loops as u64,
        }
    }

    /// Returns a number that was not used before.
    pub(super) fn take(&mut self) -> u64 {
        let id = self.next;
        self.next += self.step;
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_loops_use_the_same_number() {
        let mut loops = [0, 1, 2].map(|index| ConnectionIds::of_loop(index, 3));
        let ids: Vec<_> = (0..9).map(|turn| loops[turn % 3].take()).collect();
        assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
}
