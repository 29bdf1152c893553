//! What the coordinator and the workers of a run tell each other.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock, mpsc};

use super::tallies::Tally;
use crate::load::measure::metrics::Metrics;
use crate::load::plan::payload::Payload;
use crate::load::plan::settings::RunSettings;
use crate::net::Handle;
use crate::net::timers::{NEVER, nanoseconds};

/// The times of a run, in nanoseconds of the monotonic clock, which all threads share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// When the load starts, with its warm-up.
    pub load_start: u64,
    /// When the window starts.
    pub window_start: u64,
    /// When the window ends, or [`NEVER`].
    pub window_end: u64,
}

/// What the coordinator tells the workers. A worker reads the values after each wait, so the coordinator wakes it.
#[derive(Debug, Default)]
pub struct Control {
    /// The times of the run, set once when all workers have connected.
    pub timeline: OnceLock<Timeline>,
    /// Set to end the load now. A worker then waits for replies only for a moment.
    pub is_stopped: AtomicBool,
}

/// What a worker tells the coordinator.
#[derive(Debug)]
pub enum WorkerEvent {
    /// Every client has tried to connect.
    Connected {
        /// The number of clients that have connected.
        connections: usize,
        /// The metrics of the connects.
        metrics: Box<Metrics>,
    },
    /// The warm-up is over.
    WarmedUp,
    /// A part of the window is over.
    PartEnded {
        /// The number of the part, from 0.
        index: usize,
        /// When the part ended.
        end: u64,
        /// The metrics of the part.
        tally: Tally,
    },
    /// The peer of a connection does not read.
    PeerStalled,
    /// The worker has finished. No other event follows.
    Finished(WorkerSummary),
}

/// The figures of a worker that has finished.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkerSummary {
    /// The mean number of connections that were up in the window, or the number at its start if it had no length.
    pub connections: f64,
    /// The busy share of the window, from 0 to 1. `None` if the window had no length.
    pub busy: Option<f64>,
    /// The number of parts that the worker has reported.
    pub parts: usize,
}

/// What all workers of a run are created with.
#[derive(Clone)]
pub struct WorkerSetup {
    /// The settings of the run.
    pub settings: Arc<RunSettings>,
    /// The address of the server.
    pub address: SocketAddr,
    /// The bytes of the messages.
    pub payload: Arc<Payload>,
    /// What the coordinator tells the workers.
    pub control: Arc<Control>,
    /// What the workers tell the coordinator.
    pub worker_events: mpsc::Sender<WorkerEvent>,
    /// Wakes the thread of the coordinator.
    pub coordinator: Handle,
}

impl Timeline {
    /// Creates the times of a run whose load starts at `load_start`.
    pub fn new(load_start: u64, settings: &RunSettings) -> Self {
        let window_start = load_start + nanoseconds(settings.warmup);
        let duration = settings.stop.duration.map_or(NEVER, nanoseconds);
        Self {
            load_start,
            window_start,
            window_end: window_start.saturating_add(duration),
        }
    }

    /// Returns the window.
    pub fn window(&self) -> Range<u64> {
        self.window_start..self.window_end
    }
}

impl WorkerSetup {
    /// Sends `event` to the coordinator. A coordinator that is gone, or cannot be woken, does not matter to a worker: a
    /// coordinator looks for events from time to time without a wake.
    pub fn send(&self, event: WorkerEvent) {
        let _ = self.worker_events.send(event);
        let _ = self.coordinator.wake();
    }
}
