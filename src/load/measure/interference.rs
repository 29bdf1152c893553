//! What the rest of the machine did to a measurement: CPU time of others, stolen time, throttling, waits for a CPU.
//!
//! [`Interference`] is computed from two samples of cumulative figures, so the same code serves the window and each part
//! of the window.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The interference of the machine with the measurement: `interference` in the JSON report. A figure is null if the
/// system does not tell it.
///
/// In a sum of reports, only `generator_wait` is added. The other figures are null, because the reports do not tell
/// whether the shards ran on one machine: shards of one machine would count each other, and each CPU several times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interference {
    /// The CPU time that the rest of the machine used, divided by the length of the window: 1 is one core. This is the
    /// CPU time of the machine less that of the generator, of the server, and of interrupts (irq and softirq).
    pub others_cores: Option<f64>,
    /// The number of CPUs of the machine.
    pub cpus: Option<usize>,
    /// The share of the CPU time that the hypervisor gave to others: steal divided by busy + steal.
    pub stolen: Option<f64>,
    /// The time for which the limits of the process's cgroup and its ancestors kept threads from running, divided by the
    /// length of the window. The kernel adds the times of all CPUs, so the figure can exceed 1.
    pub throttled: Option<f64>,
    /// The time for which threads of the generator were ready to run and waited for a CPU, added over the threads and
    /// divided by the length of the window.
    pub generator_wait: Option<f64>,
    /// The same for the threads of the server; null if its process is unknown.
    pub server_wait: Option<f64>,
    /// True if the server runs on this machine and its process is unknown. `others_cores` includes its CPU time then.
    pub others_include_server: bool,
}

/// Cumulative figures at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineSample {
    /// The monotonic time.
    pub at: Duration,
    pub machine: Option<MachineTimes>,
    pub throttled: Option<Duration>,
    pub generator: ProcessTimes,
    pub server: ServerTimes,
}

/// The times of all CPUs of the machine, added.
#[derive(Clone, Copy, Debug)]
pub struct MachineTimes {
    pub cpus: usize,
    /// Idle, with or without waiting for input and output.
    pub idle: Duration,
    /// In handlers of interrupts: irq and softirq.
    pub interrupts: Duration,
    /// Taken by the hypervisor; `None` if the system does not tell.
    pub steal: Option<Duration>,
    /// All kinds of time that the system counts.
    pub counted: Duration,
}

/// The times of a process. A figure is `None` if the system does not tell it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessTimes {
    /// The CPU time of all threads, in user space and in the kernel.
    pub cpu: Option<Duration>,
    /// The time for which threads waited for a CPU, added over the threads.
    pub wait: Option<Duration>,
}

/// The times of the server as far as its process is known.
#[derive(Clone, Copy, Debug, Default)]
pub enum ServerTimes {
    /// The server runs on another machine.
    #[default]
    Elsewhere,
    /// The server runs on this machine, in an unknown process.
    Unknown,
    /// The server is a known process.
    Known(ProcessTimes),
}

impl MachineSample {
    /// Returns the interference between the sample `earlier` and this sample.
    pub fn since(&self, earlier: &Self) -> Interference {
        let elapsed = self.at.saturating_sub(earlier.at).as_secs_f64();
        let machine = self.machine.zip(earlier.machine);
        let usage = machine.and_then(|(end, start)| end.usage_since(&start, elapsed));
        let processes = self.processes_since(earlier);
        let others = usage.as_ref().zip(processes);
        let others = others.map(|(usage, processes)| {
            // The system counts in ticks of 10 ms, so the difference of small figures may be negative.
            (usage.busy - usage.interrupts - processes).max(0.0)
        });
        let share = |time: Option<Duration>| finite(time?.as_secs_f64() / elapsed);
        Interference {
            others_cores: others.and_then(|seconds| finite(seconds / elapsed)),
            cpus: self.machine.map(|machine| machine.cpus),
            stolen: usage.and_then(|usage| usage.stolen()),
            throttled: share(difference(self.throttled, earlier.throttled)),
            generator_wait: share(self.generator.wait_since(earlier.generator)),
            server_wait: share(self.server.wait_since(&earlier.server)),
            others_include_server: matches!(self.server, ServerTimes::Unknown),
        }
    }

