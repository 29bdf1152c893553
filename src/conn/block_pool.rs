//! The memory that connections hold: blocks of one size, cut from large regions.
//!
//! A connection needs memory only while its peer does not keep up: for the bytes of the echo that the kernel has not
//! taken, and for a message that is not complete. All that memory comes from this pool.
//!
//! # One number bounds it
//!
//! A server has a fixed number of blocks. Each connection is *guaranteed* the first block of its pending bytes and, if
//! its framing has messages, the one block of its [inbox](super::inbox). The blocks beyond those guarantees are *extra*:
//! a connection may take them for further pending bytes while there are any. A connection that finds none reads no more
//! than its block has room for. So every connection can always go on, and none waits for the memory of another.
//!
//! # Regions
//!
//! An allocator may keep freed memory. glibc maps a block by itself only if the block is larger than a threshold, and
//! raises that threshold, up to 32 MiB, to the size of the largest block that was freed (mallopt(3)); smaller blocks come
//! from a heap that fragments. A region is larger than that, so it is mapped by itself and goes back to the system at
//! once. A region is zeroed by the system: a page of it takes no memory before it is written to.
//!
//! A block comes from the region that has the most blocks in use, so that the other regions become empty. An empty
//! region is freed, unless it is the last one and few of its blocks were used: a server whose peers keep up most of the
//! time allocates nothing.

use std::mem;
use std::num::NonZeroU32;
use std::ops::Range;

use bytemuck::Zeroable;
use bytemuck::allocation::try_zeroed_slice_box;

/// The size of a region in bytes, unless one block is larger. On Windows a region counts as used memory from the start,
/// and the system frees every block of more than 1 MiB at once. On WebAssembly a new region is cleared byte by byte, and 64 MiB
/// take 60 ms.
const REGION_SIZE: usize = if cfg!(target_family = "wasm") {
    64 << 10
} else if cfg!(windows) {
    4 << 20
} else {
    64 << 20
};

/// The last region is kept when it is empty if at most this many of its bytes were ever used, and at most one of
/// [`KEPT_PART`] of all blocks, or [`LEAST_KEPT_BYTES`]: little may stay when all peers have left.
const KEPT_BYTES: usize = 4 << 20;
const KEPT_PART: usize = 12;
const LEAST_KEPT_BYTES: usize = 64 << 10;

/// The system refuses memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// A block of a [`BlockPool`]: its number, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block(NonZeroU32);

/// The blocks of all connections of a loop.
#[derive(Debug)]
pub struct BlockPool {
    block_size: usize,
    blocks_per_region: usize,
    /// As many regions as all blocks need. Blocks are numbered through all regions, allocated or not.
    regions: Vec<Region>,
    /// The last region is kept if at most this many of its blocks were used.
    kept_blocks: usize,
    /// The size of one block and of the extra blocks that no connection has taken. This is one number because each run of
    /// a connection needs it.
    room_of_one: usize,
    /// Refuses every block, as a system without memory does.
    #[cfg(test)]
    pub(super) is_exhausted: bool,
}

/// A number of blocks that were allocated together. Without bytes, the region is not allocated.
#[derive(Debug, Default)]
struct Region {
    bytes: Box<[u8]>,
    /// For each block the number of the block that follows in its chain or in the list of free blocks, or 0 at the end.
    next: Box<[u32]>,
    /// The number of the first free block of those that were used before, or 0.
    first_free: u32,
    in_use: usize,
    /// How many blocks were ever used. The blocks after these are free.
    ever_used: usize,
}

