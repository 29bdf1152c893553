//! Reads the times on Linux.
//!
//! | source | content |
//! |--------|---------|
//! | `/proc/stat` | the time of all CPUs by kind |
//! | `/proc/PID/task/TID/schedstat` | the CPU time of a thread, and the time for which it waited for a CPU |
//! | `cpu.stat` of a cgroup | the time for which a limit kept threads from running |
//! | clock_getcpuclockid(3) | the CPU time of a process, exact and with the threads that have ended |

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::time::ClockId;
use nix::unistd::Pid;
use procfs::process::{self, Process};
use procfs::{CpuTime, CurrentSI, KernelStats};

use crate::load::measure::interference::MachineTimes;
use crate::load::measure::thread_times::ThreadTimes;
use crate::net::cgroup;

/// Reads the times of the machine and of processes.
#[derive(Debug)]
pub struct Reader {
    /// The files `cpu.stat` of the process's cgroup and its ancestors, for each mount that shows them.
    cpu_stats: Vec<Vec<PathBuf>>,
}

impl Reader {
    pub fn new(_now: Duration) -> Self {
        Self {
            cpu_stats: cpu_stats(Path::new("/")),
        }
    }

    /// Returns the times of all CPUs.
    pub fn machine(&mut self, _now: Duration) -> Option<MachineTimes> {
        KernelStats::current()
            .ok()
            .map(|stats| machine_times(&stats))
    }

    /// Returns for how long the limits of cgroups kept threads from running; `None` if no cgroup tells.
    pub fn throttled(&self) -> Option<Duration> {
        throttled(&self.cpu_stats)
    }

    /// Returns the CPU time of the process `pid`, of all its threads.
    pub fn cpu(&mut self, pid: u32) -> Option<Duration> {
        let pid = Pid::from_raw(pid.try_into().ok()?);
        let clock = ClockId::pid_cpu_clock_id(pid).ok()?;
        clock.now().ok().map(Duration::from)
    }

    /// Returns the process `pid` and its descendants.
    pub fn with_descendants(&self, pid: u32) -> Vec<u32> {
        let stats = process::all_processes().into_iter().flatten();
        let stats = stats.filter_map(|process| process.ok()?.stat().ok());
        let parents = stats.map(|stat| (stat.pid as u32, stat.ppid as u32));
        descendants(pid, &parents.collect::<Vec<_>>())
    }

    /// Returns the CPU time of the processes `pids`, with that of their children that have ended; `None` if none of them
    /// runs.
    pub fn cpu_with_ended_children(&mut self, pids: &[u32]) -> Option<Duration> {
        let of_process = |pid: &u32| {
            let ended = ended_children(*pid)?;
            Some(self.cpu(*pid)? + ended)
        };
        pids.iter().filter_map(of_process).reduce(|a, b| a + b)
    }

    /// Returns the times of the running threads of the process `pid` with their ids; `None` if the system does not tell.
    pub fn threads(&self, pid: u32) -> Option<Vec<(i32, ThreadTimes)>> {
        threads(&Path::new("/proc").join(pid.to_string()))
    }
}

/// Returns the process `pid` and its descendants, where `parents` are pairs of a process and its parent.
fn descendants(pid: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let children = parents.iter().filter(|(_, of)| *of == parent);
        found.extend(children.map(|(child, _)| *child));
        next += 1;
    }
    found
}

/// Returns the CPU time of the children of `pid` that have ended and were waited for, with that of their own children.
fn ended_children(pid: u32) -> Option<Duration> {
    let stat = Process::new(pid.try_into().ok()?).ok()?.stat().ok()?;
    let ticks = stat.cutime.saturating_add(stat.cstime);
    let seconds = ticks as f64 / procfs::ticks_per_second() as f64;
    Duration::try_from_secs_f64(seconds).ok()
}

