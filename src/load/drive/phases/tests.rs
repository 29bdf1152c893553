use super::*;
use crate::load::plan::settings::Arrival;
use crate::load::testing::closed_loop;

const TIMELINE: Timeline = Timeline {
    load_start: 1_000,
    window_start: 2_000,
    window_end: 5_000,
};

/// The phases of a run with intervals of 1,000 ns and a timeout of 500 ns.
fn phases(messages: Option<u64>) -> Phases {
    let mut settings = closed_loop().settings;
    settings.interval = Duration::from_nanos(1_000);
    settings.timeout = Duration::from_nanos(500);
    settings.stop.messages = messages;
    Phases::new(&settings)
}

/// Phases whose load has started at 1,000.
fn loaded(messages: Option<u64>) -> Phases {
    let mut phases = phases(messages);
    let facts = Facts {
        have_all_tried: true,
        timeline: Some(TIMELINE),
        ..facts()
    };
    assert_eq!(phases.next(10, &facts), Some(Command::ReportConnected));
    let start = Command::StartLoad(TIMELINE);
    assert_eq!(phases.next(1_000, &facts), Some(start));
    phases
}

fn facts() -> Facts {
    Facts {
        have_all_tried: false,
        timeline: None,
        is_stopped: false,
        is_idle: false,
        is_complete: false,
        is_stalled: false,
        last_counted_end: 2_000,
    }
}

/// Returns all commands that are due at `now`.
fn commands(phases: &mut Phases, now: u64, facts: &Facts) -> Vec<Command> {
    std::iter::from_fn(|| phases.next(now, facts)).collect()
}

#[test]
fn the_load_starts_when_all_have_connected_and_its_time_has_come() {
    let mut phases = phases(None);
    assert_eq!(phases.next(10, &facts()), None);
    let tried = Facts {
        have_all_tried: true,
        ..facts()
    };
    assert_eq!(phases.next(20, &tried), Some(Command::ReportConnected));
    assert_eq!(phases.next(2_000, &tried), None, "no timeline is set");
    let timed = Facts {
        timeline: Some(TIMELINE),
        ..tried
    };
    assert_eq!(phases.phase, WorkerPhase::Waiting);
    assert_eq!(phases.next(999, &timed), None);
    let start = Command::StartLoad(TIMELINE);
    assert_eq!(phases.next(1_000, &timed), Some(start));
    assert_eq!(phases.phase, WorkerPhase::Loaded(TIMELINE));
}

#[test]
fn every_interval_ends_at_its_own_time_even_if_a_turn_is_late() {
    let mut phases = loaded(None);
    assert_eq!(phases.deadline(false), 2_000);
    assert_eq!(commands(&mut phases, 1_999, &facts()), []);
    assert_eq!(
        commands(&mut phases, 4_500, &facts()),
        [
            Command::ReportWarmedUp,
            Command::EndInterval {
                part: 0,
                end: 3_000
            },
            Command::EndInterval {
                part: 1,
                end: 4_000
            },
        ]
    );
    assert_eq!(phases.deadline(false), 5_000, "the end of the window");
    let end = Command::EndLoad { window_end: 5_001 };
    assert_eq!(commands(&mut phases, 5_001, &facts()), [end]);
}

#[test]
fn draining_ends_with_the_last_reply_or_with_the_timeout() {
    for (is_idle, at) in [(true, 5_100), (false, 5_500)] {
        let mut phases = loaded(None);
        commands(&mut phases, 5_000, &facts());
        assert_eq!(phases.deadline(false), 5_500);
        assert_eq!(phases.next(5_100, &facts()), None);
        let facts = Facts { is_idle, ..facts() };
        let finish = Command::Finish { last_part: 2 };
        assert_eq!(phases.next(at, &facts), Some(finish));
        assert_eq!(phases.phase, WorkerPhase::Done);
    }
}

#[test]
fn a_limited_run_ends_when_its_last_message_ended_but_not_before_the_warm_up() {
    let mut phases = loaded(Some(3));
    let complete = Facts {
        is_idle: true,
        is_complete: true,
        last_counted_end: 2_345,
        ..facts()
    };
    assert_eq!(commands(&mut phases, 1_500, &complete), []);
    assert_eq!(
        commands(&mut phases, 2_400, &complete),
        [
            Command::ReportWarmedUp,
            Command::EndLoad { window_end: 2_345 },
            Command::Finish { last_part: 0 },
        ]
    );
}

#[test]
fn a_limited_run_of_an_open_loop_lasts_as_long_as_its_schedule() {
    let mut settings = closed_loop().settings;
    settings.stop.messages = Some(3);
    settings.load = Load::Open {
        rate: 3e6,
        arrival: Arrival::Constant,
    };
    let mut phases = Phases::new(&settings);
    phases.phase = WorkerPhase::Loaded(TIMELINE);
    let complete = Facts {
        is_idle: true,
        is_complete: true,
        last_counted_end: 2_700,
        ..facts()
    };
    commands(&mut phases, 2_700, &complete);
    assert_eq!(
        phases.phase,
        WorkerPhase::Loaded(TIMELINE),
        "three messages at 3 per us take 1 us"
    );
    let end = Command::EndLoad { window_end: 3_000 };
    assert_eq!(phases.next(3_010, &complete), Some(end));
}

#[test]
fn a_stalled_run_ends_in_its_window_alone() {
    let mut phases = loaded(Some(3));
    let stalled = Facts {
        is_stalled: true,
        ..facts()
    };
    assert_eq!(commands(&mut phases, 1_999, &stalled), []);
    let end = Command::EndLoad { window_end: 2_500 };
    assert_eq!(
        commands(&mut phases, 2_500, &stalled),
        [Command::ReportWarmedUp, end]
    );
}

#[test]
fn a_stop_before_the_load_finishes_at_once() {
    let stopped = Facts {
        is_stopped: true,
        ..facts()
    };
    let finish = Command::Finish { last_part: 0 };
    assert_eq!(commands(&mut phases(None), 10, &stopped), [finish]);
    let tried = Facts {
        have_all_tried: true,
        ..stopped
    };
    assert_eq!(
        commands(&mut phases(None), 10, &tried),
        [Command::ReportConnected, finish]
    );
}

#[test]
fn a_stop_ends_the_window_and_shortens_the_wait_for_replies() {
    let stopped = Facts {
        is_stopped: true,
        ..facts()
    };
    let mut phases = loaded(None);
    let end = Command::EndLoad { window_end: 1_200 };
    assert_eq!(commands(&mut phases, 1_200, &stopped), [end]);
    assert_eq!(phases.deadline(false), 1_200 + STOP_GRACE);

    let mut phases = loaded(None);
    phases.phase = WorkerPhase::Draining(10 * STOP_GRACE);
    assert_eq!(phases.next(5_000, &stopped), None);
    assert_eq!(phases.next(6_000, &stopped), None);
    assert_eq!(phases.deadline(false), 5_000 + STOP_GRACE);
}
