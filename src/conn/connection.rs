//! One connection: what it is told, what it answers, and how its state changes.
//!
//! Nothing here performs I/O; that is [`drive`](Connection::drive), in the file of that name. A connection never waits,
//! never asks for the time, and knows its socket only as `Read + Write`; what such a transport cannot do is asked for in
//! [`Progress`].

use std::io::{self, ErrorKind};
use std::sync::Arc;

use log::trace;

use super::framing::Framing;
use super::inbox::Inbox;
use super::readiness::Readiness;
use super::write_buffer::{Buffers, WriteBuffer};
use super::{CloseReason, Event, Offload, Ready, ShortRead, State, Timer};

/// Orders for the next run: the server stops; a timer has run out, and only a write or a read tells what that means.
pub(super) const STOP: u8 = 1;
pub(super) const TRY_WRITE: u8 = 2;
pub(super) const TRY_READ: u8 = 4;
pub(super) const TRY_REST: u8 = 8;

/// What every connection of a listener has in common.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Nothing is read from a peer that has this many bytes pending, in bytes.
    pub high_water: usize,
    /// The most bytes that can be pending then, but for a greeting: those, and one read or one message, whichever may be
    /// larger.
    pub max_pending: usize,
    /// What a short read proves on this system.
    pub short_read: ShortRead,
    /// How the stream is cut into messages.
    pub framing: Framing,
    /// The most bytes that a message may have, header or terminator included.
    pub max_message: usize,
    /// Which messages go to a worker before they are echoed.
    pub offload: Offload,
}

impl Settings {
    /// For plain echoes.
    pub fn raw(high_water: usize, short_read: ShortRead) -> Self {
        Self {
            high_water,
            max_pending: usize::MAX,
            short_read,
            framing: Framing::Raw,
            max_message: usize::MAX,
            offload: Offload::Nothing,
        }
    }
}

/// What the owner of the socket has to do after [`Connection::drive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing, until the next event or timeout.
    Wait,
    /// Drive again, after the others: the budget of this run is spent.
    Again,
    /// Take a message with [`Connection::poll_job`] as soon as there is room for a job, and bring the reply with
    /// [`Connection::handle_completion`].
    Offload,
    /// Shut down the sending side, then report with [`Connection::handle_fin_sent`] or
    /// [`Connection::handle_reset`], and drive again.
    SendFin,
    /// Close the socket. Nothing is owed.
    Close,
    /// Close the socket with a reset: bytes that are owed are dropped, and the peer must not take what it has for
    /// the whole.
    Abort,
}

/// The state machine of one connection.
///
/// Order of calls: any number of `handle_*`, then [`drive`](Self::drive), then what its [`Progress`] asks for; after
/// that [`wants_write`](Self::wants_write) and [`timer`](Self::timer) tell what to register and which timer to run.
#[derive(Debug)]
pub struct Connection {
    pub(super) id: u64,
    pub(super) settings: Arc<Settings>,
    pub(super) pending: WriteBuffer,
    /// What has been read and cannot be echoed yet. A stream never has one.
    pub(super) inbox: Option<Box<Inbox>>,
    pub(super) received: u64,
    pub(super) sent: u64,
    /// How many of those come first and are no echo.
    greeting: u32,
    pub(super) timer_started: u64,
    pub(super) state: State,
    pub(super) reason: Option<CloseReason>,
    pub(super) readiness: Readiness,
    pub(super) fin_sent: bool,
    pub(super) pending_checks: u8,
    pub(super) must_abort: bool,
}

impl Connection {
    /// A connection that has just been accepted, at `now`. `id` is never used again.
    pub fn new(id: u64, settings: Arc<Settings>, now: u64) -> Self {
        let readiness = Readiness::new(settings.short_read);
        Self {
            id,
            settings,
            pending: WriteBuffer::new(),
            inbox: None,
            received: 0,
            sent: 0,
            greeting: 0,
            timer_started: now,
            state: State::Open,
            reason: None,
            readiness,
            fin_sent: false,
            pending_checks: 0,
            must_abort: false,
        }
    }

    /// Puts a greeting in front of the first echo.
    pub fn greet(&mut self, banner: &[u8], buffers: &mut Buffers) {
        if !banner.is_empty() {
            let most = self.settings.max_pending;
            self.pending.push(banner, &mut buffers.pool, most);
            self.greeting = banner.len().try_into().unwrap_or(u32::MAX);
        }
    }

    /// Notes what an event reported.
    pub fn handle_ready(&mut self, ready: Ready) {
        self.readiness.record(ready);
    }

    /// A timer that [`timer`](Self::timer) or [`frame_timer_started`](Self::frame_since) named has run out.
    pub fn handle_timeout(&mut self, timer: Timer) {
        match timer {
            // After a stall of our own, bytes that came in time are still unread, and their event may not have been
            // seen yet. Only a WouldBlock proves that there are none.
            Timer::Idle => {
                self.pending_checks |= TRY_READ;
                self.readiness.assume_unread();
            }
            Timer::Frame => {
                self.pending_checks |= TRY_REST;
                self.readiness.assume_unread();
            }
            Timer::Write => {
                // The kernel reports a socket writable only once a good part of its buffer is free, so a steady slow
                // reader gives no event for a long time. Only a WouldBlock proves that there was no progress.
                self.pending_checks |= TRY_WRITE;
                self.readiness.assume_writable();
            }
            Timer::Linger => self.enter(Event::LingerExpired),
        }
    }

