//! What a measurement has to meet.

use std::time::Duration;

/// Service level objectives. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo(pub Vec<Objective>);

/// One of them: a bound that the measured value has to be under.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Objective {
    /// Of the response times.
    Percentile(Percentile, Duration),
    /// Of the response times.
    Max(Duration),
    /// Of the response times.
    Mean(Duration),
    /// Failures, unanswered, unsent and corrupted messages, as a share of all that ended; of one.
    Errors(f64),
}

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

    /// Of one.
    pub fn quantile(self) -> f64 {
        match self {
            Self::P50 => 0.5,
            Self::P90 => 0.9,
            Self::P99 => 0.99,
            Self::P999 => 0.999,
            Self::P9999 => 0.9999,
        }
    }

    /// So many samples have [`SAMPLES_ABOVE`] above the percentile.
    pub fn samples_needed(self) -> u64 {
        SAMPLES_ABOVE
            * match self {
                Self::P50 => 2,
                Self::P90 => 10,
                Self::P99 => 100,
                Self::P999 => 1_000,
                Self::P9999 => 10_000,
            }
    }
}

/// A percentile with fewer samples above it is chance, and not reported.
pub const SAMPLES_ABOVE: u64 = 10;
