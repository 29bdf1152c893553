//! How a server starts: its limits, its memory, its listeners, and one loop for each thread.

use std::mem;
use std::sync::Arc;
use std::thread;
#[cfg(feature = "threads")]
use std::{io, thread::JoinHandle};

use log::info;
use mio::{Poll, Registry};

use super::acceptor::Acceptor;
#[cfg(feature = "threads")]
use super::arrivals::Arrivals;
use super::capacity::Capacity;
use super::connections::Connections;
use super::ids::ConnectionIds;
use super::loops::Loops;
use super::memory_needs::MemoryNeeds;
#[cfg(not(feature = "threads"))]
use super::no_siblings::Sibling;
use super::per_address::{PerAddressLimit, SharedAddressLimit};
use super::proxy::ProxiedClients;
#[cfg(feature = "threads")]
use super::reporter::Reporter;
use super::server::{FIRST_LISTENER, WAKER};
#[cfg(feature = "threads")]
use super::sibling::{EndNotice, Sibling, SiblingState};
use super::stats::ListenerStats;
#[cfg(feature = "threads")]
use super::threads;
use super::workers::{Work, WorkerPool, Workers, jobs_of_loop};
use super::{Config, Handle, Server, StartError, poll};
use crate::conn::Buffers;

/// What all loops have in common.
struct Common {
    config: Arc<Config>,
    memory: MemoryNeeds,
    capacity: Capacity,
    per_address: Option<SharedAddressLimit>,
    workers: Option<Arc<WorkerPool>>,
    /// The statistics of each listener, before any has accepted a client.
    statistics: Vec<ListenerStats>,
}

impl Server {
    /// Binds every address of `config`, reserves the memory for all connections, and starts the threads.
    ///
    /// # Errors
    ///
    /// Returns an error if an address cannot be listened on, if the process may not open enough descriptors, or if a
    /// poll or a thread cannot be created.
    pub fn bind(config: Config) -> Result<Self, StartError> {
        // An echo needs no work. A worker simulates a call that blocks, and replies with the message.
        let simulated_work = config.simulated_work;
        Self::bind_with(config, Arc::new(move |_| thread::sleep(simulated_work)))
    }

    /// Binds like [`bind`](Self::bind), with `work` as the function that workers apply to each message.
    pub(super) fn bind_with(mut config: Config, work: Work) -> Result<Self, StartError> {
        let memory = MemoryNeeds::of(&config);
        let capacity = Capacity::claim(&config, &memory)?;
        let buffers = memory.buffers(capacity.connections, config.framings().count())?;
        info!("{}", capacity.describe(&memory));
        let (poll, handle, registry) = new_poll()?;
        let inherited = mem::take(&mut config.inherited);
        let config = Arc::new(config);
        let proxied = ProxiedClients::new(&config, capacity.connections);
        let acceptor = Acceptor::listen(&config, inherited, proxied, &registry, FIRST_LISTENER)?;
        let jobs = jobs_of_loop(config.workers, config.loops()) * config.loops();
        let common = Common {
            per_address: config
                .max_per_ip
                .map(|limit| PerAddressLimit::new(limit, capacity.connections))
                .map(SharedAddressLimit::new),
            workers: (config.workers > 0)
                .then(|| WorkerPool::start(config.workers, jobs, &work))
                .transpose()
                .map_err(StartError::Workers)?,
            statistics: acceptor.statistics(),
            config,
            memory,
            capacity,
        };
        let own = common.connections(0, buffers, registry, &handle)?;
        let siblings = common.start_siblings(&handle)?;
        let loops = Loops::new(own, siblings, capacity.connections, common.per_address);
        Ok(Self::new(poll, handle, acceptor, loops, common.config))
    }
}

impl Common {
    /// Creates the connections of the loop at `index`. The loop has this registry and this handle.
    fn connections(
        &self,
        index: usize,
        buffers: Buffers,
        registry: Registry,
        handle: &Handle,
    ) -> Result<Connections, StartError> {
        let (config, per_address) = (&self.config, self.per_address.clone());
        let jobs = jobs_of_loop(config.workers, config.loops());
        let new_workers = |pool| Workers::new(pool, jobs, config.max_message, handle.clone());
        let workers = self.workers.clone().map(new_workers).transpose();
        Ok(Connections::new(
            self.memory.limits(self.capacity.connections, per_address),
            buffers,
            registry,
            workers.map_err(StartError::Workers)?,
            self.statistics.clone(),
            ConnectionIds::of_loop(index, config.loops()),
            Arc::clone(config),
        ))
    }

    /// Starts every loop after the first one, whose handle is `first`.
    #[cfg(feature = "threads")]
    fn start_siblings(&self, first: &Handle) -> Result<Vec<Sibling>, StartError> {
        let siblings = 1..self.config.loops();
        siblings
            .map(|index| self.start_sibling(index, first))
            .collect()
    }

    /// Starts nothing: a build without the feature `threads` has one loop.
    #[cfg(not(feature = "threads"))]
    fn start_siblings(&self, _: &Handle) -> Result<Vec<Sibling>, StartError> {
        Ok(Vec::new())
    }

    /// Starts the loop at `index`, which gets its clients from the loop of `first`.
    #[cfg(feature = "threads")]
    fn start_sibling(&self, index: usize, first: &Handle) -> Result<Sibling, StartError> {
        let (poll, handle, registry) = new_poll()?;
        let buffers = self
            .memory
            .buffers(self.capacity.connections, self.statistics.len())?;
        let own = self.connections(index, buffers, registry, &handle)?;
        let (arrivals, sender) = Arrivals::new(handle.clone());
        let server = Server::new(
            poll,
            handle.clone(),
            Acceptor::without_listeners(arrivals, &self.config),
            Loops::new(own, Vec::new(), self.capacity.connections, None),
            Arc::clone(&self.config),
        );
        let state = Arc::new(SiblingState::new(first.clone()));
        let thread = spawn(index, server, Arc::clone(&state)).map_err(StartError::Thread)?;
        Ok(Sibling::new(state, sender, handle, Some(thread)))
    }
}

/// Starts the thread of the sibling at `index`.
#[cfg(feature = "threads")]
pub(super) fn spawn(
    index: usize,
    mut server: Server,
    state: Arc<SiblingState>,
) -> io::Result<JoinHandle<()>> {
    server.observe(Box::new(Reporter::new(Arc::clone(&state))));
    let run = move || {
        let mut notice = EndNotice {
            state,
            is_regular: false,
        };
        match server.run_loop() {
            Ok(_) => notice.is_regular = true,
            Err(error) => notice.state.set_error(error),
        }
    };
    threads::spawn(&format!("loop {}", index + 1), run)
}

/// Creates the poll of a loop, its handle, and a registry for its connections.
fn new_poll() -> Result<(Poll, Handle, Registry), StartError> {
    let (poll, handle) = poll::with_waker(WAKER).map_err(StartError::Poll)?;
    let registry = poll.registry().try_clone();
    let registry = registry
        .map_err(poll::explain("cannot clone the poll"))
        .map_err(StartError::Poll)?;
    Ok((poll, handle, registry))
}