fn machine_times(stats: &KernelStats) -> MachineTimes {
    let CpuTime {
        user,
        nice,
        system,
        idle,
        iowait,
        irq,
        softirq,
        steal,
        ..
    } = stats.total;
    let ticks_per_second = procfs::ticks_per_second();
    let time = |ticks: u64| Duration::from_secs(ticks) / ticks_per_second as u32;
    let idle = idle + iowait.unwrap_or(0);
    let interrupts = irq.unwrap_or(0) + softirq.unwrap_or(0);
    // The time of guests of this machine is part of `user` and `nice`.
    let counted = user + nice + system + idle + interrupts + steal.unwrap_or(0);
    MachineTimes {
        cpus: stats.cpu_time.len(),
        idle: time(idle),
        interrupts: time(interrupts),
        steal: steal.map(time),
        counted: time(counted),
    }
}

/// Returns the times of the threads of the process with this directory. A kernel that does not count them writes only
/// zeros.
fn threads(process: &Path) -> Option<Vec<(i32, ThreadTimes)>> {
    let process = Process::new_with_root(process.to_path_buf()).ok()?;
    let tasks = process.tasks().ok()?;
    // A thread may end while the others are read.
    let threads = tasks.filter_map(|task| {
        let task = task.ok()?;
        let times = task.schedstat().ok()?;
        Some((task.tid, times))
    });
    let threads: Vec<_> = threads.collect();
    let is_counted = threads
        .iter()
        .any(|(_, times)| (times.sum_exec_runtime, times.run_delay, times.pcount) != (0, 0, 0));
    let threads = threads.into_iter().map(|(id, times)| {
        let [cpu, wait] = [times.sum_exec_runtime, times.run_delay].map(Duration::from_nanos);
        (id, ThreadTimes { cpu, wait })
    });
    is_counted.then(|| threads.collect())
}

fn cpu_stats(root: &Path) -> Vec<Vec<PathBuf>> {
    let ancestries = cgroup::ancestries(root, "cpu").into_iter();
    let files = |ancestry: cgroup::Ancestry| {
        let directories = ancestry.directories.iter();
        directories.map(|dir| dir.join("cpu.stat")).collect()
    };
    ancestries.map(files).collect()
}

/// Adds up the times of a cgroup and its ancestors: the time for which an ancestor is throttled does not count as
/// throttled in the cgroup itself. Mounts that show the same cgroups differ only in how many they show.
fn throttled(cpu_stats: &[Vec<PathBuf>]) -> Option<Duration> {
    let sum = |files: &Vec<PathBuf>| {
        let times = files.iter().filter_map(|file| throttled_time(file));
        times.reduce(|a, b| a + b)
    };
    cpu_stats.iter().filter_map(sum).max()
}

fn throttled_time(cpu_stat: &Path) -> Option<Duration> {
    let text = fs::read_to_string(cpu_stat).ok()?;
    let field = |name| {
        let value = text.lines().find_map(|line| line.strip_prefix(name))?;
        value.trim().parse().ok()
    };
    // Version 2 has microseconds, version 1 nanoseconds.
    let version_2 = field("throttled_usec ").map(Duration::from_micros);
    version_2.or_else(|| field("throttled_time ").map(Duration::from_nanos))
}

#[cfg(test)]
mod tests {
    use procfs::FromBufReadSI;

    use super::*;
    use crate::net::cgroup::testing::Tree;

    fn throttled_in(cgroup: &str, mounts: &str, files: &[(&str, &str)]) -> Option<u128> {
        let tree = Tree::new();
        tree.write("proc/self/cgroup", cgroup);
        tree.write("proc/self/mountinfo", mounts);
        for (file, text) in files {
            tree.write(&format!("sys/fs/cgroup/{file}"), text);
        }
        throttled(&cpu_stats(tree.root())).map(|time| time.as_micros())
    }

