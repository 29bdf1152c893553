//! What happened: what a run records, and the figures that are computed from the records.

pub mod batch;
pub mod failure;
pub mod interference;
pub mod interval;
pub mod latency_histogram;
pub mod latency_summary;
pub mod machine;
pub mod measurement;
pub mod message;
pub mod metrics;
pub mod percentile;
pub mod recorder;
pub mod series;
pub mod summary;
pub mod thread_times;
pub mod uncertainty;
pub mod usage;
