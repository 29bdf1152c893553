//! The outcome of a measurement, before anything is derived from it.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::metrics::Metrics;
use super::summary::IntervalSummary;
use crate::load::plan::settings::RunSettings;

/// The outcome of a measurement.
#[derive(Clone, Debug)]
pub struct Results {
    /// What was asked for.
    pub settings: RunSettings,
    /// The address that was measured.
    pub address: SocketAddr,
    /// When the window began, on the system's clock.
    pub began: SystemTime,
    /// The length of the window.
    pub window: Duration,
    /// Connections that the server let us have, on average over the window. With churn each of them is many, one after
    /// the other, and is missing from a failure until another succeeds.
    pub connected: usize,
    /// Everything that was measured in the window.
    pub total: Metrics,
    /// The same in short, interval by interval.
    pub intervals: Vec<IntervalSummary>,
    /// The share of the window in which the busiest loop neither waited nor looked again; none where no time passed.
    pub busiest: Option<f64>,
    /// CPU time of this process in the window; none where the system does not tell.
    pub generator_cpu: Option<Duration>,
    /// Of a server that was started for the measurement.
    pub server: Option<ServerUsage>,
    /// The signal that ended the measurement early.
    pub interrupted: Option<i32>,
}

/// A part of the window.
#[derive(Clone, Debug)]
pub struct Interval {
    /// From the begin of the window to that of the interval.
    pub start: Duration,
    /// Its length.
    pub length: Duration,
    /// What was measured in it.
    pub tally: Metrics,
}

/// What the server took; none where the system does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServerUsage {
    /// CPU time in the window.
    pub cpu: Option<Duration>,
    /// Resident memory at the end of the window, in bytes.
    pub rss: Option<u64>,
    /// Resident memory that a connection added when all were connected, in bytes.
    pub bytes_per_connection: Option<f64>,
}
