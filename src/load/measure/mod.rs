//! What happened: what a run records, and the figures that are computed from the records.

pub mod failure;
pub mod interval;
pub mod latency_histogram;
pub mod latency_summary;
pub mod measurement;
pub mod message;
pub mod metrics;
pub mod percentile;
pub mod recorder;
pub mod summary;
pub mod usage;
