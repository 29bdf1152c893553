//! What the threads of a measurement tell each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, mpsc};

use crate::load::measure::metrics::Metrics;
use crate::net::Handle;

/// When the parts of a measurement begin and end, in nanoseconds of the monotonic clock, which all threads share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// The load begins.
    pub begin: u64,
    /// The window begins.
    pub window: u64,
    /// The window ends, or [`NEVER`](crate::net::timers::NEVER).
    pub end: u64,
}

/// What the loops are told.
#[derive(Debug, Default)]
pub struct Control {
    /// Once it is known.
    pub timeline: OnceLock<Timeline>,
    /// End at once.
    cut: AtomicBool,
}

/// What a loop tells.
#[derive(Debug)]
pub enum WorkerEvent {
    /// Every connection has been tried.
    Connected {
        /// Those that are up.
        connections: usize,
        /// Their connects, and what failed.
        tally: Box<Metrics>,
    },
    /// The warm-up is over.
    WarmedUp,
    /// Another interval of the window is over.
    Interval {
        /// Its number, from 0.
        index: usize,
        /// When it ended.
        end: u64,
        /// What was measured in it.
        tally: Box<Metrics>,
    },
    /// The connection with this number has a peer that does not read.
    PeerDoesNotRead(u64),
    /// The end.
    Done {
        /// That were up: on average over the window, or at its begin where it had no length.
        connections: f64,
        /// When the window ended.
        ended: u64,
        /// The share of the window in which the loop neither waited nor looked again; none where no time passed.
        busy: Option<f64>,
        /// How many intervals it has told of.
        intervals: usize,
    },
}

/// The way from a loop to whoever started it.
#[derive(Clone, Debug)]
pub struct WorkerEvents {
    sender: mpsc::Sender<WorkerEvent>,
    main: Handle,
}

impl Control {
    /// Ends the window now, and waits for nobody.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Release);
    }

    /// Whether that was asked for.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }
}

impl WorkerEvents {
    /// Reports go to `sender`, and `main` is woken.
    pub fn new(sender: mpsc::Sender<WorkerEvent>, main: Handle) -> Self {
        Self { sender, main }
    }

    /// Tells `report`. Whoever does not listen any more, or cannot be woken and looks later, is no concern of a loop.
    pub fn tell(&self, report: WorkerEvent) {
        let _ = self.sender.send(report);
        let _ = self.main.wake();
    }
}
