//! What a configuration means on this system, without binding an address.

use super::bind;
use super::capacity::Capacity;
use super::memory_needs::MemoryNeeds;
use super::scope::ScopedAddress;
use super::{Config, StartError};

/// Resolves `config` as [`Server::bind`](super::Server::bind) does, and binds nothing. Returns lines that describe each
/// listener, the backlog, the connections and the memory.
///
/// # Errors
///
/// Fails if the process may not open enough descriptors, or if the connections do not fit into the memory. Whether an
/// address can be bound is not known.
pub fn check(config: &Config) -> Result<Vec<String>, StartError> {
    let memory = MemoryNeeds::of(config);
    let capacity = Capacity::claim(config, &memory)?;
    // A refusal of the memory is found by the attempt.
    drop(memory.buffers(capacity.connections, config.framings().count())?);
    let backlog = bind::effective_backlog(config.backlog);
    let listeners = config.listen.iter().map(|(listen, framing)| {
        let listener = bind::describe(*listen, *framing, config);
        format!("would listen on {listener}")
    });
    let inherited = config.inherited.iter().filter_map(|(socket, framing)| {
        let address = ScopedAddress(socket.local_addr().ok()?);
        Some(format!(
            "would listen on {address} {framing}, which is inherited"
        ))
    });
    let mut lines: Vec<_> = listeners.chain(inherited).collect();
    lines.push(format!(
        "at most {backlog} clients of a listener wait in the kernel's queue"
    ));
    lines.push(capacity.describe(&memory));
    Ok(lines)
}
