//! The intervals of simulated runs, against the true figures of the process that was simulated.
//!
//! A stream is a closed loop of one connection: the next message is sent when the reply to the last one has arrived.

use std::env;
use std::f64::consts::TAU;
use std::ops::RangeInclusive;
use std::time::Duration;

use fastrand::Rng;
use hdrhistogram::Histogram;

use super::*;
use crate::load::measure::latency_histogram::{DIGITS, LatencyHistogram};

/// The number of streams of a process. The environment variable sets another number, for a closer look.
const STREAMS: u64 = 400;
const STREAMS_VARIABLE: &str = "MIO_ECHO_TEST_STREAMS";

/// The number of samples of a stream: more than the 20,000 that p99 needs, as the number is random. The environment
/// variable sets another number.
const SAMPLES: u64 = 22_000;
const SAMPLES_VARIABLE: &str = "MIO_ECHO_TEST_SAMPLES";

const BATCHES: u32 = 64;

/// The seconds of a unit of time. The histograms hold these units instead of nanoseconds: they have the same digits and
/// are smaller.
const UNIT: f64 = 2e-6;

/// The mean response time, in units.
const MEAN: f64 = 1_000.0;

/// The longest response time, in units, that the histograms distinguish: longer than every p99 here.
const LONGEST: u64 = 4_095;

/// The share of intervals that have to contain the true figure. 400 streams of 95 % lie inside with a probability of
/// 99.9 %.
const COVERED: RangeInclusive<f64> = 0.91..=0.98;

/// A figure that has an interval in a smaller share of the streams counts as null: the share that is covered would be
/// left to chance.
const NULL: f64 = 0.05;

/// The quantiles of the normal distribution for p50, p90 and p99.
const NORMAL_QUANTILES: [f64; 3] = [0.0, 1.281_551_565_545, 2.326_347_874_041];

/// The spread of the response times around their median: the standard deviation of the logarithm.
const SPREAD: f64 = 0.3;

/// Draws the next response time, in units.
type Times = Box<dyn FnMut(&mut Rng) -> f64>;

/// A process that yields response times.
struct Process {
    /// Starts a stream.
    start: Box<dyn Fn(&mut Rng) -> Times>,
    /// The exact messages per second, and the exact p50, p90 and p99 in units.
    truth: [f64; 4],
}

/// How many streams have an interval, and how many of those contain the true figure.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    intervals: u64,
    covered: u64,
}

