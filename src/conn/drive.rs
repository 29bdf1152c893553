//! A run of a connection: as much I/O as it believes possible.
//!
//! The rule of the whole file is `while believed && wanted { one system call }`. Only what is here, and called from
//! here, touches a socket.

use std::io::{self, ErrorKind, Read, Write};

use super::connection::{STOP, TRY_READ, TRY_REST, TRY_WRITE};
use super::framing::Framing;
use super::write_buffer::{BufferPool, Buffers};
use super::{CloseReason, Connection, Event, Progress, State, Timer};

/// Most bytes read in one run: one full default scratch buffer, so that no peer holds the loop for longer than the
/// copy of 256 KiB takes (about 0.1 ms).
const RUN_BYTES: usize = 256 * 1024;

/// What a read costs of that at least, for peers that trickle: what they cost is the system call, not the byte. It
/// makes 16 reads a run.
const READ_COST: usize = RUN_BYTES / 16;

impl Connection {
    /// Reads, echoes and writes until the socket blocks, nothing is wanted, or the budget of a run is spent.
    pub fn drive(
        &mut self,
        socket: &mut (impl Read + Write),
        buffers: &mut Buffers,
        now: u64,
    ) -> Progress {
        if self.readiness.is_reset() {
            self.fail(ErrorKind::ConnectionReset);
        }
        if self.has_pending_output() {
            self.flush(socket, &mut buffers.pool, now);
        }
        if self.inbox.is_some() {
            self.resume(socket, &mut buffers.pool, now);
        }
        let mut budget = RUN_BYTES;
        while budget > 0 && self.readiness.is_readable() && self.wants_read() {
            let got = self.fill(socket, buffers, now);
            budget = budget.saturating_sub(got.max(READ_COST));
        }
        let is_uneventful =
            self.state == State::Open && self.inbox.is_none() && self.pending_checks == 0;
        if is_uneventful {
            self.wait_or_continue()
        } else {
            let has_read = budget < RUN_BYTES;
            self.apply_transitions(buffers, now, has_read)
        }
    }

    /// One read, and the echo of what it brought. Returns the bytes read.
    fn fill(&mut self, socket: &mut (impl Read + Write), buffers: &mut Buffers, now: u64) -> usize {
        let Buffers { read, pool } = buffers;
        match socket.read(read) {
            Ok(0) => {
                self.handle_peer_fin();
                0
            }
            Ok(got) => {
                if got < read.len() {
                    self.readiness.read_came_short();
                }
                if self.state == State::Open {
                    self.received += got as u64;
                    if self.settings.framing == Framing::Raw {
                        self.echo(&read[..got], socket, pool, now);
                    } else {
                        self.receive(&read[..got], socket, pool, now);
                    }
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

    /// Writes `fresh` behind what waits; what the socket does not take waits too.
    #[inline(always)]
    pub(super) fn echo(
        &mut self,
        mut fresh: &[u8],
        socket: &mut impl Write,
        pool: &mut BufferPool,
        now: u64,
    ) {
        if fresh.is_empty() {
            return;
        }
        while !self.has_pending_output() && self.readiness.is_writable() {
            let result = socket.write(fresh);
            fresh = &fresh[self.record_write(result, now)..];
            if fresh.is_empty() {
                return;
            }
        }
        if !self.has_pending_output() {
            self.timer_started = now;
        }
        self.pending.push(fresh, pool, self.settings.max_pending);
    }

    /// Writes what waits.
    #[inline(never)]
    fn flush(&mut self, socket: &mut impl Write, pool: &mut BufferPool, now: u64) {
        while self.has_pending_output() && self.readiness.is_writable() {
            let result = socket.write(self.pending.front());
            let taken = self.record_write(result, now);
            self.pending.consume(taken);
        }
        if !self.has_pending_output() {
            self.pending.release(pool);
        }
    }

    /// What a write means. Returns the bytes that the socket took.
    fn record_write(&mut self, result: io::Result<usize>, now: u64) -> usize {
        let kind = match result {
            Ok(0) => ErrorKind::WriteZero,
            Ok(taken) => {
                self.sent += taken as u64;
                self.timer_started = now;
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
    fn apply_transitions(&mut self, buffers: &mut Buffers, now: u64, has_read: bool) -> Progress {
        let took_bytes = self.timer_started == now;
        let is_overdue = self.pending_checks & TRY_WRITE != 0 && !took_bytes;
        self.pending_checks &= !TRY_WRITE;
        match self.state {
            State::Open | State::Finishing | State::Lingering
                if is_overdue && self.has_pending_output() =>
            {
                self.abort(CloseReason::WriteTimeout);
            }
            State::Open if self.pending_checks & STOP != 0 => {
                // Behind a job or too many pending bytes there was no read yet. What has arrived is echoed after them.
                if has_read {
                    self.end(CloseReason::Stopped);
                }
            }
            State::Open => self.expire_input_timers(now),
            State::Finishing if !self.has_pending_output() && !self.has_queued_message() => {
                self.enter(Event::Delivered)
            }
            State::Finishing | State::Lingering | State::Closed => {}
        }
        match self.state {
            State::Closed => self.close(buffers),
            State::Lingering
                if !self.has_pending_output() && !self.has_queued_message() && !self.fin_sent =>
            {
                Progress::SendFin
            }
            // Even where a lingering connection could go on discarding input: that is believed until the reply comes and
            // drives it again, and until then it owes, so that nothing ends for it.
            State::Open | State::Finishing | State::Lingering if self.wants_job() => {
                Progress::Offload
            }
            State::Open | State::Finishing | State::Lingering => self.wait_or_continue(),
        }
    }

    /// If a timer of the peer's input has run out, and everything that had come is read by now.
    fn expire_input_timers(&mut self, now: u64) {
        // What came in this run is an answer, even if there is more to read in the next one.
        if self.timer_started == now {
            self.pending_checks &= !TRY_READ;
        }
        if self.frame_timer_started().is_none_or(|since| since == now) {
            self.pending_checks &= !TRY_REST;
        }
        if self.readiness.is_readable() && self.wants_read() {
            return;
        }
        let pending_checks = std::mem::take(&mut self.pending_checks);
        if pending_checks & TRY_REST != 0 {
            self.drop_begun_message();
            self.end(CloseReason::FrameTimeout);
        } else if pending_checks & TRY_READ != 0
            && matches!(self.timer(), Some(Timer::Idle | Timer::Frame))
        {
            self.drop_begun_message();
            self.end(CloseReason::IdleTimeout);
        }
    }

    fn wait_or_continue(&self) -> Progress {
        let can_read = self.readiness.is_readable() && self.wants_read();
        let can_write = self.has_pending_output() && self.readiness.is_writable();
        if can_read || can_write {
            Progress::Again
        } else {
            Progress::Wait
        }
    }

    /// The end. What is still owed is dropped, and then the peer must see that.
    fn close(&mut self, buffers: &mut Buffers) -> Progress {
        self.must_abort |= self.has_pending_output() || self.has_queued_message();
        self.inbox = None;
        self.pending.release(&mut buffers.pool);
        if self.must_abort {
            Progress::Abort
        } else {
            Progress::Close
        }
    }

    #[cold]
    fn handle_peer_fin(&mut self) {
        if self.drop_begun_message() {
            self.reason.get_or_insert(CloseReason::Truncated);
        }
        self.enter(Event::PeerFin);
    }
}
