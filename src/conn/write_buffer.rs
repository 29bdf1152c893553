//! Bytes that the kernel has not taken yet, and the memory that all connections share.
//!
//! All connections of a loop read into one buffer, and the echo is written straight from there. So a connection whose
//! peer keeps up owns no heap memory, and the loop can afford a large buffer: 256 KiB, the default, moved 1.1 to 1.4
//! times as many bytes per CPU second as 64 KiB (measured, bulk traffic). Only the bytes that a write leaves over are
//! copied, into the [`WriteBuffer`] of the connection. An emptied buffer goes back to the loop, which keeps a few, so
//! that a busy server does not allocate at all.
//!
//! Memory grows exactly, by fixed steps, and never doubles. So the bound that the server logs holds: a connection has
//! fewer pending bytes than the high-water mark plus one read or one message, and no more memory than that.

use std::collections::VecDeque;

/// The number of emptied buffers that the loop keeps. Eight cover the peers that block at the same moment under bulk
/// traffic. What they may hold is part of the memory bound that the server logs.
pub const POOLED_BUFFERS: usize = 8;

/// Memory grows in steps of this many bytes. Allocators map blocks of this size separately (glibc from 128 KiB on).
/// So only pages that were written to are resident, growing moves no bytes, and no outgrown block stays behind.
const STEP: usize = 128 * 1024;

/// Emptied buffers, at most [`POOLED_BUFFERS`].
pub type BufferPool = Vec<VecDeque<u8>>;

/// What all connections of a loop share: the read buffer, emptied write buffers, and a counter for which a connection
/// has no room.
#[derive(Debug)]
pub struct Buffers {
    pub(super) read: Box<[u8]>,
    pub(super) pool: BufferPool,
    pub(super) discarded: u64,
}

impl Buffers {
    /// Creates a read buffer of `size` bytes, at least one, and an empty pool. A page of the read buffer is resident
    /// once a read has reached it.
    pub fn new(size: usize) -> Self {
        Self {
            read: vec![0; size.max(1)].into_boxed_slice(),
            pool: Vec::with_capacity(POOLED_BUFFERS),
            discarded: 0,
        }
    }

    /// Returns the number of bytes that were read and discarded, because their session had ended for a reason on our
    /// side: all input that lingering connections have read.
    pub fn discarded(&self) -> u64 {
        self.discarded
    }
}

/// A first-in, first-out byte queue. An empty queue by [`default`](Self::default) has no memory of its own.
#[derive(Debug, Default)]
pub struct WriteBuffer {
    bytes: VecDeque<u8>,
}

impl WriteBuffer {
    /// Returns the number of bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns true if there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns the oldest bytes: all of them, or the part up to the end of the ring.
    pub fn front(&self) -> &[u8] {
        self.bytes.as_slices().0
    }

    /// Appends `more`. A buffer without memory first takes one from the pool. Memory for more than `max` bytes is
    /// allocated only if there are more bytes: a ring reaches each of its pages in time, even pages that it never needs
    /// at once.
    #[inline(never)]
    pub fn push(&mut self, more: &[u8], pool: &mut BufferPool, max: usize) {
        if self.bytes.capacity() == 0
            && let Some(buffer) = pool.pop()
        {
            self.bytes = buffer;
        }
        let needed = self.bytes.len() + more.len();
        if needed > self.bytes.capacity() {
            let wanted = needed.next_multiple_of(STEP).min(max).max(needed);
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend(more);
    }

    /// Drops the oldest `n` bytes, which the kernel has taken.
    pub fn consume(&mut self, n: usize) {
        self.bytes.drain(..n);
    }

    /// Drops all bytes and returns the memory to the pool, or to the system if the pool is full.
    pub fn release(&mut self, pool: &mut BufferPool) {
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.capacity() > 0 && pool.len() < POOLED_BUFFERS {
            bytes.clear();
            pool.push(bytes);
        }
    }
}
