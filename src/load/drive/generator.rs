//! The loop of one worker thread: a share of the clients, their schedules, and their metrics.
//!
//! ```text
//!          +--------------------------------------------------------------------------+
//!          |  wait     until an event or a due time; close to the time of a message   |
//!          |           the loop spins instead                                         |
//!          |  record   events -> readiness and queues; no I/O                         |
//!          |  run      clients with an event: read, compare, send                     |
//!          |  due      messages whose time has come; timeouts; connects               |
//!          |  phase    connect -> wait -> load -> drain -> done                       |
//!          +--------------------------------------------------------------------------+
//! ```

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::{Events, Token};

use super::clients::Clients;
use super::control::{WorkerEvent, WorkerSetup, WorkerSummary};
use super::phases::{Command, Facts, Phases, WorkerPhase};
use super::tallies::{Tallies, Tally};
use crate::load::plan::share::WorkerShare;
use crate::net::poll::{self, EVENTS_PER_WAIT, timeout_until};
use crate::net::timers::{NEVER, nanoseconds};
use crate::net::{Handle, platform};

const WAKER: Token = Token(usize::MAX - 1);

/// The loop of one worker thread.
pub struct Generator {
    events: Events,
    setup: WorkerSetup,
    clients: Clients,
    phases: Phases,
    tallies: Tallies,
    /// True if the latest turn found nothing to do.
    is_idle_turn: bool,
}

impl Generator {
    /// Creates the loop for a share of the clients, and the handle that wakes it.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses a poll or a waker.
    pub fn new(setup: &WorkerSetup, share: WorkerShare) -> io::Result<(Self, Handle)> {
        let (poll, handle) = poll::with_waker(WAKER)?;
        let generator = Self {
            events: Events::with_capacity(EVENTS_PER_WAIT),
            setup: setup.clone(),
            clients: Clients::new(setup, share, poll),
            phases: Phases::new(&setup.settings),
            tallies: Tallies::default(),
            is_idle_turn: false,
        };
        Ok((generator, handle))
    }

    /// Runs the loop until the run is over.
    ///
    /// # Errors
    ///
    /// Fails only if the poll fails.
    pub fn run(mut self) -> io::Result<()> {
        while self.phases.phase() != WorkerPhase::Done {
            self.wait()?;
            for event in &self.events {
                if event.token() != WAKER {
                    self.clients.handle_event(event);
                }
            }
            self.clients.run_ready();
            self.clients.run_due();
            while let Some(command) = self.phases.next(self.clients.runner.now, &self.facts()) {
                self.execute(command);
            }
        }
        Ok(())
    }

    fn wait(&mut self) -> io::Result<()> {
        let from = platform::monotonic_now();
        let spin_from = match self.next_exact_time() {
            NEVER => NEVER,
            exact => exact.saturating_sub(nanoseconds(platform::SPIN)),
        };
        let is_spinning = spin_from <= from;
        let timeout = match is_spinning || !self.clients.runner.ready.is_empty() {
            true => Some(Duration::ZERO),
            false => {
                let deadline = spin_from
                    .min(self.clients.next_timer())
                    .min(self.phases.deadline(self.clients.is_complete()))
                    .min(self.clients.runner.recorder.go_on_by());
                timeout_until(deadline, from)
            }
        };
        let runner = &mut self.clients.runner;
        let previous = runner.now;
        poll::wait(&mut runner.poll, &mut self.events, timeout)?;
        runner.now = platform::monotonic_now();
        let found_nothing = self.events.is_empty() && runner.sends.next_time() > runner.now;
        runner.recorder.start_turn(runner.now);
        if is_spinning && found_nothing {
            // Turns that find nothing to do count as spinning from one poll to the next.
            let from = if self.is_idle_turn { previous } else { from };
            runner.recorder.record_spin(from, runner.now);
        } else if timeout != Some(Duration::ZERO) {
            runner.recorder.record_wait(from, runner.now);
        }
        self.is_idle_turn = found_nothing;
        Ok(())
    }

    /// Returns the next time that a wait of the poll could miss, or [`NEVER`]: the poll waits in whole milliseconds.
    fn next_exact_time(&self) -> u64 {
        match self.phases.phase() {
            WorkerPhase::Loaded(_) => self.clients.runner.sends.next_time(),
            WorkerPhase::Waiting => {
                let timeline = self.setup.control.timeline.get();
                timeline.map_or(NEVER, |timeline| timeline.load_start)
            }
            WorkerPhase::Connecting | WorkerPhase::Draining(_) | WorkerPhase::Done => NEVER,
        }
    }

    fn facts(&self) -> Facts {
        let runner = &self.clients.runner;
        Facts {
            have_all_tried: runner.connector.have_all_tried(),
            timeline: self.setup.control.timeline.get().copied(),
            is_stopped: self.setup.control.is_stopped.load(Ordering::Acquire),
            is_idle: runner.recorder.is_idle(),
            is_complete: self.clients.is_complete(),
            is_stalled: self.clients.is_stalled(),
            last_counted_end: runner.recorder.last_counted_end(),
        }
    }

    fn execute(&mut self, command: Command) {
        let now = self.clients.runner.now;
        match command {
            Command::ReportConnected => self.setup.send(WorkerEvent::Connected {
                connections: self.clients.runner.connector.established(),
                metrics: self.clients.runner.recorder.end_connects(now),
            }),
            Command::StartLoad(timeline) => self.clients.start_load(&timeline),
            Command::ReportWarmedUp => self.setup.send(WorkerEvent::WarmedUp),
            Command::EndBatch { part, end } => self.end_batch(part, end),
            Command::EndInterval { part, end } => self.end_interval(part, end),
            Command::EndLoad { window_end } => self.clients.end_load(window_end),
            Command::Finish { last_part } => self.finish(last_part),
        }
    }

    fn end_batch(&mut self, part: usize, end: u64) {
        let recorder = &mut self.clients.runner.recorder;
        let tally = match self.tallies.batch.take() {
            Some(empty) => Tally::Batch(
                recorder.start_batch(empty),
                self.tallies.batch.sender.clone(),
            ),
            None => Tally::Later,
        };
        self.send_part(part, end, tally);
    }

    fn end_interval(&mut self, part: usize, end: u64) {
        let recorder = &mut self.clients.runner.recorder;
        let tally = match self.tallies.interval.take() {
            Some(empty) => Tally::Interval(
                recorder.start_interval(end, empty),
                self.tallies.interval.sender.clone(),
            ),
            None => Tally::Later,
        };
        self.send_part(part, end, tally);
    }

    fn send_part(&self, index: usize, end: u64, tally: Tally) {
        self.setup
            .send(WorkerEvent::PartEnded { index, end, tally });
    }

    fn finish(&mut self, last_part: usize) {
        self.clients.finish();
        let window_end = self.clients.runner.recorder.window().end;
        let metrics = self.clients.runner.recorder.end_interval(window_end);
        let tally = Tally::Interval(metrics, self.tallies.interval.sender.clone());
        self.send_part(last_part, window_end, tally);
        let recorder = &self.clients.runner.recorder;
        let established = self.clients.runner.connector.established() as f64;
        let summary = WorkerSummary {
            connections: recorder.mean_connections().unwrap_or(established),
            busy: recorder.busy(),
            parts: last_part + 1,
        };
        self.setup.send(WorkerEvent::Finished(summary));
    }
}
