//! What needs signals: a server that is held while things queue up for it, and the ways to end one.

mod messages;
mod queued_events;
mod stop;
