//! How seats get their sockets, and lose them.
//!
//! Every seat is tried once before the load begins. Later a connection that is lost is replaced, no sooner than a tenth of
//! a second after it was begun, so that a server that refuses is not flooded. With churn a connection ends with its one
//! message, and the next one is begun when the next message is due.

use std::collections::{VecDeque, vec_deque};
use std::net::IpAddr;

use mio::Token;

use super::client::SocketState;
use super::generator::{Generator, session_settings};
use super::phases::WorkerPhase;
use super::session::{Session, Timestamps};
use crate::load::measure::failure::Failure;
use crate::load::measure::metrics::Corruption;
use crate::load::plan::schedule::Schedule;
use crate::load::plan::settings::{Close, RunSettings};
use crate::load::plan::share::WorkerShare;
use crate::net::abortive_close::reset_on_close;
use crate::net::outbound::{ConnectOptions, ConnectStatus, Connected, Connecting};
use crate::net::platform;
use crate::net::timers::NEVER;

/// Connects in flight at the start, over all threads, unless their rate is given.
const CONNECTING: usize = 256;

/// A connection that was lost is replaced no sooner than this after its own connect, in nanoseconds.
pub(crate) const REDIAL: u64 = 100_000_000;

impl Generator {
    /// When the next seat is to be tried for the first time, or [`NEVER`].
    pub(crate) fn next_dial(&self) -> u64 {
        let most = (CONNECTING / self.part.threads).max(1);
        match self.settings.connect_rate {
            _ if self.dialed == self.clients.len() => NEVER,
            Some(rate) => {
                let distance = 1e9 * self.part.workers() as f64 / rate;
                self.started + (self.dialed as f64 * distance) as u64
            }
            None if self.connecting < most => 0,
            None => NEVER,
        }
    }

    /// Connects, or notes why not.
    pub(crate) fn dial(&mut self, key: usize) {
        if self.churns() {
            let intended = self.clients[key].schedule.next().unwrap_or(self.now);
            if self.phase != WorkerPhase::Loaded || !self.recorder.may_dial(intended) {
                return;
            }
            self.recorder.dialed(intended);
        }
        self.sockets += 1;
        let number = self.connection_number();
        let client = &mut self.clients[key];
        client.connection = number;
        client.dialed_at = platform::monotonic_now();
        client.redial_at = NEVER;
        let options = ConnectOptions {
            source: source(&self.settings, self.part, self.sockets),
            socket_buffer: self.settings.socket_buffer,
        };
        let registry = self.poll.registry();
        match Connecting::start(self.address, options, registry, Token(key)) {
            Ok(connecting) => {
                client.line = SocketState::Connecting(connecting);
                self.arm_timer(key);
            }
            Err(error) => self.fail_connect(key, error.failure.into()),
        }
    }

    /// Whether a connection is for one message. Those before the load begins only show that there is a server.
    fn churns(&self) -> bool {
        self.settings.churn && !matches!(self.phase, WorkerPhase::Connecting | WorkerPhase::Waiting)
    }

    pub(crate) fn finish_connect(&mut self, key: usize) {
        let connecting = match self.take_socket(key) {
            SocketState::Connecting(connecting) => connecting,
            other => return self.clients[key].line = other,
        };
        match connecting.finish(self.poll.registry()) {
            Ok(ConnectStatus::Pending(connecting)) => {
                self.clients[key].line = SocketState::Connecting(connecting);
            }
            Ok(ConnectStatus::Connected(connected)) => self.open_session(key, connected),
            Err(error) => self.fail_connect(key, error.failure.into()),
        }
    }

    fn open_session(&mut self, key: usize, connected: Connected) {
        let now = platform::monotonic_now();
        let left = match self.churns() {
            true => 1,
            false => u64::MAX,
        };
        let client = &mut self.clients[key];
        let session = Session::new(
            &session_settings(&self.settings, &self.payload),
            client.connection,
            self.settings.skip,
            left,
            connected.readiness,
            now,
            client.dial_lag(),
        );
        client.line = SocketState::Up {
            socket: connected.socket,
            registration: connected.registration,
            session,
        };
        self.recorder.connected(now - client.dialed_at, now);
        self.went_up(key, now);
        if self.phase == WorkerPhase::Connecting {
            self.connecting -= 1;
            self.up += 1;
        }
        self.run_session(key);
    }

    /// The number of the newest connection among those of all loops, from 1, never given twice.
    pub(crate) fn connection_number(&self) -> u64 {
        self.part.connection_number(self.sockets)
    }

    pub(crate) fn fail_connect(&mut self, key: usize, failure: Failure) {
        let client = &mut self.clients[key];
        client.line = SocketState::Down;
        client.redial_at = client.dialed_at.saturating_add(REDIAL);
        client.free_at = client.redial_at;
        self.went_down(key);
        match self.phase {
            _ if self.churns() => self.fail_unsent(key, failure),
            WorkerPhase::Connecting => {
                self.connecting -= 1;
                self.recorder.failed(failure, self.now);
            }
            _ => self.recorder.failed(failure, self.now),
        }
        self.arm_timer(key);
    }