impl BlockPool {
    /// Creates a pool of `guaranteed` and of `extra` blocks, each of `block_size` bytes, and allocates the first region.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses the memory.
    pub fn new(block_size: usize, guaranteed: usize, extra: usize) -> Result<Self, OutOfMemory> {
        let blocks_per_region = (REGION_SIZE / block_size).max(1);
        let blocks = guaranteed.saturating_add(extra);
        let count = blocks.div_ceil(blocks_per_region).max(1);
        let mut regions = Vec::new();
        regions.try_reserve_exact(count).map_err(|_| OutOfMemory)?;
        regions.resize_with(count, Region::default);
        regions[0] = Region::allocate(block_size, blocks_per_region)?;
        Ok(Self {
            block_size,
            blocks_per_region,
            regions,
            kept_blocks: (blocks / KEPT_PART)
                .max(LEAST_KEPT_BYTES / block_size)
                .min(KEPT_BYTES / block_size),
            room_of_one: extra.saturating_add(1).saturating_mul(block_size),
            #[cfg(test)]
            is_exhausted: false,
        })
    }

    /// Returns the memory in bytes that a pool takes for each block.
    pub fn bytes_per_block(block_size: usize) -> usize {
        block_size.saturating_add(size_of::<u32>())
    }

    /// Returns the size of a block in bytes.
    pub(super) fn block_size(&self) -> usize {
        self.block_size
    }

    /// Returns the size of the extra blocks that no connection has taken, in bytes.
    pub(super) fn extra_bytes(&self) -> usize {
        self.room_of_one - self.block_size
    }

    /// Returns how many bytes a connection without pending bytes has memory for: a guaranteed block and all extra ones.
    #[inline(always)]
    pub(super) fn room_of_one(&self) -> usize {
        self.room_of_one
    }

    /// Takes a guaranteed block.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses the memory of another region.
    pub(super) fn take(&mut self) -> Result<Block, OutOfMemory> {
        #[cfg(test)]
        if self.is_exhausted {
            return Err(OutOfMemory);
        }
        let place = self.region_with_a_free_block()?;
        let number = self.regions[place].take() + place * self.blocks_per_region;
        let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
        number.map(Block).ok_or(OutOfMemory)
    }

    /// Takes an extra block.
    ///
    /// # Errors
    ///
    /// Fails if no extra block is left, or if the system refuses the memory of another region.
    pub(super) fn take_extra(&mut self) -> Result<Block, OutOfMemory> {
        if self.extra_bytes() == 0 {
            return Err(OutOfMemory);
        }
        let block = self.take()?;
        self.room_of_one -= self.block_size;
        Ok(block)
    }

    /// Returns a guaranteed block.
    pub(super) fn give(&mut self, block: Block) {
        let (place, index) = self.locate(block);
        let region = &mut self.regions[place];
        region.give(index);
        let may_keep = region.ever_used <= self.kept_blocks;
        if region.in_use == 0 && !(may_keep && self.allocated().count() == 1) {
            self.regions[place] = Region::default();
        }
    }

    /// Returns an extra block.
    pub(super) fn give_extra(&mut self, block: Block) {
        self.room_of_one += self.block_size;
        self.give(block);
    }

    /// Returns the memory of the blocks that connections have, in bytes.
    pub(super) fn bytes_in_use(&self) -> usize {
        self.in_use() * Self::bytes_per_block(self.block_size)
    }

    /// Returns the number of blocks that connections have.
    pub(super) fn in_use(&self) -> usize {
        self.regions.iter().map(|region| region.in_use).sum()
    }

    /// Returns the number of blocks that were used since their regions were allocated.
    #[cfg(test)]
    pub(super) fn ever_used(&self) -> usize {
        self.regions.iter().map(|region| region.ever_used).sum()
    }

    /// Returns the bytes of a block.
    pub(super) fn bytes(&self, block: Block) -> &[u8] {
        let (place, index) = self.locate(block);
        &self.regions[place].bytes[self.range(index)]
    }

    /// Returns the bytes of a block for a change.
    pub(super) fn bytes_mut(&mut self, block: Block) -> &mut [u8] {
        let (place, index) = self.locate(block);
        let range = self.range(index);
        &mut self.regions[place].bytes[range]
    }

