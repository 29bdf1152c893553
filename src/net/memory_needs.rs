//! What a server needs of its memory limit: for the read buffer and the jobs of the workers, and for each connection.
//!
//! `conn/block_pool.rs` tells what the blocks are for, and why a connection can always go on with those that it is
//! guaranteed.

use super::memory_limit::MemoryLimit;
use super::per_address::ADDRESS_BYTES;
use super::run_queue::RUN_QUEUE_BYTES;
use super::slot::SLOT_BYTES;
use super::{Config, workers};
use crate::conn::{BlockPool, Buffers, OutOfMemory};

/// The size of a block in bytes, unless a message or a banner is longer. It is the least that a read costs in the budget
/// of a run, so a connection without extra blocks still makes full use of its turn.
const LEAST_BLOCK: usize = 16 * 1024;

/// The size of a page on most systems.
const PAGE: usize = 4096;

/// What a configuration needs, in bytes unless a comment says otherwise.
pub(super) struct MemoryNeeds {
    pub limit: MemoryLimit,
    /// The size of the read buffer. If there are workers, a whole read may have to wait in an inbox.
    read_buffer: usize,
    /// The memory of the jobs.
    jobs: usize,
    /// A slot, its places in queues, the counter of its address and the guaranteed blocks.
    connection: usize,
    block_size: usize,
    /// The blocks that are guaranteed to each connection.
    guaranteed_blocks: usize,
    /// The most extra blocks that a connection can use.
    usable_blocks: usize,
    /// All that is allocated at the start for each connection: the connection without its blocks.
    reserved: usize,
}

impl MemoryNeeds {
    /// Returns what `config` needs.
    pub(super) fn of(config: &Config) -> Self {
        let message = config.max_message_len();
        let block_size = message.max(config.max_banner_len()).max(LEAST_BLOCK);
        let block_size = block_size.next_multiple_of(PAGE);
        // The first block of the pending bytes, and the inbox.
        let guaranteed_blocks = if message > 0 { 2 } else { 1 };
        // Below the high-water mark, one read or the messages of an inbox are added.
        let added = config.read_buffer.max(block_size);
        let most_pending = config.high_water.saturating_add(added);
        // The backlog, and with workers the queue for them.
        let queues = if config.workers > 0 { 2 } else { 1 };
        let address = config.max_per_ip.map_or(0, |_| ADDRESS_BYTES);
        let reserved = SLOT_BYTES + queues * RUN_QUEUE_BYTES + address;
        let blocks = BlockPool::bytes_per_block(block_size).saturating_mul(guaranteed_blocks);
        let read_buffer = match config.workers {
            0 => config.read_buffer,
            _ => config.read_buffer.min(block_size),
        };
        Self {
            limit: MemoryLimit::new(config.max_memory),
            read_buffer,
            jobs: workers::memory_of_jobs(config.workers, message),
            connection: reserved.saturating_add(blocks),
            block_size,
            guaranteed_blocks,
            usable_blocks: most_pending.div_ceil(block_size),
            reserved,
        }
    }

    /// Returns what `connections` connections need to go on.
    pub(super) fn of_connections(&self, connections: usize) -> usize {
        let each = self.connection.saturating_mul(connections);
        [self.read_buffer, self.jobs]
            .into_iter()
            .fold(each, usize::saturating_add)
    }

    /// Returns the number of connections that leave half of the memory for extra blocks: with fewer of those, a
    /// connection writes less at once than the socket would take.
    pub(super) fn connections_with_extra_blocks(&self) -> usize {
        self.limit.bytes.saturating_sub(self.of_connections(0)) / 2 / self.connection
    }

    /// Returns the most memory that `connections` connections can take.
    pub(super) fn bound(&self, connections: usize) -> usize {
        let extra = BlockPool::bytes_per_block(self.block_size)
            .saturating_mul(self.extra_blocks(connections));
        self.of_connections(connections).saturating_add(extra)
    }

    /// Returns true if the limit keeps `connections` connections from taking as much memory as they could use.
    pub(super) fn is_limiting(&self, connections: usize) -> bool {
        self.extra_blocks(connections) < self.usable_blocks.saturating_mul(connections)
    }

    /// Creates the buffers of `connections` connections.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses the memory, or that of the slots, which are allocated next.
    pub(super) fn buffers(&self, connections: usize) -> Result<Buffers, OutOfMemory> {
        let guaranteed = self.guaranteed_blocks.saturating_mul(connections);
        let blocks = BlockPool::new(self.block_size, guaranteed, self.extra_blocks(connections))?;
        let buffers = Buffers::new(self.read_buffer, blocks, 1)?;
        expect_memory(self.reserved.saturating_mul(connections))?;
        Ok(buffers)
    }

    fn extra_blocks(&self, connections: usize) -> usize {
        let needed = self.of_connections(connections);
        let left = self.limit.bytes.saturating_sub(needed);
        let usable = self.usable_blocks.saturating_mul(connections);
        usable.min(left / BlockPool::bytes_per_block(self.block_size))
    }
}

/// Checks that the system would grant `bytes` bytes. Where the next allocation is the standard library's, its refusal
/// would abort the process.
fn expect_memory(bytes: usize) -> Result<(), OutOfMemory> {
    let mut probe: Vec<u8> = Vec::new();
    probe.try_reserve_exact(bytes).map_err(|_| OutOfMemory)
}
