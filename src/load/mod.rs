//! The load generator: what a server answers to a load that does not depend on its answers.
//!
//! ```text
//!   run ----- starts -----> Generator, one a thread: Seats on a poll
//!    ^                          |  Schedule    when each message is due
//!    |                          |  Session     one connection: sends, compares, times
//!    |       Tally, an          |  Payload     which bytes
//!    +------ interval ----------+  Recorder    what counts
//!    |
//!    +--> Results --> verdict, report, files
//! ```
//!
//! # How it measures
//!
//! - **Four times a message**: intended, sendable, sent, answered ([`session`]). What the peer delays is in the wait, what
//!   we delay is in the send lag; the response holds both, so a stall of the server cannot hide (the coordinated
//!   omission of closed loops).
//! - **Schedules forgive nothing** ([`schedule`]): a message that could not be sent in time keeps its time.
//! - **The window** is one interval of time between the warm-up and the drain. What was intended in it is accounted for:
//!   answered, failed, unanswered or never sent. The last two stay in the histogram, as lower bounds ([`recorder`]).
//! - **Every byte is compared** with what was sent, at any depth of the pipeline ([`payload`]).
//! - **Figures are added, never averaged**: a thread fills one tally an interval, and percentiles are taken of sums.

mod agenda;
mod child;
mod config;
mod connecting;
mod control;
mod error;
mod exit;
mod generator;
pub mod hgrm;
pub mod hlog;
mod interrupts;
mod loops;
mod merge;
mod pace;
pub mod payload;
mod percentile;
mod phases;
mod prepare;
mod progress;
mod random;
pub mod recorder;
pub mod report;
mod results;
mod run;
pub mod schedule;
mod seat;
pub mod session;
mod slo;
mod tally;
#[cfg(test)]
mod testing;
mod text;
mod units;
mod usage;
mod verdict;

pub use config::{Arrival, Close, Config, Length, Load, Shard, Sizes, Target};
pub use error::RunError;
pub use exit::exit_code;
pub use interrupts::Interrupts;
pub use merge::{MergeError, Merged, merge, read};
pub use percentile::Percentile;
pub use prepare::{Prepared, prepare};
pub use progress::{Phase, Progress};
pub use report::Report;
pub use results::{Interval, Results, ServerUsage};
pub use schedule::Schedule;
pub use slo::{Judgement, Objective, Slo};
pub use tally::{Corruption, DIGITS, Failure, Failures, LONGEST, Row, Tally};
pub use text::{interval_line, text};
pub use verdict::{Limit, Verdict};
