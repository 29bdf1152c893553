use proptest::prelude::*;

use super::*;

mod queue;

/// Runs a search from 1,000 to `high` whose runs say what `result` returns. Returns the runs and the answer.
fn search(high: f64, mut result: impl FnMut(Step) -> StepResult) -> (Vec<Step>, Answer) {
    let mut search = Search::new(1_000.0, high);
    let mut steps = Vec::new();
    loop {
        match search.next() {
            Next::Measure(step) => {
                assert!((1_000.0..=high).contains(&step.rate), "{step:?}");
                assert!(steps.len() < 1_000, "an endless search");
                steps.push(step);
                search.record(result(step));
            }
            Next::Finished(answer) => return (steps, answer),
        }
    }
}

/// Returns what runs say if the server meets the objectives up to `limit`.
fn up_to(limit: f64) -> impl Fn(Step) -> StepResult {
    move |step| match step.rate <= limit {
        true => StepResult::Met,
        false => StepResult::NotMet,
    }
}

fn rates(steps: &[Step], stage: Stage) -> Vec<f64> {
    let of_stage = steps.iter().filter(|step| step.stage == stage);
    of_stage.map(|step| step.rate).collect()
}

fn confirmed(rate: f64, limited_by: SearchLimit) -> Answer {
    Answer {
        rate_per_s: Some(rate),
        confirmed: true,
        limited_by,
    }
}

fn unconfirmed(rate_per_s: Option<f64>, limited_by: SearchLimit) -> Answer {
    Answer {
        rate_per_s,
        confirmed: false,
        limited_by,
    }
}

#[test]
fn rates_are_doubled_then_bisected_measured_again_and_confirmed() {
    let (steps, answer) = search(1e6, up_to(5_000.0));
    let doubled = rates(&steps, Stage::Doubling);
    assert_eq!(doubled, [1_000.0, 2_000.0, 4_000.0, 8_000.0]);
    let bisected = rates(&steps, Stage::Bisection);
    assert_eq!(
        bisected,
        [5_657.0, 4_757.0, 5_188.0, 4_968.0, 5_077.0, 5_022.0]
    );
    // Both ends had one run each, and a second equal one decides.
    assert_eq!(rates(&steps, Stage::BestOfThree), [5_022.0, 4_968.0]);
    assert_eq!(rates(&steps, Stage::Confirmation), [4_968.0]);
    assert_eq!(answer, confirmed(4_968.0, SearchLimit::Objectives));
}

#[test]
fn the_high_end_is_an_answer_after_its_confirmation() {
    let (steps, answer) = search(5_000.0, up_to(1e9));
    assert_eq!(
        rates(&steps, Stage::Doubling),
        [1_000.0, 2_000.0, 4_000.0, 5_000.0]
    );
    assert_eq!(rates(&steps, Stage::Confirmation), [5_000.0]);
    assert_eq!(
        (steps.len(), answer),
        (5, confirmed(5_000.0, SearchLimit::Range))
    );
}

#[test]
fn a_low_end_that_two_runs_miss_is_the_end() {
    let (steps, answer) = search(1e6, up_to(500.0));
    assert_eq!(steps.len(), 2);
    assert_eq!(answer, unconfirmed(None, SearchLimit::Objectives));
}

#[test]
fn a_single_run_that_misses_by_chance_does_not_mislead_the_search() {
    for unlucky in [1, 2, 3, 5, 9] {
        let mut count = 0;
        let (_, answer) = search(1e6, |step| {
            count += 1;
            match count == unlucky {
                true => StepResult::NotMet,
                false => up_to(5_000.0)(step),
            }
        });
        let found = answer.rate_per_s.expect("a rate");
        assert!(
            (4_900.0..=5_000.0).contains(&found) && answer.confirmed,
            "{unlucky}: {answer:?}"
        );
    }
}

#[test]
fn a_single_run_that_meets_by_chance_does_not_mislead_the_search() {
    let mut has_met = false;
    let (_, answer) = search(1e6, |step| match step.rate > 5_000.0 && !has_met {
        true => {
            has_met = true;
            StepResult::Met
        }
        false => up_to(5_000.0)(step),
    });
    assert_eq!(answer.limited_by, SearchLimit::Objectives);
    let found = answer.rate_per_s.expect("a rate");
    assert!((4_900.0..=5_000.0).contains(&found), "{answer:?}");
}

#[test]
fn a_rate_that_is_not_confirmed_is_lowered_by_2_4_and_8_percent() {
    // A long run meets the objectives up to `limit` only.
    let found = |limit| {
        search(1e6, |step| match step.stage {
            Stage::Confirmation => up_to(limit)(step),
            Stage::Doubling | Stage::Bisection | Stage::BestOfThree => up_to(5_000.0)(step),
        })
    };
    let lowered = [4_968.0, 4_869.0, 4_769.0, 4_571.0];
    for (index, rate) in lowered.into_iter().enumerate() {
        let (steps, answer) = found(rate);
        assert_eq!(rates(&steps, Stage::Confirmation), lowered[..=index]);
        assert_eq!(answer, confirmed(rate, SearchLimit::Objectives));
    }
    let (steps, answer) = found(4_000.0);
    assert_eq!(rates(&steps, Stage::Confirmation), lowered);
    assert_eq!(answer, unconfirmed(Some(4_968.0), SearchLimit::Objectives));
}

