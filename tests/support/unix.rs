//! Signals, shells and full pipes, for tests that run on every Unix.

use std::io::{self, ErrorKind, PipeReader, PipeWriter, Write};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Signal, kill_process};

use super::server::{Figures, Server, serve};
use super::skip;

/// A server that is stopped by SIGSTOP until this value is dropped. Everything sent meanwhile queues in the kernel.
pub struct Frozen<'a>(&'a Server);

impl Server {
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        send_signal(self.pid(), signal);
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

    /// Asks the running server for its figures with SIGUSR1.
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

#[track_caller]
pub fn send_signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process number"), signal).expect("sending a signal");
}

/// Lets SIGHUP have its default action in the processes that this test starts. If this process ignored SIGHUP, as under
/// nohup, they would inherit that. A caught signal is the default in a child.
#[track_caller]
pub fn do_not_ignore_hangup() {
    signal_hook::flag::register(Signal::HUP.as_raw(), Arc::default()).expect("a handler");
}

/// Returns the command that runs `inner` with the signals that stop it, and SIGUSR1, blocked. Prints that `test` is
/// skipped, and returns `None`, if env(1) cannot block signals.
pub fn with_blocked_signals(test: &str, inner: &Command) -> Option<Command> {
    let env = ["env", "--block-signal=TERM,INT,HUP,USR1"];
    wrapped(test, &env, inner)
}

/// Returns the command that runs `inner` as the first process of a PID namespace. The process of the command is the
/// parent of that process, and ends with its exit code. Prints that `test` is skipped, and returns `None`, if that is
/// not possible.
pub fn as_process_1(test: &str, inner: &Command) -> Option<Command> {
    let unshare = "unshare --user --map-root-user --pid --fork --kill-child";
    wrapped(test, &unshare.split(' ').collect::<Vec<_>>(), inner)
}

/// Returns the command that runs `inner` through `wrapper`. Prints that `test` is skipped, and returns `None`, if `wrapper`
/// does not work.
pub fn wrapped(test: &str, wrapper: &[&str], inner: &Command) -> Option<Command> {
    let start = || {
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]);
        command
    };
    let mut probe = start();
    probe
        .arg("true")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if !probe.status().is_ok_and(|status| status.success()) {
        skip(test, &format!("no `{}` here", wrapper.join(" ")));
        return None;
    }
    let mut command = start();
    add_words(&mut command, inner);
    Some(command)
}

/// Returns a shell that runs `script`. `$0` and `$@` of the script are the words of `mio-echo serve`.
pub fn shell(script: &str) -> Command {
    shell_with(script, &serve())
}

/// Returns a shell that runs `limits` and then becomes `inner`.
pub fn limited(limits: &str, inner: &Command) -> Command {
    shell_with(&format!(r#"{limits} && exec "$0" "$@""#), inner)
}

/// Returns a shell that runs `script`. `$0` and `$@` of the script are the words of `inner`.
fn shell_with(script: &str, inner: &Command) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    add_words(&mut command, inner);
    command
}

/// Adds the words of `inner` to `command`, and removes the variables that `inner` removes.
fn add_words(command: &mut Command, inner: &Command) {
    command.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        assert!(value.is_none(), "a command sets variables");
        command.env_remove(name);
    }
}

/// Returns a full pipe: a write blocks until a byte is read.
#[track_caller]
pub fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = io::pipe().expect("a pipe");
    fill(&writer);
    (reader, writer)
}

/// Writes to `pipe` until `pipe` is full.
#[track_caller]
pub fn fill(mut pipe: impl AsFd + Write) {
    ioctl_fionbio(&pipe, true).expect("a pipe that does not block");
    // The last bytes go one by one, because a larger write needs more free space.
    for piece in [&[b'.'; 4096][..], b"."] {
        let full = loop {
            if let Err(error) = pipe.write_all(piece) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
    }
    // Whether a pipe blocks is shared by every process that has the pipe, and the server is to find a pipe that blocks.
    ioctl_fionbio(&pipe, false).expect("a pipe that blocks");
}
