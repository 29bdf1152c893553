//! The server under test: the real executable, its start lines, its log and its end.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::DEADLINE;

/// A running server. Dropping this value kills the process.
pub struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    output: Option<LineCollector>,
    log: Option<LineCollector>,
    addresses: Vec<SocketAddr>,
}

/// The exit status and the whole output of a process that has ended.
pub struct Finished {
    pub status: ExitStatus,
    pub output: Vec<String>,
    pub log: Vec<String>,
}

/// The figures of the last log line, by name, such as `accepted`.
pub struct Figures(HashMap<String, u64>);

impl Server {
    /// Starts `mio-echo serve` on a free port of 127.0.0.1. [`stop`](Self::stop) stops the server.
    #[track_caller]
    pub fn start(args: &[&str]) -> Self {
        let mut command = serve();
        command
            .args(["--listen", "127.0.0.1:0", "--stop-on-eof"])
            .args(args);
        Self::spawn(command)
    }

    /// Runs `command`, which must start a server, and waits for the first start line.
    #[track_caller]
    pub fn spawn(command: Command) -> Self {
        Self::spawn_with_listeners(command, 1)
    }

    /// Runs `command`, which must start a server, and waits for `listeners` start lines.
    #[track_caller]
    pub fn spawn_with_listeners(mut command: Command, listeners: usize) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = Self::spawn_without_waiting(command);
        for at in 0..listeners {
            let line = server
                .output()
                .find_from(at, |line| line.starts_with("listening on "));
            let Some(line) = line else {
                panic!("no start line {at}; log: {:#?}", server.log().all());
            };
            let address = listening_address(&line);
            server.addresses.push(address);
            started_servers().push((address, server.pid()));
        }
        server
    }

    /// Runs `command` without a change of its standard output and error, and without waiting for a line.
    #[track_caller]
    pub fn spawn_without_waiting(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).spawn().expect("starting");
        Self {
            stdin: child.stdin.take(),
            output: child.stdout.take().map(LineCollector::read),
            log: child.stderr.take().map(LineCollector::read),
            child,
            addresses: Vec::new(),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("checking for the end")
            .is_none()
    }

    /// Waits for a line of standard output that contains `text`.
    #[track_caller]
    pub fn await_output(&self, text: &str) -> String {
        self.output()
            .find_from(0, |line| line.contains(text))
            .unwrap_or_else(|| panic!("no `{text}` on standard output"))
    }

    /// Waits for the first start line. Returns false if the server ends without one.
    pub fn has_started(&self) -> bool {
        let is_start_line = |line: &str| line.starts_with("listening on ");
        self.output().find_from(0, is_start_line).is_some()
    }

    /// Returns the log so far.
    #[track_caller]
    pub fn log_lines(&self) -> Vec<String> {
        self.log().all()
    }

    /// Waits for a log line that contains `text`.
    #[track_caller]
    pub fn await_log(&self, text: &str) -> String {
        self.await_log_from(0, text)
    }

    /// Waits for a log line that contains `text`, and skips the first `from` lines.
    #[track_caller]
    pub fn await_log_from(&self, from: usize, text: &str) -> String {
        self.log()
            .find_from(from, |line| line.contains(text))
            .unwrap_or_else(|| panic!("no `{text}` in the log: {:#?}", self.log().all()))
    }

    /// Waits until `bench` has logged an interval in which a message was answered.
    #[track_caller]
    pub fn await_answers(&self) {
        let has_answers =
            |line: &str| line.contains(" messages/s ") && !line.contains(" 0.0 messages/s ");
        let found = self.log().find_from(0, has_answers);
        assert!(found.is_some(), "no answer: {:#?}", self.log().all());
    }

    /// Closes the standard input of the server.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Stops the server by closing its standard input, and requires exit code 0.
    #[track_caller]
    pub fn stop(mut self) -> Finished {
        self.close_stdin();
        let finished = self.finished();
        assert_eq!(finished.status.code(), Some(0), "{:#?}", finished.log);
        finished
    }

    /// Waits for the end of the process.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().expect("waiting for the end") {
                return status;
            }
            assert!(Instant::now() < until, "the process does not end");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for the end of the process and of its output.
    #[track_caller]
    pub fn finished(mut self) -> Finished {
        let status = self.wait();
        Finished {
            status,
            output: self
                .output
                .take()
                .map(LineCollector::into_all)
                .unwrap_or_default(),
            log: self
                .log
                .take()
                .map(LineCollector::into_all)
                .unwrap_or_default(),
        }
    }

    #[track_caller]
    fn output(&self) -> &LineCollector {
        self.output.as_ref().expect("standard output is captured")
    }

    #[track_caller]
    fn log(&self) -> &LineCollector {
        self.log.as_ref().expect("standard error is captured")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have ended already, which makes `kill` fail.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(log) = self.log.take().filter(|_| thread::panicking()) {
            eprintln!("the server's log: {:#?}", log.into_all());
        }
    }
}

impl Finished {
    #[track_caller]
    pub fn figures(&self) -> Figures {
        let line = self.log.iter().rfind(|line| line.contains(", refused "));
        Figures::parse(line.unwrap_or_else(|| panic!("no last line: {:#?}", self.log)))
    }

    /// Requires that the log has no warning and no error.
    #[track_caller]
    pub fn expect_no_warning(&self) {
        expect_no_warning(&self.log);
    }
}

