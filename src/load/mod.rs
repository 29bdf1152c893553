//! The load generator.

mod config;
mod exit;
pub mod hgrm;
pub mod hlog;
mod merge;
mod percentile;
mod progress;
pub mod report;
mod results;
mod run;
mod slo;
mod tally;
#[cfg(test)]
mod testing;
mod text;
mod units;
mod verdict;

pub use config::{Arrival, Close, Config, Length, Load, Shard, Sizes, Target};
pub use exit::exit_code;
pub use merge::{MergeError, Merged, merge, read};
pub use percentile::Percentile;
pub use progress::{Phase, Progress};
pub use report::Report;
pub use results::{Interval, Results, ServerUsage};
pub use run::{RunError, run};
pub use slo::{Judgement, Objective, Slo};
pub use tally::{Corruption, DIGITS, Failure, Failures, LONGEST, Row, Tally};
pub use text::{interval_line, text};
pub use verdict::{Limit, Verdict};
