//! Standard streams that somebody who shares them may have made non-blocking: they are waited for all the same.

use std::io::{self, ErrorKind, Write};
use std::thread;
use std::time::Duration;

/// How long to leave alone a stream that another program has made non-blocking and that is not ready: short for a
/// person, and no load.
const PAUSE: Duration = Duration::from_millis(5);

/// A stream of our own process that somebody who shares it may have made non-blocking. It waits all the same.
#[derive(Debug)]
pub struct RetryingWriter<W>(pub W);

impl<W: Write> Write for RetryingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        patiently(|| self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        patiently(|| self.0.flush())
    }
}

/// What `call` returns once it neither is interrupted nor would have to wait.
pub(crate) fn patiently<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
            result => return result,
        }
    }
}