impl Figures {
    #[track_caller]
    pub fn parse(line: &str) -> Self {
        let (_, figures) = line.split_once("accepted ").expect("the figures");
        let (figures, _seconds) = figures.rsplit_once(';').expect("the seconds");
        let figures = format!("accepted {figures}");
        let figure = |part: &str| {
            let (name, value) = part.trim().trim_end_matches(" bytes").rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self(figures.split([',', ':']).filter_map(figure).collect())
    }

    #[track_caller]
    pub fn get(&self, name: &str) -> u64 {
        *self
            .0
            .get(name)
            .unwrap_or_else(|| panic!("no `{name}` in {:?}", self.0))
    }

    /// Returns the number of closed connections: the sum over all reasons.
    pub fn closed(&self) -> u64 {
        let open = ["accepted", "refused", "active", "echoed", "discarded"];
        let reasons = self.0.iter().filter(|(name, _)| !open.contains(&&***name));
        reasons.map(|(_, count)| count).sum()
    }
}

/// Returns the words of `MIO_ECHO_TEST_SERVER`, such as `wine mio-echo.exe`: the server to test instead of the one that
/// was built with the tests. This server may be built for another system, so a test can only look at it from outside.
pub fn server_override() -> Option<Vec<String>> {
    let words = std::env::var("MIO_ECHO_TEST_SERVER").ok()?;
    Some(words.split_whitespace().map(str::to_owned).collect())
        .filter(|words: &Vec<_>| !words.is_empty())
}

/// Returns the command `mio-echo serve`. The command does not inherit the `MIO_ECHO_` variables of the tests.
pub fn serve() -> Command {
    match server_override() {
        None => program("serve"),
        Some(words) => run(&words[0], [&words[1..], &["serve".to_owned()]].concat()),
    }
}

/// Returns the command of a subcommand of `mio-echo`. The command does not inherit the `MIO_ECHO_` variables of the
/// tests.
pub fn program(subcommand: &str) -> Command {
    program_at(env!("CARGO_BIN_EXE_mio-echo"), subcommand)
}

/// Returns the command of a subcommand of a copy of `mio-echo`.
pub fn program_at(path: &str, subcommand: &str) -> Command {
    run(path, vec![subcommand.to_owned()])
}

fn run(program: &str, args: Vec<String>) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MIO_ECHO_") {
            command.env_remove(name);
        }
    }
    command
}

/// Requires that no line of `log` is a warning or an error.
#[track_caller]
pub fn expect_no_warning(log: &[String]) {
    for line in log {
        assert!(
            !line.contains("ERROR") && !line.contains("WARN"),
            "logged: {line}"
        );
    }
}

/// The addresses of the servers of this test program, and their processes.
fn started_servers() -> MutexGuard<'static, Vec<(SocketAddr, u32)>> {
    static STARTED: Mutex<Vec<(SocketAddr, u32)>> = Mutex::new(Vec::new());
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns false if the server at `address` has work: one of its threads runs, or waits for a processor.
#[cfg(target_os = "linux")]
pub fn is_at_rest(address: SocketAddr) -> bool {
    let servers = started_servers().clone();
    // The system may use a port a second time.
    let latest = servers.iter().rfind(|(started, _)| *started == address);
    latest.is_none_or(|(_, pid)| super::proc::is_at_rest(*pid))
}

/// Returns true: only Linux tells.
#[cfg(not(target_os = "linux"))]
pub fn is_at_rest(_: SocketAddr) -> bool {
    true
}

#[track_caller]
fn listening_address(line: &str) -> SocketAddr {
    let address = line.split(' ').nth(2).expect("an address");
    address
        .parse()
        .unwrap_or_else(|error| panic!("`{line}`: {error}"))
}

/// Collects the lines of a pipe on a thread, so that the writer of the pipe never blocks.
pub struct LineCollector {
    shared: Arc<Shared>,
    reader: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    read: Mutex<Text>,
    changed: Condvar,
}

#[derive(Default)]
struct Text {
    lines: Vec<String>,
    ended: bool,
}

impl LineCollector {
    pub fn read(pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        let reader = thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                writer.read.lock().expect("the lines").lines.push(line);
                writer.changed.notify_all();
            }
            writer.read.lock().expect("the lines").ended = true;
            writer.changed.notify_all();
        });
        Self { shared, reader }
    }

    pub fn all(&self) -> Vec<String> {
        self.shared.read.lock().expect("the lines").lines.clone()
    }

    /// Waits for the end of the pipe and returns all lines.
    pub fn into_all(self) -> Vec<String> {
        self.reader.join().expect("reading lines");
        self.shared.read.lock().expect("the lines").lines.clone()
    }

    /// Waits for the first line after `from` lines for which `wanted` is true. Returns `None` if the pipe ends or the
    /// deadline passes.
    pub fn find_from(&self, from: usize, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let until = Instant::now() + DEADLINE;
        let mut read = self.shared.read.lock().expect("the lines");
        loop {
            let mut lines = read.lines.iter().skip(from);
            if let Some(line) = lines.find(|line| wanted(line)) {
                return Some(line.clone());
            }
            let left = until.saturating_duration_since(Instant::now());
            if read.ended || left.is_zero() {
                return None;
            }
            read = self
                .shared
                .changed
                .wait_timeout(read, left)
                .expect("the lines")
                .0;
        }
    }
}
