//! The CPU time and memory of processes, as far as the system tells.

use std::ops::Add;
use std::time::Duration;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// The usage of a server that was started for the run. A figure is `None` if the system does not tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServerUsage {
    /// The CPU time in the window.
    pub cpu: Option<Duration>,
    /// The resident memory at the end of the window, in bytes.
    pub rss: Option<u64>,
    /// The resident memory that each connection added until all connections were up, in bytes.
    pub bytes_per_connection: Option<f64>,
}

/// The usage of a process up to some moment. A figure is `None` if the system does not tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ProcessUsage {
    /// The CPU time of all threads, in user space and in the kernel.
    cpu: Option<Duration>,
    /// The resident memory in bytes.
    rss: Option<u64>,
}

/// Reads the usage of the generator and of the server that it started, at the moments that matter.
#[derive(Debug)]
pub struct UsageMeter {
    /// The process of the server.
    server: Option<u32>,
    server_idle: ProcessUsage,
    server_connected: ProcessUsage,
    window_start: Option<UsageSample>,
    window_end: Option<UsageSample>,
}

/// The usage of both processes at one moment.
#[derive(Clone, Copy, Debug)]
struct UsageSample {
    generator: ProcessUsage,
    server: ProcessUsage,
}

impl UsageMeter {
    /// Returns a meter of this process and of the process `server`, to which no connection is open yet.
    pub fn new(server: Option<u32>) -> Self {
        Self {
            server,
            server_idle: server.map_or_else(ProcessUsage::default, ProcessUsage::of),
            server_connected: ProcessUsage::default(),
            window_start: None,
            window_end: None,
        }
    }

    /// Records that all connections are up.
    pub fn record_connected(&mut self) {
        self.server_connected = self
            .server
            .map_or_else(ProcessUsage::default, ProcessUsage::of);
    }

    /// Records the start of the window. Only the first call counts.
    pub fn record_window_start(&mut self) {
        self.window_start = self.window_start.or_else(|| Some(self.sample()));
    }

    /// Records the end of the window. Only the first call counts.
    pub fn record_window_end(&mut self) {
        self.window_end = self.window_end.or_else(|| Some(self.sample()));
    }

    /// Returns true if the end of the window is recorded.
    pub fn has_window_end(&self) -> bool {
        self.window_end.is_some()
    }

    /// Returns the CPU time of this process in the window.
    pub fn generator_cpu(&self) -> Option<Duration> {
        let (start, end) = (self.window_start?.generator, self.window_end?.generator);
        end.cpu_since(start)
    }

    /// Returns the usage of the server under `connections` connections; `None` if no server was started.
    pub fn server(&self, connections: usize) -> Option<ServerUsage> {
        self.server?;
        let window = self.window_start.zip(self.window_end);
        let memory = self.server_idle.rss.zip(self.server_connected.rss);
        Some(ServerUsage {
            cpu: window.and_then(|(start, end)| end.server.cpu_since(start.server)),
            rss: self.window_end.and_then(|end| end.server.rss),
            bytes_per_connection: memory.map(|(idle, connected)| {
                connected.saturating_sub(idle) as f64 / connections.max(1) as f64
            }),
        })
    }

    fn sample(&self) -> UsageSample {
        UsageSample {
            generator: ProcessUsage::of(std::process::id()),
            server: self
                .server
                .map_or_else(ProcessUsage::default, ProcessUsage::of),
        }
    }
}

impl ProcessUsage {
    /// Returns the usage of the process `pid` up to now.
    fn of(pid: u32) -> Self {
        if !sysinfo::IS_SUPPORTED_SYSTEM {
            return Self::default();
        }
        let pid = Pid::from_u32(pid);
        let figures = ProcessRefreshKind::nothing().with_cpu().with_memory();
        let mut system = System::new();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, figures);
        system
            .process(pid)
            .map_or_else(Self::default, |process| Self {
                cpu: Some(Duration::from_millis(process.accumulated_cpu_time())),
                // A process that has ended stays listed, without memory, until its parent has waited for it.
                rss: Some(process.memory()).filter(|rss| *rss > 0),
            })
    }

    fn cpu_since(self, earlier: Self) -> Option<Duration> {
        Some(self.cpu?.saturating_sub(earlier.cpu?))
    }
}

/// The sum of the servers of two shards. Memory per connection is not added: each shard's server has its own.
impl Add for ServerUsage {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.zip(other.cpu).map(|(a, b)| a + b),
            rss: self.rss.zip(other.rss).map(|(a, b)| a + b),
            bytes_per_connection: None,
        }
    }
}
