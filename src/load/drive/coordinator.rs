//! One measurement, from the first connect to the last figure.
//!
//! Loops run on threads of their own. This one tells them when to begin, adds up what they report, watches the clock of
//! the server and of this process, and listens for signals.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime};

use super::child_server::ChildServer;
use super::control::{Control, Timeline, WorkerEvent, WorkerEvents};
use super::error::RunError;
use super::event::{RunEvent, RunPhase};
use super::prepare::ReadyRun;
use super::signal_waiter::SignalWaiter;
use super::workers::Workers;
use crate::load::measure::interval::{Interval, IntervalSummary};
use crate::load::measure::measurement::{Measurement, TargetRate};
use crate::load::measure::metrics::Metrics;
use crate::load::measure::results::Results;
use crate::load::measure::usage::UsageMeter;
use crate::load::plan::settings::RunSettings;
use crate::net::platform;
use crate::net::signals::SignalRequest;
use crate::net::timers::{NEVER, nanoseconds};

/// How often progress is shown at least.
const TICK: Duration = Duration::from_millis(500);

impl ReadyRun {
    /// Measures, until that is done or `interrupts` end it.
    ///
    /// # Errors
    ///
    /// When there is nothing to measure: nobody can connect, or the system refuses what the connections need.
    pub fn run(
        self,
        interrupts: &mut SignalWaiter,
        on_event: &mut dyn FnMut(RunEvent),
    ) -> Result<Results, RunError> {
        let Self {
            settings,
            address,
            mut server,
        } = self;
        let pid = server.as_ref().map(ChildServer::pid);
        let results = Run::start(settings, address, pid, interrupts)?.finish(on_event);
        // The server stays until the figures are complete.
        if let Some(end) = server.as_mut().and_then(ChildServer::exit_status) {
            on_event(RunEvent::Note(format!(
                "the server that was started has ended: {end}"
            )));
        }
        results
    }
}

/// A measurement that has begun.
struct Run<'a> {
    settings: Arc<RunSettings>,
    address: SocketAddr,
    interrupts: &'a mut SignalWaiter,
    control: Arc<Control>,
    loops: Workers,
    reports: mpsc::Receiver<WorkerEvent>,
    usage: UsageMeter,
    timeline: Option<Timeline>,
    /// Loops that have connected.
    connected: usize,
    /// For each loop that is done, how many intervals it has told of.
    done: Vec<usize>,
    /// Connections that were up when all had been tried, and those that were up in the window, on average.
    connections: usize,
    achieved: f64,
    total: Metrics,
    open_intervals: BTreeMap<usize, OpenInterval>,
    intervals: Vec<IntervalSummary>,
    /// When the last loop ended so far that has.
    ended: Option<u64>,
    /// The busiest loop.
    busiest: Option<f64>,
    signal: Option<i32>,
    is_measuring: bool,
    phase_began: u64,
    ticked: u64,
}

/// An interval that some loops have still to report.
#[derive(Default)]
struct OpenInterval {
    /// How many have.
    reports: usize,
    /// When it ended for the last of them.
    end: u64,
    tally: Metrics,
}

impl<'a> Run<'a> {
    fn start(
        settings: RunSettings,
        address: SocketAddr,
        server: Option<u32>,
        interrupts: &'a mut SignalWaiter,
    ) -> Result<Self, RunError> {
        let settings = Arc::new(settings);
        let (sender, reports) = mpsc::channel();
        let control = Arc::default();
        let reporter = WorkerEvents::new(sender, interrupts.handle());
        let loops =
            Workers::start(&settings, address, &control, &reporter).map_err(RunError::System)?;
        Ok(Self {
            address,
            interrupts,
            control,
            loops,
            reports,
            usage: UsageMeter::new(server),
            timeline: None,
            connected: 0,
            done: Vec::new(),
            connections: 0,
            achieved: 0.0,
            total: Metrics::default(),
            open_intervals: BTreeMap::new(),
            intervals: Vec::new(),
            ended: None,
            busiest: None,
            signal: None,
            is_measuring: false,
            phase_began: platform::monotonic_now(),
            ticked: 0,
            settings,
        })
    }

