//! Decides which messages may be begun and what of them is counted.
//!
//! A message belongs to the window by the time it was intended, a reply counts towards the rate by the time it came. What
//! belongs to the warm-up is not recorded at all.

use std::ops::Range;

use super::failure::Failure;
use super::metrics::{Corruption, Metrics, busy};
use crate::load::drive::session::{Observer, Timestamps};

/// The figures of one loop.
#[derive(Debug)]
pub struct Recorder {
    /// Of the interval so far.
    tally: Box<Metrics>,
    /// When that began.
    tally_began: u64,
    /// What is measured, in nanoseconds of the loop's clock.
    window: Range<u64>,
    /// Nanoseconds of the window that were handed over, and those of them without work.
    elapsed: u64,
    idle: u64,
    /// Messages that may still be begun in the window, if their number is limited.
    quota: Option<u64>,
    /// Messages that were begun by a connect and are not sent yet.
    dialed: u64,
    /// Whether messages are still begun.
    is_open: bool,
    /// Messages that count, were begun and have not ended.
    begun: u64,
    /// Those of them that were sent, and when these were last added up.
    in_flight: u64,
    settled: u64,
    /// Seats that are up, and their time in the window: seats times nanoseconds.
    up: u64,
    up_time: u128,
    /// When the poll returned.
    turn_began: u64,
    /// When a message last ended, and when one that counts did.
    last_end: u64,
    last_counted_end: u64,
}

impl Recorder {
    /// Records what comes before the load: connects and failures.
    pub fn new(now: u64) -> Self {
        Self {
            tally: Box::default(),
            tally_began: now,
            window: 0..0,
            elapsed: 0,
            idle: 0,
            quota: None,
            dialed: 0,
            is_open: false,
            begun: 0,
            in_flight: 0,
            settled: now,
            up: 0,
            up_time: 0,
            turn_began: now,
            last_end: now,
            last_counted_end: now,
        }
    }

    /// From now on messages may be begun; those intended in `window` are counted, and at most `quota` of them begun.
    pub fn open(&mut self, window: Range<u64>, quota: Option<u64>, now: u64) {
        self.last_counted_end = window.start;
        self.window = window;
        self.quota = quota;
        self.is_open = true;
        self.last_end = now;
    }

    /// The window ends at `now`, if it did not end earlier; before it has begun, it is none.
    pub fn close(&mut self, now: u64) {
        self.window.end = self.window.end.min(now).max(self.window.start);
    }

    /// From now on no message is begun.
    pub fn stop(&mut self) {
        self.is_open = false;
    }

    /// Whether a message that is intended then belongs to the load that was asked for.
    pub fn is_wanted(&self, intended: u64) -> bool {
        intended < self.window.end && (intended < self.window.start || self.quota != Some(0))
    }

    /// What is measured.
    pub fn window(&self) -> Range<u64> {
        self.window.clone()
    }

    /// When a message that counts last ended; at first the begin of the window.
    pub fn last_counted_end(&self) -> u64 {
        self.last_counted_end
    }

    /// Whether no message that counts is on its way.
    pub fn is_idle(&self) -> bool {
        self.begun == 0
    }

    /// Whether all messages that were asked for have been begun and have ended.
    pub fn is_complete(&self) -> bool {
        self.quota == Some(0) && self.is_idle()
    }

    /// Whether messages are counted, and none has ended for so long.
    pub fn is_stuck(&self, now: u64, patience: u64) -> bool {
        self.quota.is_some() && now.saturating_sub(self.last_end) > patience
    }

    /// Hands over what was recorded since the last time, and begins anew.
    pub fn hand_over(&mut self, now: u64) -> Box<Metrics> {
        self.settle(now);
        self.tally.elapsed = self.clip(now).saturating_sub(self.clip(self.tally_began));
        self.tally_began = now;
        self.elapsed += self.tally.elapsed;
        self.idle += self.tally.polling + self.tally.spinning;
        std::mem::take(&mut self.tally)
    }

