//! What happened.

pub mod percentile;
pub mod recorder;
pub mod results;
pub mod tally;
pub mod usage;
