//! The phases of a worker, as a state machine without I/O: time and facts go in, commands come out.
//!
//! ```text
//!                 every client       all workers       end of the window,       replies are in,
//!                 has tried          have connected    or all messages ended    or too late
//!   Connecting -----------> Waiting ------------> Loaded ---------> Draining ---------> Done
//!                                                 warm-up, window
//! ```
//!
//! [`Phases::next`] takes the time and the [`Facts`], and returns the [`Command`] that is due. The generator executes
//! the command and asks again. A stop by the coordinator shortens the phases.

use std::time::Duration;

use super::control::Timeline;
use crate::load::plan::parts::Parts;
use crate::load::plan::settings::{Load, RunSettings};
use crate::net::timers::{NEVER, nanoseconds};

/// How long replies may arrive after a stop by the coordinator: 100 ms. Replies that are on their way arrive in that
/// time, so their messages do not count as unanswered, which would turn percentiles into lower bounds.
const STOP_GRACE: u64 = 100_000_000;

/// The phase of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerPhase {
    /// Every client connects once.
    Connecting,
    /// The other workers still connect, or the start of the load is awaited.
    Waiting,
    /// Messages start: the warm-up and the window.
    Loaded(Timeline),
    /// No message starts. Replies may arrive until this time.
    Draining(u64),
    /// The worker has finished.
    Done,
}

/// The facts that decide on the next phase.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// True if every client has tried to connect.
    pub have_all_tried: bool,
    /// The times of the run, once the coordinator has set them.
    pub timeline: Option<Timeline>,
    /// True if the coordinator has stopped the run.
    pub is_stopped: bool,
    /// True if every counted message that started has ended.
    pub is_idle: bool,
    /// True if the number of messages is limited and all of them have ended.
    pub is_complete: bool,
    /// True if the number of messages is limited, and messages are overdue while no message ends.
    pub is_stalled: bool,
    /// When the latest counted message ended, or the start of the window.
    pub last_counted_end: u64,
}

/// A command to the generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Report the connects to the coordinator.
    ReportConnected,
    /// Start the load.
    StartLoad(Timeline),
    /// Report that the warm-up is over.
    ReportWarmedUp,
    /// End a part of the window with a batch, but not with an interval, and report the metrics of the batch.
    EndBatch {
        /// The number of the part, from 0.
        part: usize,
        /// When the part ended.
        end: u64,
    },
    /// End a part of the window with an interval, and report the metrics.
    EndInterval {
        /// The number of the part, from 0.
        part: usize,
        /// When the part ended.
        end: u64,
    },
    /// End the window and the load.
    EndLoad {
        /// When the window ended.
        window_end: u64,
    },
    /// Close the connections, and report the last part and the end.
    Finish {
        /// The number of the last part, from 0.
        last_part: usize,
    },
}

/// The state machine of a worker's phases. Times are nanoseconds of the monotonic clock.
#[derive(Debug)]
pub struct Phases {
    phase: WorkerPhase,
    parts: Parts,
    timeout: u64,
    /// The length of the schedule of a limited number of messages, the same for all workers. A gap follows the last
    /// message, as it follows every message. 0 in a closed loop.
    schedule_length: u64,
    /// The number of parts that have started. The first one starts with the window.
    parts_started: usize,
    /// When the latest part started, from the start of the window.
    latest_part: u64,
    /// When the next part starts, from the start of the window, or [`NEVER`] after the last one.
    next_part: u64,
}

impl Phases {
    /// Creates the phases of a worker that starts to connect.
    pub fn new(settings: &RunSettings) -> Self {
        let schedule_length = match (settings.load, settings.stop.messages) {
            (Load::Open { rate, .. }, Some(messages)) => {
                Duration::try_from_secs_f64(messages as f64 / rate).map_or(NEVER, nanoseconds)
            }
            (Load::Open { .. }, None) | (Load::Closed, _) => 0,
        };
        Self {
            phase: WorkerPhase::Connecting,
            parts: Parts::new(settings),
            timeout: nanoseconds(settings.timeout),
            schedule_length,
            parts_started: 0,
            latest_part: 0,
            next_part: 0,
        }
    }

    /// Returns the current phase.
    pub fn phase(&self) -> WorkerPhase {
        self.phase
    }

