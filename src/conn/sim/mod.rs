//! A small world around one connection, under both kinds of selector.
//!
//! The connection is a real [`Connection`](super::Connection). The kernel's socket, the selector, the peer, a worker and
//! the server's loop are models. A world is told what happens, one [`Step`] after the other. Where a step could go in more
//! than one way, such as a signal that interrupts a read, the world asks a [`Chance`].
//!
//! - The tests in `sim/tests.rs` play every schedule of steps and every choice within them, and check the properties in
//!   `properties.rs` after each run.
//! - The program `player` plays the schedule that a reader of `play/` has chosen, and shows what happened.
//!
//! A [`BrokenRule`] plants a bug in the loop or hides a part of an event, so that tests and readers see which rule prevents
//! which end.
// The tests need less of the world than the player.
#![cfg_attr(not(feature = "player"), allow(dead_code))]

mod beliefs;
mod journal;
mod kernel;
mod peer;
mod properties;
mod rules;
mod selector;
mod step;
mod tape;
#[cfg(test)]
mod tests;
mod words;
mod world;

use super::{Cause, State};
#[cfg(feature = "player")]
pub(crate) use beliefs::Belief;
#[cfg(feature = "player")]
pub(crate) use journal::{Call, Entry};
pub(crate) use journal::{end_journal, start_journal};
#[cfg(feature = "player")]
pub(crate) use kernel::{Item, PeerEnd};
#[cfg(feature = "player")]
pub(crate) use rules::{BrokenRule, Rules, Selector, timeout};
#[cfg(feature = "player")]
pub(crate) use step::{Chance, PeerStep, Rare, Step};
pub(crate) use words::SECOND;
#[cfg(feature = "player")]
pub(crate) use words::parts;
#[cfg(test)]
pub(crate) use words::{Armed, outcome};
#[cfg(feature = "player")]
pub(crate) use world::{MANY_TURNS, World, buffers};

/// All states of a connection.
pub(crate) const STATES: [State; 4] = [
    State::Open,
    State::Finishing,
    State::Lingering,
    State::Closed,
];

/// All causes of a change of state.
pub(crate) const CAUSES: [Cause; 6] = [
    Cause::PeerFin,
    Cause::LocalClose,
    Cause::Delivered,
    Cause::LingerExpired,
    Cause::Reset,
    Cause::Abort,
];
