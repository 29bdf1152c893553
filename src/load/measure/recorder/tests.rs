use super::*;

fn times(intended: u64) -> Timestamps {
    Timestamps {
        intended,
        sendable: intended + 1,
        sent: intended + 3,
    }
}

/// A recorder whose load has started at 50, with the window from 100 to 200.
fn recorder(counting: Counting) -> Recorder {
    let mut recorder = Recorder::new(0);
    recorder.start_load(100..200, counting, 50);
    recorder
}

fn message(intended: u64, stage: Stage) -> Message {
    Message { intended, stage }
}

fn send(recorder: &mut Recorder, intended: u64) {
    recorder.started(intended);
    recorder.sent(&times(intended));
}

fn end_sent(recorder: &mut Recorder, intended: u64, outcome: Outcome, at: u64) {
    recorder.end(message(intended, Stage::Sent(intended + 3)), outcome, at);
}

fn answer(recorder: &mut Recorder, intended: u64, at: u64) {
    send(recorder, intended);
    recorder.answered(&times(intended), 64, at);
}

#[test]
fn a_message_is_measured_if_it_was_intended_in_the_window() {
    let mut recorder = recorder(Counting::All);
    for (intended, at) in [(90, 95), (95, 105), (100, 110), (199, 210)] {
        answer(&mut recorder, intended, at);
    }
    let metrics = recorder.end_interval(300);
    assert_eq!(metrics.response.histogram.len(), 2);
    assert_eq!(
        metrics.counts.messages, 2,
        "replies that arrived in the window"
    );
    assert_eq!(metrics.response.max, 11);
    assert_eq!(
        (metrics.wait.max, metrics.send_lag.max, metrics.service.max),
        (1, 2, 8)
    );
}

#[test]
fn a_limited_run_is_idle_and_ended_without_the_messages_left_from_the_warm_up() {
    let mut recorder = recorder(Counting::WindowOnly);
    send(&mut recorder, 80);
    recorder.started(90);
    assert!(recorder.is_idle());
    assert_eq!(recorder.last_counted_end(), 100, "the start of the window");
    recorder.started(100);
    assert!(!recorder.is_idle());
    let ended = message(100, Stage::Connecting);
    recorder.end(ended, Outcome::Failed(Failure::Closed), 105);
    answer(&mut recorder, 110, 115);
    assert!(recorder.is_idle());
    let ended = message(90, Stage::Connecting);
    recorder.end(ended, Outcome::Failed(Failure::Refused), 170);
    recorder.answered(&times(80), 64, 180);
    assert_eq!(recorder.last_counted_end(), 115);
    assert_eq!(recorder.last_end(), 180);
}

#[test]
fn a_limited_run_counts_only_messages_of_the_window_in_every_figure() {
    let mut recorder = recorder(Counting::WindowOnly);
    for (intended, at) in [(90, 120), (117, 140)] {
        send(&mut recorder, intended);
        recorder.received(64, at);
        recorder.answered(&times(intended), 64, at);
    }
    let metrics = recorder.end_interval(200);
    assert_eq!(
        (
            metrics.counts.messages,
            metrics.counts.bytes,
            metrics.in_flight
        ),
        (1, 64, 20)
    );
}

#[test]
fn a_reply_after_the_window_does_not_count_towards_the_rate() {
    for counting in [Counting::All, Counting::WindowOnly] {
        let mut recorder = recorder(counting);
        answer(&mut recorder, 150, 199);
        answer(&mut recorder, 160, 200);
        let metrics = recorder.end_interval(220);
        assert_eq!(metrics.counts.messages, 1, "{counting:?}");
        assert_eq!(metrics.response.histogram.len(), 2, "{counting:?}");
    }
}

#[test]
fn connections_are_averaged_over_the_window() {
    let mut recorder = Recorder::new(0);
    assert_eq!(recorder.mean_connections(), None);
    for at in [10, 20, 30, 40] {
        recorder.connection_up(at);
    }
    recorder.connection_down(45);
    recorder.start_load(100..200, Counting::All, 50);
    assert_eq!(recorder.end_interval(100).counts.messages, 0);
    recorder.connection_down(140);
    recorder.connection_up(150);
    recorder.connection_down(170);
    recorder.end_window(200);
    recorder.connection_down(230);
    recorder.connection_down(230);
    // Three connections for 60 ns, two for 40 ns.
    assert_eq!(recorder.mean_connections(), Some(2.6));
}

