//! What Linux tells about a process.

use std::fs;
use std::time::Duration;

/// Open descriptors.
#[track_caller]
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("the descriptors")
        .count()
}

/// The descriptor limit that leaves room for `more` descriptors. The limit is on their numbers, which may have gaps.
#[track_caller]
pub fn limit_for_more_descriptors(pid: u32, more: usize) -> u64 {
    let taken = |number: &u64| fs::symlink_metadata(format!("/proc/{pid}/fd/{number}")).is_ok();
    let mut free = (0..).filter(|number| !taken(number));
    free.nth(more).expect("a free number")
}

/// Resident memory of the process's own, in bytes; what it maps from files is left out. Exact, unlike `status`.
#[track_caller]
pub fn memory(pid: u32) -> u64 {
    let rollup = read(pid, "smaps_rollup");
    let anonymous = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"));
    let kilobytes = anonymous.and_then(|value| value.trim().strip_suffix(" kB"));
    kilobytes
        .and_then(|n| n.parse::<u64>().ok())
        .expect("Anonymous")
        * 1024
}

/// Processor time of all threads so far.
#[track_caller]
pub fn cpu(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the threads");
    let nanoseconds = tasks.filter_map(|task| {
        let path = task.expect("a thread").path().join("schedstat");
        // A thread may have ended since it was listed.
        let stat = fs::read_to_string(path).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// How often the main thread has gone to sleep.
#[track_caller]
pub fn sleeps(pid: u32) -> u64 {
    let status = read(pid, "status");
    let switches = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    switches
        .and_then(|n| n.trim().parse().ok())
        .expect("voluntary_ctxt_switches")
}

/// Threads of the process.
pub fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task"))
        .expect("a process")
        .count()
}

/// Whether SIGSTOP holds the process.
#[track_caller]
pub fn is_stopped(pid: u32) -> bool {
    let stat = read(pid, "stat");
    let (_, state) = stat.rsplit_once(") ").expect("the state");
    state.starts_with('T') || state.starts_with('t')
}

/// A state of a TCP socket, as in `/proc/net/tcp`.
#[derive(Clone, Copy, Debug)]
pub enum TcpState {
    Established = 1,
    TimeWait = 6,
    CloseWait = 8,
    Listen = 10,
}

/// How many IPv4 sockets of local port `port` are in `state`, in the network namespace of the process.
#[track_caller]
pub fn sockets(pid: u32, port: u16, state: TcpState) -> usize {
    let (port, state) = (format!(":{port:04X}"), format!("{:02X}", state as u8));
    let table = read(pid, "net/tcp");
    let sockets = table.lines().skip(1).filter(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, _remote, found) = (fields.next(), fields.next(), fields.next());
        local.is_some_and(|local| local.ends_with(&port)) && found == Some(&state)
    });
    sockets.count()
}

#[track_caller]
fn read(pid: u32, file: &str) -> String {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
