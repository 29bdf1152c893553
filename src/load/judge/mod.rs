//! What it is worth.

pub mod slo;
pub mod throughput;
pub mod verdict;
