//! Where a loop is on its way: connect, warm up, measure, drain.
//!
//! ```text
//!   Connecting --> Waiting --> Loaded: warm-up | window --> Draining --> Done
//!   every seat     all loops,  messages are begun           replies
//!   tried once     a time                                   may come
//! ```

use std::time::Duration;

use super::client::SocketState;
use super::connector::REDIAL;
use super::control::{Timeline, WorkerEvent};
use super::generator::Generator;
use crate::load::plan::schedule::Schedule;
use crate::load::plan::settings::Load;
use crate::net::timers::{NEVER, nanoseconds};

/// Where a loop is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkerPhase {
    /// Every seat is tried once.
    Connecting,
    /// Until all threads are connected and the load begins.
    Waiting,
    /// Warm-up and window.
    Loaded,
    /// The replies that are due may still come.
    Draining {
        until: u64,
    },
    Done,
}

/// How long replies may come after an interrupt.
const GRACE: u64 = 100_000_000;

impl Generator {
    pub(crate) fn advance(&mut self) {
        while self.now >= self.next_interval {
            self.hand_over_interval();
        }
        match self.phase {
            WorkerPhase::Connecting
                if self.dialed == self.clients.len() && self.connecting == 0 =>
            {
                let tally = self.recorder.hand_over(self.now);
                self.reporter.tell(WorkerEvent::Connected {
                    connections: self.up,
                    tally,
                });
                self.phase = WorkerPhase::Waiting;
            }
            WorkerPhase::Waiting => self.begin_in_time(),
            WorkerPhase::Loaded if self.is_over() => {
                let patience = nanoseconds(self.settings.timeout);
                self.drain(self.window_ends(), self.now.saturating_add(patience));
            }
            WorkerPhase::Draining { until } if self.now >= until || self.recorder.is_idle() => {
                self.finish()
            }
            WorkerPhase::Connecting
            | WorkerPhase::Loaded
            | WorkerPhase::Draining { .. }
            | WorkerPhase::Done => {}
        }
        if self.control.is_cut() && !std::mem::replace(&mut self.is_cut, true) {
            self.cut();
        }
    }

    /// The window ends now. What is on its way may come for a moment, so that messages which nobody held up do not make
    /// lower bounds of the figures.
    fn cut(&mut self) {
        let until = self.now.saturating_add(GRACE);
        match self.phase {
            WorkerPhase::Connecting | WorkerPhase::Waiting => self.finish(),
            WorkerPhase::Loaded => self.drain(self.now, until),
            WorkerPhase::Draining { until: end } => {
                self.phase = WorkerPhase::Draining {
                    until: end.min(until),
                };
            }
            WorkerPhase::Done => {}
        }
    }

    fn begin_in_time(&mut self) {
        if self.timeline.is_none() {
            self.timeline = self.control.timeline.get().copied();
        }
        if let Some(timeline) = self.timeline.filter(|timeline| timeline.begin <= self.now) {
            self.begin(timeline);
        }
    }

    fn begin(&mut self, timeline: Timeline) {
        let window = timeline.window..timeline.end;
        let connections = self.settings.connections;
        let messages = self.settings.stop.messages;
        let quota = messages.map(|messages| self.part.messages(messages, connections));
        self.recorder.open(window, quota, self.now);
        self.phase = WorkerPhase::Loaded;
        self.next_interval = timeline.window;
        self.scheduled_until = timeline.window.saturating_add(self.schedule_length());
        for key in 0..self.clients.len() {
            let client = &mut self.clients[key];
            client.schedule = Schedule::new(&self.settings, client.number, timeline.begin);
            if self.settings.churn {
                self.next_churn(key);
            } else if let SocketState::Up { session, .. } = &mut client.line {
                session.handle_begin(self.now);
                self.run_session(key);
            } else {
                client.redial_at = self.now;
                self.arm_timer(key);
            }
        }
    }

    /// How long an open loop has for a number of messages: its last message has a time of its own, as each has. All loops
    /// of a load have the same.
    fn schedule_length(&self) -> u64 {
        match (self.settings.load, self.settings.stop.messages) {
            (Load::Open { rate, .. }, Some(messages)) => {
                Duration::try_from_secs_f64(messages as f64 / rate).map_or(NEVER, nanoseconds)
            }
            _ => 0,
        }
    }