    /// Returns when the next command may be due without a change of other facts, or [`NEVER`].
    pub fn deadline(&self, is_complete: bool) -> u64 {
        match self.phase {
            WorkerPhase::Loaded(timeline) => self
                .load_end(&timeline, is_complete)
                .min(self.next_part_start(&timeline)),
            WorkerPhase::Draining(until) => until,
            WorkerPhase::Connecting | WorkerPhase::Waiting | WorkerPhase::Done => NEVER,
        }
    }

    /// Moves on to the next phase, if it is time, and returns the command that is due at `now`.
    pub fn next(&mut self, now: u64, facts: &Facts) -> Option<Command> {
        match self.phase {
            WorkerPhase::Connecting if facts.have_all_tried => {
                self.phase = WorkerPhase::Waiting;
                Some(Command::ReportConnected)
            }
            WorkerPhase::Waiting if facts.timeline.is_some_and(|times| times.load_start <= now) => {
                facts.timeline.map(|timeline| {
                    self.phase = WorkerPhase::Loaded(timeline);
                    Command::StartLoad(timeline)
                })
            }
            WorkerPhase::Connecting | WorkerPhase::Waiting if facts.is_stopped => {
                Some(self.finish())
            }
            WorkerPhase::Loaded(timeline) => self.next_of_load(&timeline, now, facts),
            WorkerPhase::Draining(until) if now >= until || facts.is_idle => Some(self.finish()),
            WorkerPhase::Draining(until) if facts.is_stopped => {
                self.phase = WorkerPhase::Draining(until.min(now.saturating_add(STOP_GRACE)));
                None
            }
            WorkerPhase::Connecting
            | WorkerPhase::Waiting
            | WorkerPhase::Draining(_)
            | WorkerPhase::Done => None,
        }
    }

    fn next_of_load(&mut self, timeline: &Timeline, now: u64, facts: &Facts) -> Option<Command> {
        let part_start = self.next_part_start(timeline);
        if now >= part_start {
            return Some(self.start_part(part_start));
        }
        let is_stalled = now >= timeline.window_start && facts.is_stalled;
        if now >= self.load_end(timeline, facts.is_complete) || is_stalled {
            // A limited run ends with its last message and its schedule, not with the turn that noticed the end.
            let window_end = match facts.is_complete {
                true => self.schedule_end(timeline).max(facts.last_counted_end),
                false => now,
            };
            self.phase = WorkerPhase::Draining(now.saturating_add(self.timeout));
            Some(Command::EndLoad { window_end })
        } else if facts.is_stopped {
            self.phase = WorkerPhase::Draining(now.saturating_add(STOP_GRACE));
            Some(Command::EndLoad { window_end: now })
        } else {
            None
        }
    }

    /// Starts the next part at `start`, where the part before ends.
    fn start_part(&mut self, start: u64) -> Command {
        let Self {
            parts, latest_part, ..
        } = *self;
        let this = self.next_part;
        (self.latest_part, self.next_part) = (this, parts.part_end(this));
        self.parts_started += 1;
        match self.parts_started {
            // No part ends here: nothing of the warm-up was recorded, and messages of this turn are measured.
            1 => Command::ReportWarmedUp,
            started if parts.interval_end(latest_part) == this => Command::EndInterval {
                part: started - 2,
                end: start,
            },
            started => Command::EndBatch {
                part: started - 2,
                end: start,
            },
        }
    }

    fn finish(&mut self) -> Command {
        self.phase = WorkerPhase::Done;
        Command::Finish {
            last_part: self.parts_started.saturating_sub(1),
        }
    }

    /// Returns when the load ends, as far as known. A worker whose messages have all ended still takes part in the
    /// warm-up.
    fn load_end(&self, timeline: &Timeline, is_complete: bool) -> u64 {
        match is_complete {
            true => timeline.window_end.min(self.schedule_end(timeline)),
            false => timeline.window_end,
        }
    }

    fn schedule_end(&self, timeline: &Timeline) -> u64 {
        timeline.window_start.saturating_add(self.schedule_length)
    }

    /// Returns when the next part starts, or [`NEVER`] after the last one.
    fn next_part_start(&self, timeline: &Timeline) -> u64 {
        let start = timeline.window_start.saturating_add(self.next_part);
        match start < timeline.window_end {
            true => start,
            false => NEVER,
        }
    }
}

#[cfg(test)]
mod tests;
