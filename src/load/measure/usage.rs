//! What processes have taken of the machine, where the system tells.

use std::time::Duration;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::results::ServerUsage;

/// What a process has taken so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of all its threads, in user space and in the kernel.
    pub cpu: Option<Duration>,
    /// Resident memory in bytes.
    pub rss: Option<u64>,
}

impl Usage {
    /// Of the process `pid`, now.
    pub fn of(pid: u32) -> Self {
        if !sysinfo::IS_SUPPORTED_SYSTEM {
            return Self::default();
        }
        let pid = Pid::from_u32(pid);
        let wanted = ProcessRefreshKind::nothing().with_cpu().with_memory();
        let mut system = System::new();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, wanted);
        system
            .process(pid)
            .map_or_else(Self::default, |process| Self {
                cpu: Some(Duration::from_millis(process.accumulated_cpu_time())),
                // One that has ended and that nobody has waited for is still there, without memory.
                rss: Some(process.memory()).filter(|rss| *rss > 0),
            })
    }

    /// CPU time since `earlier`.
    pub fn cpu_since(self, earlier: Self) -> Option<Duration> {
        Some(self.cpu?.saturating_sub(earlier.cpu?))
    }
}

/// What this process and a server of our own took, and when.
#[derive(Debug)]
pub struct Usages {
    server: Option<u32>,
    server_idle: Usage,
    server_connected: Usage,
    begin: Option<Both>,
    end: Option<Both>,
}

/// At one moment.
#[derive(Clone, Copy, Debug)]
struct Both {
    generator: Usage,
    server: Usage,
}

impl Usages {
    /// Before anybody connects; the server is the process `server`.
    pub fn new(server: Option<u32>) -> Self {
        Self {
            server,
            server_idle: server.map_or_else(Usage::default, Usage::of),
            server_connected: Usage::default(),
            begin: None,
            end: None,
        }
    }

    /// All are connected.
    pub fn note_connected(&mut self) {
        self.server_connected = self.server.map_or_else(Usage::default, Usage::of);
    }

    /// The window begins; the first call counts.
    pub fn note_begin(&mut self) {
        self.begin = self.begin.or_else(|| Some(self.both()));
    }

    /// The window has ended; the first call counts.
    pub fn note_end(&mut self) {
        self.end = self.end.or_else(|| Some(self.both()));
    }

    /// Whether the end of the window has been noted.
    pub fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// CPU time of this process in the window.
    pub fn generator_cpu(&self) -> Option<Duration> {
        self.end?.generator.cpu_since(self.begin?.generator)
    }

    /// What the server took for so many connections; none if there is none of our own.
    pub fn server(&self, connections: usize) -> Option<ServerUsage> {
        self.server?;
        let in_window = self.begin.zip(self.end);
        let grown = self.server_connected.rss.zip(self.server_idle.rss);
        Some(ServerUsage {
            cpu: in_window.and_then(|(begin, end)| end.server.cpu_since(begin.server)),
            rss: self.end.and_then(|end| end.server.rss),
            bytes_per_connection: grown.map(|(connected, idle)| {
                connected.saturating_sub(idle) as f64 / connections.max(1) as f64
            }),
        })
    }

    fn both(&self) -> Both {
        Both {
            generator: Usage::of(std::process::id()),
            server: self.server.map_or_else(Usage::default, Usage::of),
        }
    }
}
