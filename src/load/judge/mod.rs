//! What it is worth.

pub mod pace;
pub mod slo;
pub mod verdict;
