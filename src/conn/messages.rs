//! The part of a connection that knows messages.
//!
//! Whole messages that lie in the scratch buffer are echoed straight from it, like a stream. Only what cannot be
//! echoed yet goes to the [`Inbox`]: the begin of a message, or what waits behind a worker or behind pending bytes.

use std::io::Write;
use std::mem;

use memchr::memchr;

use super::framing::{Decoder, Framing};
use super::inbox::{Inbox, InboxState, SplitEnd, split_messages};
use super::write_buffer::BufferPool;
use super::{CloseReason, Connection, State};

/// A worker gave up on a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerPanicked;

impl Connection {
    /// A worker is done with the message that [`poll_job`](Self::poll_job) gave away. Drive the connection next.
    pub fn handle_completion(&mut self, outcome: Result<Vec<u8>, WorkerPanicked>) {
        match (outcome, &mut self.inbox) {
            (Ok(reply), Some(inbox)) => inbox.state = InboxState::JobDone(reply),
            (Ok(_), None) => {}
            (Err(WorkerPanicked), _) => self.abort(CloseReason::WorkerPanicked),
        }
    }

    /// The message that a worker is to have. Asked for when there is room for a job; until then the connection waits,
    /// and afterwards until [`handle_completion`](Self::handle_completion).
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

    /// Whether [`poll_job`](Self::poll_job) has a message to give.
    pub fn wants_job(&self) -> bool {
        self.inbox
            .as_ref()
            .is_some_and(|inbox| matches!(inbox.state, InboxState::JobWanted(_)))
    }

    /// When the frame timer was started; see [`Timer::Frame`](super::Timer::Frame).
    pub fn frame_timer_started(&self) -> Option<u64> {
        self.inbox.as_ref()?.frame_timer_started
    }

    /// Takes in what has been read.
    #[inline(never)]
    pub(super) fn receive(
        &mut self,
        fresh: &[u8],
        socket: &mut impl Write,
        pool: &mut BufferPool,
        now: u64,
    ) {
        if !self.has_pending_output() {
            self.timer_started = now;
        }
        if self.settings.framing == Framing::Nul {
            return self.receive_until_nul(fresh, socket, pool, now);
        }
        if let Some(inbox) = &mut self.inbox {
            inbox.push(fresh);
            return self.resume(socket, pool, now);
        }
        let mut decoder = Decoder::default();
        let (whole, end_of_split) = split_messages(&self.settings, &mut decoder, fresh, usize::MAX);
        self.echo(&fresh[..whole], socket, pool, now);
        let rest = &fresh[whole..];
        match end_of_split {
            SplitEnd::BadFrame(bad) => self.end(CloseReason::BadFrame(bad)),
            SplitEnd::JobWanted(length) => self.store_inbox(
                Inbox::boxed(rest, decoder, InboxState::JobWanted(length)),
                now,
            ),
            SplitEnd::NoRoom | SplitEnd::Incomplete => {
                self.store_inbox(Inbox::boxed(rest, decoder, InboxState::Incomplete), now)
            }
        }
    }

    /// Goes on with what was held back, as far as that is possible now: in pieces as large as may be pending at all, so
    /// that small messages do not cost a write each however low the high-water mark is.
    #[cold]
    pub(super) fn resume(&mut self, socket: &mut impl Write, pool: &mut BufferPool, now: u64) {
        let is_closed = self.state == State::Closed;
        let can_go_on = |inbox: &mut Box<Inbox>| !is_closed && !inbox.waits_for_a_worker();
        let Some(mut inbox) = self.inbox.take_if(can_go_on) else {
            return;
        };
        if let InboxState::JobDone(reply) = mem::take(&mut inbox.state) {
            self.echo(&reply, socket, pool, now);
        }
        while self.pending.len() < self.settings.high_water && self.state != State::Closed {
            let room = self.settings.max_pending - self.pending.len();
            let (whole, end_of_split) = inbox.split_messages(&self.settings, room);
            self.echo(&inbox.bytes()[..whole], socket, pool, now);
            inbox.consume(whole);
            match end_of_split {
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

    /// Whether a whole message waits here, or with a worker: it is owed.
    pub(super) fn has_queued_message(&self) -> bool {
        self.inbox
            .as_ref()
            .is_some_and(|inbox| inbox.state != InboxState::Incomplete)
    }

    /// The peer has finished sending. Returns whether it did so within a message, which is dropped.
    pub(super) fn drop_begun_message(&mut self) -> bool {
        self.inbox
            .take_if(|inbox| inbox.state == InboxState::Incomplete)
            .is_some()
    }

    fn receive_until_nul(
        &mut self,
        fresh: &[u8],
        socket: &mut impl Write,
        pool: &mut BufferPool,
        now: u64,
    ) {
        let nul = memchr(0, fresh);
        self.echo(&fresh[..nul.unwrap_or(fresh.len())], socket, pool, now);
        if nul.is_some() {
            self.end(CloseReason::NulReceived);
        }
    }

    /// Keeps what could not be echoed, if it still can be, and lets its frame timer run.
    fn store_inbox(&mut self, mut inbox: Box<Inbox>, now: u64) {
        let is_begun = inbox.state == InboxState::Incomplete;
        let can_go_on = self.state == State::Open && !inbox.bytes().is_empty();
        if is_begun && !can_go_on {
            return;
        }
        let runs = is_begun && !self.has_pending_output();
        inbox.frame_timer_started = runs.then(|| inbox.frame_timer_started.unwrap_or(now));
        self.inbox = Some(inbox);
    }
}
