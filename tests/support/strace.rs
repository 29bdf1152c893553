//! The system calls of a running server.

use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::server::{LineCollector, server_override};
use super::skip;

/// The calls in which a server waits, whatever the machine and the readiness back end.
pub const WAITS: [&str; 5] = ["epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll"];

/// An attached strace.
pub struct Strace {
    child: Child,
    lines: Option<LineCollector>,
}

impl Strace {
    /// Follows the system calls `calls` of the main thread of `pid`. None, said aloud, where that cannot be done.
    pub fn attach(test: &str, pid: u32, calls: &str) -> Option<Self> {
        if server_override().is_some() {
            skip(test, "the system calls are not the server's own");
            return None;
        }
        let child = Command::new("strace")
            .args(["-p", &pid.to_string(), "-e", &format!("trace={calls}")])
            .args(["-e", "signal=none"])
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
            skip(test, "strace may not attach");
            return None;
        }
        Some(strace)
    }

    /// The calls so far, one a line, `name(..) = result`.
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

/// How many of `lines` are calls of one of `names`.
pub fn count(lines: &[String], names: &[&str]) -> usize {
    lines.iter().filter(|line| is_call(line, names)).count()
}

/// Whether `line` is a call of one of `names`.
pub fn is_call(line: &str, names: &[&str]) -> bool {
    // A call that was waiting when strace attached is shown as resumed when it ends.
    let line = line.strip_prefix("<... ").unwrap_or(line);
    let name = line.split(['(', ' ']).next();
    names.contains(&name.unwrap_or_default())
}
