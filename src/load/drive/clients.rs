//! The clients of one worker, and the queues that say which client needs a run.
//!
//! A client is run when its socket has an event (`ready`), when its next message is due (`sends`), or when a timeout or
//! a reconnect is due (`timers`). With churn, `sends` holds the times of connects, because a connect starts a message.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use mio::event::Event;
use mio::{Registry, Token};

use super::admission::Admission;
use super::client::{Client, RECONNECT_INTERVAL, SocketState};
use super::connector::{Connector, finish_connect};
use super::control::{Timeline, WorkerEvent, WorkerEventSender};
use super::session::{Session, SessionLoad, SessionSettings, SessionStatus};
use super::timer_queue::TimerQueue;
use crate::load::measure::failure::Failure;
use crate::load::measure::message::{Message, Observer, Outcome};
use crate::load::measure::metrics::Corruption;
use crate::load::measure::recorder::{Counting, Recorder};
use crate::load::plan::payload::{PIECE, Payload};
use crate::load::plan::schedule::Schedule;
use crate::load::plan::settings::RunSettings;
use crate::load::plan::share::WorkerShare;
use crate::net::outbound::Connected;
use crate::net::platform;
use crate::net::poll::readiness_of;
use crate::net::timers::{NEVER, nanoseconds};

/// The clients of one worker. The key of a client is its index, and the token of its socket.
pub struct Clients {
    settings: Arc<RunSettings>,
    payload: Arc<Payload>,
    share: WorkerShare,
    worker_events: WorkerEventSender,
    clients: Vec<Client>,
    /// Clients whose socket had an event, or has more to read.
    ready: VecDeque<usize>,
    /// When messages are due.
    sends: TimerQueue,
    /// When timeouts and reconnects are due.
    timers: TimerQueue,
    read_buffer: Box<[u8]>,
    pub connector: Connector,
    pub admission: Admission,
    pub recorder: Recorder,
}

/// The turn of the worker in which a client is run.
#[derive(Clone, Copy)]
pub struct Turn<'a> {
    /// When the poll returned.
    pub now: u64,
    /// The registry of the poll.
    pub registry: &'a Registry,
}

impl Clients {
    /// Creates the clients of a worker, which connect to `address` from `now` on.
    pub fn new(
        settings: Arc<RunSettings>,
        address: SocketAddr,
        payload: Arc<Payload>,
        share: WorkerShare,
        worker_events: WorkerEventSender,
        now: u64,
    ) -> Self {
        let numbers = share.connections(settings.connections);
        let clients: Vec<_> = numbers.map(|number| Client::new(number as u64)).collect();
        Self {
            connector: Connector::new(Arc::clone(&settings), address, share, clients.len(), now),
            admission: Admission::new(),
            recorder: Recorder::new(now),
            settings,
            payload,
            share,
            worker_events,
            clients,
            ready: VecDeque::new(),
            sends: TimerQueue::default(),
            timers: TimerQueue::default(),
            read_buffer: vec![0; PIECE].into_boxed_slice(),
        }
    }

    /// Returns true if a client waits for a run.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Returns when the next message is due, or [`NEVER`].
    pub fn next_send(&self) -> u64 {
        self.sends.next_time()
    }

    /// Returns when the next timeout, reconnect or first connect is due, or [`NEVER`].
    pub fn next_timer(&self) -> u64 {
        self.timers
            .next_time()
            .min(self.connector.next_first_connect())
    }

    /// Returns true if a client has a message that has been due for longer than `limit`.
    pub fn has_message_overdue_by(&self, limit: u64, now: u64) -> bool {
        self.clients.iter().any(|client| {
            let due = client.schedule.next_due().unwrap_or(0);
            now.saturating_sub(due) > limit
        })
    }

    /// Records an event and queues its client. Performs no I/O.
    pub fn handle_event(&mut self, event: &Event, now: u64) {
        let Token(key) = event.token();
        let ready = readiness_of(event);
        match &mut self.clients[key].socket {
            SocketState::Down => {}
            SocketState::Connecting(connecting) => connecting.handle_ready(ready),
            SocketState::Up { session, .. } => session.handle_ready(ready, now),
        }
        self.enqueue(key);
    }

