//! The part of a connection that deals with messages.
//!
//! Whole messages in the read buffer are echoed straight from there, like a stream. Only input that cannot be echoed
//! yet is copied to the [`Inbox`]: the start of a message, or messages that wait for a worker or for pending bytes.

use std::io::Write;
use std::mem;

use memchr::memchr;

use super::State;
use super::checks::Check;
use super::close_reason::CloseReason;
use super::connection::Connection;
use super::framing::{Decoder, Framing};
use super::inbox::{Inbox, InboxState, SplitEnd, split_messages};
use super::write_buffer::BufferPool;

/// A worker panicked while it processed a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerPanicked;

impl Connection {
    /// Records what a worker made of the message that [`poll_job`](Self::poll_job) returned. The owner has to drive the
    /// connection next.
    pub fn handle_completion(&mut self, outcome: Result<Vec<u8>, WorkerPanicked>) {
        match (outcome, &mut self.inbox) {
            (Ok(reply), Some(inbox)) => inbox.state = InboxState::JobDone(reply),
            (Ok(_), None) => {}
            (Err(WorkerPanicked), _) => self.abort(CloseReason::WorkerPanicked),
        }
    }

    /// Takes the message that a worker has to process. The owner calls this when the worker pool has room. The
    /// connection reads nothing until [`handle_completion`](Self::handle_completion).
    pub fn poll_job(&mut self) -> Option<Vec<u8>> {
        let inbox = self.inbox.as_mut()?;
        let InboxState::JobWanted(length) = inbox.state else {
            return None;
        };
        let message = inbox.bytes()[..length].to_vec();
        inbox.consume(length);
        inbox.state = InboxState::JobInFlight;
        Some(message)
    }

    /// Returns true if [`poll_job`](Self::poll_job) would return a message.
    pub fn wants_job(&self) -> bool {
        self.inbox
            .as_ref()
            .is_some_and(|inbox| matches!(inbox.state, InboxState::JobWanted(_)))
    }

    /// Returns when the frame timer was started, in nanoseconds of the loop's clock, or `None` while it does not run.
    /// See [`Timer::Frame`](super::Timer::Frame).
    pub fn frame_timer_started(&self) -> Option<u64> {
        self.inbox.as_ref()?.frame_timer_started
    }

    /// Echoes the whole messages in `input` and stores the rest. With the `nul` framing, echoes `input` up to the first
    /// NUL, which ends the session.
    #[inline(never)]
    pub(super) fn receive(
        &mut self,
        input: &[u8],
        socket: &mut impl Write,
        pool: &mut BufferPool,
        now: u64,
    ) {
        if !self.has_pending_output() {
            self.timer_started = now;
        }
        if self.settings.framing == Framing::Nul {
            let nul = memchr(0, input);
            self.echo(&input[..nul.unwrap_or(input.len())], socket, pool, now);
            if nul.is_some() {
                self.end(CloseReason::NulReceived);
            }
            return;
        }
        if let Some(inbox) = &mut self.inbox {
            inbox.push(input);
            return self.resume(socket, pool, now);
        }
        let mut decoder = Decoder::default();
        let (whole, end) = split_messages(&self.settings, &mut decoder, input, usize::MAX);
        self.echo(&input[..whole], socket, pool, now);
        let state = match end {
            SplitEnd::BadFrame(bad) => return self.end(CloseReason::BadFrame(bad)),
            SplitEnd::JobWanted(length) => InboxState::JobWanted(length),
            SplitEnd::NoRoom | SplitEnd::Incomplete => InboxState::Incomplete,
        };
        self.store_inbox(Inbox::boxed(&input[whole..], decoder, state), now);
    }

    /// Echoes as much of the inbox as possible. Messages are written in pieces as large as may be pending at all, so
    /// that small messages do not cost one write each, however low the high-water mark is.
    #[cold]
    pub(super) fn resume(&mut self, socket: &mut impl Write, pool: &mut BufferPool, now: u64) {
        let is_closed = self.state == State::Closed;
        let can_resume = |inbox: &mut Box<Inbox>| !is_closed && !inbox.waits_for_worker();
        let Some(mut inbox) = self.inbox.take_if(can_resume) else {
            return;
        };
        if let InboxState::JobDone(reply) = mem::take(&mut inbox.state) {
            self.echo(&reply, socket, pool, now);
        }
        while self.pending.len() < self.settings.high_water && self.state != State::Closed {
            let room = self.settings.max_pending - self.pending.len();
            let (whole, end) = inbox.split_messages(&self.settings, room);
            self.echo(&inbox.bytes()[..whole], socket, pool, now);
            inbox.consume(whole);
            match end {
                SplitEnd::NoRoom => continue,
                SplitEnd::Incomplete => {}
                SplitEnd::JobWanted(length) => inbox.state = InboxState::JobWanted(length),
                SplitEnd::BadFrame(bad) => return self.end(CloseReason::BadFrame(bad)),
            }
            return self.store_inbox(inbox, now);
        }
        inbox.state = InboxState::AboveHighWater;
        self.store_inbox(inbox, now);
    }

    /// Returns true if a whole message waits in the inbox or a worker has one. Such a message is owed to the peer.
    pub(super) fn has_queued_message(&self) -> bool {
        self.inbox
            .as_ref()
            .is_some_and(|inbox| inbox.state != InboxState::Incomplete)
    }

    /// Returns true if a whole message waits for a worker, or a worker has it.
    pub(super) fn waits_for_worker(&self) -> bool {
        self.inbox
            .as_ref()
            .is_some_and(|inbox| inbox.waits_for_worker())
    }

    /// Drops the incomplete message in the inbox. Returns true if the inbox had one.
    pub(super) fn drop_incomplete_message(&mut self) -> bool {
        self.inbox
            .take_if(|inbox| inbox.state == InboxState::Incomplete)
            .is_some()
    }

    /// Stores an inbox for a later run and starts its frame timer, unless nothing in it can be echoed any more.
    fn store_inbox(&mut self, mut inbox: Box<Inbox>, now: u64) {
        let is_incomplete = inbox.state == InboxState::Incomplete;
        let runs = is_incomplete && !self.has_pending_output();
        if !runs || inbox.frame_timer_started.is_none() {
            // The message that the frame timer was about is whole by now, or the delay is ours.
            self.pending_checks.remove(Check::FrameTimer);
        }
        let can_be_completed = self.state == State::Open && !inbox.bytes().is_empty();
        if is_incomplete && !can_be_completed {
            return;
        }
        inbox.frame_timer_started = runs.then(|| inbox.frame_timer_started.unwrap_or(now));
        self.inbox = Some(inbox);
    }
}
