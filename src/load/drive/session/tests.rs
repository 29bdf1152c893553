//! A session on a scripted transport, with a clock that the test sets.

use proptest::prelude::*;

use super::*;
use crate::conn::script::Script;
use crate::conn::{Framing, ShortRead};
use crate::load::plan::settings::Sizes;
use crate::load::testing::closed_loop;

const NUMBER: u64 = 3;

/// Everything that the session has reported, and its clock.
#[derive(Default)]
struct Log {
    now: u64,
    started: Vec<u64>,
    sent: Vec<Timestamps>,
    answered: Vec<(Timestamps, u64)>,
}

impl Observer for Log {
    fn now(&self) -> u64 {
        self.now
    }
    fn started(&mut self, intended: u64) {
        self.started.push(intended);
    }
    fn sent(&mut self, times: &Timestamps) {
        self.sent.push(*times);
    }
    fn answered(&mut self, times: &Timestamps, _: usize, at: u64) {
        self.answered.push((*times, at));
    }
    fn received(&mut self, _: usize, _: u64) {}
    fn reading(&mut self, _: u64) {}
}

/// A session and its surroundings. The load is open, and the time is 100.
struct Harness {
    settings: Arc<RunSettings>,
    payload: Arc<Payload>,
    session: Session,
    schedule: Schedule,
    admission: Admission,
    log: Log,
}

impl Harness {
    fn new(size: usize, pipeline: usize) -> Self {
        let settings = Arc::new(RunSettings {
            sizes: Sizes::one(size),
            pipeline,
            ..closed_loop().settings
        });
        let payload = Arc::new(Payload::new(Framing::Raw, 1));
        let mut admission = Admission::default();
        admission.open(0..u64::MAX, None);
        Self {
            session: session(&settings, &payload, SessionLoad::Unlimited, 0),
            settings,
            payload,
            schedule: Schedule::Closed,
            admission,
            log: Log {
                now: 100,
                ..Log::default()
            },
        }
    }

    fn with_schedule(mut self, gap: f64) -> Self {
        self.schedule = Schedule::Constant {
            start: 100,
            number: 0,
            connections: 1,
            gap,
        };
        self
    }

    fn drive(&mut self, script: &mut Script) -> SessionStatus {
        self.session.drive(
            script,
            &mut self.schedule,
            &mut [0; 4096],
            &mut self.admission,
            &mut self.log,
        )
    }

    /// Records an event at `at`: the socket may be readable.
    fn readable(&mut self, at: u64) {
        self.log.now = at;
        let ready = Ready {
            readable: true,
            ..Ready::default()
        };
        self.session.handle_ready(ready, at);
    }

    /// Records an event at `at`: the socket may be writable.
    fn writable(&mut self, at: u64) {
        self.log.now = at;
        let ready = Ready {
            writable: true,
            ..Ready::default()
        };
        self.session.handle_ready(ready, at);
    }

    /// Returns bytes of the connection's byte stream.
    fn bytes(&self, from: usize, length: usize) -> Vec<u8> {
        let start = self.payload.start(NUMBER);
        let message = self.payload.message(start, from as u64, length);
        message.pieces(0).concat()
    }
}

fn session(
    settings: &Arc<RunSettings>,
    payload: &Arc<Payload>,
    load: SessionLoad,
    connect_lag: u64,
) -> Session {
    let readiness = Readiness::new(ShortRead::ProvesEmpty);
    Session::new(settings, payload, NUMBER, load, readiness, 100, connect_lag)
}

#[test]
fn in_a_closed_loop_a_message_is_intended_when_the_previous_one_is_answered() {
    let mut harness = Harness::new(5, 1);
    let mut script = Script::new();
    assert_eq!(harness.drive(&mut script), SessionStatus::Waiting);
    script.expect_calls(&["write(5) = 5"]);

    let mut script = Script::new().read_gives(&harness.bytes(0, 5));
    harness.readable(150);
    assert_eq!(harness.drive(&mut script), SessionStatus::Waiting);
    script.expect_calls(&["read(4096) = 5", "write(5) = 5"]);
    assert_eq!(script.written(), harness.bytes(5, 5));
    let times = |at| Timestamps {
        intended: at,
        sendable: at,
        sent: at,
    };
    assert_eq!(harness.log.answered, [(times(100), 150)]);
    assert_eq!(harness.log.sent, [times(100), times(150)]);
}

#[test]
fn a_message_is_answered_with_the_last_byte_of_its_reply() {
    let mut harness = Harness::new(5, 1);
    harness.drive(&mut Script::new());
    for (at, range) in [(150, 0..4), (170, 4..5)] {
        assert_eq!(harness.log.answered, []);
        let bytes = harness.bytes(0, 5);
        harness.readable(at);
        harness.drive(&mut Script::new().read_gives(&bytes[range]));
    }
    assert_eq!(harness.log.answered[0].1, 170);
}

