//! The load generator: sends messages to an echo server on a schedule, checks every reply and measures its latency.
//!
//! ```text
//!   plan       what is to happen    settings, schedule, payload, random streams
//!     |
//!   drive      makes it happen      a coordinator, and workers with one event loop each
//!     |
//!   measure    what happened        histograms and counts of each part of the window, added to a Measurement
//!     |
//!   judge      what it is worth     verdict, objectives, outcome
//!     |
//!   report     how it is told       JSON, text, files of histograms, the sum of shards
//!     |
//!   compare    which is faster      the ratio of two servers over rounds of runs, with its uncertainty
//!   search     how much it serves   the highest rate that meets objectives
//!     |
//!   page       how it looks         reports as pages of HTML with plots
//! ```
//!
//! Imports run one way: `drive` imports `plan` and `measure`; `report` imports `judge`, which imports `measure`, which
//! imports `plan`. [`schema`] explains each term of a report.
//!
//! # How it measures
//!
//! - **A message has four times**: intended, sendable, sent and answered ([`session`]). A delay of the server is part of
//!   the wait, a delay of the generator is part of the send lag. The response includes both, so a stall of the server
//!   cannot hide (the coordinated omission of closed loops).
//! - **A schedule never forgives a delay** ([`schedule`]): a message that is sent late keeps its intended time.
//! - **The window** lies between the warm-up and the drain. Each message that is intended in the window is accounted
//!   for: answered, failed, unanswered or unsent. Unanswered and unsent messages enter the histogram with their age, as
//!   lower bounds ([`recorder`]).
//! - **Every byte is compared** with what was sent, at any depth of the pipeline ([`payload`]).
//! - **The machine is measured with the load** ([`Interference`]): CPU time of others, stolen time, throttling and waits
//!   for a CPU tell whether the figures are those of the server or of a busy machine.
//! - **Figures are added, never averaged**: a worker fills one [`Metrics`] per interval, and percentiles are computed
//!   from the sum. A worker has two of them, so the memory is bounded by the number of threads.
//! - **The window is divided into 64 batches** ([`Batch`]). How much they vary shows how uncertain the figures are.

mod compare;
mod drive;
mod judge;
pub(crate) mod measure;
#[cfg(feature = "html")]
mod page;
pub(crate) mod plan;
mod report;
mod search;
#[cfg(test)]
mod testing;
mod units;

pub use compare::compared::ComparedFigure;
pub use compare::conclusion::{Comparison, Conclusion, Direction, LimitOutcome};
pub use compare::figure::Figure;
pub use compare::files::compare_files;
pub use compare::order::{Orders, Side};
pub use compare::report::{
    CompareOutcome, CompareReport, ComparedRun, ComparedSide, ComparisonEnd, Limit, Question,
    RoundCounts, SideName,
};
pub use compare::rounds::{NextRun, RUNS_PER_ROUND, RoundState, Rounds, disturbance};
pub use compare::statistics::{Paired, RUNS_PER_SIDE, Ratio, Round, paired, unpaired};
pub use compare::text::{markdown as compare_markdown, text as compare_text};
pub use drive::affinity::CAN_PIN;
pub use drive::beside::BesideResults;
pub use drive::command_server::{CommandServer, run_command};
pub use drive::error::RunError;
pub use drive::event::{RunEvent, RunPhase};
pub use drive::prepare::{ReadyRun, prepare};
pub use drive::session;
pub use drive::signal_waiter::SignalWaiter;
pub use judge::outcome::Outcome;
pub use judge::reason::{Reason, ReasonCode};
pub use judge::slo::{Objective, ObjectiveResult, Slo};
pub use judge::stationarity::{SteadyFigure, not_stationary};
pub use judge::verdict::{LimitedBy, Verdict};
pub use measure::batch::Batch;
pub use measure::failure::{Failure, Failures};
pub use measure::interference::Interference;
pub use measure::interval::{Interval, IntervalSummary};
pub use measure::latency_histogram::{DIGITS, LONGEST, LatencyHistogram};
pub use measure::measurement::{AchievedRate, Measurement, Results, TargetRate};
pub use measure::metrics::{Corruption, Counts, Metrics};
pub use measure::percentile::Percentile;
pub use measure::recorder;
pub use measure::series::WeightedValue;
pub use measure::uncertainty::{ConfidenceInterval, NoInterval, PerFigure, confidence_intervals};
pub use measure::usage::ServerUsage;
#[cfg(feature = "html")]
pub use page::comparison::html as compare_html;
#[cfg(feature = "html")]
pub use page::run::html;
#[cfg(feature = "html")]
pub use page::series::{beside_html, find_max_html, sweep_html};
pub use plan::command_line::{CommandLine, PORT_PLACEHOLDER};
pub use plan::cpu_list::CpuList;
pub use plan::launcher::Launcher;
pub use plan::schedule::Schedule;
pub use plan::settings::{
    Arrival, Close, Load, RunSettings, Shard, SizeRange, Sizes, StopCondition, Target,
};
pub use plan::{payload, schedule};
pub use report::beside::{Added, BesideReport, Difference};
pub use report::merge::{Merged, Merger, MissingShards, read};
pub use report::schema::{self, Report};
pub use report::sweep::{Parameter, SweepReport, SweepStep};
pub use report::text::{interval_line, text};
pub use report::{hgrm, hlog};
pub use search::machine::{Answer, Next, Search, SearchLimit, Stage, Step};
pub use search::report::{FindMaxReport, FindMaxStep};
pub use search::result::StepResult;
pub use search::windows::{least_window, step_window};
