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

mod drive;
mod judge;
mod measure;
mod plan;
mod report;
#[cfg(test)]
mod testing;
mod units;

pub use drive::error::RunError;
pub use drive::event::{RunEvent, RunPhase};
pub use drive::prepare::{ReadyRun, prepare};
pub use drive::session;
pub use drive::signal_waiter::SignalWaiter;
pub use judge::outcome::Outcome;
pub use judge::reason::{Reason, ReasonCode};
pub use judge::slo::{Objective, ObjectiveResult, Slo};
pub use judge::verdict::{LimitedBy, Verdict};
pub use measure::failure::{Failure, Failures};
pub use measure::interval::{Interval, IntervalSummary};
pub use measure::latency_histogram::{DIGITS, LONGEST, LatencyHistogram};
pub use measure::measurement::{AchievedRate, Measurement, TargetRate};
pub use measure::metrics::{Corruption, Metrics};
pub use measure::percentile::Percentile;
pub use measure::recorder;
pub use measure::results::Results;
pub use measure::usage::ServerUsage;
pub use plan::schedule::Schedule;
pub use plan::settings::{Arrival, Close, Load, RunSettings, Shard, Sizes, StopCondition, Target};
pub use plan::{payload, schedule};
pub use report::merge::{MergeError, Merged, merge, read};
pub use report::schema::{self, Report};
pub use report::text::{interval_line, text};
pub use report::{hgrm, hlog};
