//! The load generator.

mod config;
mod results;
mod tally;

pub use config::{Arrival, Close, Config, Length, Load, Shard, Sizes, Target};
pub use results::{Interval, Results, ServerUsage};
pub use tally::{Corruption, DIGITS, Failure, Failures, LONGEST, Row, Tally};
