//! The results of a run: its figures, or the sum of the figures of shards that ran at the same time.

use std::net::SocketAddr;
use std::ops::AddAssign;
use std::time::{Duration, SystemTime};

use super::batch::Batch;
use super::interference::Interference;
use super::interval::IntervalSummary;
use super::metrics::Metrics;
use super::usage::ServerUsage;
use crate::load::plan::settings::{Arrival, Load, RunSettings};

/// The results of a run.
#[derive(Clone, Debug)]
pub struct Results {
    /// The settings of the run.
    pub settings: RunSettings,
    /// The address of the server.
    pub address: SocketAddr,
    /// The start of the window on the system's clock.
    pub began: SystemTime,
    /// The measured figures.
    pub measurement: Measurement,
}

/// The figures of one run, or the sum of the figures of shards that ran at the same time.
///
/// The verdict and all figures of a report are computed from this value.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// The length of the window.
    pub window: Duration,
    /// The number of connections that the run, or the shards, had to keep up.
    pub connections_asked: usize,
    /// The number of connections that were up, on average over the window. With churn, one of them stands for many
    /// connections in turn, and is missing from a failure until the next connect succeeds.
    pub connections_achieved: usize,
    /// The rate of an open loop; `None` for a closed loop.
    pub target_rate: Option<TargetRate>,
    /// The raw figures of the whole window.
    pub total: Metrics,
    /// The figures of each interval of the window.
    pub intervals: Vec<IntervalSummary>,
    /// The figures of each batch of the window.
    pub batches: Vec<Batch>,
    /// The share of the window in which the busiest worker was busy. `None` if no time passed, or if the figures were
    /// read from a report.
    pub busiest: Option<f64>,
    /// The CPU time of the generator in the window; `None` if the system does not tell.
    pub generator_cpu: Option<Duration>,
    /// The usage of the server; `None` if its process is unknown.
    pub server: Option<ServerUsage>,
    /// The interference of the machine in the window.
    pub interference: Interference,
    /// The number of the signal that ended the run early.
    pub interrupted: Option<i32>,
}

/// The rate that an open loop has to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetRate {
    /// Messages per second.
    pub per_sec: f64,
    /// How the messages are spread over time.
    pub arrival: Arrival,
    /// True if the run ends after a number of messages.
    pub stops_at_count: bool,
}

/// The rate that an open loop achieved.
#[derive(Clone, Copy, Debug)]
pub struct AchievedRate {
    /// The rate that was asked for.
    pub target: TargetRate,
    /// The seconds over which the rate is computed.
    pub seconds: f64,
    /// Messages per second. Not finite if no time passed.
    pub per_sec: f64,
}

impl TargetRate {
    /// Returns the rate that `settings` ask of this process.
    pub fn of(settings: &RunSettings) -> Option<Self> {
        match settings.load {
            Load::Closed => None,
            Load::Open { arrival, .. } => Some(Self {
                per_sec: settings.shard_rate()?,
                arrival,
                stops_at_count: settings.stop.messages.is_some(),
            }),
        }
    }
}

impl Measurement {
    /// Returns the rate that was achieved; `None` for a closed loop.
    ///
    /// If the run ends after a number of messages, the time until the first reply does not count: no reply can arrive
    /// in that time, and a server that is far away is not slow for that reason.
    pub fn achieved_rate(&self) -> Option<AchievedRate> {
        let target = self.target_rate?;
        let (messages, window) = (self.total.counts.messages as f64, self.window.as_secs_f64());
        let first = Duration::from_nanos(self.total.response.known().min()).as_secs_f64();
        let seconds = match target.stops_at_count {
            false => window,
            // No more is achieved than the number of messages allows.
            true => (window - first).max(messages / target.per_sec),
        };
        Some(AchievedRate {
            target,
            seconds,
            per_sec: messages / seconds,
        })
    }
}

impl AchievedRate {
    /// Returns the achieved share of the target; `None` if no time passed.
    pub fn share(&self) -> Option<f64> {
        Some(self.per_sec / self.target.per_sec).filter(|share| share.is_finite())
    }
}

/// Adds the figures of another shard. A sum is unknown if a part is unknown.
impl AddAssign for Measurement {
    fn add_assign(&mut self, other: Self) {
        self.total += &other.total;
        // The longest window: a shorter one would report a rate that was never reached.
        self.window = self.window.max(other.window);
        self.connections_asked += other.connections_asked;
        self.connections_achieved += other.connections_achieved;
        let rates = self.target_rate.zip(other.target_rate);
        self.target_rate = rates.map(|(a, b)| TargetRate {
            per_sec: a.per_sec + b.per_sec,
            ..a
        });
        // The reports of shards do not tell how busy the busiest worker was.
        self.busiest = None;
        self.generator_cpu = self
            .generator_cpu
            .zip(other.generator_cpu)
            .map(|(a, b)| a + b);
        let servers = self.server.zip(other.server);
        self.server = servers.map(|(a, b)| a.sum(b, self.window));
        self.interference = self.interference.sum(other.interference);
        self.interrupted = self.interrupted.or(other.interrupted);
        self.intervals = IntervalSummary::add_all(&self.intervals, &other.intervals);
        self.batches = Batch::add_all(std::mem::take(&mut self.batches), &other.batches);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::testing::open_loop;

    #[test]
    fn a_run_that_stops_at_a_count_achieves_at_most_its_rate() {
        let mut measurement = open_loop().measurement;
        measurement.target_rate = Some(TargetRate {
            per_sec: 1.0,
            arrival: Arrival::Constant,
            stops_at_count: true,
        });
        measurement.total = Metrics::default();
        let share = |measurement: &Measurement| measurement.achieved_rate()?.share();
        assert_eq!(share(&measurement), Some(0.0), "no reply arrived");
        measurement.total.counts.messages = 1;
        measurement.total.response.record(1_000_000_000);
        assert_eq!(share(&measurement), Some(1.0));
    }
}
