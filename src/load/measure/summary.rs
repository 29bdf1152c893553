//! The figures that are computed from a measurement. Objectives are checked against them, and reports print them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::latency_summary::LatencySummary;
use super::measurement::Measurement;
use super::metrics::Counts;

/// The figures of the window: `metrics` in the JSON report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The counts: in JSON, fields of this object.
    #[serde(flatten)]
    pub counts: Counts,
    /// The length of the window in seconds. In a sum of reports: of the longest window.
    pub seconds: f64,
    /// `messages` divided by `seconds`; null if no time passed.
    pub messages_per_sec: Option<f64>,
    /// The rate of an open loop in messages per second: a shard's share of the rate; null for a closed loop.
    pub asked_per_sec: Option<f64>,
    /// The achieved share of `asked_per_sec`, where 1 is all of it; null for a closed loop, or if no time passed. If
    /// the run ends after a number of messages, the time until the first reply does not count.
    pub achieved: Option<f64>,
    /// `bytes` divided by 10^6 and by `seconds`; null if no time passed.
    pub mb_per_sec: Option<f64>,
    /// The number of connections that the process, or the shards, had to keep up.
    pub connections_asked: usize,
    /// The number of connections that were up, on average over the window. With churn, one of them stands for many
    /// connections in turn, and is missing from a failure until the next connect succeeds.
    pub connections_achieved: usize,
    /// The number of unanswered messages, on average over the window; null if no time passed.
    pub in_flight: Option<f64>,
    /// From the intended send to the last byte of the reply.
    pub response_us: LatencySummary,
    /// From the intended send until the connection could take the message. The peer causes this delay.
    pub wait_us: LatencySummary,
    /// From the send to the last byte of the reply.
    pub service_us: LatencySummary,
    /// From the moment at which the message could be sent to the send. The generator causes this delay.
    pub send_lag_us: LatencySummary,
    /// From the first SYN to the established connection.
    pub connect_us: LatencySummary,
    /// From the poll's return to the read of a connection. The generator causes this delay; `service_us` includes it.
    pub turn_us: LatencySummary,
    /// How much later than asked the loops of the generator went on, measured every 20 ms. The generator was stopped then,
    /// waited for a CPU, or the machine stood still. On Windows, the timer's 16 ms are subtracted, elsewhere 1.5 ms.
    pub stalls_us: LatencySummary,
}

/// The time and CPU time that the generator spent: `generator` in the JSON report. A figure is null if no time passed
/// or the system does not tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeneratorSummary {
    /// The share of the time, over all threads, in which the generator neither waited nor spun; 1 is all of the time.
    pub busy: Option<f64>,
    /// The share of the time, over all threads, in which the generator polled without waiting, because a send was due
    /// soon; 1 is all of the time.
    pub spinning: Option<f64>,
    /// The CPU time per message in microseconds, without spinning: `cpu_s` less `spinning_s`, divided by `messages`.
    pub cpu_us_per_message: Option<f64>,
    /// The time per message, in microseconds, in which the threads spun: `spinning_s` divided by `messages`. The rate of
    /// the schedule decides it, not the cost of a message.
    pub spinning_us_per_message: Option<f64>,
    /// The CPU time of the process in the window, in seconds.
    pub cpu_s: Option<f64>,
    /// The time in seconds, added over all threads.
    pub elapsed_s: f64,
    /// The part of `elapsed_s` that was spent waiting in the poll.
    pub polling_s: f64,
    /// The part of `elapsed_s` that was spent polling without waiting.
    pub spinning_s: f64,
    /// The sum of all stalls that are longer than 10 ms, in seconds, added over all threads.
    pub stalled_s: f64,
}

impl Summary {
    /// Computes the figures of `measurement`.
    pub fn of(measurement: &Measurement) -> Self {
        let (total, window) = (&measurement.total, measurement.window.as_secs_f64());
        let per_second = |number: f64| finite(number / window);
        let rate = measurement.achieved_rate();
        Self {
            counts: total.counts.clone(),
            seconds: window,
            messages_per_sec: per_second(total.counts.messages as f64),
            asked_per_sec: rate.map(|rate| rate.target.per_sec),
            achieved: rate.and_then(|rate| rate.share()),
            mb_per_sec: per_second(total.counts.bytes as f64 / 1e6),
            connections_asked: measurement.connections_asked,
            connections_achieved: measurement.connections_achieved,
            in_flight: per_second(total.in_flight as f64 / 1e9),
            response_us: LatencySummary::of(&total.response),
            wait_us: LatencySummary::of(&total.wait),
            service_us: LatencySummary::of(&total.service),
            send_lag_us: LatencySummary::of(&total.send_lag),
            connect_us: LatencySummary::of(&total.connect),
            turn_us: LatencySummary::of(&total.turn),
            stalls_us: LatencySummary::of(&total.stalls),
        }
    }

    /// Returns the number of messages of the window that were answered, in the window or after it.
    pub fn answered(&self) -> u64 {
        self.service_us.count
    }

    /// Returns the failed, unanswered, unsent and corrupted messages as a share of all messages that were intended; `None`
    /// if none was.
    pub fn error_share(&self) -> Option<f64> {
        let counts = &self.counts;
        let unfinished = counts.unanswered + counts.unsent;
        let errors = counts.failures.total() + unfinished + counts.corrupted;
        let intended = errors + self.answered();
        (intended > 0).then(|| errors as f64 / intended as f64)
    }
}

impl GeneratorSummary {
    /// Computes the figures of `measurement`.
    pub fn of(measurement: &Measurement) -> Self {
        let total = &measurement.total;
        let seconds = |nanoseconds: u64| Duration::from_nanos(nanoseconds).as_secs_f64();
        let per_message = |time: f64| finite(time * 1e6 / total.counts.messages as f64);
        let cpu = measurement.generator_cpu.map(|cpu| cpu.as_secs_f64());
        Self {
            busy: total.busy(),
            spinning: finite(total.spinning as f64 / total.elapsed as f64),
            // A thread that spins may lose its CPU, so the spinning may take less CPU time than time.
            cpu_us_per_message: cpu
                .and_then(|cpu| per_message((cpu - seconds(total.spinning)).max(0.0))),
            spinning_us_per_message: per_message(seconds(total.spinning)),
            cpu_s: cpu,
            elapsed_s: seconds(total.elapsed),
            polling_s: seconds(total.polling),
            spinning_s: seconds(total.spinning),
            stalled_s: seconds(total.stalled),
        }
    }
}

fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}
