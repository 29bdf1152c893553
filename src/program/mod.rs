//! The executable without its command line: its commands, its exit codes, its standard streams, its log and its files.

#[cfg(feature = "bench")]
mod bench;
mod bounded_writer;
#[cfg(feature = "client")]
mod client;
mod exit_code;
mod failure;
mod help;
mod log_queue;
#[cfg(any(feature = "client", feature = "bench"))]
mod retrying_stream;
mod serve;
mod standard_streams;
#[cfg(any(feature = "client", feature = "bench"))]
mod warnings;

#[cfg(feature = "bench")]
pub use bench::run as bench;
#[cfg(feature = "client")]
pub use client::run as client;
pub use exit_code::exit_at_signals;
pub use failure::refuse;
pub use help::print as print_help;
pub use serve::run as serve;
