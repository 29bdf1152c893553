//! The load generator.

mod config;
mod progress;
mod results;
mod run;
mod slo;
mod tally;
mod text;

pub use config::{Arrival, Close, Config, Length, Load, Shard, Sizes, Target};
pub use progress::{Phase, Progress};
pub use results::{Interval, Results, ServerUsage};
pub use run::{RunError, run};
pub use slo::{Objective, Percentile, Slo};
pub use tally::{Corruption, DIGITS, Failure, Failures, LONGEST, Row, Tally};
pub use text::interval_line;
