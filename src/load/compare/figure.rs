//! The figures that are compared.

use std::fmt;

use serde::Serialize;

use super::conclusion::Direction;
use crate::load::report::schema::Report;

/// A figure of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Replies per second.
    MessagesPerSec,
    /// Replies divided by the CPU time of the server in seconds.
    MessagesPerCpuSecond,
    /// The median of the response, in microseconds.
    P50,
    /// The time that 99 % of the responses do not exceed, in microseconds.
    P99,
}

impl Figure {
    /// All figures, in the order of a report.
    pub const ALL: [Self; 4] = [
        Self::MessagesPerSec,
        Self::MessagesPerCpuSecond,
        Self::P50,
        Self::P99,
    ];

    /// Returns the figure that decides unless another one is chosen: the rate of a closed loop, and the p99 of an open
    /// loop, whose rate is given.
    pub fn primary(is_open_loop: bool) -> Self {
        match is_open_loop {
            true => Self::P99,
            false => Self::MessagesPerSec,
        }
    }

    /// Returns the direction of the figure.
    pub fn direction(self) -> Direction {
        match self {
            Self::MessagesPerSec | Self::MessagesPerCpuSecond => Direction::MoreIsFaster,
            Self::P50 | Self::P99 => Direction::LessIsFaster,
        }
    }

    /// Returns the figure of a run; `None` if the run has no such figure.
    pub fn of(self, report: &Report) -> Option<f64> {
        let metrics = &report.metrics;
        let cpu = || report.server?.cpu_s;
        match self {
            Self::MessagesPerSec => metrics.messages_per_sec,
            Self::MessagesPerCpuSecond => Some(metrics.counts.messages as f64 / cpu()?),
            Self::P50 => metrics.response_us.p50,
            Self::P99 => metrics.response_us.p99,
        }
        .filter(|figure| figure.is_finite() && *figure > 0.0)
    }

    /// Returns why a run may lack the figure.
    pub fn why_missing(self) -> &'static str {
        match self {
            Self::MessagesPerSec => "no message was answered",
            Self::MessagesPerCpuSecond => "the CPU time of the server is unknown",
            Self::P50 | Self::P99 => "too few samples",
        }
    }
}

/// Formats the name with its unit.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MessagesPerSec => "messages/s",
            Self::MessagesPerCpuSecond => "messages per server CPU second",
            Self::P50 => "p50 (us)",
            Self::P99 => "p99 (us)",
        })
    }
}
