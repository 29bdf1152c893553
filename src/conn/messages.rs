//! The part of a connection that deals with messages.
//!
//! Whole messages in the read buffer are echoed straight from there, like a stream. Only input that cannot be echoed
//! yet is copied to the [`Inbox`]: the start of a message, or messages that wait for a worker or for pending bytes.

use std::io::Write;

use memchr::memchr;

use super::block_pool::{BlockPool, OutOfMemory};
use super::checks::Check;
use super::close_reason::CloseReason;
use super::connection::{Connection, NOT_RUNNING};
use super::framing::{Decoder, Framing};
use super::inbox::{Inbox, InboxState, SplitEnd, split_messages};
use super::write_buffer::Buffers;
use super::{State, Timer};

/// A worker panicked while it processed a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerPanicked;

impl Connection {
    /// Records what a worker made of the message that [`poll_job`](Self::poll_job) returned: a reply of as many bytes. The
    /// owner has to drive the connection next.
    pub fn handle_completion(
        &mut self,
        outcome: Result<&[u8], WorkerPanicked>,
        buffers: &mut Buffers,
    ) {
        match (outcome, &mut self.inbox) {
            (Ok(reply), Some(inbox)) => inbox.complete(reply, &mut buffers.blocks),
            (Ok(_), None) => {}
            (Err(WorkerPanicked), _) => self.abort(CloseReason::WorkerPanicked),
        }
    }

