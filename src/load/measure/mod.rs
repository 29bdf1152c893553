//! What happened.

pub mod latency_summary;
pub mod metrics;
pub mod percentile;
pub mod recorder;
pub mod results;
pub mod summary;
pub mod usage;
