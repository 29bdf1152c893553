//! What a server needs of its memory limit: for the read buffer and the jobs of the workers, and for each connection.
//!
//! Each loop has a read buffer, jobs and blocks of its own. It gets an equal share of the memory and of the connections.
//!
//! `conn/block_pool.rs` tells what the blocks are for, and why a connection can always go on with those that it is
//! guaranteed.

use super::limits::Limits;
use super::memory_limit::MemoryLimit;
use super::per_address::{ADDRESS_BYTES, SharedAddressLimit};
use super::proxy::ProxiedClients;
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
    /// The limit of the whole server.
    pub limit: MemoryLimit,
    /// The number of loops.
    pub loops: usize,
    /// The size of the read buffer of a loop. If there are workers, a whole read may have to wait in an inbox.
    read_buffer: usize,
    /// The memory of the jobs of a loop.
    jobs: usize,
    /// A slot, its places in queues, the counter of its address, the guaranteed blocks, and the client of a proxy that waits
    /// for the slot.
    connection: usize,
    block_size: usize,
    /// The blocks that are guaranteed to each connection.
    guaranteed_blocks: usize,
    /// The most extra blocks that a connection can use.
    usable_blocks: usize,
    /// All that is allocated at the start for each connection: the connection without its blocks and without a header.
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
        let (proxied_client, proxy_header) = ProxiedClients::memory_per_connection(config);
        let reserved = SLOT_BYTES + queues * RUN_QUEUE_BYTES + address + proxied_client;
        let blocks = BlockPool::bytes_per_block(block_size).saturating_mul(guaranteed_blocks);
        let read_buffer = match config.workers {
            0 => config.read_buffer,
            _ => config.read_buffer.min(block_size),
        };
        let jobs = workers::jobs_of_loop(config.workers, config.loops());
        Self {
            limit: MemoryLimit::new(config.max_memory),
            loops: config.loops(),
            read_buffer,
            jobs: workers::memory_of_jobs(jobs, message),
            connection: reserved.saturating_add(blocks).saturating_add(proxy_header),
            block_size,
            guaranteed_blocks,
            usable_blocks: most_pending.div_ceil(block_size),
            reserved,
        }
    }

    /// Returns what the server needs so that `connections` connections can go on.
    pub(super) fn of_connections(&self, connections: usize) -> usize {
        let of_loop = self.of_loop(self.connections_of_loop(connections));
        self.loops.saturating_mul(of_loop)
    }

    /// Returns the number of connections that leave half of the memory for extra blocks: with fewer of those, a
    /// connection writes less at once than the socket would take.
    pub(super) fn connections_with_extra_blocks(&self) -> usize {
        self.limit.bytes.saturating_sub(self.of_connections(0)) / 2 / self.connection
    }

    /// Returns the most memory that `connections` connections of the server can take.
    pub(super) fn bound(&self, connections: usize) -> usize {
        let of_loop = self.bound_of_loop(self.connections_of_loop(connections));
        self.loops.saturating_mul(of_loop)
    }

    /// Returns the limits of a loop, if the server has `connections` connections and this limit of each address.
    pub(super) fn limits(
        &self,
        connections: usize,
        per_address: Option<SharedAddressLimit>,
    ) -> Limits {
        let connections = self.connections_of_loop(connections);
        Limits {
            connections,
            memory: self.bound_of_loop(connections),
            shared: self.of_loop(0),
            connection: self.reserved,
            per_address,
        }
    }

    /// Returns true if the limit keeps `connections` connections of the server from taking as much memory as they could use.
    pub(super) fn is_limiting(&self, connections: usize) -> bool {
        let connections = self.connections_of_loop(connections);
        self.extra_blocks(connections) < self.usable_blocks.saturating_mul(connections)
    }

    /// Creates the buffers of a loop, if the server has `connections` connections and `listeners` listeners.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses the memory, or that of the slots, which are allocated next.
    pub(super) fn buffers(
        &self,
        connections: usize,
        listeners: usize,
    ) -> Result<Buffers, OutOfMemory> {
        let connections = self.connections_of_loop(connections);
        let guaranteed = self.guaranteed_blocks.saturating_mul(connections);
        let blocks = BlockPool::new(self.block_size, guaranteed, self.extra_blocks(connections))?;
        let buffers = Buffers::new(self.read_buffer, blocks, listeners)?;
        expect_memory(self.reserved.saturating_mul(connections))?;
        Ok(buffers)
    }

    /// Returns the most connections of a loop, if the server has at most `connections`. The first loop gives each client to
    /// the loop with the fewest.
    fn connections_of_loop(&self, connections: usize) -> usize {
        connections.div_ceil(self.loops)
    }

    /// Returns what a loop needs so that `connections` connections can go on.
    fn of_loop(&self, connections: usize) -> usize {
        let each = self.connection.saturating_mul(connections);
        [self.read_buffer, self.jobs]
            .into_iter()
            .fold(each, usize::saturating_add)
    }

    /// Returns the most memory that a loop with `connections` connections can take.
    fn bound_of_loop(&self, connections: usize) -> usize {
        let extra = BlockPool::bytes_per_block(self.block_size)
            .saturating_mul(self.extra_blocks(connections));
        self.of_loop(connections).saturating_add(extra)
    }

    /// Returns the number of extra blocks of a loop with `connections` connections.
    fn extra_blocks(&self, connections: usize) -> usize {
        let share = self.limit.bytes / self.loops;
        let left = share.saturating_sub(self.of_loop(connections));
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
