//! The place of one connection, which one socket after another takes.

use mio::net::TcpStream;
use mio::{Registry, Token};

use super::session::Session;
use crate::load::plan::schedule::Schedule;
use crate::net::outbound::Connecting;
use crate::net::registration::Registration;
use crate::net::timers::NEVER;

/// How long a socket may take no bytes before that is said.
const PATIENCE: u64 = 5_000_000_000;

/// The place of one connection.
pub struct Client {
    /// Its number among the connections of all threads and shards, from 0.
    pub number: u64,
    /// Its socket.
    pub line: SocketState,
    /// Its messages.
    pub schedule: Schedule,
    /// The number of its connection among all that were ever begun, from 1.
    pub connection: u64,
    /// When the last connect was begun.
    pub dialed_at: u64,
    /// When the last connection ended, or when the next one may be begun after a failure.
    pub free_at: u64,
    /// When the next one is due, or [`NEVER`].
    pub redial_at: u64,
    /// The one time for it on the agenda of messages, or [`NEVER`].
    pub send_at: u64,
    /// The one time for it on the agenda of checks that counts, or [`NEVER`].
    pub check_at: u64,
    /// Whether the server lets it have what it needs: the last connect, and what came of it, has not failed.
    pub is_up: bool,
    /// Whether it waits for another run.
    pub is_queued: bool,
    /// Whether it has been said that its peer does not read.
    pub is_reported: bool,
}

/// The socket of a seat.
pub enum SocketState {
    /// None.
    Down,
    /// One that is not established yet.
    Connecting(Connecting),
    /// One that carries messages.
    Up {
        /// The socket.
        socket: TcpStream,
        /// What the kernel knows of it.
        registration: Registration,
        /// What is sent and received.
        session: Session,
    },
}

impl Client {
    /// An empty seat.
    pub fn new(number: u64) -> Self {
        Self {
            number,
            line: SocketState::Down,
            schedule: Schedule::Closed,
            connection: 0,
            dialed_at: 0,
            free_at: 0,
            redial_at: NEVER,
            send_at: NEVER,
            check_at: NEVER,
            is_up: false,
            is_queued: false,
            is_reported: false,
        }
    }

    /// The socket, if there is one.
    pub fn socket(&self) -> Option<&TcpStream> {
        match &self.line {
            SocketState::Down => None,
            SocketState::Connecting(connecting) => Some(connecting.socket()),
            SocketState::Up { socket, .. } => Some(socket),
        }
    }

    /// How much later than it could have been the connect was begun, where it is the begin of a message: our own part of
    /// the delay, which is no part of the peer's.
    pub fn dial_lag(&self) -> u64 {
        let due = self.schedule.next().unwrap_or(self.dialed_at);
        self.dialed_at.saturating_sub(due.max(self.free_at))
    }

    /// When something about this seat must be looked at though no event has come, or [`NEVER`].
    pub fn deadline(&self, timeout: u64) -> u64 {
        match &self.line {
            SocketState::Down => self.redial_at,
            SocketState::Connecting(_) => self.dialed_at.saturating_add(timeout),
            SocketState::Up { session, .. } => {
                let reply = session
                    .awaited_since()
                    .map(|since| since.saturating_add(timeout));
                let blocked = session.blocked_since().filter(|_| !self.is_reported);
                let report = blocked.map(|since| since.saturating_add(PATIENCE));
                reply.unwrap_or(NEVER).min(report.unwrap_or(NEVER))
            }
        }
    }

    /// Tells the kernel what the session wants. False: the poll has dropped the socket, because it is dead.
    pub fn tell_kernel(&mut self, registry: &Registry, token: Token) -> bool {
        match &mut self.line {
            SocketState::Up {
                socket,
                registration,
                session,
            } => registration
                .arm_write(session.wants_write(), socket, registry, token)
                .is_ok(),
            SocketState::Down | SocketState::Connecting(_) => true,
        }
    }

    /// Whether its peer has not read for so long that it should be said, once.
    pub fn report_blocked(&mut self, now: u64) -> bool {
        let SocketState::Up { session, .. } = &self.line else {
            return false;
        };
        let is_due = session
            .blocked_since()
            .is_some_and(|since| since.saturating_add(PATIENCE) <= now);
        is_due && !std::mem::replace(&mut self.is_reported, true)
    }
}
