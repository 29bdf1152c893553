//! What happened.

pub mod metrics;
pub mod percentile;
pub mod recorder;
pub mod results;
pub mod usage;
