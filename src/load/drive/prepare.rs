//! What must be settled before a measurement begins: descriptors, ports, the address, the shares of the loops.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::child_server::ChildServer;
use super::error::RunError;
use super::event::RunEvent;
use crate::load::plan::settings::{Close, RunSettings, Target};
use crate::load::units::rounded;
use crate::net::{check_source, platform, resolve};

/// How long a closed connection keeps its port (Linux: TCP_TIMEWAIT_LEN).
const TIME_WAIT: Duration = Duration::from_secs(60);

/// Descriptors for everything that is not a connection, and for each loop.
const RESERVED: u64 = 32;
const PER_THREAD: u64 = 4;

/// A measurement that can begin.
#[derive(Debug)]
pub struct ReadyRun {
    pub(crate) settings: RunSettings,
    pub(crate) address: SocketAddr,
    /// One that was started for it.
    pub(crate) server: Option<ChildServer>,
}

/// Settles what `settings` leaves open. That can take its time, and signals do in it what they do without us.
///
/// # Errors
///
/// When there is nothing to measure: the target does not resolve, the server of our own does not start, nothing can come
/// from a source address, or the system refuses the descriptors for the connections.
pub fn prepare(
    settings: RunSettings,
    on_event: &mut dyn FnMut(RunEvent),
) -> Result<ReadyRun, RunError> {
    claim_descriptors(&settings)?;
    check_sources(&settings)?;
    let (server, address) = match &settings.target {
        Target::Child(program) => {
            let server = ChildServer::start(program, &settings).map_err(RunError::Server)?;
            let address = server.address();
            on_event(RunEvent::Note(format!(
                "no target: started mio-echo serve on {address}"
            )));
            (Some(server), address)
        }
        Target::Remote(target) => (None, choose_address(target, &settings)?),
    };
    warn_of_ports(&settings, on_event);
    Ok(ReadyRun {
        settings,
        address,
        server,
    })
}

/// Makes room for the descriptors that the connections need.
fn claim_descriptors(settings: &RunSettings) -> Result<(), RunError> {
    let connections = settings.shard_connections() as u64;
    let needed = connections + settings.threads as u64 * PER_THREAD + RESERVED;
    match platform::raise_descriptor_limit(needed).map_err(RunError::System)? {
        Some(limit) if limit < needed => Err(RunError::Descriptors { needed, limit }),
        _ => Ok(()),
    }
}

/// Tries whether connections can come from each of the source addresses.
fn check_sources(settings: &RunSettings) -> Result<(), RunError> {
    for source in settings.sources.iter().copied() {
        check_source(source).map_err(|error| RunError::Source { source, error })?;
    }
    Ok(())
}

/// The first address that lets us connect. The last one is not tried: if it refuses, the measurement says so.
fn choose_address(target: &str, settings: &RunSettings) -> Result<SocketAddr, RunError> {
    let addresses = resolve(target, settings.family).map_err(|error| RunError::Unresolved {
        target: target.into(),
        error,
    })?;
    let lets_connect =
        |address: &&SocketAddr| TcpStream::connect_timeout(address, settings.timeout).is_ok();
    let last = addresses.len() - 1;
    let first = addresses[..last].iter().find(lets_connect);
    Ok(*first.unwrap_or(&addresses[last]))
}

/// A connection that was closed keeps its port for a minute (TIME_WAIT); a reset one does not.
fn warn_of_ports(settings: &RunSettings, on_event: &mut dyn FnMut(RunEvent)) {
    let (Some(rate), true, Close::Fin) = (settings.shard_rate(), settings.churn, settings.close)
    else {
        return;
    };
    let Some(ports) = platform::ephemeral_ports() else {
        return;
    };
    let sources = settings.sources.len().max(1) as u64;
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
pub(crate) fn quota(settings: &RunSettings, thread: usize, threads: usize) -> Option<u64> {
    let messages = settings.stop.messages?;
    let connections = settings.connections as u64;
    let of_one =
        |number| messages / connections + u64::from((number as u64) < messages % connections);
    Some(
        settings
            .thread_connections(thread, threads)
            .map(of_one)
            .sum(),
    )
}
