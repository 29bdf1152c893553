//! A server of our own, started for one measurement.
//!
//! It ends with its standard input, so that it cannot outlive us, however we end.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::load::plan::settings::RunSettings;
use crate::net;
use crate::net::IpFamily;
use crate::net::capacity::DEFAULT_CONNECTIONS;

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct ChildServer {
    child: Child,
    address: SocketAddr,
}

impl ChildServer {
    /// Starts `program`, and waits until it listens.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or says something else than where it listens.
    pub fn start(program: &Path, settings: &RunSettings) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(["serve", "--stop-on-eof", "--quiet"]);
        command.args([
            "--listen",
            match settings.family {
                IpFamily::V6 => "[::1]:0",
                IpFamily::V4 | IpFamily::Any => "127.0.0.1:0",
            },
        ]);
        let connections = settings.shard_connections();
        if connections > DEFAULT_CONNECTIONS {
            command.args(["--max-connections", &connections.to_string()]);
        }
        command.args(["--framing", &settings.framing.to_string()]);
        let default_message = net::Config::default().max_message;
        command.args([
            "--max-message",
            &settings.sizes.largest().max(default_message).to_string(),
        ]);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MIO_ECHO_") {
                command.env_remove(name);
            }
        }
        keep_from_terminal(&mut command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().map(BufReader::new);
        output
            .map(|mut output| output.read_line(&mut line))
            .transpose()?;
        // Until here it is ended by its drop, too.
        let mut server = Self {
            child,
            address: ([127, 0, 0, 1], 0).into(),
        };
        server.address = listening_address(&line).ok_or_else(|| {
            io::Error::other(format!(
                "the server did not start to listen, but said {line:?}"
            ))
        })?;
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it has ended, if it has.
    pub fn end(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for ChildServer {
    fn drop(&mut self) {
        // Nothing that is still in it is of interest, and it may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listening_address(line: &str) -> Option<SocketAddr> {
    line.strip_prefix("listening on ")?
        .split(' ')
        .next()?
        .trim()
        .parse()
        .ok()
}

/// Ctrl-C on a terminal is for us alone: we end the server when we have our figures.
fn keep_from_terminal(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(windows)]
    {
        const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
        std::os::windows::process::CommandExt::creation_flags(command, CREATE_NEW_PROCESS_GROUP);
    }
}
