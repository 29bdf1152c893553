//! Signals, and pipes that are full. The only Unix-only means of the tests that run on every Unix.

use std::io::{self, ErrorKind, PipeReader, PipeWriter, Write};
use std::os::fd::AsFd;
use std::process::Command;
use std::time::Duration;

use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Signal, kill_process};

use super::server::{Figures, Server, serve};

/// A server that does nothing until this is dropped, so that what is sent meanwhile queues up.
pub struct Frozen<'a>(&'a Server);

impl Server {
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process number"), signal).expect("sending a signal");
    }

    #[track_caller]
    pub fn freeze(&self) -> Frozen<'_> {
        self.signal(Signal::STOP);
        #[cfg(target_os = "linux")]
        super::wait_for("the server is stopped", super::DEADLINE, || {
            super::proc::is_stopped(self.pid())
        });
        #[cfg(not(target_os = "linux"))]
        std::thread::sleep(Duration::from_millis(50));
        Frozen(self)
    }

    /// The figures of the running server.
    #[track_caller]
    pub fn figures(&self) -> Figures {
        let lines = self.log_lines().len();
        self.signal(Signal::USR1);
        Figures::parse(&self.await_log_from(lines, ", refused "))
    }

    /// Waits until the server has `count` connections.
    #[track_caller]
    pub fn await_active(&self, count: u64, deadline: Duration) {
        super::wait_for(&format!("{count} active connections"), deadline, || {
            self.figures().get("active") == count
        });
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.0.signal(Signal::CONT);
    }
}

/// `script`, run by a shell with `mio-echo serve` as its arguments from `$0` on.
pub fn shell(script: &str) -> Command {
    shell_with(script, &serve())
}

/// `inner`, run by a shell that has run `limits` before.
pub fn limited(limits: &str, inner: &Command) -> Command {
    shell_with(&format!(r#"{limits} && exec "$0" "$@""#), inner)
}

/// `script`, run by a shell with `inner` as its arguments from `$0` on.
fn shell_with(script: &str, inner: &Command) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(inner.get_program());
    command.args(inner.get_args());
    for (name, value) in inner.get_envs() {
        assert!(value.is_none(), "only removed variables");
        command.env_remove(name);
    }
    command
}

/// A pipe that takes nothing until somebody reads from it.
#[track_caller]
pub fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = io::pipe().expect("a pipe");
    fill(&writer);
    (reader, writer)
}

/// Writes to `pipe` as much as it takes.
#[track_caller]
pub fn fill(mut pipe: impl AsFd + Write) {
    ioctl_fionbio(&pipe, true).expect("a pipe that does not block");
    // The last bytes one by one: a larger piece needs more room.
    for piece in [&[b'.'; 4096][..], b"."] {
        let full = loop {
            if let Err(error) = pipe.write_all(piece) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
    }
    // That belongs to the pipe, not to us: whoever inherits it is to wait.
    ioctl_fionbio(&pipe, false).expect("a pipe that blocks");
}
