//! `mio-echo bench`: its options as they are typed, and as the load generator uses them.

mod args;
mod beside;
mod compare;
mod cpus;
mod file_names;
mod find_max;
mod modes;
mod notes;
mod objectives;
mod options;
mod outputs;
mod resolve;
mod run_args;
mod server;
mod settings;
mod shard;
mod sources;
mod start_time;
mod sweep;
#[cfg(test)]
mod tests;
mod validate;
mod values;

pub use args::BenchArgs;
pub use compare::{CompareInput, CompareOptions, RoundsOptions, SideOptions, Undecided};
pub use notes::NOTES;
pub use options::{
    BenchCommand, BesideOptions, FindMaxOptions, MeasureOptions, MergeOptions, ReportOptions,
    SweepOptions,
};
pub use outputs::descriptor_of;
pub use server::Server;
