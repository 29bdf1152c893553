//! What makes it happen: loops with connections, and the one that directs them.

pub mod agenda;
pub mod child;
pub mod connecting;
pub mod control;
pub mod error;
pub mod generator;
pub mod interrupts;
pub mod loops;
pub mod phases;
pub mod prepare;
pub mod progress;
pub mod run;
pub mod seat;
pub mod session;
