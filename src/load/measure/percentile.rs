//! The percentiles of reports, and the number of samples that each needs.

/// A percentile with fewer samples above it is left to chance and not reported.
const SAMPLES_ABOVE: u64 = 10;

/// A percentile of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Percentile {
    /// The median.
    P50,
    /// 90 %.
    P90,
    /// 99 %.
    P99,
    /// 99.9 %.
    P999,
    /// 99.99 %.
    P9999,
}

impl Percentile {
    /// All percentiles in ascending order.
    pub const ALL: [Self; 5] = [Self::P50, Self::P90, Self::P99, Self::P999, Self::P9999];

    /// Returns the name of the percentile in reports.
    pub fn name(self) -> &'static str {
        self.name_and_rarity().0
    }

    /// Returns the percentile as a share of one.
    pub fn quantile(self) -> f64 {
        1.0 - 1.0 / self.name_and_rarity().1 as f64
    }

    /// Returns the rank of the percentile among `count` samples in ascending order, from 1.
    pub fn rank(self, count: u64) -> u64 {
        ((self.quantile() * count as f64).ceil() as u64).max(1)
    }

    /// Returns true if the percentile of `count` samples is known, where the longest `lower_bounds` are only lower bounds.
    pub fn is_known(self, count: u64, lower_bounds: u64) -> bool {
        self.rank(count) <= count - lower_bounds
    }

    /// Returns the number of samples from which on the percentile is reported: ten of them lie above it.
    pub fn samples_needed(self) -> u64 {
        SAMPLES_ABOVE * self.name_and_rarity().1
    }

    /// Returns the name, and `n` if one sample in `n` lies above the percentile.
    fn name_and_rarity(self) -> (&'static str, u64) {
        match self {
            Self::P50 => ("p50", 2),
            Self::P90 => ("p90", 10),
            Self::P99 => ("p99", 100),
            Self::P999 => ("p99.9", 1_000),
            Self::P9999 => ("p99.99", 10_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_samples_lie_above_a_percentile() {
        let needed = Percentile::ALL.map(Percentile::samples_needed);
        assert_eq!(needed, [20, 100, 1_000, 10_000, 100_000]);
        let quantiles = Percentile::ALL.map(Percentile::quantile);
        assert_eq!(quantiles, [0.5, 0.9, 0.99, 0.999, 0.9999]);
    }
}
