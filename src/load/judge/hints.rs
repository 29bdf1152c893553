//! Hints at a well-known cause of the measured response times.

use super::interference::shared_processors;
use crate::load::measure::interference::Interference;
use crate::load::measure::latency_summary::LatencySummary;

/// The delays, in milliseconds, by which Nagle's algorithm waits for a delayed ACK: on Linux and BSD, and on Windows.
const DELAYED_ACKS: [f64; 2] = [40.0, 200.0];

/// Returns the hints that a measurement with these response times suggests, each on one line.
pub fn hints(response: &LatencySummary, interference: &Interference) -> Vec<String> {
    let mut hints = delayed_acks(response);
    hints.extend(shared_processors(interference));
    hints
}

fn delayed_acks(response: &LatencySummary) -> Vec<String> {
    let is_near = |delay: &f64| {
        let near = 0.9 * delay..=1.1 * delay;
        response.p50.is_some_and(|p50| near.contains(&(p50 / 1e3)))
    };
    let hint = |delay| {
        format!(
            "p50 of response is near {delay} ms, as if Nagle's algorithm waited for a delayed ACK: check that the \
             server sets TCP_NODELAY"
        )
    };
    DELAYED_ACKS.into_iter().filter(is_near).map(hint).collect()
}