    /// The share of busy time, of the window as far as it was handed over.
    pub fn busy(&self) -> Option<f64> {
        busy(self.idle, self.elapsed)
    }

    /// The poll waited.
    pub fn waited(&mut self, from: u64, to: u64) {
        self.turn_began = to;
        self.tally.polling += self.clip(to) - self.clip(from);
    }

    /// The poll looked, because something is due soon, and a turn found nothing to do.
    pub fn spun(&mut self, from: u64, to: u64) {
        self.turn_began = to;
        self.tally.spinning += self.clip(to) - self.clip(from);
    }

    /// The poll looked, and found something or was in a hurry.
    pub fn looked(&mut self, to: u64) {
        self.turn_began = to;
    }

    /// Seats that were up, on average over the window; none where no time passed.
    pub fn connections(&self) -> Option<f64> {
        let window = self.window.end - self.window.start;
        (window > 0).then(|| self.up_time as f64 / window as f64)
    }

    /// A connection was established at `at` after so long.
    pub fn connected(&mut self, nanoseconds: u64, at: u64) {
        if self.is_recorded(at) {
            self.tally.connect.record(nanoseconds);
        }
    }

    /// From `at` on one more seat has what it needs.
    pub fn went_up(&mut self, at: u64) {
        self.settle(at);
        self.up += 1;
    }

    /// From `at` on one seat less has it.
    pub fn went_down(&mut self, at: u64) {
        self.settle(at);
        self.up -= 1;
    }

    /// A connection is about to be replaced at `at`.
    pub fn reconnected(&mut self, at: u64) {
        self.tally.reconnects += u64::from(self.is_recorded(at));
    }

    /// Something failed at `at` that was no message.
    pub fn failed(&mut self, failure: Failure, at: u64) {
        self.tally.failures[failure] += u64::from(self.is_recorded(at));
    }

    /// Before the load begins everything is recorded, then what happens in the window.
    fn is_recorded(&self, at: u64) -> bool {
        self.window.is_empty() || self.window.contains(&at)
    }

    /// With churn a connect is the begin of a message: may one that is intended then be begun?
    pub fn may_dial(&self, intended: u64) -> bool {
        self.is_open && self.is_wanted(intended)
    }

    /// It was begun.
    pub fn dialed(&mut self, intended: u64) {
        self.dialed += 1;
        self.begin(intended);
    }

    /// The connection of a message that was to be sent failed, and the message with it.
    pub fn never_sent(&mut self, intended: u64, failure: Failure, at: u64) {
        self.dropped_unsent(intended, at);
        self.failed_message(intended, failure, at);
    }

    /// Something was wrong with the connection of a message that was to be sent, which is counted apart.
    pub fn dropped_unsent(&mut self, intended: u64, at: u64) {
        self.dialed -= 1;
        self.end(intended, at);
    }

    /// A message was lost with its connection.
    pub fn lost(&mut self, times: &Timestamps, failure: Failure, at: u64) {
        self.ended(times, at);
        self.failed_message(times.intended, failure, at);
    }

    /// One that timed out stays in the histogram, at its age.
    fn failed_message(&mut self, intended: u64, failure: Failure, at: u64) {
        if !self.window.contains(&intended) {
            return;
        }
        self.tally.failures[failure] += 1;
        if matches!(failure, Failure::Timeout | Failure::ConnectTimeout) {
            self.unfinished(intended, at);
        }
    }

    /// A message had a wrong reply, which is counted apart.
    pub fn dropped(&mut self, times: &Timestamps, at: u64) {
        self.ended(times, at);
    }

    /// A message had no answer when the load ended.
    pub fn unanswered(&mut self, times: &Timestamps, at: u64) {
        self.ended(times, at);
        if self.window.contains(&times.intended) {
            self.tally.unanswered += 1;
            self.unfinished(times.intended, at);
        }
    }

