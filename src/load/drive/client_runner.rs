//! Runs one client at a time: connects, sends and receives, and records how messages and connections end.
//!
//! A client is run when its socket has an event (`ready`), when its next message is due (`sends`), or when a timeout or
//! a reconnect is due (`timers`). With churn, `sends` holds the times of connects, because a connect starts a message.

use std::collections::VecDeque;
use std::sync::Arc;

use mio::Registry;

use super::admission::Admission;
use super::client::{Client, Connection, SocketState};
use super::connector::{Connector, finish_connect};
use super::control::{WorkerEvent, WorkerEventSender, WorkerSetup};
use super::session::{Session, SessionLoad, SessionStatus};
use super::timer_queue::TimerQueue;
use crate::load::measure::failure::Failure;
use crate::load::measure::message::{Message, Observer, Outcome, Stage};
use crate::load::measure::metrics::Corruption;
use crate::load::measure::recorder::Recorder;
use crate::load::plan::payload::{PIECE, Payload};
use crate::load::plan::schedule::Schedule;
use crate::load::plan::settings::RunSettings;
use crate::load::plan::share::WorkerShare;
use crate::net::outbound::Connected;
use crate::net::platform;
use crate::net::timers::{NEVER, nanoseconds};

/// What the clients of one worker share.
pub struct ClientRunner {
    settings: Arc<RunSettings>,
    payload: Arc<Payload>,
    timeout: u64,
    worker_events: WorkerEventSender,
    read_buffer: Box<[u8]>,
    pub connector: Connector,
    pub admission: Admission,
    pub recorder: Recorder,
    /// Clients whose socket had an event, or has more to read.
    pub ready: VecDeque<usize>,
    /// When messages are due.
    pub sends: TimerQueue,
    /// When timeouts and reconnects are due.
    pub timers: TimerQueue,
}

/// The turn of the worker in which a client is run.
#[derive(Clone, Copy)]
pub struct Turn<'a> {
    /// When the poll returned.
    pub now: u64,
    /// The registry of the poll.
    pub registry: &'a Registry,
}

impl ClientRunner {
    /// Creates the runner of a worker that starts to connect at `now`.
    pub fn new(setup: &WorkerSetup, share: WorkerShare, now: u64) -> Self {
        let settings = Arc::clone(&setup.settings);
        Self {
            payload: Arc::clone(&setup.payload),
            timeout: nanoseconds(settings.timeout),
            worker_events: setup.worker_events.clone(),
            read_buffer: vec![0; PIECE].into_boxed_slice(),
            connector: Connector::new(Arc::clone(&settings), setup.address, share, now),
            admission: Admission::default(),
            recorder: Recorder::new(now),
            ready: VecDeque::new(),
            sends: TimerQueue::default(),
            timers: TimerQueue::default(),
            settings,
        }
    }

    /// Queues a client for a run, unless it is queued already.
    pub fn enqueue(&mut self, client: &mut Client) {
        if !std::mem::replace(&mut client.is_queued, true) {
            self.ready.push_back(client.key);
        }
    }

    /// Runs a client whose socket may be ready.
    pub fn run(&mut self, client: &mut Client, turn: Turn) {
        match &client.socket {
            SocketState::Down => {}
            SocketState::Connecting(_) => self.finish_connect(client, turn),
            SocketState::Up(_) => self.run_session(client, turn),
        }
    }

    /// Sends a message that is due. With churn, starts its connect.
    pub fn run_send(&mut self, client: &mut Client, turn: Turn) {
        client.send_at = NEVER;
        match &client.socket {
            SocketState::Down if self.settings.churn => self.connect(client, turn),
            SocketState::Down | SocketState::Connecting(_) => {}
            SocketState::Up(_) => self.run_session(client, turn),
        }
    }