    /// Returns the CPU time of the generator and of the server since `earlier`, in seconds.
    fn processes_since(&self, earlier: &Self) -> Option<f64> {
        let generator = self.generator.cpu_since(earlier.generator)?;
        let server = match self.server {
            // An unknown process counts as others.
            ServerTimes::Elsewhere | ServerTimes::Unknown => Duration::ZERO,
            ServerTimes::Known(_) => self.server.cpu_since(&earlier.server)?,
        };
        Some((generator + server).as_secs_f64())
    }
}

impl Interference {
    /// Returns the interference of two parts of a run that follow one another and have these `lengths`.
    pub fn followed_by(self, next: Self, lengths: (Duration, Duration)) -> Self {
        let mean = |of: fn(&Self) -> Option<f64>| mean([of(&self), of(&next)], lengths);
        Self {
            others_cores: mean(|part| part.others_cores),
            stolen: mean(|part| part.stolen),
            throttled: mean(|part| part.throttled),
            generator_wait: mean(|part| part.generator_wait),
            server_wait: mean(|part| part.server_wait),
            ..self
        }
    }

    /// Returns the interference with two shards.
    pub fn sum(self, other: Self) -> Self {
        let waits = self.generator_wait.zip(other.generator_wait);
        Self {
            generator_wait: waits.map(|(a, b)| a + b),
            ..Self::default()
        }
    }
}

/// Returns the mean of two shares of times that follow one another.
fn mean(shares: [Option<f64>; 2], lengths: (Duration, Duration)) -> Option<f64> {
    let [a, b] = shares;
    let (a_length, b_length) = (lengths.0.as_secs_f64(), lengths.1.as_secs_f64());
    finite((a? * a_length + b? * b_length) / (a_length + b_length))
}

/// The CPU times between two samples, in seconds.
struct MachineUsage {
    busy: f64,
    interrupts: f64,
    steal: Option<f64>,
}

impl MachineTimes {
    /// Returns the times since `earlier`; `None` if the system did not count them: some containers show only zeros.
    ///
    /// A CPU is busy while it is not idle. Linux measures idle time exactly, but may only sample the busy kinds at each
    /// tick. In one second at 250 Hz, chance moves a sampled figure by up to 3 % of a core.
    fn usage_since(&self, earlier: &Self, elapsed: f64) -> Option<MachineUsage> {
        let possible = self.cpus as f64 * elapsed;
        let seconds = |end: Duration, start| end.saturating_sub(start).as_secs_f64();
        let steal = difference(self.steal, earlier.steal).map(|steal| steal.as_secs_f64());
        let unused = seconds(self.idle, earlier.idle) + steal.unwrap_or(0.0);
        let is_counted = seconds(self.counted, earlier.counted) > possible / 2.0;
        is_counted.then(|| MachineUsage {
            busy: (possible - unused).max(0.0),
            interrupts: seconds(self.interrupts, earlier.interrupts),
            steal,
        })
    }
}

impl MachineUsage {
    fn stolen(&self) -> Option<f64> {
        let steal = self.steal?;
        finite(steal / (self.busy + steal))
    }
}

impl ProcessTimes {
    /// Returns the CPU time since `earlier`.
    pub fn cpu_since(self, earlier: Self) -> Option<Duration> {
        difference(self.cpu, earlier.cpu)
    }

    fn wait_since(self, earlier: Self) -> Option<Duration> {
        difference(self.wait, earlier.wait)
    }
}

impl ServerTimes {
    /// Returns the CPU time since `earlier`; `None` if the process is unknown.
    pub fn cpu_since(&self, earlier: &Self) -> Option<Duration> {
        let (end, start) = (self.known()?, earlier.known()?);
        end.cpu_since(start)
    }

    fn wait_since(&self, earlier: &Self) -> Option<Duration> {
        let (end, start) = (self.known()?, earlier.known()?);
        end.wait_since(start)
    }

    fn known(&self) -> Option<ProcessTimes> {
        match self {
            Self::Elsewhere | Self::Unknown => None,
            Self::Known(times) => Some(*times),
        }
    }
}

fn difference(end: Option<Duration>, start: Option<Duration>) -> Option<Duration> {
    Some(end?.saturating_sub(start?))
}

fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn process(cpu: u64, wait: u64) -> ProcessTimes {
        ProcessTimes {
            cpu: Some(milliseconds(cpu)),
            wait: Some(milliseconds(wait)),
        }
    }

    fn start() -> MachineSample {
        MachineSample {
            at: milliseconds(70_000),
            machine: Some(MachineTimes {
                cpus: 2,
                idle: milliseconds(50_000),
                interrupts: milliseconds(1_000),
                steal: Some(milliseconds(300)),
                counted: milliseconds(140_000),
            }),
            throttled: Some(milliseconds(10)),
            generator: process(900, 20),
            server: ServerTimes::Known(process(4_000, 30)),
        }
    }

    /// Returns a sample two seconds later: of the 4 seconds of both CPUs, 1.0 were idle, 0.1 stolen, 0.2 interrupts, 0.6 of
    /// the generator and 1.1 of the server.
    fn end() -> MachineSample {
        MachineSample {
            at: milliseconds(72_000),
            machine: Some(MachineTimes {
                cpus: 2,
                idle: milliseconds(51_000),
                interrupts: milliseconds(1_200),
                steal: Some(milliseconds(400)),
                counted: milliseconds(143_900),
            }),
            throttled: Some(milliseconds(50)),
            generator: process(1_500, 26),
            server: ServerTimes::Known(process(5_100, 230)),
        }
    }

    #[track_caller]
    fn expect_near(figure: Option<f64>, expected: f64) {
        let figure = figure.expect("a figure");
        assert!((figure - expected).abs() < 1e-9, "{figure} {expected}");
    }

    #[test]
    fn others_used_what_is_not_idle_stolen_interrupts_generator_or_server() {
        let found = end().since(&start());
        expect_near(found.others_cores, 0.5);
        assert_eq!(found.cpus, Some(2));
        expect_near(found.stolen, 0.1 / 3.0);
        expect_near(found.throttled, 0.02);
        expect_near(found.generator_wait, 0.003);
        expect_near(found.server_wait, 0.1);
        assert!(!found.others_include_server);
    }

    #[test]
    fn an_unknown_process_of_a_local_server_counts_as_others_and_a_remote_one_does_not() {
        let with = |server| {
            let [start, end] = [start(), end()].map(|sample| MachineSample { server, ..sample });
            end.since(&start)
        };
        let (local, remote) = (with(ServerTimes::Unknown), with(ServerTimes::Elsewhere));
        expect_near(local.others_cores, 1.05);
        assert_eq!([local.server_wait, remote.server_wait], [None, None]);
        assert_eq!(local.others_cores, remote.others_cores);
        assert!(local.others_include_server && !remote.others_include_server);
    }

    #[test]
    fn a_figure_that_the_system_does_not_tell_is_null() {
        let unknown = |change: fn(&mut MachineSample)| {
            let (start, mut end) = (start(), end());
            change(&mut end);
            end.since(&start)
        };
        let no_cpu = unknown(|end| end.generator = ProcessTimes::default());
        assert_eq!((no_cpu.others_cores, no_cpu.generator_wait), (None, None));
        let no_cpu = unknown(|end| end.server = ServerTimes::Known(ProcessTimes::default()));
        assert_eq!((no_cpu.others_cores, no_cpu.server_wait), (None, None));
        let no_machine = unknown(|end| end.machine = None);
        assert_eq!((no_machine.others_cores, no_machine.stolen), (None, None));
        let no_steal = unknown(|end| {
            if let Some(machine) = &mut end.machine {
                machine.steal = None;
            }
        });
        assert_eq!(no_steal.stolen, None);
        expect_near(no_steal.others_cores, 0.55);
        assert_eq!(unknown(|end| end.throttled = None).throttled, None);
        let no_time = start().since(&start());
        assert_eq!(
            no_time,
            Interference {
                cpus: Some(2),
                ..Interference::default()
            }
        );
    }

    #[test]
    fn counters_that_stand_still_tell_nothing() {
        let end = MachineSample {
            machine: start().machine,
            ..end()
        };
        assert_eq!(end.since(&start()).others_cores, None, "not two busy CPUs");
    }

    #[test]
    fn a_small_difference_is_not_negative() {
        let mut end = end();
        end.generator = process(3_000, 26);
        assert_eq!(end.since(&start()).others_cores, Some(0.0));
    }

    #[test]
    fn only_waits_of_generators_are_added() {
        let one = end().since(&start());
        let sum = one.sum(one);
        expect_near(sum.generator_wait, 0.006);
        let rest = Interference {
            generator_wait: None,
            ..sum
        };
        assert_eq!(rest, Interference::default());
        let unknown = one.sum(Interference::default());
        assert_eq!(unknown, Interference::default());
    }
}