    /// Copies the bytes `from` one block `to` another block, in which `at` is the first position.
    pub(super) fn copy(&mut self, source: Block, from: Range<usize>, to: Block, at: usize) {
        let ((source, first), (target, second)) = (self.locate(source), self.locate(to));
        let (first, second) = (self.range(first).start, self.range(second).start + at);
        let from = first + from.start..first + from.end;
        match self.regions.get_disjoint_mut([source, target]) {
            Ok([source, target]) => {
                let to = second..second + from.len();
                target.bytes[to].copy_from_slice(&source.bytes[from]);
            }
            Err(_same_region) => self.regions[source].bytes.copy_within(from, second),
        }
    }

    /// Returns the block that follows `block` in its chain.
    pub(super) fn next(&self, block: Block) -> Option<Block> {
        let (place, index) = self.locate(block);
        NonZeroU32::new(self.regions[place].next[index]).map(Block)
    }

    /// Appends `next` to the chain that ends with `block`.
    pub(super) fn link(&mut self, block: Block, next: Block) {
        let (place, index) = self.locate(block);
        self.regions[place].next[index] = next.0.get();
    }

    fn region_with_a_free_block(&mut self) -> Result<usize, OutOfMemory> {
        let has_room = |(_, region): &(usize, &Region)| region.in_use < self.blocks_per_region;
        let fullest = self.allocated().filter(has_room);
        match fullest.max_by_key(|(_, region)| region.in_use) {
            Some((place, _)) => Ok(place),
            None => self.add_region(),
        }
    }

    #[cold]
    fn add_region(&mut self) -> Result<usize, OutOfMemory> {
        let is_free = |region: &Region| region.bytes.is_empty();
        let place = self.regions.iter().position(is_free).ok_or(OutOfMemory)?;
        self.regions[place] = Region::allocate(self.block_size, self.blocks_per_region)?;
        Ok(place)
    }

    /// Returns the allocated regions with their places.
    fn allocated(&self) -> impl Iterator<Item = (usize, &Region)> {
        let regions = self.regions.iter().enumerate();
        regions.filter(|(_, region)| !region.bytes.is_empty())
    }

    /// Returns the place of the region of a block, and the index of the block in that region.
    fn locate(&self, Block(number): Block) -> (usize, usize) {
        let number = number.get() as usize - 1;
        (
            number / self.blocks_per_region,
            number % self.blocks_per_region,
        )
    }

    fn range(&self, index: usize) -> Range<usize> {
        index * self.block_size..(index + 1) * self.block_size
    }
}

impl Region {
    fn allocate(block_size: usize, blocks: usize) -> Result<Self, OutOfMemory> {
        Ok(Self {
            bytes: zeroed(block_size.saturating_mul(blocks))?,
            next: zeroed(blocks)?,
            ..Self::default()
        })
    }

    /// Takes a free block, preferably one whose pages are in memory already. Returns its number in this region.
    fn take(&mut self) -> usize {
        self.in_use += 1;
        if self.first_free == 0 {
            self.ever_used += 1;
            return self.ever_used;
        }
        let number = self.first_free as usize;
        self.first_free = mem::take(&mut self.next[number - 1]);
        number
    }

    fn give(&mut self, index: usize) {
        self.in_use -= 1;
        self.next[index] = self.first_free;
        self.first_free = index as u32 + 1;
    }
}

