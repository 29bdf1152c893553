//! Decides whether a message may start.
//!
//! Messages may start from the start of the load to the end of the window. If the run is limited to a number of
//! messages, at most that many messages of the window start: the quota. With churn a message starts with its connect,
//! so a connect that is under way has used its part of the quota. Messages of the warm-up use no quota.

use std::ops::Range;

/// The admission of one worker's messages. The default is the admission before the load: no message may start.
#[derive(Debug, Default)]
pub struct Admission {
    state: AdmissionState,
    /// The window, in nanoseconds of the monotonic clock.
    window: Range<u64>,
    /// How many messages of the window may still start, if their number is limited.
    quota: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum AdmissionState {
    #[default]
    BeforeLoad,
    Open,
    Closed,
}

impl Admission {
    /// Starts the load: messages may start, and at most `quota` messages of `window`.
    pub fn open(&mut self, window: Range<u64>, quota: Option<u64>) {
        self.state = AdmissionState::Open;
        self.window = window;
        self.quota = quota;
    }

    /// Ends the window at `at`, unless it ended earlier.
    pub fn end_window(&mut self, at: u64) {
        self.window.end = self.window.end.min(at).max(self.window.start);
    }

    /// Ends the load: no message may start any more.
    pub fn close(&mut self) {
        self.state = AdmissionState::Closed;
    }

    /// Returns true if the load has not started yet.
    pub fn is_before_load(&self) -> bool {
        self.state == AdmissionState::BeforeLoad
    }

    /// Returns true from the start to the end of the load.
    pub fn is_open(&self) -> bool {
        self.state == AdmissionState::Open
    }

    /// Returns true if a message that is intended at `intended` may start now.
    pub fn admits(&self, intended: u64) -> bool {
        self.is_open() && self.belongs_to_load(intended)
    }

    /// Returns true if a message that is intended at `intended` is part of the requested load, started or not.
    pub fn belongs_to_load(&self, intended: u64) -> bool {
        intended < self.window.end && (intended < self.window.start || self.quota != Some(0))
    }

    /// Takes a message that is intended at `intended` from the quota.
    pub fn take(&mut self, intended: u64) {
        if intended >= self.window.start {
            self.take_many(1);
        }
    }

    /// Takes `count` messages of the window from the quota.
    pub fn take_many(&mut self, count: u64) {
        self.quota = self.quota.map(|quota| quota.saturating_sub(count));
    }

    /// Returns how many messages of the window may still start.
    pub fn quota(&self) -> u64 {
        self.quota.unwrap_or(u64::MAX)
    }

    /// Returns true if the number of messages is limited and all of them have started.
    pub fn is_exhausted(&self) -> bool {
        self.quota == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(quota: Option<u64>) -> Admission {
        let mut admission = Admission::default();
        admission.open(100..200, quota);
        admission
    }

    #[test]
    fn messages_start_only_between_the_start_and_the_end_of_the_load() {
        let mut admission = Admission::default();
        assert!(admission.is_before_load() && !admission.admits(150));
        admission.open(100..200, None);
        assert!(admission.admits(50), "the warm-up is part of the load");
        assert!(admission.admits(199) && !admission.admits(200));
        admission.end_window(170);
        assert!(admission.admits(169) && !admission.admits(170));
        admission.close();
        assert!(!admission.admits(169) && !admission.is_before_load());
    }

    #[test]
    fn a_load_that_ends_in_its_warm_up_has_an_empty_window() {
        let mut admission = open(None);
        admission.end_window(80);
        assert!(admission.belongs_to_load(90) && !admission.belongs_to_load(100));
    }

    #[test]
    fn the_quota_limits_the_messages_of_the_window_alone() {
        let mut admission = open(Some(2));
        admission.take(90);
        for intended in [100, 110] {
            assert!(admission.admits(intended) && !admission.is_exhausted());
            admission.take(intended);
        }
        assert!(!admission.admits(120) && admission.is_exhausted());
        assert!(admission.admits(95), "a message of the warm-up");
        assert!(!open(None).is_exhausted());
    }
}
