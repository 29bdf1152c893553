//! What it is worth.

pub mod outcome;
pub mod slo;
pub mod throughput;
pub mod verdict;
