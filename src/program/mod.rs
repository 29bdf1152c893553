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
mod retrying_stream;
mod serve;
mod standard_streams;
#[cfg(any(feature = "client", feature = "bench"))]
mod text_lines;
#[cfg(any(feature = "client", feature = "bench"))]
mod warnings;
mod whole_lines;

use mio_echo::net::threads;

#[cfg(feature = "bench")]
pub use bench::run as bench;
#[cfg(feature = "client")]
pub use client::run as client;
pub use failure::refuse;
pub use help::print as print_help;
pub use serve::run as serve;

/// Prepares the process for any command: a signal ends the process, and a thread that fails to begin does not.
pub fn prepare_process() {
    exit_code::exit_at_signals();
    threads::survive_failed_starts();
}
