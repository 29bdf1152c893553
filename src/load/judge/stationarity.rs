//! The check that a run is stationary: its first half and its second half have the same figure.
//!
//! A figure of a run that changes on its way depends on the length of the run. There is one test of one figure: each
//! further test would add its own false alarms.

use crate::load::measure::batch::Batch;
use crate::load::measure::measurement::Measurement;
use crate::load::measure::percentile::Percentile;
use crate::load::measure::series::{WeightedValue, correlation_of_neighbours};
use crate::load::units::format_microseconds;

use super::reason::{Reason, ReasonCode};

/// The number of batches from which on the test is made. With fewer of them, the standard error and the correlation are
/// too uncertain.
const BATCHES: usize = 40;

/// The share by which the halves differ at least. A smaller difference is within what a user accepts of a figure.
const DIFFERENCE: f64 = 0.05;

/// The number of standard errors by which the halves differ at least. In simulations of 40 batches, the halves of
/// 0.1, 0.4 and 0.6 % of stationary runs differ by more, where the lag-1 correlation of batches is 0, 0.3 and 0.5.
///
/// The standard error is multiplied by (1 + r) / (1 - r), where r is the correlation. A variance that is multiplied so
/// would suffice if r was known. An r that is estimated from 40 batches is too low, and 1.4 % would differ at 0.5.
const STANDARD_ERRORS: f64 = 3.5;

/// The figure that has to be the same in both halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SteadyFigure {
    /// Messages per second: the figure that a closed loop measures.
    MessagesPerSec,
    /// The median of the response: an open loop sets the rate itself.
    P50,
}

/// Returns a reason if the two halves of the window differ. The batches are those of the whole window, in order.
pub fn not_stationary(batches: &[Batch], figure: SteadyFigure) -> Option<Reason> {
    if batches.len() < BATCHES {
        return None;
    }
    let (first, second) = batches.split_at(batches.len() / 2);
    let [first, second] = [first, second].map(|half| Half::of(half, figure));
    let (first, second) = (first?, second?);
    Reason::when(differ(&first, &second), ReasonCode::NotStationary, || {
        let [first, second] = [first.value, second.value].map(|value| figure.format(value));
        let name = figure.prefix();
        format!(
            "not stationary: {name}{first} in the first half of the window, {second} in the second"
        )
    })
}

impl SteadyFigure {
    /// Returns the figure that is tested for the loop of `measurement`.
    pub fn of(measurement: &Measurement) -> Self {
        match measurement.target_rate {
            None => Self::MessagesPerSec,
            Some(_) => Self::P50,
        }
    }

    fn value(self, part: &Batch) -> WeightedValue {
        match self {
            Self::MessagesPerSec => part.messages_per_sec(),
            Self::P50 => part.percentile(Percentile::P50),
        }
    }

    /// Returns the words before the first value.
    fn prefix(self) -> &'static str {
        match self {
            Self::MessagesPerSec => "",
            Self::P50 => "p50 of response is ",
        }
    }

    fn format(self, value: f64) -> String {
        match self {
            Self::MessagesPerSec => format!("{value:.1} messages/s"),
            Self::P50 => format_microseconds(value / 1e3),
        }
    }
}

/// One half of the window.
struct Half {
    /// The figure of the half.
    value: f64,
    /// The weight of the half.
    weight: f64,
    /// The differences between the batches and the half, each multiplied by the square root of its weight: their
    /// variance is the same if a batch varies the less, the more weight it has.
    residuals: Vec<f64>,
}

impl Half {
    fn of(batches: &[Batch], figure: SteadyFigure) -> Option<Self> {
        let whole = figure.value(&Batch::join(batches)?);
        let values = batches.iter().map(|batch| figure.value(batch));
        Some(Self::around(whole.value, values))
    }

    fn around(value: f64, batches: impl Iterator<Item = WeightedValue>) -> Self {
        let mut half = Self {
            value,
            weight: 0.0,
            residuals: Vec::new(),
        };
        for batch in batches {
            half.weight += batch.weight;
            let residual = batch.weight.sqrt() * (batch.value - value);
            half.residuals.push(residual);
        }
        half
    }
}

/// Returns true if the figures differ by more than chance explains.
fn differ(first: &Half, second: &Half) -> bool {
    let difference = (first.value - second.value).abs();
    let is_large = difference >= DIFFERENCE * first.value.max(second.value);
    is_large && difference > 0.0 && difference >= STANDARD_ERRORS * standard_error(first, second)
}

