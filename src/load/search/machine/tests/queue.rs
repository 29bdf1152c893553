//! A search over a queue whose exact answer is known: M/D/1, with random arrivals and one server that takes the same time
//! for each message.

use std::time::Duration;

use super::*;
use crate::load::judge::slo::{Objective, Slo};
use crate::load::measure::percentile::Percentile;
use crate::load::search::windows::step_window;

/// The time that the server takes for a message, in seconds: it serves at most 100,000 messages/s.
const SERVICE: f64 = 10e-6;

/// The duration of the confirmation.
const FULL: Duration = Duration::from_secs(4);

/// How far the found rate may lie below the exact one: 2 % of the bisection, and 2 % of one step down.
const BELOW: f64 = 0.04;

/// How far the found rate may lie beyond either end by chance: the responses of a queue depend on each other, so their
/// percentile varies more than that of as many independent ones. Of 300 searches, the lowest found 95.0 % of the exact
/// rate, the highest 101.2 %, and the mean 98.9 %.
const CHANCE: f64 = 0.015;

#[test]
fn the_highest_rate_of_a_queue_is_the_exact_one() {
    for (percentile, bound) in [
        (Percentile::P50, 15e-6),
        (Percentile::P90, 40e-6),
        (Percentile::P99, 35e-6),
        (Percentile::P99, 100e-6),
        (Percentile::P999, 100e-6),
    ] {
        let exact = exact_rate(percentile, bound);
        for seed in 0..5 {
            let found = found_rate(percentile, bound, seed) / exact;
            let possible = 1.0 - BELOW - CHANCE..=1.0 + CHANCE;
            let name = percentile.name();
            assert!(
                possible.contains(&found),
                "{name} < {bound}, seed {seed}: {found} of {exact}"
            );
        }
    }
}

#[test]
fn the_formula_agrees_with_known_values_of_the_waiting_time() {
    // A message finds an idle server with the probability 1 - rho.
    let idle = waits_at_most(0.0, 0.7 / SERVICE);
    assert!((idle - 0.3).abs() < 1e-12, "{idle}");
    // The mean is rho D / (2 (1 - rho)), by Pollaczek and Khinchine.
    let step = SERVICE / 1_000.0;
    let above = (0..30_000).map(|n| 1.0 - waits_at_most((n as f64 + 0.5) * step, 0.7 / SERVICE));
    let mean = above.sum::<f64>() * step / SERVICE;
    assert!((mean - 0.7 / 0.6).abs() < 1e-3, "{mean}");
}

/// Returns the rate that a search finds, where a run is a simulated queue.
fn found_rate(percentile: Percentile, bound: f64, seed: u64) -> f64 {
    let slo = Slo(vec![Objective::Percentile(
        percentile,
        Duration::from_secs_f64(bound),
    )]);
    let mut random = fastrand::Rng::with_seed(seed);
    let (_, answer) = search(1e6, |step| {
        let window = match step.stage {
            Stage::Confirmation => FULL,
            Stage::Doubling | Stage::Bisection | Stage::BestOfThree => {
                step_window(&slo, step.rate, FULL)
            }
        };
        let messages = (step.rate * window.as_secs_f64()) as u64;
        let slow = count_slow(&mut random, step.rate, messages, bound);
        match (slow as f64) < (1.0 - percentile.quantile()) * messages as f64 {
            true => StepResult::Met,
            false => StepResult::NotMet,
        }
    });
    assert_eq!(answer.limited_by, SearchLimit::Objectives);
    answer.rate_per_s.expect("a rate")
}

/// Simulates a queue by Lindley's recursion: a message waits for as long as the message before waited and was served, less
/// the time between the two. Returns how many responses are not below `bound`.
fn count_slow(random: &mut fastrand::Rng, rate: f64, messages: u64, bound: f64) -> u64 {
    let mut wait = 0.0_f64;
    let mut slow = 0;
    for _ in 0..messages {
        slow += u64::from(wait + SERVICE >= bound);
        let gap = -(1.0 - random.f64()).ln() / rate;
        wait = (wait + SERVICE - gap).max(0.0);
    }
    slow
}

/// Returns the highest rate at which `percentile` of the response is below `bound`.
fn exact_rate(percentile: Percentile, bound: f64) -> f64 {
    let (mut met, mut not_met) = (0.0, 1.0 / SERVICE);
    while not_met - met > 1.0 {
        let rate = (met + not_met) / 2.0;
        match waits_at_most(bound - SERVICE, rate) > percentile.quantile() {
            true => met = rate,
            false => not_met = rate,
        }
    }
    met
}

/// Returns the probability that a message waits for at most `time` (Erlang, 1909).
fn waits_at_most(time: f64, rate: f64) -> f64 {
    let mut sum = 0.0;
    let mut factorial = 1.0;
    for served in 0..=(time / SERVICE) as u32 {
        factorial *= f64::from(served.max(1));
        let load = rate * (f64::from(served) * SERVICE - time);
        sum += load.powi(served as i32) / factorial * (-load).exp();
    }
    (1.0 - rate * SERVICE) * sum
}