    /// The server stops: what has arrived is still echoed by the next [`drive`](Self::drive) that may read, then the
    /// session ends.
    pub fn handle_shutdown(&mut self) {
        self.pending_checks |= STOP;
        // One that has just been accepted has had no event, which would have told of an urgent mark or a FIN.
        self.readiness.assume_unread();
    }

    /// The server stops waiting: what is owed now is dropped.
    pub fn handle_drain_deadline(&mut self) {
        if self.has_pending_output() || self.has_queued_message() {
            self.abort(CloseReason::DrainTimeout);
        } else {
            self.end(CloseReason::Stopped);
            self.enter(Event::LingerExpired);
        }
    }

    /// Our FIN has gone out, at `now`.
    pub fn handle_fin_sent(&mut self, now: u64) {
        self.fin_sent = true;
        self.readiness.record_fin_sent();
        self.timer_started = now;
    }

    /// The socket turned out to be dead in a call that was not this connection's own.
    pub fn handle_reset(&mut self) {
        self.readiness.record_reset();
    }

    /// Whether the kernel is to report when the socket takes bytes again.
    pub fn wants_write(&self) -> bool {
        self.has_pending_output()
    }

    /// The timer that runs now. Derived, like everything that can be. One that has run out runs no more until the read
    /// that it asked for has told what that means.
    pub fn timer(&self) -> Option<Timer> {
        if self.has_pending_output() {
            Some(Timer::Write)
        } else if self.state == State::Open && self.pending_checks == 0 {
            self.inbox
                .as_ref()
                .map_or(Some(Timer::Idle), |inbox| inbox.timer())
        } else {
            (self.state == State::Lingering && self.fin_sent).then_some(Timer::Linger)
        }
    }

    /// When that timer was last started, in nanoseconds of the loop's clock.
    pub fn timer_started(&self) -> u64 {
        self.timer_started
    }

    /// The number of this connection, unique for the life of the server.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where the connection stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Why it ends or has ended; none while it is open.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.reason
    }

    /// Bytes read from the peer to be echoed.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Bytes the kernel has taken for the peer.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// How many of them are an echo.
    pub fn echoed(&self) -> u64 {
        self.sent.saturating_sub(self.greeting.into())
    }

    /// Bytes that wait for the kernel to take them.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether bytes wait for the kernel to take them.
    pub(super) fn has_pending_output(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether a read would be of use. While lingering, input is discarded, so that closing does not meet unread
    /// bytes and turn into a reset.
    pub(super) fn wants_read(&self) -> bool {
        let has_room = self.pending.len() < self.settings.high_water && !self.has_queued_message();
        self.state == State::Open && has_room || self.state == State::Lingering
    }

    /// We end the session, for `reason`.
    #[cold]
    pub(super) fn end(&mut self, reason: CloseReason) {
        self.reason.get_or_insert(reason);
        self.enter(Event::LocalClose);
    }

    /// We end it at once, and what is owed is lost.
    #[cold]
    pub(super) fn abort(&mut self, reason: CloseReason) {
        self.reason = Some(reason);
        self.enter(Event::Abort);
    }

    /// A system call failed, or an event said that the socket has.
    #[cold]
    pub(super) fn fail(&mut self, kind: ErrorKind) {
        let reason = CloseReason::from(kind);
        if reason != CloseReason::Reset {
            // What the peer has sent may still be unread.
            self.must_abort = true;
            return self.abort(reason);
        }
        // Once all is delivered a reset is only the peer's way to close; the first reason stands.
        if self.has_pending_output() || self.has_queued_message() {
            self.reason = None;
        }
        self.reason.get_or_insert(reason);
        self.enter(Event::Reset);
    }

    /// The only place where the state changes.
    #[cold]
    pub(super) fn enter(&mut self, event: Event) {
        let from = self.state;
        self.state = from.next(event);
        if self.state == from {
            return;
        }
        if event == Event::PeerFin {
            self.reason.get_or_insert(CloseReason::PeerClosed);
        }
        if self.state == State::Closed {
            self.readiness.clear();
        }
        let why = match event {
            Event::LocalClose | Event::Reset | Event::Abort => {
                self.reason.map_or("", CloseReason::explain)
            }
            Event::PeerFin | Event::Delivered | Event::LingerExpired => event.explain(),
        };
        trace!("conn {}: {from:?} -> {:?} ({why})", self.id, self.state);
    }
}

impl From<io::ErrorKind> for CloseReason {
    /// Sorts what a read or write can fail with: a dead connection under all its names, or a fault on our side of
    /// the wire. `NotFound` is what mio's poll(2) back end says when it has already dropped a dead socket.
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
            | ErrorKind::NotFound
            | ErrorKind::TimedOut
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown => Self::Reset,
            kind => Self::Failed(kind),
        }
    }
}