    /// Runs every client that waits for a run, once.
    pub fn run_ready(&mut self, turn: Turn) {
        for _ in 0..self.ready.len() {
            if let Some(key) = self.ready.pop_front() {
                self.clients[key].is_queued = false;
                match self.clients[key].socket {
                    SocketState::Down => {}
                    SocketState::Connecting(_) => self.finish_connect(key, turn),
                    SocketState::Up { .. } => self.run_session(key, turn),
                }
            }
        }
    }

    /// Sends messages, handles timeouts and starts connects that are due.
    pub fn run_due(&mut self, turn: Turn) {
        // Only what was due when the poll returned: a schedule that is too fast to keep must not delay the replies.
        self.send_due(turn.now, turn);
        while let Some((time, key)) = self.timers.pop_due(turn.now) {
            if self.clients[key].timer_at == time {
                self.clients[key].timer_at = NEVER;
                self.handle_timer(key, turn);
            }
        }
        while let Some(key) = self.connector.pop_first_connect(turn.now) {
            self.connect(key, turn);
        }
    }

    /// Starts the load on all clients.
    pub fn start_load(&mut self, timeline: &Timeline, turn: Turn) {
        let messages = self.settings.stop.messages;
        let quota = messages.map(|count| self.share.messages(count, self.settings.connections));
        let counting = match quota {
            Some(_) => Counting::WindowOnly,
            None => Counting::All,
        };
        self.admission.open(timeline.window(), quota);
        self.recorder
            .start_load(timeline.window(), counting, turn.now);
        for key in 0..self.clients.len() {
            let client = &mut self.clients[key];
            client.schedule = Schedule::new(&self.settings, client.number, timeline.load_start);
            if self.settings.churn {
                self.close_and_plan_connect(key, turn);
            } else if let SocketState::Up { session, .. } = &mut client.socket {
                session.handle_load_start(turn.now);
                self.run_session(key, turn);
            } else {
                client.reconnect_at = turn.now;
                self.arm_timer(key);
            }
        }
    }

    /// Ends the window at `window_end`. No message starts any more, except the messages of the window that are due by
    /// now: the peer did not delay them, and their delay is in the send lag.
    pub fn end_load(&mut self, window_end: u64, turn: Turn) {
        self.recorder.end_window(window_end);
        self.admission.end_window(window_end);
        let last = self.recorder.window().end.saturating_sub(1);
        self.send_due(last.min(turn.now), turn);
        self.admission.close();
    }

    /// Closes all connections and records the messages that have not ended.
    pub fn finish(&mut self, now: u64) {
        for client in &mut self.clients {
            for message in client.close(self.settings.close) {
                let outcome = match message {
                    Message::Scheduled { .. } | Message::Connecting { .. } => Outcome::Unsent,
                    Message::Sent(_) => Outcome::Unanswered,
                };
                self.recorder.end(message, outcome, now);
            }
        }
        // If the load was stopped in its warm-up, there is no window, and no message of it can be missing.
        if !self.recorder.window().is_empty() {
            self.record_unsent(now);
        }
    }

    /// Records the messages of an open loop that were due in the window and did not start.
    fn record_unsent(&mut self, now: u64) {
        for client in &mut self.clients {
            let schedule = &mut client.schedule;
            if matches!(schedule, Schedule::Closed | Schedule::ClosedChurn { .. }) {
                continue;
            }
            while let Some(intended) = schedule
                .next_due()
                .filter(|due| self.admission.belongs_to_load(*due))
            {
                self.admission.take(intended);
                let message = Message::Scheduled { intended };
                self.recorder.end(message, Outcome::Unsent, now);
                schedule.advance();
            }
        }
    }

    fn enqueue(&mut self, key: usize) {
        if !std::mem::replace(&mut self.clients[key].is_queued, true) {
            self.ready.push_back(key);
        }
    }

