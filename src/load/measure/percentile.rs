//! The percentiles that reports have, and when there is one at all.

/// A percentile with fewer samples above it is chance, and not reported.
const SAMPLES_ABOVE: u64 = 10;

/// The percentiles that reports have.
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
    /// All, in ascending order.
    pub const ALL: [Self; 5] = [Self::P50, Self::P90, Self::P99, Self::P999, Self::P9999];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::P9999 => "p99.99",
        }
    }

    /// As a share of one.
    pub fn quantile(self) -> f64 {
        1.0 - 1.0 / self.one_in() as f64
    }

    /// With fewer samples it is not reported: ten have to lie above it.
    pub fn samples_needed(self) -> u64 {
        SAMPLES_ABOVE * self.one_in()
    }

    /// One sample in so many lies above it.
    fn one_in(self) -> u64 {
        match self {
            Self::P50 => 2,
            Self::P90 => 10,
            Self::P99 => 100,
            Self::P999 => 1_000,
            Self::P9999 => 10_000,
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
