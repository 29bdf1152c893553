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
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Registry, Token, Waker};

use super::agenda::Agenda;
use super::control::{Control, Report, Reporter, Timeline};
use super::payload::{PIECE, Payload};
use super::recorder::Recorder;
use super::seat::{Line, Seat};
use super::session::{Observer, Progress, Session, Shared};
use super::{Close, Config, Failure, Schedule};
use crate::conn::Ready;
use crate::net::registration::Registration;
use crate::net::timers::{NEVER, nanoseconds};
use crate::net::{ConnectError, DialOptions, Handle, connected, dial, platform, slot};

/// Events taken from the poll at once.
const EVENTS: usize = 1024;

/// Connects in flight at the start, over all threads, unless their rate is given.
const CONNECTING: usize = 256;

/// A connection that was lost is replaced no sooner than this after its own connect, in nanoseconds.
const REDIAL: u64 = 100_000_000;

const WAKER: Token = Token(usize::MAX - 1);

/// Where a loop is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Every seat is tried once.
    Connecting,
    /// Until all threads are connected and the load begins.
    Waiting,
    /// Warm-up and window.
    Loaded,
    /// The replies that are due may still come.
    Draining {
        until: u64,
    },
    Done,
}

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
    poll: Poll,
    events: Events,
    config: Arc<Config>,
    address: SocketAddr,
    payload: Arc<Payload>,
    control: Arc<Control>,
    reporter: Reporter,
    part: Part,
    seats: Vec<Seat>,
    /// Seats that had an event, or have more to read.
    ready: VecDeque<usize>,
    /// When messages are due.
    slots: Agenda,
    /// When connections are looked at: timeouts and connects.
    checks: Agenda,
    recorder: Recorder,
    buffer: Box<[u8]>,
    phase: Phase,
    timeline: Option<Timeline>,
    next_interval: u64,
    intervals: usize,
    /// Seats below this have been tried.
    dialed: usize,
    connecting: usize,
    up: usize,
    /// Connections so far, for their numbers.
    sockets: u64,
    started: u64,
    /// Whether the last turn found nothing to do.
    is_idle: bool,
    now: u64,
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
            intervals: 0,
            dialed: 0,
            connecting: 0,
            up: 0,
            sockets: 0,
            started: now,
            is_idle: false,
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

    /// The next time that must be kept exactly.
    fn next_due(&self) -> u64 {
        match self.phase {
            Phase::Waiting => self.timeline.map_or(NEVER, |timeline| timeline.begin),
            Phase::Loaded => self.slots.next(),
            Phase::Connecting | Phase::Draining { .. } | Phase::Done => NEVER,
        }
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
        (deadline != NEVER).then(|| Duration::from_nanos(deadline.saturating_sub(self.now)))
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
            self.seats[key].slot_at = NEVER;
            match self.seats[key].line {
                Line::Down if self.config.churn => self.dial(key),
                Line::Down | Line::Connecting { .. } => {}
                Line::Up { .. } => self.run_session(key),
            }
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

    /// When the next seat is to be tried for the first time, or [`NEVER`].
    fn next_dial(&self) -> u64 {
        let most = (CONNECTING / self.part.threads).max(1);
        match self.config.connect_rate {
            _ if self.dialed == self.seats.len() => NEVER,
            Some(rate) => {
                let shards = self.config.shard.map_or(1, |shard| shard.count) as f64;
                let distance = 1e9 * self.part.threads as f64 * shards / rate;
                self.started + (self.dialed as f64 * distance) as u64
            }
            None if self.connecting < most => 0,
            None => NEVER,
        }
    }

    /// Connects, or notes why not.
    fn dial(&mut self, key: usize) {
        let seat = &mut self.seats[key];
        if self.phase == Phase::Loaded && self.config.churn {
            let intended = seat.schedule.next().unwrap_or(self.now);
            if !self.recorder.may_begin(intended) {
                return;
            }
        }
        self.sockets += 1;
        seat.dialed_at = platform::monotonic_now();
        seat.redial_at = NEVER;
        let options = DialOptions {
            source: source(&self.config, self.part, self.sockets),
            socket_buffer: self.config.socket_buffer,
        };
        let registry = self.poll.registry();
        match connect(self.address, options, registry, Token(key)) {
            Ok(line) => {
                seat.line = line;
                self.plan_check(key);
            }
            Err(error) => self.fail_connect(key, error.failure.into()),
        }
    }

    fn finish_connect(&mut self, key: usize) {
        let seat = &mut self.seats[key];
        let Line::Connecting { socket, .. } = &seat.line else {
            return;
        };
        match connected(socket) {
            Ok(None) => {}
            Ok(Some(())) => self.open_session(key),
            Err(error) => self.fail_connect(key, error.failure.into()),
        }
    }

    fn open_session(&mut self, key: usize) {
        let now = platform::monotonic_now();
        let number = self.connection_number();
        let left = match self.config.churn && self.phase != Phase::Connecting {
            true => 1,
            false => u64::MAX,
        };
        let seat = &mut self.seats[key];
        let mut session = Session::new(
            &shared(&self.config, &self.payload),
            number,
            self.config.skip,
            left,
            platform::SHORT_READ,
            now - seat.dial_lag(),
        );
        if let Line::Connecting {
            socket,
            registration,
            ready,
        } = std::mem::replace(&mut seat.line, Line::Down)
        {
            session.handle_ready(ready, now);
            seat.line = Line::Up {
                socket,
                registration,
                session,
            };
        }
        self.recorder.connected(now - seat.dialed_at);
        if self.phase == Phase::Connecting {
            self.connecting -= 1;
            self.up += 1;
        }
        self.run_session(key);
    }

    /// The number of the newest connection among those of all loops, from 1, never given twice.
    fn connection_number(&self) -> u64 {
        let Part {
            thread, threads, ..
        } = self.part;
        let (shard, shards) = self
            .config
            .shard
            .map_or((0, 1), |shard| (shard.index, shard.count));
        let loops = (threads * shards) as u64;
        1 + (self.sockets - 1) * loops + (thread * shards + shard) as u64
    }

    fn fail_connect(&mut self, key: usize, failure: Failure) {
        let seat = &mut self.seats[key];
        seat.line = Line::Down;
        seat.redial_at = seat.dialed_at.saturating_add(REDIAL);
        seat.free_at = seat.redial_at;
        match self.phase {
            Phase::Loaded if self.config.churn => {
                let intended = seat.schedule.next().unwrap_or(seat.dialed_at);
                self.recorder.never_sent(intended, failure, self.now);
                seat.schedule.advance();
            }
            Phase::Connecting => {
                self.connecting -= 1;
                self.recorder.failed(failure, self.now);
            }
            _ => self.recorder.failed(failure, self.now),
        }
        self.plan_check(key);
    }

    fn run_session(&mut self, key: usize) {
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
            Progress::Lost(failure) => self.lose(key, failure),
            Progress::Corrupted(corruption) => {
                self.recorder.corrupted(corruption);
                self.lose_silently(key);
            }
            Progress::Wait | Progress::Again if is_complete => self.next_churn(key),
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
    fn plan_slot(&mut self, key: usize) {
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

    fn plan_check(&mut self, key: usize) {
        let seat = &mut self.seats[key];
        let deadline = seat.deadline(nanoseconds(self.config.timeout));
        if deadline < seat.check_at {
            seat.check_at = deadline;
            self.checks.add(deadline, key);
        }
    }

    fn check(&mut self, key: usize) {
        if self.seats[key].report_blocked(self.now) {
            let number = self.seats[key].number;
            self.reporter.tell(Report::PeerDoesNotRead(number + 1));
        }
        let seat = &mut self.seats[key];
        if seat.deadline(nanoseconds(self.config.timeout)) > self.now {
            return self.plan_check(key);
        }
        match seat.line {
            Line::Connecting { .. } => {
                self.fail_connect(key, ConnectError::timed_out().failure.into());
            }
            Line::Up { .. } if matches!(self.phase, Phase::Draining { .. }) => {}
            Line::Up { .. } => self.lose(key, Failure::Timeout),
            Line::Down if self.phase == Phase::Loaded => self.redial(key),
            Line::Down => seat.redial_at = NEVER,
        }
    }

    fn redial(&mut self, key: usize) {
        match self.config.churn {
            true => self.plan_churn(key),
            false => {
                self.recorder.reconnected();
                self.dial(key);
            }
        }
    }

    /// The connection of `key` is gone, and the replies that were due on it.
    fn lose(&mut self, key: usize, failure: Failure) {
        if self.phase == Phase::Connecting {
            self.up -= 1;
        }
        let seat = &mut self.seats[key];
        seat.redial_at = seat.dialed_at.saturating_add(REDIAL).max(self.now);
        seat.free_at = seat.redial_at;
        if let Line::Up { session, .. } = std::mem::replace(&mut seat.line, Line::Down) {
            let messages = session.into_unanswered();
            if messages.len() == 0 {
                self.recorder.failed(failure, self.now);
            }
            for times in messages {
                self.recorder.lost(&times, failure, self.now);
            }
        }
        self.plan_check(key);
    }

    /// Once a reply is wrong, the ones behind it cannot be told apart.
    fn lose_silently(&mut self, key: usize) {
        self.lose(key, Failure::Other);
    }

    /// The one message of a connection is answered: the next one.
    fn next_churn(&mut self, key: usize) {
        self.hang_up(key);
        self.plan_churn(key);
    }

    /// Connects when the next message of this seat is due.
    fn plan_churn(&mut self, key: usize) {
        let seat = &mut self.seats[key];
        seat.redial_at = NEVER;
        if let Schedule::Dialed { at } = &mut seat.schedule {
            *at = seat.free_at.max(self.now);
        }
        let due = seat.schedule.next().unwrap_or(self.now);
        if due <= platform::monotonic_now() {
            self.dial(key);
        } else if seat.slot_at == NEVER && self.recorder.may_begin(due) {
            seat.slot_at = due;
            self.slots.add(due, key);
        }
    }

    fn hang_up(&mut self, key: usize) {
        let seat = &mut self.seats[key];
        if let (Close::Rst, Some(socket)) = (self.config.close, seat.socket()) {
            slot::reset(socket);
        }
        seat.line = Line::Down;
        seat.free_at = platform::monotonic_now();
    }

    fn advance(&mut self) {
        if self.now >= self.next_interval {
            self.hand_over_interval();
        }
        match self.phase {
            Phase::Connecting if self.dialed == self.seats.len() && self.connecting == 0 => {
                let tally = self.recorder.hand_over(self.now);
                self.reporter.tell(Report::Connected {
                    connections: self.up,
                    tally,
                });
                self.phase = Phase::Waiting;
            }
            Phase::Waiting => self.begin_in_time(),
            Phase::Loaded if self.is_over() => self.drain(),
            Phase::Draining { until } if self.now >= until || self.is_drained() => self.finish(),
            Phase::Connecting | Phase::Loaded | Phase::Draining { .. } | Phase::Done => {}
        }
        if self.control.is_cut() && self.phase != Phase::Done {
            self.recorder.close(self.now);
            self.finish();
        }
    }

    fn begin_in_time(&mut self) {
        if self.timeline.is_none() {
            self.timeline = self.control.timeline.get().copied();
        }
        if let Some(timeline) = self.timeline.filter(|timeline| timeline.begin <= self.now) {
            self.begin(timeline);
        }
    }

    fn begin(&mut self, timeline: Timeline) {
        let window = timeline.window..timeline.end;
        self.recorder.open(window, self.part.quota, self.now);
        self.phase = Phase::Loaded;
        self.next_interval = timeline.window;
        for key in 0..self.seats.len() {
            let seat = &mut self.seats[key];
            seat.schedule = Schedule::new(&self.config, seat.number, timeline.begin);
            if self.config.churn {
                self.hang_up(key);
                self.plan_churn(key);
            } else if let Line::Up { session, .. } = &mut seat.line {
                session.handle_begin(self.now);
                self.run_session(key);
            } else {
                seat.redial_at = self.now;
                self.plan_check(key);
            }
        }
    }

    /// At the begin of the window what was recorded is the warm-up's; later it is an interval's.
    fn hand_over_interval(&mut self) {
        let tally = self.recorder.hand_over(self.next_interval.min(self.now));
        let window = self.recorder.window();
        if self.next_interval == window.start {
            self.reporter.tell(Report::WarmedUp(tally));
        } else {
            self.reporter.tell(Report::Interval(self.intervals, tally));
            self.intervals += 1;
        }
        self.next_interval += nanoseconds(self.config.interval);
        if self.next_interval >= window.end {
            self.next_interval = NEVER;
        }
    }

    fn is_over(&self) -> bool {
        let patience = nanoseconds(self.config.timeout).saturating_mul(2);
        self.now >= self.recorder.window().end
            || self.recorder.is_complete()
            || self.recorder.is_stuck(self.now, patience)
    }

    fn drain(&mut self) {
        self.recorder.close(self.now);
        self.phase = Phase::Draining {
            until: self.now.saturating_add(nanoseconds(self.config.timeout)),
        };
        if !self.config.churn {
            self.recorder.stop();
        }
        if self.is_drained() {
            self.finish();
        }
    }

    /// With churn, a connect is the begin of a message.
    fn is_drained(&self) -> bool {
        let connects = |seat: &Seat| matches!(seat.line, Line::Connecting { .. });
        self.recorder.in_flight() == 0 && !(self.config.churn && self.seats.iter().any(connects))
    }

    fn finish(&mut self) {
        for key in 0..self.seats.len() {
            self.hang_up_at_end(key);
            self.count_unsent(key);
        }
        let end = self.recorder.window().end;
        let tally = self.recorder.hand_over(end);
        self.reporter.tell(Report::Interval(self.intervals, tally));
        self.reporter.tell(Report::Done(end));
        self.phase = Phase::Done;
    }

    fn hang_up_at_end(&mut self, key: usize) {
        if let (Close::Rst, Some(socket)) = (self.config.close, self.seats[key].socket()) {
            slot::reset(socket);
        }
        if let Line::Up { session, .. } = std::mem::replace(&mut self.seats[key].line, Line::Down) {
            for times in session.into_unanswered() {
                self.recorder.unanswered(&times, self.now);
            }
        }
    }

    fn count_unsent(&mut self, key: usize) {
        let schedule = &mut self.seats[key].schedule;
        if matches!(schedule, Schedule::Closed | Schedule::Dialed { .. }) {
            return;
        }
        while let Some(intended) = schedule
            .next()
            .filter(|next| self.recorder.is_wanted(*next))
        {
            self.recorder.unsent(intended, self.now);
            schedule.advance();
        }
    }

    fn phase_ends(&self) -> u64 {
        match self.phase {
            Phase::Loaded => self.recorder.window().end,
            Phase::Draining { until } => until,
            Phase::Connecting | Phase::Waiting | Phase::Done => NEVER,
        }
    }
}

fn seats(config: &Config, part: Part) -> Vec<Seat> {
    let (shard, shards) = config
        .shard
        .map_or((0, 1), |shard| (shard.index, shard.count));
    (0..config.connections)
        .filter(|number| number % shards == shard && number / shards % part.threads == part.thread)
        .map(|number| Seat::new(number as u64))
        .collect()
}

fn shared<'a>(config: &'a Config, payload: &'a Payload) -> Shared<'a> {
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

/// The addresses in turn, so that loops do not begin with the same one.
fn source(config: &Config, part: Part, sockets: u64) -> Option<IpAddr> {
    let count = config.sources.len() as u64;
    let turn = sockets * part.threads as u64 + part.thread as u64;
    (count > 0).then(|| config.sources[(turn % count) as usize])
}

fn connect(
    address: SocketAddr,
    options: DialOptions,
    registry: &Registry,
    token: Token,
) -> Result<Line, ConnectError> {
    let mut socket = dial(address, options)?;
    let registration = Registration::connecting(&mut socket, registry, token)?;
    Ok(Line::Connecting {
        socket,
        registration,
        ready: Ready::default(),
    })
}
