//! Bytes that the kernel has not taken yet.
//!
//! All connections of a loop read into one buffer, and the echo is written straight from there. So a connection whose
//! peer keeps up holds no memory, and the loop can afford a large buffer: 256 KiB, the default, moved 1.1 to 1.4 times as
//! many bytes per CPU second as 64 KiB (measured, bulk traffic). Only the bytes that a write leaves over are copied, into
//! the [`WriteBuffer`] of the connection: a chain of blocks of the [`BlockPool`].

use std::io::IoSlice;
use std::ops::Range;

use super::block_pool::{Block, BlockPool, OutOfMemory, zeroed};

/// The most blocks that one write takes. 16 blocks of 16 KiB are the default size of the read buffer.
const BLOCKS_PER_WRITE: usize = 16;

/// What all connections of a loop share: the read buffer, the memory for what they hold, and counters for which a
/// connection has no room.
#[derive(Debug)]
pub struct Buffers {
    pub(super) read: Box<[u8]>,
    pub(super) blocks: BlockPool,
    /// One counter for each listener.
    pub(super) discarded: Box<[u64]>,
}

impl Buffers {
    /// Creates a read buffer of `size` bytes, at least one, and counters for `listeners` listeners, at least one. A page of
    /// the read buffer takes memory once a read has reached it. If workers process messages, the read buffer must not be
    /// larger than a block: a whole read may have to wait in an inbox.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses the memory.
    pub fn new(size: usize, blocks: BlockPool, listeners: usize) -> Result<Self, OutOfMemory> {
        Ok(Self {
            read: zeroed(size.max(1))?,
            blocks,
            discarded: zeroed(listeners)?,
        })
    }

    /// Returns the number of bytes that were read and discarded, because their session had ended for a reason on our
    /// side: all input that lingering connections of the listener with this number have read.
    pub fn discarded(&self, listener: usize) -> u64 {
        self.discarded[listener]
    }

    /// Returns the memory of the blocks that connections have, in bytes.
    pub fn bytes_in_use(&self) -> usize {
        self.blocks.bytes_in_use()
    }
}

/// A first-in, first-out queue of bytes in a chain of blocks. The first block is one of the guaranteed blocks, the others
/// are extra. An empty queue has no block.
#[derive(Debug, Default)]
pub struct WriteBuffer {
    head: Option<Block>,
    tail: Option<Block>,
    /// The position of the first byte in the head.
    start: u32,
    length: u32,
}

impl WriteBuffer {
    /// Returns the number of bytes.
    pub fn len(&self) -> usize {
        self.length as usize
    }

    /// Returns true if there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Returns how many more bytes there is memory for.
    pub(super) fn room(&self, blocks: &BlockPool) -> usize {
        match self.is_empty() {
            true => blocks.room_of_one(),
            false => self.room_in_tail(blocks) + blocks.extra_bytes(),
        }
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses the memory, or if there is less [room](Self::room). A part of `bytes` may be appended.
    #[inline(never)]
    pub fn push(&mut self, bytes: &[u8], blocks: &mut BlockPool) -> Result<(), OutOfMemory> {
        self.append(bytes.len(), blocks, |blocks, part, block, at| {
            let bytes = &bytes[part];
            blocks.bytes_mut(block)[at..at + bytes.len()].copy_from_slice(bytes);
        })
    }

    /// Appends the bytes at the positions `from` of another block.
    ///
    /// # Errors
    ///
    /// Fails like [`push`](Self::push).
    pub(super) fn push_from(
        &mut self,
        source: Block,
        from: Range<usize>,
        blocks: &mut BlockPool,
    ) -> Result<(), OutOfMemory> {
        self.append(from.len(), blocks, |blocks, part, block, at| {
            let part = from.start + part.start..from.start + part.end;
            blocks.copy(source, part, block, at);
        })
    }

    /// Returns the oldest bytes, as many as one write takes: slices, and how many of them are in use.
    pub fn front<'a>(&self, blocks: &'a BlockPool) -> ([IoSlice<'a>; BLOCKS_PER_WRITE], usize) {
        let mut slices = [IoSlice::new(&[]); BLOCKS_PER_WRITE];
        let (mut count, mut start, mut left) = (0, self.start as usize, self.len());
        let mut next = self.head;
        while let Some(block) = next
            && count < BLOCKS_PER_WRITE
        {
            let bytes = &blocks.bytes(block)[start..];
            let bytes = &bytes[..bytes.len().min(left)];
            slices[count] = IoSlice::new(bytes);
            (count, start, left) = (count + 1, 0, left - bytes.len());
            next = blocks.next(block);
        }
        (slices, count)
    }

    /// Drops the oldest `n` bytes, which the kernel has taken, and returns the blocks that held them.
    pub fn consume(&mut self, n: usize, blocks: &mut BlockPool) {
        if n == self.len() {
            return self.clear(blocks);
        }
        self.length -= n as u32;
        let mut start = self.start as usize + n;
        while start >= blocks.block_size()
            && let Some(head) = self.head
        {
            self.head = blocks.next(head);
            blocks.give_extra(head);
            start -= blocks.block_size();
        }
        self.start = start as u32;
    }

    /// Drops all bytes and returns all blocks.
    pub fn clear(&mut self, blocks: &mut BlockPool) {
        let Self { head, tail, .. } = std::mem::take(self);
        let mut next = head;
        while let Some(block) = next {
            next = blocks.next(block);
            if Some(block) == tail {
                blocks.give(block);
            } else {
                blocks.give_extra(block);
            }
        }
    }

    /// Appends `length` bytes. `write` writes a part of them to a position in a block.
    fn append(
        &mut self,
        length: usize,
        blocks: &mut BlockPool,
        write: impl Fn(&mut BlockPool, Range<usize>, Block, usize),
    ) -> Result<(), OutOfMemory> {
        let mut done = 0;
        while done < length {
            let (block, at) = self.end(blocks)?;
            let part = done..length.min(done + blocks.block_size() - at);
            done = part.end;
            self.length += part.len() as u32;
            write(blocks, part, block, at);
        }
        Ok(())
    }

    /// Returns the block that takes the next byte, and the position there. That is a new block if the tail is full.
    fn end(&mut self, blocks: &mut BlockPool) -> Result<(Block, usize), OutOfMemory> {
        let at = (self.start as usize + self.len()) % blocks.block_size();
        let block = match self.tail {
            Some(tail) if at > 0 => return Ok((tail, at)),
            Some(tail) => {
                let block = blocks.take_extra()?;
                blocks.link(tail, block);
                block
            }
            None => {
                let block = blocks.take()?;
                self.head = Some(block);
                block
            }
        };
        self.tail = Some(block);
        Ok((block, at))
    }

    /// Returns how many bytes fit behind the last one in the tail.
    fn room_in_tail(&self, blocks: &BlockPool) -> usize {
        let end = self.start as usize + self.len();
        end.next_multiple_of(blocks.block_size()) - end
    }
}
