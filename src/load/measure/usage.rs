//! The usage of the machine, of the generator and of the server in the window, as far as the system tells.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::interference::{Interference, MachineSample};
use super::machine::{MachineMeter, ServerProcess};

/// The usage of the server that was started for the run, or whose process was named: `server` in the JSON report. A figure is null if the system
/// does not tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerUsage {
    /// The CPU time in the window, in seconds.
    pub cpu_s: Option<f64>,
    /// `cpu_s` divided by the length of the window: 1 is one core.
    pub cpu: Option<f64>,
    /// The CPU time in the window of the thread that used most, divided by the length of the window; null in a sum of
    /// reports.
    pub busiest_thread: Option<f64>,
    /// The resident memory at the end of the window, in bytes.
    pub rss_bytes: Option<u64>,
    /// The resident memory that each connection added until all connections were up, in bytes; null in a sum of
    /// reports.
    pub bytes_per_connection: Option<f64>,
}

/// Reads the usage of the machine, of the generator and of the server, at the moments that matter.
#[derive(Debug)]
pub struct UsageMeter {
    server: ServerProcess,
    machine: MachineMeter,
    server_idle: Option<u64>,
    server_connected: Option<u64>,
    window_start: Option<MachineSample>,
    window_end: Option<WindowEnd>,
}

/// What is read at the end of the window.
#[derive(Clone, Copy, Debug)]
struct WindowEnd {
    sample: MachineSample,
    busiest_server_thread: Option<Duration>,
    server_rss: Option<u64>,
}

impl ServerUsage {
    /// Returns the usage of the servers of two shards in a window of this length.
    pub fn sum(self, other: Self, window: Duration) -> Self {
        let cpu_s = self.cpu_s.zip(other.cpu_s).map(|(a, b)| a + b);
        Self {
            cpu_s,
            cpu: cores(cpu_s, window),
            busiest_thread: None,
            rss_bytes: self.rss_bytes.zip(other.rss_bytes).map(|(a, b)| a + b),
            bytes_per_connection: None,
        }
    }
}

impl UsageMeter {
    /// Returns a meter of this process and of the server, to which no connection is open yet.
    pub fn new(server: ServerProcess) -> Self {
        Self {
            server,
            machine: MachineMeter::new(server),
            server_idle: resident_memory(server),
            server_connected: None,
            window_start: None,
            window_end: None,
        }
    }

    /// Records that all connections are up.
    pub fn record_connected(&mut self) {
        self.server_connected = resident_memory(self.server);
    }

    /// Records the start of the window, and starts the first lap. Only the first call counts.
    pub fn record_window_start(&mut self) {
        if self.window_start.is_none() {
            self.window_start = Some(self.machine.start_window());
        }
    }

    /// Returns the interference since the previous lap or the start of the window.
    pub fn lap(&mut self) -> Interference {
        self.machine.lap()
    }

    /// Records the end of the window. Only the first call counts. The current lap goes on.
    pub fn record_window_end(&mut self) {
        if self.window_end.is_none() {
            self.window_end = Some(WindowEnd {
                sample: self.machine.sample(),
                busiest_server_thread: self.machine.busiest_server_thread(),
                server_rss: resident_memory(self.server),
            });
        }
    }

    /// Returns true if the end of the window is recorded.
    pub fn has_window_end(&self) -> bool {
        self.window_end.is_some()
    }

    /// Returns the interference of the machine in the window.
    pub fn interference(&self) -> Interference {
        let window = self.window_start.zip(self.window_end);
        window.map_or_else(Interference::default, |(start, end)| {
            end.sample.since(&start)
        })
    }

    /// Returns the CPU time of this process in the window.
    pub fn generator_cpu(&self) -> Option<Duration> {
        let (start, end) = (self.window_start?, self.window_end?.sample);
        end.generator.cpu_since(start.generator)
    }

    /// Returns the usage of the server with `connections` connections in a window of this length; `None` if its process
    /// is unknown.
    pub fn server(&self, connections: usize, window: Duration) -> Option<ServerUsage> {
        self.server.pid()?;
        let samples = self.window_start.zip(self.window_end);
        let cpu = samples.and_then(|(start, end)| end.sample.server.cpu_since(&start.server));
        let cpu_s = cpu.map(|cpu| cpu.as_secs_f64());
        let busiest = samples.and_then(|(_, end)| end.busiest_server_thread);
        let memory = self.server_idle.zip(self.server_connected);
        Some(ServerUsage {
            cpu_s,
            cpu: cores(cpu_s, window),
            busiest_thread: cores(busiest.map(|cpu| cpu.as_secs_f64()), window),
            rss_bytes: self.window_end.and_then(|end| end.server_rss),
            bytes_per_connection: memory.map(|(idle, connected)| {
                connected.saturating_sub(idle) as f64 / connections.max(1) as f64
            }),
        })
    }
}

/// Returns the resident memory of the server in bytes; `None` if its process is unknown or the system does not tell, and
/// for a process with descendants, which share a part of their memory.
fn resident_memory(server: ServerProcess) -> Option<u64> {
    let ServerProcess::Known(pid) = server else {
        return None;
    };
    if !sysinfo::IS_SUPPORTED_SYSTEM {
        return None;
    }
    let pid = Pid::from_u32(pid);
    let figures = ProcessRefreshKind::nothing().with_memory();
    let mut system = System::new();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, figures);
    // A process that has ended stays listed, without memory, until its parent has waited for it.
    let memory = system.process(pid)?.memory();
    Some(memory).filter(|rss| *rss > 0)
}

fn cores(cpu_s: Option<f64>, window: Duration) -> Option<f64> {
    Some(cpu_s? / window.as_secs_f64()).filter(|cores| cores.is_finite())
}
