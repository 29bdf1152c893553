//! What must be settled before a measurement begins: descriptors, ports, the address, the shares of the loops.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::child_server::ChildServer;
use super::error::RunError;
use super::event::RunEvent;
use crate::load::plan::settings::{Close, Config, Target};
use crate::load::units::rounded;
use crate::net::{platform, resolve, try_source};

/// How long a closed connection keeps its port (Linux: TCP_TIMEWAIT_LEN).
const TIME_WAIT: Duration = Duration::from_secs(60);

/// Descriptors for everything that is not a connection, and for each loop.
const RESERVED: u64 = 32;
const PER_THREAD: u64 = 4;

/// A measurement that can begin.
#[derive(Debug)]
pub struct ReadyRun {
    pub(crate) config: Config,
    pub(crate) address: SocketAddr,
    /// One that was started for it.
    pub(crate) server: Option<ChildServer>,
}

/// Settles what `config` leaves open. That can take its time, and signals do in it what they do without us.
///
/// # Errors
///
/// When there is nothing to measure: the target does not resolve, the server of our own does not start, nothing can come
/// from a source address, or the system refuses the descriptors for the connections.
pub fn prepare(config: Config, on_event: &mut dyn FnMut(RunEvent)) -> Result<ReadyRun, RunError> {
    claim_descriptors(&config)?;
    check_sources(&config)?;
    let (server, address) = match &config.target {
        Target::Child(program) => {
            let server = ChildServer::start(program, &config).map_err(RunError::Server)?;
            let address = server.address();
            on_event(RunEvent::Note(format!(
                "no target: started mio-echo serve on {address}"
            )));
            (Some(server), address)
        }
        Target::Remote(target) => (None, choose_address(target, &config)?),
    };
    warn_of_ports(&config, on_event);
    Ok(ReadyRun {
        config,
        address,
        server,
    })
}

/// Makes room for the descriptors that the connections need.
fn claim_descriptors(config: &Config) -> Result<(), RunError> {
    let connections = config.own_connections() as u64;
    let needed = connections + config.threads as u64 * PER_THREAD + RESERVED;
    match platform::raise_descriptor_limit(needed).map_err(RunError::System)? {
        Some(limit) if limit < needed => Err(RunError::Descriptors { needed, limit }),
        _ => Ok(()),
    }
}

/// Tries whether connections can come from each of the source addresses.
fn check_sources(config: &Config) -> Result<(), RunError> {
    for source in config.sources.iter().copied() {
        try_source(source).map_err(|error| RunError::Source { source, error })?;
    }
    Ok(())
}

/// The first address that lets us connect. The last one is not tried: if it refuses, the measurement says so.
fn choose_address(target: &str, config: &Config) -> Result<SocketAddr, RunError> {
    let addresses = resolve(target, config.family).map_err(|error| RunError::Unresolved {
        target: target.into(),
        error,
    })?;
    let lets_connect =
        |address: &&SocketAddr| TcpStream::connect_timeout(address, config.timeout).is_ok();
    let last = addresses.len() - 1;
    let first = addresses[..last].iter().find(lets_connect);
    Ok(*first.unwrap_or(&addresses[last]))
}

/// A connection that was closed keeps its port for a minute (TIME_WAIT); a reset one does not.
fn warn_of_ports(config: &Config, on_event: &mut dyn FnMut(RunEvent)) {
    let (Some(rate), true, Close::Fin) = (config.own_rate(), config.churn, config.close) else {
        return;
    };
    let Some(ports) = platform::ephemeral_ports() else {
        return;
    };
    let sources = config.sources.len().max(1) as u64;
    let needed = (rate * TIME_WAIT.as_secs_f64()) as u64;
    if needed > ports * sources {
        let rate = rounded(rate, 3);
        on_event(RunEvent::Note(format!(
            "{rate} connections a second keep {needed} ports in TIME_WAIT; there are {ports} on each of {sources} \
             source addresses: use --source, or --close rst"
        )));
    }
}

/// The messages that a loop may begin: one in turn for each connection of the load, of which it has some. So their evenly
/// spread schedules end where that of the whole load does, and no connection of any shard has more than another by more
/// than one.
pub(crate) fn quota(config: &Config, thread: usize, threads: usize) -> Option<u64> {
    let messages = config.length.messages?;
    let connections = config.connections as u64;
    let of_one =
        |number| messages / connections + u64::from((number as u64) < messages % connections);
    Some(config.own_numbers(thread, threads).map(of_one).sum())
}
