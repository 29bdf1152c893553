//! Whether a measurement can be believed, and what bound it.
//!
//! A load generator that is late, or a server that is overloaded, still yields numbers. Here is said when they do not
//! mean what they seem to.

use serde::{Deserialize, Serialize};

use super::throughput::{TargetRate, Throughput};
use crate::load::measure::metrics::LatencyHistogram;
use crate::load::measure::percentile::Percentile;
use crate::load::measure::results::Results;
use crate::load::plan::settings::{Arrival, Load};

/// An open loop whose p99 of the send lag is longer, in nanoseconds, may be late.
const LATE: u64 = 100_000;

/// It is late if that is also more than this share of the p99 of the response.
const LATE_SHARE: f64 = 0.10;

/// A generator that is busier than this may be what is measured; so may a server, of one core.
const BUSY: f64 = 0.90;

/// Messages in flight may be off the product of rate and mean service by this share.
const LITTLE: f64 = 0.10;

/// Where service takes so many times its minimum half of the time, replies queue.
const QUEUEING: f64 = 2.0;

/// How the one reason begins that a part of a measurement may have and the whole has not.
pub(crate) const TOO_FEW: &str = "too few samples";

/// Whether a measurement can be believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// It can.
    pub valid: bool,
    /// Why not, each on one line; empty if it can.
    pub reasons: Vec<String>,
}

/// What bounds a closed loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Limit {
    /// This process.
    Generator,
    /// The peer.
    Server,
    /// Neither of them: the time between them.
    Neither,
}

impl Verdict {
    /// Of a measurement.
    pub fn of(results: &Results) -> Self {
        let open: &[fn(&Results) -> Option<String>] =
            &[late_generator, busy_generator, overload, too_slow];
        let always: &[fn(&Results) -> Option<String>] =
            &[missing_connections, violates_littles_law, |results| {
                few_samples(&results.total.response)
            }];
        let open = match results.settings.load {
            Load::Open { .. } => open,
            Load::Closed => &[],
        };
        let rules = open.iter().chain(always);
        Self::from_reasons(rules.filter_map(|rule| rule(results)).collect())
    }

    /// Valid if there is no reason against it.
    pub fn from_reasons(reasons: Vec<String>) -> Self {
        Self {
            valid: reasons.is_empty(),
            reasons,
        }
    }
}

impl Limit {
    /// Of a closed loop; an open one is bound by its schedule.
    pub fn of(results: &Results) -> Option<Self> {
        let is_closed = results.settings.load == Load::Closed;
        is_closed.then(|| match () {
            () if results.busiest.is_some_and(|busy| busy > BUSY) => Self::Generator,
            () if is_server_full(results) => Self::Server,
            () => Self::Neither,
        })
    }

    /// As reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generator => "generator",
            Self::Server => "server",
            Self::Neither => "neither",
        }
    }
}

fn late_generator(results: &Results) -> Option<String> {
    let lag = p99(&results.total.send_lag)?;
    let response = p99(&results.total.response)?;
    let is_late = lag > LATE && lag as f64 > LATE_SHARE * response as f64;
    is_late.then(|| {
        let [lag, response] = [lag, response].map(|time| time as f64 / 1e3);
        format!("generator late: p99 of send lag {lag:.1} us, of response {response:.1} us")
    })
}

fn busy_generator(results: &Results) -> Option<String> {
    let busy = results.busiest.filter(|busy| *busy > BUSY)?;
    Some(format!("generator busy: {:.0} % of the time", busy * 100.0))
}

/// One message a connection may be caught by the end of the window behind a reply that is on its way.
fn overload(results: &Results) -> Option<String> {
    let unsent = results.total.unsent;
    (unsent > results.settings.shard_connections() as u64)
        .then(|| format!("overload: {unsent} messages of the schedule were never sent"))
}

fn too_slow(results: &Results) -> Option<String> {
    let Load::Open { arrival, .. } = results.settings.load else {
        return None;
    };
    let asked = TargetRate {
        rate: results.settings.shard_rate()?,
        is_random: arrival == Arrival::Poisson,
        messages: results.settings.stop.messages,
    };
    Throughput::of(asked, results.window, &results.total).too_slow()
}

fn missing_connections(results: &Results) -> Option<String> {
    let (asked, connected) = (results.settings.shard_connections(), results.connected);
    (connected < asked).then(|| format!("achieved {connected} of {asked} connections"))
}

