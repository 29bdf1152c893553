//! Input that cannot be echoed yet.
//!
//! An [`Inbox`] exists only while it is needed: a message is incomplete, or whole messages wait for a worker or for
//! pending bytes. A stream of messages that arrive whole never has one. An inbox is one block, in which the longest
//! message has room. While it exists, a read is offered no more than the rest of the block, and nothing is read while a
//! whole message waits.

use std::ops::Range;

use super::block_pool::{Block, BlockPool, OutOfMemory};
use super::framing::{BadFrame, Decoded, Decoder};
use super::settings::Settings;

/// Input that was read and not echoed.
#[derive(Debug)]
pub(super) struct Inbox {
    block: Block,
    /// The position of the first message in the block. The bytes before it have been consumed.
    start: u32,
    end: u32,
    /// Why the first message cannot be echoed yet.
    pub state: InboxState,
}

/// Why the first message in an inbox cannot be echoed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InboxState {
    /// The end of the message has not arrived.
    Incomplete(Decoder),
    /// The message is whole, and has to wait until fewer bytes are pending. The first so many bytes are the reply of a
    /// worker, which is echoed as it is.
    WaitsForRoom(u32),
    /// The message is whole, has this many bytes, and has to be given to a worker.
    JobWanted(u32),
    /// A worker has a copy of the message, which has this many bytes. Its place is kept for the reply.
    JobInFlight(u32),
}

/// Why [`split_messages`] stopped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SplitEnd {
    /// The next message does not fit in the room.
    NoRoom,
    /// The next message is incomplete. The decoder knows how far it has searched.
    Incomplete(Decoder),
    /// The next message has this many bytes and has to be given to a worker.
    JobWanted(u32),
    /// The next bytes are no message.
    BadFrame(BadFrame),
}

impl InboxState {
    /// Returns the state of an inbox whose first message, or the reply in its place, does not fit into the room.
    pub(super) fn without_room(self) -> Self {
        match self {
            Self::WaitsForRoom(reply) => Self::WaitsForRoom(reply),
            Self::Incomplete(_) | Self::JobWanted(_) | Self::JobInFlight(_) => {
                Self::WaitsForRoom(0)
            }
        }
    }
}

impl Inbox {
    /// Creates an inbox that holds `bytes`.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses the memory.
    pub(super) fn new(
        bytes: &[u8],
        state: InboxState,
        blocks: &mut BlockPool,
    ) -> Result<Self, OutOfMemory> {
        let block = blocks.take()?;
        let mut inbox = Self {
            block,
            start: 0,
            end: 0,
            state,
        };
        inbox.push(bytes, blocks);
        Ok(inbox)
    }

    /// Appends new input, for which there is [room](Self::room). This also drops the consumed bytes, at most once a read.
    pub(super) fn push(&mut self, input: &[u8], blocks: &mut BlockPool) {
        let block = blocks.bytes_mut(self.block);
        block.copy_within(self.range(), 0);
        (self.start, self.end) = (0, self.end - self.start);
        let from = self.end as usize;
        block[from..from + input.len()].copy_from_slice(input);
        self.end += input.len() as u32;
    }

    /// Returns how much more input there is room for.
    pub(super) fn room(&self, blocks: &BlockPool) -> usize {
        blocks.block_size() - self.len()
    }

    /// Returns the number of bytes that have not been consumed.
    pub(super) fn len(&self) -> usize {
        self.range().len()
    }

    /// Returns the bytes that have not been consumed.
    pub(super) fn bytes<'a>(&self, blocks: &'a BlockPool) -> &'a [u8] {
        &blocks.bytes(self.block)[self.range()]
    }

    /// Returns the block, and the positions in it of the first `n` bytes without the first `skipped`.
    pub(super) fn part(&self, skipped: usize, n: usize) -> (Block, Range<usize>) {
        let start = self.start as usize;
        (self.block, start + skipped..start + n)
    }

    /// Splits the bytes that have not been consumed. See [`split_messages`].
    pub(super) fn split(
        &self,
        settings: &Settings,
        room: usize,
        blocks: &BlockPool,
    ) -> (usize, SplitEnd) {
        let (reply, decoder) = match self.state {
            InboxState::Incomplete(decoder) => (0, decoder),
            InboxState::WaitsForRoom(reply) => (reply as usize, Decoder::default()),
            InboxState::JobWanted(length) => return (0, SplitEnd::JobWanted(length)),
            InboxState::JobInFlight(_) => return (0, SplitEnd::NoRoom),
        };
        let Some(room) = room.checked_sub(reply) else {
            return (0, SplitEnd::NoRoom);
        };
        let (whole, end) = split_messages(settings, decoder, &self.bytes(blocks)[reply..], room);
        (reply + whole, end)
    }

    /// Drops the first `n` bytes, which are the reply of a worker and whole messages.
    pub(super) fn consume(&mut self, n: usize) {
        self.start += n as u32;
        self.state = InboxState::WaitsForRoom(0);
    }

    /// Puts the reply of a worker in the place of the message, which has as many bytes.
    pub(super) fn complete(&mut self, reply: &[u8], blocks: &mut BlockPool) {
        if let InboxState::JobInFlight(length) = self.state {
            let (block, place) = self.part(0, length as usize);
            blocks.bytes_mut(block)[place].copy_from_slice(reply);
            self.state = InboxState::WaitsForRoom(length);
        }
    }

    /// Returns the block to the pool.
    pub(super) fn release(self, blocks: &mut BlockPool) {
        blocks.give(self.block);
    }

    /// Returns true if a message has to be given to a worker, or a worker has one.
    pub(super) fn waits_for_worker(&self) -> bool {
        matches!(
            self.state,
            InboxState::JobWanted(_) | InboxState::JobInFlight(_)
        )
    }

    fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Splits `bytes`, in which `decoder` has searched, into messages. Returns how many of the first bytes are whole messages
/// that can be echoed at once, which are at most `room`, and why the split stopped.
pub(super) fn split_messages(
    settings: &Settings,
    mut decoder: Decoder,
    bytes: &[u8],
    room: usize,
) -> (usize, SplitEnd) {
    let mut whole = 0;
    loop {
        match decoder.decode(settings.framing, &bytes[whole..], settings.max_message) {
            Decoded::Message(length) if settings.offload.includes(length) => {
                return (whole, SplitEnd::JobWanted(length as u32));
            }
            Decoded::Message(length) if length > room - whole => return (whole, SplitEnd::NoRoom),
            Decoded::Message(length) => whole += length,
            Decoded::Incomplete => return (whole, SplitEnd::Incomplete(decoder)),
            Decoded::BadFrame(bad) => return (whole, SplitEnd::BadFrame(bad)),
        }
    }
}
