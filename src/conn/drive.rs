//! A run of a connection: all its I/O.
//!
//! The rule of the whole file is `while believed && wanted { one system call }`. *Believed* is what
//! [`Readiness`](super::readiness::Readiness) says about the socket, *wanted* is what the connection has a use for.
//! Only [`fill`](Connection::fill) reads from the socket; only [`write`](Connection::write) and
//! [`flush`](Connection::flush) write to it.
//!
//! The table lists methods of `conn/messages.rs`. `conn/connection.rs` calls `has_queued_message`, this file the rest:
//!
//! | method                    | in a connection whose framing has messages                                     |
//! |---------------------------|--------------------------------------------------------------------------------|
//! | `receive`                 | splits new input into messages and echoes the whole ones                       |
//! | `resume`                  | echoes messages that had to wait                                               |
//! | `has_queued_message`      | returns true if a whole message waits for room or a worker, or a worker has it |
//! | `waits_for_worker`        | returns true if a whole message waits for a worker, or a worker has it         |
//! | `wants_job`               | returns true if the next message waits to be given to a worker                 |
//! | `drop_incomplete_message` | drops an incomplete message, and returns true if there was one                 |

use std::io::{self, ErrorKind, Read, Write};

use super::block_pool::{BlockPool, OutOfMemory};
use super::checks::Check;
use super::close_reason::{CloseReason, SocketCall, SocketError};
use super::connection::{Connection, Progress};
use super::framing::Framing;
use super::write_buffer::{Buffers, WriteBuffer};
use super::{Cause, State, Timer};

/// The budget of a run, in bytes: after this many, the run starts no further read. It is one full read buffer of the
/// default size. Copying 256 KiB takes about 0.1 ms, so a peer holds the loop about that long. It is at most twice that,
/// because the last read may fill the buffer.
const RUN_BYTES: usize = 256 * 1024;

/// The least that a read takes from the budget. A peer that trickles costs a system call for each read, however few
/// bytes it sends. So a run makes at most 16 reads.
const READ_COST: usize = RUN_BYTES / 16;

impl Connection {
    /// Reads, echoes and writes until the socket blocks, nothing is wanted, or the budget of the run is spent.
    pub fn drive(
        &mut self,
        socket: &mut (impl Read + Write),
        buffers: &mut Buffers,
        now: u64,
    ) -> Progress {
        // A reset closes at once, whether or not the connection wants to read or write.
        if self.readiness.is_reset() && self.state != State::Closed {
            return Progress::TakeError;
        }
        if self.has_pending_output() {
            self.flush(socket, &mut buffers.blocks, now);
        }
        if self.inbox.is_some() {
            self.resume(socket, &mut buffers.blocks, now);
        }
        let mut budget = RUN_BYTES;
        while budget > 0
            && let offer @ 1.. = self.offer(buffers)
        {
            let got = self.fill(offer, socket, buffers, now);
            budget = budget.saturating_sub(got.max(READ_COST));
        }
        let is_uneventful =
            self.state == State::Open && self.inbox.is_none() && self.pending_checks.is_empty();
        if is_uneventful {
            self.wait_or_continue(buffers)
        } else {
            self.apply_transitions(buffers)
        }
    }

    /// Reads once, at most `offer` bytes, and echoes the input. Returns the number of bytes read.
    fn fill(
        &mut self,
        offer: usize,
        socket: &mut (impl Read + Write),
        buffers: &mut Buffers,
        now: u64,
    ) -> usize {
        let Buffers {
            read,
            blocks,
            discarded,
        } = buffers;
        match socket.read(&mut read[..offer]) {
            Ok(0) => {
                self.handle_peer_fin(blocks);
                0
            }
            Ok(got) => {
                if got < offer {
                    self.readiness.read_came_short();
                }
                // `echo` and `receive` restart the idle timer. A lingering connection discards the input.
                if self.state == State::Open {
                    self.received += got as u64;
                    self.pending_checks.remove(Check::IdleTimer);
                    if self.settings.framing == Framing::Raw {
                        self.echo(&read[..got], socket, blocks, now);
                    } else {
                        self.receive(&read[..got], socket, blocks, now);
                    }
                } else {
                    discarded[self.settings.listener] += got as u64;
                }
                got
            }
            Err(error) => {
                self.record_read_error(error);
                0
            }
        }
    }

    /// Records that a read failed. Not inlined: dropping an error would slow every read down.
    #[cold]
    fn record_read_error(&mut self, error: io::Error) {
        match error.kind() {
            ErrorKind::WouldBlock => self.readiness.read_would_block(),
            ErrorKind::Interrupted => {}
            _ => self.fail(SocketError::new(SocketCall::Read, &error)),
        }
    }

