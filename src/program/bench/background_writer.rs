//! A file that is written by a thread of its own, while the one that has the text goes on.
//!
//! The file may be a pipe whose reader stops. So the text goes to a bounded queue, which fails when it is full, rather
//! than to leave something out. At the end the file is waited for as long as it takes something, so that no disk is too
//! slow, and not for [`PATIENCE`] longer.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread;

use super::files::{OutputFile, WriteError, empty};
use crate::program::standard_streams::PATIENCE;

/// Pieces that may wait.
const CAPACITY: usize = 1024;

/// The end of the queue that takes the text: each write is a piece. It neither waits nor goes on behind a gap.
pub struct Queue(Option<SyncSender<Vec<u8>>>);

/// The file behind it.
pub struct Spool {
    path: PathBuf,
    /// Pieces that have been written.
    written: Arc<AtomicU64>,
    /// How the thread has ended.
    end: Receiver<io::Result<()>>,
}

/// Empties `output`, and writes what comes through the queue.
pub fn spool(output: OutputFile) -> (Queue, Spool) {
    let (path, mut file) = output.into_parts();
    let (queue, pieces) = mpsc::sync_channel(CAPACITY);
    let (ended, end) = mpsc::channel();
    let written = Arc::new(AtomicU64::new(0));
    let (count, told) = (Arc::clone(&written), ended.clone());
    let write = move || {
        let result = empty(&file).and_then(|()| write(pieces, &mut file, &count));
        // Whoever has lost patience does not listen.
        let _ = ended.send(result);
    };
    if let Err(error) = thread::Builder::new().name("spool".into()).spawn(write) {
        let _ = told.send(Err(error));
    }
    let spool = Spool { path, written, end };
    (Queue(Some(queue)), spool)
}

fn write(pieces: Receiver<Vec<u8>>, file: &mut impl Write, count: &AtomicU64) -> io::Result<()> {
    for piece in pieces {
        file.write_all(&piece)?;
        count.fetch_add(1, Ordering::Relaxed);
    }
    file.flush()
}

impl Spool {
    /// Waits for the end of the file. The queue must have been dropped; `queued` is what it has said.
    ///
    /// # Errors
    ///
    /// What has kept the text from the file.
    pub fn end(self, queued: io::Result<()>) -> Result<(), WriteError> {
        // The thread knows why the queue has ended.
        let written = self.await_end().and(queued);
        written.map_err(|source| WriteError::new(self.path, source))
    }

    fn await_end(&self) -> io::Result<()> {
        loop {
            let before = self.written.load(Ordering::Relaxed);
            match self.end.recv_timeout(PATIENCE) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Timeout) if self.written.load(Ordering::Relaxed) > before => {
                }
                Err(RecvTimeoutError::Timeout) => return Err(not_read()),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("its thread has failed; this is a bug"));
                }
            }
        }
    }
}

impl Write for Queue {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let Some(queue) = &self.0 else {
            return Err(not_read());
        };
        let error = match queue.try_send(piece.to_vec()) {
            Ok(()) => return Ok(piece.len()),
            Err(TrySendError::Full(_)) => not_read(),
            Err(TrySendError::Disconnected(_)) => io::ErrorKind::BrokenPipe.into(),
        };
        self.0 = None;
        Err(error)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn not_read() -> io::Error {
    io::Error::other("its reader does not keep up")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_fails_and_takes_nothing_behind_the_gap() {
        let (sender, pieces) = mpsc::sync_channel(1);
        let mut queue = Queue(Some(sender));
        queue.write_all(b"1").expect("room for one");
        let error = queue.write_all(b"2").expect_err("it is full");
        assert_eq!(error.to_string(), not_read().to_string());
        assert_eq!(pieces.recv().as_deref(), Ok(&b"1"[..]));
        queue.write_all(b"3").expect_err("there is a gap");
        drop(queue);
        assert_eq!(pieces.recv().ok(), None);
    }

    #[test]
    fn a_file_that_takes_something_is_waited_for() {
        let (ended, end) = mpsc::channel();
        let written = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&written);
        let slow = thread::spawn(move || {
            for _ in 0..5 {
                thread::sleep(PATIENCE / 4);
                count.fetch_add(1, Ordering::Relaxed);
            }
            ended.send(Ok(()))
        });
        let path = PathBuf::from("slow");
        let spool = Spool { path, written, end };
        spool.end(Ok(())).expect("it is slow, and goes on");
        let told = slow.join().expect("a thread");
        told.expect("it was waited for");
    }
}
