//! Counts and times what happens to the messages and connections of one worker.
//!
//! A message belongs to the window by the time at which it was intended. A reply counts towards the rate by the time at
//! which it arrived. Messages of the warm-up are not recorded.

use std::ops::Range;

use super::failure::Failure;
use super::message::{Message, Observer, Outcome, Stage, Timestamps};
use super::metrics::{BatchMetrics, Corruption, Metrics, busy};
use crate::net::platform;
use crate::net::timers::{NEVER, nanoseconds};

/// The longest time for which a loop waits: 20 ms. A loop that goes on later than that was stalled. HdrHistogram's jHiccup
/// finds the stalls of a machine in the same way. Stalls that are shorter than the poll's inexactness are not seen.
const LONGEST_WAIT: u64 = 20_000_000;

/// A stall that is longer than this, 10 ms, counts towards the time for which the generator was stalled. Shorter waits
/// for a CPU are part of everyday life on a system with several processes.
const LONG_STALL: u64 = 10_000_000;

/// The recorder of one worker.
#[derive(Debug, Default)]
pub struct Recorder {
    /// The metrics of the current interval.
    metrics: Box<Metrics>,
    /// When the current interval started.
    interval_start: u64,
    /// True if every client has tried to connect.
    has_connected: bool,
    /// The window, in nanoseconds of the monotonic clock.
    window: Range<u64>,
    /// Which messages [`is_counted`](Self::is_counted) accepts.
    counting: Counting,
    /// Nanoseconds of the window in the intervals that ended, and the nanoseconds of them that were not busy.
    elapsed: u64,
    idle: u64,
    /// Counted messages that started and did not end.
    open: u64,
    /// Counted messages that were sent and did not end.
    in_flight: u64,
    /// Connections that are up, and the integral of that number over the window, in nanoseconds.
    up: u64,
    up_time: u128,
    /// The time up to which `in_flight` and `up` are integrated.
    integrated_until: u64,
    /// When the poll returned in this turn.
    turn_start: u64,
    /// When the loop has to go on, at the latest.
    go_on_by: u64,
    /// When the latest message ended, and the latest counted message.
    last_end: u64,
    last_counted_end: u64,
}

/// Which messages enter counts such as the number of messages in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counting {
    /// All messages, for a run that ends after a duration.
    #[default]
    All,
    /// Exactly the messages of the window, in every figure, for a run of a given number of messages.
    WindowOnly,
}

impl Recorder {
    /// Creates a recorder for the connects and failures before the load.
    pub fn new(now: u64) -> Self {
        Self {
            interval_start: now,
            integrated_until: now,
            turn_start: now,
            go_on_by: now + LONGEST_WAIT,
            last_end: now,
            last_counted_end: now,
            ..Self::default()
        }
    }

    /// Ends the first connects at `now` and returns their metrics. Until the window, connections may come and go
    /// unrecorded.
    pub fn end_connects(&mut self, now: u64) -> Box<Metrics> {
        self.has_connected = true;
        self.end_interval(now)
    }

    /// Starts to record the load, which starts at `now` and is measured in `window`.
    pub fn start_load(&mut self, window: Range<u64>, counting: Counting, now: u64) {
        self.last_counted_end = window.start;
        self.window = window;
        self.counting = counting;
        self.last_end = now;
    }

    /// Ends the window at `at`, unless it ended earlier. The window is empty if `at` is before its start.
    pub fn end_window(&mut self, at: u64) {
        self.window.end = self.window.end.min(at).max(self.window.start);
    }

    /// Returns the window.
    pub fn window(&self) -> Range<u64> {
        self.window.clone()
    }

    /// Returns when the latest message ended, or the start of the load.
    pub fn last_end(&self) -> u64 {
        self.last_end
    }

    /// Returns when the latest counted message ended, or the start of the window.
    pub fn last_counted_end(&self) -> u64 {
        self.last_counted_end
    }

    /// Returns true if every counted message that started has ended.
    pub fn is_idle(&self) -> bool {
        self.open == 0
    }

    /// Ends the current interval at `now` and returns its metrics.
    pub fn end_interval(&mut self, now: u64) -> Box<Metrics> {
        self.start_interval(now, Box::default())
    }

