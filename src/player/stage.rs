//! A world on which the actions of a schedule are performed.

use crate::conn::sim::{Chance, MANY_TURNS, PeerEnd, PeerStep, Rare, Selector, Step, World};
use crate::conn::{State, Timer};

use super::schedule::{Action, MOST_BYTES};

/// What the kernel and the selector are told to do at their next occasion.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) planned: Vec<Rare>,
}

impl Chance for Plan {
    fn rare(&mut self, possible: &[Rare]) -> Option<Rare> {
        let at = self
            .planned
            .iter()
            .position(|rare| possible.contains(rare))?;
        Some(self.planned.remove(at))
    }

    fn lets_peer_interfere(&self) -> bool {
        false
    }

    fn meanwhile(&mut self, _: &[PeerStep]) -> Option<PeerStep> {
        None
    }

    fn is_pool_full(&mut self) -> bool {
        false
    }
}

/// A world in which a schedule is played.
pub(super) type Stage<'a> = World<'a, Plan>;

/// The most bytes that the kernel queues for the connection.
const RECEIVE_BUFFER: usize = 256;

/// Performs `action`, or returns why that is impossible now.
pub(super) fn perform(action: Action, stage: &mut Stage) -> Result<(), &'static str> {
    check(action, stage)?;
    match action {
        Action::Send(bytes) => stage.perform(Step::Peer(PeerStep::Send(bytes))),
        Action::Urgent => stage.perform(Step::Peer(PeerStep::SendUrgent)),
        Action::Fin => stage.perform(Step::Peer(PeerStep::Finish)),
        Action::Reset => stage.perform(Step::Peer(PeerStep::Reset)),
        Action::Take(bytes) => stage.perform(Step::Peer(PeerStep::Take(bytes))),
        Action::TakeAll => {
            let bytes = stage.kernel.outbound;
            stage.perform(Step::Peer(PeerStep::Take(bytes)));
        }
        Action::Turn => stage.perform(Step::Turn),
        Action::Loop => {
            for _ in 0..MANY_TURNS {
                if stage.has_work() {
                    stage.perform(Step::Turn);
                }
            }
        }
        Action::Rarely(rare) => {
            stage.kernel.chance.planned.insert(0, rare);
            if is_of_an_event(rare) {
                stage.perform(Step::Turn);
                // An event that is reported again is no sign of a loop that spins.
                stage.useless_turns = 0;
            }
        }
        Action::Spurious => stage.perform(Step::SpuriousEvent),
        Action::Grow(bytes) => stage.kernel.grow(bytes),
        Action::Clock => {
            if let Some(timer) = stage.connection.timer() {
                stage.perform(Step::ClockRunsOut(timer));
            }
        }
        Action::Session => stage.perform(Step::ClockRunsOut(Timer::Session)),
        Action::Stop => stage.perform(Step::Stop(stage.kernel.queued())),
        Action::Deadline => stage.perform(Step::DrainDeadline),
    }
    Ok(())
}

/// Returns true if `rare` happens in the turn that is now, and false if it is planned for the next occasion.
fn is_of_an_event(rare: Rare) -> bool {
    match rare {
        Rare::EventTwice | Rare::EventForBoth | Rare::EventSplit => true,
        Rare::ReadInterrupted | Rare::ReadOfOne | Rare::ReadBlockedFalsely | Rare::WriteOfOne => {
            false
        }
    }
}

/// Returns the actions that are possible now, in the order of the language.
pub(super) fn possible(stage: &Stage) -> Vec<Action> {
    let grown = (stage.kernel.send_buffer * 2).min(MOST_BYTES);
    let actions = [
        Action::Send(1),
        Action::Send(2),
        Action::Send(3),
        Action::Urgent,
        Action::Fin,
        Action::Reset,
        Action::Take(1),
        Action::TakeAll,
        Action::Turn,
        Action::Loop,
        Action::Rarely(Rare::EventTwice),
        Action::Rarely(Rare::EventForBoth),
        Action::Rarely(Rare::EventSplit),
        Action::Spurious,
        Action::Rarely(Rare::ReadInterrupted),
        Action::Rarely(Rare::ReadOfOne),
        Action::Rarely(Rare::ReadBlockedFalsely),
        Action::Rarely(Rare::WriteOfOne),
        Action::Grow(grown),
        Action::Clock,
        Action::Session,
        Action::Stop,
        Action::Deadline,
    ];
    let possible = actions.into_iter();
    possible
        .filter(|action| check(*action, stage).is_ok())
        .collect()
}

