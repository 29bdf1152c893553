use std::f64::consts::TAU;

use fastrand::Rng;

use super::*;
use crate::load::compare::statistics::{Round, paired, unpaired};

const ROUNDS: usize = 12;

fn ratio(ratio: f64, low: f64, high: f64) -> Ratio {
    Ratio {
        ratio,
        low,
        high,
        smallest_difference: 0.024,
    }
}

fn comparison(direction: Direction, b: Ratio, control: Ratio) -> Comparison {
    let paired = Paired { ratio: b, control };
    Comparison::of_rounds(direction, paired)
}

const QUIET: Ratio = Ratio {
    ratio: 1.002,
    low: 0.991,
    high: 1.012,
    smallest_difference: 0.03,
};

fn normal(random: &mut Rng) -> f64 {
    (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (TAU * random.f64()).cos()
}

/// Simulates comparisons of 12 rounds, whose figures are `noise` around 1, and around 1 + `difference` for B. Returns the
/// conclusions.
fn conclusions(
    count: usize,
    difference: f64,
    noise: impl Fn(&mut Rng) -> f64,
) -> Vec<(Conclusion, LimitOutcome)> {
    let random = &mut Rng::with_seed(1);
    let comparison = |_| {
        let round = |_| Round {
            a: noise(random),
            b: (1.0 + difference) * noise(random),
            a_again: noise(random),
        };
        let rounds: Vec<_> = (0..ROUNDS).map(round).collect();
        let paired = paired(&rounds).expect("positive figures");
        let comparison = Comparison::of_rounds(Direction::MoreIsFaster, paired);
        (comparison.conclusion(), comparison.against_limit(0.02))
    };
    (0..count).map(comparison).collect()
}

fn share<T>(of: &[T], is_counted: impl Fn(&T) -> bool) -> f64 {
    of.iter().filter(|one| is_counted(one)).count() as f64 / of.len() as f64
}

#[test]
fn of_equal_servers_5_percent_are_flagged_whatever_the_reason() {
    let runs = conclusions(20_000, 0.0, |random| (0.03 * normal(random)).exp());
    let flagged = share(&runs, |(conclusion, _)| {
        *conclusion != Conclusion::NoDifference
    });
    assert!((0.045..=0.055).contains(&flagged), "{flagged}");
    let doubted = share(&runs, |(conclusion, _)| {
        *conclusion == Conclusion::NoVerdict
    });
    assert!(doubted < 0.005, "{doubted}");
}

#[test]
fn of_equal_servers_no_more_are_flagged_if_some_runs_are_disturbed() {
    // One run of ten loses up to half of its throughput.
    let disturbed = |random: &mut Rng| match random.u32(..10) {
        0 => 1.0 - random.f64() / 2.0,
        _ => (0.03 * normal(random)).exp(),
    };
    let runs = conclusions(5_000, 0.0, disturbed);
    let flagged = share(&runs, |(conclusion, _)| {
        *conclusion != Conclusion::NoDifference
    });
    assert!(flagged <= 0.055, "{flagged}");
}

#[test]
fn the_smallest_difference_is_found_in_90_percent_and_1_5_times_as_much_nearly_always() {
    // The standard error of the ratio is 0.03 x sqrt(1.5 / 12); t has 2.201 + 1.363 with 11 degrees of freedom.
    let smallest = (2.201 + 1.363) * 0.03 * (1.5 / ROUNDS as f64).sqrt();
    let found = |difference| {
        let runs = conclusions(5_000, difference, |random| (0.03 * normal(random)).exp());
        let wrong = share(&runs, |(conclusion, _)| *conclusion == Conclusion::Slower);
        assert!(wrong < 0.001);
        share(&runs, |(conclusion, _)| *conclusion == Conclusion::Faster)
    };
    let share = found(smallest);
    assert!((0.88..=0.92).contains(&share), "{share}");
    let share = found(1.5 * smallest);
    assert!(share >= 0.98, "{share}");
}

#[test]
fn a_limit_is_wrongly_called_exceeded_in_2_5_percent_at_most() {
    // B is slower by exactly the limit.
    let runs = conclusions(5_000, -0.02, |random| (0.01 * normal(random)).exp());
    let is_undecided = |(_, outcome): &(_, LimitOutcome)| *outcome == LimitOutcome::Undecided;
    let undecided = share(&runs, is_undecided);
    assert!(undecided >= 0.94, "{undecided}");
    let beyond = share(&runs, |(_, outcome)| *outcome == LimitOutcome::Beyond);
    assert!(beyond <= 0.031, "{beyond}");
}

#[test]
fn of_equal_files_5_percent_are_flagged() {
    let random = &mut Rng::with_seed(2);
    let comparisons = 20_000;
    let differs = |_: &usize| {
        // Welch's t is for sides of unlike size and spread.
        let base: Vec<_> = (0..5).map(|_| (0.06 * normal(random)).exp()).collect();
        let new: Vec<_> = (0..10).map(|_| (0.03 * normal(random)).exp()).collect();
        unpaired(&base, &new).expect("enough runs").differs()
    };
    let flagged = (0..comparisons).filter(differs).count() as f64 / comparisons as f64;
    assert!((0.045..=0.06).contains(&flagged), "{flagged}");
}

#[test]
fn a_rate_over_1_is_faster_and_a_time_over_1_is_slower() {
    let b = ratio(1.031, 1.019, 1.044);
    let rate = comparison(Direction::MoreIsFaster, b, QUIET);
    assert_eq!(rate.conclusion(), Conclusion::Faster);
    assert_eq!(
        rate.to_string(),
        "B 3.1 % faster (1.9 to 4.4 %); A against itself 0.2 % (-0.9 to 1.2 %); smallest difference found with 90 %: \
         2.4 %"
    );
    let time = comparison(Direction::LessIsFaster, b, QUIET);
    assert_eq!(time.conclusion(), Conclusion::Slower);
    assert!(
        time.to_string()
            .starts_with("B 3.1 % slower (1.9 to 4.4 %);")
    );
    let slow = comparison(Direction::MoreIsFaster, ratio(0.95, 0.93, 0.97), QUIET);
    assert!(
        slow.to_string()
            .starts_with("B 5.0 % slower (3.0 to 7.0 %);")
    );
}

#[test]
fn an_interval_that_contains_1_is_no_difference() {
    let b = ratio(1.004, 0.991, 1.016);
    let rate = comparison(Direction::MoreIsFaster, b, QUIET);
    assert_eq!(rate.conclusion(), Conclusion::NoDifference);
    let words = "no difference found (B 0.9 % slower to 1.6 % faster);";
    assert!(rate.to_string().starts_with(words), "{rate}");
    let time = comparison(Direction::LessIsFaster, b, QUIET);
    let words = "no difference found (B 1.6 % slower to 0.9 % faster);";
    assert!(time.to_string().starts_with(words), "{time}");
}

#[test]
fn there_is_no_verdict_if_a_differs_from_itself_by_as_much_as_from_b() {
    let b = ratio(1.031, 1.019, 1.044);
    let with = |control| comparison(Direction::MoreIsFaster, b, control);
    let similar = with(ratio(1.032, 1.01, 1.054));
    assert_eq!(similar.conclusion(), Conclusion::NoVerdict);
    assert!(
        similar
            .to_string()
            .starts_with("no verdict: A differs from itself;")
    );
    assert_eq!(similar.against_limit(0.02), LimitOutcome::Undecided);
    let opposite = with(ratio(0.968, 0.95, 0.99));
    assert_eq!(opposite.conclusion(), Conclusion::NoVerdict);
    let small = with(ratio(1.02, 1.001, 1.04));
    assert_eq!(small.conclusion(), Conclusion::Faster);
    let uncertain = with(ratio(1.04, 0.99, 1.09));
    assert_eq!(uncertain.conclusion(), Conclusion::Faster);
}

#[test]
fn a_small_difference_is_not_negative_zero() {
    let control = ratio(0.9999, 0.9996, 1.0002);
    let comparison = comparison(Direction::MoreIsFaster, QUIET, control);
    let words = "A against itself 0.0 % (0.0 to 0.0 %);";
    assert!(comparison.to_string().contains(words), "{comparison}");
}

#[test]
fn files_have_no_control() {
    let files = Comparison::of_files(Direction::LessIsFaster, ratio(0.97, 0.95, 0.99));
    assert_eq!(
        files.to_string(),
        "B 3.0 % faster (1.0 to 5.0 %); smallest difference found with 90 %: 2.4 %"
    );
}

#[test]
fn a_limit_is_exceeded_or_kept_by_the_whole_interval() {
    for (direction, low, high, outcome) in [
        (Direction::LessIsFaster, 1.021, 1.05, LimitOutcome::Beyond),
        (Direction::LessIsFaster, 0.99, 1.019, LimitOutcome::Inside),
        (Direction::LessIsFaster, 1.01, 1.03, LimitOutcome::Undecided),
        (Direction::MoreIsFaster, 0.95, 0.979, LimitOutcome::Beyond),
        (Direction::MoreIsFaster, 0.981, 1.05, LimitOutcome::Inside),
        (Direction::MoreIsFaster, 0.97, 0.99, LimitOutcome::Undecided),
        (Direction::MoreIsFaster, 1.05, 1.07, LimitOutcome::Inside),
    ] {
        let b = ratio((low + high) / 2.0, low, high);
        let comparison = comparison(direction, b, QUIET);
        assert_eq!(comparison.against_limit(0.02), outcome, "{low} {high}");
    }
}