    fn finish(mut self, on_event: &mut dyn FnMut(RunEvent)) -> Result<Results, RunError> {
        on_event(RunEvent::PhaseBegan(RunPhase::Connecting));
        while self.done.len() < self.loops.count() {
            self.wait()?;
            self.tick(on_event);
            self.handle_signals(on_event)?;
            let ended = self.loops.ended();
            self.take_reports(on_event)?;
            self.end_window(on_event);
            // A loop that ended without a word has failed, and the others need not go on.
            if ended > self.done.len() {
                self.control.cut();
                self.loops.wake();
                break;
            }
        }
        self.loops.join()?;
        self.usage.record_window_end();
        self.results()
    }

    fn wait(&mut self) -> Result<(), RunError> {
        let now = platform::monotonic_now();
        let end = self.timeline.map_or(NEVER, |timeline| timeline.end);
        let until_end = match self.usage.has_window_end() {
            false => Duration::from_nanos(end.saturating_sub(now)),
            true => TICK,
        };
        self.interrupts
            .wait(Some(TICK.min(until_end)))
            .map_err(RunError::System)
    }

    fn tick(&mut self, on_event: &mut dyn FnMut(RunEvent)) {
        let now = platform::monotonic_now();
        if now.saturating_sub(self.ticked) >= nanoseconds(TICK) {
            self.ticked = now;
            on_event(RunEvent::Tick(Duration::from_nanos(
                now.saturating_sub(self.phase_began),
            )));
        }
    }

    fn show(&mut self, phase: RunPhase, on_event: &mut dyn FnMut(RunEvent)) {
        self.phase_began = platform::monotonic_now();
        on_event(RunEvent::PhaseBegan(phase));
    }

    fn handle_signals(&mut self, on_event: &mut dyn FnMut(RunEvent)) -> Result<(), RunError> {
        for request in self.interrupts.pending().map_err(RunError::System)? {
            match (request, self.signal) {
                (SignalRequest::LogStats, _) => {}
                (SignalRequest::Stop(signal), Some(_)) => {
                    return Err(match self.timeline {
                        Some(_) => RunError::InterruptedTwice { signal },
                        None => RunError::Interrupted { signal },
                    });
                }
                (SignalRequest::Stop(signal), None) => {
                    self.signal = Some(signal);
                    if self.timeline.is_some() {
                        on_event(RunEvent::Note(
                            "interrupted: the results so far follow".to_owned(),
                        ));
                    }
                    self.control.cut();
                    self.loops.wake();
                }
            }
        }
        Ok(())
    }

    fn take_reports(&mut self, on_event: &mut dyn FnMut(RunEvent)) -> Result<(), RunError> {
        while let Ok(report) = self.reports.try_recv() {
            match report {
                WorkerEvent::Connected { connections, tally } => {
                    self.connections += connections;
                    self.connected += 1;
                    self.total += &tally;
                    if self.connected == self.loops.count() && self.signal.is_none() {
                        self.begin(on_event)?;
                    }
                }
                WorkerEvent::WarmedUp => self.begin_window(on_event),
                WorkerEvent::Interval { index, end, tally } => {
                    self.add_interval(index, end, &tally);
                    self.close_intervals(on_event);
                }
                WorkerEvent::PeerDoesNotRead(connection) => on_event(RunEvent::Note(format!(
                    "connection {connection}: no progress for 5 s: the peer is not reading"
                ))),
                WorkerEvent::Done {
                    connections,
                    ended,
                    busy,
                    intervals,
                } => {
                    self.done.push(intervals);
                    self.achieved += connections;
                    self.close_intervals(on_event);
                    self.ended = self.ended.max(Some(ended));
                    self.busiest = [self.busiest, busy].into_iter().flatten().reduce(f64::max);
                }
            }
        }
        Ok(())
    }

    /// The first loop to say that it is warm says so for all.
    fn begin_window(&mut self, on_event: &mut dyn FnMut(RunEvent)) {
        if !std::mem::replace(&mut self.is_measuring, true) {
            self.usage.record_window_start();
            self.show(RunPhase::Measuring(self.settings.stop.duration), on_event);
        }
    }

    fn end_window(&mut self, on_event: &mut dyn FnMut(RunEvent)) {
        let end = self.timeline.map_or(NEVER, |timeline| timeline.end);
        let is_over = self.done.len() == self.loops.count() || platform::monotonic_now() >= end;
        if is_over && !self.usage.has_window_end() {
            self.usage.record_window_end();
            self.show(RunPhase::Finishing, on_event);
        }
    }

