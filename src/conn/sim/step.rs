//! What can happen in a world.

use super::super::Timer;
use super::super::messages::WorkerPanicked;

/// One step of a schedule. A new input of the connection needs a new step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// The loop handles its next event, or its backlog.
    Turn,
    /// An event without a cause.
    SpuriousEvent,
    Peer(PeerStep),
    /// The worker returns its message, or panics.
    Complete(Result<(), WorkerPanicked>),
    /// The worker pool has room for a message that waits.
    AdmitJob,
    ClockRunsOut(Timer),
    /// The server stops, and is told that at most this many bytes can be queued.
    Stop(usize),
    DrainDeadline,
}

/// One step of the peer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PeerStep {
    Send(usize),
    SendUrgent,
    Finish,
    Reset,
    Take(usize),
}

/// What the kernel or the selector does rarely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rare {
    /// An event is reported again in the next turn.
    EventTwice,
    /// An event reports both directions, even if one does not hold.
    EventForBoth,
    /// What could be one event is reported as two.
    EventSplit,
    /// Every read of the run is interrupted, until the budget is spent.
    ReadInterrupted,
    /// A read returns one byte, although more are queued.
    ReadOfOne,
    /// A read at an urgent mark answers `WouldBlock`, because a signal is pending.
    ReadBlockedFalsely,
    /// A write takes one byte, although there is more room.
    WriteOfOne,
}

/// Decides what happens where a step can go in more than one way.
pub(crate) trait Chance {
    /// Returns one of the rare events in `possible`, or `None`.
    fn rare(&mut self, possible: &[Rare]) -> Option<Rare>;

    /// Returns true if the peer may act between two system calls, because the peer does not wait for the loop.
    fn lets_peer_interfere(&self) -> bool;

    /// Returns what the peer does before the next system call: one of the steps in `possible`, or `None`.
    fn meanwhile(&mut self, possible: &[PeerStep]) -> Option<PeerStep>;

    /// Returns true if the queue of the worker pool is full.
    fn is_pool_full(&mut self) -> bool;
}