/// Little's law: what is in flight is the product of how much comes and how long it stays.
fn violates_littles_law(results: &Results) -> Option<String> {
    let tally = &results.total;
    let window = results.window.as_nanos() as f64;
    if window == 0.0 || tally.service.histogram.is_empty() {
        return None;
    }
    let in_flight = tally.in_flight as f64 / window;
    let expected = tally.messages as f64 / window * tally.service.histogram.mean();
    ((in_flight - expected).abs() > LITTLE * expected).then(|| {
        format!("in flight {in_flight:.2} messages, but rate x mean service is {expected:.2} (Little's law)")
    })
}

/// What is against so few responses.
pub(crate) fn few_samples(response: &LatencyHistogram) -> Option<String> {
    let count = response.histogram.len();
    let needed = Percentile::P99.samples_needed();
    (count < needed).then(|| {
        format!(
            "{TOO_FEW}: with {count} responses of at least {needed}, p99 has fewer than 10 above it"
        )
    })
}

fn is_server_full(results: &Results) -> bool {
    let window = results.window.as_secs_f64();
    match results.server.and_then(|server| server.cpu) {
        Some(cpu) => cpu.as_secs_f64() > BUSY * window,
        None => is_queueing(&results.total.service),
    }
}

fn is_queueing(service: &LatencyHistogram) -> bool {
    let histogram = &service.histogram;
    let median = histogram.value_at_quantile(Percentile::P50.quantile());
    median as f64 > QUEUEING * histogram.min() as f64
}

