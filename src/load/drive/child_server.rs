//! A server process that a run starts for itself, for a run without a target.
//!
//! The caller supplies the command. The server must print `listening on ADDR` as its first line and end at the end of
//! its standard input. The server therefore cannot outlive this process, not even if this process is killed.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use super::child_process::keep_terminal_signals_away;
use crate::net::parse_socket_address;
use crate::net::signals::keep_exit_statuses;

/// A running server process. Dropping the value kills the process.
#[derive(Debug)]
pub struct ChildServer {
    child: Child,
    address: SocketAddr,
}

impl ChildServer {
    /// Starts `command` and waits until the server listens.
    ///
    /// # Errors
    ///
    /// Fails if the command cannot be started, or if its first line is not `listening on ADDR`.
    pub fn start(mut command: Command) -> io::Result<Self> {
        keep_terminal_signals_away(&mut command);
        keep_exit_statuses();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().map(BufReader::new);
        // Made before the first line is read, so that an error below drops the value and kills the process.
        let mut server = Self {
            child,
            address: ([127, 0, 0, 1], 0).into(),
        };
        let mut line = String::new();
        output
            .map(|mut output| output.read_line(&mut line))
            .transpose()?;
        server.address = listening_address(&line).ok_or_else(|| {
            io::Error::other(format!(
                "expected `listening on ADDR`, the server printed {line:?}"
            ))
        })?;
        Ok(server)
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the exit status, in words for the user, if the server has ended.
    pub fn exit_status(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(status) => status.map(|status| status.to_string()),
            Err(error) => Some(format!("its exit status is unknown: {error}")),
        }
    }

    /// Returns the process id of the server.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for ChildServer {
    fn drop(&mut self) {
        // The server may have ended already, and its last log lines are of no interest: errors are ignored.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listening_address(line: &str) -> Option<SocketAddr> {
    let address = line.strip_prefix("listening on ")?.split(' ').next()?;
    parse_socket_address(address.trim()).ok()
}
