//! A file that a thread writes while a measurement goes on.
//!
//! The file may be a pipe whose reader stops. So the text goes to a bounded queue. A full queue fails the file, because
//! a log with a gap is worse than none. The end of the program waits as long as the thread makes progress, so no disk
//! is too slow, and stops waiting [`FLUSH_TIMEOUT`] after the last progress.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::JoinHandle;

use mio_echo::net::threads;

use super::files::{OutputFile, cannot_write, truncate};
use crate::program::standard_streams::FLUSH_TIMEOUT;

/// Pieces of text that may wait.
const CAPACITY: usize = 1024;

/// A file and the thread that writes it.
pub struct BackgroundFile {
    path: PathBuf,
    thread: io::Result<JoinHandle<io::Result<()>>>,
    /// Receives a value after progress, and is disconnected when the thread ends.
    progress: Receiver<()>,
}

/// The end of the queue that takes the text. Each write queues a piece. After a failure, every write fails.
pub struct PieceWriter(Option<SyncSender<Vec<u8>>>);

impl BackgroundFile {
    /// Truncates `output`, and writes to it what the [`PieceWriter`] takes.
    pub fn start(output: OutputFile) -> (Self, PieceWriter) {
        let (path, file) = output.into_parts();
        let (queue, pieces) = mpsc::sync_channel(CAPACITY);
        let write = move |written| write_all(&file, pieces, &written);
        (Self::spawn(path, write), PieceWriter(Some(queue)))
    }

    /// Starts the thread. `write` reports progress to the sender, which has room for one report: the next ones say
    /// the same.
    fn spawn(
        path: PathBuf,
        write: impl FnOnce(SyncSender<()>) -> io::Result<()> + Send + 'static,
    ) -> Self {
        let (written, progress) = mpsc::sync_channel(1);
        Self {
            path,
            thread: threads::spawn("hlog", move || write(written)),
            progress,
        }
    }

    /// Waits until all pieces are written. The [`PieceWriter`] must have been dropped; `queued` is the result of the
    /// writes to it.
    ///
    /// # Errors
    ///
    /// The first error of the file, or that of `queued`.
    pub fn finish(self, queued: io::Result<()>) -> io::Result<()> {
        // An error of the thread is the reason for an error of the queue.
        let written = self
            .thread
            .and_then(|thread| join_while_progressing(thread, &self.progress))
            .and(queued);
        written.map_err(|error| cannot_write(&self.path, error))
    }
}

fn write_all(
    mut file: &File,
    pieces: Receiver<Vec<u8>>,
    written: &SyncSender<()>,
) -> io::Result<()> {
    truncate(file)?;
    for piece in pieces {
        file.write_all(&piece)?;
        let _ = written.try_send(());
    }
    Ok(())
}

fn join_while_progressing(
    thread: JoinHandle<io::Result<()>>,
    progress: &Receiver<()>,
) -> io::Result<()> {
    loop {
        match progress.recv_timeout(FLUSH_TIMEOUT) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return Err(too_slow()),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let panicked = |_| Err(io::Error::other("its thread has panicked; this is a bug"));
    thread.join().unwrap_or_else(panicked)
}

impl Write for PieceWriter {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .take()
            .filter(|queue| queue.try_send(piece.to_vec()).is_ok());
        match self.0 {
            Some(_) => Ok(piece.len()),
            None => Err(too_slow()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn too_slow() -> io::Error {
    io::Error::other("its reader does not keep up")
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_full_queue_fails_and_takes_nothing_after_the_gap() {
        let (queue, pieces) = mpsc::sync_channel(CAPACITY);
        let mut writer = PieceWriter(Some(queue));
        for _ in 0..CAPACITY {
            writer.write_all(b"1").expect("there is room");
        }
        let error = writer.write_all(b"2").expect_err("the queue is full");
        assert_eq!(error.to_string(), too_slow().to_string());
        assert!(pieces.try_iter().all(|piece| piece == b"1"));
        writer.write_all(b"3").expect_err("there is a gap");
        assert_eq!(pieces.iter().count(), 0);
    }

    #[test]
    fn a_slow_file_that_makes_progress_is_waited_for() {
        let file = BackgroundFile::spawn("slow".into(), |written| {
            for _ in 0..5 {
                thread::sleep(FLUSH_TIMEOUT / 4);
                let _ = written.try_send(());
            }
            Ok(())
        });
        file.finish(Ok(())).expect("the thread made progress");
    }

    #[test]
    fn a_file_without_progress_is_given_up() {
        let file = BackgroundFile::spawn("stopped".into(), |_written| {
            thread::park();
            Ok(())
        });
        let error = file.finish(Ok(())).expect_err("no progress");
        assert_eq!(
            error.to_string(),
            "cannot write stopped: its reader does not keep up"
        );
    }

    #[test]
    fn an_error_of_the_thread_is_the_reason_for_an_error_of_the_queue() {
        let file = BackgroundFile::spawn("full".into(), |_written| {
            Err(io::ErrorKind::StorageFull.into())
        });
        let error = file.finish(Err(too_slow())).expect_err("no space");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