    /// Writes `bytes` after the pending ones. Bytes that the socket does not take become pending.
    #[inline(always)]
    pub(super) fn echo(
        &mut self,
        bytes: &[u8],
        socket: &mut impl Write,
        blocks: &mut BlockPool,
        now: u64,
    ) {
        let taken = self.write(bytes, socket, now);
        if taken < bytes.len() {
            self.make_pending(now, |pending| pending.push(&bytes[taken..], blocks));
        }
    }

    /// Writes `bytes`, unless others are pending, until the socket answers `WouldBlock`. Returns how many bytes the
    /// socket has taken.
    #[inline(always)]
    pub(super) fn write(&mut self, bytes: &[u8], socket: &mut impl Write, now: u64) -> usize {
        let mut taken = 0;
        while taken < bytes.len() && !self.has_pending_output() && self.readiness.is_writable() {
            let result = socket.write(&bytes[taken..]);
            taken += self.record_write(result, now);
        }
        taken
    }

    /// Appends to the pending bytes what `push` appends.
    #[inline(always)]
    pub(super) fn make_pending(
        &mut self,
        now: u64,
        push: impl FnOnce(&mut WriteBuffer) -> Result<(), OutOfMemory>,
    ) {
        if !self.has_pending_output() {
            self.timer_started = now;
        }
        if let Err(OutOfMemory) = push(&mut self.pending) {
            self.fail_without_memory();
        }
    }

    /// Writes pending bytes until all are taken or the socket answers `WouldBlock`. A write that takes only a part of
    /// its bytes proves nothing on any system.
    #[inline(never)]
    fn flush(&mut self, socket: &mut impl Write, blocks: &mut BlockPool, now: u64) {
        while self.has_pending_output() && self.readiness.is_writable() {
            let (slices, count) = self.pending.front(blocks);
            let result = match &slices[..count] {
                [bytes] => socket.write(bytes),
                slices => socket.write_vectored(slices),
            };
            let taken = self.record_write(result, now);
            self.pending.consume(taken, blocks);
        }
    }

    /// Records the result of a write. Returns the number of bytes that the socket took.
    fn record_write(&mut self, result: io::Result<usize>, now: u64) -> usize {
        match result {
            Ok(0) => self.fail(ErrorKind::WriteZero.into()),
            Ok(taken) => {
                self.sent += taken as u64;
                self.timer_started = now;
                self.pending_checks.remove(Check::WriteTimer);
                self.pending_checks.remove(Check::IdleTimer);
                return taken;
            }
            Err(error) => self.record_write_error(error),
        }
        0
    }

    #[cold]
    fn record_write_error(&mut self, error: io::Error) {
        match error.kind() {
            ErrorKind::WouldBlock => self.readiness.write_would_block(),
            ErrorKind::Interrupted => {}
            _ => self.fail(SocketError::new(SocketCall::Write, &error)),
        }
    }

    /// Changes the state after a run, if the run calls for it. Called for a connection that is ending, has an inbox,
    /// or has a pending check.
    #[cold]
    fn apply_transitions(&mut self, buffers: &mut Buffers) -> Progress {
        let is_overdue =
            self.pending_checks.contains(Check::WriteTimer) && self.has_pending_output();
        self.pending_checks.remove(Check::WriteTimer);
        if self.pending_checks.contains(Check::SessionTimer) {
            self.expire_session_timer(buffers);
        }
        match self.state {
            State::Open | State::Finishing | State::Lingering if is_overdue => {
                self.abort(CloseReason::WriteTimeout);
            }
            State::Open if self.pending_checks.contains(Check::Stop) => {
                // Until then a later run reads on: the budget of this run was spent, a job is in flight, or too many
                // bytes are pending.
                if self.has_read_queue_of_stop() {
                    self.end(CloseReason::Stopped);
                }
            }
            // Input of before the timeout is still unread.
            State::Open if self.pending_checks.contains(Check::SessionTimer) => {}
            State::Open => self.expire_input_timers(buffers),
            State::Finishing if !self.is_owing() => self.enter(Cause::Delivered),
            State::Finishing | State::Lingering | State::Closed => {}
        }
        match self.state {
            State::Closed => self.close(buffers),
            State::Lingering if !self.is_owing() && !self.readiness.is_fin_sent() => {
                Progress::SendFin
            }
            // Not `wait_or_continue`: it would let a lingering connection run again and again only to discard input, and
            // nothing but the worker's reply brings our FIN nearer.
            State::Open | State::Finishing | State::Lingering if self.wants_job() => {
                Progress::Offload
            }
            State::Open | State::Finishing | State::Lingering => self.wait_or_continue(buffers),
        }
    }