/// Allocates `length` zeroed items. The standard library would abort the process if the system refused the memory.
///
/// # Errors
///
/// Fails if the system refuses the memory.
pub(super) fn zeroed<T: Zeroable>(length: usize) -> Result<Box<[T]>, OutOfMemory> {
    try_zeroed_slice_box(length).map_err(|()| OutOfMemory)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PER_REGION: usize = 64;
    const BLOCK: usize = REGION_SIZE / PER_REGION;

    /// Takes `count` blocks, and writes the number of each into its first byte.
    fn take(pool: &mut BlockPool, count: usize) -> Vec<Block> {
        (0..count)
            .map(|number| {
                let block = pool.take().expect("memory");
                pool.bytes_mut(block)[0] = number as u8;
                block
            })
            .collect()
    }

    fn allocated(pool: &BlockPool) -> usize {
        pool.allocated().count()
    }

    #[test]
    fn every_block_has_bytes_of_its_own() {
        let mut pool = BlockPool::new(BLOCK, 3 * PER_REGION, 0).expect("memory");
        let blocks = take(&mut pool, 3 * PER_REGION);
        for (number, block) in blocks.iter().enumerate() {
            assert_eq!(pool.bytes(*block)[0], number as u8);
        }
        assert_eq!(pool.take(), Err(OutOfMemory), "all blocks are in use");
    }

    #[test]
    fn the_fullest_region_gives_first_and_an_empty_one_is_freed() {
        let mut pool = BlockPool::new(BLOCK, 3 * PER_REGION, 0).expect("memory");
        let mut blocks = take(&mut pool, 2 * PER_REGION);
        assert_eq!(allocated(&pool), 2);
        // Most of the second region is in use, and one block of the first.
        let second = blocks.split_off(PER_REGION);
        blocks.drain(1..).for_each(|block| pool.give(block));
        pool.give(second[0]);
        assert_eq!(pool.take(), Ok(second[0]));
        pool.give(blocks[0]);
        assert_eq!(allocated(&pool), 1, "the first region is empty");
        second.into_iter().for_each(|block| pool.give(block));
        assert_eq!(allocated(&pool), 0, "too many were used");
        take(&mut pool, 1);
    }

    #[test]
    fn the_last_region_is_kept_if_few_of_its_blocks_were_used() {
        let few = (4 << 20) / BLOCK;
        for (block, total, kept) in [
            (BLOCK, PER_REGION, few.min(5)),
            (BLOCK, KEPT_PART, 1),
            (16 << 10, KEPT_PART, 4),
        ] {
            let mut pool = BlockPool::new(block, total, 0).expect("memory");
            for _ in 0..10 {
                let blocks = take(&mut pool, kept);
                blocks.into_iter().for_each(|block| pool.give(block));
                assert_eq!((allocated(&pool), pool.ever_used()), (1, kept));
            }
            let blocks = take(&mut pool, kept + 1);
            blocks.into_iter().for_each(|block| pool.give(block));
            assert_eq!(allocated(&pool), 0);
        }
    }

    #[test]
    fn the_memory_of_a_block_is_its_bytes_and_a_link() {
        let mut pool = BlockPool::new(BLOCK, PER_REGION, 0).expect("memory");
        assert_eq!(pool.bytes_in_use(), 0);
        let blocks = take(&mut pool, 3);
        assert_eq!(pool.bytes_in_use(), 3 * (BLOCK + 4));
        blocks.into_iter().for_each(|block| pool.give(block));
        assert_eq!(pool.bytes_in_use(), 0);
    }

    #[test]
    fn bytes_are_copied_within_a_region_and_between_regions() {
        let mut pool = BlockPool::new(BLOCK, 2 * PER_REGION, 0).expect("memory");
        let blocks = take(&mut pool, 2 * PER_REGION);
        pool.bytes_mut(blocks[0])[10..15].copy_from_slice(b"hello");
        for target in [blocks[1], blocks[PER_REGION]] {
            pool.copy(blocks[0], 10..15, target, 20);
            assert_eq!(&pool.bytes(target)[20..25], b"hello");
        }
    }

    #[test]
    fn a_pool_without_extra_blocks_refuses_them() {
        let mut pool = BlockPool::new(BLOCK, 1, 1).expect("memory");
        let block = pool.take_extra().expect("one extra block");
        assert_eq!(
            (pool.extra_bytes(), pool.take_extra()),
            (0, Err(OutOfMemory))
        );
        pool.give_extra(block);
        assert_eq!(pool.extra_bytes(), BLOCK);
    }

    #[test]
    fn fault_w11_a_pool_that_the_system_refuses_is_an_error() {
        assert!(BlockPool::new(1 << 62, 1, 0).is_err());
        assert_eq!(zeroed::<u8>(1 << 62), Err(OutOfMemory));
    }
}
