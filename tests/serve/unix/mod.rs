//! Tests that need signals: a server that is stopped by SIGSTOP while events queue, and every way to stop a server.

mod journal;
mod messages;
mod queued_events;
mod stop;
