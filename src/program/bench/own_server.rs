//! The command line of the server that a run without a target starts for itself.

use std::env;
use std::io;
use std::process::Command;

use mio_echo::load::RunSettings;
use mio_echo::net::{Config, DEFAULT_CONNECTIONS, IpFamily};

/// Returns a command that starts `mio-echo serve` for a run with `settings`.
///
/// The server prints `listening on ADDR` and ends at the end of its standard input. No `MIO_ECHO_*` variable reaches
/// the server, so the environment of the user does not change what is measured.
///
/// # Errors
///
/// Fails if the path of this executable is unknown.
pub fn command(settings: &RunSettings) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["serve", "--stop-on-eof", "--quiet", "--listen"]);
    command.arg(match settings.family {
        IpFamily::V6 => "[::1]:0",
        IpFamily::V4 | IpFamily::Any => "127.0.0.1:0",
    });
    let connections = settings.shard_connections();
    if connections > DEFAULT_CONNECTIONS {
        command.args(["--max-connections", &connections.to_string()]);
    }
    let max_message = settings.sizes.largest().max(Config::default().max_message);
    command.args(["--max-message", &max_message.to_string()]);
    command.args(["--framing", &settings.framing.to_string()]);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("MIO_ECHO_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}