#[test]
fn a_message_that_was_not_sent_ends_in_exactly_one_count() {
    let mut recorder = recorder(Counting::WindowOnly);
    for (intended, outcome, at) in [
        (100, Outcome::Failed(Failure::Refused), 105),
        (110, Outcome::Failed(Failure::ConnectTimeout), 160),
        (120, Outcome::Corrupted, 165),
        (130, Outcome::Unfinished, 190),
    ] {
        recorder.started(intended);
        assert!(!recorder.is_idle());
        recorder.end(message(intended, Stage::Connecting), outcome, at);
        assert!(recorder.is_idle());
    }
    let metrics = recorder.end_interval(200);
    assert_eq!(
        (metrics.counts.failures.total(), metrics.counts.unsent),
        (2, 1)
    );
    assert_eq!(
        metrics.response.histogram.len(),
        2,
        "a refusal has no response time"
    );
    assert_eq!(metrics.response.lower_bounds(), 2);
}

#[test]
fn a_message_without_a_reply_stays_in_the_histogram_as_a_lower_bound() {
    let mut recorder = recorder(Counting::All);
    answer(&mut recorder, 100, 110);
    for (intended, outcome, at) in [
        (120, Outcome::Unfinished, 220),
        (160, Outcome::Failed(Failure::Timeout), 190),
        (170, Outcome::Failed(Failure::Reset), 190),
    ] {
        send(&mut recorder, intended);
        end_sent(&mut recorder, intended, outcome, at);
    }
    recorder.end_unstarted(150, 1, 220);
    let metrics = recorder.end_interval(220);
    assert_eq!((metrics.counts.unanswered, metrics.counts.unsent), (1, 1));
    assert_eq!(
        metrics.response.histogram.len(),
        4,
        "a reset has no response time"
    );
    assert_eq!(metrics.response.lower_bounds(), 3);
    assert_eq!(metrics.counts.failures.total(), 2);
}

#[test]
fn a_load_that_ends_in_its_warm_up_has_no_window() {
    let mut recorder = recorder(Counting::All);
    answer(&mut recorder, 55, 60);
    send(&mut recorder, 70);
    recorder.record_wait(60, 80);
    recorder.end_window(80);
    end_sent(&mut recorder, 70, Outcome::Unfinished, 80);
    assert_eq!(recorder.window(), 100..100);
    let metrics = recorder.end_interval(100);
    assert_eq!(
        (
            metrics.counts.messages,
            metrics.counts.unanswered,
            metrics.elapsed
        ),
        (0, 0, 0)
    );
    assert_eq!((metrics.polling, metrics.in_flight), (0, 0));
}

#[test]
fn messages_in_flight_are_integrated_over_the_window_alone() {
    let mut recorder = recorder(Counting::All);
    send(&mut recorder, 87);
    send(&mut recorder, 147);
    recorder.answered(&times(87), 64, 170);
    recorder.answered(&times(147), 64, 250);
    // The first is in flight from 90 to 170, the second from 150 to 250. The window is 100 to 200.
    assert_eq!(recorder.end_interval(300).in_flight, 70 + 50);
}

#[test]
fn fault_b1_a_failed_connection_is_recorded_at_the_first_connects_and_in_the_window_alone() {
    let mut recorder = Recorder::new(0);
    recorder.record_connection_failure(Failure::Refused, 10);
    let connects = recorder.end_connects(20);
    assert_eq!(connects.counts.connections[Failure::Refused], 1);
    recorder.record_connection_failure(Failure::Closed, 30);
    recorder.start_load(100..200, Counting::All, 50);
    for at in [70, 150, 250] {
        recorder.record_connection_failure(Failure::Closed, at);
    }
    let counts = recorder.end_interval(300).counts;
    assert_eq!(counts.connections.total(), 1, "the one in the window");
    assert_eq!(counts.failures.total(), 0, "no message failed");
}

#[test]
fn a_loop_that_goes_on_later_than_asked_was_stalled() {
    const MS: u64 = 1_000_000;
    let slack = nanoseconds(platform::SPIN);
    let mut recorder = Recorder::new(0);
    recorder.start_load(30 * MS..1_000 * MS, Counting::All, 0);
    recorder.start_turn(25 * MS);
    assert_eq!(recorder.go_on_by(), 45 * MS, "every 20 ms");
    recorder.start_turn(44 * MS);
    assert!(
        recorder.metrics.stalls.histogram.is_empty(),
        "in time, or before the window"
    );
    recorder.start_turn(45 * MS + slack);
    let asked = recorder.go_on_by();
    recorder.reading(asked + slack + 10 * MS);
    assert_eq!(recorder.metrics.stalled, 0, "a short stall");
    let asked = recorder.go_on_by();
    recorder.start_turn(asked + slack + 11 * MS);
    assert_eq!(recorder.metrics.stalled, 11 * MS);
    let stalls = &recorder.metrics.stalls;
    assert_eq!((stalls.histogram.len(), stalls.max), (3, 11 * MS));
}
