//! What a process has taken of the machine, where the system tells.

use std::time::Duration;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

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
                rss: Some(process.memory()),
            })
    }

    /// CPU time since `earlier`.
    pub fn cpu_since(self, earlier: Self) -> Option<Duration> {
        Some(self.cpu?.saturating_sub(earlier.cpu?))
    }
}
