//! The highest rate of an open loop that meets the objectives. Each run of a series decides the rate of the next.

pub mod machine;
pub mod report;
pub mod result;
pub mod votes;
pub mod windows;
