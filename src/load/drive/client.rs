//! One client of the load: the schedule of its messages, and the socket that carries them.
//!
//! A client has one connection at a time. A connection that fails is replaced; with churn each message has a connection
//! of its own.

use mio::net::TcpStream;
use mio::{Registry, Token};

use super::session::Session;
use crate::load::measure::message::{Message, Stage};
use crate::load::plan::schedule::Schedule;
use crate::load::plan::settings::Close;
use crate::net::outbound::Connecting;
use crate::net::platform;
use crate::net::registration::Registration;
use crate::net::socket::reset_on_close;
use crate::net::timers::NEVER;

/// How long a socket may accept no bytes before the user is told that the peer does not read: 5 s.
const STALL_LIMIT: u64 = 5_000_000_000;

/// The least time between two connects of a client after a failure: 100 ms. A server that refuses is not flooded.
pub const RECONNECT_INTERVAL: u64 = 100_000_000;

/// One client. Times are nanoseconds of the monotonic clock.
#[derive(Default)]
pub struct Client {
    /// The index of the client in its worker, and the token of its sockets.
    pub key: usize,
    /// The number of the client among the clients of all threads and shards, from 0.
    pub number: u64,
    /// The socket.
    pub socket: SocketState,
    /// The times at which messages are due.
    pub schedule: Schedule,
    /// The number of the current connection among all connections of the run, from 1.
    pub connection_number: u64,
    /// With churn: when the message was intended that the current connect was started for.
    pub connect_message: Option<u64>,
    /// When the latest connect started.
    pub connect_started: u64,
    /// The time from which on the next connect may start: the end of the latest connection, or later after a failure.
    pub connect_allowed_at: u64,
    /// When a reconnect is due, or [`NEVER`].
    pub reconnect_at: u64,
    /// The client's time in the queue of sends, or [`NEVER`].
    pub send_at: u64,
    /// The client's valid time in the queue of timers, or [`NEVER`]. Other times in the queue are out of date.
    pub timer_at: u64,
    /// True if the latest connect succeeded and no connection has failed since. With churn a client stays up between
    /// two connections.
    pub is_up: bool,
    /// True if the client waits for a run.
    pub is_queued: bool,
    /// True if the user was told that the peer does not read.
    pub is_stall_reported: bool,
}

/// The socket of a client.
#[derive(Default)]
pub enum SocketState {
    /// There is no socket.
    #[default]
    Down,
    /// The connection is not established yet.
    Connecting(Connecting),
    /// The connection is established.
    Up(Connection),
}

/// An established connection.
pub struct Connection {
    /// The socket.
    pub socket: TcpStream,
    /// The events that the kernel reports for the socket.
    pub registration: Registration,
    /// The messages on the socket.
    pub session: Session,
}

impl Client {
    /// Creates the client with this index and number, without a socket.
    pub fn new(key: usize, number: u64) -> Self {
        Self {
            key,
            number,
            reconnect_at: NEVER,
            send_at: NEVER,
            timer_at: NEVER,
            ..Self::default()
        }
    }

    /// Returns the delay of the latest connect that the load generator itself caused.
    ///
    /// With churn a connect starts a message, so this delay is part of the send lag and not of the wait.
    pub fn connect_lag(&self) -> u64 {
        let due = self.schedule.next_due().unwrap_or(self.connect_started);
        self.connect_started
            .saturating_sub(due.max(self.connect_allowed_at))
    }

    /// Returns when the client needs attention without an event, or [`NEVER`]. A connect or a reply may take `timeout`.
    pub fn deadline(&self, timeout: u64) -> u64 {
        match &self.socket {
            SocketState::Down => self.reconnect_at,
            SocketState::Connecting(_) => self.connect_started.saturating_add(timeout),
            SocketState::Up(connection) => {
                let awaited_since = connection.session.awaited_since();
                let reply = awaited_since.map_or(NEVER, |since| since.saturating_add(timeout));
                reply.min(self.stall_report_at(&connection.session))
            }
        }
    }

    /// Returns when the connection last transferred a part of a message that was not its end; 0 if it did not.
    pub fn progressed_at(&self) -> u64 {
        match &self.socket {
            SocketState::Down | SocketState::Connecting(_) => 0,
            SocketState::Up(connection) => connection.session.progressed_at(),
        }
    }

    /// Returns true if the peer has not read for [`STALL_LIMIT`], but only once per client.
    pub fn is_newly_stalled(&mut self, now: u64) -> bool {
        let SocketState::Up(connection) = &self.socket else {
            return false;
        };
        let is_stalled = self.stall_report_at(&connection.session) <= now;
        self.is_stall_reported |= is_stalled;
        is_stalled
    }

    /// Returns when the user must be told that the peer of `session` does not read, or [`NEVER`].
    fn stall_report_at(&self, session: &Session) -> u64 {
        let blocked_since = session.blocked_since().filter(|_| !self.is_stall_reported);
        blocked_since.map_or(NEVER, |since| since.saturating_add(STALL_LIMIT))
    }

    /// Drops a socket that has failed, and plans the reconnect. Returns the messages that the failure ended, the oldest
    /// first.
    pub fn fail(&mut self, now: u64) -> impl Iterator<Item = Message> + use<> {
        let allowed_at = self.connect_started.saturating_add(RECONNECT_INTERVAL);
        self.reconnect_at = allowed_at.max(now);
        self.connect_allowed_at = self.reconnect_at;
        self.take_messages()
    }

    /// Closes the socket. Returns the messages that the end of the connection ended, the oldest first.
    pub fn close(&mut self, close: Close) -> impl Iterator<Item = Message> + use<> {
        let socket = match &self.socket {
            SocketState::Down => None,
            SocketState::Connecting(connecting) => Some(connecting.socket()),
            SocketState::Up(connection) => Some(&connection.socket),
        };
        if let (Close::Rst, Some(socket)) = (close, socket) {
            reset_on_close(socket);
        }
        self.connect_allowed_at = platform::monotonic_now();
        self.take_messages()
    }

    /// Drops the socket and returns the messages that have started and not ended, the oldest first.
    fn take_messages(&mut self) -> impl Iterator<Item = Message> + use<> {
        let connect_message = self.connect_message.take();
        let (unsent, unanswered) = match std::mem::take(&mut self.socket) {
            SocketState::Down | SocketState::Connecting(_) => (connect_message, None),
            SocketState::Up(Connection { session, .. }) => (
                connect_message.filter(|_| !session.has_sent_all()),
                Some(session.into_unanswered()),
            ),
        };
        if unsent.is_some() {
            self.schedule.advance();
        }
        let stage = Stage::Connecting;
        let unsent = unsent.map(|intended| Message { intended, stage });
        unsent.into_iter().chain(unanswered.into_iter().flatten())
    }
}

impl Connection {
    /// Asks the kernel for the events that the session needs. Returns false if the socket is dead and the poll has
    /// dropped it.
    pub fn update_registration(&mut self, registry: &Registry, token: Token) -> bool {
        let wants_write = self.session.blocked_since().is_some();
        self.registration
            .arm_write(wants_write, &mut self.socket, registry, token)
            .is_ok()
    }
}