    /// Handles a timeout, or a reconnect that is due.
    pub fn run_timer(&mut self, client: &mut Client, turn: Turn) {
        client.timer_at = NEVER;
        if client.is_newly_stalled(turn.now) {
            self.worker_events.send(WorkerEvent::PeerStalled {
                connection: client.connection_number,
            });
        }
        if client.deadline(self.timeout) > turn.now {
            return self.arm_timer(client);
        }
        match &client.socket {
            SocketState::Connecting(_) => self.fail_connect(client, Failure::ConnectTimeout, turn),
            SocketState::Up(_) => self.fail(client, Failure::Timeout, turn),
            SocketState::Down if !self.admission.is_open() => client.reconnect_at = NEVER,
            SocketState::Down if self.settings.churn => self.plan_connect(client, turn),
            SocketState::Down => {
                self.recorder.record_reconnect(turn.now);
                self.connect(client, turn);
            }
        }
    }

    /// Starts the load on a client. The load starts at `load_start`.
    pub fn start_load(&mut self, client: &mut Client, load_start: u64, turn: Turn) {
        client.schedule = Schedule::new(&self.settings, client.number, load_start);
        if self.settings.churn {
            self.close_and_plan_connect(client, turn);
        } else if let SocketState::Up(connection) = &mut client.socket {
            connection.session.handle_load_start(turn.now);
            self.run_session(client, turn);
        } else {
            client.reconnect_at = turn.now;
            self.arm_timer(client);
        }
    }

    /// Closes the connection of a client, and records the messages that have not ended or not started.
    pub fn finish(&mut self, client: &mut Client, now: u64) {
        for message in client.close(self.settings.close) {
            self.recorder.end(message, Outcome::Unfinished, now);
        }
        // If the load was stopped in its warm-up, there is no window, and no message of the window can be missing.
        if self.recorder.window().is_empty() {
            return;
        }
        while let Some(intended) = client
            .schedule
            .next_of_open_loop()
            .filter(|due| self.admission.belongs_to_load(*due))
        {
            self.admission.take(intended);
            let message = Message {
                intended,
                stage: Stage::Scheduled,
            };
            self.recorder.end(message, Outcome::Unfinished, now);
            client.schedule.advance();
        }
    }

    /// Starts a connect. With churn the connect starts a message, so the message must be admitted.
    pub fn connect(&mut self, client: &mut Client, turn: Turn) {
        if self.is_churning() {
            let intended = client.schedule.next_due().unwrap_or(turn.now);
            if !self.admission.admits(intended) {
                return;
            }
            self.admission.take(intended);
            self.recorder.started(intended);
            client.connect_message = Some(intended);
        }
        match self.connector.connect(client, turn.registry) {
            Ok(()) => self.arm_timer(client),
            Err(failure) => self.fail_connect(client, failure, turn),
        }
    }

    fn run_session(&mut self, client: &mut Client, turn: Turn) {
        let token = client.token();
        let SocketState::Up(connection) = &mut client.socket else {
            return;
        };
        let status = connection.session.drive(
            &mut connection.socket,
            &mut client.schedule,
            &mut self.read_buffer,
            &mut self.admission,
            &mut self.recorder,
        );
        let is_complete = connection.session.is_complete();
        match status {
            SessionStatus::Corrupted(corruption) => self.fail_corrupted(client, corruption, turn),
            SessionStatus::Waiting | SessionStatus::MoreToRead | SessionStatus::Failed(_)
                if is_complete =>
            {
                self.close_and_plan_connect(client, turn);
            }
            SessionStatus::Failed(failure) => self.fail(client, failure, turn),
            SessionStatus::Waiting | SessionStatus::MoreToRead => {
                if !connection.update_registration(turn.registry, token) {
                    return self.fail(client, Failure::Reset, turn);
                }
                // A message of an open loop is queued if only its time is missing.
                if connection.session.can_send()
                    && let Some(due) = client.schedule.next_due()
                {
                    self.schedule_send(client, due);
                }
                if status == SessionStatus::MoreToRead {
                    self.enqueue(client);
                }
                self.arm_timer(client);
            }
        }
    }

