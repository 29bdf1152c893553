//! Parts of the window that follow one another, added up to an interval or a batch.

use std::time::Duration;

use super::part_collector::CollectedPart;
use crate::load::measure::interval::Interval;

/// The sum of the parts since the latest interval, or batch, ended. Times are nanoseconds from the start of the window.
#[derive(Default)]
pub struct PartSum {
    start: u64,
    sum: CollectedPart,
}

impl PartSum {
    /// Adds the next part. If the sum then reaches the time that `end_after` returns for its start, it is returned, and the
    /// next one starts.
    pub fn add(
        &mut self,
        part: &CollectedPart,
        end_after: impl FnOnce(u64) -> u64,
    ) -> Option<Interval> {
        self.sum += part;
        (self.sum.end >= end_after(self.start)).then(|| self.take())?
    }

    /// Returns the sum of the parts so far, and starts the next one; `None` if no time passed. A load that was stopped in
    /// its warm-up reports a part without a length.
    pub fn take(&mut self) -> Option<Interval> {
        let sum = std::mem::take(&mut self.sum);
        let start = self.start;
        self.start = start.max(sum.end);
        let length = sum.end.saturating_sub(start);
        (length > 0).then(|| Interval {
            start: Duration::from_nanos(start),
            length: Duration::from_nanos(length),
            response: sum.response.unwrap_or_default(),
            counts: sum.counts,
        })
    }
}