/// Returns the standard error of the difference between the figures.
fn standard_error(first: &Half, second: &Half) -> f64 {
    let residuals = || first.residuals.iter().chain(&second.residuals);
    let squares: f64 = residuals().map(|residual| residual * residual).sum();
    let freedom = (residuals().count() - 2) as f64;
    let variance = squares / freedom * (1.0 / first.weight + 1.0 / second.weight);
    let correlation = correlation_of_neighbours(&[&first.residuals, &second.residuals]);
    let correlation = correlation.max(0.0);
    variance.sqrt() * (1.0 + correlation) / (1.0 - correlation)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;
    use std::time::Duration;

    use fastrand::Rng;

    use super::*;

    /// Simulates runs whose batches are an autoregressive process with the standard deviation `deviation` around 1.
    /// The second half is larger by `step`. Returns the share of runs that differ.
    fn differing_runs(batches: usize, correlation: f64, deviation: f64, step: f64) -> f64 {
        const RUNS: u32 = 4_000;
        let random = &mut Rng::with_seed(1);
        let differs = |_: &u32| {
            let values = autoregressive(random, correlation, batches);
            let (first, second) = values.split_at(batches / 2);
            let half = |normal: &[f64], mean: f64| {
                let value = |normal: &f64| mean * (1.0 + deviation * normal);
                let values = normal.iter().map(value);
                let value = values.clone().sum::<f64>() / normal.len() as f64;
                let weigh = |value| WeightedValue { value, weight: 0.5 };
                Half::around(value, values.map(weigh))
            };
            differ(&half(first, 1.0), &half(second, 1.0 + step))
        };
        (0..RUNS).filter(differs).count() as f64 / f64::from(RUNS)
    }

    fn autoregressive(random: &mut Rng, correlation: f64, count: usize) -> Vec<f64> {
        let mut normal = || {
            let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
            radius * (TAU * random.f64()).cos()
        };
        let mut state = normal();
        let next = |_| {
            state = correlation * state + (1.0 - correlation * correlation).sqrt() * normal();
            state
        };
        (0..count).map(next).collect()
    }

    /// Returns one batch for each number of messages, with a response time for each of them.
    fn batches(messages: impl Iterator<Item = u64>, time: impl Fn(usize) -> u64) -> Vec<Batch> {
        let batch = |(number, messages): (usize, u64)| {
            let mut batch = Batch {
                start: Duration::from_millis(100) * number as u32,
                length: Duration::from_millis(100),
                messages,
                ..Batch::default()
            };
            (0..messages).for_each(|_| batch.response.record(time(number)));
            batch
        };
        messages.enumerate().map(batch).collect()
    }

    #[test]
    fn stationary_runs_are_rarely_suspect_even_if_batches_depend_on_each_other() {
        for batches in [BATCHES, 64] {
            for (correlation, limit) in [(0.0, 0.002), (0.3, 0.007), (0.5, 0.010)] {
                let share = differing_runs(batches, correlation, 0.1, 0.0);
                assert!(share <= limit, "{batches} {correlation}: {share}");
            }
        }
    }

    #[test]
    fn a_step_of_10_percent_is_found_if_batches_vary_by_at_most_4_percent() {
        for batches in [BATCHES, 64] {
            for deviation in [0.01, 0.04] {
                for step in [-0.1, 0.1] {
                    let share = differing_runs(batches, 0.0, deviation, step);
                    assert!(share >= 0.95, "{batches} {deviation} {step}: {share}");
                }
            }
        }
    }

    #[test]
    fn a_difference_below_5_percent_is_accepted_however_certain() {
        let step = |second: u64| (0..64).map(move |number| if number < 32 { 100 } else { second });
        let reason = |second| {
            not_stationary(
                &batches(step(second), |_| 1_000),
                SteadyFigure::MessagesPerSec,
            )
        };
        assert_eq!(reason(100), None);
        assert_eq!(reason(96), None);
        assert_eq!(reason(104), None);
        let reason = reason(94).expect("the halves differ");
        assert_eq!(reason.code, ReasonCode::NotStationary);
        assert_eq!(
            reason.text,
            "not stationary: 1000.0 messages/s in the first half of the window, 940.0 messages/s in the second"
        );
    }

    #[test]
    fn an_open_loop_is_tested_by_its_median() {
        let run = |count| {
            let time = move |number| if number < count / 2 { 120_000 } else { 150_000 };
            batches((0..count).map(|_| 20), time)
        };
        let reason = not_stationary(&run(BATCHES), SteadyFigure::P50).expect("the halves differ");
        assert_eq!(
            reason.text,
            "not stationary: p50 of response is 120.0 us in the first half of the window, 150.0 us in \
             the second"
        );
        assert_eq!(
            not_stationary(&run(BATCHES), SteadyFigure::MessagesPerSec),
            None
        );
        let too_few = not_stationary(&run(BATCHES - 1), SteadyFigure::P50);
        assert_eq!(too_few, None);
    }
}
