//! The CPU time and memory of processes, as far as the system tells.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// The usage of the server that was started for the run: `server` in the JSON report. A figure is null if the system
/// does not tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerUsage {
    /// The CPU time in the window, in seconds.
    pub cpu_s: Option<f64>,
    /// `cpu_s` divided by the length of the window: 1 is one core.
    pub cpu: Option<f64>,
    /// The resident memory at the end of the window, in bytes.
    pub rss_bytes: Option<u64>,
    /// The resident memory that each connection added until all connections were up, in bytes; null in a sum of
    /// reports.
    pub bytes_per_connection: Option<f64>,
}

/// Reads the usage of the generator and of the server that it started, at the moments that matter.
#[derive(Debug)]
pub struct UsageMeter {
    /// The process of the server, if the run started one.
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

/// The usage of a process up to some moment. A figure is `None` if the system does not tell it.
#[derive(Clone, Copy, Debug, Default)]
struct ProcessUsage {
    /// The CPU time of all threads, in user space and in the kernel.
    cpu: Option<Duration>,
    /// The resident memory in bytes.
    rss: Option<u64>,
}

impl ServerUsage {
    /// Returns the usage of the servers of two shards in a window of this length.
    pub fn sum(self, other: Self, window: Duration) -> Self {
        let cpu_s = self.cpu_s.zip(other.cpu_s).map(|(a, b)| a + b);
        Self {
            cpu_s,
            cpu: cores(cpu_s, window),
            rss_bytes: self.rss_bytes.zip(other.rss_bytes).map(|(a, b)| a + b),
            bytes_per_connection: None,
        }
    }
}

impl UsageMeter {
    /// Returns a meter of this process and of the process `server`, to which no connection is open yet.
    pub fn new(server: Option<u32>) -> Self {
        Self {
            server,
            server_idle: ProcessUsage::of(server),
            server_connected: ProcessUsage::default(),
            window_start: None,
            window_end: None,
        }
    }

    /// Records that all connections are up.
    pub fn record_connected(&mut self) {
        self.server_connected = ProcessUsage::of(self.server);
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

    /// Returns the usage of the server with `connections` connections in a window of this length; `None` if no server
    /// was started.
    pub fn server(&self, connections: usize, window: Duration) -> Option<ServerUsage> {
        self.server?;
        let samples = self.window_start.zip(self.window_end);
        let cpu = samples.and_then(|(start, end)| end.server.cpu_since(start.server));
        let cpu_s = cpu.map(|cpu| cpu.as_secs_f64());
        let memory = self.server_idle.rss.zip(self.server_connected.rss);
        Some(ServerUsage {
            cpu_s,
            cpu: cores(cpu_s, window),
            rss_bytes: self.window_end.and_then(|end| end.server.rss),
            bytes_per_connection: memory.map(|(idle, connected)| {
                connected.saturating_sub(idle) as f64 / connections.max(1) as f64
            }),
        })
    }

    fn sample(&self) -> UsageSample {
        UsageSample {
            generator: ProcessUsage::of(Some(std::process::id())),
            server: ProcessUsage::of(self.server),
        }
    }
}

impl ProcessUsage {
    /// Returns the usage of the process `pid` up to now. Without a process, no figure exists.
    fn of(pid: Option<u32>) -> Self {
        let Some(pid) = pid.filter(|_| sysinfo::IS_SUPPORTED_SYSTEM) else {
            return Self::default();
        };
        let pid = Pid::from_u32(pid);
        let figures = ProcessRefreshKind::nothing().with_cpu().with_memory();
        let mut system = System::new();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, figures);
        let process = system.process(pid);
        Self {
            cpu: process.map(|process| Duration::from_millis(process.accumulated_cpu_time())),
            // A process that has ended stays listed, without memory, until its parent has waited for it.
            rss: process
                .map(|process| process.memory())
                .filter(|rss| *rss > 0),
        }
    }

    fn cpu_since(self, earlier: Self) -> Option<Duration> {
        Some(self.cpu?.saturating_sub(earlier.cpu?))
    }
}

fn cores(cpu_s: Option<f64>, window: Duration) -> Option<f64> {
    Some(cpu_s? / window.as_secs_f64()).filter(|cores| cores.is_finite())
}
