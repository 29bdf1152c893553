//! One session over a scripted transport, with a clock that the test moves.

use std::cell::Cell;

use proptest::prelude::*;

use super::*;
use crate::conn::Framing;
use crate::conn::ShortRead;
use crate::conn::script::Script;

const NUMBER: u64 = 3;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
}

fn now() -> u64 {
    NOW.get()
}

/// Everything that was observed.
#[derive(Default)]
struct Log {
    sent: Vec<Timestamps>,
    answered: Vec<(Timestamps, u64)>,
    /// Messages that may not be begun any more.
    is_closed: bool,
}

impl Observer for Log {
    fn may_begin(&mut self, _: u64) -> bool {
        !self.is_closed
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

/// A session, and what is around it.
struct Bench {
    payload: Payload,
    sizes: Sizes,
    pipeline: usize,
    session: Option<Session>,
    schedule: Schedule,
    log: Log,
}

impl Bench {
    fn new(size: usize, pipeline: usize) -> Self {
        NOW.set(100);
        let payload = Payload::new(Framing::Raw, 1);
        let sizes = Sizes::one(size);
        let mut bench = Self {
            payload,
            sizes,
            pipeline,
            session: None,
            schedule: Schedule::Closed,
            log: Log::default(),
        };
        bench.session = Some(bench.session_with(0, u64::MAX, 0));
        bench
    }

    fn session_with(&self, greeting: usize, left: u64, dial_lag: u64) -> Session {
        let settings = settings(&self.payload, &self.sizes, self.pipeline);
        Session::new(
            &settings,
            NUMBER,
            greeting,
            left,
            Readiness::new(ShortRead::ProvesEmpty),
            now(),
            dial_lag,
        )
    }

    fn with_greeting(mut self, greeting: usize, dial_lag: u64) -> Self {
        self.session = Some(self.session_with(greeting, u64::MAX, dial_lag));
        self
    }

    fn with_schedule(mut self, distance: f64) -> Self {
        self.schedule = Schedule::Constant {
            begin: 100,
            number: 0,
            connections: 1,
            distance,
        };
        self
    }

    fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("a session")
    }

    fn drive(&mut self, script: &mut Script) -> SessionStatus {
        let settings = settings(&self.payload, &self.sizes, self.pipeline);
        let session = self.session.as_mut().expect("a session");
        let mut buffer = [0; 4096];
        session.drive(
            script,
            &mut self.schedule,
            &settings,
            &mut buffer,
            &mut self.log,
        )
    }

    /// At `at` the poll reports that there is something to read.
    fn readable(&mut self, at: u64) {
        NOW.set(at);
        let ready = Ready {
            readable: true,
            ..Ready::default()
        };
        self.session().handle_ready(ready, at);
    }

    fn writable(&mut self, at: u64) {
        NOW.set(at);
        let ready = Ready {
            writable: true,
            ..Ready::default()
        };
        self.session().handle_ready(ready, at);
    }

    /// The bytes of the session's stream.
    fn bytes(&self, from: usize, length: usize) -> Vec<u8> {
        let start = self.payload.start(NUMBER);
        let message = self.payload.message(start, from as u64, length);
        message.pieces(0).concat()
    }
}

fn settings<'a>(payload: &'a Payload, sizes: &'a Sizes, pipeline: usize) -> SessionSettings<'a> {
    SessionSettings {
        payload,
        sizes,
        pipeline,
        verify: true,
        seed: 1,
        clock: now,
    }
}

#[test]
fn in_a_closed_loop_a_message_is_intended_when_the_one_before_is_answered() {
    let mut bench = Bench::new(5, 1);
    let mut script = Script::new();
    assert_eq!(bench.drive(&mut script), SessionStatus::Wait);
    script.expect_calls(&["write(5) = 5"]);

    let mut script = Script::new().read_gives(&bench.bytes(0, 5));
    bench.readable(150);
    assert_eq!(bench.drive(&mut script), SessionStatus::Wait);
    script.expect_calls(&["read(4096) = 5", "write(5) = 5"]);
    assert_eq!(script.written(), bench.bytes(5, 5));
    let times = |at| Timestamps {
        intended: at,
        sendable: at,
        sent: at,
    };
    assert_eq!(bench.log.answered, [(times(100), 150)]);
    assert_eq!(bench.log.sent, [times(100), times(150)]);
}

#[test]
fn a_message_is_answered_by_its_last_byte() {
    let mut bench = Bench::new(5, 1);
    bench.drive(&mut Script::new());
    for (at, range) in [(150, 0..4), (170, 4..5)] {
        assert_eq!(bench.log.answered, []);
        let bytes = bench.bytes(0, 5);
        bench.readable(at);
        bench.drive(&mut Script::new().read_gives(&bytes[range]));
    }
    assert_eq!(bench.log.answered[0].1, 170);
}

#[test]
fn an_open_loop_keeps_the_times_of_what_it_could_not_send() {
    let mut bench = Bench::new(5, 1).with_schedule(10.0);
    bench.drive(&mut Script::new());
    assert_eq!(bench.log.sent.len(), 1, "only one is due at the begin");

    // The server stops for 25, and two more are due meanwhile.
    let reply = bench.bytes(0, 5);
    bench.readable(125);
    bench.drive(&mut Script::new().read_gives(&reply));
    let second = Timestamps {
        intended: 110,
        sendable: 125,
        sent: 125,
    };
    assert_eq!(bench.log.sent[1..], [second], "the delay is in the wait");

    let reply = bench.bytes(5, 5);
    bench.readable(126);
    bench.drive(&mut Script::new().read_gives(&reply));
    assert_eq!(bench.log.sent[2].intended, 120);
    assert_eq!(bench.schedule.next(), Some(130));
}

#[test]
fn our_own_delay_is_in_the_send_lag() {
    let mut bench = Bench::new(5, 2).with_schedule(10.0);
    NOW.set(117);
    bench.drive(&mut Script::new());
    let times = |intended| Timestamps {
        intended,
        sendable: intended,
        sent: 117,
    };
    assert_eq!(bench.log.sent, [times(100), times(110)]);
}

#[test]
fn no_more_messages_are_on_their_way_than_the_pipeline_holds() {
    let mut bench = Bench::new(5, 3);
    let mut script = Script::new();
    bench.drive(&mut script);
    script.expect_calls(&["write(5) = 5", "write(5) = 5", "write(5) = 5"]);

    let replies = bench.bytes(0, 10);
    bench.readable(120);
    let mut script = Script::new().read_gives(&replies);
    bench.drive(&mut script);
    script.expect_calls(&["read(4096) = 10", "write(5) = 5", "write(5) = 5"]);
}

#[test]
fn each_reply_makes_room_for_one_message() {
    let mut bench = Bench::new(5, 3);
    bench.drive(&mut Script::new());
    bench.log.is_closed = true;
    for (number, at) in [120, 130].into_iter().enumerate() {
        let reply = bench.bytes(5 * number, 5);
        bench.readable(at);
        bench.drive(&mut Script::new().read_gives(&reply));
    }
    bench.log.is_closed = false;
    let reply = bench.bytes(10, 5);
    bench.readable(140);
    bench.drive(&mut Script::new().read_gives(&reply));
    let times = bench.log.sent[3..].iter().map(|times| times.intended);
    assert_eq!(times.collect::<Vec<_>>(), [120, 130, 140]);
}

#[test]
fn a_socket_that_takes_nothing_delays_the_message_and_not_us() {
    let mut bench = Bench::new(5, 1);
    let mut script = Script::new().write_blocks();
    assert_eq!(bench.drive(&mut script), SessionStatus::Wait);
    assert!(bench.session().wants_write());
    assert_eq!(bench.log.sent, [], "not one byte of it is handed over");

    bench.writable(180);
    bench.drive(&mut Script::new());
    assert!(!bench.session().wants_write());
    let times = bench.log.sent[0];
    assert_eq!((times.sendable, times.sent), (180, 180));
}

#[test]
fn a_message_is_sent_with_its_first_byte_and_goes_on_where_it_was_cut() {
    let mut bench = Bench::new(5, 1);
    let mut script = Script::new().write_takes(2).write_blocks();
    bench.drive(&mut script);
    assert_eq!(bench.log.sent[0].sent, 100);

    bench.writable(200);
    let mut rest = Script::new();
    bench.drive(&mut rest);
    let written = [script.written(), rest.written()].concat();
    assert_eq!(written, bench.bytes(0, 5));
}

#[test]
fn a_wrong_byte_is_named_by_its_offset_on_the_connection() {
    let mut bench = Bench::new(5, 2);
    bench.drive(&mut Script::new());
    let mut reply = bench.bytes(0, 10);
    let expected = reply[7..].to_vec();
    reply[7] ^= 0x55;
    bench.readable(120);
    let progress = bench.drive(&mut Script::new().read_gives(&reply));
    let corruption = Corruption {
        connection: NUMBER,
        offset: 7,
        expected,
        got: reply[7..].to_vec(),
    };
    assert_eq!(progress, SessionStatus::Corrupted(corruption));
    assert_eq!(
        bench.log.answered.len(),
        1,
        "the message before it is right"
    );
}

#[test]
fn bytes_that_were_not_sent_yet_are_wrong_however_they_look() {
    for (takes, due) in [(5, 5), (2, 2)] {
        let mut bench = Bench::new(5, 1);
        let mut script = Script::new().write_takes(takes).write_blocks();
        bench.log.is_closed = false;
        bench.drive(&mut script);
        bench.log.is_closed = true;
        let reply = bench.bytes(0, due + 1);
        bench.readable(120);
        match bench.drive(&mut Script::new().read_gives(&reply)) {
            SessionStatus::Corrupted(corruption) => assert_eq!(corruption.offset, due as u64),
            progress => panic!("{progress:?}"),
        }
    }
}

#[test]
fn a_greeting_is_no_reply_however_it_is_cut() {
    let mut bench = Bench::new(5, 1).with_greeting(7, 3);
    let mut script = Script::new();
    bench.drive(&mut script);
    script.expect_calls(&[]);

    bench.readable(110);
    bench.drive(&mut Script::new().read_gives(b"welc"));
    assert_eq!(bench.log.sent, []);
    bench.readable(120);
    bench.drive(&mut Script::new().read_gives(b"ome"));
    let sendable = bench.log.sent[0].sendable;
    assert_eq!(sendable, 120 - 3, "by which it was connected too late");
}

#[test]
fn the_end_of_the_peer_and_its_reset_are_different_failures() {
    for (script, failure) in [
        (Script::new().read_ends(), Failure::Closed),
        (
            Script::new().read_fails(ErrorKind::ConnectionReset),
            Failure::Reset,
        ),
        (
            Script::new().read_fails(ErrorKind::ConnectionAborted),
            Failure::Reset,
        ),
        (
            Script::new().read_fails(ErrorKind::OutOfMemory),
            Failure::Other,
        ),
    ] {
        let mut bench = Bench::new(5, 1);
        bench.drive(&mut Script::new());
        bench.readable(120);
        let mut script = script;
        assert_eq!(bench.drive(&mut script), SessionStatus::Lost(failure));
        let unanswered = bench.session.take().expect("a session").into_unanswered();
        assert_eq!(unanswered.len(), 1);
    }
}

#[test]
fn an_end_behind_an_event_that_told_of_a_reset_is_one() {
    let mut bench = Bench::new(5, 1);
    bench.drive(&mut Script::new());
    let reset = Ready {
        readable: true,
        read_closed: true,
        write_closed: true,
        ..Ready::default()
    };
    bench.session().handle_ready(reset, 120);
    let mut script = Script::new().read_gives(&bench.bytes(0, 3)).read_ends();
    assert_eq!(
        bench.drive(&mut script),
        SessionStatus::Lost(Failure::Reset)
    );
    script.expect_calls(&["read(4096) = 3", "read(4096) = 0"]);
}

#[test]
fn after_its_last_message_a_session_is_complete() {
    let mut bench = Bench::new(5, 1);
    bench.session = Some(bench.session_with(0, 1, 0));
    bench.drive(&mut Script::new());
    assert!(!bench.session().is_complete());
    let reply = bench.bytes(0, 5);
    bench.readable(120);
    let mut script = Script::new().read_gives(&reply);
    bench.drive(&mut script);
    script.expect_calls(&["read(4096) = 5"]);
    assert!(bench.session().is_complete());
}

proptest! {
    #[test]
    fn every_cut_of_the_replies_and_of_the_writes_is_the_same_to_it(
        size in 1_usize..40, pipeline in 1_usize..5, cuts in prop::collection::vec(1_usize..30, 1..60)
    ) {
        let mut bench = Bench::new(size, pipeline);
        let (mut written, mut echoed) = (Vec::new(), 0);
        for (step, cut) in cuts.into_iter().enumerate() {
            let mut script = Script::new();
            let echo = written.len().min(echoed + cut);
            if echo > echoed {
                script = script.read_gives(&written[echoed..echo]);
                echoed = echo;
            }
            script = script.write_takes(cut).write_blocks();
            bench.readable(200 + step as u64);
            bench.writable(200 + step as u64);
            prop_assert_eq!(bench.drive(&mut script), SessionStatus::Wait);
            written.extend(script.written());
            prop_assert_eq!(bench.log.answered.len(), echoed / size);
            prop_assert!(written.len() <= echoed + (pipeline + 1) * size);
        }
        prop_assert_eq!(written.clone(), bench.bytes(0, written.len()));
    }
}
