//! The output of replies, and a clock that stops while output is written. A slow reader of the output must not count as
//! a slow reply of the server.

use std::io::{self, Write};

use crate::net::platform::monotonic_now;

/// Writes a line for each reply.
pub(super) struct ReplyWriter<W> {
    output: W,
    /// The total time spent on writing, in nanoseconds.
    time_writing: u64,
    /// The first error. Nothing is written after it.
    pub error: Option<io::Error>,
}

impl<W: Write> ReplyWriter<W> {
    pub(super) fn new(output: W) -> Self {
        Self {
            output,
            time_writing: 0,
            error: None,
        }
    }

    /// Returns the monotonic time in nanoseconds, less the total time spent on writing.
    pub(super) fn now(&self) -> u64 {
        monotonic_now().saturating_sub(self.time_writing)
    }

    pub(super) fn write_reply(&mut self, connection: usize, text: &str) {
        self.write(|output| writeln!(output, "{connection}: {text}"));
    }

    pub(super) fn flush(&mut self) {
        self.write(W::flush);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    fn write(&mut self, write: impl FnOnce(&mut W) -> io::Result<()>) {
        if self.has_failed() {
            return;
        }
        let start = monotonic_now();
        self.error = write(&mut self.output).err();
        self.time_writing += monotonic_now().saturating_sub(start);
    }
}
