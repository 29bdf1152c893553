//! A child process with a process group of its own, which ends with this value.

use std::io::{self, Read};
use std::mem;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::signal_waiter::SignalWaiter;
use crate::net::signals::keep_exit_statuses;
use crate::net::{platform, threads, timers};

/// The time that a process has to end after SIGTERM. Then SIGKILL ends the process.
const GRACE: Duration = Duration::from_secs(5);

/// The first pause between two looks at a process. Each pause is twice as long as the one before, up to
/// [`LONGEST_PAUSE`]: most servers listen within milliseconds, and the looks at a slow one must not take its CPU.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// The longest pause between two looks at a process.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// The time that the last output of an ended process has to arrive.
const LAST_OUTPUT: Duration = Duration::from_millis(100);

/// The number of bytes that are kept of the end of standard error.
const TAIL: usize = 4096;

/// A running process and the members of its process group. Dropping the value kills them.
///
/// A descendant that leaves the process group is not ended.
#[derive(Debug)]
pub struct ChildProcess {
    child: Child,
    /// True if the exit status was taken: the process id may belong to another process.
    is_reaped: bool,
    /// The end of standard error so far.
    stderr: Arc<Mutex<Vec<u8>>>,
    /// Disconnected once standard error is read to its end.
    reading: Option<Receiver<()>>,
}

/// The reason why a wait for a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// What was waited for has happened.
    Done,
    /// The time was over.
    TimedOut,
    /// The signal of this number asked to stop.
    Interrupted(i32),
}

impl ChildProcess {
    /// Starts `command` without input. Its output is discarded, and the end of its standard error is kept.
    ///
    /// # Errors
    ///
    /// Fails if the command cannot be started.
    pub fn start(mut command: Command) -> io::Result<Self> {
        keep_terminal_signals_away(&mut command);
        keep_exit_statuses();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take();
        // Made before the thread starts, so that an error below drops the value and kills the process.
        let mut process = Self {
            child,
            is_reaped: false,
            stderr: Arc::default(),
            reading: None,
        };
        if let Some(stderr) = stderr {
            let tail = Arc::clone(&process.stderr);
            let (is_reading, reading) = mpsc::channel();
            threads::spawn("server log", move || {
                keep_tail(stderr, &tail);
                drop(is_reading);
            })?;
            process.reading = Some(reading);
        }
        Ok(process)
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns true if the process has ended. Its id stays taken.
    pub fn has_ended(&mut self) -> bool {
        #[cfg(unix)]
        {
            use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            let pid = Pid::from_child(&self.child);
            // Without a process there is nothing to wait for.
            waitid(WaitId::Pid(pid), look).map_or(true, |status| status.is_some())
        }
        #[cfg(windows)]
        self.child
            .try_wait()
            .map_or(true, |status| status.is_some())
    }

    /// Waits until `is_done` returns true, at most for `longest`. A signal ends the wait.
    ///
    /// # Errors
    ///
    /// Fails if the wait for signals fails.
    pub fn wait_until(
        &mut self,
        mut is_done: impl FnMut(&mut Self) -> bool,
        longest: Duration,
        signals: &mut SignalWaiter,
    ) -> io::Result<Waited> {
        let end = platform::monotonic_now().saturating_add(timers::nanoseconds(longest));
        let mut pause = FIRST_PAUSE;
        loop {
            if is_done(self) {
                return Ok(Waited::Done);
            }
            let left = Duration::from_nanos(end.saturating_sub(platform::monotonic_now()));
            if left.is_zero() {
                return Ok(Waited::TimedOut);
            }
            if let Some(signal) = signals.next(Some(pause.min(left)))? {
                return Ok(Waited::Interrupted(signal));
            }
            pause = LONGEST_PAUSE.min(2 * pause);
        }
    }

    /// Asks the process group to end, and kills what is left of it after the process has ended or after 5 s. Returns the
    /// signal that arrived meanwhile: the group is killed then.
    ///
    /// # Errors
    ///
    /// Fails if the wait for signals fails. The group is killed nevertheless.
    pub fn stop(mut self, signals: &mut SignalWaiter) -> io::Result<Option<i32>> {
        self.ask_to_end();
        match self.wait_until(Self::has_ended, GRACE, signals)? {
            Waited::Done | Waited::TimedOut => Ok(None),
            Waited::Interrupted(signal) => Ok(Some(signal)),
        }
    }

    /// Returns how the process, which has ended, ended: its exit status, and the last line of its standard error.
    pub fn ending(&mut self) -> String {
        let status = match self.reap() {
            Ok(status) => status.to_string(),
            Err(error) => format!("its exit status is unknown: {error}"),
        };
        // A descendant that has left the group may keep standard error open: then the time runs out.
        if let Some(reading) = &self.reading {
            let _ = reading.recv_timeout(LAST_OUTPUT);
        }
        match self.last_line() {
            Some(line) => format!("{status}: {line}"),
            None => status,
        }
    }

    /// Returns true if the process, which has ended, has succeeded.
    pub fn has_succeeded(&mut self) -> bool {
        self.reap().is_ok_and(|status| status.success())
    }

    /// Returns the last line of standard error so far that is not empty.
    pub fn last_line(&self) -> Option<String> {
        let tail = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&tail);
        let mut lines = text.lines().map(str::trim).rev();
        lines.find(|line| !line.is_empty()).map(String::from)
    }

