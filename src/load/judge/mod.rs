//! What the figures are worth: the verdict, the objectives and the outcome.

pub mod cause;
pub mod hints;
pub mod interference;
pub mod outcome;
pub mod reason;
pub mod slo;
pub mod stationarity;
pub mod throughput;
pub mod verdict;
