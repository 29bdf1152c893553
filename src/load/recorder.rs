//! Decides which messages may be begun and what of them is counted.
//!
//! A message belongs to the window by the time it was intended, a reply counts towards the rate by the time it came. What
//! belongs to the warm-up is not recorded at all.

use std::ops::Range;

use super::session::{Observer, Times};
use super::tally::busy;
use super::{Failure, Tally};

/// The figures of one loop.
#[derive(Debug)]
pub struct Recorder {
    /// Of the interval so far.
    tally: Box<Tally>,
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
    /// Unanswered messages, those of them that are counted, and when these were last added up.
    in_flight: u64,
    counted: u64,
    settled: u64,
    /// Connections that are up, and their time in the window: connections times nanoseconds.
    up: u64,
    up_time: u128,
    /// When the poll returned.
    turn_began: u64,
    /// When a message last ended.
    last_end: u64,
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
            in_flight: 0,
            counted: 0,
            settled: now,
            up: 0,
            up_time: 0,
            turn_began: now,
            last_end: now,
        }
    }

    /// From now on messages may be begun; those intended in `window` are counted, and at most `quota` of them begun.
    pub fn open(&mut self, window: Range<u64>, quota: Option<u64>, now: u64) {
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

    /// When a message last ended.
    pub fn last_end(&self) -> u64 {
        self.last_end
    }

    /// Whether no message is on its way.
    pub fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.dialed == 0
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
    pub fn hand_over(&mut self, now: u64) -> Box<Tally> {
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

    /// Connections that were up, on average over the window; none where no time passed.
    pub fn connections(&self) -> Option<usize> {
        let window = u128::from(self.window.end - self.window.start);
        (window > 0).then(|| ((self.up_time + window / 2) / window) as usize)
    }

    /// A connection was established at `at` after so long.
    pub fn connected(&mut self, nanoseconds: u64, at: u64) {
        self.settle(at);
        self.up += 1;
        if self.is_recorded(at) {
            self.tally.connect.record(nanoseconds);
        }
    }

    /// An established connection is gone at `at`.
    pub fn disconnected(&mut self, at: u64) {
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
        if intended >= self.window.start {
            self.take_from_quota();
        }
    }

    /// The connection of a message that was to be sent failed, and the message with it.
    pub fn never_sent(&mut self, intended: u64, failure: Failure, at: u64) {
        self.dropped_unsent(at);
        self.failed_message(intended, failure, at);
    }

    /// Something was wrong with the connection of a message that was to be sent, which is counted apart.
    pub fn dropped_unsent(&mut self, at: u64) {
        self.dialed -= 1;
        self.last_end = at;
    }

    /// A message was lost with its connection.
    pub fn lost(&mut self, times: &Times, failure: Failure, at: u64) {
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
    pub fn dropped(&mut self, times: &Times, at: u64) {
        self.ended(times, at);
    }

    /// A message had no answer when the load ended.
    pub fn unanswered(&mut self, times: &Times, at: u64) {
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
        self.dropped_unsent(at);
        if self.window.contains(&intended) {
            self.count_unsent(intended, at);
        }
    }

    fn count_unsent(&mut self, intended: u64, at: u64) {
        self.tally.unsent += 1;
        self.unfinished(intended, at);
    }

    /// A reply differs from what was sent.
    pub fn corrupted(&mut self, corruption: super::Corruption) {
        self.tally.corrupted += 1;
        self.tally.corruption.get_or_insert(corruption);
    }

    fn unfinished(&mut self, intended: u64, at: u64) {
        let age = at.saturating_sub(intended);
        self.tally.response.record_unfinished(age);
    }

    fn ended(&mut self, times: &Times, at: u64) {
        self.settle(at);
        self.in_flight -= 1;
        self.counted -= u64::from(self.is_counted(times));
        self.last_end = at;
    }

    /// Where a number of messages was asked for, exactly those are counted, in all figures.
    fn is_counted(&self, times: &Times) -> bool {
        self.quota.is_none() || times.intended >= self.window.start
    }

    fn take_from_quota(&mut self) {
        self.quota = self.quota.map(|quota| quota.saturating_sub(1));
    }

    /// Adds up the messages in flight and the connections until `now`.
    fn settle(&mut self, now: u64) {
        let now = now.max(self.settled);
        let time = self.clip(now).saturating_sub(self.clip(self.settled));
        self.tally.in_flight += u128::from(self.counted) * u128::from(time);
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

    fn sent(&mut self, times: &Times) {
        self.settle(times.sent);
        self.in_flight += 1;
        self.counted += u64::from(self.is_counted(times));
        match self.dialed {
            0 if times.intended >= self.window.start => self.take_from_quota(),
            0 => {}
            _ => self.dialed -= 1,
        }
    }

    fn answered(&mut self, times: &Times, size: usize, at: u64) {
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
mod tests {
    use super::*;

    fn times(intended: u64) -> Times {
        Times {
            intended,
            sendable: intended + 1,
            sent: intended + 3,
        }
    }

    fn recorder(quota: Option<u64>) -> Recorder {
        let mut recorder = Recorder::new(0);
        recorder.open(100..200, quota, 50);
        recorder
    }

    fn answer(recorder: &mut Recorder, intended: u64, at: u64) {
        recorder.sent(&times(intended));
        recorder.answered(&times(intended), 64, at);
    }

    #[test]
    fn a_message_is_measured_if_it_was_intended_in_the_window() {
        let mut recorder = recorder(None);
        for (intended, at) in [(90, 95), (95, 105), (100, 110), (199, 210)] {
            answer(&mut recorder, intended, at);
        }
        let tally = recorder.hand_over(300);
        assert_eq!(tally.response.histogram.len(), 2);
        assert_eq!(tally.messages, 2, "those that came in the window");
        assert_eq!(tally.response.max, 11);
        assert_eq!(
            (tally.wait.max, tally.send_lag.max, tally.service.max),
            (1, 2, 8)
        );
    }

    #[test]
    fn a_number_of_messages_is_kept_exactly() {
        let mut recorder = recorder(Some(2));
        answer(&mut recorder, 90, 120);
        for intended in [100, 110] {
            assert!(recorder.may_begin(intended) && !recorder.is_complete());
            answer(&mut recorder, intended, intended + 5);
        }
        assert!(!recorder.may_begin(120) && recorder.is_complete());
        assert_eq!(recorder.hand_over(130).messages, 2);
    }

    #[test]
    fn with_a_number_of_messages_only_those_are_in_any_figure() {
        let mut recorder = recorder(Some(2));
        recorder.sent(&times(90));
        recorder.received(64, 120);
        recorder.answered(&times(90), 64, 120);
        recorder.sent(&times(117));
        recorder.received(64, 140);
        recorder.answered(&times(117), 64, 140);
        let tally = recorder.hand_over(200);
        assert_eq!((tally.messages, tally.bytes, tally.in_flight), (1, 64, 20));
    }

    #[test]
    fn a_reply_behind_the_window_is_no_part_of_the_rate() {
        for quota in [None, Some(9)] {
            let mut recorder = recorder(quota);
            answer(&mut recorder, 150, 199);
            answer(&mut recorder, 160, 200);
            let tally = recorder.hand_over(220);
            assert_eq!(tally.messages, 1, "{quota:?}");
            assert_eq!(tally.response.histogram.len(), 2, "{quota:?}");
        }
    }

    #[test]
    fn connections_are_those_of_the_window_on_average() {
        let mut recorder = Recorder::new(0);
        assert_eq!(recorder.connections(), None);
        for at in [10, 20, 30, 40] {
            recorder.connected(5, at);
        }
        recorder.disconnected(45);
        recorder.open(100..200, None, 50);
        assert_eq!(recorder.hand_over(100).messages, 0);
        recorder.disconnected(140);
        recorder.connected(5, 150);
        recorder.disconnected(170);
        recorder.close(200);
        recorder.disconnected(230);
        recorder.disconnected(230);
        // Three for 60 ns, two for 40.
        assert_eq!(recorder.connections(), Some(3));
    }

    #[test]
    fn with_churn_no_more_connects_are_begun_than_messages_were_asked_for() {
        let mut recorder = recorder(Some(2));
        recorder.dialed(100);
        recorder.dialed(101);
        assert!(!recorder.may_dial(102), "both are on their way");
        assert!(recorder.may_begin(100) && !recorder.is_complete());
        answer(&mut recorder, 100, 105);
        assert!(!recorder.is_complete(), "the other one is on its way");
        recorder.never_sent(101, Failure::Closed, 110);
        assert!(!recorder.may_dial(111), "it has failed with its connection");
        assert!(recorder.is_complete());
    }

    #[test]
    fn with_churn_a_message_ends_in_one_way_also_where_it_was_never_sent() {
        let mut recorder = recorder(Some(4));
        for intended in [100, 110, 120, 130] {
            recorder.dialed(intended);
        }
        recorder.never_sent(100, Failure::Refused, 105);
        recorder.never_sent(110, Failure::ConnectTimeout, 160);
        recorder.dropped_unsent(165);
        assert!(!recorder.is_complete());
        recorder.unsent_though_dialed(130, 190);
        assert!(recorder.is_complete());
        let tally = recorder.hand_over(200);
        assert_eq!((tally.failures.total(), tally.unsent), (2, 1));
        assert_eq!(tally.response.histogram.len(), 2, "a refusal is no time");
        assert_eq!(tally.response.bounded_from, Some(50));
    }

    #[test]
    fn what_has_no_answer_stays_in_the_histogram_as_a_lower_bound() {
        let mut recorder = recorder(None);
        answer(&mut recorder, 100, 110);
        recorder.sent(&times(120));
        recorder.unanswered(&times(120), 220);
        recorder.unsent(150, 220);
        recorder.sent(&times(160));
        recorder.lost(&times(160), Failure::Timeout, 190);
        recorder.sent(&times(170));
        recorder.lost(&times(170), Failure::Reset, 190);
        let tally = recorder.hand_over(220);
        assert_eq!((tally.unanswered, tally.unsent), (1, 1));
        assert_eq!(tally.response.histogram.len(), 4, "a reset is no time");
        assert_eq!(tally.response.bounded_from, Some(30));
        assert_eq!(tally.failures.total(), 2);
    }

    #[test]
    fn a_load_that_is_cut_in_its_warm_up_has_no_window() {
        let mut recorder = recorder(None);
        answer(&mut recorder, 55, 60);
        recorder.sent(&times(70));
        recorder.waited(60, 80);
        recorder.close(80);
        recorder.unanswered(&times(70), 80);
        assert_eq!(recorder.window(), 100..100);
        let tally = recorder.hand_over(100);
        assert_eq!((tally.messages, tally.unanswered, tally.elapsed), (0, 0, 0));
        assert_eq!((tally.polling, tally.in_flight), (0, 0));
    }

    #[test]
    fn messages_in_flight_are_integrated_over_the_window_alone() {
        let mut recorder = recorder(None);
        recorder.sent(&times(87));
        recorder.sent(&times(147));
        recorder.answered(&times(87), 64, 170);
        recorder.answered(&times(147), 64, 250);
        // 90 to 170 is in the window from 100 on, 150 to 250 until 200.
        assert_eq!(recorder.hand_over(300).in_flight, 70 + 50);
    }

    #[test]
    fn a_failure_in_the_warm_up_or_after_the_window_is_nobodys() {
        let mut recorder = Recorder::new(0);
        recorder.failed(Failure::Refused, 10);
        recorder.open(100..200, None, 50);
        recorder.failed(Failure::Closed, 70);
        recorder.failed(Failure::Closed, 150);
        recorder.failed(Failure::Closed, 250);
        assert_eq!(recorder.hand_over(300).failures.total(), 2);
    }
}
