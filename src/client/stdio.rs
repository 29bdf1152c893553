//! The two standard streams, each on a thread of its own.
//!
//! The poll cannot wait for them as for a socket: epoll refuses files, a Windows console has no readiness, and O_NONBLOCK
//! on a terminal would change the shell that shares the terminal. So two threads block in place of the loop.
//!
//! A fixed number of buffers moves between the loop and the threads. So a slow side holds up the other side, and the
//! memory stays constant. The threads are never joined: the thread at standard input may wait for a key for ever.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::mpsc::{Receiver, SendError, Sender, channel};

use super::Failure;
use crate::net::Handle;
use crate::net::threads;

/// The size of a buffer in bytes: few system calls per megabyte, and the capacity of a pipe on Linux.
const BUFFER_SIZE: usize = 64 * 1024;

/// The number of buffers per direction: one at the socket, one at the thread, and two between them.
pub(super) const BUFFERS: usize = 4;

/// A buffer on its way between the loop and a thread.
pub(super) struct Buffer {
    memory: Box<[u8]>,
    start: usize,
    end: usize,
}

/// An event of one of the threads.
pub(super) enum StdioEvent {
    /// Bytes from standard input.
    Read(Buffer),
    InputEnded,
    /// A buffer that was written to standard output and is free again.
    Written(Buffer),
    /// The thread has ended with this failure.
    Failed(Failure),
}

/// The loop's side of the two threads.
pub(super) struct Stdio {
    events: Receiver<StdioEvent>,
    to_input: Sender<Buffer>,
    to_output: Sender<Buffer>,
    /// Kept while the loop runs: closing the last clone of the waker would discard a wake that the loop has not seen yet.
    _sender: EventSender,
}

/// A thread's side: sends events to the loop.
#[derive(Clone)]
struct EventSender {
    sender: Sender<StdioEvent>,
    handle: Handle,
}

/// The result of sending an event. An error means that the loop is gone.
type Sent = Result<(), SendError<StdioEvent>>;

impl Stdio {
    /// Starts the threads, which wake the loop for every event. Also returns the free buffers for the output.
    pub(super) fn start(
        handle: Handle,
        input: impl Read + Send + 'static,
        output: impl Write + Send + 'static,
    ) -> Result<(Self, Vec<Buffer>), Failure> {
        let (sender, events) = channel();
        let (to_input, free) = channel();
        let (to_output, full) = channel();
        let sender = EventSender { sender, handle };
        let (for_input, for_output) = (sender.clone(), sender.clone());
        start("stdin", move || read_all(input, &free, &for_input))?;
        start("stdout", move || write_all(output, &full, &for_output))?;
        let stdio = Self {
            events,
            to_input,
            to_output,
            _sender: sender,
        };
        for _ in 0..BUFFERS {
            stdio.return_to_reader(Buffer::new());
        }
        Ok((stdio, (0..BUFFERS).map(|_| Buffer::new()).collect()))
    }

    /// Returns the next event, if there is one.
    pub(super) fn next_event(&self) -> Option<StdioEvent> {
        self.events.try_recv().ok()
    }

    /// Gives a free buffer to the thread at standard input.
    pub(super) fn return_to_reader(&self, buffer: Buffer) {
        // An error means that the thread has ended with its input. The buffer is not needed any more.
        let _ = self.to_input.send(buffer);
    }

    /// Gives a buffer to the thread at standard output to write.
    pub(super) fn send_to_writer(&self, buffer: Buffer) {
        // An error means that the thread has ended with an error, which it has reported.
        let _ = self.to_output.send(buffer);
    }
}

impl Buffer {
    fn new() -> Self {
        Self {
            memory: vec![0; BUFFER_SIZE].into_boxed_slice(),
            start: 0,
            end: 0,
        }
    }

    /// Returns the bytes in the buffer.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.end]
    }

    /// Removes the first `n` bytes.
    pub(super) fn consume(&mut self, n: usize) {
        self.start += n;
    }

    /// Returns the whole buffer to be overwritten. [`set_len`](Self::set_len) comes next.
    pub(super) fn space(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    /// Sets the number of bytes that were written to [`space`](Self::space).
    pub(super) fn set_len(&mut self, n: usize) {
        (self.start, self.end) = (0, n);
    }
}

impl EventSender {
    /// Sends an event and wakes the loop. Returns an error if the loop is gone.
    fn send(&self, event: StdioEvent) -> Sent {
        let sent = self.sender.send(event);
        // If the wake fails, the loop sees the event after the next one of its socket.
        let _ = self.handle.wake();
        sent
    }
}

fn start(name: &str, run: impl FnOnce() -> Sent + Send + 'static) -> Result<(), Failure> {
    let never_joined = threads::spawn(name, run);
    never_joined.map(drop).map_err(Failure::Thread)
}

/// Reads until the end, a failure, or the end of the loop.
fn read_all(mut input: impl Read, free: &Receiver<Buffer>, events: &EventSender) -> Sent {
    for mut buffer in free {
        match read_uninterrupted(&mut input, &mut buffer) {
            Ok(0) => return events.send(StdioEvent::InputEnded),
            Ok(got) => buffer.set_len(got),
            Err(error) => return events.send(StdioEvent::Failed(Failure::Input(error))),
        }
        events.send(StdioEvent::Read(buffer))?;
    }
    Ok(())
}

/// Writes until a failure or the end of the loop.
fn write_all(mut output: impl Write, full: &Receiver<Buffer>, events: &EventSender) -> Sent {
    for buffer in full {
        // The flush keeps no part of a line back.
        let result = output.write_all(buffer.bytes());
        if let Err(error) = result.and_then(|()| output.flush()) {
            return events.send(StdioEvent::Failed(Failure::Output(error)));
        }
        events.send(StdioEvent::Written(buffer))?;
    }
    Ok(())
}

/// Reads once into `buffer`, and repeats an interrupted read, as the adapters of the standard library do.
fn read_uninterrupted(input: &mut impl Read, buffer: &mut Buffer) -> io::Result<usize> {
    loop {
        match input.read(buffer.space()) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll, Token, Waker};

    use super::*;

    struct FullDisk;

    impl Write for FullDisk {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Handles events until both threads have ended.
    fn await_both_ends(poll: &mut Poll, stdio: &Stdio) {
        let mut events = Events::with_capacity(8);
        let mut ended = 0;
        while ended < 2 {
            match stdio.next_event() {
                Some(StdioEvent::InputEnded | StdioEvent::Failed(_)) => ended += 1,
                Some(_) => {}
                None => {
                    poll.poll(&mut events, Some(Duration::from_secs(20)))
                        .unwrap();
                    assert!(!events.is_empty(), "an event must come with a wake");
                }
            }
        }
    }

    #[test]
    fn the_last_event_of_a_thread_wakes_the_loop() {
        for _ in 0..500 {
            let mut poll = Poll::new().unwrap();
            let waker = Waker::new(poll.registry(), Token(0)).unwrap();
            let started = Stdio::start(Handle::new(waker), io::empty(), FullDisk);
            let (stdio, mut free) = started.ok().unwrap();
            let mut buffer = free.pop().unwrap();
            buffer.set_len(1);
            stdio.send_to_writer(buffer);
            await_both_ends(&mut poll, &stdio);
        }
    }
}
