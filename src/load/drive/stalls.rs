//! Counts the connections whose peers do not read, and decides when to tell the user.

/// The connections whose peers do not read.
#[derive(Debug, Default)]
pub struct Stalls {
    count: u64,
    reported: u64,
}

impl Stalls {
    /// Counts a connection.
    pub fn add(&mut self) {
        self.count += 1;
    }

    /// Returns the number of connections if the user does not know of half of them. Peers that stop together are one
    /// message if this is called some time after the first.
    pub fn take_report(&mut self) -> Option<u64> {
        let is_due = self.count > 0 && self.count >= 2 * self.reported;
        is_due.then(|| {
            self.reported = self.count;
            self.count
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_b5_stalled_connections_are_reported_again_when_their_number_has_doubled() {
        let mut stalls = Stalls::default();
        assert_eq!(stalls.take_report(), None);
        let mut reports = Vec::new();
        for (more, times) in [(300, 1), (1, 299), (1, 1), (1, 599), (1, 1), (0, 3)] {
            for _ in 0..times {
                (0..more).for_each(|_| stalls.add());
                reports.extend(stalls.take_report());
            }
        }
        assert_eq!(reports, [300, 600, 1_200]);
    }
}