    /// Ends the current interval at `now`, returns its metrics, and records the next one in `empty`.
    pub fn start_interval(&mut self, now: u64, empty: Box<Metrics>) -> Box<Metrics> {
        self.integrate(now);
        self.metrics.elapsed = self.time_in_window(self.interval_start, now);
        self.interval_start = now;
        self.elapsed += self.metrics.elapsed;
        self.idle += self.metrics.polling + self.metrics.spinning;
        std::mem::replace(&mut self.metrics, empty)
    }

    /// Ends the current batch, returns its metrics, and records the next one in `empty`. The interval goes on.
    pub fn start_batch(&mut self, mut empty: Box<BatchMetrics>) -> Box<BatchMetrics> {
        std::mem::swap(&mut self.metrics.response, &mut empty.response);
        std::mem::swap(&mut self.metrics.counts, &mut empty.counts);
        empty
    }

    /// Returns the busy share of the intervals that ended, from 0 to 1. Returns `None` if they have no length.
    pub fn busy(&self) -> Option<f64> {
        busy(self.idle, self.elapsed)
    }

    /// Records that a turn starts: the poll returned at `at`.
    pub fn start_turn(&mut self, at: u64) {
        self.turn_start = at;
        self.go_on(at);
    }

    /// Returns when the loop has to go on, at the latest: the poll must not wait longer.
    pub fn go_on_by(&self) -> u64 {
        self.go_on_by
    }

    /// Records that the loop goes on at `at`. If that is later than asked, the generator was stalled: the process was
    /// stopped, waited for a CPU, or the whole machine stood still.
    #[inline]
    fn go_on(&mut self, at: u64) {
        if at >= self.go_on_by {
            self.record_stall(at);
        }
    }

    fn record_stall(&mut self, at: u64) {
        let late = at - self.go_on_by;
        let stall = late.saturating_sub(nanoseconds(platform::SPIN));
        if self.window.contains(&at) {
            self.metrics.stalls.record(stall);
            self.metrics.stalled += if stall > LONG_STALL { stall } else { 0 };
        }
        self.go_on_by = at + LONGEST_WAIT;
    }

    /// Records that the poll waited from `from` to `to`.
    pub fn record_wait(&mut self, from: u64, to: u64) {
        self.metrics.polling += self.time_in_window(from, to);
    }

    /// Records that the worker spun from `from` to `to`: a time was too near to wait, and there was nothing to do.
    pub fn record_spin(&mut self, from: u64, to: u64) {
        self.metrics.spinning += self.time_in_window(from, to);
    }

    /// Returns the mean number of connections that were up in the window. Returns `None` for an empty window.
    pub fn mean_connections(&self) -> Option<f64> {
        let window = self.window.end - self.window.start;
        (window > 0).then(|| self.up_time as f64 / window as f64)
    }

    /// Records a connection that was established at `at`, `nanoseconds` after its connect started.
    pub fn record_connect(&mut self, nanoseconds: u64, at: u64) {
        if self.is_recorded(at) {
            self.metrics.connect.record(nanoseconds);
        }
    }

    /// Records that one more connection is up from `at` on.
    pub fn connection_up(&mut self, at: u64) {
        self.integrate(at);
        self.up += 1;
    }

    /// Records that one connection less is up from `at` on.
    pub fn connection_down(&mut self, at: u64) {
        self.integrate(at);
        self.up -= 1;
    }

    /// Records that a client starts to replace its connection at `at`.
    pub fn record_reconnect(&mut self, at: u64) {
        self.metrics.counts.reconnects += u64::from(self.is_recorded(at));
    }

    /// Records a failure at `at` of a connection or a connect that ended no message.
    pub fn record_connection_failure(&mut self, failure: Failure, at: u64) {
        if self.is_recorded(at) {
            self.metrics.counts.connections[failure] += 1;
        }
    }

    /// Records a wrong reply, inside or outside the window. The first one is kept.
    pub fn record_corruption(&mut self, corruption: Corruption) {
        self.metrics.counts.corrupted += 1;
        self.metrics.counts.corruption.get_or_insert(corruption);
    }