#[test]
fn an_open_loop_keeps_the_times_of_messages_that_it_could_not_send() {
    let mut harness = Harness::new(5, 1).with_schedule(10.0);
    harness.drive(&mut Script::new());
    assert_eq!(harness.log.sent.len(), 1, "only one message is due at 100");

    // The server stalls for 25 ns, and two more messages become due meanwhile.
    let reply = harness.bytes(0, 5);
    harness.readable(125);
    harness.drive(&mut Script::new().read_gives(&reply));
    let second = Timestamps {
        intended: 110,
        sendable: 125,
        sent: 125,
    };
    assert_eq!(harness.log.sent[1..], [second], "the delay is in the wait");

    let reply = harness.bytes(5, 5);
    harness.readable(126);
    harness.drive(&mut Script::new().read_gives(&reply));
    assert_eq!(harness.log.sent[2].intended, 120);
    assert_eq!(harness.schedule.next_due(), Some(130));
}

#[test]
fn a_delay_of_the_generator_is_in_the_send_lag() {
    let mut harness = Harness::new(5, 2).with_schedule(10.0);
    harness.log.now = 117;
    harness.drive(&mut Script::new());
    let times = |intended| Timestamps {
        intended,
        sendable: intended,
        sent: 117,
    };
    assert_eq!(harness.log.sent, [times(100), times(110)]);
}

#[test]
fn no_more_messages_are_unanswered_than_the_pipeline_allows() {
    let mut harness = Harness::new(5, 3);
    let mut script = Script::new();
    harness.drive(&mut script);
    script.expect_calls(&["write(5) = 5", "write(5) = 5", "write(5) = 5"]);

    let replies = harness.bytes(0, 10);
    harness.readable(120);
    let mut script = Script::new().read_gives(&replies);
    harness.drive(&mut script);
    script.expect_calls(&["read(4096) = 10", "write(5) = 5", "write(5) = 5"]);
}

#[test]
fn each_reply_makes_room_for_one_message() {
    let mut harness = Harness::new(5, 3);
    harness.drive(&mut Script::new());
    harness.admission.close();
    for (number, at) in [120, 130].into_iter().enumerate() {
        let reply = harness.bytes(5 * number, 5);
        harness.readable(at);
        harness.drive(&mut Script::new().read_gives(&reply));
    }
    harness.admission.open(0..u64::MAX, None);
    let reply = harness.bytes(10, 5);
    harness.readable(140);
    harness.drive(&mut Script::new().read_gives(&reply));
    let times = harness.log.sent[3..].iter().map(|times| times.intended);
    assert_eq!(times.collect::<Vec<_>>(), [120, 130, 140]);
}

#[test]
fn a_session_takes_each_message_from_the_quota() {
    let mut harness = Harness::new(5, 3);
    harness.admission.open(0..u64::MAX, Some(2));
    harness.drive(&mut Script::new());
    assert_eq!(harness.log.started, [100, 100]);
    assert_eq!(harness.log.sent.len(), 2);
    assert!(harness.admission.is_exhausted());
}

#[test]
fn a_message_on_a_blocked_socket_is_not_sendable() {
    let mut harness = Harness::new(5, 1);
    let mut script = Script::new().write_blocks();
    assert_eq!(harness.drive(&mut script), SessionStatus::Waiting);
    assert_eq!(harness.session.blocked_since(), Some(100));
    assert_eq!(harness.log.sent, [], "the socket accepted no byte");

    harness.writable(180);
    harness.drive(&mut Script::new());
    assert_eq!(harness.session.blocked_since(), None);
    let times = harness.log.sent[0];
    assert_eq!((times.sendable, times.sent), (180, 180));
}

#[test]
fn a_message_is_sent_with_its_first_byte_and_continues_after_a_partial_write() {
    let mut harness = Harness::new(5, 1);
    let mut script = Script::new().write_takes(2).write_blocks();
    harness.drive(&mut script);
    assert_eq!(harness.log.sent[0].sent, 100);

    harness.writable(200);
    let mut rest = Script::new();
    harness.drive(&mut rest);
    let written = [script.written(), rest.written()].concat();
    assert_eq!(written, harness.bytes(0, 5));
}

#[test]
fn a_wrong_byte_is_reported_with_its_offset_on_the_connection() {
    let mut harness = Harness::new(5, 2);
    harness.drive(&mut Script::new());
    let mut reply = harness.bytes(0, 10);
    let expected = reply[7..].to_vec();
    reply[7] ^= 0x55;
    harness.readable(120);
    let status = harness.drive(&mut Script::new().read_gives(&reply));
    let corruption = Corruption {
        connection: NUMBER,
        offset: 7,
        expected,
        got: reply[7..].to_vec(),
    };
    assert_eq!(status, SessionStatus::Corrupted(corruption));
    assert_eq!(
        harness.log.answered.len(),
        1,
        "the previous message is answered"
    );
}

#[test]
fn bytes_that_arrive_before_they_were_sent_are_wrong() {
    for (accepted, sent) in [(5, 5), (2, 2)] {
        let mut harness = Harness::new(5, 1);
        let mut script = Script::new().write_takes(accepted).write_blocks();
        harness.drive(&mut script);
        harness.admission.close();
        let reply = harness.bytes(0, sent + 1);
        harness.readable(120);
        match harness.drive(&mut Script::new().read_gives(&reply)) {
            SessionStatus::Corrupted(corruption) => assert_eq!(corruption.offset, sent as u64),
            status => panic!("{status:?}"),
        }
    }
}