    #[test]
    fn throttling_of_a_cgroup_and_its_ancestors_is_added_in_both_versions() {
        let v2 = "31 23 0:28 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n";
        let text = |time| format!("usage_usec 9\nnr_throttled 3\nthrottled_usec {time}\n");
        let (leaf, parent, sibling) = (text(300), text(50), text(7_000));
        let files = [
            ("a/b/cpu.stat", &*leaf),
            ("a/cpu.stat", &*parent),
            ("a/c/cpu.stat", &*sibling),
            ("cpu.stat", "usage_usec 9\n"),
        ];
        assert_eq!(throttled_in("0::/a/b\n", v2, &files), Some(350));
        let twice = format!(
            "{v2}{}",
            v2.replace("/cgroup rw", "/cgroup/a rw")
                .replace(" / ", " /a ")
        );
        assert_eq!(throttled_in("0::/a/b\n", &twice, &files), Some(350));
        let v1 = "34 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";
        let files = [
            (
                "cpu,cpuacct/a/cpu.stat",
                "nr_periods 9\nnr_throttled 1\nthrottled_time 300000\n",
            ),
            (
                "cpu,cpuacct/cpu.stat",
                "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n",
            ),
        ];
        assert_eq!(
            throttled_in("2:cpu,cpuacct:/a\n0::/\n", v1, &files),
            Some(300)
        );
    }

    #[test]
    fn throttling_is_unknown_if_no_cgroup_tells_it() {
        let v2 = "31 23 0:28 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n";
        for text in ["", "usage_usec 9\n", "throttled_usec many\n"] {
            assert_eq!(throttled_in("0::/a\n", v2, &[("a/cpu.stat", text)]), None);
        }
        assert_eq!(throttled_in("", "", &[]), None);
    }

    #[test]
    fn a_kernel_that_counts_no_waits_shows_only_zeros() {
        let threads_in = |files: &[(&str, &str)]| {
            let tree = Tree::new();
            for (file, text) in files {
                tree.write(&format!("proc/7/task/{file}"), text);
            }
            let mut threads = threads(&tree.root().join("proc/7"))?;
            threads.sort_by_key(|(id, _)| *id);
            let nanoseconds =
                |(id, times): (i32, ThreadTimes)| (id, times.cpu.as_nanos(), times.wait.as_nanos());
            Some(threads.into_iter().map(nanoseconds).collect::<Vec<_>>())
        };
        let zeros = [("7/schedstat", "0 0 0\n"), ("8/schedstat", "0 0 0\n")];
        assert_eq!(threads_in(&zeros), None);
        assert_eq!(threads_in(&[("7/comm", "name")]), None);
        assert_eq!(threads_in(&[]), None);
        let new_thread = [("7/schedstat", "500 30 2\n"), ("8/schedstat", "0 0 0\n")];
        assert_eq!(threads_in(&new_thread), Some(vec![(7, 500, 30), (8, 0, 0)]));
    }

    #[test]
    fn the_kinds_of_time_are_told_apart() {
        let text = "cpu  100 20 300 4000 50 6 7 80 90 1\ncpu0 1 1 1 1 1 1 1 1 1 1\ncpu1 1 1 1 1 1 1 1 1 1 1\n\
                    intr 0\nctxt 1\nbtime 1\nprocesses 1\n";
        let stats = KernelStats::from_buf_read(text.as_bytes(), &procfs::LocalSystemInfo);
        let times = machine_times(&stats.expect("the text of the manual page"));
        let ticks =
            |time: Duration| time.as_millis() * u128::from(procfs::ticks_per_second()) / 1_000;
        assert_eq!(times.cpus, 2);
        assert_eq!(ticks(times.idle), 4050);
        assert_eq!(ticks(times.interrupts), 13);
        assert_eq!(times.steal.map(ticks), Some(80));
        assert_eq!(ticks(times.counted), 4563);
    }

    #[test]
    fn descendants_are_found_in_any_order() {
        let parents = [(9, 7), (3, 1), (7, 5), (5, 1), (8, 5), (6, 2)];
        let mut found = descendants(5, &parents);
        found.sort_unstable();
        assert_eq!(found, [5, 7, 8, 9]);
        assert_eq!(descendants(4, &parents), [4]);
    }

    #[test]
    fn this_process_has_times() {
        let mut reader = Reader::new(Duration::ZERO);
        let pid = std::process::id();
        let before = reader.cpu(pid).expect("the clock of this process");
        while reader.cpu(pid).expect("a clock") - before < Duration::from_millis(5) {}
        assert_eq!(reader.cpu(u32::MAX), None);
        assert!(reader.threads(u32::MAX).is_none());
    }
}
