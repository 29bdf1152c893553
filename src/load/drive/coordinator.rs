//! Directs a run, from the first connect to the results.
//!
//! The workers run on threads of their own. The coordinator tells them when the load starts, adds up their metrics,
//! reads the CPU times of this process and the server, and handles signals.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime};

use super::batches::Batches;
use super::child_server::ChildServer;
use super::control::{Timeline, WorkerEvent, WorkerSetup};
use super::error::RunError;
use super::event::{RunEvent, RunPhase};
use super::intervals::Intervals;
use super::part_collector::PartCollector;
use super::prepare::ReadyRun;
use super::signal_waiter::SignalWaiter;
use super::stalls::Stalls;
use super::tallies::Tally;
use super::totals::Totals;
use super::workers::Workers;
use crate::load::measure::interval::{Interval, IntervalSummary};
use crate::load::measure::measurement::{Measurement, Results, TargetRate};
use crate::load::measure::usage::UsageMeter;
use crate::load::plan::parts::Parts;
use crate::load::plan::payload::Payload;
use crate::load::units::pluralize;
use crate::net::ScopedAddress;
use crate::net::platform;
use crate::net::signals::SignalRequest;
use crate::net::timers::{NEVER, nanoseconds};

/// The time between two [`RunEvent::Tick`]s, and the longest wait of the coordinator.
const TICK: Duration = Duration::from_millis(500);

impl ReadyRun {
    /// Runs the load until its end, or until a signal ends it.
    ///
    /// # Errors
    ///
    /// Fails if no client can connect, if the system refuses a resource, or if a signal leaves no results.
    pub fn run(
        mut self,
        signals: &mut SignalWaiter,
        on_event: &mut dyn FnMut(RunEvent),
    ) -> Result<Results, RunError> {
        let results = self.run_load(signals, on_event);
        self.report_server_end(on_event);
        // The server is dropped here, after the coordinator has read its CPU time and memory.
        results
    }

    /// Runs the load, and leaves the server running.
    pub(super) fn run_load(
        &self,
        signals: &mut SignalWaiter,
        on_event: &mut dyn FnMut(RunEvent),
    ) -> Result<Results, RunError> {
        Coordinator::start(self, signals, on_event)?.run()
    }

    /// Reports that the server has ended, if the run has started one.
    pub(super) fn report_server_end(&mut self, on_event: &mut dyn FnMut(RunEvent)) {
        if let Some(status) = self.server.as_mut().and_then(ChildServer::exit_status) {
            on_event(RunEvent::Note(format!(
                "the started server ended during the run: {status}"
            )));
        }
    }
}

/// A run whose workers have started. Times are nanoseconds of the monotonic clock.
struct Coordinator<'a> {
    setup: WorkerSetup,
    signals: &'a mut SignalWaiter,
    on_event: &'a mut dyn FnMut(RunEvent),
    workers: Workers,
    worker_events: mpsc::Receiver<WorkerEvent>,
    usage: UsageMeter,
    collector: PartCollector,
    intervals: Intervals,
    is_late_interval_reported: bool,
    batches: Batches,
    stalls: Stalls,
    totals: Totals,
    /// The number of the signal that stopped the run.
    signal: Option<i32>,
    is_measuring: bool,
    phase_start: u64,
    latest_tick: u64,
}

impl<'a> Coordinator<'a> {
    fn start(
        run: &ReadyRun,
        signals: &'a mut SignalWaiter,
        on_event: &'a mut dyn FnMut(RunEvent),
    ) -> Result<Self, RunError> {
        let (sender, events) = mpsc::channel();
        let setup = WorkerSetup {
            payload: Arc::new(Payload::new(run.settings.framing, run.settings.seed)),
            settings: Arc::new(run.settings.clone()),
            address: run.address,
            control: Arc::default(),
            worker_events: sender,
            coordinator: signals.handle(),
        };
        let parts = Parts::new(&run.settings);
        // The meter reads the memory of the server before the workers open connections.
        let usage = UsageMeter::new(run.server_process);
        Ok(Self {
            signals,
            on_event,
            workers: Workers::start(&setup)?,
            worker_events: events,
            usage,
            collector: PartCollector::default(),
            intervals: Intervals::new(parts),
            is_late_interval_reported: false,
            batches: Batches::new(parts),
            stalls: Stalls::default(),
            totals: Totals::default(),
            signal: None,
            is_measuring: false,
            phase_start: platform::monotonic_now(),
            latest_tick: 0,
            setup,
        })
    }

    fn run(mut self) -> Result<Results, RunError> {
        (self.on_event)(RunEvent::PhaseBegan(RunPhase::Connecting));
        while !self.have_all_finished() {
            self.wait()?;
            self.tick();
            self.handle_signals()?;
            self.check_stop();
            let ended = self.workers.ended();
            self.handle_worker_events()?;
            self.check_window_end();
            self.report_whole_interval();
            // A worker that ended without a `Finished` event has failed. The others need not go on.
            if ended > self.collector.finished_workers() {
                self.stop_workers();
                break;
            }
        }
        self.workers.join()?;
        self.usage.record_window_end();
        self.report_stalls();
        for interval in self.intervals.finish().into_iter().flatten() {
            self.report(interval);
        }
        self.results()
    }

