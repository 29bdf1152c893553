//! Lines on standard error, which may refuse a line and take a later one, as a full disk does.

use std::io;

/// A stream of lines, which waits where a non-blocking stream would not.
pub trait LineSink {
    /// A line without its line feed.
    type Line;

    /// Writes `line` and a line feed.
    ///
    /// # Errors
    ///
    /// Fails if the stream refuses the line, or the rest of the line after a part.
    fn write_line(&mut self, line: &Self::Line) -> io::Result<()>;

    /// Writes a line feed after the part of a line.
    ///
    /// # Errors
    ///
    /// Fails if the stream refuses the line feed.
    fn end_line(&mut self) -> io::Result<()>;

    /// Creates the line about the number of lost lines.
    fn about_lost(&self, lost: u64) -> Self::Line;
}

/// Writes lines in order. A line that the stream refuses is lost, and the loss is reported before the next line that the
/// stream takes. The report begins on a line of its own, because a part of the lost line may have been written. If there
/// was no such part, there is an empty line.
#[derive(Debug)]
pub struct WholeLines<S> {
    sink: S,
    /// Lines that were lost since the last report.
    lost: u64,
    /// A part of the last line may have been written.
    may_be_cut: bool,
}

impl<S: LineSink> WholeLines<S> {
    /// Creates the writer of lines to `sink`.
    pub fn new(sink: S) -> Self {
        Self {
            sink,
            lost: 0,
            may_be_cut: false,
        }
    }

    /// Writes `line`, and what is still to be written about earlier lines. May block. If the stream refuses the line, that
    /// counts as `count` lost lines: a report about lost lines stands for all of them.
    pub fn write(&mut self, line: &S::Line, count: u64) {
        if self.finish_earlier_lines().is_err() || self.try_write(line).is_err() {
            self.lost += count;
        }
    }

    fn finish_earlier_lines(&mut self) -> io::Result<()> {
        if self.may_be_cut {
            self.sink.end_line()?;
            self.may_be_cut = false;
        }
        if self.lost > 0 {
            self.try_write(&self.sink.about_lost(self.lost))?;
            self.lost = 0;
        }
        Ok(())
    }

    fn try_write(&mut self, line: &S::Line) -> io::Result<()> {
        let written = self.sink.write_line(line);
        self.may_be_cut = written.is_err();
        written
    }
}
