//! The clients of one worker: which of them is run, and when.

use mio::event::Event;
use mio::{Poll, Token};

use super::client::{Client, RECONNECT_INTERVAL, SocketState};
use super::client_runner::ClientRunner;
use super::closer::close_all;
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
    /// Creates the clients of a worker that starts to connect now.
    pub fn new(setup: &WorkerSetup, share: WorkerShare, poll: Poll) -> Self {
        let connections = setup.settings.connections;
        let messages = setup.settings.stop.messages;
        let numbers = share.connections(connections).enumerate();
        let timeout = nanoseconds(setup.settings.timeout);
        Self {
            clients: numbers
                .map(|(key, number)| Client::new(key, number as u64))
                .collect(),
            runner: ClientRunner::new(setup, share, poll),
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

    /// Returns true if messages of the quota are overdue, and for a long time no message has ended or made progress.
    pub fn is_stalled(&self) -> bool {
        let is_long_ago = |time| self.runner.now.saturating_sub(time) > self.stall_limit;
        // The walk over all clients is left to workers in which no message ends.
        self.quota.is_some()
            && is_long_ago(self.runner.recorder.last_end())
            && self
                .clients
                .iter()
                .any(|client| is_long_ago(client.schedule.next_due().unwrap_or(0)))
            && self
                .clients
                .iter()
                .all(|client| is_long_ago(client.progressed_at()))
    }

    /// Records an event and queues its client. Performs no I/O.
    pub fn handle_event(&mut self, event: &Event) {
        let Token(key) = event.token();
        let client = &mut self.clients[key];
        let ready = readiness_of(event);
        match &mut client.socket {
            SocketState::Down => {}
            SocketState::Connecting(connecting) => connecting.handle_ready(ready),
            SocketState::Up(connection) => connection.session.handle_ready(ready, self.runner.now),
        }
        self.runner.enqueue(client);
    }

    /// Runs every client that waits for a run, once.
    pub fn run_ready(&mut self) {
        for _ in 0..self.runner.ready.len() {
            if let Some(key) = self.runner.ready.pop_front() {
                self.clients[key].is_queued = false;
                self.runner.run(&mut self.clients[key]);
            }
        }
    }

    /// Sends messages, handles timeouts and starts connects that are due.
    pub fn run_due(&mut self) {
        // Only what was due when the poll returned: a schedule that is too fast to keep must not delay the replies.
        self.send_due(self.runner.now);
        while let Some((time, key)) = self.runner.timers.pop_due(self.runner.now) {
            if self.clients[key].timer_at == time {
                self.runner.run_timer(&mut self.clients[key]);
            }
        }
        while let Some(key) = self.runner.connector.pop_first_connect(self.runner.now) {
            self.runner.connect(&mut self.clients[key]);
        }
    }

    /// Starts the load on all clients.
    pub fn start_load(&mut self, timeline: &Timeline) {
        let counting = match self.quota {
            Some(_) => Counting::WindowOnly,
            None => Counting::All,
        };
        let window = timeline.window();
        self.runner.admission.open(window.clone(), self.quota);
        self.runner
            .recorder
            .start_load(window, counting, self.runner.now);
        for client in &mut self.clients {
            self.runner.start_load(client, timeline.load_start);
        }
    }

    /// Ends the window at `window_end`. No message starts any more, except the messages of the window that are due by
    /// now: the peer did not delay them, and their delay is in the send lag.
    pub fn end_load(&mut self, window_end: u64) {
        self.runner.recorder.end_window(window_end);
        self.runner.admission.end_window(window_end);
        let last = self.runner.recorder.window().end.saturating_sub(1);
        self.send_due(last.min(self.runner.now));
        self.runner.admission.close();
    }

    /// Closes all connections and records the messages that have not ended.
    pub fn finish(&mut self) {
        close_all(&mut self.clients, &mut self.runner);
    }

    fn send_due(&mut self, until: u64) {
        while let Some((_, key)) = self.runner.sends.pop_due(until) {
            self.runner.run_send(&mut self.clients[key]);
        }
    }
}