#[test]
fn a_greeting_is_discarded_however_it_is_split() {
    let mut harness = Harness::new(5, 1);
    let settings = Arc::new(RunSettings {
        skip: 7,
        ..(*harness.settings).clone()
    });
    harness.session = session(&settings, &harness.payload, SessionLoad::Unlimited, 3);
    let mut script = Script::new();
    harness.drive(&mut script);
    script.expect_calls(&[]);

    harness.readable(110);
    harness.drive(&mut Script::new().read_gives(b"welc"));
    assert_eq!(harness.log.sent, []);
    harness.readable(120);
    harness.drive(&mut Script::new().read_gives(b"ome"));
    let sendable = harness.log.sent[0].sendable;
    assert_eq!(sendable, 120 - 3, "earlier by the lag of the connect");
}

#[test]
fn a_fin_and_a_reset_of_the_peer_are_different_failures() {
    let reset = |kind| Script::new().read_fails(kind);
    for (mut script, failure) in [
        (Script::new().read_ends(), Failure::Closed),
        (reset(ErrorKind::ConnectionReset), Failure::Reset),
        (reset(ErrorKind::ConnectionAborted), Failure::Reset),
        (reset(ErrorKind::OutOfMemory), Failure::Other),
    ] {
        let mut harness = Harness::new(5, 1);
        harness.drive(&mut Script::new());
        harness.readable(120);
        assert_eq!(harness.drive(&mut script), SessionStatus::Failed(failure));
        assert_eq!(harness.session.into_unanswered().len(), 1);
    }
}

#[test]
fn an_end_of_input_after_an_event_that_reported_a_reset_is_a_reset() {
    let mut harness = Harness::new(5, 1);
    harness.drive(&mut Script::new());
    let reset = Ready {
        readable: true,
        read_closed: true,
        write_closed: true,
        ..Ready::default()
    };
    harness.session.handle_ready(reset, 120);
    let mut script = Script::new().read_gives(&harness.bytes(0, 3)).read_ends();
    let failed = SessionStatus::Failed(Failure::Reset);
    assert_eq!(harness.drive(&mut script), failed);
    script.expect_calls(&["read(4096) = 3", "read(4096) = 0"]);
}

#[test]
fn a_session_of_one_message_is_complete_with_its_reply() {
    let mut harness = Harness::new(5, 1);
    harness.session = session(
        &harness.settings,
        &harness.payload,
        SessionLoad::OneMessage,
        0,
    );
    // The connect has admitted the message, so the end of the load does not keep it back.
    harness.admission.close();
    harness.drive(&mut Script::new());
    assert!(harness.log.started.is_empty(), "the connect was the start");
    assert!(harness.session.has_sent_all() && !harness.session.is_complete());
    let reply = harness.bytes(0, 5);
    harness.readable(120);
    let mut script = Script::new().read_gives(&reply);
    harness.drive(&mut script);
    script.expect_calls(&["read(4096) = 5"]);
    assert!(harness.session.is_complete());
}

proptest! {
    #[test]
    fn replies_and_writes_may_be_split_anywhere(
        size in 1_usize..40, pipeline in 1_usize..5, cuts in prop::collection::vec(1_usize..30, 1..60)
    ) {
        let mut harness = Harness::new(size, pipeline);
        let (mut written, mut echoed) = (Vec::new(), 0);
        for (step, cut) in cuts.into_iter().enumerate() {
            let mut script = Script::new();
            let echo = written.len().min(echoed + cut);
            if echo > echoed {
                script = script.read_gives(&written[echoed..echo]);
                echoed = echo;
            }
            script = script.write_takes(cut).write_blocks();
            harness.readable(200 + step as u64);
            harness.writable(200 + step as u64);
            prop_assert_eq!(harness.drive(&mut script), SessionStatus::Waiting);
            written.extend(script.written());
            prop_assert_eq!(harness.log.answered.len(), echoed / size);
            prop_assert!(written.len() <= echoed + (pipeline + 1) * size);
        }
        prop_assert_eq!(written.clone(), harness.bytes(0, written.len()));
    }
}

#[test]
fn fault_b6_progress_of_the_oldest_message_restarts_its_timeout() {
    let mut harness = Harness::new(100, 1);
    harness.drive(&mut Script::new());
    assert_eq!(harness.session.awaited_since(), Some(100), "sent");
    for (range, at) in [(0..40, 250), (40..70, 400)] {
        harness.readable(at);
        let bytes = harness.bytes(range.start, range.len());
        harness.drive(&mut Script::new().read_gives(&bytes));
        assert_eq!(harness.session.awaited_since(), Some(at), "progress");
    }
    harness.readable(500);
    let end = harness.bytes(70, 30);
    harness.drive(&mut Script::new().read_gives(&end));
    assert_eq!(harness.session.awaited_since(), Some(500), "the next one");
}