/// Returns why `action` is impossible now.
fn check(action: Action, stage: &Stage) -> Result<(), &'static str> {
    match action {
        Action::Send(bytes) => check_send(bytes, stage),
        Action::Urgent => check_send(1, stage),
        Action::Fin => check_send(0, stage),
        Action::Reset => check_peer(stage),
        Action::Take(bytes) => check_take(bytes, stage),
        Action::TakeAll => check_take(1, stage),
        Action::Turn | Action::Loop => check_loop(stage),
        Action::Rarely(rare) => check_rare(rare, stage),
        Action::Spurious => check_open(stage),
        Action::Grow(bytes) => {
            check_open(stage)?;
            require(
                bytes > stage.kernel.send_buffer,
                "the send buffer is not smaller",
            )
        }
        Action::Clock => {
            check_open(stage)?;
            require(stage.connection.timer().is_some(), "no timer runs")
        }
        Action::Session => {
            check_open(stage)?;
            let runs = stage.connection.timer() != Some(Timer::Linger);
            require(runs, "the session timer ends with our FIN")
        }
        Action::Stop => {
            check_open(stage)?;
            require(!stage.stopping, "the server stops already")
        }
        Action::Deadline => {
            check_open(stage)?;
            require(stage.stopping, "the server does not stop")
        }
    }
}

fn require(holds: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(otherwise) }
}

fn check_peer(stage: &Stage) -> Result<(), &'static str> {
    let kernel = &stage.kernel;
    require(!kernel.reset, "the peer has reset the connection")?;
    let is_reset = kernel.closed == Some(PeerEnd::Reset);
    require(!is_reset, "the connection has been reset")
}

fn check_send(bytes: usize, stage: &Stage) -> Result<(), &'static str> {
    check_peer(stage)?;
    let kernel = &stage.kernel;
    require(!kernel.peer_finished, "the peer has finished sending")?;
    let fits = kernel.queued() + bytes <= RECEIVE_BUFFER;
    require(fits, "the receive buffer is full")
}

fn check_take(bytes: usize, stage: &Stage) -> Result<(), &'static str> {
    check_peer(stage)?;
    let has_arrived = bytes <= stage.kernel.outbound;
    require(has_arrived, "fewer bytes are there to take")
}

fn check_open(stage: &Stage) -> Result<(), &'static str> {
    let is_open = stage.connection.state() != State::Closed;
    require(is_open, "the connection is closed")
}

fn check_loop(stage: &Stage) -> Result<(), &'static str> {
    check_open(stage)?;
    require(stage.has_work(), "the loop sleeps: no event is due")
}

/// Checks that `rare` can happen now, or at the next occasion.
fn check_rare(rare: Rare, stage: &Stage) -> Result<(), &'static str> {
    check_open(stage)?;
    let kernel = &stage.kernel;
    let is_planned = kernel.chance.planned.contains(&rare);
    require(!is_planned, "this is planned already")?;
    let (read, write) = kernel.due();
    match rare {
        Rare::EventTwice | Rare::EventForBoth => require(read || write, "no event is due"),
        Rare::EventSplit => require(read && write, "only one direction is due"),
        Rare::ReadInterrupted | Rare::WriteOfOne => Ok(()),
        Rare::ReadOfOne => require(
            kernel.rules.selector == Selector::DrainToRearm,
            "a short read proves the socket empty here",
        ),
        Rare::ReadBlockedFalsely => require(
            kernel.may_block_falsely(),
            "no urgent mark is next in the receive buffer",
        ),
    }
}