    /// At the begin of the window nothing is handed over: of the warm-up nothing was recorded, and what this turn has
    /// recorded is the window's.
    fn hand_over_interval(&mut self) {
        let window = self.recorder.window();
        if self.next_interval == window.start {
            self.reporter.tell(WorkerEvent::WarmedUp);
        } else {
            self.end_interval(self.next_interval);
        }
        self.next_interval += nanoseconds(self.settings.interval);
        if self.next_interval >= window.end {
            self.next_interval = NEVER;
        }
    }

    fn end_interval(&mut self, end: u64) {
        self.reporter.tell(WorkerEvent::Interval {
            index: self.intervals,
            end,
            tally: self.recorder.hand_over(end),
        });
        self.intervals += 1;
    }

    fn is_over(&self) -> bool {
        let is_measuring = self.now >= self.recorder.window().start;
        self.now >= self.load_ends() || (is_measuring && self.is_stuck())
    }

    /// Whether messages are counted and, for so long that each could have been tried twice, one was due and none ended.
    fn is_stuck(&self) -> bool {
        let patience = nanoseconds(self.settings.timeout).saturating_add(REDIAL);
        let patience = patience.saturating_mul(2);
        // The look at all seats is left to loops in which nothing ends.
        self.recorder.is_stuck(self.now, patience)
            && self.clients.iter().any(|client| {
                let due = client.schedule.next().unwrap_or(0);
                self.now.saturating_sub(due) > patience
            })
    }

    /// As far as it is known. A loop whose messages are all through, or that has none, still takes part in the warm-up.
    fn load_ends(&self) -> u64 {
        let window = self.recorder.window();
        match self.recorder.is_complete() {
            true => window.end.min(self.scheduled_until),
            false => window.end,
        }
    }

    /// Of a load that is over: with the last of its messages and their schedule, not with the turn that noticed.
    fn window_ends(&self) -> u64 {
        match self.recorder.is_complete() {
            true => self.scheduled_until.max(self.recorder.last_counted_end()),
            false => self.now,
        }
    }

    fn drain(&mut self, window_end: u64, until: u64) {
        self.recorder.close(window_end);
        self.next_interval = NEVER;
        self.send_last();
        self.phase = WorkerPhase::Draining { until };
        if !self.settings.churn {
            self.recorder.stop();
        }
        if self.recorder.is_idle() {
            self.finish();
        }
    }

    /// Messages that were due in this last turn and that nobody held up: that they are late is in the send lag.
    fn send_last(&mut self) {
        let last = self.recorder.window().end.saturating_sub(1);
        while let Some((_, key)) = self.sends.pop_due(last.min(self.now)) {
            self.run_slot(key);
        }
    }

    fn finish(&mut self) {
        for key in 0..self.clients.len() {
            if self.has_unsent(key) {
                let intended = self.take_unsent(key);
                self.recorder.unsent_though_dialed(intended, self.now);
            }
            if let SocketState::Up { session, .. } = self.close(key) {
                for times in session.into_unanswered() {
                    self.recorder.unanswered(&times, self.now);
                }
            }
            self.count_unsent(key);
        }
        let end = self.recorder.window().end;
        self.end_interval(end);
        let busy = self.recorder.busy();
        self.reporter.tell(WorkerEvent::Done {
            connections: self.recorder.connections().unwrap_or(self.up as f64),
            ended: end,
            busy,
            intervals: self.intervals,
        });
        self.phase = WorkerPhase::Done;
    }

    fn count_unsent(&mut self, key: usize) {
        let schedule = &mut self.clients[key].schedule;
        let is_dialed = matches!(schedule, Schedule::Closed | Schedule::Dialed { .. });
        // Where the load was cut in its warm-up nothing was to be counted, however long that was to be.
        if is_dialed || self.recorder.window().is_empty() {
            return;
        }
        while let Some(intended) = schedule
            .next()
            .filter(|next| self.recorder.is_wanted(*next))
        {
            self.recorder.unsent(intended, self.now);
            schedule.advance();
        }
    }

    pub(crate) fn phase_ends(&self) -> u64 {
        match self.phase {
            WorkerPhase::Loaded => self.load_ends(),
            WorkerPhase::Draining { until } => until,
            WorkerPhase::Connecting | WorkerPhase::Waiting | WorkerPhase::Done => NEVER,
        }
    }

    /// The next time that must be kept exactly.
    pub(crate) fn next_due(&self) -> u64 {
        match self.phase {
            WorkerPhase::Waiting => self.timeline.map_or(NEVER, |timeline| timeline.begin),
            WorkerPhase::Loaded => self.sends.next(),
            WorkerPhase::Connecting | WorkerPhase::Draining { .. } | WorkerPhase::Done => NEVER,
        }
    }
}
