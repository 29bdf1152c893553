//! One connection: its inputs, its outputs, and how its state changes.
//!
//! A [`Connection`] never waits, never reads a clock, and knows its socket only as `Read + Write`. The owner passes the
//! socket and the time as arguments, so a test passes a scripted socket and any time.
//!
//! ```text
//!   in    handle_ready, handle_timeout, handle_shutdown, ...    record what happened, without any I/O
//!   run   drive(socket, buffers, now) -> Progress               does all I/O, and returns what to do next
//!   out   wants_write, timer, timer_started, poll_job, ...      tell what to register and which timer to run
//! ```
//!
//! This file holds everything except I/O. The I/O is in `conn/drive.rs`, and the handling of messages, including
//! `poll_job` and `handle_completion`, in `conn/messages.rs`. The owner is `net/slot.rs`, which also does what a
//! `Read + Write` cannot: it sends our FIN, and registers for write events while
//! [`wants_write`](Connection::wants_write) is true. `net/connections.rs` closes or resets the socket.

use std::io::ErrorKind;
use std::sync::Arc;

use log::trace;

use super::block_pool::OutOfMemory;
use super::checks::{Check, PendingChecks};
use super::close_reason::{CloseReason, SocketError};
use super::inbox::Inbox;
use super::readiness::{Readiness, Ready};
use super::settings::Settings;
use super::write_buffer::{Buffers, WriteBuffer};
use super::{Cause, State, Timer};

/// The start of a frame timer that does not run.
pub(super) const NOT_RUNNING: u64 = u64::MAX;

/// What the owner of the socket has to do after [`Connection::drive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing, until the next event or timeout.
    Wait,
    /// Drive the connection again, after other connections have run: the budget of this run is spent.
    Again,
    /// Take a message with [`Connection::poll_job`] as soon as the worker pool has room, and return the reply with
    /// [`Connection::handle_completion`].
    Offload,
    /// Send our FIN by shutting down the sending side. Then report [`Connection::handle_fin_sent`] or
    /// [`Connection::handle_error`], and drive again.
    SendFin,
    /// Ask the dead socket for its error (SO_ERROR), which tells a reset from a peer that no longer answers. Then report
    /// the error to [`Connection::handle_taken_error`], and drive again.
    TakeError,
    /// Close the socket. Everything owed to the peer has been delivered.
    Close,
    /// Reset the socket. Bytes owed to the peer are dropped, or input may be unread after a failed call. The peer must not
    /// mistake a part of its echo for the whole.
    Abort,
}

/// The state machine of one connection.
///
/// Call any number of `handle_*` methods, then [`drive`](Self::drive), then do what its [`Progress`] asks for. After
/// that, [`wants_write`](Self::wants_write) tells what to register and [`timer`](Self::timer) which timer to run.
#[derive(Debug)]
pub struct Connection {
    pub(super) id: u64,
    pub(super) settings: Arc<Settings>,
    /// Bytes of the echo that the kernel has not taken.
    pub(super) pending: WriteBuffer,
    /// Input that cannot be echoed yet. A connection without messages never has an inbox.
    pub(super) inbox: Option<Inbox>,
    pub(super) received: u64,
    pub(super) sent: u64,
    /// The length of the greeting, which is sent first and is no echo.
    greeting: u16,
    /// When the idle, write or linger timer was last started or restarted, in nanoseconds of the loop's clock.
    pub(super) timer_started: u64,
    /// When the frame timer was started, or [`NOT_RUNNING`]. It means nothing without an inbox.
    pub(super) frame_timer: u64,
    pub(super) state: State,
    pub(super) session: Session,
    pub(super) readiness: Readiness,
    pub(super) pending_checks: PendingChecks,
    /// Something was or may have been lost: owed bytes, or input that was not read. So the close must be a reset.
    pub(super) must_abort: bool,
}

/// The session of a connection: goes on, or why it ended. The bound of a stop has the place of the reason, which an open
/// connection does not have, because a connection must stay small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Session {
    /// Input is echoed.
    Running,
    /// The server stops. The session ends at the latest when [`Connection::received`] reaches this number, which is
    /// counted modulo 2^32, like a sequence number of TCP.
    Stopping(u32),
    /// The session ended for this reason.
    Ended(CloseReason),
}

impl Session {
    /// Returns why the session ended, or `None` while input is echoed.
    pub(super) fn reason(self) -> Option<CloseReason> {
        match self {
            Self::Running | Self::Stopping(_) => None,
            Self::Ended(reason) => Some(reason),
        }
    }

    /// Ends the session for `reason`, unless it has ended before.
    pub(super) fn end(&mut self, reason: CloseReason) {
        *self = Self::Ended(self.reason().unwrap_or(reason));
    }
}

impl Connection {
    /// Creates the state of a connection that was accepted at `now`. No other connection of the server has this `id`.
    pub fn new(id: u64, settings: Arc<Settings>, now: u64) -> Self {
        let readiness = Readiness::new(settings.short_read);
        Self {
            id,
            settings,
            pending: WriteBuffer::default(),
            inbox: None,
            received: 0,
            sent: 0,
            greeting: 0,
            timer_started: now,
            frame_timer: NOT_RUNNING,
            state: State::Open,
            session: Session::Running,
            readiness,
            pending_checks: PendingChecks::default(),
            must_abort: false,
        }
    }

