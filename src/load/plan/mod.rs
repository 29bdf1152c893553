//! What is to happen: settings, schedules, bytes.

pub mod config;
pub mod payload;
pub mod random;
pub mod schedule;