    /// Ends the session if the idle timer expired and no byte has moved since, or if the frame timer expired and the
    /// message is still incomplete: when it is complete, `receive` removes the check. Does nothing while input that is believed to be there has not been read.
    fn expire_input_timers(&mut self, buffers: &mut Buffers) {
        if self.can_read(buffers) {
            return;
        }
        let unanswered = std::mem::take(&mut self.pending_checks);
        let reason = if unanswered.contains(Check::FrameTimer) {
            CloseReason::FrameTimeout
        } else if unanswered.contains(Check::IdleTimer)
            // With no check pending any more, `timer` returns the timer that would run now.
            && matches!(self.timer(), Some(Timer::Idle | Timer::Frame))
        {
            CloseReason::IdleTimeout
        } else {
            return;
        };
        self.drop_incomplete_message(&mut buffers.blocks);
        self.end(reason);
    }

    /// Ends the session once everything has been read that had arrived when the session timer expired: after a FIN, the
    /// peer would take the echo of a part for the whole. If the timer has expired a second time, ends the connection if
    /// the peer does not take what it is owed, or if the peer sends so much that something is always unread.
    fn expire_session_timer(&mut self, buffers: &mut Buffers) {
        let has_expired_again = self.pending_checks.contains(Check::SessionGrace);
        self.pending_checks.remove(Check::SessionGrace);
        let is_open = self.state == State::Open;
        let may_have_unread_input = is_open && self.readiness.is_readable();
        if is_open && !may_have_unread_input {
            self.drop_incomplete_message(&mut buffers.blocks);
            self.end(CloseReason::SessionTimeout);
        }
        // While a message waits for a worker, nothing is read. That delay is ours.
        let is_late =
            self.has_pending_output() || may_have_unread_input && !self.waits_for_worker();
        if has_expired_again && is_late && self.state != State::Closed {
            self.must_abort = true;
            self.abort(CloseReason::SessionTimeout);
        }
    }

    /// Returns [`Progress::Again`] if another run can read at once. Nothing can be written at once: each write goes on
    /// until nothing is pending or the socket answers `WouldBlock`.
    fn wait_or_continue(&self, buffers: &Buffers) -> Progress {
        if self.can_read(buffers) {
            Progress::Again
        } else {
            Progress::Wait
        }
    }

    /// Returns true if a read is believed to succeed and wanted.
    fn can_read(&self, buffers: &Buffers) -> bool {
        self.offer(buffers) > 0
    }

    /// Returns how many bytes the next read may take: as many as the read buffer has room for, and as there is memory for
    /// if the socket takes nothing. Returns 0 unless a read is believed to succeed and wanted.
    #[inline(always)]
    fn offer(&self, buffers: &Buffers) -> usize {
        if !self.readiness.is_readable() {
            return 0;
        }
        let holds_nothing =
            self.state == State::Open && self.inbox.is_none() && !self.has_pending_output();
        let room = if holds_nothing {
            buffers.blocks.room_of_one()
        } else {
            self.room(&buffers.blocks)
        };
        buffers.read.len().min(room)
    }

    /// Returns how much input the connection has a use for: none above the high-water mark, or while a whole message
    /// waits. A lingering connection reads and discards: closing a socket with unread input would reset it.
    #[inline(never)]
    fn room(&self, blocks: &BlockPool) -> usize {
        match self.state {
            State::Open if self.has_queued_message() => 0,
            State::Open if self.pending.len() >= self.settings.high_water => 0,
            State::Open => match &self.inbox {
                Some(inbox) => inbox.room(blocks),
                None => self.pending.room(blocks),
            },
            State::Lingering => usize::MAX,
            State::Finishing | State::Closed => 0,
        }
    }

    /// Releases what a closed connection holds. If the peer was still owed something, the close is a reset, so that a
    /// truncated echo never looks complete.
    fn close(&mut self, buffers: &mut Buffers) -> Progress {
        self.must_abort |= self.is_owing();
        if let Some(inbox) = self.inbox.take() {
            inbox.release(&mut buffers.blocks);
        }
        self.pending.clear(&mut buffers.blocks);
        if self.must_abort {
            Progress::Abort
        } else {
            Progress::Close
        }
    }

    /// Records that a read returned 0: the peer has finished sending.
    #[cold]
    fn handle_peer_fin(&mut self, blocks: &mut BlockPool) {
        if self.drop_incomplete_message(blocks) {
            self.session.end(CloseReason::Truncated);
        }
        self.enter(Cause::PeerFin);
    }
}
