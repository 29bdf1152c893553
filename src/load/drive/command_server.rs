//! A server that a command starts on a free port, and the command that prepares a run.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::ops::Range;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::affinity;
use super::child_process::{ChildProcess, Waited};
use super::error::RunError;
use super::signal_waiter::SignalWaiter;
use crate::load::plan::command_line::CommandLine;
use crate::load::plan::settings::RunSettings;
use crate::net::IpFamily;

/// The time that a server has to accept a connection.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The limit of one attempt to connect. An address of this machine answers at once, unless a firewall drops the packets.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(100);

/// The ports that a server may get. A port that the system assigns, to a listener or to a client, could be assigned again
/// before the server listens. Linux assigns 32768 to 60999 (`ip_local_port_range`), and Windows, macOS and NetBSD follow
/// RFC 6335: 49152 and more. FreeBSD and OpenBSD assign these ports too.
const PORTS: Range<u16> = 20_000..32_768;

/// The number of ports that are tried, before the system chooses one.
const ATTEMPTS: u32 = 100;

/// A server that was started by a command and accepts connections. Dropping the value kills the server.
#[derive(Debug)]
pub struct CommandServer {
    process: ChildProcess,
    address: SocketAddr,
}

impl CommandServer {
    /// Starts the server of `command` on a free port of 127.0.0.1, or of ::1 if `settings` ask for IPv6, and waits until it
    /// accepts a connection.
    ///
    /// # Errors
    ///
    /// Fails if the command cannot be started, if it ends, if it does not accept a connection within 10 s, or if a signal
    /// ends the wait.
    pub fn start(
        command: &CommandLine,
        settings: &RunSettings,
        signals: &mut SignalWaiter,
    ) -> Result<Self, RunError> {
        let failed =
            |reason: String| RunError::Failed(format!("cannot start `{command}`: {reason}"));
        let address = free_address(settings.family)?;
        let start = || ChildProcess::start(process_of(&command.with_port(address.port())));
        let started = match &settings.server_pin {
            None => start(),
            Some(cpus) => affinity::start_pinned(cpus, start).and_then(|started| started),
        };
        let mut process = started.map_err(|error| failed(error.to_string()))?;
        let accepts = |process: &mut ChildProcess| process.has_ended() || is_open(address);
        let waited = process.wait_until(accepts, START_TIMEOUT, signals)?;
        // Another process may have taken the port. The server has ended then, or is about to.
        if process.has_ended() {
            let ending = process.ending();
            return Err(failed(format!(
                "it ended before it accepted a connection: {ending}"
            )));
        }
        match waited {
            Waited::Done => Ok(Self { process, address }),
            Waited::TimedOut => {
                let seconds = START_TIMEOUT.as_secs();
                let line = process.last_line().map(|line| format!(": {line}"));
                let line = line.unwrap_or_default();
                Err(failed(format!(
                    "it did not accept a connection on {address} within {seconds} s{line}"
                )))
            }
            Waited::Interrupted(signal) => Err(RunError::Interrupted { signal }),
        }
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the process id of the command. The server may be a descendant of this process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Returns how the server ended, if it has.
    pub fn ending(&mut self) -> Option<String> {
        self.process.has_ended().then(|| self.process.ending())
    }

    /// Stops the server with SIGTERM, and after 5 s with SIGKILL; on Windows, which has no such signals, by ending its process
    /// at once. Returns the signal that arrived meanwhile.
    ///
    /// # Errors
    ///
    /// Fails if the wait for signals fails. The server is killed nevertheless.
    pub fn stop(self, signals: &mut SignalWaiter) -> io::Result<Option<i32>> {
        self.process.stop(signals)
    }
}

/// Runs `command` to its end.
///
/// # Errors
///
/// Fails if the command cannot be started, if it fails, or if a signal ends the wait.
pub fn run_command(command: &CommandLine, signals: &mut SignalWaiter) -> Result<(), RunError> {
    let failed = |reason: String| RunError::Failed(format!("cannot run `{command}`: {reason}"));
    let process = ChildProcess::start(process_of(command));
    let mut process = process.map_err(|error| failed(error.to_string()))?;
    match process.wait_until(ChildProcess::has_ended, Duration::MAX, signals)? {
        Waited::Interrupted(signal) => Err(RunError::Interrupted { signal }),
        Waited::Done | Waited::TimedOut if process.has_succeeded() => Ok(()),
        Waited::Done | Waited::TimedOut => Err(failed(process.ending())),
    }
}

fn process_of(command: &CommandLine) -> Command {
    let mut process = Command::new(command.program());
    process.args(command.arguments());
    process
}

/// Returns true if a server accepts a connection on `address`.
///
/// A connection whose own port is that port is connected to itself: the system may choose a port that nobody listens on yet.
fn is_open(address: SocketAddr) -> bool {
    let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT);
    stream.is_ok_and(|stream| stream.local_addr().is_ok_and(|own| own != address))
}

/// Returns an address of this machine with a port that nobody uses.
fn free_address(family: IpFamily) -> io::Result<SocketAddr> {
    let ip: IpAddr = match family {
        IpFamily::Any | IpFamily::V4 => Ipv4Addr::LOCALHOST.into(),
        IpFamily::V6 => Ipv6Addr::LOCALHOST.into(),
    };
    let chosen = (0..ATTEMPTS).find_map(|_| bind(ip, next_port()).ok());
    chosen.map_or_else(|| bind(ip, 0), Ok)
}

/// Returns another port of [`PORTS`] each time. Processes that were started one after another begin far apart.
fn next_port() -> u16 {
    static CHOSEN: AtomicU32 = AtomicU32::new(0);
    let apart = std::process::id().wrapping_mul(ATTEMPTS);
    let number = apart.wrapping_add(CHOSEN.fetch_add(1, Ordering::Relaxed));
    PORTS.start + (number % PORTS.len() as u32) as u16
}

/// Returns the address that a socket can be bound to, without SO_REUSEADDR: no connection that has ended still has the port.
fn bind(ip: IpAddr, port: u16) -> io::Result<SocketAddr> {
    let address = SocketAddr::new(ip, port);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.bind(&address.into())?;
    let address = socket.local_addr()?.as_socket();
    address.ok_or_else(|| ErrorKind::AddrNotAvailable.into())
}
