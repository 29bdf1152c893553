//! The loop of one thread: some of the connections, their schedules, and their figures.
//!
//! ```text
//!          +--------------------------------------------------------------------------+
//!          |  wait     until an event or a due time; right before a message is due,   |
//!          |           look again and again instead                                   |
//!          |  note     events -> sticky bits and keys; no I/O                         |
//!          |  run      read, compare, send: connections with an event                 |
//!          |  due      messages whose time has come; timeouts; connects               |
//!          |  advance  connect -> warm up -> measure -> drain -> done                 |
//!          +--------------------------------------------------------------------------+
//! ```

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Token, Waker};

use super::agenda::Agenda;
use super::control::{Control, News, Reporter, Timeline};
use super::phases::Phase;
use super::seat::{Line, Seat};
use super::session::{Observer, Progress, Shared};
use crate::load::measure::recorder::Recorder;
use crate::load::measure::tally::Failure;
use crate::load::plan::config::Config;
use crate::load::plan::payload::{PIECE, Payload};
use crate::net::timers::{NEVER, nanoseconds, wait_for};
use crate::net::{ConnectError, Handle, platform, slot};

/// Events taken from the poll at once.
const EVENTS: usize = 1024;

const WAKER: Token = Token(usize::MAX - 1);

/// The part of the connections that one loop has.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The number of the loop, from 0.
    pub thread: usize,
    /// How many loops there are.
    pub threads: usize,
    /// Messages that it may begin in the window.
    pub quota: Option<u64>,
}

/// One loop.
pub struct Generator {
    pub(crate) poll: Poll,
    pub(crate) events: Events,
    pub(crate) config: Arc<Config>,
    pub(crate) address: SocketAddr,
    pub(crate) payload: Arc<Payload>,
    pub(crate) control: Arc<Control>,
    pub(crate) reporter: Reporter,
    pub(crate) part: Part,
    pub(crate) seats: Vec<Seat>,
    /// Seats that had an event, or have more to read.
    pub(crate) ready: VecDeque<usize>,
    /// When messages are due.
    pub(crate) slots: Agenda,
    /// When connections are looked at: timeouts and connects.
    pub(crate) checks: Agenda,
    pub(crate) recorder: Recorder,
    pub(crate) buffer: Box<[u8]>,
    pub(crate) phase: Phase,
    pub(crate) timeline: Option<Timeline>,
    pub(crate) next_interval: u64,
    /// When the schedule of a number of messages ends.
    pub(crate) scheduled_until: u64,
    pub(crate) intervals: usize,
    /// Seats below this have been tried.
    pub(crate) dialed: usize,
    pub(crate) connecting: usize,
    pub(crate) up: usize,
    /// Connections so far, for their numbers.
    pub(crate) sockets: u64,
    pub(crate) started: u64,
    /// Whether the last turn found nothing to do.
    pub(crate) is_idle: bool,
    /// Whether the end that was asked for has been begun.
    pub(crate) is_cut: bool,
    pub(crate) now: u64,
}

impl Generator {
    /// A loop for its part of the connections to `address`, and the way to wake it.
    ///
    /// # Errors
    ///
    /// When the system does not give it a poll.
    pub fn new(
        config: Arc<Config>,
        address: SocketAddr,
        payload: Arc<Payload>,
        control: Arc<Control>,
        reporter: Reporter,
        part: Part,
    ) -> io::Result<(Self, Handle)> {
        let poll = Poll::new()?;
        let handle = Handle::new(Waker::new(poll.registry(), WAKER)?);
        let now = platform::monotonic_now();
        let generator = Self {
            poll,
            events: Events::with_capacity(EVENTS),
            seats: seats(&config, part),
            address,
            payload,
            control,
            reporter,
            part,
            ready: VecDeque::new(),
            slots: Agenda::default(),
            checks: Agenda::default(),
            recorder: Recorder::new(now),
            buffer: vec![0; PIECE].into_boxed_slice(),
            phase: Phase::Connecting,
            timeline: None,
            next_interval: NEVER,
            scheduled_until: 0,
            intervals: 0,
            dialed: 0,
            connecting: 0,
            up: 0,
            sockets: 0,
            started: now,
            is_idle: false,
            is_cut: false,
            now,
            config,
        };
        Ok((generator, handle))
    }

    /// Runs until the measurement is over.
    ///
    /// # Errors
    ///
    /// Only when the poll itself fails.
    pub fn run(mut self) -> io::Result<()> {
        while self.phase != Phase::Done {
            self.wait()?;
            self.note();
            self.run_ready();
            self.run_due();
            self.advance();
        }
        Ok(())
    }

