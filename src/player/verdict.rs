//! The verdict on a world: the loop has work, waits for something that can happen, has nothing left, or is stuck.

use serde::Serialize;

use crate::conn::State;
use crate::conn::sim::{PeerEnd, SECOND, parts, timeout};

use super::stage::Stage;

/// After this many turns one after the other that did nothing, the loop spins.
const USELESS_TURNS: usize = 5;

/// A verdict, in one word and in one line.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) kind: &'static str,
    pub(super) text: String,
}

/// What no event will report, although the peer takes everything.
pub(super) struct LeftOver {
    what: String,
    /// Events are still to come before the loop sleeps on it.
    is_later: bool,
}

impl LeftOver {
    /// Describes what `stage` sleeps on, `turns_ahead` turns from now.
    pub(super) fn of(stage: &Stage, turns_ahead: usize) -> Self {
        Self {
            what: left_over(stage),
            is_later: turns_ahead > 0,
        }
    }
}

/// Returns the verdict on `stage`. `play_on` returns what the loop will leave over.
pub(super) fn verdict(stage: &Stage, play_on: impl FnOnce() -> Option<LeftOver>) -> Verdict {
    let (kind, text) = match stage.fault {
        Some("spins") => ("spins", "the loop runs and does nothing".to_owned()),
        Some(fault) => ("wrong", fault.to_owned()),
        None if stage.is_closed() => ("closed", how_closed(stage)),
        None if stage.has_work() && stage.useless_turns >= USELESS_TURNS => {
            let turns = stage.useless_turns;
            ("spins", format!("{turns} turns did nothing"))
        }
        None if stage.has_work() => {
            return Verdict {
                kind: "runs",
                text: next_work(stage),
            };
        }
        None => return play_on().map_or_else(|| waits(stage), |left| stuck(stage, &left)),
    };
    let text = format!("{kind}: {text}");
    Verdict { kind, text }
}

fn how_closed(stage: &Stage) -> String {
    let reason = stage.connection.close_reason();
    let reason = reason.map_or("", |reason| reason.explain());
    match stage.kernel.closed {
        Some(PeerEnd::Reset) => format!("{reason}, with a reset"),
        Some(PeerEnd::Fin) | None => reason.to_owned(),
    }
}

fn next_work(stage: &Stage) -> String {
    let events = due(stage);
    if events.is_empty() {
        "the connection is in the backlog".to_owned()
    } else {
        format!("an event is due: {}", events.join(", "))
    }
}

/// Returns what the next event reports.
pub(super) fn due(stage: &Stage) -> Vec<&'static str> {
    match stage.kernel.due() {
        (false, false) => vec![],
        _ if stage.is_closed() => vec![],
        (read, write) => parts(stage.kernel.report(read, write)),
    }
}

fn stuck(stage: &Stage, left: &LeftOver) -> Verdict {
    let what = &left.what;
    let since = match ends_at(stage) {
        _ if left.is_later => "will be stuck, even if the peer takes everything".to_owned(),
        Some((timer, second)) => format!("stuck until the {timer} timer at {second} s"),
        None => "stuck".to_owned(),
    };
    Verdict {
        kind: "stuck",
        text: format!("{since}: {what} that nobody waits for"),
    }
}

/// Returns the name of the running timer, and the second in which the timer expires.
fn ends_at(stage: &Stage) -> Option<(String, u64)> {
    let timer = stage.connection.timer()?;
    let name = format!("{timer:?}").to_lowercase();
    let expires = stage.connection.timer_started() + timeout(timer);
    Some((name, expires / SECOND))
}

fn left_over(stage: &Stage) -> String {
    let (kernel, pending) = (&stage.kernel, stage.connection.pending());
    match kernel.queued() {
        0 if kernel.reset => "a reset".to_owned(),
        0 if pending > 0 => format!("{} pending", bytes(pending)),
        0 => "a FIN".to_owned(),
        queued => bytes(queued),
    }
}

fn waits(stage: &Stage) -> Verdict {
    let what = match stage.connection.state() {
        _ if stage.connection.pending() > 0 => "the peer to take bytes",
        State::Lingering => "the peer's FIN, or for the linger timer",
        State::Open | State::Finishing | State::Closed => {
            return Verdict {
                kind: "asleep",
                text: "asleep, nothing left".to_owned(),
            };
        }
    };
    Verdict {
        kind: "waits",
        text: format!("waits for {what}"),
    }
}

/// Returns `1 byte` or `2 bytes`.
pub(super) fn bytes(count: usize) -> String {
    match count {
        1 => "1 byte".to_owned(),
        count => format!("{count} bytes"),
    }
}