    /// All loops are connected: the load can begin.
    fn begin(&mut self, on_event: &mut dyn FnMut(RunEvent)) -> Result<(), RunError> {
        // Wrong bytes before the first message are a result: a greeting that nobody announced.
        if self.connections == 0 && self.total.corrupted == 0 {
            return Err(RunError::NotConnected {
                address: self.address,
                failures: self.total.failures,
            });
        }
        self.usage.record_connected();
        let now = platform::monotonic_now();
        let begin = match self.settings.start_at {
            None => now,
            Some(at) => {
                let left = at
                    .duration_since(SystemTime::now())
                    .map_err(|_| RunError::StartTimePassed)?;
                now + nanoseconds(left)
            }
        };
        let window = begin + nanoseconds(self.settings.warmup);
        let duration = self.settings.stop.duration.map_or(NEVER, nanoseconds);
        let timeline = Timeline {
            begin,
            window,
            end: window.saturating_add(duration),
        };
        self.timeline = Some(timeline);
        self.show(
            match self.settings.start_at {
                None => RunPhase::WarmUp(self.settings.warmup),
                Some(_) => RunPhase::Waiting(Duration::from_nanos(begin - now)),
            },
            on_event,
        );
        // Nobody else sets it.
        let _ = self.control.timeline.set(timeline);
        self.loops.wake();
        Ok(())
    }

    fn add_interval(&mut self, index: usize, end: u64, tally: &Metrics) {
        let interval = self.open_intervals.entry(index).or_default();
        interval.reports += 1;
        interval.end = interval.end.max(end);
        interval.tally += tally;
    }

    /// Those that every loop has told of, or was done before. They are complete one after the other.
    fn close_intervals(&mut self, on_event: &mut dyn FnMut(RunEvent)) {
        while let Some((&index, interval)) = self.open_intervals.first_key_value() {
            let absent = self.done.iter().filter(|told| **told <= index).count();
            if interval.reports + absent < self.loops.count() {
                return;
            }
            self.close_interval(index, on_event);
        }
    }

    /// Its histograms end here: an hour of them would fill the memory.
    fn close_interval(&mut self, index: usize, on_event: &mut dyn FnMut(RunEvent)) {
        let Some(OpenInterval { end, tally, .. }) = self.open_intervals.remove(&index) else {
            return;
        };
        self.total += &tally;
        let start = self.settings.interval * index as u32;
        let length = self.since_window(end).saturating_sub(start);
        // A load that was cut before its window has an interval without a length.
        if !length.is_zero() {
            let interval = Interval {
                start,
                length,
                metrics: tally,
            };
            self.intervals.push(IntervalSummary::of(&interval));
            on_event(RunEvent::IntervalFinished(&interval));
        }
    }

    /// How long after the begin of the window that is.
    fn since_window(&self, time: u64) -> Duration {
        let begin = self.timeline.map_or(NEVER, |timeline| timeline.window);
        Duration::from_nanos(time.saturating_sub(begin))
    }

    fn results(self) -> Result<Results, RunError> {
        let Some(timeline) = self.timeline else {
            let signal = self.signal.unwrap_or_default();
            return Err(RunError::Interrupted { signal });
        };
        let window = self.since_window(self.ended.unwrap_or(timeline.end));
        let now = platform::monotonic_now();
        let age = Duration::from_nanos(now.saturating_sub(timeline.window));
        let connections_asked = self.settings.shard_connections();
        Ok(Results {
            address: self.address,
            began: SystemTime::now() - age,
            measurement: Measurement {
                window,
                connections_asked,
                connections_achieved: whole(self.achieved, connections_asked),
                target_rate: TargetRate::of(&self.settings),
                total: self.total,
                intervals: self.intervals,
                busiest: self.busiest,
                generator_cpu: self.usage.generator_cpu(),
                server: self.usage.server(self.connections, window),
                interrupted: self.signal,
            },
            settings: Arc::unwrap_or_clone(self.settings),
        })
    }
}

/// The connections that an average stands for. A moment in which one was replaced is none that was missing: it may be a
/// hundredth of those that were asked for, and half of one at most.
fn whole(average: f64, asked: usize) -> usize {
    (average + (asked as f64 / 100.0).min(0.5)).floor() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_was_missing_for_more_than_a_moment_is_not_achieved() {
        for (average, asked, expected) in [
            (0.99, 1, 1),
            (0.98, 1, 0),
            (7.93, 8, 8),
            (7.91, 8, 7),
            (4.8, 8, 4),
            (999.5, 1000, 1000),
            (999.4, 1000, 999),
        ] {
            assert_eq!(whole(average, asked), expected, "{average} of {asked}");
        }
    }
}
