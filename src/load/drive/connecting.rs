//! How seats get their sockets, and lose them.
//!
//! Every seat is tried once before the load begins. Later a connection that is lost is replaced, no sooner than a tenth of
//! a second after it was begun, so that a server that refuses is not flooded. With churn a connection ends with its one
//! message, and the next one is begun when the next message is due.

use std::collections::{VecDeque, vec_deque};
use std::net::{IpAddr, SocketAddr};

use mio::{Registry, Token};

use super::generator::{Generator, Part, shared};
use super::phases::Phase;
use super::seat::Line;
use super::session::{Session, Times};
use crate::conn::Ready;
use crate::load::measure::tally::{Corruption, Failure};
use crate::load::plan::config::{Close, Config, Shard};
use crate::load::plan::schedule::Schedule;
use crate::net::registration::Registration;
use crate::net::timers::NEVER;
use crate::net::{ConnectError, DialOptions, connected, dial, platform, slot};

/// Connects in flight at the start, over all threads, unless their rate is given.
const CONNECTING: usize = 256;

/// A connection that was lost is replaced no sooner than this after its own connect, in nanoseconds.
pub(crate) const REDIAL: u64 = 100_000_000;

impl Generator {
    /// When the next seat is to be tried for the first time, or [`NEVER`].
    pub(crate) fn next_dial(&self) -> u64 {
        let most = (CONNECTING / self.part.threads).max(1);
        match self.config.connect_rate {
            _ if self.dialed == self.seats.len() => NEVER,
            Some(rate) => {
                let shards = self.config.own_shard().count as f64;
                let distance = 1e9 * self.part.threads as f64 * shards / rate;
                self.started + (self.dialed as f64 * distance) as u64
            }
            None if self.connecting < most => 0,
            None => NEVER,
        }
    }

    /// Connects, or notes why not.
    pub(crate) fn dial(&mut self, key: usize) {
        if self.churns() {
            let intended = self.seats[key].schedule.next().unwrap_or(self.now);
            if self.phase != Phase::Loaded || !self.recorder.may_dial(intended) {
                return;
            }
            self.recorder.dialed(intended);
        }
        self.sockets += 1;
        let number = self.connection_number();
        let seat = &mut self.seats[key];
        seat.connection = number;
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

    /// Whether a connection is for one message. Those before the load begins only show that there is a server.
    fn churns(&self) -> bool {
        self.config.churn && !matches!(self.phase, Phase::Connecting | Phase::Waiting)
    }

    pub(crate) fn finish_connect(&mut self, key: usize) {
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

    pub(crate) fn open_session(&mut self, key: usize) {
        let now = platform::monotonic_now();
        let left = match self.churns() {
            true => 1,
            false => u64::MAX,
        };
        let seat = &mut self.seats[key];
        let mut session = Session::new(
            &shared(&self.config, &self.payload),
            seat.connection,
            self.config.skip,
            left,
            platform::SHORT_READ,
            now,
            seat.dial_lag(),
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
        self.recorder.connected(now - seat.dialed_at, now);
        self.went_up(key, now);
        if self.phase == Phase::Connecting {
            self.connecting -= 1;
            self.up += 1;
        }
        self.run_session(key);
    }

    /// The number of the newest connection among those of all loops, from 1, never given twice.
    pub(crate) fn connection_number(&self) -> u64 {
        let Part {
            thread, threads, ..
        } = self.part;
        let Shard {
            index: shard,
            count: shards,
        } = self.config.own_shard();
        let loops = (threads * shards) as u64;
        1 + (self.sockets - 1) * loops + (thread * shards + shard) as u64
    }

    pub(crate) fn fail_connect(&mut self, key: usize, failure: Failure) {
        let seat = &mut self.seats[key];
        seat.line = Line::Down;
        seat.redial_at = seat.dialed_at.saturating_add(REDIAL);
        seat.free_at = seat.redial_at;
        self.went_down(key);
        match self.phase {
            _ if self.churns() => self.fail_unsent(key, failure),
            Phase::Connecting => {
                self.connecting -= 1;
                self.recorder.failed(failure, self.now);
            }
            _ => self.recorder.failed(failure, self.now),
        }
        self.plan_check(key);
    }

    pub(crate) fn redial(&mut self, key: usize) {
        match self.config.churn {
            true => self.plan_churn(key),
            false => {
                self.recorder.reconnected(self.now);
                self.dial(key);
            }
        }
    }

    /// The connection of `key` is gone, and the replies that were due on it.
    pub(crate) fn lose(&mut self, key: usize, failure: Failure) {
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
        self.plan_check(key);
    }

    /// A reply is wrong. The ones behind it cannot be told apart any more.
    pub(crate) fn lose_corrupted(&mut self, key: usize, corruption: Corruption) {
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
        self.plan_check(key);
    }

    /// The messages whose replies were due.
    fn end_session(&mut self, key: usize) -> vec_deque::IntoIter<Times> {
        let seat = &mut self.seats[key];
        seat.redial_at = seat.dialed_at.saturating_add(REDIAL).max(self.now);
        seat.free_at = seat.redial_at;
        self.went_down(key);
        match self.take_line(key) {
            Line::Up { session, .. } => session.into_unanswered(),
            Line::Down | Line::Connecting { .. } => VecDeque::new().into_iter(),
        }
    }

    /// With churn: whether there is a connection for a message, and that is not sent yet.
    pub(crate) fn has_unsent(&self, key: usize) -> bool {
        self.churns()
            && match &self.seats[key].line {
                Line::Down => false,
                Line::Connecting { .. } => true,
                Line::Up { session, .. } => session.has_more(),
            }
    }

    /// When that message was intended. The schedule goes on to the next.
    pub(crate) fn take_unsent(&mut self, key: usize) -> u64 {
        let schedule = &mut self.seats[key].schedule;
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
        let seat = &mut self.seats[key];
        seat.redial_at = NEVER;
        if let Schedule::Dialed { at } = &mut seat.schedule {
            *at = seat.free_at.max(self.now);
        }
        let due = seat.schedule.next().unwrap_or(self.now);
        if due <= platform::monotonic_now() {
            self.dial(key);
        } else if seat.slot_at == NEVER && self.recorder.may_dial(due) {
            seat.slot_at = due;
            self.slots.add(due, key);
        }
    }

    /// The one message of a connection is answered: the next one.
    pub(crate) fn next_churn(&mut self, key: usize) {
        drop(self.hang_up(key));
        self.plan_churn(key);
    }

    pub(crate) fn hang_up(&mut self, key: usize) -> Line {
        let seat = &mut self.seats[key];
        if let (Close::Rst, Some(socket)) = (self.config.close, seat.socket()) {
            slot::reset(socket);
        }
        seat.free_at = platform::monotonic_now();
        self.take_line(key)
    }

    fn take_line(&mut self, key: usize) -> Line {
        std::mem::replace(&mut self.seats[key].line, Line::Down)
    }

    fn went_up(&mut self, key: usize, at: u64) {
        if !std::mem::replace(&mut self.seats[key].is_up, true) {
            self.recorder.went_up(at);
        }
    }

    /// Not with the end of a connection that has done what it was made for.
    fn went_down(&mut self, key: usize) {
        if std::mem::replace(&mut self.seats[key].is_up, false) {
            self.recorder.went_down(self.now);
        }
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
