//! The verdict: whether the figures can be trusted, and what limits a closed loop.
//!
//! A generator that is late and a server that is overloaded still yield figures. The rules here find figures that do
//! not mean what they seem to mean.

use std::{fmt, iter};

use serde::{Deserialize, Serialize};

use super::interference::{busy_machine, stalled, stolen_time, throttled};
use super::reason::{Reason, ReasonCode};
use super::stationarity::{SteadyFigure, not_stationary};
use super::throughput::below_rate;
use crate::load::measure::latency_histogram::LatencyHistogram;
use crate::load::measure::measurement::Measurement;
use crate::load::measure::percentile::Percentile;
use crate::load::measure::usage::ServerUsage;

/// The p99 of the send lag, in nanoseconds, up to which a generator is never late.
const LATE: u64 = 100_000;

/// A late generator's p99 of the send lag also exceeds this share of the p99 of the response.
const LATE_SHARE: f64 = 0.10;

/// A generator that is busy for more than this share of the time may limit the figures. A server is at its limit if one
/// of its threads uses this share of a core, however many threads it has.
const BUSY: f64 = 0.90;

/// The share by which the messages in flight may differ from rate x mean service.
const LITTLES_TOLERANCE: f64 = 0.10;

/// Replies queue in the server if the median of the service time exceeds its minimum by this factor.
const QUEUEING: f64 = 2.0;

/// The verdict on a measurement: VALID or SUSPECT in the text report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// True if the figures can be trusted: there is no reason against it.
    pub valid: bool,
    /// The reasons not to trust the figures, each on one line. The words may change between versions.
    pub reasons: Vec<String>,
    /// The kind of each reason, in the order of `reasons`. The names are stable. Reports of earlier versions have no
    /// codes, and `bench merge` counts their reasons as `unknown`.
    #[serde(default)]
    pub codes: Vec<ReasonCode>,
}

/// What limits a closed loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LimitedBy {
    /// The generator: its busiest thread is busy for more than 90 % of the time.
    Generator,
    /// The server: one of its threads uses more than 90 % of a core, or all together if they are not told apart, or, if its
    /// CPU time is unknown, its replies queue.
    Server,
    /// Neither of them: for example the network, or the number of connections.
    Neither,
}

impl Verdict {
    /// Returns the verdict on one run.
    pub fn of(measurement: &Measurement) -> Self {
        type Rule = fn(&Measurement) -> Option<Reason>;
        let open: &[Rule] = match measurement.target_rate {
            Some(_) => &[late_generator, busy_generator, overload, below_rate],
            None => &[],
        };
        let always: &[Rule] = &[
            missing_connections,
            busy_machine,
            stolen_time,
            throttled,
            stalled,
            unsteady,
            littles_law,
            too_few_samples,
        ];
        let rules = open.iter().chain(always);
        Self::from_reasons(rules.filter_map(|rule| rule(measurement)))
    }

    /// Returns the verdict that follows from `reasons`: valid without any.
    pub fn from_reasons(reasons: impl IntoIterator<Item = Reason>) -> Self {
        let reasons = reasons.into_iter();
        let (codes, reasons): (Vec<_>, Vec<_>) = reasons.map(|r| (r.code, r.text)).unzip();
        Self {
            valid: reasons.is_empty(),
            reasons,
            codes,
        }
    }

    /// Returns the reasons with their codes.
    pub fn coded_reasons(&self) -> impl Iterator<Item = Reason> {
        let codes = self.codes.iter().copied();
        let codes = codes.chain(iter::repeat(ReasonCode::Unknown));
        let reasons = self.reasons.iter().zip(codes);
        reasons.map(|(text, code)| Reason::new(code, text.clone()))
    }
}

impl LimitedBy {
    /// Returns what limits a closed loop; `None` for an open loop, which its schedule limits.
    pub fn of(measurement: &Measurement) -> Option<Self> {
        if measurement.target_rate.is_some() {
            None
        } else if measurement.busiest.is_some_and(|busy| busy > BUSY) {
            Some(Self::Generator)
        } else if is_server_at_limit(measurement) {
            Some(Self::Server)
        } else {
            Some(Self::Neither)
        }
    }
}

