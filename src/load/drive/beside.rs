//! A load beside bulk connections: latency under load.
//!
//! ```text
//!   bulk  connect, warm-up | window ----------------------------------------- | stopped
//!   ping                   | connect, warm-up | window ------ | last replies  |
//! ```
//!
//! The bulk load has a coordinator and a worker of its own, so it does not delay the loop of the ping. It begins before the
//! ping connects, and goes on until the last reply of the ping: a reply that is queued behind bulk must not come early
//! because the bulk has ended. The coordinator of the ping handles the signals of the process, and the bulk is stopped
//! through its [`Handle`].
//!
//! `tests/calibrate/beside.py` compares the latency under load with that of ICMP echoes, and of a greedy server.

use std::io;
use std::sync::mpsc::{self, TryRecvError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::error::RunError;
use super::event::{RunEvent, RunPhase};
use super::prepare::{ReadyRun, claim_descriptors};
use super::signal_waiter::SignalWaiter;
use crate::load::measure::failure::Failures;
use crate::load::measure::measurement::Results;
use crate::load::plan::settings::RunSettings;
use crate::load::units::pluralize;
use crate::net::{Handle, threads};

/// The longest wait for an event of the bulk load, if the wake of the event is lost.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// The results of two loads at the same time.
#[derive(Clone, Debug)]
pub struct BesideResults {
    /// The results of the load that is measured.
    pub ping: Results,
    /// The results of the bulk load. Its window begins before that of the ping, and ends with the last reply of the ping.
    pub bulk: Results,
}

impl ReadyRun {
    /// Runs the load beside a second load with the settings `bulk`, which ends with this load.
    ///
    /// # Errors
    ///
    /// Fails as [`run`](Self::run) does, and if no bulk message is answered.
    pub fn run_beside(
        mut self,
        bulk: RunSettings,
        signals: &mut SignalWaiter,
        on_event: &mut dyn FnMut(RunEvent),
    ) -> Result<BesideResults, RunError> {
        claim_descriptors(&[&self.settings, &bulk])?;
        let bulk = Bulk::start(self.of_bulk(bulk), signals.handle())?;
        let begun = bulk.await_window(signals, on_event);
        let ping = begun.and_then(|()| self.run_load(signals, on_event));
        let bulk = bulk.stop(on_event);
        self.report_server_end(on_event);
        results(ping, bulk)
    }

    /// Returns the run of bulk connections to the same server.
    fn of_bulk(&self, settings: RunSettings) -> Self {
        Self {
            settings,
            address: self.address,
            server: None,
            server_process: self.server_process,
            // A thread inherits the CPUs of the thread that starts it.
            _pinned: None,
        }
    }
}

/// The bulk load, on threads of its own.
struct Bulk {
    coordinator: JoinHandle<Result<Results, RunError>>,
    /// Stops the coordinator.
    handle: Handle,
    events: mpsc::Receiver<BulkEvent>,
}

/// What the bulk load reports while it goes on.
enum BulkEvent {
    PhaseBegan(RunPhase),
    Note(String),
}

impl Bulk {
    /// Starts the load. `waiter` is woken for each event, and at the end.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses a poll or a thread.
    fn start(run: ReadyRun, waiter: Handle) -> Result<Self, RunError> {
        let mut signals = SignalWaiter::without_signals()?;
        let handle = signals.handle();
        let (sender, events) = mpsc::channel();
        let coordinate = move || {
            let results = run.run_load(&mut signals, &mut |event| {
                if let Some(event) = BulkEvent::of(event) {
                    // A receiver that is gone needs no events, and a waiter looks for them from time to time.
                    let _ = sender.send(event);
                    let _ = waiter.wake();
                }
            });
            drop(sender);
            let _ = waiter.wake();
            results
        };
        let refused = |error| RunError::Failed(format!("cannot start a thread for bulk: {error}"));
        Ok(Self {
            coordinator: threads::spawn("bulk", coordinate).map_err(refused)?,
            handle,
            events,
        })
    }

    /// Waits until the window of the bulk load begins.
    ///
    /// # Errors
    ///
    /// Fails if a signal ends the wait, or if the load ends: then [`stop`](Self::stop) tells why.
    fn await_window(
        &self,
        signals: &mut SignalWaiter,
        on_event: &mut dyn FnMut(RunEvent),
    ) -> Result<(), RunError> {
        loop {
            match self.events.try_recv() {
                Ok(BulkEvent::PhaseBegan(RunPhase::Measuring(_))) => return Ok(()),
                Ok(BulkEvent::PhaseBegan(phase)) => on_event(RunEvent::PhaseBegan(phase)),
                Ok(BulkEvent::Note(line)) => on_event(note(line)),
                Err(TryRecvError::Disconnected) => {
                    return Err(RunError::Failed("the bulk load has ended".into()));
                }
                Err(TryRecvError::Empty) => {
                    signals.wait(Some(LONGEST_WAIT))?;
                    if let Some(signal) = signals.stop_signal() {
                        return Err(RunError::Interrupted { signal });
                    }
                }
            }
        }
    }

    /// Ends the load, and returns its results.
    ///
    /// # Errors
    ///
    /// Fails as [`ReadyRun::run`] does.
    fn stop(self, on_event: &mut dyn FnMut(RunEvent)) -> Result<Results, RunError> {
        // A coordinator that cannot be woken sees the request after its longest wait.
        let _ = self.handle.stop();
        let panicked =
            |_| Err(io::Error::other("the thread of bulk panicked: this is a bug").into());
        let results = self.coordinator.join().unwrap_or_else(panicked);
        for event in self.events.try_iter() {
            match event {
                BulkEvent::Note(line) => on_event(note(line)),
                BulkEvent::PhaseBegan(_) => {}
            }
        }
        results
    }
}

impl BulkEvent {
    fn of(event: RunEvent) -> Option<Self> {
        match event {
            RunEvent::PhaseBegan(phase) => Some(Self::PhaseBegan(phase)),
            RunEvent::Note(line) => Some(Self::Note(line)),
            RunEvent::Tick(_) | RunEvent::IntervalFinished(_) => None,
        }
    }
}

fn note(line: String) -> RunEvent<'static> {
    RunEvent::Note(format!("bulk: {line}"))
}