    /// Queues a greeting, which precedes the first echo.
    pub fn greet(&mut self, banner: &[u8], buffers: &mut Buffers) {
        if !banner.is_empty() {
            if let Err(OutOfMemory) = self.pending.push(banner, &mut buffers.blocks) {
                self.fail_without_memory();
            }
            self.greeting = banner.len().try_into().unwrap_or(u16::MAX);
        }
    }

    /// Records what an event reported.
    pub fn handle_ready(&mut self, ready: Ready) {
        self.readiness.record(ready);
    }

    /// Records that a running timer expired. The linger timer closes the connection. After any other timer, the next run
    /// asks the socket whether the connection has to end.
    ///
    /// After a stall of our own process, bytes that arrived in time may still be unread, and their event may not have
    /// been seen. Only `WouldBlock` from a read proves that the peer was silent. Only `WouldBlock` from a write proves
    /// that the peer took nothing: the kernel reports a socket writable only when about a third of the send buffer is
    /// free, so a slow but steady reader causes no event for a long time (measured).
    pub fn handle_timeout(&mut self, timer: Timer) {
        match timer {
            Timer::Idle => {
                self.pending_checks.insert(Check::IdleTimer);
                self.readiness.assume_unread();
            }
            Timer::Frame => {
                self.pending_checks.insert(Check::FrameTimer);
                self.readiness.assume_unread();
            }
            Timer::Write => {
                self.pending_checks.insert(Check::WriteTimer);
                self.readiness.assume_writable();
            }
            Timer::Session => {
                let has_expired = self.pending_checks.contains(Check::SessionTimer);
                self.pending_checks.insert(match has_expired {
                    false => Check::SessionTimer,
                    true => Check::SessionGrace,
                });
                self.readiness.assume_unread();
                self.readiness.assume_writable();
            }
            Timer::Linger => self.enter(Cause::LingerExpired),
        }
    }

    /// Records that the server stops, while the kernel has received at most `queued` bytes that have not been read.
    /// Everything that the kernel has received by now is still echoed, however many runs that takes: the session ends
    /// when the socket is not readable any more, or when `queued` bytes have been read. So a peer that never stops
    /// sending cannot put off the end. Pending bytes above the high-water mark, or a message at a worker, delay the end.
    pub fn handle_shutdown(&mut self, queued: usize) {
        if self.state != State::Open {
            return;
        }
        let queued = u32::try_from(queued).unwrap_or(u32::MAX).min(u32::MAX / 2);
        self.session = Session::Stopping((self.received as u32).wrapping_add(queued));
        self.pending_checks.insert(Check::Stop);
        // The run must ask every socket, with or without an event. A short read proves nothing here: a connection that
        // was accepted just now has seen no event that would report an urgent mark or a FIN.
        self.readiness.assume_unread();
    }

    /// Ends the connection, because the server waits no longer. Everything still owed is dropped. Input that may be
    /// unread counts as owed while the connection is open: after a FIN, the peer would take the echo so far for the
    /// whole.
    pub fn handle_drain_deadline(&mut self) {
        let may_have_unread_input = self.state == State::Open && self.readiness.is_readable();
        if self.is_owing() || may_have_unread_input {
            self.must_abort = true;
            self.abort(CloseReason::DrainTimeout);
        } else {
            self.session.end(CloseReason::Stopped);
            self.enter(Cause::Abort);
        }
    }

    /// Records that our FIN went out at `now`.
    pub fn handle_fin_sent(&mut self, now: u64) {
        self.readiness.record_fin_sent();
        self.timer_started = now;
    }

    /// Records that a system call of the owner failed. The connection ends as after a read or a write that fails: the
    /// error tells whether the connection is dead or the failure is on our side.
    pub fn handle_error(&mut self, error: impl Into<SocketError>) {
        self.fail(error.into());
    }

    /// Closes the connection, whose socket is dead and has an error of this kind: the answer to [`Progress::TakeError`].
    ///
    /// When a kernel gives a peer up, it may report the last ICMP error about that peer in place of `TimedOut`. The ICMP
    /// error can be any that a firewall chooses, such as "refused" or "prohibited". So every error except a reset means
    /// that the peer no longer answers.
    #[cold]
    pub fn handle_taken_error(&mut self, kind: ErrorKind) {
        let is_reset = CloseReason::from(SocketError::from(kind)) == CloseReason::Reset;
        let kind = if is_reset { kind } else { ErrorKind::TimedOut };
        self.fail(kind.into());
    }

    /// Returns true if the kernel has to report when the socket is writable: exactly while bytes are pending. So
    /// request-response traffic changes no registration.
    pub fn wants_write(&self) -> bool {
        self.has_pending_output()
    }

