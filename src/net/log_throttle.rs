//! A limit for log lines, so that a flood of clients does not flood the log.

use std::time::Duration;

use super::timers::nanoseconds;

/// The shortest time between two lines of one kind.
const INTERVAL: Duration = Duration::from_secs(5);

/// Decides when a line of one kind may be written, and counts the occurrences since the last line.
#[derive(Debug, Default)]
pub(super) struct LogThrottle {
    last: Option<u64>,
    count: u64,
}

impl LogThrottle {
    /// Counts an occurrence at `now`. Returns the count since the last line if a line may be written now.
    pub(super) fn count(&mut self, now: u64) -> Option<u64> {
        self.count += 1;
        if self
            .last
            .is_some_and(|last| now.saturating_sub(last) < nanoseconds(INTERVAL))
        {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_written_at_once_and_the_next_after_five_seconds() {
        let mut throttle = LogThrottle::default();
        assert_eq!(throttle.count(7), Some(1));
        assert_eq!(throttle.count(8), None);
        assert_eq!(throttle.count(7 + 4_999_999_999), None);
        assert_eq!(throttle.count(7 + 5_000_000_000), Some(3));
    }
}
