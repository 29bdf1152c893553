//! Reads the times on systems other than Linux. They tell no waits, no throttling and no stolen time.

use std::time::Duration;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::load::measure::interference::MachineTimes;
use crate::load::measure::thread_times::ThreadTimes;

/// Reads the times of the machine and of processes.
#[derive(Debug)]
pub struct Reader {
    system: System,
    latest: Duration,
    /// The idle time of all CPUs since the reader was created.
    idle: Duration,
    /// The time of all CPUs since the reader was created.
    counted: Duration,
}

impl Reader {
    pub fn new(now: Duration) -> Self {
        Self {
            system: System::new(),
            latest: now,
            idle: Duration::ZERO,
            counted: Duration::ZERO,
        }
    }

    /// Returns the times of all CPUs. The system tells their usage since the previous call.
    ///
    /// Returns `None` on Windows: its performance counters would be asked, and Wine ends a program that asks for them.
    pub fn machine(&mut self, now: Duration) -> Option<MachineTimes> {
        if cfg!(windows) || !sysinfo::IS_SUPPORTED_SYSTEM {
            return None;
        }
        self.system.refresh_cpu_usage();
        let cpus = self.system.cpus().len();
        let time = now.saturating_sub(self.latest) * cpus as u32;
        let idle = (1.0 - self.system.global_cpu_usage() / 100.0).clamp(0.0, 1.0);
        self.latest = now;
        self.counted += time;
        self.idle += time.mul_f32(idle);
        Some(MachineTimes {
            cpus,
            idle: self.idle,
            interrupts: Duration::ZERO,
            steal: None,
            counted: self.counted,
        })
    }

    /// Returns `None`: only Linux has cgroups.
    pub fn throttled(&self) -> Option<Duration> {
        None
    }

    /// Returns the CPU time of the process `pid`, of all its threads.
    pub fn cpu(&mut self, pid: u32) -> Option<Duration> {
        if !sysinfo::IS_SUPPORTED_SYSTEM {
            return None;
        }
        let pid = Pid::from_u32(pid);
        let figures = ProcessRefreshKind::nothing().with_cpu();
        let only = ProcessesToUpdate::Some(&[pid]);
        self.system
            .refresh_processes_specifics(only, false, figures);
        let process = self.system.process(pid)?;
        Some(Duration::from_millis(process.accumulated_cpu_time()))
    }

    /// Returns `pid` alone: the descendants are unknown.
    pub fn with_descendants(&self, pid: u32) -> Vec<u32> {
        vec![pid]
    }

    /// Returns `None`: the time of descendants is unknown.
    pub fn cpu_with_ended_children(&mut self, _pids: &[u32]) -> Option<Duration> {
        None
    }

    /// Returns `None`: the system does not tell the waits of threads.
    pub fn threads(&self, _pid: u32) -> Option<Vec<(i32, ThreadTimes)>> {
        None
    }
}
