//! The clients of one worker: which of them is run, and when.

use mio::Token;
use mio::event::Event;

use super::client::{Client, RECONNECT_INTERVAL, SocketState};
use super::client_runner::{ClientRunner, Turn};
use super::control::{Timeline, WorkerSetup};
use crate::load::measure::recorder::Counting;
use crate::load::plan::share::WorkerShare;
use crate::net::poll::readiness_of;
use crate::net::timers::nanoseconds;

/// The clients of one worker. The key of a client is its index, and the token of its sockets.
pub struct Clients {
    clients: Vec<Client>,
    pub runner: ClientRunner,
    /// The messages of the window that this worker may start, if their number is limited.
    quota: Option<u64>,
    /// For how long no message may end before a run with a quota counts as stalled.
    stall_limit: u64,
}

impl Clients {
    /// Creates the clients of a worker that starts to connect at `now`.
    pub fn new(setup: &WorkerSetup, share: WorkerShare, now: u64) -> Self {
        let connections = setup.settings.connections;
        let messages = setup.settings.stop.messages;
        let numbers = share.connections(connections).enumerate();
        let timeout = nanoseconds(setup.settings.timeout);
        Self {
            clients: numbers
                .map(|(key, number)| Client::new(key, number as u64))
                .collect(),
            runner: ClientRunner::new(setup, share, now),
            quota: messages.map(|count| share.messages(count, connections)),
            // Long enough to try each message twice.
            stall_limit: timeout.saturating_add(RECONNECT_INTERVAL).saturating_mul(2),
        }
    }

    /// Returns when the next timeout, reconnect or first connect is due, or [`NEVER`](crate::net::timers::NEVER).
    pub fn next_timer(&self) -> u64 {
        let first_connect = self.runner.connector.next_first_connect();
        self.runner.timers.next_time().min(first_connect)
    }

    /// Returns true if every message of the quota has started and ended.
    pub fn is_complete(&self) -> bool {
        self.runner.admission.is_exhausted() && self.runner.recorder.is_idle()
    }

    /// Returns true if messages of the quota are overdue and no message has ended for a long time.
    pub fn is_stalled(&self, now: u64) -> bool {
        let is_long_ago = |time| now.saturating_sub(time) > self.stall_limit;
        // The walk over all clients is left to workers in which no message ends.
        self.quota.is_some()
            && is_long_ago(self.runner.recorder.last_end())
            && self
                .clients
                .iter()
                .any(|client| is_long_ago(client.schedule.next_due().unwrap_or(0)))
    }

    /// Records an event and queues its client. Performs no I/O.
    pub fn handle_event(&mut self, event: &Event, now: u64) {
        let Token(key) = event.token();
        let client = &mut self.clients[key];
        let ready = readiness_of(event);
        match &mut client.socket {
            SocketState::Down => {}
            SocketState::Connecting(connecting) => connecting.handle_ready(ready),
            SocketState::Up(connection) => connection.session.handle_ready(ready, now),
        }
        self.runner.enqueue(client);
    }

    /// Runs every client that waits for a run, once.
    pub fn run_ready(&mut self, turn: Turn) {
        for _ in 0..self.runner.ready.len() {
            if let Some(key) = self.runner.ready.pop_front() {
                self.clients[key].is_queued = false;
                self.runner.run(&mut self.clients[key], turn);
            }
        }
    }

    /// Sends messages, handles timeouts and starts connects that are due.
    pub fn run_due(&mut self, turn: Turn) {
        // Only what was due when the poll returned: a schedule that is too fast to keep must not delay the replies.
        self.send_due(turn.now, turn);
        while let Some((time, key)) = self.runner.timers.pop_due(turn.now) {
            if self.clients[key].timer_at == time {
                self.runner.run_timer(&mut self.clients[key], turn);
            }
        }
        while let Some(key) = self.runner.connector.pop_first_connect(turn.now) {
            self.runner.connect(&mut self.clients[key], turn);
        }
    }

    /// Starts the load on all clients.
    pub fn start_load(&mut self, timeline: &Timeline, turn: Turn) {
        let counting = match self.quota {
            Some(_) => Counting::WindowOnly,
            None => Counting::All,
        };
        let window = timeline.window();
        self.runner.admission.open(window.clone(), self.quota);
        self.runner.recorder.start_load(window, counting, turn.now);
        for client in &mut self.clients {
            self.runner.start_load(client, timeline.load_start, turn);
        }
    }

    /// Ends the window at `window_end`. No message starts any more, except the messages of the window that are due by
    /// now: the peer did not delay them, and their delay is in the send lag.
    pub fn end_load(&mut self, window_end: u64, turn: Turn) {
        self.runner.recorder.end_window(window_end);
        self.runner.admission.end_window(window_end);
        let last = self.runner.recorder.window().end.saturating_sub(1);
        self.send_due(last.min(turn.now), turn);
        self.runner.admission.close();
    }

    /// Closes all connections and records the messages that have not ended.
    pub fn finish(&mut self, now: u64) {
        for client in &mut self.clients {
            self.runner.finish(client, now);
        }
    }

    fn send_due(&mut self, until: u64, turn: Turn) {
        while let Some((_, key)) = self.runner.sends.pop_due(until) {
            self.runner.run_send(&mut self.clients[key], turn);
        }
    }
}
