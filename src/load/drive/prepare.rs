//! The checks before a run: descriptors, source addresses, the server's address, ports.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use super::affinity::{self, Pinned};
use super::child_server::ChildServer;
use super::command_server::CommandServer;
use super::error::RunError;
use super::event::RunEvent;
use crate::load::measure::machine::{ServerProcess, tells_cpu_time};
use crate::load::plan::settings::{Close, Load, RunSettings, Target};
use crate::load::units::format_decimal;
use crate::net::outbound::explain_attempts;
use crate::net::{ScopedAddress, ScopedIp, check_source, platform, resolve};

/// How long a closed connection occupies its port (Linux: TCP_TIMEWAIT_LEN).
const TIME_WAIT: Duration = Duration::from_secs(60);

/// Descriptors for everything that is not a connection, apart from [`DESCRIPTORS_PER_THREAD`].
const RESERVED_DESCRIPTORS: u64 = 32;

/// Descriptors of a worker thread: its poll and its waker, twice as many to be safe.
const DESCRIPTORS_PER_THREAD: u64 = 4;

/// A run whose checks have passed. [`run`](Self::run) starts the load.
#[derive(Debug)]
pub struct ReadyRun {
    pub(super) settings: RunSettings,
    pub(super) address: SocketAddr,
    /// The server, if the run has started one itself.
    pub(super) server: Option<ChildServer>,
    /// What is known of the process of the server.
    pub(super) server_process: ServerProcess,
    /// Keeps the thread of the caller on the CPUs of the generator, if they were chosen.
    pub(super) _pinned: Option<Pinned>,
}

impl ReadyRun {
    /// Measures the process of `server` and its descendants.
    pub fn with_command(mut self, server: &CommandServer) -> Self {
        self.server_process = ServerProcess::WithDescendants(server.pid());
        self
    }
}

/// Checks that a run with `settings` is possible, and finds or starts its server.
///
/// For [`Target::OwnServer`], `own_server` returns the command that starts the server. The server must print
/// `listening on ADDR` as its first line and end at the end of its standard input.
///
/// A name lookup or a connect may block for some time. Meanwhile, signals keep the action that the caller has chosen.
///
/// # Errors
///
/// Fails if the target does not resolve, the own server does not start, a source address is not usable, or the system
/// does not allow enough descriptors for the connections.
pub fn prepare(
    settings: RunSettings,
    own_server: impl FnOnce(&RunSettings) -> io::Result<Command>,
    on_event: &mut dyn FnMut(RunEvent),
) -> Result<ReadyRun, RunError> {
    claim_descriptors(&[&settings])?;
    check_sources(&settings)?;
    let (server, address) = match &settings.target {
        Target::OwnServer => {
            let server = start_server(&settings, own_server);
            let server = server.map_err(|error| {
                RunError::Failed(format!("cannot start a server to measure: {error}"))
            })?;
            let address = server.address();
            on_event(RunEvent::Note(format!(
                "no target given: started a server on {}",
                ScopedAddress(address)
            )));
            (Some(server), address)
        }
        Target::Remote(target) => (None, choose_address(target, &settings)?),
    };
    check_server_process(&settings)?;
    let _pinned = pin_generator(&settings)?;
    warn_of_port_shortage(&settings, on_event);
    let own = server.as_ref().map(ChildServer::pid);
    Ok(ReadyRun {
        server_process: server_process(own.or(settings.server_pid), address),
        settings,
        address,
        server,
        _pinned,
    })
}

/// Returns what is known of the process of the server at `address`.
fn server_process(pid: Option<u32>, address: SocketAddr) -> ServerProcess {
    // A source address is an address of this machine.
    let is_local = || check_source(address).is_ok();
    match pid {
        Some(pid) => ServerProcess::Known(pid),
        None if is_local() => ServerProcess::Unknown,
        None => ServerProcess::Elsewhere,
    }
}

/// Raises the descriptor limit as far as loads at the same time with these settings need.
pub(super) fn claim_descriptors(loads: &[&RunSettings]) -> Result<(), RunError> {
    let descriptors = |settings: &&RunSettings| {
        let threads = settings.threads as u64;
        settings.shard_connections() as u64 + threads * DESCRIPTORS_PER_THREAD
    };
    let others = RESERVED_DESCRIPTORS + platform::inherited_descriptors();
    let needed = loads.iter().map(descriptors).sum::<u64>() + others;
    if let Some(limit) = platform::raise_descriptor_limit(needed)
        && limit < needed
    {
        return Err(RunError::Failed(format!(
            "the run needs {needed} descriptors and the limit is {limit}: raise it with ulimit -n {needed}"
        )));
    }
    Ok(())
}

/// Checks that the system lets a socket connect from each source address.
fn check_sources(settings: &RunSettings) -> Result<(), RunError> {
    for source in settings.sources.iter().copied() {
        check_source(source).map_err(|error| {
            let source = ScopedIp(source);
            RunError::Failed(format!(
                "cannot connect from source address {source}: {error}"
            ))
        })?;
    }
    Ok(())
}

/// Starts the server on its CPUs.
fn start_server(
    settings: &RunSettings,
    own_server: impl FnOnce(&RunSettings) -> io::Result<Command>,
) -> io::Result<ChildServer> {
    let start = || own_server(settings).and_then(ChildServer::start);
    match &settings.server_pin {
        None => start(),
        Some(cpus) => affinity::start_pinned(cpus, start)?,
    }
}

/// Restricts the threads that this thread starts from now on to the CPUs of the generator.
fn pin_generator(settings: &RunSettings) -> Result<Option<Pinned>, RunError> {
    let pinned = settings.pin.as_ref().map(affinity::pin).transpose();
    pinned.map_err(|error| RunError::Failed(format!("cannot pin the generator: {error}")))
}