    fn have_all_finished(&self) -> bool {
        self.collector.finished_workers() == self.workers.count()
    }

    fn stop_workers(&self) {
        self.setup.control.is_stopped.store(true, Ordering::Release);
        self.workers.wake();
    }

    fn wait(&mut self) -> io::Result<()> {
        let now = platform::monotonic_now();
        let until_end = match self.usage.has_window_end() {
            false => {
                let next = self.planned_window_end().min(self.held_interval_due());
                Duration::from_nanos(next.saturating_sub(now))
            }
            true => TICK,
        };
        self.signals.wait(Some(TICK.min(until_end)))
    }

    fn tick(&mut self) {
        let now = platform::monotonic_now();
        if now.saturating_sub(self.latest_tick) >= nanoseconds(TICK) {
            self.latest_tick = now;
            let elapsed = Duration::from_nanos(now.saturating_sub(self.phase_start));
            (self.on_event)(RunEvent::Tick(elapsed));
            self.report_stalls();
        }
    }

    fn report_stalls(&mut self) {
        if let Some(count) = self.stalls.take_report() {
            let connections = pluralize(count, "connection");
            (self.on_event)(RunEvent::Note(format!(
                "no progress for 5 s on {connections}: the peer is not reading"
            )));
        }
    }

    fn enter(&mut self, phase: RunPhase) {
        self.phase_start = platform::monotonic_now();
        (self.on_event)(RunEvent::PhaseBegan(phase));
    }

    fn handle_signals(&mut self) -> Result<(), RunError> {
        for request in self.signals.pending() {
            match (request, self.signal) {
                (SignalRequest::LogStats, _) => {}
                (SignalRequest::Stop(signal), Some(_)) => {
                    return Err(match self.setup.control.timeline.get() {
                        Some(_) => RunError::InterruptedTwice { signal },
                        None => RunError::Interrupted { signal },
                    });
                }
                (SignalRequest::Stop(signal), None) => {
                    self.signal = Some(signal);
                    if self.setup.control.timeline.get().is_some() {
                        (self.on_event)(RunEvent::Note(
                            "interrupted: the results so far follow".to_owned(),
                        ));
                    }
                    self.stop_workers();
                }
            }
        }
        Ok(())
    }

    /// Stops the workers if another thread has stopped the run.
    fn check_stop(&self) {
        if self.signals.is_stopped() && !self.is_stopped() {
            self.stop_workers();
        }
    }

    fn is_stopped(&self) -> bool {
        self.setup.control.is_stopped.load(Ordering::Acquire)
    }

    fn handle_worker_events(&mut self) -> Result<(), RunError> {
        while let Ok(event) = self.worker_events.try_recv() {
            match event {
                WorkerEvent::Connected {
                    connections,
                    metrics,
                } => {
                    self.totals.add_connected(connections, &metrics);
                    if self.totals.connected_workers == self.workers.count() && !self.is_stopped() {
                        self.start_load()?;
                    }
                }
                WorkerEvent::WarmedUp => self.start_window(),
                WorkerEvent::PartEnded { index, end, tally } => self.add_part(index, end, tally),
                WorkerEvent::PeerStalled => self.stalls.add(),
                WorkerEvent::Finished(summary) => {
                    self.collector.worker_finished(summary.parts);
                    self.take_complete_parts();
                    self.totals.add_finished(&summary);
                }
            }
        }
        Ok(())
    }

    /// Starts the load after all workers have connected.
    fn start_load(&mut self) -> Result<(), RunError> {
        // Wrong bytes before the first message are a result: the server sent a greeting that the settings do not skip.
        if self.totals.connections == 0 && self.totals.metrics.counts.corrupted == 0 {
            let failures = self.totals.metrics.counts.connections.seen();
            let failures: Vec<_> = failures
                .map(|(failure, count)| format!("{failure} ({})", pluralize(count, "time")))
                .collect();
            let failures = failures.join(", ");
            return Err(RunError::Failed(format!(
                "cannot connect to {}: {failures}",
                ScopedAddress(self.setup.address)
            )));
        }
        self.usage.record_connected();
        let now = platform::monotonic_now();
        let (load_start, phase) = match self.setup.settings.start_at {
            None => (now, RunPhase::WarmUp(self.setup.settings.warmup)),
            Some(at) => {
                let left = at.duration_since(SystemTime::now()).map_err(|_| {
                    let reason = "the start time passed before all connections were open: choose a later one";
                    RunError::Failed(reason.into())
                })?;
                (now + nanoseconds(left), RunPhase::Waiting(left))
            }
        };
        let timeline = Timeline::new(load_start, &self.setup.settings);
        self.enter(phase);
        // Only this line sets the value, once per run, so `set` cannot fail.
        let _ = self.setup.control.timeline.set(timeline);
        self.workers.wake();
        Ok(())
    }