    /// Sends the messages that are due at `until`, or starts their connects.
    fn send_due(&mut self, until: u64, turn: Turn) {
        while let Some((_, key)) = self.sends.pop_due(until) {
            self.clients[key].send_at = NEVER;
            match self.clients[key].socket {
                SocketState::Down if self.settings.churn => self.connect(key, turn),
                SocketState::Down | SocketState::Connecting(_) => {}
                SocketState::Up { .. } => self.run_session(key, turn),
            }
        }
    }

    fn handle_timer(&mut self, key: usize, turn: Turn) {
        let client = &mut self.clients[key];
        if client.is_newly_stalled(turn.now) {
            self.worker_events.send(WorkerEvent::PeerStalled {
                connection: client.connection_number,
            });
        }
        if client.deadline(nanoseconds(self.settings.timeout)) > turn.now {
            return self.arm_timer(key);
        }
        match client.socket {
            SocketState::Connecting(_) => self.fail_connect(key, Failure::ConnectTimeout, turn),
            SocketState::Up { .. } => self.fail(key, Failure::Timeout, turn),
            SocketState::Down if self.admission.is_open() => self.reconnect(key, turn),
            SocketState::Down => client.reconnect_at = NEVER,
        }
    }

    fn run_session(&mut self, key: usize, turn: Turn) {
        let client = &mut self.clients[key];
        let SocketState::Up {
            socket, session, ..
        } = &mut client.socket
        else {
            return;
        };
        let status = session.drive(
            socket,
            &mut client.schedule,
            &session_settings(&self.settings, &self.payload),
            &mut self.read_buffer,
            &mut self.admission,
            &mut self.recorder,
        );
        let is_complete = session.is_complete();
        match status {
            SessionStatus::Corrupted(corruption) => self.fail_corrupted(key, corruption, turn),
            SessionStatus::Waiting | SessionStatus::MoreToRead | SessionStatus::Failed(_)
                if is_complete =>
            {
                self.close_and_plan_connect(key, turn);
            }
            SessionStatus::Failed(failure) => self.fail(key, failure, turn),
            SessionStatus::Waiting | SessionStatus::MoreToRead => {
                if !client.update_registration(turn.registry, Token(key)) {
                    return self.fail(key, Failure::Reset, turn);
                }
                if status == SessionStatus::MoreToRead {
                    self.enqueue(key);
                }
                self.schedule_send(key);
                self.arm_timer(key);
            }
        }
    }

    /// Queues the time of the next message of an open loop, if the message waits for its time alone.
    fn schedule_send(&mut self, key: usize) {
        let client = &mut self.clients[key];
        let SocketState::Up { session, .. } = &client.socket else {
            return;
        };
        let Some(due) = client.schedule.next_due() else {
            return;
        };
        let can_send = session.can_send(&session_settings(&self.settings, &self.payload));
        if can_send && client.send_at == NEVER && self.admission.admits(due) {
            client.send_at = due;
            self.sends.push(due, key);
        }
    }

    fn arm_timer(&mut self, key: usize) {
        let client = &mut self.clients[key];
        let deadline = client.deadline(nanoseconds(self.settings.timeout));
        if deadline < client.timer_at {
            client.timer_at = deadline;
            self.timers.push(deadline, key);
        }
    }

    /// Returns true if a connection carries one message. The first connects only show that there is a server.
    fn is_churning(&self) -> bool {
        self.settings.churn && !self.admission.is_before_load()
    }

    fn connect(&mut self, key: usize, turn: Turn) {
        let is_churning = self.is_churning();
        let client = &mut self.clients[key];
        if is_churning {
            let intended = client.schedule.next_due().unwrap_or(turn.now);
            if !self.admission.admits(intended) {
                return;
            }
            self.admission.take(intended);
            self.recorder.started(intended);
            client.connect_message = Some(intended);
        }
        match self.connector.connect(client, turn.registry, Token(key)) {
            Ok(()) => self.arm_timer(key),
            Err(failure) => self.fail_connect(key, failure, turn),
        }
    }

    fn finish_connect(&mut self, key: usize, turn: Turn) {
        match finish_connect(&mut self.clients[key], turn.registry) {
            Ok(None) => {}
            Ok(Some(connected)) => self.open_session(key, connected, turn),
            Err(failure) => self.fail_connect(key, failure, turn),
        }
    }

