//! A file that a thread writes while a measurement goes on.
//!
//! The file may be a pipe whose reader stops. So the text goes to the queue of a [`BoundedWriter`]. A full queue fails
//! the file, because a log with a gap is worse than none. The end of the program waits as long as the thread makes
//! progress, so no disk is too slow, and gives the file up when the thread has made none for [`FLUSH_TIMEOUT`].
//!
//! [`FLUSH_TIMEOUT`]: crate::program::standard_streams::FLUSH_TIMEOUT

use std::io::{self, Write};
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::files::{OutputFile, cannot_write};
use crate::program::bounded_writer::{BoundedWriter, Flushed};
use crate::program::failure::cannot;
use crate::program::retrying_stream::RetryingStream;

/// Pieces of text that may wait.
const CAPACITY: usize = 1024;

/// A file and the thread that writes it. Each write queues a piece.
pub struct BackgroundFile {
    path: PathBuf,
    /// The first error takes the place of the file, so that nothing is written after the error. Locked during a write.
    file: Arc<Mutex<io::Result<Box<dyn Write + Send>>>>,
    pieces: Arc<BoundedWriter<Piece>>,
}

/// Text, or the error that takes the place of lost text.
type Piece = io::Result<Vec<u8>>;

impl BackgroundFile {
    /// Truncates `output`, and starts the thread.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be truncated, or if the system refuses the thread.
    pub fn start(output: OutputFile) -> io::Result<Self> {
        let (path, file) = output.into_emptied()?;
        Self::start_with(path, Box::new(RetryingStream(file)))
    }

    fn start_with(path: PathBuf, file: Box<dyn Write + Send>) -> io::Result<Self> {
        let file = Arc::new(Mutex::new(Ok(file)));
        let output = Arc::clone(&file);
        let write = move |piece: Piece| {
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(file) = &mut *output
                && let Err(error) = piece.and_then(|text| file.write_all(&text))
            {
                *output = Err(error);
            }
        };
        // Only the thread writes.
        let can_write = |_: &Piece| false;
        let pieces = BoundedWriter::new("hlog", write, can_write, |_| Err(too_slow()));
        match pieces.start_thread() {
            Ok(()) => Ok(Self { path, file, pieces }),
            Err(error) => Err(cannot_write(&path, cannot("start a thread", error))),
        }
    }

    /// Waits until all pieces are written, and closes the file. `queued` is the result of the writes to this value.
    ///
    /// # Errors
    ///
    /// The first error of the file, or that of `queued`.
    pub fn finish(self, queued: io::Result<()>) -> io::Result<()> {
        // An error of the file is the reason for an error of the queue.
        let written = self.finish_pieces().and(queued);
        written.map_err(|error| cannot_write(&self.path, error))
    }

    fn finish_pieces(&self) -> io::Result<()> {
        loop {
            match self.pieces.flush() {
                Flushed::Written => break,
                Flushed::Slow => {}
                Flushed::Stalled | Flushed::Lost(_) => return Err(too_slow()),
            }
        }
        let closed = Ok(Box::new(io::sink()) as Box<_>);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        mem::replace(&mut *file, closed).map(drop)
    }
}

impl Write for &BackgroundFile {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        match self.pieces.push(Ok(text.to_vec()), CAPACITY) {
            true => Ok(text.len()),
            false => Err(too_slow()),
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
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::thread;

    use super::*;
    use crate::program::standard_streams::FLUSH_TIMEOUT;

    /// A file that calls a function for each write.
    struct Calls<F>(F);

    impl<F: FnMut(&[u8]) -> io::Result<()>> Write for Calls<F> {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            (self.0)(text).map(|()| text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start(
        name: &str,
        write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static,
    ) -> BackgroundFile {
        BackgroundFile::start_with(name.into(), Box::new(Calls(write))).expect("a thread")
    }

    fn write(mut file: &BackgroundFile, text: &[u8]) {
        file.write_all(text).expect("there is room");
    }

    #[test]
    fn a_full_queue_fails_the_file_and_nothing_is_written_after_the_gap() {
        let (written, texts) = mpsc::channel();
        let (open, gate): (Sender<()>, Receiver<()>) = mpsc::channel();
        let file = start("full queue", move |text| {
            written.send(text.to_vec()).expect("a test");
            // Blocks until the test drops the other end.
            let _ = gate.recv();
            Ok(())
        });
        write(&file, b"first");
        assert_eq!(texts.recv().as_deref(), Ok(&b"first"[..]));
        for _ in 0..CAPACITY {
            write(&file, b"1");
        }
        let error = (&file).write_all(b"2").expect_err("the queue is full");
        assert_eq!(error.to_string(), too_slow().to_string());
        drop(open);
        assert_eq!(
            texts
                .iter()
                .take(CAPACITY)
                .filter(|text| text == b"1")
                .count(),
            CAPACITY
        );
        write(&file, b"3");
        let error = file.finish(Ok(())).expect_err("there is a gap");
        assert_eq!(
            error.to_string(),
            "cannot write full queue: its reader does not keep up"
        );
        assert_eq!(texts.try_iter().count(), 0);
    }

    #[test]
    fn a_slow_file_that_makes_progress_is_waited_for() {
        let file = start("slow", |_| {
            thread::sleep(FLUSH_TIMEOUT / 4);
            Ok(())
        });
        for _ in 0..6 {
            write(&file, b"text");
        }
        file.finish(Ok(())).expect("the thread made progress");
    }

    #[test]
    fn a_file_without_progress_is_given_up() {
        let file = start("stopped", |_| {
            loop {
                thread::park();
            }
        });
        write(&file, b"text");
        let error = file.finish(Ok(())).expect_err("no progress");
        assert_eq!(
            error.to_string(),
            "cannot write stopped: its reader does not keep up"
        );
    }

    #[test]
    fn an_error_of_the_file_is_the_reason_for_an_error_of_the_queue() {
        let file = start("full", |_| Err(io::ErrorKind::StorageFull.into()));
        write(&file, b"text");
        let error = file.finish(Err(too_slow())).expect_err("no space");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
