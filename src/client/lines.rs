//! Where the lines of replies go, and the clock that stands still meanwhile: how long a reply took is no matter of who
//! reads them.

use std::io::{self, Write};

use crate::net::platform::monotonic_now;

pub(super) struct Lines<W> {
    output: W,
    /// How long writing has taken, in nanoseconds.
    held_up: u64,
}

impl<W: Write> Lines<W> {
    pub(super) fn new(output: W) -> Self {
        Self { output, held_up: 0 }
    }

    /// The time, less all that writing has taken.
    pub(super) fn now(&self) -> u64 {
        monotonic_now().saturating_sub(self.held_up)
    }

    pub(super) fn reply(&mut self, connection: usize, text: &str) -> io::Result<()> {
        self.timed(|output| writeln!(output, "{connection}: {text}"))
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.timed(W::flush)
    }

    fn timed(&mut self, write: impl FnOnce(&mut W) -> io::Result<()>) -> io::Result<()> {
        let begun = monotonic_now();
        let result = write(&mut self.output);
        self.held_up += monotonic_now().saturating_sub(begun);
        result
    }
}
