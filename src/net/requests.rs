//! What the first loop asks a sibling: for a turn, as a sign of life, or for its statistics as well.
//!
//! Requests are numbered from 1, and a sibling answers before its next wait. An answer has the number of the latest request
//! that the sibling had seen, so an answer is never older than its request. `tests/loom` plays all orders of both loops.

use super::Stats;
use super::sync::{AtomicU64, Mutex, MutexGuard, Ordering, PoisonError};

/// The requests to one sibling, and its answers.
pub(super) struct Requests {
    latest: AtomicU64,
    /// The latest request for statistics.
    latest_for_stats: AtomicU64,
    answer: Mutex<Answer>,
}

#[derive(Default)]
struct Answer {
    request: u64,
    /// The latest statistics, and the request that they answer.
    stats: Option<(u64, Stats)>,
}

impl Requests {
    /// Creates the requests of a sibling that nobody has asked yet.
    pub(super) fn new() -> Self {
        Self {
            latest: AtomicU64::new(0),
            latest_for_stats: AtomicU64::new(0),
            answer: Mutex::default(),
        }
    }

    /// Asks for a turn. The caller then wakes the sibling.
    pub(super) fn ask_for_turn(&self, request: u64) {
        self.latest.store(request, Ordering::Release);
    }

    /// Asks for a turn and for statistics. The caller then wakes the sibling.
    pub(super) fn ask_for_stats(&self, request: u64) {
        self.latest_for_stats.store(request, Ordering::Release);
        self.ask_for_turn(request);
    }

    /// Returns the number of the latest request.
    pub(super) fn latest(&self) -> u64 {
        self.latest.load(Ordering::Acquire)
    }

    /// Returns the number of the latest request for statistics.
    pub(super) fn latest_for_stats(&self) -> u64 {
        self.latest_for_stats.load(Ordering::Acquire)
    }

    /// Answers all requests up to `request`. The caller then wakes the first loop.
    pub(super) fn answer(&self, request: u64, stats: Option<Stats>) {
        let mut answer = self.lock();
        answer.request = request;
        if let Some(stats) = stats {
            answer.stats = Some((request, stats));
        }
    }

    /// Returns true if `request` was answered.
    pub(super) fn is_answered(&self, request: u64) -> bool {
        self.lock().request >= request
    }

    /// Returns the statistics that answer `request`, or newer ones.
    pub(super) fn stats(&self, request: u64) -> Option<Stats> {
        let answer = self.lock();
        let stats = answer.stats.as_ref();
        let (_, stats) = stats.filter(|(answered, _)| *answered >= request)?;
        Some(stats.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Answer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
