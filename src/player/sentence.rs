//! What an action does, in one sentence.

use crate::conn::sim::Rare;

use super::schedule::Action;
use super::stage::Stage;
use super::verdict::{bytes, due};

/// Returns who acts.
pub(super) fn who(action: Action) -> &'static str {
    match action {
        Action::Send(_)
        | Action::Urgent
        | Action::Fin
        | Action::Reset
        | Action::Take(_)
        | Action::TakeAll => "peer",
        Action::Turn | Action::Loop => "loop",
        Action::Spurious
        | Action::Rarely(Rare::EventTwice | Rare::EventForBoth | Rare::EventSplit) => "poll",
        Action::Grow(_)
        | Action::Rarely(
            Rare::ReadInterrupted | Rare::ReadOfOne | Rare::ReadBlockedFalsely | Rare::WriteOfOne,
        ) => "kernel",
        Action::Clock | Action::Session => "clock",
        Action::Stop | Action::Deadline => "operator",
    }
}

/// Returns what `action` does if it is performed now.
pub(super) fn sentence(action: Action, stage: &Stage) -> String {
    match action {
        Action::Send(count) => format!("The peer sends {}.", bytes(count)),
        Action::Urgent => "The peer sends an urgent mark and a byte after it.".to_owned(),
        Action::Fin => "The peer finishes sending.".to_owned(),
        Action::Reset => "The peer resets the connection.".to_owned(),
        Action::Take(count) => format!("The peer takes {} of the echo.", bytes(count)),
        Action::TakeAll => format!(
            "The peer takes {} of the echo.",
            bytes(stage.kernel.outbound)
        ),
        Action::Turn => format!("The loop {}.", next_turn(stage)),
        Action::Loop => "The loop runs until it sleeps, at most 50 turns.".to_owned(),
        Action::Rarely(rare) => rarely(rare, stage),
        Action::Spurious => "The poll reports an event without a cause.".to_owned(),
        Action::Grow(count) => format!("The send buffer grows to {}.", bytes(count)),
        Action::Clock => match stage.connection.timer() {
            Some(timer) => {
                let name = format!("{timer:?}").to_lowercase();
                format!("The clock runs until the {name} timer expires.")
            }
            None => "The clock runs.".to_owned(),
        },
        Action::Session => "The session timer expires.".to_owned(),
        Action::Stop => "The server stops.".to_owned(),
        Action::Deadline => "The server waits no longer.".to_owned(),
    }
}

fn next_turn(stage: &Stage) -> String {
    match &due(stage)[..] {
        [] => "drives the connection in its backlog".to_owned(),
        events => format!("takes the event {}", events.join(", ")),
    }
}

fn rarely(rare: Rare, stage: &Stage) -> String {
    let turn = next_turn(stage);
    match rare {
        Rare::EventTwice => format!("The loop {turn}, and the poll will report it again."),
        Rare::EventForBoth => format!("The loop {turn}, which reports both directions."),
        Rare::EventSplit => format!("The loop {turn}, which reports only writable."),
        Rare::ReadInterrupted => "Signals will interrupt every read of the next run.".to_owned(),
        Rare::ReadOfOne => "The next read will return one byte.".to_owned(),
        Rare::ReadBlockedFalsely => {
            "A signal is pending, so the next read at the urgent mark will answer WouldBlock."
                .to_owned()
        }
        Rare::WriteOfOne => "The next write will take one byte.".to_owned(),
    }
}