    /// Windows has no signal that asks: the process is killed.
    fn ask_to_end(&mut self) {
        #[cfg(unix)]
        self.signal_group(rustix::process::Signal::TERM);
        #[cfg(windows)]
        let _ = self.child.kill();
    }

    /// Kills what is left of the group, and takes the exit status. Until then, nothing else can have the id of the process,
    /// which is that of the group.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        if !mem::replace(&mut self.is_reaped, true) {
            #[cfg(unix)]
            self.signal_group(rustix::process::Signal::KILL);
            #[cfg(windows)]
            let _ = self.child.kill();
        }
        self.child.wait()
    }

    /// The group may have ended already: an error is ignored.
    #[cfg(unix)]
    fn signal_group(&self, signal: rustix::process::Signal) {
        let group = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // The exit status is of no interest.
        let _ = self.reap();
    }
}

/// Reads `stderr` to its end, so that its writer never waits, and keeps the last bytes.
fn keep_tail(mut stderr: ChildStderr, tail: &Mutex<Vec<u8>>) {
    let mut buffer = [0; TAIL];
    while let Ok(count @ 1..) = stderr.read(&mut buffer) {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend_from_slice(&buffer[..count]);
        let excess = tail.len().saturating_sub(TAIL);
        tail.drain(..excess);
    }
}

/// Puts a child into a process group of its own, so that Ctrl-C on a terminal reaches this process alone. This process ends
/// the child.
pub fn keep_terminal_signals_away(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(windows)]
    {
        const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
        std::os::windows::process::CommandExt::creation_flags(command, CREATE_NEW_PROCESS_GROUP);
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn shell(script: &str) -> ChildProcess {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        ChildProcess::start(command).expect("a shell")
    }

    fn await_end(process: &mut ChildProcess) {
        while !process.has_ended() {
            thread::sleep(FIRST_PAUSE);
        }
    }

    #[test]
    fn the_ending_is_the_exit_status_and_the_last_line_of_standard_error() {
        for (script, has_succeeded, ending) in [
            ("exit 0", true, "exit status: 0"),
            (
                "echo first >&2; echo ' last ' >&2; echo >&2; exit 3",
                false,
                "exit status: 3: last",
            ),
        ] {
            let mut process = shell(script);
            await_end(&mut process);
            assert_eq!(process.has_succeeded(), has_succeeded, "{script}");
            assert_eq!(process.ending(), ending, "{script}");
            assert!(process.has_ended(), "{script}");
        }
    }

    #[test]
    fn long_output_stops_no_process_and_its_end_is_kept() {
        let mut process =
            shell("i=0; while [ $i -lt 20000 ]; do echo line $i >&2; i=$((i+1)); done");
        await_end(&mut process);
        assert!(process.ending().ends_with("line 19999"));
        let tail = process.stderr.lock().expect("the tail");
        assert_eq!(tail.len(), TAIL);
    }

    #[test]
    fn a_drop_kills_the_whole_process_group() {
        // The descendant keeps standard error open for as long as it runs.
        let process = shell("sleep 1000 & wait");
        let stderr = Arc::clone(&process.stderr);
        drop(process);
        while Arc::strong_count(&stderr) > 1 {
            thread::sleep(FIRST_PAUSE);
        }
    }
}
