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

use super::client::{Client, SocketState};
use super::control::{Control, Timeline, WorkerEvent, WorkerEvents};
use super::phases::WorkerPhase;
use super::session::{Observer, SessionSettings, SessionStatus};
use super::timer_queue::TimerQueue;
use crate::load::measure::failure::Failure;
use crate::load::measure::recorder::Recorder;
use crate::load::plan::payload::{PIECE, Payload};
use crate::load::plan::settings::RunSettings;
use crate::load::plan::share::WorkerShare;
use crate::net::poll::{self, EVENTS_PER_WAIT, readiness_of, timeout_until};
use crate::net::timers::{NEVER, nanoseconds};
use crate::net::{ConnectError, Handle, platform};

const WAKER: Token = Token(usize::MAX - 1);

/// One loop.
pub struct Generator {
    pub(crate) poll: Poll,
    pub(crate) events: Events,
    pub(crate) settings: Arc<RunSettings>,
    pub(crate) address: SocketAddr,
    pub(crate) payload: Arc<Payload>,
    pub(crate) control: Arc<Control>,
    pub(crate) reporter: WorkerEvents,
    pub(crate) part: WorkerShare,
    pub(crate) clients: Vec<Client>,
    /// Seats that had an event, or have more to read.
    pub(crate) ready: VecDeque<usize>,
    /// When messages are due.
    pub(crate) sends: TimerQueue,
    /// When connections are looked at: timeouts and connects.
    pub(crate) checks: TimerQueue,
    pub(crate) recorder: Recorder,
    pub(crate) buffer: Box<[u8]>,
    pub(crate) phase: WorkerPhase,
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
        settings: Arc<RunSettings>,
        address: SocketAddr,
        payload: Arc<Payload>,
        control: Arc<Control>,
        reporter: WorkerEvents,
        part: WorkerShare,
    ) -> io::Result<(Self, Handle)> {
        let poll = Poll::new()?;
        let handle = Handle::new(Waker::new(poll.registry(), WAKER)?);
        let now = platform::monotonic_now();
        let generator = Self {
            poll,
            events: Events::with_capacity(EVENTS_PER_WAIT),
            clients: part
                .connections(settings.connections)
                .map(|number| Client::new(number as u64))
                .collect(),
            address,
            payload,
            control,
            reporter,
            part,
            ready: VecDeque::new(),
            sends: TimerQueue::default(),
            checks: TimerQueue::default(),
            recorder: Recorder::new(now),
            buffer: vec![0; PIECE].into_boxed_slice(),
            phase: WorkerPhase::Connecting,
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
            settings,
        };
        Ok((generator, handle))
    }

    /// Runs until the measurement is over.
    ///
    /// # Errors
    ///
    /// Only when the poll itself fails.
    pub fn run(mut self) -> io::Result<()> {
        while self.phase != WorkerPhase::Done {
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
        poll::wait(&mut self.poll, &mut self.events, timeout)?;
        self.now = platform::monotonic_now();
        let found_nothing = self.events.is_empty() && self.sends.next() > self.now;
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
        timeout_until(deadline, self.now)
    }

    fn note(&mut self) {
        for event in &self.events {
            if event.token() != WAKER {
                let Token(key) = event.token();
                note(&mut self.clients[key], event, self.now);
                enqueue(&mut self.clients, &mut self.ready, key);
            }
        }
    }

    fn run_ready(&mut self) {
        for _ in 0..self.ready.len() {
            if let Some(key) = self.ready.pop_front() {
                self.clients[key].is_queued = false;
                match self.clients[key].line {
                    SocketState::Down => {}
                    SocketState::Connecting(_) => self.finish_connect(key),
                    SocketState::Up { .. } => self.run_session(key),
                }
            }
        }
    }

    fn run_due(&mut self) {
        // Not past this moment, or a schedule that cannot be kept would hold up the replies.
        while let Some((_, key)) = self.sends.pop_due(self.now) {
            self.run_slot(key);
        }
        while let Some((time, key)) = self.checks.pop_due(self.now) {
            if self.clients[key].check_at == time {
                self.clients[key].check_at = NEVER;
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
        self.clients[key].send_at = NEVER;
        match self.clients[key].line {
            SocketState::Down if self.settings.churn => self.dial(key),
            SocketState::Down | SocketState::Connecting(_) => {}
            SocketState::Up { .. } => self.run_session(key),
        }
    }

    pub(crate) fn run_session(&mut self, key: usize) {
        let client = &mut self.clients[key];
        let SocketState::Up {
            socket, session, ..
        } = &mut client.line
        else {
            return;
        };
        let progress = session.drive(
            socket,
            &mut client.schedule,
            &session_settings(&self.settings, &self.payload),
            &mut self.buffer,
            &mut self.recorder,
        );
        let is_complete = session.is_complete();
        match progress {
            SessionStatus::Wait | SessionStatus::Again | SessionStatus::Lost(_) if is_complete => {
                self.next_churn(key);
            }
            SessionStatus::Lost(failure) => self.fail(key, failure),
            SessionStatus::Corrupted(corruption) => self.fail_corrupted(key, corruption),
            SessionStatus::Wait | SessionStatus::Again => {
                if !client.tell_kernel(self.poll.registry(), Token(key)) {
                    return self.fail(key, Failure::Reset);
                }
                if progress == SessionStatus::Again {
                    enqueue(&mut self.clients, &mut self.ready, key);
                }
                self.schedule_send(key);
                self.arm_timer(key);
            }
        }
    }

    /// Puts the next message of an open loop on the agenda, if nothing but its time is missing.
    pub(crate) fn schedule_send(&mut self, key: usize) {
        let client = &mut self.clients[key];
        let SocketState::Up { session, .. } = &client.line else {
            return;
        };
        let Some(next) = client.schedule.next() else {
            return;
        };
        let is_free = session.can_send(&session_settings(&self.settings, &self.payload));
        if is_free && client.send_at == NEVER && self.recorder.may_begin(next) {
            client.send_at = next;
            self.sends.add(next, key);
        }
    }

    pub(crate) fn arm_timer(&mut self, key: usize) {
        let client = &mut self.clients[key];
        let deadline = client.deadline(nanoseconds(self.settings.timeout));
        if deadline < client.check_at {
            client.check_at = deadline;
            self.checks.add(deadline, key);
        }
    }

    fn check(&mut self, key: usize) {
        if self.clients[key].report_blocked(self.now) {
            let connection = self.clients[key].connection;
            self.reporter.tell(WorkerEvent::PeerDoesNotRead(connection));
        }
        let client = &mut self.clients[key];
        if client.deadline(nanoseconds(self.settings.timeout)) > self.now {
            return self.arm_timer(key);
        }
        match client.line {
            SocketState::Connecting(_) => {
                self.fail_connect(key, ConnectError::timed_out().failure.into());
            }
            SocketState::Up { .. } => self.fail(key, Failure::Timeout),
            SocketState::Down if self.phase == WorkerPhase::Loaded => self.redial(key),
            SocketState::Down => client.redial_at = NEVER,
        }
    }
}

pub(crate) fn session_settings<'a>(
    settings: &'a RunSettings,
    payload: &'a Payload,
) -> SessionSettings<'a> {
    SessionSettings {
        payload,
        sizes: &settings.sizes,
        pipeline: settings.pipeline,
        verify: settings.verify,
        seed: settings.seed,
        clock: platform::monotonic_now,
    }
}

fn note(client: &mut Client, event: &Event, now: u64) {
    let reported = readiness_of(event);
    match &mut client.line {
        SocketState::Down => {}
        SocketState::Connecting(connecting) => connecting.handle_ready(reported),
        SocketState::Up { session, .. } => session.handle_ready(reported, now),
    }
}

fn enqueue(clients: &mut [Client], ready: &mut VecDeque<usize>, key: usize) {
    if !std::mem::replace(&mut clients[key].is_queued, true) {
        ready.push_back(key);
    }
}
