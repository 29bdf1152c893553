//! Traces the system calls of a running process, or makes them fail.

use std::ffi::OsStr;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::server::{LineCollector, server_override};
use super::skip;

/// The system calls that wait for events, on every architecture and for every readiness back end.
pub const WAITS: [&str; 5] = ["epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll"];

/// An strace process that is attached to another process.
pub struct Strace {
    child: Child,
    lines: Option<LineCollector>,
}

impl Strace {
    /// Traces the system calls `calls` of the main thread of `pid`. Prints that `test` is skipped, and returns
    /// `None`, if tracing is not possible.
    pub fn attach(test: &str, pid: u32, calls: &str) -> Option<Self> {
        Self::attach_with(test, pid, &["-e", &format!("trace={calls}")])
    }

    /// Makes system calls of all threads of `pid` fail as `fault` says, such as `write:error=EINTR:when=1`. strace
    /// counts the calls of each thread on its own. Prints that `test` is skipped, and returns `None`, if that is not
    /// possible.
    pub fn inject(test: &str, pid: u32, fault: &str) -> Option<Self> {
        let calls = fault.split(':').next().unwrap_or_default();
        let (trace, inject) = (format!("trace={calls}"), format!("inject={fault}"));
        Self::attach_with(test, pid, &["-f", "-e", &trace, "-e", &inject])
    }

    /// Holds up the thread `name` of `pid` at its next wait for events, for as long as the result lives. The thread may turn
    /// once more before. Prints that `test` is skipped, and returns `None`, if that is not possible.
    pub fn hang(test: &str, pid: u32, name: &str) -> Option<Self> {
        let thread = super::proc::thread(pid, name);
        let waits = WAITS.join(",");
        let trace = format!("trace={waits}");
        let inject = format!("inject={waits}:delay_enter=1000s");
        Self::attach_with(test, thread, &["-e", &trace, "-e", &inject])
    }

    /// Attaches strace with the arguments `args`. Prints that `test` is skipped, and returns `None`, if that is not possible.
    pub fn attach_with(test: &str, pid: u32, args: &[impl AsRef<OsStr>]) -> Option<Self> {
        if server_override().is_some() {
            skip(test, "Wine makes system calls of its own");
            return None;
        }
        let child = Command::new("strace")
            .args(["-p", &pid.to_string(), "-e", "signal=none"])
            .args(args)
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            skip(test, "strace is not installed");
            return None;
        };
        let lines = child.stderr.take().map(LineCollector::read);
        let strace = Self { child, lines };
        let attached = |lines: &LineCollector| lines.find_from(0, |line| line.contains("attached"));
        if strace.lines.as_ref().and_then(attached).is_none() {
            skip(test, "strace is not allowed to attach");
            return None;
        }
        Some(strace)
    }

    /// Detaches and returns the traced calls, one per line: `name(..) = result`.
    #[track_caller]
    pub fn detach(mut self) -> Vec<String> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process number"), Signal::INT).expect("ending strace");
        let lines = self.lines.take().expect("not detached yet").into_all();
        self.child.wait().expect("waiting for strace");
        lines
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a command that runs `command` with `fault` from its first system call on, in all threads. Prints that `test` is
/// skipped, and returns `None`, if that is not possible.
pub fn run_with(test: &str, fault: &str, command: &Command) -> Option<Command> {
    let inject = format!("inject={fault}");
    let args = ["-f", "-o", "/dev/null", "-e", &inject];
    is_usable(test).then(|| traced(&args, command))
}

/// Returns true if strace works here. Otherwise prints that `test` is skipped.
pub fn is_usable(test: &str) -> bool {
    if server_override().is_some() {
        skip(test, "Wine makes system calls of its own");
        return false;
    }
    let tried = traced(&["-f", "-o", "/dev/null"], &Command::new("true")).output();
    let is_usable = tried.is_ok_and(|output| output.status.success());
    if !is_usable {
        skip(test, "strace is not installed or not allowed");
    }
    is_usable
}

/// Returns a command that runs `command` under strace, with the arguments `args`.
pub fn traced(args: &[impl AsRef<OsStr>], command: &Command) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-e", "signal=none"]).args(args);
    strace.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        assert!(value.is_none(), "a command sets variables");
        strace.env_remove(name);
    }
    strace
}

/// Returns how many of `lines` are calls of one of `names`.
pub fn count(lines: &[String], names: &[&str]) -> usize {
    lines.iter().filter(|line| is_call(line, names)).count()
}

/// Returns true if `line` is a call of one of `names`.
pub fn is_call(line: &str, names: &[&str]) -> bool {
    // Beside other threads, strace names the thread of each call.
    let line = match line.strip_prefix("[pid ") {
        Some(rest) => rest.split_once("] ").map_or("", |(_, call)| call),
        None => line,
    };
    // strace shows a call that was blocked when strace attached as resumed.
    let line = line.strip_prefix("<... ").unwrap_or(line);
    let name = line.split(['(', ' ']).next();
    names.contains(&name.unwrap_or_default())
}
