//! One connection: notes what happened, and does as much I/O as it believes possible.
//!
//! The rule of the whole file is `while believed && wanted { one system call }`. A connection never waits, never
//! asks for the time, and knows its socket only as `Read + Write`; what such a transport cannot do is asked for in
//! [`Progress`].

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use log::trace;

use super::readiness::Readiness;
use super::write_buffer::{Scratch, WriteBuffer};
use super::{Clock, CloseReason, Event, Ready, ShortRead, State};

/// Most bytes read in one run: one full default scratch buffer, so that no peer holds the loop for longer than the
/// copy of 256 KiB takes (about 0.1 ms).
const RUN_BYTES: usize = 256 * 1024;

/// What a read costs of that at least, for peers that trickle: what they cost is the system call, not the byte. It
/// makes 16 reads a run.
const READ_COST: usize = RUN_BYTES / 16;

/// What every connection of a listener has in common.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Nothing is read from a peer that has this many bytes pending, in bytes.
    pub high_water: usize,
    /// What a short read proves on this system.
    pub short_read: ShortRead,
}

/// What the owner of the socket has to do after [`Connection::drive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing, until the next event or timeout.
    Wait,
    /// Drive again, after the others: the budget of this run is spent.
    Again,
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
/// that [`wants_write`](Self::wants_write) and [`clock`](Self::clock) tell what to register and which timer to run.
#[derive(Debug)]
pub struct Connection {
    id: u64,
    settings: Arc<Settings>,
    pending: WriteBuffer,
    received: u64,
    sent: u64,
    clock_since: u64,
    state: State,
    reason: Option<CloseReason>,
    readiness: Readiness,
    fin_sent: bool,
    stopping: bool,
    write_overdue: bool,
    truncated: bool,
}

impl Connection {
    /// A connection that has just been accepted, at `now`. `id` is never used again.
    pub fn new(id: u64, settings: Arc<Settings>, now: u64) -> Self {
        let readiness = Readiness::new(settings.short_read);
        Self {
            id,
            settings,
            pending: WriteBuffer::new(),
            received: 0,
            sent: 0,
            clock_since: now,
            state: State::Open,
            reason: None,
            readiness,
            fin_sent: false,
            stopping: false,
            write_overdue: false,
            truncated: false,
        }
    }

    /// Puts a greeting in front of the first echo.
    pub fn greet(&mut self, banner: &[u8], scratch: &mut Scratch) {
        if !banner.is_empty() {
            self.pending.push(banner, &mut scratch.spare);
        }
    }

    /// Notes what an event reported.
    pub fn handle_ready(&mut self, ready: Ready) {
        self.readiness.note(ready);
    }

    /// The clock that [`clock`](Self::clock) named has run out.
    pub fn handle_timeout(&mut self) {
        match self.clock() {
            Some(Clock::Idle) => self.end(CloseReason::IdleTimeout),
            Some(Clock::Write) => {
                // The kernel reports a socket writable only once a good part of its buffer is free, so a steady slow
                // reader gives no event for a long time. Only a WouldBlock proves that there was no progress.
                self.write_overdue = true;
                self.readiness.assume_writable();
            }
            Some(Clock::Linger) => self.enter(Event::LingerOver),
            None => {}
        }
    }

    /// The server stops: what has arrived is still echoed by the next [`drive`](Self::drive), then the session ends.
    pub fn handle_shutdown(&mut self) {
        self.stopping = true;
        self.readiness.assume_readable();
    }

    /// The server stops waiting: what is owed now is dropped.
    pub fn handle_drain_deadline(&mut self) {
        if self.owes() {
            self.abort(CloseReason::DrainTimeout);
        } else {
            self.end(CloseReason::Stopped);
            self.enter(Event::LingerOver);
        }
    }

    /// Our FIN has gone out, at `now`.
    pub fn handle_fin_sent(&mut self, now: u64) {
        self.fin_sent = true;
        self.readiness.note_fin_sent();
        self.clock_since = now;
    }

    /// The socket turned out to be dead in a call that was not this connection's own.
    pub fn handle_reset(&mut self) {
        self.readiness.note_reset();
    }

    /// Reads, echoes and writes until the socket blocks, nothing is wanted, or the budget of a run is spent.
    pub fn drive(
        &mut self,
        socket: &mut (impl Read + Write),
        scratch: &mut Scratch,
        now: u64,
    ) -> Progress {
        if self.readiness.reset() {
            self.fail(ErrorKind::ConnectionReset);
        }
        if self.owes() {
            self.flush(socket, scratch, now);
        }
        let mut budget = RUN_BYTES;
        while budget > 0 && self.readiness.readable() && self.wants_read() {
            let got = self.fill(socket, scratch, now);
            budget = budget.saturating_sub(got.max(READ_COST));
        }
        let is_uneventful = self.state == State::Open && !self.stopping && !self.write_overdue;
        if is_uneventful {
            self.wait_or_go_on()
        } else {
            self.settle(scratch, now)
        }
    }

    /// Whether the kernel is to report when the socket takes bytes again.
    pub fn wants_write(&self) -> bool {
        self.owes()
    }

    /// The clock that runs now. Derived, like everything that can be.
    pub fn clock(&self) -> Option<Clock> {
        if self.owes() {
            Some(Clock::Write)
        } else if self.state == State::Open {
            Some(Clock::Idle)
        } else {
            (self.state == State::Lingering && self.fin_sent).then_some(Clock::Linger)
        }
    }

