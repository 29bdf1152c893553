//! Changes of state.

use std::io::ErrorKind;

use serde::Serialize;

use crate::conn::sim::{CAUSES, Entry, STATES};
use crate::conn::{Cause, Progress};

/// A change of state, and why it happened.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Transition {
    from: String,
    #[serde(serialize_with = "as_name")]
    pub(super) cause: Cause,
    to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

fn as_name<S: serde::Serializer>(cause: &Cause, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{cause:?}"))
}

/// Returns the names of the states.
pub(super) fn states() -> Vec<String> {
    STATES.map(|state| format!("{state:?}")).to_vec()
}

/// Returns the arrows of the diagram in `conn/mod.rs`.
pub(super) fn arrows() -> Vec<Transition> {
    let mut arrows = vec![];
    for from in STATES {
        let changes = CAUSES.into_iter().filter(|cause| from.next(*cause) != from);
        arrows.extend(changes.map(|cause| Transition {
            from: format!("{from:?}"),
            cause,
            to: format!("{:?}", from.next(cause)),
            why: None,
        }));
    }
    arrows
}

/// Follows the entries of a step, and tells the changes of state.
///
/// The log of a connection names the states and the reason, but not the cause: a reset keeps the reason of a session that
/// has ended before. What the connection was told right before the change tells a reset from our own abort.
#[derive(Default)]
pub(super) struct Transitions {
    /// The entry before was an answer that the socket is dead.
    is_dead: bool,
}

impl Transitions {
    /// Follows `entry`. Returns the change of state, if the entry is one.
    pub(super) fn follow(&mut self, entry: &Entry) -> Option<Transition> {
        let was_dead = self.is_dead;
        self.is_dead = match entry {
            Entry::Call(call) => call
                .answer
                .is_err_and(|kind| !matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)),
            // After `SendFin` the state changes at once only if the shutdown fails.
            Entry::Outcome(Progress::TakeError | Progress::SendFin, _) => true,
            Entry::Outcome(..) | Entry::Event(..) | Entry::Happening(_) | Entry::Log(_) => false,
        };
        match entry {
            Entry::Log(line) => Transition::read(line, was_dead),
            Entry::Call(_) | Entry::Outcome(..) | Entry::Event(..) | Entry::Happening(_) => None,
        }
    }
}

impl Transition {
    /// Returns why the state changed, or nothing for an arrow of the diagram.
    pub(super) fn why(&self) -> &str {
        self.why.as_deref().unwrap_or_default()
    }

    /// Reads a line of the connection's log: `conn 7: Open -> Finishing (peer finished sending)`.
    fn read(line: &str, is_dead: bool) -> Option<Self> {
        let (from, rest) = line.split_once(": ")?.1.split_once(" -> ")?;
        let (to, why) = rest.strip_suffix(')')?.split_once(" (")?;
        let cause = match (to, why) {
            ("Finishing", _) => Cause::PeerFin,
            ("Lingering", _) => Cause::LocalClose,
            (_, "everything is delivered") => Cause::Delivered,
            (_, "the peer sent no FIN in time") => Cause::LingerExpired,
            (_, _) if is_dead => Cause::Reset,
            (_, _) => Cause::Abort,
        };
        Some(Self {
            from: from.to_owned(),
            cause,
            to: to.to_owned(),
            why: Some(why.to_owned()),
        })
    }
}

#[cfg(test)]
impl Transition {
    /// Returns the transition without its reason.
    pub(super) fn arrow(&self) -> (String, Cause, String) {
        (self.from.clone(), self.cause, self.to.clone())
    }
}
