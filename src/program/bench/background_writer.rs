//! A file that a thread writes while a measurement goes on.
//!
//! The file may be a pipe whose reader stops. So the text goes to a bounded queue. A full queue fails the file, because
//! a log with a gap is worse than none. The end of the program waits as long as the thread makes progress, so no disk
//! is too slow, and stops waiting [`FLUSH_TIMEOUT`] after the last progress.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::files::{OutputFile, cannot_write, truncate};
use crate::program::bounded_writer::{BoundedWriter, Queued, QueuedItems};
use crate::program::standard_streams::FLUSH_TIMEOUT;

/// Pieces of text that may wait.
const CAPACITY: usize = 1024;

/// A file and the thread that writes it.
pub struct BackgroundFile {
    path: PathBuf,
    pieces: Arc<BoundedWriter<Vec<u8>>>,
    thread_started: io::Result<()>,
}

/// The end of the queue that takes the text. Each write queues a piece. After a failure, every write fails.
pub struct PieceWriter {
    pieces: Arc<BoundedWriter<Vec<u8>>>,
    has_failed: bool,
}

impl BackgroundFile {
    /// Truncates `output`, and writes to it what the [`PieceWriter`] takes.
    pub fn start(output: OutputFile) -> (Self, PieceWriter) {
        let (path, mut file) = output.into_parts();
        let pieces = BoundedWriter::new();
        let thread_started = pieces.start_thread("hlog", move |pieces| {
            truncate(&file)?;
            write_all(pieces, &mut file)
        });
        let writer = PieceWriter {
            pieces: Arc::clone(&pieces),
            has_failed: false,
        };
        let file = Self {
            path,
            pieces,
            thread_started,
        };
        (file, writer)
    }

    /// Closes the queue, and waits until all pieces are written. `queued` is the result of the writes to the
    /// [`PieceWriter`].
    ///
    /// # Errors
    ///
    /// The first error of the file, or that of `queued`.
    pub fn finish(self, queued: io::Result<()>) -> io::Result<()> {
        // An error of the thread is the reason for an error of the queue.
        let written = self
            .thread_started
            .and_then(|()| wait_while_progressing(&self.pieces))
            .and(queued);
        written.map_err(|error| cannot_write(&self.path, error))
    }
}

fn write_all(pieces: QueuedItems<Vec<u8>>, file: &mut impl Write) -> io::Result<()> {
    for piece in pieces {
        match piece {
            Queued::Item(piece) => file.write_all(&piece)?,
            Queued::Lost(_) => return Err(too_slow()),
        }
    }
    file.flush()
}

fn wait_while_progressing(pieces: &BoundedWriter<Vec<u8>>) -> io::Result<()> {
    loop {
        let before = pieces.started();
        if let Some(result) = pieces.close(FLUSH_TIMEOUT) {
            return result;
        }
        if pieces.started() == before {
            return Err(too_slow());
        }
    }
}

impl Write for PieceWriter {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.has_failed = self.has_failed || !self.pieces.push(piece.to_vec(), CAPACITY);
        if self.has_failed {
            return Err(too_slow());
        }
        Ok(piece.len())
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
        let pieces = BoundedWriter::new();
        let mut writer = PieceWriter {
            pieces: Arc::clone(&pieces),
            has_failed: false,
        };
        for _ in 0..CAPACITY {
            writer.write_all(b"1").expect("there is room");
        }
        let error = writer.write_all(b"2").expect_err("the queue is full");
        assert_eq!(error.to_string(), too_slow().to_string());
        assert!(pieces.take_waiting().iter().all(|piece| piece == b"1"));
        writer.write_all(b"3").expect_err("there is a gap");
        assert!(pieces.take_waiting().is_empty());
    }

    #[test]
    fn a_slow_file_that_makes_progress_is_waited_for() {
        let pieces = BoundedWriter::new();
        let start = pieces.start_thread("slow", |pieces| {
            pieces.for_each(|_| thread::sleep(FLUSH_TIMEOUT / 4));
            Ok(())
        });
        for _ in 0..5 {
            assert!(pieces.push(vec![], CAPACITY));
        }
        let file = BackgroundFile {
            path: "slow".into(),
            pieces,
            thread_started: start,
        };
        file.finish(Ok(())).expect("the thread made progress");
    }

    #[test]
    fn a_file_without_progress_is_given_up() {
        let pieces = BoundedWriter::new();
        let start = pieces.start_thread("stopped", |pieces| {
            pieces.for_each(|_| thread::park());
            Ok(())
        });
        assert!(pieces.push(vec![], CAPACITY));
        let file = BackgroundFile {
            path: "stopped".into(),
            pieces,
            thread_started: start,
        };
        let error = file.finish(Ok(())).expect_err("no progress");
        assert_eq!(
            error.to_string(),
            "cannot write stopped: its reader does not keep up"
        );
    }
}