    /// When that clock was last started, in nanoseconds of the loop's clock.
    pub fn clock_since(&self) -> u64 {
        self.clock_since
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

    /// Bytes that wait for the kernel to take them.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether bytes wait for the kernel to take them.
    fn owes(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether a read would be of use. While lingering, input is discarded, so that closing does not meet unread
    /// bytes and turn into a reset.
    fn wants_read(&self) -> bool {
        self.state == State::Open && self.pending.len() < self.settings.high_water
            || self.state == State::Lingering
    }

    /// One read, and the echo of what it brought. Returns the bytes read.
    fn fill(&mut self, socket: &mut (impl Read + Write), scratch: &mut Scratch, now: u64) -> usize {
        match socket.read(&mut scratch.read) {
            Ok(0) => {
                self.enter(Event::PeerFinished);
                0
            }
            Ok(got) => {
                if got < scratch.read.len() {
                    self.readiness.read_came_short();
                }
                if self.state == State::Open {
                    self.received += got as u64;
                    self.echo(got, socket, scratch, now);
                }
                got
            }
            Err(error) => {
                match error.kind() {
                    ErrorKind::WouldBlock => self.readiness.read_would_block(),
                    ErrorKind::Interrupted => {}
                    kind => self.fail(kind),
                }
                0
            }
        }
    }

    /// Writes the first `got` bytes of the scratch buffer behind what waits; what the socket does not take waits too.
    fn echo(&mut self, got: usize, socket: &mut impl Write, scratch: &mut Scratch, now: u64) {
        let mut fresh = &scratch.read[..got];
        while !self.owes() && self.readiness.writable() {
            let result = socket.write(fresh);
            fresh = &fresh[self.note_written(result, now)..];
            if fresh.is_empty() {
                return;
            }
        }
        if !self.owes() {
            self.clock_since = now;
        }
        self.pending.push(fresh, &mut scratch.spare);
    }

    /// Writes what waits.
    #[inline(never)]
    fn flush(&mut self, socket: &mut impl Write, scratch: &mut Scratch, now: u64) {
        while self.owes() && self.readiness.writable() {
            let result = socket.write(self.pending.front());
            let taken = self.note_written(result, now);
            self.pending.consume(taken);
        }
        if !self.owes() {
            self.pending.release(&mut scratch.spare);
        }
    }

    /// What a write means. Returns the bytes that the socket took.
    fn note_written(&mut self, result: io::Result<usize>, now: u64) -> usize {
        let kind = match result {
            Ok(0) => ErrorKind::WriteZero,
            Ok(taken) => {
                self.sent += taken as u64;
                self.clock_since = now;
                return taken;
            }
            Err(error) => error.kind(),
        };
        match kind {
            ErrorKind::WouldBlock => self.readiness.write_would_block(),
            ErrorKind::Interrupted => {}
            kind => self.fail(kind),
        }
        0
    }

    /// What follows from a run after which the connection is not simply open as before.
    #[cold]
    fn settle(&mut self, scratch: &mut Scratch, now: u64) -> Progress {
        let took_bytes = self.clock_since == now;
        let is_overdue = std::mem::take(&mut self.write_overdue) && !took_bytes;
        match self.state {
            State::Open | State::Finishing | State::Lingering if is_overdue && self.owes() => {
                self.abort(CloseReason::WriteTimeout);
            }
            State::Open if self.stopping => self.end(CloseReason::Stopped),
            State::Finishing if !self.owes() => self.enter(Event::Delivered),
            State::Open | State::Finishing | State::Lingering | State::Closed => {}
        }
        match self.state {
            State::Closed => self.close(scratch),
            State::Lingering if !self.owes() && !self.fin_sent => Progress::SendFin,
            State::Open | State::Finishing | State::Lingering => self.wait_or_go_on(),
        }
    }

    fn wait_or_go_on(&self) -> Progress {
        let can_read = self.readiness.readable() && self.wants_read();
        let can_write = self.owes() && self.readiness.writable();
        if can_read || can_write {
            Progress::Again
        } else {
            Progress::Wait
        }
    }

    /// The end. What is still owed is dropped, and then the peer must see that.
    fn close(&mut self, scratch: &mut Scratch) -> Progress {
        self.truncated |= self.owes();
        self.pending.release(&mut scratch.spare);
        if self.truncated {
            Progress::Abort
        } else {
            Progress::Close
        }
    }

    /// We end the session, for `reason`.
    #[cold]
    fn end(&mut self, reason: CloseReason) {
        self.reason.get_or_insert(reason);
        self.enter(Event::WeEnd);
    }

    /// We end it at once, and what is owed is lost.
    #[cold]
    fn abort(&mut self, reason: CloseReason) {
        self.reason = Some(reason);
        self.enter(Event::Abort);
    }

    /// A system call failed, or an event said that the socket has.
    #[cold]
    fn fail(&mut self, kind: ErrorKind) {
        let reason = CloseReason::from(kind);
        if reason != CloseReason::Reset {
            // What the peer has sent may still be unread.
            self.truncated = true;
            return self.abort(reason);
        }
        // Once all is delivered a reset is only the peer's way to close; the first reason stands.
        if self.owes() {
            self.reason = None;
        }
        self.reason.get_or_insert(reason);
        self.enter(Event::Reset);
    }

    /// The only place where the state changes.
    #[cold]
    fn enter(&mut self, event: Event) {
        let from = self.state;
        self.state = from.next(event);
        if self.state == from {
            return;
        }
        if event == Event::PeerFinished {
            self.reason.get_or_insert(CloseReason::PeerFinished);
        }
        if self.state == State::Closed {
            self.readiness.forget();
        }
        let why = match event {
            Event::WeEnd | Event::Reset | Event::Abort => {
                self.reason.map_or("", CloseReason::explain)
            }
            Event::PeerFinished | Event::Delivered | Event::LingerOver => event.explain(),
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
