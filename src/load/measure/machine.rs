//! Reads the times of the machine, of the generator and of the server.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

use std::process;
use std::time::Duration;

#[cfg(target_os = "linux")]
use linux::Reader;
#[cfg(not(target_os = "linux"))]
use other::Reader;

use super::interference::{Interference, MachineSample, ProcessTimes, ServerTimes};
use super::thread_times::ThreadLog;
use crate::net::platform;

/// The most threads of a server that a lap reads: reading this many takes about 1 ms. The threads of larger servers are
/// read at the start and at the end of the window alone, because reading them often would slow the generator.
const MOST_THREADS_IN_LAP: usize = 128;

/// What is known of the process of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerProcess {
    /// The server runs on another machine.
    Elsewhere,
    /// The server runs on this machine, in an unknown process.
    Unknown,
    /// The server is the process of this id.
    Known(u32),
    /// The server is the process of this id and its descendants.
    WithDescendants(u32),
}

/// Samples the machine, at the limits of the window and of its parts.
#[derive(Debug)]
pub struct MachineMeter {
    reader: Reader,
    server: ServerProcess,
    /// The processes of the server at the latest sample.
    server_pids: Vec<u32>,
    generator_threads: ThreadLog,
    server_threads: ThreadLog,
    lap_start: MachineSample,
}

impl ServerProcess {
    /// Returns the id of the process if it is known.
    pub fn pid(self) -> Option<u32> {
        match self {
            Self::Elsewhere | Self::Unknown => None,
            Self::Known(pid) | Self::WithDescendants(pid) => Some(pid),
        }
    }
}

impl MachineMeter {
    /// Returns a meter whose first lap starts now.
    pub fn new(server: ServerProcess) -> Self {
        let mut meter = Self {
            reader: Reader::new(now()),
            server,
            server_pids: Vec::new(),
            generator_threads: ThreadLog::default(),
            server_threads: ThreadLog::default(),
            lap_start: MachineSample::default(),
        };
        meter.lap_start = meter.sample();
        meter
    }

    /// Starts the window and its first lap.
    pub fn start_window(&mut self) -> MachineSample {
        self.lap_start = self.sample();
        self.generator_threads.start_window();
        self.server_threads.start_window();
        self.lap_start
    }

    /// Returns the interference since the start of the lap, and starts the next lap.
    pub fn lap(&mut self) -> Interference {
        let mut end = self.sample_without_server_threads();
        if self.server_threads.running() <= MOST_THREADS_IN_LAP {
            self.read_server_threads(&mut end);
        }
        let lap = end.since(&self.lap_start);
        self.lap_start = end;
        lap
    }

    /// Reads all times. Processes that the server has started since the previous sample are counted from now on, with all
    /// their time.
    pub fn sample(&mut self) -> MachineSample {
        self.server_pids = match self.server {
            ServerProcess::Elsewhere | ServerProcess::Unknown => Vec::new(),
            ServerProcess::Known(pid) => vec![pid],
            // Reading all processes takes milliseconds, so the laps between two samples do without.
            ServerProcess::WithDescendants(pid) => self.reader.with_descendants(pid),
        };
        let mut sample = self.sample_without_server_threads();
        self.read_server_threads(&mut sample);
        sample
    }

    /// Returns the CPU time in the window, up to the latest sample, of the server's thread that used most; `None` if the
    /// threads are unknown.
    pub fn busiest_server_thread(&self) -> Option<Duration> {
        let is_known = self.server_threads.running() > 0;
        is_known.then(|| self.server_threads.busiest())
    }

    fn sample_without_server_threads(&mut self) -> MachineSample {
        let at = now();
        let generator = process::id();
        MachineSample {
            at,
            machine: self.reader.machine(at),
            throttled: self.reader.throttled(),
            generator: ProcessTimes {
                cpu: self.reader.cpu(generator),
                wait: wait(&mut self.generator_threads, &self.reader, &[generator]),
            },
            server: match self.server {
                ServerProcess::Elsewhere => ServerTimes::Elsewhere,
                ServerProcess::Unknown => ServerTimes::Unknown,
                ServerProcess::Known(pid) => ServerTimes::Known(ProcessTimes {
                    cpu: self.reader.cpu(pid),
                    wait: None,
                }),
                ServerProcess::WithDescendants(_) => ServerTimes::Known(ProcessTimes {
                    cpu: self.reader.cpu_with_ended_children(&self.server_pids),
                    wait: None,
                }),
            },
        }
    }

    fn read_server_threads(&mut self, sample: &mut MachineSample) {
        if let ServerTimes::Known(times) = &mut sample.server {
            times.wait = wait(&mut self.server_threads, &self.reader, &self.server_pids);
        }
    }
}

/// Returns true if the process `pid` exists and the system tells its CPU time.
pub fn tells_cpu_time(pid: u32) -> bool {
    Reader::new(now()).cpu(pid).is_some()
}

/// Records the threads of the processes `pids`, and returns for how long they have waited for a CPU. A process that has
/// ended since is left out.
fn wait(log: &mut ThreadLog, reader: &Reader, pids: &[u32]) -> Option<Duration> {
    let threads = pids.iter().filter_map(|pid| reader.threads(*pid));
    let threads = threads.reduce(|mut all, more| {
        all.extend(more);
        all
    })?;
    log.record(threads);
    Some(log.wait())
}

fn now() -> Duration {
    Duration::from_nanos(platform::monotonic_now())
}
