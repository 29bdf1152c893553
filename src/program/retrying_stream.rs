//! Standard streams that another process has made non-blocking.
//!
//! `O_NONBLOCK` belongs to the open file, and the processes that share a standard stream share it. So a stream may
//! report `WouldBlock` although this process has never made it non-blocking.

use std::io::{self, ErrorKind, Read, Write};
use std::thread;
use std::time::Duration;

/// The first pause before a stream that was not ready is tried again: a reader that keeps up empties a pipe of 64 KiB in
/// less time. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// The longest pause: too short for a person to notice, and long enough to cost no measurable CPU time.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// A stream that blocks until it is ready, although the stream below may report `WouldBlock` or `Interrupted`.
#[derive(Debug)]
pub struct RetryingStream<S>(pub S);

impl<S: Read> Read for RetryingStream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        retry(|| self.0.read(buffer))
    }
}

impl<S: Write> Write for RetryingStream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        retry(|| self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        retry(|| self.0.flush())
    }
}

/// Calls `call` until it neither was interrupted nor would block, and returns its result.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut pause = FIRST_PAUSE;
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(pause);
                pause = LONGEST_PAUSE.min(2 * pause);
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moves one byte at every third call. The other calls report `WouldBlock` or `Interrupted`.
    #[derive(Default)]
    struct Unready {
        calls: usize,
        taken: Vec<u8>,
    }

    impl Unready {
        fn call(&mut self) -> io::Result<()> {
            self.calls += 1;
            match self.calls % 3 {
                0 => Ok(()),
                1 => Err(ErrorKind::WouldBlock.into()),
                _ => Err(ErrorKind::Interrupted.into()),
            }
        }
    }

    impl Write for Unready {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.call()?;
            self.taken.push(bytes[0]);
            Ok(1)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.call()
        }
    }

    impl Read for Unready {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.call()?;
            (&self.taken[..]).read(&mut buffer[..1])
        }
    }

    #[test]
    fn a_stream_that_another_program_made_non_blocking_loses_nothing() {
        let mut stream = RetryingStream(Unready::default());
        stream.write_all(b"hello").expect("it is written at last");
        stream.flush().expect("it is flushed at last");
        assert_eq!(stream.0.taken, b"hello");
        let mut buffer = [0];
        assert_eq!(stream.read(&mut buffer).ok(), Some(1));
        assert_eq!(&buffer, b"h");
    }
}
