//! An allocator for tests. It counts the allocations of the threads that ask for it, and refuses the chosen ones.
//!
//! This is a crate of its own because an allocator needs unsafe code, which mio-echo and its tests forbid. Each unsafe
//! call is passed on to the system's allocator unchanged.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// The allocator. Declare it with `#[global_allocator]`.
pub struct FailingAllocator;

/// The numbers of the allocations that are refused, counted from 1: the first one, and the one after the last.
static FIRST_REFUSED: AtomicU64 = AtomicU64::new(u64::MAX);
static END_OF_REFUSED: AtomicU64 = AtomicU64::new(u64::MAX);

static COUNT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_COUNTED: Cell<bool> = const { Cell::new(false) };
}

/// Counts the allocations of the calling thread from now on.
pub fn count_this_thread() {
    IS_COUNTED.set(true);
}

/// Starts to count anew, and refuses the allocations with the numbers `first..end` of the counted threads.
pub fn refuse(first: u64, end: u64) {
    COUNT.store(0, SeqCst);
    FIRST_REFUSED.store(first, SeqCst);
    END_OF_REFUSED.store(end, SeqCst);
}

/// Returns the number of allocations of the counted threads since the last call of [`refuse`].
pub fn count() -> u64 {
    COUNT.load(SeqCst)
}

/// Counts an allocation. Returns true if it has to be refused.
fn is_refused() -> bool {
    if !IS_COUNTED.get() {
        return false;
    }
    let number = COUNT.fetch_add(1, SeqCst) + 1;
    (FIRST_REFUSED.load(SeqCst)..END_OF_REFUSED.load(SeqCst)).contains(&number)
}

// SAFETY: every call is either refused, which a null pointer says, or made by the system's allocator with the arguments
// that the caller vouches for.
unsafe impl GlobalAlloc for FailingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_refused() {
            return ptr::null_mut();
        }
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_refused() {
            return ptr::null_mut();
        }
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if is_refused() {
            return ptr::null_mut();
        }
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}