/// Joins the results of both loads. An interrupt is an error of the ping, which handles the signals.
fn results(
    ping: Result<Results, RunError>,
    bulk: Result<Results, RunError>,
) -> Result<BesideResults, RunError> {
    match (ping, bulk) {
        (Err(error @ (RunError::Interrupted { .. } | RunError::InterruptedTwice { .. })), _) => {
            Err(error)
        }
        (_, Err(RunError::Failed(reason))) => Err(RunError::Failed(format!("bulk: {reason}"))),
        (Err(error), _) | (_, Err(error)) => Err(error),
        (Ok(mut ping), Ok(mut bulk)) => {
            if ping.measurement.interrupted.is_none() {
                check_bulk(&bulk)?;
            }
            // The CPU time is that of the process, whose threads make both loads.
            ping.measurement.generator_cpu = None;
            bulk.measurement.generator_cpu = None;
            Ok(BesideResults { ping, bulk })
        }
    }
}

/// Checks that the bulk connections were a load. A network that is too slow for a whole message is no failure, and wrong
/// bytes are a result.
fn check_bulk(results: &Results) -> Result<(), RunError> {
    let counts = &results.measurement.total.counts;
    let mut failures = Failures::default();
    failures += &counts.failures;
    failures += &counts.connections;
    let reasons = failures.seen();
    let reasons: Vec<_> = reasons
        .map(|(failure, count)| format!("{failure} ({})", pluralize(count, "time")))
        .collect();
    let is_failed = counts.messages == 0 && !reasons.is_empty();
    let why = match reasons.is_empty() {
        true => "no byte came back".into(),
        false => reasons.join(", "),
    };
    match counts.corrupted == 0 && (is_failed || counts.bytes == 0) {
        true => Err(RunError::Failed(format!(
            "bulk: no message was answered: {why}"
        ))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::measure::failure::Failure;
    use crate::load::measure::metrics::Counts;
    use crate::load::testing::{closed_loop, open_loop};

    /// Returns the results of a ping, and of bulk connections with these counts.
    fn beside(counts: Counts) -> Result<BesideResults, RunError> {
        let mut bulk = closed_loop();
        bulk.measurement.total.counts = counts;
        results(Ok(open_loop()), Ok(bulk))
    }

    fn failed(reason: &str) -> Result<Results, RunError> {
        Err(RunError::Failed(reason.into()))
    }

    #[track_caller]
    fn expect_failed(results: Result<BesideResults, RunError>, line: &str) {
        let error = results.expect_err(line);
        assert_eq!(error.to_string(), line);
    }

    #[test]
    fn the_cpu_time_of_two_loads_in_one_process_is_that_of_neither() {
        let found = results(Ok(open_loop()), Ok(closed_loop())).expect("both have results");
        let times = [&found.ping, &found.bulk].map(|load| load.measurement.generator_cpu);
        assert_eq!(times, [None, None]);
    }

    #[test]
    fn bulk_connections_without_an_answer_are_an_error_that_names_their_failures() {
        let mut counts = Counts::default();
        expect_failed(
            beside(counts.clone()),
            "bulk: no message was answered: no byte came back",
        );
        counts.bytes = 70;
        beside(counts.clone()).expect("the network is slow");
        counts.failures[Failure::Closed] = 3;
        counts.connections[Failure::Refused] = 1;
        expect_failed(
            beside(counts.clone()),
            "bulk: no message was answered: refused (1 time), closed (3 times)",
        );
        counts.messages = 1;
        beside(counts.clone()).expect("an answer");
        (counts.messages, counts.corrupted) = (0, 1);
        beside(counts).expect("wrong bytes are a result");
    }

    #[test]
    fn the_failure_of_bulk_is_told_unless_a_signal_ended_the_ping() {
        let is_refused = "bulk: it is refused";
        expect_failed(
            results(Ok(open_loop()), failed("it is refused")),
            is_refused,
        );
        expect_failed(
            results(failed("ended"), failed("it is refused")),
            is_refused,
        );
        expect_failed(results(failed("ended"), Ok(closed_loop())), "ended");
        let interrupted = || Err(RunError::Interrupted { signal: 2 });
        let found = results(interrupted(), failed("it is refused"));
        assert!(matches!(found, Err(RunError::Interrupted { signal: 2 })));
        let stopped = || Err(RunError::Interrupted { signal: 0 });
        expect_failed(results(failed("ended"), stopped()), "ended");
        let mut ping = open_loop();
        ping.measurement.interrupted = Some(15);
        let mut bulk = closed_loop();
        bulk.measurement.total.counts = Counts::default();
        results(Ok(ping), Ok(bulk)).expect("what there is");
    }
}