fn p99(row: &LatencyHistogram) -> Option<u64> {
    let histogram = &row.histogram;
    let quantile = Percentile::P99.quantile();
    (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile).min(row.max))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::measure::results::ServerUsage;
    use crate::load::plan::settings::Shard;
    use crate::load::testing::{open, results};

    /// Changes a valid measurement, and says what is then against it.
    #[track_caller]
    fn reasons(mut results: Results, change: impl FnOnce(&mut Results)) -> Vec<String> {
        change(&mut results);
        let verdict = Verdict::of(&results);
        assert_eq!(verdict.valid, verdict.reasons.is_empty());
        verdict.reasons
    }

    fn times(row: &mut LatencyHistogram, count: u64, nanoseconds: u64) {
        for _ in 0..count {
            row.record(nanoseconds);
        }
    }

    /// Another rate was asked for.
    fn asked(rate: f64, arrival: Arrival) -> impl Fn(&mut Results) {
        move |r| r.settings.load = Load::Open { rate, arrival }
    }

    #[test]
    fn nothing_is_against_a_good_measurement() {
        assert_eq!(reasons(results(), |_| {}), [""; 0]);
        assert_eq!(reasons(open(), |_| {}), [""; 0]);
    }

    #[test]
    fn a_generator_is_late_if_its_lag_is_long_and_a_good_part_of_the_response() {
        let late = reasons(open(), |r| times(&mut r.total.send_lag, 1_000, 120_000));
        assert_eq!(
            late,
            ["generator late: p99 of send lag 120.0 us, of response 298.2 us"]
        );
        let short = |r: &mut Results| times(&mut r.total.send_lag, 1_000, 99_000);
        assert_eq!(reasons(open(), short), [""; 0]);
        let small_part = |r: &mut Results| {
            times(&mut r.total.send_lag, 1_000, 120_000);
            times(&mut r.total.response, 1_000, 1_300_000);
        };
        assert_eq!(reasons(open(), small_part), [""; 0]);
        assert_eq!(
            reasons(results(), |r| times(&mut r.total.send_lag, 1_000, 120_000)),
            [""; 0]
        );
    }

    #[test]
    fn an_open_loop_needs_a_generator_with_time_to_spare() {
        let busy = |r: &mut Results| r.busiest = Some(0.91);
        assert_eq!(reasons(open(), busy), ["generator busy: 91 % of the time"]);
        let just = |r: &mut Results| r.busiest = Some(0.90);
        assert_eq!(reasons(open(), just), [""; 0]);
        assert_eq!(
            reasons(results(), busy),
            [""; 0],
            "a closed loop is bound by something"
        );
    }

    #[test]
    fn what_was_never_sent_is_overload() {
        assert_eq!(
            reasons(open(), |r| r.total.unsent = 7),
            ["overload: 7 messages of the schedule were never sent"]
        );
        let last = reasons(open(), |r| r.total.unsent = 2);
        assert_eq!(last, [""; 0], "the end of the window is no overload");
    }

    #[test]
    fn an_open_loop_has_to_achieve_its_rate() {
        let slower = |rate| asked(rate, Arrival::Constant);
        assert_eq!(reasons(open(), slower(2_020.0)), [""; 0]);
        assert_eq!(
            reasons(open(), slower(2_021.0)),
            ["achieved 98.9 % of the rate: 2000.0 of 2021.0 messages/s"]
        );
        let half = |r: &mut Results| {
            slower(4_000.0)(r);
            r.settings.connections = 4;
            r.settings.shard = Some(Shard { index: 0, count: 2 });
        };
        assert_eq!(
            reasons(open(), half),
            [""; 0],
            "a shard has its part of the rate"
        );
    }

    #[test]
    fn a_number_of_messages_is_not_slower_because_the_server_is_far_away() {
        let far = |length: u64| {
            move |r: &mut Results| {
                r.settings.stop.messages = Some(2_000);
                r.window = Duration::from_millis(length);
                r.total.response = LatencyHistogram::default();
                times(&mut r.total.response, 2_000, 200_000_000);
            }
        };
        assert_eq!(reasons(open(), far(1_200)), [""; 0]);
        // The histogram has the least of them to three digits.
        assert_eq!(
            reasons(open(), far(2_200)),
            ["achieved 49.9 % of the rate: 999.9 of 2000.0 messages/s"]
        );
    }

    #[test]
    fn random_arrivals_may_be_fewer_by_chance() {
        let random = |rate| asked(rate, Arrival::Poisson);
        assert_eq!(reasons(open(), random(2_100.0)), [""; 0]);
        assert_eq!(
            reasons(open(), random(2_200.0)),
            ["achieved 90.9 % of the rate: 2000.0 of 2200.0 messages/s"]
        );
    }

    #[test]
    fn fewer_connections_than_asked_are_named() {
        for measured in [open(), results()] {
            assert_eq!(
                reasons(measured, |r| r.connected = 1),
                ["achieved 1 of 2 connections"]
            );
        }
    }

    #[test]
    fn little_s_law_has_to_hold_within_a_tenth() {
        for (percent, holds) in [(89, false), (91, true), (109, true), (111, false)] {
            let off = reasons(results(), |r| {
                r.total.in_flight = r.total.in_flight * percent / 100
            });
            assert_eq!(off.is_empty(), holds, "{percent}: {off:?}");
        }
        let off = reasons(results(), |r| r.total.in_flight *= 2);
        assert_eq!(
            off,
            ["in flight 0.80 messages, but rate x mean service is 0.40 (Little's law)"]
        );
    }

    #[test]
    fn under_1_000_responses_there_is_no_p99() {
        let few = reasons(results(), |r| {
            r.total.response = LatencyHistogram::default();
            times(&mut r.total.response, 999, 1_000);
        });
        assert_eq!(
            few,
            [
                "too few samples: with 999 responses of at least 1000, p99 has fewer than 10 above it"
            ]
        );
    }

    #[test]
    fn nothing_at_all_is_suspect_and_no_division_by_zero() {
        let nothing = reasons(open(), |r| {
            r.total = crate::load::Metrics::default();
            r.window = Duration::ZERO;
        });
        assert_eq!(nothing.len(), 1, "{nothing:?}");
    }

    #[test]
    fn a_closed_loop_is_limited_by_the_generator_the_server_or_neither() {
        let limit = |change: fn(&mut Results)| {
            let mut results = results();
            change(&mut results);
            Limit::of(&results).map(Limit::name)
        };
        let cpu = |milliseconds| {
            Some(ServerUsage {
                cpu: Some(Duration::from_millis(milliseconds)),
                ..ServerUsage::default()
            })
        };
        let server = move |milliseconds| {
            let mut results = results();
            results.server = cpu(milliseconds);
            times(&mut results.total.service, 9_000, 900_000);
            Limit::of(&results).map(Limit::name)
        };
        assert_eq!(limit(|_| {}), Some("neither"));
        assert_eq!(limit(|r| r.busiest = Some(0.91)), Some("generator"));
        assert_eq!(
            limit(|r| times(&mut r.total.service, 9_000, 900_000)),
            Some("server")
        );
        assert_eq!(
            [server(901), server(899)],
            [Some("server"), Some("neither")]
        );
        assert_eq!(Limit::of(&open()), None);
    }
}
