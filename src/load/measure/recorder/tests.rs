use super::*;

fn times(intended: u64) -> Timestamps {
    Timestamps {
        intended,
        sendable: intended + 1,
        sent: intended + 3,
    }
}

fn recorder(quota: Option<u64>) -> Recorder {
    let mut recorder = Recorder::new(0);
    recorder.open(100..200, quota, 50);
    recorder
}

fn answer(recorder: &mut Recorder, intended: u64, at: u64) {
    recorder.sent(&times(intended));
    recorder.answered(&times(intended), 64, at);
}

#[test]
fn a_message_is_measured_if_it_was_intended_in_the_window() {
    let mut recorder = recorder(None);
    for (intended, at) in [(90, 95), (95, 105), (100, 110), (199, 210)] {
        answer(&mut recorder, intended, at);
    }
    let tally = recorder.hand_over(300);
    assert_eq!(tally.response.histogram.len(), 2);
    assert_eq!(tally.messages, 2, "those that came in the window");
    assert_eq!(tally.response.max, 11);
    assert_eq!(
        (tally.wait.max, tally.send_lag.max, tally.service.max),
        (1, 2, 8)
    );
}

#[test]
fn a_number_of_messages_is_kept_exactly() {
    let mut recorder = recorder(Some(2));
    answer(&mut recorder, 90, 120);
    for intended in [100, 110] {
        assert!(recorder.may_begin(intended) && !recorder.is_complete());
        answer(&mut recorder, intended, intended + 5);
    }
    assert!(!recorder.may_begin(120) && recorder.is_complete());
    assert_eq!(recorder.hand_over(130).messages, 2);
}

#[test]
fn a_number_of_messages_is_complete_without_what_is_left_of_the_warm_up() {
    let mut recorder = recorder(Some(2));
    recorder.sent(&times(80));
    recorder.dialed(90);
    assert_eq!(recorder.last_counted_end(), 100, "the begin of the window");
    recorder.dialed(100);
    recorder.never_sent(100, Failure::Closed, 105);
    recorder.dialed(110);
    assert!(!recorder.is_complete());
    answer(&mut recorder, 110, 115);
    assert!(recorder.is_complete() && recorder.is_idle());
    recorder.never_sent(90, Failure::Refused, 170);
    recorder.answered(&times(80), 64, 180);
    assert_eq!(recorder.last_counted_end(), 115);
}

#[test]
fn with_a_number_of_messages_only_those_are_in_any_figure() {
    let mut recorder = recorder(Some(2));
    recorder.sent(&times(90));
    recorder.received(64, 120);
    recorder.answered(&times(90), 64, 120);
    recorder.sent(&times(117));
    recorder.received(64, 140);
    recorder.answered(&times(117), 64, 140);
    let tally = recorder.hand_over(200);
    assert_eq!((tally.messages, tally.bytes, tally.in_flight), (1, 64, 20));
}

#[test]
fn a_reply_behind_the_window_is_no_part_of_the_rate() {
    for quota in [None, Some(9)] {
        let mut recorder = recorder(quota);
        answer(&mut recorder, 150, 199);
        answer(&mut recorder, 160, 200);
        let tally = recorder.hand_over(220);
        assert_eq!(tally.messages, 1, "{quota:?}");
        assert_eq!(tally.response.histogram.len(), 2, "{quota:?}");
    }
}

#[test]
fn connections_are_those_of_the_window_on_average() {
    let mut recorder = Recorder::new(0);
    assert_eq!(recorder.connections(), None);
    for at in [10, 20, 30, 40] {
        recorder.went_up(at);
    }
    recorder.went_down(45);
    recorder.open(100..200, None, 50);
    assert_eq!(recorder.hand_over(100).messages, 0);
    recorder.went_down(140);
    recorder.went_up(150);
    recorder.went_down(170);
    recorder.close(200);
    recorder.went_down(230);
    recorder.went_down(230);
    // Three for 60 ns, two for 40.
    assert_eq!(recorder.connections(), Some(2.6));
}

