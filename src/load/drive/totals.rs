//! Adds up what the workers of a run report.

use super::control::WorkerSummary;
use crate::load::measure::interval::IntervalSummary;
use crate::load::measure::metrics::Metrics;

/// The sums over the workers that have reported so far.
#[derive(Default)]
pub struct Totals {
    /// The number of workers whose clients have all tried to connect.
    pub connected_workers: usize,
    /// Connections that were established before the load.
    pub connections: usize,
    /// The metrics of all parts of the window.
    pub metrics: Metrics,
    /// The summaries of all intervals.
    pub intervals: Vec<IntervalSummary>,
    /// The nanoseconds from the start of the window to the end of its latest part.
    pub window: u64,
    /// The busy share of the busiest worker.
    pub busiest: Option<f64>,
    /// The mean number of connections that were up in the window.
    mean_connections: f64,
}

impl Totals {
    /// Adds a worker that has connected.
    pub fn add_connected(&mut self, connections: usize, metrics: &Metrics) {
        self.connected_workers += 1;
        self.connections += connections;
        self.metrics += metrics;
    }

    /// Adds a worker that has finished.
    pub fn add_finished(&mut self, summary: &WorkerSummary) {
        self.mean_connections += summary.connections;
        let busy = [self.busiest, summary.busy];
        self.busiest = busy.into_iter().flatten().reduce(f64::max);
    }

    /// Returns the number of connections that were up in the window, of `requested` connections.
    ///
    /// The mean number is rounded down, after adding 1 % of the requested connections, but at most half a connection.
    /// The moments in which a lost connection was replaced therefore do not count as a missing connection.
    pub fn achieved_connections(&self, requested: usize) -> usize {
        (self.mean_connections + (requested as f64 / 100.0).min(0.5)).floor() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_was_down_for_more_than_a_moment_is_missing() {
        for (mean, requested, expected) in [
            (0.99, 1, 1),
            (0.98, 1, 0),
            (7.93, 8, 8),
            (7.91, 8, 7),
            (4.8, 8, 4),
            (999.5, 1000, 1000),
            (999.4, 1000, 999),
        ] {
            let mut totals = Totals::default();
            totals.add_finished(&WorkerSummary {
                connections: mean,
                ..WorkerSummary::default()
            });
            let achieved = totals.achieved_connections(requested);
            assert_eq!(achieved, expected, "{mean} of {requested}");
        }
    }
}