    fn open_session(&mut self, key: usize, connected: Connected, turn: Turn) {
        let now = platform::monotonic_now();
        let load = match self.is_churning() {
            true => SessionLoad::OneMessage,
            false => SessionLoad::Unlimited,
        };
        let client = &mut self.clients[key];
        let session = Session::new(
            &session_settings(&self.settings, &self.payload),
            client.connection_number,
            load,
            connected.readiness,
            now,
            client.connect_lag(),
        );
        client.socket = SocketState::Up {
            socket: connected.socket,
            registration: connected.registration,
            session,
        };
        self.recorder
            .record_connect(now - client.connect_started, now);
        if !std::mem::replace(&mut client.is_up, true) {
            self.recorder.connection_up(now);
        }
        if self.admission.is_before_load() {
            self.connector.first_connect_succeeded();
        }
        self.run_session(key, turn);
    }

    fn fail_connect(&mut self, key: usize, failure: Failure, turn: Turn) {
        if self.admission.is_before_load() {
            self.connector.first_connect_failed();
        }
        self.fail(key, failure, turn);
    }

    /// Ends the connection of a client, and its messages, with a failure.
    fn fail(&mut self, key: usize, failure: Failure, turn: Turn) {
        let mut messages = self.drop_connection(key, turn).peekable();
        if messages.peek().is_none() {
            self.recorder.record_failure(failure, turn.now);
        }
        for message in messages {
            let outcome = Outcome::Failed(failure);
            self.recorder.end(message, outcome, turn.now);
        }
        self.arm_timer(key);
    }

    /// Ends the connection of a client after a wrong reply. The later replies cannot be told apart any more.
    fn fail_corrupted(&mut self, key: usize, corruption: Corruption, turn: Turn) {
        self.recorder.record_corruption(corruption);
        let mut outcome = Outcome::Corrupted;
        for message in self.drop_connection(key, turn) {
            self.recorder.end(message, outcome, turn.now);
            outcome = Outcome::Failed(Failure::Other);
        }
        self.arm_timer(key);
    }

    fn drop_connection(&mut self, key: usize, turn: Turn) -> impl Iterator<Item = Message> + use<> {
        let client = &mut self.clients[key];
        if std::mem::replace(&mut client.is_up, false) {
            self.recorder.connection_down(turn.now);
        }
        client.fail(turn.now)
    }

    fn reconnect(&mut self, key: usize, turn: Turn) {
        match self.settings.churn {
            true => self.plan_connect(key, turn),
            false => {
                self.recorder.record_reconnect(turn.now);
                self.connect(key, turn);
            }
        }
    }

    /// With churn: closes a connection whose message was answered, and plans the connect of the next message.
    fn close_and_plan_connect(&mut self, key: usize, turn: Turn) {
        drop(self.clients[key].close(self.settings.close));
        self.plan_connect(key, turn);
    }

    /// With churn: connects when the next message of the client is due.
    fn plan_connect(&mut self, key: usize, turn: Turn) {
        let client = &mut self.clients[key];
        client.reconnect_at = NEVER;
        if let Schedule::ClosedChurn { due } = &mut client.schedule {
            *due = client.connect_allowed_at.max(turn.now);
        }
        let due = client.schedule.next_due().unwrap_or(turn.now);
        if due <= platform::monotonic_now() {
            self.connect(key, turn);
        } else if client.send_at == NEVER && self.admission.admits(due) {
            client.send_at = due;
            self.sends.push(due, key);
        }
    }
}

/// Returns how long messages may end without progress before a run with `timeout` is stalled: long enough to try each
/// message twice.
pub fn stall_limit(timeout: u64) -> u64 {
    timeout.saturating_add(RECONNECT_INTERVAL).saturating_mul(2)
}

fn session_settings<'a>(settings: &'a RunSettings, payload: &'a Payload) -> SessionSettings<'a> {
    SessionSettings {
        payload,
        sizes: &settings.sizes,
        pipeline: settings.pipeline,
        greeting: settings.skip,
        verify: settings.verify,
        seed: settings.seed,
        clock: platform::monotonic_now,
    }
}
