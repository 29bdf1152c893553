//! The two standard streams, each on a thread of its own.
//!
//! No system lets one wait for them as for a socket: epoll refuses files, Windows knows no readiness of a console, and
//! O_NONBLOCK on a terminal would change the shell that shares it. So two threads block in place of the loop. Buffers
//! go to them and come back, and there is a fixed number, so that whoever is slow holds up the other and memory stays
//! what it is. The threads are never joined: one may be waiting for a key that nobody will press.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use mio::Waker;

use super::Failure;

/// The size of a buffer: few system calls a megabyte, and the capacity of a pipe on Linux.
const CHUNK: usize = 64 * 1024;

/// Buffers a direction: one at the socket, one at the thread, and two for what either is ahead.
pub(super) const CHUNKS: usize = 4;

/// A buffer on its way.
pub(super) struct Chunk {
    memory: Box<[u8]>,
    begin: usize,
    end: usize,
}

/// What the threads have to tell.
pub(super) enum StdioEvent {
    /// From standard input.
    Read(Chunk),
    InputEnded,
    InputFailed(io::Error),
    /// Written to standard output, and free again.
    Written(Chunk),
    OutputFailed(io::Error),
}

/// The loop's end of the two threads.
pub(super) struct Stdio {
    reports: Receiver<StdioEvent>,
    to_input: Sender<Chunk>,
    to_output: Sender<Chunk>,
    /// Outlives both threads: closing it would take back a wake that the loop has not seen yet.
    _waker: Arc<Waker>,
}

/// A thread's end.
struct StdioEvents {
    reports: Sender<StdioEvent>,
    waker: Arc<Waker>,
}

impl Stdio {
    /// Starts the threads, which wake the loop for every report. Returns the buffers for the output too.
    pub(super) fn start(
        waker: Waker,
        input: impl Read + Send + 'static,
        output: impl Write + Send + 'static,
    ) -> Result<(Self, Vec<Chunk>), Failure> {
        let waker = Arc::new(waker);
        let (reports, reported) = channel();
        let reporter = || StdioEvents {
            reports: reports.clone(),
            waker: Arc::clone(&waker),
        };
        let (to_input, empty) = channel();
        let (to_output, full) = channel();
        let (for_input, for_output) = (reporter(), reporter());
        start("stdin", move || read_all(input, &empty, &for_input))?;
        start("stdout", move || write_all(output, &full, &for_output))?;
        let stdio = Self {
            reports: reported,
            to_input,
            to_output,
            _waker: waker,
        };
        for _ in 0..CHUNKS {
            stdio.return_to_reader(Chunk::new());
        }
        Ok((stdio, (0..CHUNKS).map(|_| Chunk::new()).collect()))
    }

    /// The next report, if there is one.
    pub(super) fn report(&self) -> Option<StdioEvent> {
        self.reports.try_recv().ok()
    }

    /// Gives a buffer to the input.
    pub(super) fn return_to_reader(&self, mut chunk: Chunk) {
        (chunk.begin, chunk.end) = (0, 0);
        // The thread has ended with the input: nobody needs the buffer.
        let _ = self.to_input.send(chunk);
    }

    /// Has the output write a buffer.
    pub(super) fn send_to_writer(&self, chunk: Chunk) {
        // The thread has ended with an error, which it has reported.
        let _ = self.to_output.send(chunk);
    }
}

impl Chunk {
    fn new() -> Self {
        Self {
            memory: vec![0; CHUNK].into_boxed_slice(),
            begin: 0,
            end: 0,
        }
    }

    /// What it holds.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[self.begin..self.end]
    }

    /// Drops the first `n` bytes of what it holds.
    pub(super) fn consume(&mut self, n: usize) {
        self.begin += n;
    }

    /// All its room, whatever it holds; see [`filled`](Self::filled).
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    /// Holds the first `n` bytes of its room.
    pub(super) fn filled(&mut self, n: usize) {
        (self.begin, self.end) = (0, n);
    }
}

impl StdioEvents {
    /// False: the loop has gone.
    fn tell(&self, report: StdioEvent) -> bool {
        let is_heard = self.reports.send(report).is_ok();
        // If even this fails, the next event ends the loop's wait.
        let _ = self.waker.wake();
        is_heard
    }
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    match thread::Builder::new().name(name.into()).spawn(run) {
        Ok(_never_joined) => Ok(()),
        Err(source) => Err(Failure::System {
            operation: "cannot start a thread",
            source,
        }),
    }
}

fn read_all(mut input: impl Read, empty: &Receiver<Chunk>, loop_: &StdioEvents) {
    for mut chunk in empty {
        let report = match read_uninterrupted(&mut input, &mut chunk) {
            Ok(0) => StdioEvent::InputEnded,
            Ok(got) => {
                chunk.filled(got);
                StdioEvent::Read(chunk)
            }
            Err(error) => StdioEvent::InputFailed(error),
        };
        let goes_on = matches!(report, StdioEvent::Read(_));
        if !loop_.tell(report) || !goes_on {
            return;
        }
    }
}

fn write_all(mut output: impl Write, full: &Receiver<Chunk>, loop_: &StdioEvents) {
    for chunk in full {
        let report = match write_chunk(&mut output, &chunk) {
            Ok(()) => StdioEvent::Written(chunk),
            Err(error) => StdioEvent::OutputFailed(error),
        };
        let goes_on = matches!(report, StdioEvent::Written(_));
        if !loop_.tell(report) || !goes_on {
            return;
        }
    }
}

/// Reads into all the room of `chunk`. Like the standard library's own adapters, it repeats a read that was interrupted.
fn read_uninterrupted(input: &mut impl Read, chunk: &mut Chunk) -> io::Result<usize> {
    loop {
        match input.read(chunk.room()) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Writes all of `chunk`, and flushes: the output must not keep a part of a line.
fn write_chunk(output: &mut impl Write, chunk: &Chunk) -> io::Result<()> {
    output.write_all(chunk.bytes())?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll, Token};

    use super::*;

    struct NoRoom;

    impl Write for NoRoom {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Reports until both threads have ended.
    fn await_both_ends(poll: &mut Poll, stdio: &Stdio) {
        let mut events = Events::with_capacity(8);
        let mut ended = 0;
        while ended < 2 {
            match stdio.report() {
                Some(StdioEvent::InputEnded | StdioEvent::OutputFailed(_)) => ended += 1,
                Some(_) => {}
                None => {
                    poll.poll(&mut events, Some(Duration::from_secs(20)))
                        .unwrap();
                    assert!(!events.is_empty(), "a report came without a wake");
                }
            }
        }
    }

    #[test]
    fn the_last_word_of_a_thread_wakes_the_loop() {
        for _ in 0..500 {
            let mut poll = Poll::new().unwrap();
            let waker = Waker::new(poll.registry(), Token(0)).unwrap();
            let (stdio, mut free) = Stdio::start(waker, io::empty(), NoRoom).ok().unwrap();
            let mut chunk = free.pop().unwrap();
            chunk.filled(1);
            stdio.send_to_writer(chunk);
            await_both_ends(&mut poll, &stdio);
        }
    }
}
