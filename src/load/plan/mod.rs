//! What is to happen: settings, schedules, bytes.

pub mod payload;
pub mod random;
pub mod schedule;
pub mod settings;