    /// Returns the timer that runs now. It is derived from the rest of the state, never stored. The first row that
    /// applies counts:
    ///
    /// | situation                                                 | timer                                   |
    /// |-----------------------------------------------------------|-----------------------------------------|
    /// | bytes are pending                                         | write                                   |
    /// | open, and a check is pending                              | no timer until a run has made the check |
    /// | open, and a message waits for a worker or a worker has it | no timer: the delay is ours             |
    /// | open, and a message is incomplete                         | frame; `net/slot.rs` adds the idle timer |
    /// | open otherwise                                            | idle                                    |
    /// | lingering, after our FIN                                  | linger                                  |
    /// | otherwise                                                 | no timer                                |
    ///
    /// `net/slot.rs` adds the session timer, which runs until our FIN, whatever the situation is. `input_timer`
    /// in `conn/messages.rs` decides between frame, idle and no timer.
    pub fn timer(&self) -> Option<Timer> {
        if self.has_pending_output() {
            Some(Timer::Write)
        } else if self.state == State::Open && self.pending_checks.is_empty() {
            self.input_timer()
        } else {
            (self.state == State::Lingering && self.readiness.is_fin_sent())
                .then_some(Timer::Linger)
        }
    }

    /// Returns when the running timer was last started, in nanoseconds of the loop's clock. The frame timer has a start
    /// of its own, [`frame_timer_started`](Self::frame_timer_started) in `conn/messages.rs`.
    pub fn timer_started(&self) -> u64 {
        self.timer_started
    }

    /// Returns the number of this connection, unique for the life of the server.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns the number of the listener that has accepted this connection.
    pub fn listener(&self) -> usize {
        self.settings.listener
    }

    /// Returns the state of this connection.
    pub fn state(&self) -> State {
        self.state
    }

    /// Returns why the connection ends or has ended, or `None` while it is open.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.session.reason()
    }

    /// Returns the number of bytes that were read from the peer, without the bytes discarded while lingering.
    /// [`Buffers::discarded`] counts these.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Returns the number of bytes that the kernel has taken for the peer.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Returns the number of bytes that the kernel has taken for the peer, without the greeting.
    pub fn echoed(&self) -> u64 {
        self.sent.saturating_sub(self.greeting.into())
    }

    /// Returns the number of bytes that the kernel has not taken yet.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Returns true if bytes wait for the kernel to take them.
    pub(super) fn has_pending_output(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Returns true if the peer is owed pending bytes or the echo of a whole message.
    pub(super) fn is_owing(&self) -> bool {
        self.has_pending_output() || self.has_queued_message()
    }

    /// Returns true if everything has been read that the kernel had received when the server stopped.
    pub(super) fn has_read_queue_of_stop(&self) -> bool {
        let has_reached = |end: u32| end.wrapping_sub(self.received as u32) as i32 <= 0;
        !self.readiness.is_readable()
            || matches!(self.session, Session::Stopping(end) if has_reached(end))
    }

    /// Ends the session for `reason`. Everything owed is still delivered.
    #[cold]
    pub(super) fn end(&mut self, reason: CloseReason) {
        self.session.end(reason);
        self.enter(Cause::LocalClose);
    }

    /// Ends the connection for `reason` at once. Everything owed is lost.
    #[cold]
    pub(super) fn abort(&mut self, reason: CloseReason) {
        self.session = Session::Ended(reason);
        self.enter(Cause::Abort);
    }

    /// Ends the connection because a system call failed or an event reported a failure.
    #[cold]
    pub(super) fn fail(&mut self, error: SocketError) {
        let reason = CloseReason::from(error);
        if matches!(reason, CloseReason::Failed(_)) {
            // Input may still be unread. If we closed with our FIN, the peer would take the echo so far for the whole.
            self.must_abort = true;
            return self.abort(reason);
        }
        // If the peer is owed nothing, its reset is just its way to close: an earlier reason stays. If the peer is owed
        // something, the death of the socket is the reason.
        if self.is_owing() {
            self.session = Session::Ended(reason);
        }
        self.session.end(reason);
        self.enter(Cause::Reset);
    }

    /// Ends the connection because the system refuses the memory for its bytes.
    #[cold]
    pub(super) fn fail_without_memory(&mut self) {
        self.must_abort = true;
        self.abort(CloseReason::NoMemory);
    }

    /// Changes the state. No other method does.
    #[cold]
    pub(super) fn enter(&mut self, cause: Cause) {
        let from = self.state;
        self.state = from.next(cause);
        if self.state == from {
            return;
        }
        if cause == Cause::PeerFin {
            self.session.end(CloseReason::PeerClosed);
        }
        if self.state == State::Closed {
            self.readiness.clear();
        }
        let why = match cause {
            Cause::PeerFin => "peer finished sending",
            Cause::Delivered => "everything is delivered",
            Cause::LingerExpired => "the peer sent no FIN in time",
            Cause::LocalClose | Cause::Reset | Cause::Abort => {
                self.close_reason().map_or("", CloseReason::explain)
            }
        };
        trace!(conn = self.id, reason = why; "conn {}: {from:?} -> {:?} ({why})", self.id, self.state);
    }
}
