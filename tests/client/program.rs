//! The client under test: the real executable, its standard streams and its end. Every operation has a deadline.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::support::DEADLINE;
use crate::support::server::LineCollector;

/// A running client. Dropping this value kills the process.
pub struct ClientProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    output: Option<ByteCollector>,
    errors: Option<LineCollector>,
}

/// The exit code and the whole output of a client that has ended. `code` is `None` after a signal.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub output: Vec<u8>,
    pub errors: Vec<String>,
}

impl ClientProcess {
    /// Starts `mio-echo client` with a pipe for each standard stream.
    #[track_caller]
    pub fn start(args: &[&str]) -> Self {
        Self::start_with(args, Stdio::piped())
    }

    /// Starts `mio-echo client` with the given standard input.
    #[track_caller]
    pub fn start_with(args: &[&str], stdin: Stdio) -> Self {
        let mut program = Self::start_without_reading(args, stdin);
        program.output = program.child.stdout.take().map(ByteCollector::read);
        program
    }

    /// Starts `mio-echo client` with a standard output that is not read.
    #[track_caller]
    pub fn start_without_reading(args: &[&str], stdin: Stdio) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mio-echo"));
        command.arg("client").args(args).stdin(stdin);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starting");
        Self {
            stdin: child.stdin.take(),
            output: None,
            errors: child.stderr.take().map(LineCollector::read),
            child,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Closes the pipe of an unread standard output.
    pub fn close_stdout(&mut self) {
        self.child.stdout = None;
    }

    /// Starts reading standard output.
    pub fn read_stdout(&mut self) {
        self.output = self.child.stdout.take().map(ByteCollector::read);
    }

    /// Writes `bytes` to standard input. The pipe must have room.
    #[track_caller]
    pub fn write_stdin(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        stdin.write_all(bytes).expect("writing to standard input");
        stdin.flush().expect("writing to standard input");
    }

    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Returns standard input for a thread of the test.
    #[track_caller]
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().expect("standard input is open")
    }

    /// Returns standard output for the test to read.
    #[track_caller]
    pub fn take_stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("standard output is open")
    }

    /// Waits until `length` bytes have been printed, and returns the bytes.
    #[track_caller]
    pub fn await_output(&self, length: usize) -> Vec<u8> {
        let output = self.output.as_ref().expect("standard output is read");
        output.await_length(length)
    }

    /// Waits for the end of the process and of its output. Leaves standard input open.
    #[track_caller]
    pub fn finished(mut self) -> Outcome {
        let until = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("waiting for the end") {
                break status;
            }
            assert!(Instant::now() < until, "the client does not end");
            thread::sleep(Duration::from_millis(1));
        };
        Outcome {
            code: status.code(),
            output: self
                .output
                .take()
                .map(ByteCollector::into_all)
                .unwrap_or_default(),
            errors: self
                .errors
                .take()
                .map(LineCollector::into_all)
                .unwrap_or_default(),
        }
    }
}

impl Drop for ClientProcess {
    fn drop(&mut self) {
        // The process may have ended already, which makes `kill` fail.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `mio-echo client` to its end with an empty standard input.
#[track_caller]
pub fn run(args: &[&str]) -> Outcome {
    ClientProcess::start_with(args, Stdio::null()).finished()
}

impl Outcome {
    /// Requires exit code 0 and an empty standard error.
    #[track_caller]
    pub fn expect_success(&self) {
        assert_eq!(self.code, Some(0), "{:?}", self.errors);
        assert!(self.errors.is_empty(), "{:?}", self.errors);
    }

    /// Requires the exit code `code` and one line on standard error, which contains all of `texts`.
    #[track_caller]
    pub fn expect_failure(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, Some(code), "{:?}", self.errors);
        let [line] = &self.errors[..] else {
            panic!("not one line: {:#?}", self.errors);
        };
        for text in texts {
            assert!(line.contains(text), "no `{text}` in `{line}`");
        }
        assert!(line.starts_with("mio-echo: "), "{line}");
    }

    /// Returns the lines of standard output.
    #[track_caller]
    pub fn lines(&self) -> Vec<&str> {
        let text = std::str::from_utf8(&self.output).expect("text");
        text.lines().collect()
    }
}

/// Collects the bytes of a pipe on a thread, so that the writer of the pipe never blocks.
struct ByteCollector {
    shared: Arc<Shared>,
    reader: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    read: Mutex<(Vec<u8>, bool)>,
    changed: Condvar,
}

impl ByteCollector {
    fn read(mut pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        let reader = thread::spawn(move || {
            let mut chunk = vec![0; 64 * 1024];
            while let Ok(got @ 1..) = pipe.read(&mut chunk) {
                let mut read = writer.read.lock().expect("the bytes");
                read.0.extend_from_slice(&chunk[..got]);
                writer.changed.notify_all();
            }
            writer.read.lock().expect("the bytes").1 = true;
            writer.changed.notify_all();
        });
        Self { shared, reader }
    }

    #[track_caller]
    fn await_length(&self, length: usize) -> Vec<u8> {
        let read = self.shared.read.lock().expect("the bytes");
        let (read, waited) = self
            .shared
            .changed
            .wait_timeout_while(read, DEADLINE, |(bytes, outcome)| {
                bytes.len() < length && !*outcome
            })
            .expect("the bytes");
        let received = read.0.len();
        assert!(
            received >= length,
            "{received} of {length} bytes, {waited:?}"
        );
        read.0.clone()
    }

    fn into_all(self) -> Vec<u8> {
        self.reader.join().expect("reading");
        std::mem::take(&mut self.shared.read.lock().expect("the bytes").0)
    }
}
