//! Runs one client at a time: connects, sends and receives, and records how messages and connections end.
//!
//! A client is run when its socket has an event (`ready`), when its next message is due (`sends`), or when a timeout or
//! a reconnect is due (`timers`). With churn, `sends` holds the times of connects, because a connect starts a message.

use std::collections::VecDeque;

use mio::{Poll, Token};

use super::admission::Admission;
use super::client::{Client, Connection, SocketState};
use super::connector::{Connector, finish_connect};
use super::control::{WorkerEvent, WorkerSetup};
use super::session::{Session, SessionLoad, SessionStatus};
use super::timer_queue::TimerQueue;
use crate::load::measure::failure::Failure;
use crate::load::measure::message::{Message, Observer, Outcome, Stage};
use crate::load::measure::metrics::Corruption;
use crate::load::measure::recorder::Recorder;
use crate::load::plan::payload::PIECE;
use crate::load::plan::schedule::Schedule;
use crate::load::plan::settings::Close;
use crate::load::plan::share::WorkerShare;
use crate::net::outbound::Connected;
use crate::net::platform;
use crate::net::timers::{NEVER, nanoseconds};

/// What the clients of one worker share.
pub struct ClientRunner {
    pub poll: Poll,
    /// When the poll returned.
    pub now: u64,
    setup: WorkerSetup,
    timeout: u64,
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

impl ClientRunner {
    /// Creates the runner of a worker that starts to connect now.
    pub fn new(setup: &WorkerSetup, share: WorkerShare, poll: Poll) -> Self {
        let now = platform::monotonic_now();
        Self {
            poll,
            now,
            setup: setup.clone(),
            timeout: nanoseconds(setup.settings.timeout),
            read_buffer: vec![0; PIECE].into_boxed_slice(),
            connector: Connector::new(setup, share, now),
            admission: Admission::default(),
            recorder: Recorder::new(now),
            ready: VecDeque::new(),
            sends: TimerQueue::default(),
            timers: TimerQueue::default(),
        }
    }

    /// Queues a client for a run, unless it is queued already.
    pub fn enqueue(&mut self, client: &mut Client) {
        if !std::mem::replace(&mut client.is_queued, true) {
            self.ready.push_back(client.key);
        }
    }

    /// Runs a client whose socket may be ready.
    pub fn run(&mut self, client: &mut Client) {
        match &client.socket {
            SocketState::Down => {}
            SocketState::Connecting(_) => self.finish_connect(client),
            SocketState::Up(_) => self.run_session(client),
        }
    }

    /// Sends a message that is due. With churn, starts its connect.
    pub fn run_send(&mut self, client: &mut Client) {
        client.send_at = NEVER;
        match &client.socket {
            SocketState::Down if self.setup.settings.churn => self.connect(client),
            SocketState::Down | SocketState::Connecting(_) => {}
            SocketState::Up(_) => self.run_session(client),
        }
    }

    /// Handles a timeout, or a reconnect that is due.
    pub fn run_timer(&mut self, client: &mut Client) {
        client.timer_at = NEVER;
        if client.is_newly_stalled(self.now) {
            self.setup.send(WorkerEvent::PeerStalled);
        }
        if client.deadline(self.timeout) > self.now {
            return self.arm_timer(client);
        }
        match &client.socket {
            SocketState::Connecting(_) | SocketState::Up(_) => self.time_out(client),
            SocketState::Down if !self.admission.is_open() => client.reconnect_at = NEVER,
            SocketState::Down if self.setup.settings.churn => self.plan_connect(client),
            SocketState::Down => {
                self.recorder.record_reconnect(self.now);
                self.connect(client);
            }
        }
    }

    /// Asks the socket once more, because this process may have been stalled between the end of its wait and the look at the
    /// clock: then the peer has answered in time, and no event has told. Fails the client if the deadline still stands.
    fn time_out(&mut self, client: &mut Client) {
        if let SocketState::Up(connection) = &mut client.socket {
            connection.session.assume_unread();
        }
        self.run(client);
        let failure = match &client.socket {
            SocketState::Down => return,
            SocketState::Connecting(_) => Failure::ConnectTimeout,
            SocketState::Up(_) => Failure::Timeout,
        };
        if client.deadline(self.timeout) <= self.now {
            self.fail(client, failure);
        }
    }

    /// Starts the load on a client. The load starts at `load_start`.
    pub fn start_load(&mut self, client: &mut Client, load_start: u64) {
        client.schedule = Schedule::new(&self.setup.settings, client.number, load_start);
        if self.setup.settings.churn {
            self.close_and_plan_connect(client);
        } else if let SocketState::Up(connection) = &mut client.socket {
            connection.session.handle_load_start(self.now);
            self.run_session(client);
        } else {
            client.reconnect_at = self.now;
            self.arm_timer(client);
        }
    }

    /// Returns true if connections are closed with a FIN, and not with a reset.
    pub fn closes_with_fin(&self) -> bool {
        self.setup.settings.close == Close::Fin
    }

    /// Closes the connection of a client, and records the messages that have not ended or not started.
    pub fn finish(&mut self, client: &mut Client) {
        for message in client.close(self.setup.settings.close) {
            self.recorder.end(message, Outcome::Unfinished, self.now);
        }
        // If the load was stopped in its warm-up, there is no window, and no message of the window can be missing.
        if self.recorder.window().is_empty() {
            return;
        }
        self.record_unstarted(&mut client.schedule);
    }