    fn wait(&mut self) -> io::Result<()> {
        let from = platform::monotonic_now();
        let previous = std::mem::replace(&mut self.now, from);
        let is_spinning = self.is_due_soon();
        let timeout = match is_spinning || !self.ready.is_empty() {
            true => Some(Duration::ZERO),
            false => self.timeout(),
        };
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            Ok(()) | Err(_) => {}
        }
        self.now = platform::monotonic_now();
        let found_nothing = self.events.is_empty() && self.slots.next() > self.now;
        if is_spinning && found_nothing {
            // Turns that find nothing are spinning as a whole.
            let from = if self.is_idle { previous } else { from };
            self.recorder.spun(from, self.now);
        } else if timeout != Some(Duration::ZERO) {
            self.recorder.waited(from, self.now);
        } else {
            self.recorder.looked(self.now);
        }
        self.is_idle = found_nothing;
        Ok(())
    }

    /// Whether something is due so soon that a wait could miss its time.
    fn is_due_soon(&self) -> bool {
        self.next_due() <= self.now.saturating_add(nanoseconds(platform::SPIN))
    }

    fn timeout(&self) -> Option<Duration> {
        let due = match self.next_due() {
            NEVER => NEVER,
            due => due.saturating_sub(nanoseconds(platform::SPIN)),
        };
        let deadline = due
            .min(self.checks.next())
            .min(self.next_interval)
            .min(self.next_dial())
            .min(self.phase_ends());
        wait_for(deadline, self.now)
    }

    fn note(&mut self) {
        for event in &self.events {
            if event.token() != WAKER {
                let Token(key) = event.token();
                note(&mut self.seats[key], event, self.now);
                enqueue(&mut self.seats, &mut self.ready, key);
            }
        }
    }

    fn run_ready(&mut self) {
        for _ in 0..self.ready.len() {
            if let Some(key) = self.ready.pop_front() {
                self.seats[key].is_queued = false;
                match self.seats[key].line {
                    Line::Down => {}
                    Line::Connecting { .. } => self.finish_connect(key),
                    Line::Up { .. } => self.run_session(key),
                }
            }
        }
    }

    fn run_due(&mut self) {
        // Not past this moment, or a schedule that cannot be kept would hold up the replies.
        while let Some((_, key)) = self.slots.pop_due(self.now) {
            self.run_slot(key);
        }
        while let Some((time, key)) = self.checks.pop_due(self.now) {
            if self.seats[key].check_at == time {
                self.seats[key].check_at = NEVER;
                self.check(key);
            }
        }
        while self.next_dial() <= self.now {
            self.dialed += 1;
            self.connecting += 1;
            self.dial(self.dialed - 1);
        }
    }

    pub(crate) fn run_slot(&mut self, key: usize) {
        self.seats[key].slot_at = NEVER;
        match self.seats[key].line {
            Line::Down if self.config.churn => self.dial(key),
            Line::Down | Line::Connecting { .. } => {}
            Line::Up { .. } => self.run_session(key),
        }
    }

    pub(crate) fn run_session(&mut self, key: usize) {
        let seat = &mut self.seats[key];
        let Line::Up {
            socket, session, ..
        } = &mut seat.line
        else {
            return;
        };
        let progress = session.drive(
            socket,
            &mut seat.schedule,
            &shared(&self.config, &self.payload),
            &mut self.buffer,
            &mut self.recorder,
        );
        let is_complete = session.is_complete();
        match progress {
            Progress::Wait | Progress::Again | Progress::Lost(_) if is_complete => {
                self.next_churn(key);
            }
            Progress::Lost(failure) => self.lose(key, failure),
            Progress::Corrupted(corruption) => self.lose_corrupted(key, corruption),
            Progress::Wait | Progress::Again => {
                if !seat.tell_kernel(self.poll.registry(), Token(key)) {
                    return self.lose(key, Failure::Reset);
                }
                if progress == Progress::Again {
                    enqueue(&mut self.seats, &mut self.ready, key);
                }
                self.plan_slot(key);
                self.plan_check(key);
            }
        }
    }

    /// Puts the next message of an open loop on the agenda, if nothing but its time is missing.
    pub(crate) fn plan_slot(&mut self, key: usize) {
        let seat = &mut self.seats[key];
        let Line::Up { session, .. } = &seat.line else {
            return;
        };
        let Some(next) = seat.schedule.next() else {
            return;
        };
        let is_free = session.is_able(&shared(&self.config, &self.payload));
        if is_free && seat.slot_at == NEVER && self.recorder.may_begin(next) {
            seat.slot_at = next;
            self.slots.add(next, key);
        }
    }

    pub(crate) fn plan_check(&mut self, key: usize) {
        let seat = &mut self.seats[key];
        let deadline = seat.deadline(nanoseconds(self.config.timeout));
        if deadline < seat.check_at {
            seat.check_at = deadline;
            self.checks.add(deadline, key);
        }
    }

    fn check(&mut self, key: usize) {
        if self.seats[key].report_blocked(self.now) {
            let connection = self.seats[key].connection;
            self.reporter.tell(News::PeerDoesNotRead(connection));
        }
        let seat = &mut self.seats[key];
        if seat.deadline(nanoseconds(self.config.timeout)) > self.now {
            return self.plan_check(key);
        }
        match seat.line {
            Line::Connecting { .. } => {
                self.fail_connect(key, ConnectError::timed_out().failure.into());
            }
            Line::Up { .. } => self.lose(key, Failure::Timeout),
            Line::Down if self.phase == Phase::Loaded => self.redial(key),
            Line::Down => seat.redial_at = NEVER,
        }
    }
}

fn seats(config: &Config, part: Part) -> Vec<Seat> {
    let numbers = config.own_numbers(part.thread, part.threads);
    numbers.map(|number| Seat::new(number as u64)).collect()
}

pub(crate) fn shared<'a>(config: &'a Config, payload: &'a Payload) -> Shared<'a> {
    Shared {
        payload,
        sizes: &config.sizes,
        pipeline: config.pipeline,
        verify: config.verify,
        seed: config.seed,
        clock: platform::monotonic_now,
    }
}

fn note(seat: &mut Seat, event: &Event, now: u64) {
    let reported = slot::ready(event);
    match &mut seat.line {
        Line::Down => {}
        Line::Connecting { ready, .. } => *ready = reported,
        Line::Up { session, .. } => session.handle_ready(reported, now),
    }
}

fn enqueue(seats: &mut [Seat], ready: &mut VecDeque<usize>, key: usize) {
    if !std::mem::replace(&mut seats[key].is_queued, true) {
        ready.push_back(key);
    }
}