    /// Starts the window with the first worker whose warm-up is over.
    fn start_window(&mut self) {
        if !std::mem::replace(&mut self.is_measuring, true) {
            self.usage.record_window_start();
            self.enter(RunPhase::Measuring(self.setup.settings.stop.duration));
        }
    }

    fn check_window_end(&mut self) {
        let is_over =
            self.have_all_finished() || platform::monotonic_now() >= self.planned_window_end();
        if is_over && !self.usage.has_window_end() {
            self.usage.record_window_end();
            self.enter(RunPhase::Finishing);
        }
    }

    fn planned_window_end(&self) -> u64 {
        let timeline = self.setup.control.timeline.get();
        timeline.map_or(NEVER, |timeline| timeline.window_end)
    }

    /// Adds a part of the window of one worker, and returns its metrics to the worker. A worker that has finished needs no
    /// metrics any more.
    fn add_part(&mut self, index: usize, end: u64, tally: Tally) {
        let end = self.since_window_start(end);
        match tally {
            Tally::Batch(mut metrics, worker) => {
                let figures = (&metrics.response, &metrics.counts);
                self.collector.add(index, end, Some(figures));
                self.totals.metrics += &*metrics;
                metrics.reset();
                let _ = worker.send(metrics);
            }
            Tally::Interval(mut metrics, worker) => {
                let figures = (&metrics.response, &metrics.counts);
                self.collector.add(index, end, Some(figures));
                self.totals.metrics += &*metrics;
                metrics.reset();
                let _ = worker.send(metrics);
            }
            Tally::Later => self.collector.add(index, end, None),
        }
        self.take_complete_parts();
    }

    fn take_complete_parts(&mut self) {
        while let Some(part) = self.collector.pop_complete(self.workers.count()) {
            self.totals.window = part.end;
            self.batches.add(&part, || self.usage.lap());
            if let Some(interval) = self.intervals.add(&part) {
                self.report(interval);
            }
        }
    }

    /// Reports the held interval if no rest can follow it.
    fn report_whole_interval(&mut self) {
        if platform::monotonic_now() >= self.held_interval_due()
            && let Some(interval) = self.intervals.take_held()
        {
            self.report(interval);
        }
    }

    /// Returns when the held interval is known to be whole, or [`NEVER`] if the end of the window decides it.
    fn held_interval_due(&self) -> u64 {
        let timeline = self.setup.control.timeline.get();
        let due = timeline.zip(self.intervals.due());
        match due {
            Some((timeline, due)) if self.signal.is_none() && !self.usage.has_window_end() => {
                timeline.window_start + nanoseconds(due)
            }
            Some(_) | None => NEVER,
        }
    }

    /// Reports an interval and keeps its summary. Its histogram is dropped here: an hour of intervals would fill the memory.
    fn report(&mut self, interval: Interval) {
        let is_late = self.intervals.is_late(&interval);
        if is_late && !std::mem::replace(&mut self.is_late_interval_reported, true) {
            (self.on_event)(RunEvent::Note(
                "some intervals are longer than asked: adding up the figures takes too long"
                    .to_owned(),
            ));
        }
        self.totals.intervals.push(IntervalSummary::of(&interval));
        (self.on_event)(RunEvent::IntervalFinished(&interval));
    }

    /// Returns the nanoseconds from the start of the window to `time`; 0 before the window.
    fn since_window_start(&self, time: u64) -> u64 {
        let timeline = self.setup.control.timeline.get();
        let start = timeline.map_or(NEVER, |timeline| timeline.window_start);
        time.saturating_sub(start)
    }

    fn results(mut self) -> Result<Results, RunError> {
        if self.setup.control.timeline.get().is_none() {
            let signal = self.signal.unwrap_or_default();
            return Err(RunError::Interrupted { signal });
        }
        let window = Duration::from_nanos(self.totals.window);
        let age = Duration::from_nanos(self.since_window_start(platform::monotonic_now()));
        let connections_asked = self.setup.settings.shard_connections();
        Ok(Results {
            address: self.setup.address,
            began: SystemTime::now() - age,
            measurement: Measurement {
                window,
                connections_asked,
                connections_achieved: self.totals.achieved_connections(connections_asked),
                target_rate: TargetRate::of(&self.setup.settings),
                total: self.totals.metrics,
                intervals: self.totals.intervals,
                batches: self.batches.finish(self.usage.lap()),
                busiest: self.totals.busiest,
                generator_cpu: self.usage.generator_cpu(),
                server: self.usage.server(self.totals.connections, window),
                interference: self.usage.interference(),
                interrupted: self.signal,
            },
            settings: Arc::unwrap_or_clone(self.setup.settings),
        })
    }
}
