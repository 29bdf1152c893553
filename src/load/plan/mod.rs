//! The plan of a run: settings, shares of the workers, schedules, message sizes and bytes.

pub mod command_line;
pub mod cpu_list;
pub mod launcher;
pub mod parts;
pub mod payload;
pub mod random;
pub mod schedule;
pub mod settings;
pub mod share;
