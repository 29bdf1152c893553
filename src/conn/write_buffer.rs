//! Bytes the kernel has not taken yet.
//!
//! A connection whose peer keeps up owns no heap memory: reads land in the loop's one scratch buffer and are written
//! straight from it. Only what a write leaves over is copied here. Growth is by fixed steps, never doubling, and an
//! emptied buffer goes back to the loop, which keeps a few so that a busy server does not allocate at all.

use std::collections::VecDeque;

/// Buffers the loop keeps for the next connection that blocks. Eight cover the peers that block at the same moment
/// under bulk traffic; what they may hold is part of the memory bound that the server logs.
pub const POOLED_BUFFERS: usize = 8;

/// Growth is rounded up to this. Allocators map blocks of such a size by themselves (glibc from 128 KiB on), so that only
/// pages that were written to are resident, growing moves no bytes, and no outgrown block stays behind.
const STEP: usize = 128 * 1024;

/// Buffers without an owner, at most [`POOLED_BUFFERS`].
pub type BufferPool = Vec<VecDeque<u8>>;

/// The memory that all connections of a loop share: where reads land, and the buffers that wait for an owner.
#[derive(Debug)]
pub struct Buffers {
    pub(super) read: Box<[u8]>,
    pub(super) pool: BufferPool,
}

impl Buffers {
    /// A scratch buffer of `size` bytes, at least one. Pages are resident once they have been read into.
    pub fn new(size: usize) -> Self {
        Self {
            read: vec![0; size.max(1)].into_boxed_slice(),
            pool: Vec::with_capacity(POOLED_BUFFERS),
        }
    }
}

/// A first-in, first-out byte queue.
#[derive(Debug, Default)]
pub struct WriteBuffer {
    bytes: VecDeque<u8>,
}

impl WriteBuffer {
    /// An empty buffer, without memory of its own.
    pub const fn new() -> Self {
        Self {
            bytes: VecDeque::new(),
        }
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The oldest bytes: all of them, or those in front of the ring's seam.
    pub fn front(&self) -> &[u8] {
        self.bytes.as_slices().0
    }

    /// Appends `more`, into a spare buffer if this one has no memory yet. Memory for more than `most` bytes is taken only
    /// where there are more: a ring comes round to each of its pages, also to those that it never needed at once.
    #[inline(never)]
    pub fn push(&mut self, more: &[u8], pool: &mut BufferPool, most: usize) {
        if self.bytes.capacity() == 0
            && let Some(buffer) = pool.pop()
        {
            self.bytes = buffer;
        }
        let needed = self.bytes.len() + more.len();
        if needed > self.bytes.capacity() {
            let wanted = needed.next_multiple_of(STEP).min(most).max(needed);
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend(more);
    }

    /// Drops the oldest `n` bytes: the kernel has taken them.
    pub fn consume(&mut self, n: usize) {
        self.bytes.drain(..n);
    }

    /// Gives the memory back, and drops what is still in it.
    pub fn release(&mut self, pool: &mut BufferPool) {
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.capacity() > 0 && pool.len() < POOLED_BUFFERS {
            bytes.clear();
            pool.push(bytes);
        }
    }
}