/// Formats the name in reports.
impl fmt::Display for LimitedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

fn late_generator(measurement: &Measurement) -> Option<Reason> {
    let p99 = |times: &LatencyHistogram| times.percentile(Percentile::P99, &times.known());
    let lag = p99(&measurement.total.send_lag)?;
    let response = p99(&measurement.total.response)?;
    let is_late = lag > LATE && lag as f64 > LATE_SHARE * response as f64;
    Reason::when(is_late, ReasonCode::LateGenerator, || {
        let [lag, response] = [lag, response].map(|time| time as f64 / 1e3);
        let share = 100.0 * LATE_SHARE;
        format!(
            "generator late: p99 of send lag is {lag:.1} us, over {share:.0} % of the p99 of response ({response:.1} us)"
        )
    })
}

fn busy_generator(measurement: &Measurement) -> Option<Reason> {
    let busy = measurement.busiest?;
    Reason::when(busy > BUSY, ReasonCode::BusyGenerator, || {
        format!("generator busy: {:.0} % of the time", busy * 100.0)
    })
}

fn overload(measurement: &Measurement) -> Option<Reason> {
    let unsent = measurement.total.counts.unsent;
    // Chance allows one unsent message per connection: it was due when the window ended, while a reply was on its way.
    let is_overload = unsent > measurement.connections_asked as u64;
    Reason::when(is_overload, ReasonCode::Overload, || {
        format!("overload: {unsent} messages of the schedule were never sent")
    })
}

fn missing_connections(measurement: &Measurement) -> Option<Reason> {
    let asked = measurement.connections_asked;
    let achieved = measurement.connections_achieved;
    Reason::when(achieved < asked, ReasonCode::MissingConnections, || {
        format!("on average {achieved} of {asked} connections were up")
    })
}

fn unsteady(measurement: &Measurement) -> Option<Reason> {
    not_stationary(&measurement.batches, SteadyFigure::of(measurement))
}

/// Little's law: the number of messages in flight is their rate multiplied by the mean time in flight.
fn littles_law(measurement: &Measurement) -> Option<Reason> {
    let total = &measurement.total;
    let window = measurement.window.as_nanos() as f64;
    if window == 0.0 || total.service.histogram.is_empty() {
        return None;
    }
    let in_flight = total.in_flight as f64 / window;
    let expected = total.counts.messages as f64 / window * total.service.histogram.mean();
    let is_off = (in_flight - expected).abs() > LITTLES_TOLERANCE * expected;
    Reason::when(is_off, ReasonCode::LittlesLaw, || {
        format!(
            "{in_flight:.2} messages in flight on average, but rate x mean service is {expected:.2} messages \
             (Little's law)"
        )
    })
}

/// Returns a reason if there are too few responses for a p99.
pub fn too_few_samples(measurement: &Measurement) -> Option<Reason> {
    let count = measurement.total.response.histogram.len();
    let needed = Percentile::P99.samples_needed();
    Reason::when(count < needed, ReasonCode::TooFewSamples, || {
        format!("too few samples: {count} responses, and p99 needs {needed}")
    })
}