#[test]
fn a_high_end_that_is_not_confirmed_is_not_the_limit() {
    let (_, answer) = search(4_000.0, |step| match step.stage {
        Stage::Confirmation => up_to(3_999.0)(step),
        Stage::Doubling | Stage::Bisection | Stage::BestOfThree => StepResult::Met,
    });
    assert_eq!(answer, confirmed(3_920.0, SearchLimit::Objectives));
}

#[test]
fn a_lowered_rate_stays_in_the_range() {
    let (steps, answer) = search(1e6, |step| match step.stage {
        Stage::Confirmation => StepResult::NotMet,
        Stage::Doubling | Stage::Bisection | Stage::BestOfThree => up_to(1_000.0)(step),
    });
    assert_eq!(rates(&steps, Stage::Confirmation), [1_000.0]);
    assert_eq!(answer, unconfirmed(Some(1_000.0), SearchLimit::Objectives));
}

#[test]
fn two_runs_at_a_rate_in_which_the_generator_is_the_limit_end_the_search() {
    let (steps, answer) = search(1e6, |step| match step.rate > 3_000.0 {
        true => StepResult::GeneratorLimit,
        false => StepResult::Met,
    });
    assert_eq!(
        rates(&steps, Stage::Doubling),
        [1_000.0, 2_000.0, 4_000.0, 4_000.0]
    );
    assert_eq!(rates(&steps, Stage::Confirmation), [2_000.0]);
    assert_eq!(answer, confirmed(2_000.0, SearchLimit::Generator));

    let (steps, answer) = search(1e6, |_| StepResult::GeneratorLimit);
    assert_eq!(
        (steps.len(), answer),
        (2, unconfirmed(None, SearchLimit::Generator))
    );
}

#[test]
fn a_single_run_in_which_the_generator_is_the_limit_is_measured_again() {
    let mut late = Vec::new();
    let (_, answer) = search(1e6, |step| match late.contains(&step) {
        true => up_to(5_000.0)(step),
        false => {
            late.push(step);
            match late.iter().filter(|other| other.rate == step.rate).count() {
                1 => StepResult::GeneratorLimit,
                _ => up_to(5_000.0)(step),
            }
        }
    });
    assert_eq!(answer, confirmed(4_968.0, SearchLimit::Objectives));
}

#[test]
fn a_generator_that_is_the_limit_of_the_confirmation_leaves_the_rate_unconfirmed() {
    let (steps, answer) = search(1e6, |step| match step.stage {
        Stage::Confirmation => StepResult::GeneratorLimit,
        Stage::Doubling | Stage::Bisection | Stage::BestOfThree => up_to(5_000.0)(step),
    });
    assert_eq!(rates(&steps, Stage::Confirmation), [4_968.0; 2]);
    assert_eq!(answer, unconfirmed(Some(4_968.0), SearchLimit::Generator));
}

#[test]
fn a_disturbed_run_is_repeated_three_times_at_most() {
    let undisturbed = search(1e6, up_to(5_000.0));
    let mut count = 0;
    let (steps, answer) = search(1e6, |step| {
        count += 1;
        // Three of four runs are disturbed.
        match count % 4 == 0 {
            true => up_to(5_000.0)(step),
            false => StepResult::Disturbed,
        }
    });
    let each: Vec<_> = steps.iter().step_by(4).copied().collect();
    assert_eq!((each, answer), undisturbed);

    for stage in [Stage::Doubling, Stage::Confirmation] {
        let (steps, answer) = search(1e6, |step| match step.stage == stage && step.rate > 2e3 {
            true => StepResult::Disturbed,
            false => up_to(5_000.0)(step),
        });
        let last = steps[steps.len() - 1];
        assert!(steps.ends_with(&[last; 4]) && !steps.ends_with(&[last; 5]));
        let met = if stage == Stage::Doubling {
            2e3
        } else {
            4_968.0
        };
        assert_eq!(answer, unconfirmed(Some(met), SearchLimit::Machine));
    }
}

proptest! {
    #[test]
    fn every_search_ends_and_answers_a_rate_that_was_met(results in prop::collection::vec(0..4_u8, 200), high in 1_001.0..1e6) {
        let mut met = Vec::new();
        let mut results = results.into_iter();
        let (steps, answer) = search(high, |step| {
            let result = match results.next() {
                Some(0) => StepResult::Disturbed,
                Some(1) => StepResult::GeneratorLimit,
                Some(2) => StepResult::NotMet,
                Some(_) | None => StepResult::Met,
            };
            if result == StepResult::Met {
                met.push(step.rate);
            }
            result
        });
        if let Some(rate) = answer.rate_per_s {
            prop_assert!(met.contains(&rate), "{answer:?} {steps:?}");
        }
        prop_assert!(!answer.confirmed || answer.rate_per_s.is_some());
    }

    #[test]
    fn a_limit_is_found_within_2_percent(limit in 1_000.0..1e6) {
        let (steps, answer) = search(1e6, up_to(limit));
        let found = answer.rate_per_s.expect("a rate");
        prop_assert!(found <= limit && limit < found * 1.0201, "{found} of {limit}");
        prop_assert!(steps.len() <= 20, "{}", steps.len());
    }
}
