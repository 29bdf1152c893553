//! The executable without its command line: its commands, its exit codes, its standard streams, its log and its files.

#[cfg(feature = "bench")]
mod bench;
mod bounded_writer;
mod check;
#[cfg(feature = "client")]
mod client;
mod exit_code;
mod failure;
mod help;
#[cfg(all(feature = "systemd", target_os = "linux"))]
mod inherited_sockets;
mod log_format;
mod log_line;
mod log_queue;
mod log_sink;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(all(feature = "systemd", target_os = "linux"))]
mod notifier;
mod retrying_stream;
mod serve;
mod standard_streams;
#[cfg(any(feature = "client", feature = "bench"))]
mod text_lines;
#[cfg(any(feature = "client", feature = "bench"))]
mod warnings;
mod whole_lines;

use mio_echo::net::threads;

#[cfg(not(all(feature = "systemd", target_os = "linux")))]
use crate::cli::InheritedSocket;

#[cfg(feature = "bench")]
pub use bench::run as bench;
pub use check::run as check;
#[cfg(feature = "client")]
pub use client::run as client;
pub use failure::refuse;
pub use help::print as print_help;
#[cfg(all(feature = "systemd", target_os = "linux"))]
pub use inherited_sockets::take as take_inherited_sockets;
pub use serve::run as serve;

/// Returns no sockets: this build does not take any.
///
/// # Errors
///
/// Never.
#[cfg(not(all(feature = "systemd", target_os = "linux")))]
pub fn take_inherited_sockets() -> Result<Vec<InheritedSocket>, String> {
    Ok(Vec::new())
}

/// Prepares the process for any command: a signal ends the process, and a thread that fails to begin does not.
pub fn prepare_process() {
    exit_code::exit_at_signals();
    threads::survive_failed_starts();
}
