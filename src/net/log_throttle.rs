//! Log lines that a flood of clients must not multiply.

use super::timers::nanoseconds;
use std::time::Duration;

/// At most one line in this time, of each kind.
const INTERVAL: Duration = Duration::from_secs(5);

/// Says when a line may be written, and how many times it was due since the last one.
#[derive(Debug, Default)]
pub(super) struct LogThrottle {
    last: Option<u64>,
    times: u64,
}

impl LogThrottle {
    /// Counts one more. Some: write the line now, for so many.
    pub(super) fn count(&mut self, now: u64) -> Option<u64> {
        self.times += 1;
        if self
            .last
            .is_some_and(|last| now.saturating_sub(last) < nanoseconds(INTERVAL))
        {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_at_once_and_the_rest_together_five_seconds_later() {
        let mut throttle = LogThrottle::default();
        assert_eq!(throttle.count(7), Some(1));
        assert_eq!(throttle.count(8), None);
        assert_eq!(throttle.count(7 + 4_999_999_999), None);
        assert_eq!(throttle.count(7 + 5_000_000_000), Some(3));
    }
}
