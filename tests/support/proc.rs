//! Facts about a process, from `/proc` of Linux.

use std::fmt::Display;
use std::fs;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::Signal;

/// Returns the number of open descriptors.
#[track_caller]
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("the descriptors")
        .count()
}

/// Returns how many descriptors, beside the standard streams, a program inherits from this process.
#[track_caller]
pub fn inheritable() -> usize {
    inheritable_from("self")
}

/// Returns how many descriptors, beside the standard streams, a program inherits from `process`.
#[track_caller]
pub fn inheritable_from(process: impl Display) -> usize {
    let is_kept = |number: &u32| {
        let info = fs::read_to_string(format!("/proc/{process}/fdinfo/{number}"));
        let flags = info.ok().and_then(|info| {
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
            u32::from_str_radix(flags?.trim(), 8).ok()
        });
        flags.is_some_and(|flags| !OFlags::from_bits_retain(flags).contains(OFlags::CLOEXEC))
    };
    let open = fs::read_dir(format!("/proc/{process}/fd")).expect("the descriptors");
    open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| *number > 2 && is_kept(number))
        .count()
}

/// Returns the descriptor limit that allows exactly `more` descriptors. The system compares the limit with the
/// number of a new descriptor, and the numbers in use may have gaps.
#[track_caller]
pub fn limit_for_more_descriptors(pid: u32, more: usize) -> u64 {
    let taken = |number: &u64| fs::symlink_metadata(format!("/proc/{pid}/fd/{number}")).is_ok();
    let mut free = (0..).filter(|number| !taken(number));
    free.nth(more).expect("a free number")
}

/// Returns the resident memory of the process in bytes, without pages of files. `smaps_rollup` is exact; `status`
/// is not.
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

/// Returns the processor time that all threads have used so far.
#[track_caller]
pub fn cpu(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the threads");
    let nanoseconds = tasks.filter_map(|task| {
        let path = task.expect("a thread").path().join("schedstat");
        // The thread may have ended since the directory was read.
        let stat = fs::read_to_string(path).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// Returns how often the main thread has gone to sleep.
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

/// Returns the number of the thread `name`.
#[track_caller]
pub fn thread(pid: u32, name: &str) -> u32 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
    let numbers = threads.filter_map(|thread| thread.ok()?.file_name().to_str()?.parse().ok());
    let is_named = |thread: &u32| {
        let comm = fs::read_to_string(format!("/proc/{pid}/task/{thread}/comm"));
        comm.is_ok_and(|comm| comm.trim() == name)
    };
    let found = { numbers }.find(is_named);
    found.unwrap_or_else(|| panic!("no thread `{name}`"))
}

/// Returns the number of threads.
pub fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task"))
        .expect("a process")
        .count()
}

/// Returns true if the process is stopped by SIGSTOP.
#[track_caller]
pub fn is_stopped(pid: u32) -> bool {
    let stat = read(pid, "stat");
    let (_, state) = stat.rsplit_once(") ").expect("the state");
    state.starts_with('T') || state.starts_with('t')
}

/// Returns false if a thread of the process runs, waits for a processor or a disk, or is held by a tracer.
pub fn is_at_rest(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return true;
    };
    // A thread, or the process, may have ended since the directory was read.
    let stats =
        threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("stat")).ok());
    let mut states = stats.filter_map(|stat| stat.rsplit_once(") ")?.1.chars().next());
    states.all(|state| !matches!(state, 'R' | 'D' | 't'))
}

/// Returns true if the process runs the program `name`.
pub fn runs(pid: u32, name: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
}

/// Returns true if the process ignores `signal`.
#[track_caller]
pub fn ignores(pid: u32, signal: Signal) -> bool {
    is_in_mask(&read(pid, "status"), "SigIgn:", signal)
}

/// Returns how many threads of the process do not block `signal`.
#[track_caller]
pub fn takers(pid: u32, signal: Signal) -> usize {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
    let status = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("status"));
    let statuses = threads.filter_map(|thread| status(thread.ok()?).ok());
    statuses
        .filter(|status| !is_in_mask(status, "SigBlk:", signal))
        .count()
}

#[track_caller]
fn is_in_mask(status: &str, name: &str, signal: Signal) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix(name));
    let mask = u64::from_str_radix(mask.expect("a mask").trim(), 16).expect("in hex");
    mask & 1 << (signal.as_raw() - 1) != 0
}

/// Returns the child processes that run or have not been waited for.
#[track_caller]
pub fn children(pid: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("the processes");
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_child = |child: &u32| {
        // The process may have ended since the directory was read.
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        let parent = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(1));
        parent.is_some_and(|parent| parent == pid.to_string())
    };
    numbers.filter(is_child).collect()
}

/// A state of a TCP socket, as in `/proc/net/tcp`.
#[derive(Clone, Copy, Debug)]
pub enum TcpState {
    Established = 1,
    TimeWait = 6,
    CloseWait = 8,
    Listen = 10,
}

/// Returns the number of IPv4 sockets in `state` with the local port `port`, in the network namespace of the process.
#[track_caller]
pub fn sockets(pid: u32, port: u16, state: TcpState) -> usize {
    let port = format!(":{port:04X}");
    count_sockets(pid, state, |local, _| local.ends_with(&port))
}

/// Returns the number of IPv4 sockets in `state` with the remote port `port`: the sockets of the clients.
#[track_caller]
pub fn sockets_to(pid: u32, port: u16, state: TcpState) -> usize {
    let port = format!(":{port:04X}");
    count_sockets(pid, state, |_, remote| remote.ends_with(&port))
}

/// Returns the bytes that are not acknowledged and the bytes that wait to be read, of the first established IPv4 socket
/// with the local port `port`, in the network namespace of the process.
#[track_caller]
pub fn queues(pid: u32, port: u16) -> Option<(u64, u64)> {
    let port = format!(":{port:04X}");
    let queues = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, "01", queues, ..] = fields[..] else {
            return None;
        };
        let (sent, received) = queues.split_once(':').filter(|_| local.ends_with(&port))?;
        let bytes = |hex| u64::from_str_radix(hex, 16).ok();
        Some((bytes(sent)?, bytes(received)?))
    };
    read(pid, "net/tcp").lines().find_map(queues)
}

#[track_caller]
fn count_sockets(pid: u32, state: TcpState, is_one: impl Fn(&str, &str) -> bool) -> usize {
    let state = format!("{:02X}", state as u8);
    let table = read(pid, "net/tcp");
    let sockets = table.lines().skip(1).filter(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        matches!(fields[..], [_, local, remote, found, ..] if found == state && is_one(local, remote))
    });
    sockets.count()
}

#[track_caller]
fn read(pid: u32, file: &str) -> String {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
