//! What has been read of a message framing and cannot be echoed yet.
//!
//! Exists only while it is needed: a message is incomplete, or whole ones wait behind a job or behind pending bytes.
//! A stream of messages that come whole never has one. Holds one read and one message at most, because nothing more
//! is read while a whole message waits.

use super::framing::{BadFrame, Decoded, Decoder};
use super::{Settings, Timer};

/// Growth is rounded up to so many bytes, so that a message that trickles in is not copied for each of its bytes.
const INBOX_STEP: usize = 4096;

/// What one takes at most beside one read and one message, in bytes.
pub(crate) const INBOX_OVERHEAD: usize = size_of::<Inbox>() + INBOX_STEP;

/// Which messages go to a worker before they are echoed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// None.
    Nothing,
    /// Every one.
    All,
    /// Those of more bytes than this.
    LargerThan(usize),
}

/// What has been read and not echoed.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    /// Where the first message begins; what is before it has been taken.
    start: usize,
    decoder: Decoder,
    /// What stops us from going on with it.
    pub state: InboxState,
    /// When its frame timer was started; none while it does not run.
    pub frame_timer_started: Option<u64>,
}

/// What stops us from going on with the first message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum InboxState {
    /// Nothing but its own missing end.
    #[default]
    Incomplete,
    /// Too many bytes are pending. Nobody has looked whether it is whole; until they are fewer it counts as owed, which
    /// changes nothing, since they are.
    AboveHighWater,
    /// It is whole, so many bytes long, and waits for a worker.
    JobWanted(usize),
    /// A worker has the message before it.
    JobInFlight,
    /// A worker has brought this one back.
    JobDone(Vec<u8>),
}

/// Why no more messages can be echoed at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SplitEnd {
    /// There are enough for now.
    NoRoom,
    /// The next message has not come whole.
    Incomplete,
    /// The next message, of so many bytes, is for a worker.
    JobWanted(usize),
    /// What comes next is no message.
    BadFrame(BadFrame),
}

impl Inbox {
    pub(super) fn boxed(bytes: &[u8], decoder: Decoder, state: InboxState) -> Box<Self> {
        Box::new(Self {
            bytes: bytes.to_vec(),
            decoder,
            state,
            ..Self::default()
        })
    }

    /// Appends what has been read. What was taken from the front is given up here, once a read; growth is by whole
    /// pages, never doubling.
    pub(super) fn push(&mut self, more: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.start));
        let needed = self.bytes.len() + more.len();
        if needed > self.bytes.capacity() {
            self.bytes
                .reserve_exact(needed.next_multiple_of(INBOX_STEP) - self.bytes.len());
        }
        self.bytes.extend_from_slice(more);
    }

    /// What has not been taken.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// How many of its bytes can be echoed now, and why not more. See [`split_messages`].
    pub(super) fn split_messages(&mut self, settings: &Settings, room: usize) -> (usize, SplitEnd) {
        split_messages(settings, &mut self.decoder, &self.bytes[self.start..], room)
    }

    /// Drops the first `n` bytes, whole messages that have gone their way. What follows has only begun now.
    pub(super) fn consume(&mut self, n: usize) {
        self.start += n;
        if n > 0 {
            self.frame_timer_started = None;
        }
    }

    /// The timer that runs while nothing is pending.
    #[cold]
    pub(super) fn timer(&self) -> Option<Timer> {
        match self.frame_timer_started {
            _ if self.waits_for_a_worker() => None,
            Some(_) => Some(Timer::Frame),
            None => Some(Timer::Idle),
        }
    }

    /// Whether a worker has or is to get a message.
    pub(super) fn waits_for_a_worker(&self) -> bool {
        matches!(
            self.state,
            InboxState::JobWanted(_) | InboxState::JobInFlight
        )
    }
}

/// How many of the first bytes are whole messages that can be echoed, and why it is not more. Stops before there are more
/// than `room` of them, but has one message at least.
pub(super) fn split_messages(
    settings: &Settings,
    decoder: &mut Decoder,
    bytes: &[u8],
    room: usize,
) -> (usize, SplitEnd) {
    let mut whole = 0;
    loop {
        match decoder.decode(settings.framing, &bytes[whole..], settings.max_message) {
            // That of a worker comes back later, and needs room then.
            Decoded::Message(length) if whole > 0 && length > room.saturating_sub(whole) => {
                return (whole, SplitEnd::NoRoom);
            }
            Decoded::Message(length) if settings.offload.takes(length) => {
                return (whole, SplitEnd::JobWanted(length));
            }
            Decoded::Message(length) => whole += length,
            Decoded::Incomplete => return (whole, SplitEnd::Incomplete),
            Decoded::BadFrame(bad) => return (whole, SplitEnd::BadFrame(bad)),
        }
    }
}

impl Offload {
    fn takes(self, length: usize) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::LargerThan(limit) => length > limit,
        }
    }
}
