//! The examples, the broken rules, and random walks.

use super::*;
use crate::conn::tests::documented_trace;

/// The kinds of verdicts that a sound machine never gets.
const BAD: [&str; 3] = ["stuck", "spins", "wrong"];

#[test]
fn the_examples_repeat_the_worked_traces_word_for_word() {
    let traces = examples::EXAMPLES.iter();
    let traces = traces.filter_map(|example| Some((example.heading?, example.schedule)));
    let mut count = 0;
    for (heading, schedule) in traces {
        let lines: Vec<_> = played(schedule)
            .into_iter()
            .flat_map(|step| step.lines)
            .collect();
        assert_eq!(documented_trace(heading), lines, "{heading}");
        count += 1;
    }
    assert_eq!(count, 3);
}

#[test]
fn every_broken_rule_has_a_schedule_that_ends_badly_for_that_reason_alone() {
    for broken in &breaks::BREAKS {
        let end = played(broken.schedule).pop().expect("a start").verdict;
        assert_eq!(end.kind, broken.ends, "{}: {}", broken.name, end.text);
        let sound = broken.schedule.replace("break-", "\n# ");
        let lines = sound.lines().filter(|line| !line.starts_with('#'));
        assert_sound(&lines.collect::<Vec<_>>().join("\n"));
    }
}

#[test]
fn every_broken_rule_is_marked_where_it_acts_and_never_on_a_sound_machine() {
    for broken in &breaks::BREAKS {
        let steps = played(broken.schedule);
        let marked = steps.iter().any(|step| step.broken.is_some());
        assert!(marked, "{}", broken.name);
    }
    let [fin, mark] = ["fin", "urgent"].map(|step| format!("send-1\n{step}\nturn"));
    for harmless in [
        format!("rearm\nbreak-hide-fin\n{fin}"),
        format!("rearm\nbreak-hide-urgent\n{mark}"),
        format!("edge\nbreak-trust-short-read\n{fin}"),
    ] {
        let steps = played(&harmless);
        assert!(steps.iter().all(|step| step.broken.is_none()), "{harmless}");
    }
    for example in &examples::EXAMPLES {
        let is_broken = example.schedule.contains("break-");
        for step in played(example.schedule) {
            assert!(is_broken || step.broken.is_none(), "{}", step.what);
        }
    }
}

#[test]
fn a_timer_gets_a_stuck_connection_to_move() {
    for broken in breaks::BREAKS
        .iter()
        .filter(|broken| broken.ends == "stuck")
    {
        let steps = played(&format!("{}\nclock", broken.schedule));
        let [.., stuck, after] = &steps[..] else {
            panic!("two steps")
        };
        let text = &stuck.verdict.text;
        assert!(text.starts_with("stuck until the "), "{text}");
        assert!(!after.calls.is_empty(), "{}", broken.name);
    }
}

#[test]
fn every_example_is_possible_to_its_end() {
    let schedules = examples::EXAMPLES.iter().map(|example| example.schedule);
    for schedule in schedules.chain(breaks::BREAKS.iter().map(|broken| broken.schedule)) {
        for step in played(schedule) {
            assert_eq!(step.refused, None, "{schedule}: step {}", step.step);
        }
    }
}

#[test]
fn a_sound_machine_survives_random_walks() {
    for selector in ["edge", "rearm"] {
        for seed in 0..500 {
            assert_sound(&random_walk(selector, seed));
        }
    }
}

/// Returns a schedule of 24 actions that are possible one after the other.
fn random_walk(selector: &str, seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut schedule = selector.to_owned();
    for _ in 0..24 {
        let now = played(&schedule).pop().expect("a start").now;
        let Some(action) = random.choice(now.can()) else {
            break;
        };
        schedule += "\n";
        schedule += action;
    }
    schedule
}

/// Asserts that no step of `schedule` has a bad verdict.
fn assert_sound(schedule: &str) {
    for Step {
        step, verdict, now, ..
    } in played(schedule)
    {
        let text = &verdict.text;
        let uncorrected = now.uncorrected();
        assert_eq!(uncorrected, None, "at {step}: {schedule}");
        assert!(!BAD.contains(&verdict.kind), "{text} at {step}: {schedule}");
    }
}

fn played(schedule: &str) -> Vec<Step> {
    steps(&Schedule::parse(schedule).expect("a schedule"))
}

#[test]
fn a_reset_is_told_from_the_end_of_a_session_and_from_an_abort() {
    for (schedule, event, why) in [
        ("stop\nreset\nturn", "Reset", "stopped"),
        ("clock\nreset\nturn", "Reset", "idle timeout"),
        ("send-5\nturn\nfin\nreset\nturn", "Reset", "reset"),
        ("send-5\nturn\nreset\nclock", "Reset", "reset"),
        ("reset\nclock", "Reset", "reset"),
        ("send-5\nturn\nclock", "Abort", "write timeout"),
        ("send-5\nturn\nstop\ndeadline", "Abort", "drain timeout"),
        ("stop\ndeadline", "Abort", "stopped"),
        ("send-5\nturn\nsession\nsession", "Abort", "session timeout"),
        (
            "stop\nclock",
            "LingerExpired",
            "the peer sent no FIN in time",
        ),
        ("fin\nturn", "Delivered", "everything is delivered"),
    ] {
        for selector in ["edge", "rearm"] {
            let steps = played(&format!("{selector}\n{schedule}"));
            let end = steps.last().expect("a start");
            assert!(event != "Reset" || !end.rules.contains(&code_rule::SILENCE));
            let mut moves = steps.iter().flat_map(|step| &step.moves);
            let last = moves.next_back().expect("a change of state");
            let told = (format!("{:?}", last.cause), last.why());
            assert_eq!(told, (event.to_owned(), why), "{schedule}");
        }
    }
}

#[test]
fn every_change_of_state_is_one_of_the_transition_table() {
    let arrows: Vec<_> = transition::arrows().iter().map(Transition::arrow).collect();
    for selector in ["edge", "rearm"] {
        for seed in 0..100 {
            let schedule = random_walk(selector, seed);
            for transition in played(&schedule).iter().flat_map(|step| &step.moves) {
                assert!(
                    arrows.contains(&transition.arrow()),
                    "{schedule}: {transition:?}"
                );
            }
        }
    }
}

#[test]
fn the_rules_of_all_steps_are_in_the_catalogue() {
    let rules = code_rule::all();
    for seed in 0..100 {
        for step in played(&random_walk("edge", seed)) {
            let calls = step.calls.iter().map(CallMade::rule);
            for name in step.rules.iter().copied().chain(calls) {
                assert!(rules.contains_key(name), "{name}");
            }
        }
    }
}

#[test]
fn a_line_that_is_no_action_is_named_with_its_number() {
    for (schedule, expected) in [
        ("edge\nsned-2", "line 2: sned-2"),
        ("turn\nrearm", "line 2: rearm"),
        ("send-0", "line 1: send-0"),
        ("send-65", "line 1: send-65"),
        ("break-all", "line 1: break-all"),
        ("sizes-1-2", "line 1: sizes-1-2"),
    ] {
        let refused = play(schedule).expect_err(schedule);
        assert_eq!(
            refused.to_string(),
            format!("{expected} is neither an action nor a setting")
        );
    }
}

#[test]
fn an_action_that_is_impossible_changes_nothing() {
    let steps = played("turn\nfin\nsend-1\ntake-1");
    let refused: Vec<_> = steps.iter().map(|step| step.refused.is_some()).collect();
    assert_eq!(refused, [false, true, false, true, true]);
}