fn is_server_at_limit(measurement: &Measurement) -> bool {
    let service = &measurement.total.service;
    let busiest = |server: ServerUsage| server.busiest_thread.or(server.cpu);
    match measurement.server.and_then(busiest) {
        Some(cores) => cores > BUSY,
        None => service
            .percentile(Percentile::P50, &service.known())
            .is_some_and(|median| median as f64 > QUEUEING * service.histogram.min() as f64),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::measure::latency_histogram::LatencyHistogram;
    use crate::load::measure::measurement::TargetRate;
    use crate::load::measure::metrics::Metrics;
    use crate::load::plan::settings::Arrival;
    use crate::load::testing;

    fn closed() -> Measurement {
        testing::closed_loop().measurement
    }

    fn open() -> Measurement {
        testing::open_loop().measurement
    }

    /// Applies `change` to a valid measurement and returns the reasons against it.
    #[track_caller]
    fn reasons(mut measurement: Measurement, change: impl FnOnce(&mut Measurement)) -> Vec<String> {
        change(&mut measurement);
        let verdict = Verdict::of(&measurement);
        assert_eq!(verdict.valid, verdict.reasons.is_empty());
        assert_eq!(verdict.codes.len(), verdict.reasons.len());
        assert!(!verdict.codes.contains(&ReasonCode::Unknown));
        verdict.reasons
    }

    fn record(latencies: &mut LatencyHistogram, count: u64, nanoseconds: u64) {
        for _ in 0..count {
            latencies.record(nanoseconds);
        }
    }

    fn target(per_sec: f64, arrival: Arrival) -> impl Fn(&mut Measurement) {
        move |m| {
            m.target_rate = Some(TargetRate {
                per_sec,
                arrival,
                stops_at_count: false,
            })
        }
    }

    #[test]
    fn a_good_measurement_is_valid() {
        assert_eq!(reasons(closed(), |_| {}), [""; 0]);
        assert_eq!(reasons(open(), |_| {}), [""; 0]);
    }

    #[test]
    fn a_generator_is_late_if_its_send_lag_is_long_and_over_a_tenth_of_the_response() {
        let late = |m: &mut Measurement| record(&mut m.total.send_lag, 1_000, 120_000);
        assert_eq!(
            reasons(open(), late),
            [
                "generator late: p99 of send lag is 120.0 us, over 10 % of the p99 of response (298.2 us)"
            ]
        );
        let short = |m: &mut Measurement| record(&mut m.total.send_lag, 1_000, 99_000);
        assert_eq!(reasons(open(), short), [""; 0]);
        let small_share = |m: &mut Measurement| {
            record(&mut m.total.send_lag, 1_000, 120_000);
            record(&mut m.total.response, 1_000, 1_300_000);
        };
        assert_eq!(reasons(open(), small_share), [""; 0]);
        assert_eq!(reasons(closed(), late), [""; 0]);
    }

    #[test]
    fn an_open_loop_is_suspect_if_a_thread_of_the_generator_is_busy_for_over_90_percent() {
        let busy = |m: &mut Measurement| m.busiest = Some(0.91);
        assert_eq!(reasons(open(), busy), ["generator busy: 91 % of the time"]);
        let just_idle = |m: &mut Measurement| m.busiest = Some(0.90);
        assert_eq!(reasons(open(), just_idle), [""; 0]);
        let why = "something limits every closed loop";
        assert_eq!(reasons(closed(), busy), [""; 0], "{why}");
    }

    #[test]
    fn unsent_messages_are_overload() {
        assert_eq!(
            reasons(open(), |m| m.total.counts.unsent = 7),
            ["overload: 7 messages of the schedule were never sent"]
        );
        let one_per_connection = reasons(open(), |m| m.total.counts.unsent = 2);
        assert_eq!(one_per_connection, [""; 0], "the window ended");
    }

    #[test]
    fn an_open_loop_has_to_achieve_99_percent_of_its_rate() {
        let constant = |rate| target(rate, Arrival::Constant);
        assert_eq!(reasons(open(), constant(2_020.0)), [""; 0]);
        assert_eq!(
            reasons(open(), constant(2_021.0)),
            ["achieved 98.9 % of the rate: 2000.0 of 2021.0 messages/s"]
        );
    }

    #[test]
    fn the_time_until_the_first_reply_does_not_slow_a_number_of_messages() {
        let far = |window: u64| {
            move |m: &mut Measurement| {
                target(2_000.0, Arrival::Constant)(m);
                m.target_rate.as_mut().expect("a rate").stops_at_count = true;
                m.window = Duration::from_millis(window);
                m.total.response = LatencyHistogram::default();
                record(&mut m.total.response, 2_000, 200_000_000);
            }
        };
        assert_eq!(reasons(open(), far(1_200)), [""; 0]);
        // The histogram keeps three digits of the time until the first reply.
        assert_eq!(
            reasons(open(), far(2_200)),
            ["achieved 49.9 % of the rate: 999.9 of 2000.0 messages/s"]
        );
    }

    #[test]
    fn random_arrivals_may_fall_short_by_chance() {
        let random = |rate| target(rate, Arrival::Poisson);
        assert_eq!(reasons(open(), random(2_100.0)), [""; 0]);
        assert_eq!(
            reasons(open(), random(2_200.0)),
            ["achieved 90.9 % of the rate: 2000.0 of 2200.0 messages/s"]
        );
    }

    #[test]
    fn missing_connections_are_counted() {
        for measurement in [open(), closed()] {
            assert_eq!(
                reasons(measurement, |m| m.connections_achieved = 1),
                ["on average 1 of 2 connections were up"]
            );
        }
    }

    #[test]
    fn littles_law_has_to_hold_within_a_tenth() {
        for (percent, holds) in [(89, false), (91, true), (109, true), (111, false)] {
            let found = reasons(closed(), |m| {
                m.total.in_flight = m.total.in_flight * percent / 100
            });
            assert_eq!(found.is_empty(), holds, "{percent} %: {found:?}");
        }
        assert_eq!(
            reasons(closed(), |m| m.total.in_flight *= 2),
            [
                "0.80 messages in flight on average, but rate x mean service is 0.40 messages (Little's law)"
            ]
        );
    }

    #[test]
    fn fewer_than_1_000_responses_are_too_few_samples() {
        let few = reasons(closed(), |m| {
            m.total.response = LatencyHistogram::default();
            record(&mut m.total.response, 999, 1_000);
        });
        assert_eq!(few, ["too few samples: 999 responses, and p99 needs 1000"]);
    }

    #[test]
    fn a_measurement_without_time_and_messages_is_suspect_for_its_samples_alone() {
        let nothing = reasons(open(), |m| {
            m.total = Metrics::default();
            m.window = Duration::ZERO;
        });
        assert_eq!(nothing.len(), 1, "{nothing:?}");
    }

    #[test]
    fn codes_are_read_with_the_reasons_of_each_version() {
        let json =
            r#"{"valid":false,"reasons":["a","b","c"],"codes":["overload","of_a_later_version"]}"#;
        let verdict: Verdict = serde_json::from_str(json).expect("a verdict");
        let codes: Vec<_> = verdict.coded_reasons().map(|reason| reason.code).collect();
        let unknown = ReasonCode::Unknown;
        assert_eq!(codes, [ReasonCode::Overload, unknown, unknown]);
        let old: Verdict = serde_json::from_str(r#"{"valid":false,"reasons":["a"]}"#).expect("old");
        assert_eq!(old.coded_reasons().count(), 1, "reports had no codes once");
    }

    #[test]
    fn the_generator_the_server_or_neither_limits_a_closed_loop() {
        let limit = |change: fn(&mut Measurement)| {
            let mut measurement = closed();
            change(&mut measurement);
            LimitedBy::of(&measurement).map(|limit| limit.to_string())
        };
        let server_cpu = |cores, busiest_thread| {
            let mut measurement = closed();
            measurement.server = Some(ServerUsage {
                cpu: Some(cores),
                busiest_thread,
                ..ServerUsage::default()
            });
            record(&mut measurement.total.service, 9_000, 900_000);
            LimitedBy::of(&measurement).map(|limit| limit.to_string())
        };
        let queueing = |m: &mut Measurement| record(&mut m.total.service, 9_000, 900_000);
        assert_eq!(limit(|_| {}), Some("neither".into()));
        assert_eq!(limit(|m| m.busiest = Some(0.91)), Some("generator".into()));
        assert_eq!(limit(queueing), Some("server".into()));
        assert_eq!(
            [server_cpu(0.901, None), server_cpu(0.899, None)],
            [Some("server".into()), Some("neither".into())]
        );
        assert_eq!(
            [server_cpu(1.7, Some(0.899)), server_cpu(1.7, Some(0.901))],
            [Some("neither".into()), Some("server".into())]
        );
        assert_eq!(LimitedBy::of(&open()), None);
    }
}