    /// Returns the message that a worker has to process. The owner calls this when the worker pool has room. The
    /// connection reads nothing until [`handle_completion`](Self::handle_completion).
    pub fn poll_job<'a>(&mut self, buffers: &'a Buffers) -> Option<&'a [u8]> {
        let inbox = self.inbox.as_mut()?;
        let InboxState::JobWanted(length) = inbox.state else {
            return None;
        };
        inbox.state = InboxState::JobInFlight(length);
        Some(&inbox.bytes(&buffers.blocks)[..length as usize])
    }

    /// Returns true if [`poll_job`](Self::poll_job) would return a message.
    pub fn wants_job(&self) -> bool {
        self.inbox
            .as_ref()
            .is_some_and(|inbox| matches!(inbox.state, InboxState::JobWanted(_)))
    }

    /// Returns when the frame timer was started, in nanoseconds of the loop's clock, or `None` while it does not run.
    /// See [`Timer::Frame`].
    pub fn frame_timer_started(&self) -> Option<u64> {
        let is_running = self.inbox.is_some() && self.frame_timer != NOT_RUNNING;
        is_running.then_some(self.frame_timer)
    }

    /// Returns the timer that runs in an open connection while no bytes are pending: none while a worker has a message,
    /// the frame timer while a message is incomplete, and otherwise the idle timer.
    pub(super) fn input_timer(&self) -> Option<Timer> {
        if self.waits_for_worker() {
            None
        } else if self.frame_timer_started().is_some() {
            Some(Timer::Frame)
        } else {
            Some(Timer::Idle)
        }
    }

    /// Echoes the whole messages in `input` and stores the rest. With the `nul` framing, echoes `input` up to the first
    /// NUL, which ends the session.
    #[inline(never)]
    pub(super) fn receive(
        &mut self,
        input: &[u8],
        socket: &mut impl Write,
        blocks: &mut BlockPool,
        now: u64,
    ) {
        if !self.has_pending_output() {
            self.timer_started = now;
        }
        if self.settings.framing == Framing::Nul {
            let nul = memchr(0, input);
            self.echo(&input[..nul.unwrap_or(input.len())], socket, blocks, now);
            if nul.is_some() {
                self.end(CloseReason::NulReceived);
            }
            return;
        }
        if let Some(mut inbox) = self.inbox.take() {
            inbox.push(input, blocks);
            return self.echo_inbox(inbox, socket, blocks, now);
        }
        let (whole, end) = split_messages(&self.settings, Decoder::default(), input, usize::MAX);
        self.echo(&input[..whole], socket, blocks, now);
        let state = match end {
            SplitEnd::BadFrame(bad) => return self.end(CloseReason::BadFrame(bad)),
            SplitEnd::JobWanted(length) => InboxState::JobWanted(length),
            SplitEnd::NoRoom => InboxState::WaitsForRoom(0),
            SplitEnd::Incomplete(decoder) => InboxState::Incomplete(decoder),
        };
        if whole == input.len() {
            return;
        }
        self.frame_timer = NOT_RUNNING;
        match Inbox::new(&input[whole..], state, blocks) {
            Ok(inbox) => self.store_inbox(inbox, blocks, now),
            Err(OutOfMemory) => self.fail_without_memory(),
        }
    }

    /// Echoes what waits in the inbox for room, or for a worker that has returned it.
    #[cold]
    pub(super) fn resume(&mut self, socket: &mut impl Write, blocks: &mut BlockPool, now: u64) {
        if self.state == State::Closed {
            return;
        }
        let Some(inbox) = self.inbox.take_if(|inbox| !inbox.waits_for_worker()) else {
            return;
        };
        match inbox.state {
            // The frame timer may have to start, because fewer bytes are pending.
            InboxState::Incomplete(_) => self.store_inbox(inbox, blocks, now),
            InboxState::WaitsForRoom(_) | InboxState::JobWanted(_) | InboxState::JobInFlight(_) => {
                self.echo_inbox(inbox, socket, blocks, now);
            }
        }
    }

    /// Echoes as much of the inbox as may be pending. Messages are written in pieces as large as there is memory for, so
    /// that small messages do not cost one write each, however low the high-water mark is.
    #[cold]
    fn echo_inbox(
        &mut self,
        mut inbox: Inbox,
        socket: &mut impl Write,
        blocks: &mut BlockPool,
        now: u64,
    ) {
        // If nothing is pending, there is room for a whole inbox.
        let room = match self.pending.len() < self.settings.high_water {
            true => self.pending.room(blocks),
            false => 0,
        };
        let (whole, end) = inbox.split(&self.settings, room, blocks);
        if whole > 0 {
            self.echo_part(&inbox, whole, socket, blocks, now);
            inbox.consume(whole);
            // What follows is another message.
            self.frame_timer = NOT_RUNNING;
        }
        inbox.state = match end {
            SplitEnd::NoRoom => inbox.state.without_room(),
            SplitEnd::Incomplete(decoder) => InboxState::Incomplete(decoder),
            SplitEnd::JobWanted(length) => InboxState::JobWanted(length),
            SplitEnd::BadFrame(bad) => {
                inbox.release(blocks);
                return self.end(CloseReason::BadFrame(bad));
            }
        };
        self.store_inbox(inbox, blocks, now);
    }

    /// Echoes the first `length` bytes of the inbox.
    fn echo_part(
        &mut self,
        inbox: &Inbox,
        length: usize,
        socket: &mut impl Write,
        blocks: &mut BlockPool,
        now: u64,
    ) {
        let taken = self.write(&inbox.bytes(blocks)[..length], socket, now);
        if taken < length {
            let (block, rest) = inbox.part(taken, length);
            self.make_pending(now, |pending| pending.push_from(block, rest, blocks));
        }
    }

    /// Returns true if a whole message waits in the inbox or a worker has one. Such a message is owed to the peer.
    pub(super) fn has_queued_message(&self) -> bool {
        self.inbox
            .as_ref()
            .is_some_and(|inbox| !matches!(inbox.state, InboxState::Incomplete(_)))
    }

    /// Returns true if a whole message waits for a worker, or a worker has it.
    pub(super) fn waits_for_worker(&self) -> bool {
        self.inbox
            .as_ref()
            .is_some_and(|inbox| inbox.waits_for_worker())
    }

    /// Drops the incomplete message in the inbox. Returns true if the inbox had one.
    pub(super) fn drop_incomplete_message(&mut self, blocks: &mut BlockPool) -> bool {
        let is_incomplete = |inbox: &mut Inbox| matches!(inbox.state, InboxState::Incomplete(_));
        let dropped = self.inbox.take_if(is_incomplete);
        dropped.map(|inbox| inbox.release(blocks)).is_some()
    }

    /// Stores an inbox for a later run and starts its frame timer, unless nothing in it can be echoed any more.
    fn store_inbox(&mut self, inbox: Inbox, blocks: &mut BlockPool, now: u64) {
        let is_incomplete = matches!(inbox.state, InboxState::Incomplete(_));
        let runs = is_incomplete && !self.has_pending_output();
        if !runs || self.frame_timer == NOT_RUNNING {
            // The message that the frame timer was about is whole by now, or the delay is ours.
            self.pending_checks.remove(Check::FrameTimer);
            self.frame_timer = if runs { now } else { NOT_RUNNING };
        }
        let can_be_completed = self.state == State::Open && inbox.len() > 0;
        if is_incomplete && !can_be_completed {
            inbox.release(blocks);
        } else {
            self.inbox = Some(inbox);
        }
    }
}