#[test]
fn with_churn_no_more_connects_are_begun_than_messages_were_asked_for() {
    let mut recorder = recorder(Some(2));
    recorder.dialed(100);
    recorder.dialed(101);
    assert!(!recorder.may_dial(102), "both are on their way");
    assert!(recorder.may_begin(100) && !recorder.is_complete());
    answer(&mut recorder, 100, 105);
    assert!(!recorder.is_complete(), "the other one is on its way");
    recorder.never_sent(101, Failure::Closed, 110);
    assert!(!recorder.may_dial(111), "it has failed with its connection");
    assert!(recorder.is_complete());
}

#[test]
fn with_churn_a_message_ends_in_one_way_also_where_it_was_never_sent() {
    let mut recorder = recorder(Some(4));
    for intended in [100, 110, 120, 130] {
        recorder.dialed(intended);
    }
    recorder.never_sent(100, Failure::Refused, 105);
    recorder.never_sent(110, Failure::ConnectTimeout, 160);
    recorder.dropped_unsent(120, 165);
    assert!(!recorder.is_complete());
    recorder.unsent_though_dialed(130, 190);
    assert!(recorder.is_complete());
    let tally = recorder.hand_over(200);
    assert_eq!((tally.failures.total(), tally.unsent), (2, 1));
    assert_eq!(tally.response.histogram.len(), 2, "a refusal is no time");
    assert_eq!(tally.response.lower_bound_from, Some(50));
}

#[test]
fn what_has_no_answer_stays_in_the_histogram_as_a_lower_bound() {
    let mut recorder = recorder(None);
    answer(&mut recorder, 100, 110);
    recorder.sent(&times(120));
    recorder.unanswered(&times(120), 220);
    recorder.unsent(150, 220);
    recorder.sent(&times(160));
    recorder.lost(&times(160), Failure::Timeout, 190);
    recorder.sent(&times(170));
    recorder.lost(&times(170), Failure::Reset, 190);
    let tally = recorder.hand_over(220);
    assert_eq!((tally.unanswered, tally.unsent), (1, 1));
    assert_eq!(tally.response.histogram.len(), 4, "a reset is no time");
    assert_eq!(tally.response.lower_bound_from, Some(30));
    assert_eq!(tally.failures.total(), 2);
}

#[test]
fn a_load_that_is_cut_in_its_warm_up_has_no_window() {
    let mut recorder = recorder(None);
    answer(&mut recorder, 55, 60);
    recorder.sent(&times(70));
    recorder.waited(60, 80);
    recorder.close(80);
    recorder.unanswered(&times(70), 80);
    assert_eq!(recorder.window(), 100..100);
    let tally = recorder.hand_over(100);
    assert_eq!((tally.messages, tally.unanswered, tally.elapsed), (0, 0, 0));
    assert_eq!((tally.polling, tally.in_flight), (0, 0));
}

#[test]
fn messages_in_flight_are_integrated_over_the_window_alone() {
    let mut recorder = recorder(None);
    recorder.sent(&times(87));
    recorder.sent(&times(147));
    recorder.answered(&times(87), 64, 170);
    recorder.answered(&times(147), 64, 250);
    // 90 to 170 is in the window from 100 on, 150 to 250 until 200.
    assert_eq!(recorder.hand_over(300).in_flight, 70 + 50);
}

#[test]
fn a_failure_in_the_warm_up_or_after_the_window_is_nobodys() {
    let mut recorder = Recorder::new(0);
    recorder.failed(Failure::Refused, 10);
    recorder.open(100..200, None, 50);
    recorder.failed(Failure::Closed, 70);
    recorder.failed(Failure::Closed, 150);
    recorder.failed(Failure::Closed, 250);
    assert_eq!(recorder.hand_over(300).failures.total(), 2);
}
