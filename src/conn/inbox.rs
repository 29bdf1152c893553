//! Input that cannot be echoed yet.
//!
//! An [`Inbox`] exists only while it is needed: a message is incomplete, or whole messages wait for a worker or for
//! pending bytes. A stream of messages that arrive whole never has one. An inbox holds less than one message plus one
//! read, because nothing more is read while a whole message waits.

use super::Timer;
use super::framing::{BadFrame, Decoded, Decoder};
use super::settings::Settings;

/// Memory grows in steps of this many bytes, so that a message that trickles in is not copied for each of its bytes.
const INBOX_STEP: usize = 4096;

/// What an inbox takes at most beside one read and one message, in bytes.
pub(crate) const INBOX_OVERHEAD: usize = size_of::<Inbox>() + INBOX_STEP;

/// Input that was read and not echoed.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    /// Offset of the first message. The bytes before it have been consumed.
    start: usize,
    decoder: Decoder,
    /// Why the first message cannot be echoed yet.
    pub state: InboxState,
    /// When the frame timer was started, or `None` while it does not run.
    pub frame_timer_started: Option<u64>,
}

/// Why the first message in an inbox cannot be echoed yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum InboxState {
    /// The end of the message has not arrived.
    #[default]
    Incomplete,
    /// The pending bytes have reached the high-water mark. Whether the message is whole has not been determined. It
    /// counts as owed, which changes nothing, because the pending bytes are owed as well.
    AboveHighWater,
    /// The message is whole, has this many bytes, and has to be given to a worker.
    JobWanted(usize),
    /// A worker has the message that precedes the first one.
    JobInFlight,
    /// A worker has returned this reply, which precedes the first message.
    JobDone(Vec<u8>),
}

/// Why [`split_messages`] stopped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SplitEnd {
    /// The next message does not fit in the room.
    NoRoom,
    /// The next message is incomplete.
    Incomplete,
    /// The next message has this many bytes and has to be given to a worker.
    JobWanted(usize),
    /// The next bytes are no message.
    BadFrame(BadFrame),
}

impl Inbox {
    /// Creates an inbox that holds `bytes`, in which `decoder` has searched.
    pub(super) fn boxed(bytes: &[u8], decoder: Decoder, state: InboxState) -> Box<Self> {
        Box::new(Self {
            bytes: bytes.to_vec(),
            decoder,
            state,
            ..Self::default()
        })
    }

    /// Appends new input. This also drops the consumed bytes, at most once a read. Memory grows exactly, by whole
    /// steps, and never doubles.
    pub(super) fn push(&mut self, input: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.start));
        let needed = self.bytes.len() + input.len();
        if needed > self.bytes.capacity() {
            self.bytes
                .reserve_exact(needed.next_multiple_of(INBOX_STEP) - self.bytes.len());
        }
        self.bytes.extend_from_slice(input);
    }

    /// Returns the bytes that have not been consumed.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Splits the bytes that have not been consumed. See [`split_messages`].
    pub(super) fn split_messages(&mut self, settings: &Settings, room: usize) -> (usize, SplitEnd) {
        split_messages(settings, &mut self.decoder, &self.bytes[self.start..], room)
    }

    /// Drops the first `n` bytes, which are whole messages. The frame timer starts anew for the message after them.
    pub(super) fn consume(&mut self, n: usize) {
        self.start += n;
        if n > 0 {
            self.frame_timer_started = None;
        }
    }

    /// Returns the timer that runs while no bytes are pending.
    #[cold]
    pub(super) fn timer(&self) -> Option<Timer> {
        if self.waits_for_worker() {
            return None;
        }
        let is_begun = self.frame_timer_started.is_some();
        Some(if is_begun { Timer::Frame } else { Timer::Idle })
    }

    /// Returns true if a message has to be given to a worker, or a worker has one.
    pub(super) fn waits_for_worker(&self) -> bool {
        matches!(
            self.state,
            InboxState::JobWanted(_) | InboxState::JobInFlight
        )
    }
}

/// Splits `bytes` into messages. Returns how many of the first bytes are whole messages that can be echoed at once, and
/// why the split stopped. The messages have at most `room` bytes, but a first message always fits.
pub(super) fn split_messages(
    settings: &Settings,
    decoder: &mut Decoder,
    bytes: &[u8],
    room: usize,
) -> (usize, SplitEnd) {
    let mut whole = 0;
    loop {
        match decoder.decode(settings.framing, &bytes[whole..], settings.max_message) {
            // This arm precedes the next one because the reply of a worker needs room as well.
            Decoded::Message(length) if whole > 0 && length > room.saturating_sub(whole) => {
                return (whole, SplitEnd::NoRoom);
            }
            Decoded::Message(length) if settings.offload.includes(length) => {
                return (whole, SplitEnd::JobWanted(length));
            }
            Decoded::Message(length) => whole += length,
            Decoded::Incomplete => return (whole, SplitEnd::Incomplete),
            Decoded::BadFrame(bad) => return (whole, SplitEnd::BadFrame(bad)),
        }
    }
}