/// Checks that the process of the server, if it is named, exists and can be measured.
fn check_server_process(settings: &RunSettings) -> Result<(), RunError> {
    match settings.server_pid.filter(|pid| !tells_cpu_time(*pid)) {
        None => Ok(()),
        Some(pid) => Err(RunError::Failed(format!(
            "cannot measure the server: process {pid} does not exist, or the system does not tell its CPU time"
        ))),
    }
}

/// Returns the first address of `target` that accepts a connection. A lone address is not tried: if it refuses, the run
/// itself reports the failure.
fn choose_address(target: &str, settings: &RunSettings) -> Result<SocketAddr, RunError> {
    let addresses = resolve(target, settings.family)
        .map_err(|error| RunError::Failed(format!("cannot resolve {target}: {error}")))?;
    match addresses[..] {
        [address] => Ok(address),
        _ => first_that_accepts(target, &addresses, settings.timeout),
    }
}

/// # Errors
///
/// Fails if no address accepts a connection, and names each with its error.
fn first_that_accepts(
    target: &str,
    addresses: &[SocketAddr],
    timeout: Duration,
) -> Result<SocketAddr, RunError> {
    let mut attempts = Vec::new();
    for address in addresses.iter().copied() {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(_) => return Ok(address),
            Err(error) => attempts.push((address, error.into())),
        }
    }
    let attempts = explain_attempts(&attempts, target);
    Err(RunError::Failed(format!(
        "cannot connect to {target}: {attempts}"
    )))
}

/// Returns how long the load of `settings` lasts at most, with its warm-up.
fn load_length(settings: &RunSettings) -> Duration {
    let messages = match (settings.load, settings.stop.messages) {
        (Load::Open { rate, .. }, Some(messages)) => {
            Duration::try_from_secs_f64(messages as f64 / rate).ok()
        }
        (Load::Open { .. }, None) | (Load::Closed, _) => None,
    };
    let window = [settings.stop.duration, messages].into_iter().flatten();
    let window = window.min().unwrap_or(Duration::MAX);
    window.saturating_add(settings.warmup)
}

/// Warns if churn will need more ports than the system has. A connection closed by a FIN occupies its port for
/// [`TIME_WAIT`]. A connection closed by a reset does not.
fn warn_of_port_shortage(settings: &RunSettings, on_event: &mut dyn FnMut(RunEvent)) {
    let (Some(rate), true, Close::Fin) = (settings.shard_rate(), settings.churn, settings.close)
    else {
        return;
    };
    let Some(ports) = platform::ephemeral_ports() else {
        return;
    };
    let sources = settings.sources.len().max(1) as u64;
    let needed = (rate * TIME_WAIT.min(load_length(settings)).as_secs_f64()) as u64;
    if needed > ports * sources {
        let rate = format_decimal(rate, 3);
        on_event(RunEvent::Note(format!(
            "{rate} connections/s will keep {needed} ports in TIME_WAIT, and {sources} source addresses have {ports} \
             ports each: use more source addresses, or close with a reset"
        )));
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;
    use crate::load::testing::open_loop;

    /// Returns the number of warnings before a run with churn that ends after `seconds` or `messages`.
    fn warnings(rate: f64, seconds: Option<u64>, messages: Option<u64>) -> usize {
        let mut settings = open_loop().settings;
        settings.churn = true;
        settings.stop.duration = seconds.map(Duration::from_secs);
        settings.stop.messages = messages;
        if let Load::Open { rate: settings, .. } = &mut settings.load {
            *settings = rate;
        }
        let mut warnings = 0;
        warn_of_port_shortage(&settings, &mut |_| warnings += 1);
        warnings
    }

    #[test]
    fn fault_b5_a_run_is_warned_only_of_ports_that_it_needs() {
        let Some(ports) = platform::ephemeral_ports() else {
            return;
        };
        // All ports in 30 seconds. The warm-up lasts half a second.
        let rate = ports as f64 / 30.0;
        for (seconds, messages, expected) in [
            (Some(1), None, 0),
            (Some(29), None, 0),
            (Some(31), None, 1),
            (None, Some(ports / 2), 0),
            (None, Some(2 * ports), 1),
            (Some(1), Some(2 * ports), 0),
            (None, None, 1),
        ] {
            let found = warnings(rate, seconds, messages);
            assert_eq!(found, expected, "{seconds:?} {messages:?}");
        }
        // A port is free after a minute.
        assert_eq!(warnings(ports as f64 / 61.0, Some(1_000), None), 0);
        assert_eq!(warnings(ports as f64 / 59.0, Some(1_000), None), 1);
    }

    #[test]
    fn fault_m1_a_target_without_an_open_address_is_named_with_every_address_and_its_error() {
        let listener = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            let address = listener.local_addr().expect("its address");
            (listener, address)
        };
        let (first, second, (open, third)) = (listener().1, listener().1, listener());
        let timeout = Duration::from_secs(20);
        let choose = |addresses: &[_]| first_that_accepts("name:7", addresses, timeout);
        let chosen = choose(&[first, third, second]);
        assert_eq!(chosen.ok(), Some(third));
        drop(open);
        let refused = choose(&[first, second]).expect_err("both are closed");
        let refused = refused.to_string();
        let start = format!("cannot connect to name:7: {first} refused: ");
        assert!(refused.starts_with(&start), "{refused}");
        let other = format!("; {second} refused: ");
        assert!(refused.contains(&other), "{refused}");
    }
}
