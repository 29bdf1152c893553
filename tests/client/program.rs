//! The client under test: the real binary, its standard streams and its end. Everything has a deadline.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::support::DEADLINE;
use crate::support::server::LineCollector;

/// A running client. Dropping it ends the process.
pub struct ClientProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    output: Option<ByteCollector>,
    errors: Option<LineCollector>,
}

/// What it left behind.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub output: Vec<u8>,
    pub errors: Vec<String>,
}

impl ClientProcess {
    /// `mio-echo client` with a pipe at each standard stream.
    #[track_caller]
    pub fn start(args: &[&str]) -> Self {
        Self::start_with(args, Stdio::piped())
    }

    #[track_caller]
    pub fn start_with(args: &[&str], stdin: Stdio) -> Self {
        let mut program = Self::start_without_reading(args, stdin);
        program.output = program.child.stdout.take().map(ByteCollector::read);
        program
    }

    /// Nobody reads its standard output.
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

    /// Ends the pipe at its standard output, unless it is read.
    pub fn close_stdout(&mut self) {
        self.child.stdout = None;
    }

    /// From now on its standard output is read.
    pub fn read_stdout(&mut self) {
        self.output = self.child.stdout.take().map(ByteCollector::read);
    }

    /// Types `bytes`, of which the pipe has room.
    #[track_caller]
    pub fn write_stdin(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        stdin.write_all(bytes).expect("writing to standard input");
        stdin.flush().expect("writing to standard input");
    }

    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Takes standard input away, for a thread of the test.
    #[track_caller]
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().expect("standard input is open")
    }

    /// Takes standard output away, for the test to read.
    #[track_caller]
    pub fn take_stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("standard output is open")
    }

    /// Waits until `length` bytes have been printed.
    #[track_caller]
    pub fn await_output(&self, length: usize) -> Vec<u8> {
        let output = self.output.as_ref().expect("standard output is read");
        output.await_length(length)
    }

    /// Waits for the end of the process and of everything it said. Standard input stays as it is.
    #[track_caller]
    pub fn finished(mut self) -> Outcome {
        let until = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("waiting for the end") {
                break status;
            }
            assert!(Instant::now() < until, "does not end");
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
        // It may have outcome already; either way nothing of it is to remain.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `mio-echo client` to its end, with nothing at standard input.
#[track_caller]
pub fn run(args: &[&str]) -> Outcome {
    ClientProcess::start_with(args, Stdio::null()).finished()
}

impl Outcome {
    /// Requires that all went well and nothing was said about it.
    #[track_caller]
    pub fn expect_success(&self) {
        assert_eq!(self.code, Some(0), "{:?}", self.errors);
        assert!(self.errors.is_empty(), "{:?}", self.errors);
    }

    /// Requires this exit code and, on standard error, one line with all of `texts`.
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

    /// The lines of standard output.
    #[track_caller]
    pub fn lines(&self) -> Vec<&str> {
        let text = std::str::from_utf8(&self.output).expect("text");
        text.lines().collect()
    }
}

/// The bytes of a pipe, read by a thread of their own so that the writer never waits.
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
        let come = read.0.len();
        assert!(come >= length, "{come} of {length} bytes, {waited:?}");
        read.0.clone()
    }

    fn into_all(self) -> Vec<u8> {
        self.reader.join().expect("reading");
        std::mem::take(&mut self.shared.read.lock().expect("the bytes").0)
    }
}
