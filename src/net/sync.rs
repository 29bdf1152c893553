//! What threads share, in one place, so that `tests/loom` can put a model of it in its place.

pub(super) use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(feature = "threads")]
pub(super) use std::sync::atomic::{AtomicU64, AtomicUsize};
pub(super) use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