/// Draws a number of the standard normal distribution.
fn normal(random: &mut Rng) -> f64 {
    (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (TAU * random.f64()).cos()
}

/// Returns a log-normal time with the mean [`MEAN`].
fn log_normal(normal: f64) -> f64 {
    MEAN * (SPREAD * normal - SPREAD * SPREAD / 2.0).exp()
}

/// Returns log-normal times that depend on each other: `memory` of a deviation is left after one message.
fn autoregressive(memory: f64) -> Process {
    let start = move |random: &mut Rng| -> Times {
        let mut state = normal(random);
        Box::new(move |random| {
            state = memory * state + (1.0 - memory * memory).sqrt() * normal(random);
            log_normal(state)
        })
    };
    let [p50, p90, p99] = NORMAL_QUANTILES.map(log_normal);
    Process {
        start: Box::new(start),
        truth: [1.0 / (MEAN * UNIT), p50, p90, p99],
    }
}

fn variable(name: &str, default: u64) -> u64 {
    let value = env::var(name).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}

/// Returns the batches before the first message.
fn empty_batches(length: Duration) -> Vec<Batch> {
    // Default values would be large histograms, which take long to create.
    let first = Batch {
        length,
        response: LatencyHistogram {
            histogram: Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("valid bounds"),
            max: 0,
            overflow: 0,
            lower_bounds: None,
        },
        ..Batch::default()
    };
    let mut batches = vec![first; BATCHES as usize];
    for (number, batch) in (0..).zip(&mut batches) {
        batch.start = length * number;
    }
    batches
}

/// Returns the batches of a window that ends while a message is on its way.
fn stream(process: &Process, seed: u64) -> Vec<Batch> {
    let random = &mut Rng::with_seed(seed);
    let mut next = (process.start)(random);
    let samples = variable(SAMPLES_VARIABLE, SAMPLES);
    let length = samples as f64 / process.truth[0] / f64::from(BATCHES);
    let mut batches = empty_batches(Duration::from_secs_f64(length));
    let mut now = 0.0;
    loop {
        let time = next(random);
        now += time * UNIT;
        let Some(batch) = batches.get_mut((now / length) as usize) else {
            return batches;
        };
        batch.messages += 1;
        batch.response.record(time.round() as u64);
    }
}

fn figures<T>(figures: PerFigure<T>) -> [T; 4] {
    [
        figures.messages_per_sec,
        figures.p50,
        figures.p90,
        figures.p99,
    ]
}

fn tally(process: &Process) -> [Tally; 4] {
    let mut tallies = [Tally::default(); 4];
    for seed in 0..variable(STREAMS_VARIABLE, STREAMS) {
        let intervals = figures(confidence_intervals(&stream(process, seed)));
        for ((tally, interval), truth) in tallies.iter_mut().zip(intervals).zip(process.truth) {
            if let Ok(interval) = interval {
                tally.intervals += 1;
                let covers = (interval.low..=interval.high).contains(&truth);
                tally.covered += u64::from(covers);
            }
        }
    }
    tallies
}

/// Checks that each figure has no interval, or one that covers the true figure as often as promised.
#[track_caller]
fn check(mut process: Process) {
    // The intervals have a thousandth of what the histograms hold.
    process
        .truth
        .iter_mut()
        .skip(1)
        .for_each(|time| *time /= 1e3);
    let tallies = tally(&process);
    let streams = variable(STREAMS_VARIABLE, STREAMS) as f64;
    for (name, tally) in ["messages/s", "p50", "p90", "p99"].into_iter().zip(tallies) {
        let share = tally.intervals as f64 / streams;
        let covered = tally.covered as f64 / tally.intervals as f64;
        println!("{name}: {share:.3} of the streams have an interval, {covered:.3} of them cover");
        assert!(
            share < NULL || COVERED.contains(&covered),
            "{name}: {tally:?}"
        );
    }
}

#[test]
fn intervals_of_independent_times_cover_the_truth() {
    check(autoregressive(0.0));
}

#[test]
fn intervals_of_times_that_depend_on_the_last_one_cover_the_truth() {
    check(autoregressive(0.5));
}

#[test]
fn intervals_of_times_that_depend_on_the_last_ten_cover_the_truth() {
    check(autoregressive(0.9));
}

#[test]
fn intervals_of_times_that_depend_on_the_last_thousand_cover_the_truth_or_are_null() {
    check(autoregressive(0.999));
}

#[test]
fn intervals_of_a_heavy_tail_cover_the_truth() {
    // A Pareto distribution whose variance is finite, and whose third moment is not.
    const TAIL: f64 = 3.0;
    const SHORTEST: f64 = MEAN * (TAIL - 1.0) / TAIL;
    let quantile = |above: f64| SHORTEST * above.powf(-1.0 / TAIL);
    let start =
        move |_: &mut Rng| -> Times { Box::new(move |random| quantile(1.0 - random.f64())) };
    check(Process {
        start: Box::new(start),
        truth: [
            1.0 / (MEAN * UNIT),
            quantile(0.5),
            quantile(0.1),
            quantile(0.01),
        ],
    });
}

#[test]
fn intervals_of_a_server_with_two_states_cover_the_truth() {
    // The server stays in each state for 200 ms on average. The factors are relative to the mean of all responses.
    const DWELL: f64 = 0.2 / UNIT;
    const FAST_FACTOR: f64 = 0.8;
    const SLOW_FACTOR: f64 = 4.0 / 3.0;
    let start = |random: &mut Rng| -> Times {
        let mut is_fast = random.bool();
        Box::new(move |random| {
            let factor = if is_fast { FAST_FACTOR } else { SLOW_FACTOR };
            is_fast ^= random.f64() < factor * MEAN / DWELL;
            factor * log_normal(normal(random))
        })
    };
    check(Process {
        start: Box::new(start),
        // Five of eight messages find the server fast. The quantile q is the solution t of
        // 5/8 F(t / 0.8) + 3/8 F(3/4 t) = q, where F is the log-normal distribution.
        truth: [
            1.0 / (MEAN * UNIT),
            0.911_620 * MEAN,
            1.557_752 * MEAN,
            2.278_370 * MEAN,
        ],
    });
}

/// Returns batches of one second with these numbers of messages. `time` returns the response time of a message in
/// nanoseconds.
fn batches(messages: &[u64], time: impl Fn(u64) -> u64) -> Vec<Batch> {
    let mut batches = empty_batches(Duration::from_secs(1));
    batches.truncate(messages.len());
    for (batch, messages) in batches.iter_mut().zip(messages) {
        batch.messages = *messages;
        (0..*messages).for_each(|message| batch.response.record(time(message)));
    }
    batches
}

#[test]
fn an_interval_follows_from_the_deviations_of_20_sections() {
    let messages: Vec<_> = (0..20).map(|second| 90 + second % 2 * 20).collect();
    let intervals = confidence_intervals(&batches(&messages, |_| 100));
    let rate = intervals.messages_per_sec.expect("an interval");
    // The sections lie 10 above or below: the standard error is 10 / sqrt(19), and t is 2.093.
    let half = 2.093 * 10.0 / 19.0_f64.sqrt();
    assert!((rate.low - (100.0 - half)).abs() < 0.001, "{rate:?}");
    assert!((rate.high - (100.0 + half)).abs() < 0.001, "{rate:?}");
    let equal_times = ConfidenceInterval {
        low: 0.1,
        high: 0.1,
    };
    assert_eq!(intervals.p50, Ok(equal_times));
}

#[test]
fn a_run_of_fewer_than_20_batches_has_no_intervals() {
    let few = confidence_intervals(&batches(&[1_000; 19], |_| 100));
    assert_eq!(figures(few), [Err(NoInterval::TooShort); 4]);
    assert_eq!(
        figures(confidence_intervals(&[])),
        [Err(NoInterval::TooShort); 4]
    );
}

#[test]
fn sections_have_nearly_equal_lengths_and_hold_every_batch() {
    for count in [20, 33, 40, 63, 64] {
        let sections = sections(&batches(&vec![10; count], |_| 100)).expect("enough batches");
        let lengths = || sections.iter().map(|section| section.length.as_secs());
        assert_eq!(lengths().sum::<u64>(), count as u64);
        let (shortest, longest) = (lengths().min(), lengths().max());
        assert!(longest <= shortest.map(|length| length + 1), "{count}");
        let messages: u64 = sections.iter().map(|section| section.messages).sum();
        assert_eq!(messages, 10 * count as u64);
    }
}

#[test]
fn a_percentile_needs_10_samples_above_it_in_a_section() {
    let intervals = |messages| confidence_intervals(&batches(&[messages; 20], |message| message));
    let few = intervals(999);
    assert_eq!(few.p99, Err(NoInterval::TooFewSamples));
    assert!(few.p90.is_ok());
    assert!(intervals(1_000).p99.is_ok());
    let few = intervals(19);
    assert_eq!(few.p50, Err(NoInterval::TooFewSamples));
    assert!(few.messages_per_sec.is_ok());
    assert_eq!(
        figures(intervals(9)),
        [Err(NoInterval::TooFewSamples); 4],
        "a rate needs 200 messages"
    );
}

#[test]
fn a_percentile_that_is_a_lower_bound_has_no_interval() {
    let mut batches = batches(&[2_000; 20], |message| message % 100);
    // The whole run's p99 is known, and that of one section is not.
    batches[7].response.record_unfinished(1_000, 50);
    let intervals = confidence_intervals(&batches);
    assert_eq!(intervals.p99, Err(NoInterval::LowerBound));
    assert!(intervals.p90.is_ok());
}

#[test]
fn a_figure_that_drifts_has_no_interval() {
    let messages: Vec<_> = (0..64).map(|second| 1_000 + second).collect();
    let intervals = confidence_intervals(&batches(&messages, |message| message));
    let drifts = Err(NoInterval::DependentBatches);
    assert_eq!(intervals.messages_per_sec, drifts);
    assert_eq!(intervals.p50, drifts);
}

#[test]
fn a_percentile_of_a_few_bursts_has_no_interval() {
    // Every eighth batch has slow responses too: 8 bursts, of which no two are neighbours.
    let mut batches = batches(&[400; 64], |message| 100 + message % 7);
    for batch in batches.iter_mut().step_by(8) {
        (0..400).for_each(|message| batch.response.record(1_000 + message));
    }
    let intervals = confidence_intervals(&batches);
    assert_eq!(intervals.p90, Err(NoInterval::DependentSamples));
}