    /// Records the messages of the window that are still in the `schedule`. They may be hundreds of millions, so those of
    /// the same age are recorded at once.
    fn record_unstarted(&mut self, schedule: &mut Schedule) {
        let window = self.recorder.window();
        schedule.take_before(window.start, u64::MAX);
        while let Some(intended) = schedule.next_of_open_loop()
            && self.admission.belongs_to_load(intended)
        {
            let end = self.recorder.same_age_until(intended, self.now);
            let count = schedule.take_before(end.min(window.end), self.admission.quota());
            self.admission.take_many(count);
            self.recorder.end_unstarted(intended, count, self.now);
        }
    }

    /// Starts a connect. With churn the connect starts a message, so the message must be admitted.
    pub fn connect(&mut self, client: &mut Client) {
        if self.is_churning() {
            let intended = client.schedule.next_due().unwrap_or(self.now);
            if !self.admission.admits(intended) {
                return;
            }
            self.admission.take(intended);
            self.recorder.started(intended);
            client.connect_message = Some(intended);
        }
        match self.connector.connect(client, self.poll.registry()) {
            Ok(()) => self.arm_timer(client),
            Err(failure) => self.fail(client, failure),
        }
    }

    fn run_session(&mut self, client: &mut Client) {
        let token = Token(client.key);
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
            SessionStatus::Corrupted(corruption) => self.fail_corrupted(client, corruption),
            SessionStatus::Waiting | SessionStatus::MoreToRead | SessionStatus::Failed(_)
                if is_complete =>
            {
                self.close_and_plan_connect(client);
            }
            SessionStatus::Failed(failure) => self.fail(client, failure),
            SessionStatus::Waiting | SessionStatus::MoreToRead => {
                if !connection.update_registration(self.poll.registry(), token) {
                    return self.fail(client, Failure::Reset);
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
        self.setup.settings.churn && !self.admission.is_before_load()
    }

    fn finish_connect(&mut self, client: &mut Client) {
        match finish_connect(client, self.poll.registry()) {
            Ok(None) => {}
            Ok(Some(connected)) => self.open_session(client, connected),
            Err(failure) => self.fail(client, failure),
        }
    }

    fn open_session(&mut self, client: &mut Client, connected: Connected) {
        let now = platform::monotonic_now();
        let load = match self.is_churning() {
            true => SessionLoad::OneMessage,
            false => SessionLoad::Unlimited,
        };
        let session = Session::new(
            &self.setup.settings,
            &self.setup.payload,
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
        self.run_session(client);
    }

    /// Ends the connect or the connection of a client, and its messages, with a failure.
    fn fail(&mut self, client: &mut Client, failure: Failure) {
        if self.admission.is_before_load() && !matches!(client.socket, SocketState::Up(_)) {
            self.connector.first_connect_failed();
        }
        if !self.drop_connection(client, Outcome::Failed(failure)) {
            self.recorder.record_connection_failure(failure, self.now);
        }
    }

    /// Ends the connection of a client after a wrong reply. The later replies cannot be told apart any more.
    fn fail_corrupted(&mut self, client: &mut Client, corruption: Corruption) {
        self.recorder.record_corruption(corruption);
        self.drop_connection(client, Outcome::Corrupted);
    }

    /// Ends the messages of a connection that has ended with `outcome`. Returns true if there was a message.
    fn drop_connection(&mut self, client: &mut Client, outcome: Outcome) -> bool {
        if std::mem::replace(&mut client.is_up, false) {
            self.recorder.connection_down(self.now);
        }
        let mut messages = client.fail(self.now).peekable();
        let had_message = messages.peek().is_some();
        if let Some(oldest) = messages.next() {
            self.recorder.end(oldest, outcome, self.now);
        }
        for message in messages {
            let outcome = self.outcome_after(outcome, message);
            self.recorder.end(message, outcome, self.now);
        }
        self.arm_timer(client);
        had_message
    }

    /// Returns how `message` ends if `oldest` is how an older message of its connection ends.
    fn outcome_after(&self, oldest: Outcome, message: Message) -> Outcome {
        let has_timed_out = match message.stage {
            Stage::Sent(at) => at.saturating_add(self.timeout) <= self.now,
            Stage::Connecting => false,
        };
        match oldest {
            Outcome::Failed(Failure::Timeout) if !has_timed_out => Outcome::Failed(Failure::Lost),
            Outcome::Corrupted => Outcome::Failed(Failure::Lost),
            Outcome::Failed(_) | Outcome::Unfinished => oldest,
        }
    }

    /// With churn: closes a connection whose message was answered, and plans the connect of the next message.
    fn close_and_plan_connect(&mut self, client: &mut Client) {
        drop(client.close(self.setup.settings.close));
        self.plan_connect(client);
    }

    /// With churn: connects when the next message of the client is due.
    fn plan_connect(&mut self, client: &mut Client) {
        client.reconnect_at = NEVER;
        if let Schedule::ClosedChurn { due } = &mut client.schedule {
            *due = client.connect_allowed_at.max(self.now);
        }
        let due = client.schedule.next_due().unwrap_or(self.now);
        match due <= platform::monotonic_now() {
            true => self.connect(client),
            false => self.schedule_send(client, due),
        }
    }
}