    /// A message was never begun.
    pub fn unsent(&mut self, intended: u64, at: u64) {
        if self.window.contains(&intended) {
            self.count_unsent(intended, at);
            self.take_from_quota();
        }
    }

    /// A message was begun by a connect, and not sent when the load ended.
    pub fn unsent_though_dialed(&mut self, intended: u64, at: u64) {
        self.dropped_unsent(intended, at);
        if self.window.contains(&intended) {
            self.count_unsent(intended, at);
        }
    }

    fn count_unsent(&mut self, intended: u64, at: u64) {
        self.tally.unsent += 1;
        self.unfinished(intended, at);
    }

    /// A reply differs from what was sent.
    pub fn corrupted(&mut self, corruption: Corruption) {
        self.tally.corrupted += 1;
        self.tally.corruption.get_or_insert(corruption);
    }

    fn unfinished(&mut self, intended: u64, at: u64) {
        let age = at.saturating_sub(intended);
        self.tally.response.record_unfinished(age);
    }

    fn ended(&mut self, times: &Timestamps, at: u64) {
        self.settle(at);
        self.in_flight -= u64::from(self.is_counted(times.intended));
        self.end(times.intended, at);
    }

    fn begin(&mut self, intended: u64) {
        self.begun += u64::from(self.is_counted(intended));
        if intended >= self.window.start {
            self.take_from_quota();
        }
    }

    fn end(&mut self, intended: u64, at: u64) {
        self.last_end = at;
        if self.is_counted(intended) {
            self.begun -= 1;
            self.last_counted_end = at;
        }
    }

    /// Where a number of messages was asked for, exactly those are counted, in all figures.
    fn is_counted(&self, intended: u64) -> bool {
        self.quota.is_none() || intended >= self.window.start
    }

    fn take_from_quota(&mut self) {
        self.quota = self.quota.map(|quota| quota.saturating_sub(1));
    }

    /// Adds up the messages in flight and the connections until `now`.
    fn settle(&mut self, now: u64) {
        let now = now.max(self.settled);
        let time = self.clip(now).saturating_sub(self.clip(self.settled));
        self.tally.in_flight += u128::from(self.in_flight) * u128::from(time);
        self.up_time += u128::from(self.up) * u128::from(time);
        self.settled = now;
    }

    fn clip(&self, time: u64) -> u64 {
        time.clamp(self.window.start, self.window.end)
    }
}

impl Observer for Recorder {
    fn may_begin(&mut self, intended: u64) -> bool {
        self.dialed > 0 || self.may_dial(intended)
    }

    fn sent(&mut self, times: &Timestamps) {
        self.settle(times.sent);
        self.in_flight += u64::from(self.is_counted(times.intended));
        match self.dialed {
            0 => self.begin(times.intended),
            _ => self.dialed -= 1,
        }
    }

    fn answered(&mut self, times: &Timestamps, size: usize, at: u64) {
        self.ended(times, at);
        let is_measured = self.window.contains(&times.intended);
        let is_in_time = self.window.contains(&at);
        match self.quota {
            None => self.tally.messages += u64::from(is_in_time),
            Some(_) if is_measured && is_in_time => {
                self.tally.messages += 1;
                self.tally.bytes += size as u64;
            }
            Some(_) => {}
        }
        if is_measured {
            self.tally.response.record(at - times.intended);
            self.tally.wait.record(times.sendable - times.intended);
            self.tally.service.record(at - times.sent);
            self.tally.send_lag.record(times.sent - times.sendable);
        }
    }

    fn received(&mut self, bytes: usize, at: u64) {
        if self.quota.is_none() && self.window.contains(&at) {
            self.tally.bytes += bytes as u64;
        }
    }

    fn reading(&mut self, at: u64) {
        if self.window.contains(&at) {
            self.tally.turn.record(at - self.turn_began);
        }
    }
}

#[cfg(test)]
mod tests;