    fn schedule_send(&mut self, client: &mut Client, due: u64) {
        if client.send_at == NEVER && self.admission.admits(due) {
            client.send_at = due;
            self.sends.push(due, client.key);
        }
    }

    fn arm_timer(&mut self, client: &mut Client) {
        let deadline = client.deadline(self.timeout);
        if deadline < client.timer_at {
            client.timer_at = deadline;
            self.timers.push(deadline, client.key);
        }
    }

    /// Returns true if a connection carries one message. The first connects only show that there is a server.
    fn is_churning(&self) -> bool {
        self.settings.churn && !self.admission.is_before_load()
    }

    fn finish_connect(&mut self, client: &mut Client, turn: Turn) {
        match finish_connect(client, turn.registry) {
            Ok(None) => {}
            Ok(Some(connected)) => self.open_session(client, connected, turn),
            Err(failure) => self.fail_connect(client, failure, turn),
        }
    }

    fn open_session(&mut self, client: &mut Client, connected: Connected, turn: Turn) {
        let now = platform::monotonic_now();
        let load = match self.is_churning() {
            true => SessionLoad::OneMessage,
            false => SessionLoad::Unlimited,
        };
        let session = Session::new(
            &self.settings,
            &self.payload,
            client.connection_number,
            load,
            connected.readiness,
            now,
            client.connect_lag(),
        );
        client.socket = SocketState::Up(Connection {
            socket: connected.socket,
            registration: connected.registration,
            session,
        });
        self.recorder
            .record_connect(now - client.connect_started, now);
        if !std::mem::replace(&mut client.is_up, true) {
            self.recorder.connection_up(now);
        }
        if self.admission.is_before_load() {
            self.connector.first_connect_succeeded();
        }
        self.run_session(client, turn);
    }

    fn fail_connect(&mut self, client: &mut Client, failure: Failure, turn: Turn) {
        if self.admission.is_before_load() {
            self.connector.first_connect_failed();
        }
        self.fail(client, failure, turn);
    }

    /// Ends the connection of a client, and its messages, with a failure.
    fn fail(&mut self, client: &mut Client, failure: Failure, turn: Turn) {
        let mut messages = self.drop_connection(client, turn.now).peekable();
        if messages.peek().is_none() {
            self.recorder.record_failure(failure, turn.now);
        }
        for message in messages {
            self.recorder
                .end(message, Outcome::Failed(failure), turn.now);
        }
        self.arm_timer(client);
    }

    /// Ends the connection of a client after a wrong reply. The later replies cannot be told apart any more.
    fn fail_corrupted(&mut self, client: &mut Client, corruption: Corruption, turn: Turn) {
        self.recorder.record_corruption(corruption);
        let mut outcome = Outcome::Corrupted;
        for message in self.drop_connection(client, turn.now) {
            self.recorder.end(message, outcome, turn.now);
            outcome = Outcome::Failed(Failure::Other);
        }
        self.arm_timer(client);
    }

    fn drop_connection(
        &mut self,
        client: &mut Client,
        now: u64,
    ) -> impl Iterator<Item = Message> + use<> {
        if std::mem::replace(&mut client.is_up, false) {
            self.recorder.connection_down(now);
        }
        client.fail(now)
    }

    /// With churn: closes a connection whose message was answered, and plans the connect of the next message.
    fn close_and_plan_connect(&mut self, client: &mut Client, turn: Turn) {
        drop(client.close(self.settings.close));
        self.plan_connect(client, turn);
    }

    /// With churn: connects when the next message of the client is due.
    fn plan_connect(&mut self, client: &mut Client, turn: Turn) {
        client.reconnect_at = NEVER;
        if let Schedule::ClosedChurn { due } = &mut client.schedule {
            *due = client.connect_allowed_at.max(turn.now);
        }
        let due = client.schedule.next_due().unwrap_or(turn.now);
        match due <= platform::monotonic_now() {
            true => self.connect(client, turn),
            false => self.schedule_send(client, due),
        }
    }
}