    pub(crate) fn redial(&mut self, key: usize) {
        match self.settings.churn {
            true => self.plan_churn(key),
            false => {
                self.recorder.reconnected(self.now);
                self.dial(key);
            }
        }
    }

    /// The connection of `key` is gone, and the replies that were due on it.
    pub(crate) fn fail(&mut self, key: usize, failure: Failure) {
        let is_unsent = self.has_unsent(key);
        let messages = self.end_session(key);
        if is_unsent {
            self.fail_unsent(key, failure);
        } else if messages.len() == 0 {
            self.recorder.failed(failure, self.now);
        }
        for times in messages {
            self.recorder.lost(&times, failure, self.now);
        }
        self.arm_timer(key);
    }

    /// A reply is wrong. The ones behind it cannot be told apart any more.
    pub(crate) fn fail_corrupted(&mut self, key: usize, corruption: Corruption) {
        let is_unsent = self.has_unsent(key);
        let mut messages = self.end_session(key);
        self.recorder.corrupted(corruption);
        if is_unsent {
            let intended = self.take_unsent(key);
            self.recorder.dropped_unsent(intended, self.now);
        } else if let Some(times) = messages.next() {
            self.recorder.dropped(&times, self.now);
        }
        for times in messages {
            self.recorder.lost(&times, Failure::Other, self.now);
        }
        self.arm_timer(key);
    }

    /// The messages whose replies were due.
    fn end_session(&mut self, key: usize) -> vec_deque::IntoIter<Timestamps> {
        let client = &mut self.clients[key];
        client.redial_at = client.dialed_at.saturating_add(REDIAL).max(self.now);
        client.free_at = client.redial_at;
        self.went_down(key);
        match self.take_socket(key) {
            SocketState::Up { session, .. } => session.into_unanswered(),
            SocketState::Down | SocketState::Connecting(_) => VecDeque::new().into_iter(),
        }
    }

    /// With churn: whether there is a connection for a message, and that is not sent yet.
    pub(crate) fn has_unsent(&self, key: usize) -> bool {
        self.churns()
            && match &self.clients[key].line {
                SocketState::Down => false,
                SocketState::Connecting(_) => true,
                SocketState::Up { session, .. } => session.has_more(),
            }
    }

    /// When that message was intended. The schedule goes on to the next.
    pub(crate) fn take_unsent(&mut self, key: usize) -> u64 {
        let schedule = &mut self.clients[key].schedule;
        let intended = schedule.next().unwrap_or(self.now);
        schedule.advance();
        intended
    }

    /// Its connection has failed, and that message with it.
    fn fail_unsent(&mut self, key: usize, failure: Failure) {
        let intended = self.take_unsent(key);
        self.recorder.never_sent(intended, failure, self.now);
    }

    /// Connects when the next message of this seat is due.
    pub(crate) fn plan_churn(&mut self, key: usize) {
        let client = &mut self.clients[key];
        client.redial_at = NEVER;
        if let Schedule::Dialed { at } = &mut client.schedule {
            *at = client.free_at.max(self.now);
        }
        let due = client.schedule.next().unwrap_or(self.now);
        if due <= platform::monotonic_now() {
            self.dial(key);
        } else if client.send_at == NEVER && self.recorder.may_dial(due) {
            client.send_at = due;
            self.sends.add(due, key);
        }
    }

    /// The one message of a connection is answered: the next one.
    pub(crate) fn next_churn(&mut self, key: usize) {
        drop(self.close(key));
        self.plan_churn(key);
    }

    pub(crate) fn close(&mut self, key: usize) -> SocketState {
        let client = &mut self.clients[key];
        if let (Close::Rst, Some(socket)) = (self.settings.close, client.socket()) {
            reset_on_close(socket);
        }
        client.free_at = platform::monotonic_now();
        self.take_socket(key)
    }

    fn take_socket(&mut self, key: usize) -> SocketState {
        std::mem::replace(&mut self.clients[key].line, SocketState::Down)
    }

    fn went_up(&mut self, key: usize, at: u64) {
        if !std::mem::replace(&mut self.clients[key].is_up, true) {
            self.recorder.went_up(at);
        }
    }

    /// Not with the end of a connection that has done what it was made for.
    fn went_down(&mut self, key: usize) {
        if std::mem::replace(&mut self.clients[key].is_up, false) {
            self.recorder.went_down(self.now);
        }
    }
}

/// The addresses in turn, so that loops do not begin with the same one.
fn source(settings: &RunSettings, part: WorkerShare, sockets: u64) -> Option<IpAddr> {
    let count = settings.sources.len() as u64;
    let turn = sockets * part.threads as u64 + part.thread as u64;
    (count > 0).then(|| settings.sources[(turn % count) as usize])
}
