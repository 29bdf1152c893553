//! Where the lines of replies go, and the clock that stands still meanwhile: how long a reply took is no matter of who
//! reads them.

use std::io::{self, Write};

use crate::net::platform::monotonic_now;

pub(super) struct ReplyWriter<W> {
    output: W,
    /// How long writing has taken, in nanoseconds.
    held_up: u64,
    /// The first, behind which nothing is written.
    error: Option<io::Error>,
}

impl<W: Write> ReplyWriter<W> {
    pub(super) fn new(output: W) -> Self {
        Self {
            output,
            held_up: 0,
            error: None,
        }
    }

    /// The time, less all that writing has taken.
    pub(super) fn now(&self) -> u64 {
        monotonic_now().saturating_sub(self.held_up)
    }

    pub(super) fn reply(&mut self, connection: usize, text: &str) {
        self.write(|output| writeln!(output, "{connection}: {text}"));
    }

    pub(super) fn flush(&mut self) {
        self.write(W::flush);
    }

    pub(super) fn have_failed(&self) -> bool {
        self.error.is_some()
    }

    pub(super) fn into_error(self) -> Option<io::Error> {
        self.error
    }

    fn write(&mut self, write: impl FnOnce(&mut W) -> io::Result<()>) {
        if self.have_failed() {
            return;
        }
        let begun = monotonic_now();
        self.error = write(&mut self.output).err();
        self.held_up += monotonic_now().saturating_sub(begun);
    }
}