    /// Records that `message` ended at `at` without a reply that is right.
    ///
    /// A message without a reply stays in the response histogram at its age, as a lower bound. A message whose
    /// connection failed is only counted, unless the load generator gave the connection up.
    pub fn end(&mut self, message: Message, outcome: Outcome, at: u64) {
        let Message { intended, stage } = message;
        match stage {
            Stage::Connecting => self.close(intended, at),
            Stage::Sent(_) => self.close_sent(intended, at),
        }
        if !self.window.contains(&intended) {
            return;
        }
        let counts = &mut self.metrics.counts;
        match (outcome, stage) {
            (Outcome::Corrupted, _) => return,
            (Outcome::Failed(failure), _) => {
                counts.failures[failure] += 1;
                let has_age = [Failure::Timeout, Failure::ConnectTimeout, Failure::Lost];
                if !has_age.contains(&failure) {
                    return;
                }
            }
            (Outcome::Unfinished, Stage::Sent(_)) => counts.unanswered += 1,
            (Outcome::Unfinished, Stage::Connecting) => counts.unsent += 1,
        }
        let age = at.saturating_sub(intended);
        self.metrics.response.record_unfinished(age, 1);
    }

    /// Records at `at` that `count` messages of the window were due and never started. Their age is that of the first,
    /// which was intended at `intended`; see [`same_age_until`](Self::same_age_until).
    pub fn end_unstarted(&mut self, intended: u64, count: u64, at: u64) {
        self.metrics.counts.unsent += count;
        let age = at.saturating_sub(intended);
        self.metrics.response.record_unfinished(age, count);
    }

    /// Returns until when messages may be intended that have the same age at `at`, to the digits of the histogram, as a
    /// message that is intended at `intended`.
    pub fn same_age_until(&self, intended: u64, at: u64) -> u64 {
        match at.saturating_sub(intended) {
            0 => NEVER,
            age => at - self.metrics.response.shortest_equivalent(age) + 1,
        }
    }

    /// Returns true if an event at `at` that belongs to no message is recorded: while the clients connect for the first
    /// time, or in the window.
    fn is_recorded(&self, at: u64) -> bool {
        !self.has_connected || self.window.contains(&at)
    }

    fn is_counted(&self, intended: u64) -> bool {
        self.counting == Counting::All || intended >= self.window.start
    }

    fn close(&mut self, intended: u64, at: u64) {
        self.last_end = at;
        if self.is_counted(intended) {
            self.open -= 1;
            self.last_counted_end = at;
        }
    }

    fn close_sent(&mut self, intended: u64, at: u64) {
        self.integrate(at);
        self.in_flight -= u64::from(self.is_counted(intended));
        self.close(intended, at);
    }

    /// Integrates the messages in flight and the connections that are up until `now`.
    fn integrate(&mut self, now: u64) {
        let time = self.time_in_window(self.integrated_until, now);
        self.metrics.in_flight += u128::from(self.in_flight) * u128::from(time);
        self.up_time += u128::from(self.up) * u128::from(time);
        self.integrated_until = self.integrated_until.max(now);
    }

    /// Returns how long the time from `from` to `to` is in the window; 0 if `to` is before `from`.
    fn time_in_window(&self, from: u64, to: u64) -> u64 {
        let (from, to) = (from.max(self.window.start), to.min(self.window.end));
        to.saturating_sub(from)
    }
}

impl Observer for Recorder {
    #[inline]
    fn now(&self) -> u64 {
        platform::monotonic_now()
    }

    fn started(&mut self, intended: u64) {
        self.open += u64::from(self.is_counted(intended));
    }

    fn sent(&mut self, times: &Timestamps) {
        self.integrate(times.sent);
        self.in_flight += u64::from(self.is_counted(times.intended));
    }

    #[inline]
    fn answered(&mut self, times: &Timestamps, size: usize, at: u64) {
        self.close_sent(times.intended, at);
        let is_measured = self.window.contains(&times.intended);
        let is_counted = is_measured || self.counting == Counting::All;
        if is_counted && self.window.contains(&at) {
            self.metrics.counts.messages += 1;
            // With `Counting::All`, `received` counts the bytes.
            if self.counting == Counting::WindowOnly {
                self.metrics.counts.bytes += size as u64;
            }
        }
        if is_measured {
            self.metrics.response.record(at - times.intended);
            self.metrics.wait.record(times.sendable - times.intended);
            self.metrics.service.record(at - times.sent);
            self.metrics.send_lag.record(times.sent - times.sendable);
        }
    }

    fn received(&mut self, bytes: usize, at: u64) {
        if self.counting == Counting::All && self.window.contains(&at) {
            self.metrics.counts.bytes += bytes as u64;
        }
    }

    fn reading(&mut self, at: u64) {
        self.go_on(at);
        if self.window.contains(&at) {
            self.metrics.turn.record(at - self.turn_start);
        }
    }
}

#[cfg(test)]
mod tests;
