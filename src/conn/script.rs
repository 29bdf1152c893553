//! A socket for tests: its answers are scripted, and it records every call.
//!
//! After the end of the script, a read answers `WouldBlock` and a write takes everything.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

use log::trace;

/// The answer to one read.
enum ReadAnswer {
    /// These bytes, as many as fit. The next read returns the rest.
    Data(VecDeque<u8>),
    /// 0: the peer has finished sending.
    End,
    Error(ErrorKind),
}

/// The answer to one write.
enum WriteAnswer {
    /// The socket takes at most this many bytes.
    Takes(usize),
    /// The socket takes all bytes but the last, and at least one.
    AllButOne,
    Error(ErrorKind),
}

/// A scripted socket.
#[derive(Default)]
pub(crate) struct Script {
    reads: VecDeque<ReadAnswer>,
    writes: VecDeque<WriteAnswer>,
    calls: Vec<String>,
    written: Vec<u8>,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn read_gives(mut self, data: &[u8]) -> Self {
        let data = data.iter().copied().collect();
        self.reads.push_back(ReadAnswer::Data(data));
        self
    }

    pub(crate) fn read_ends(mut self) -> Self {
        self.reads.push_back(ReadAnswer::End);
        self
    }

    pub(crate) fn read_blocks(self) -> Self {
        self.read_fails(ErrorKind::WouldBlock)
    }

    pub(crate) fn read_fails(mut self, kind: ErrorKind) -> Self {
        self.reads.push_back(ReadAnswer::Error(kind));
        self
    }

    pub(crate) fn write_takes(mut self, max: usize) -> Self {
        self.writes.push_back(WriteAnswer::Takes(max));
        self
    }

    pub(crate) fn write_takes_all(self) -> Self {
        self.write_takes(usize::MAX)
    }

    pub(crate) fn write_takes_all_but_one(mut self) -> Self {
        self.writes.push_back(WriteAnswer::AllButOne);
        self
    }

    pub(crate) fn write_blocks(self) -> Self {
        self.write_fails(ErrorKind::WouldBlock)
    }

    pub(crate) fn write_fails(mut self, kind: ErrorKind) -> Self {
        self.writes.push_back(WriteAnswer::Error(kind));
        self
    }

    /// Returns all bytes that the writes have taken, in order.
    pub(crate) fn written(&self) -> &[u8] {
        &self.written
    }

    /// Returns the calls since the last time, as `read(16) = 5` or `write(2) = WouldBlock`.
    pub(crate) fn take_calls(&mut self) -> Vec<String> {
        std::mem::take(&mut self.calls)
    }

    /// Asserts the calls since the last time.
    pub(crate) fn expect_calls(&mut self, expected: &[&str]) {
        assert_eq!(self.take_calls(), expected);
    }

    fn answer_read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.reads.pop_front() {
            None => Err(ErrorKind::WouldBlock.into()),
            Some(ReadAnswer::End) => Ok(0),
            Some(ReadAnswer::Error(kind)) => Err(kind.into()),
            Some(ReadAnswer::Data(mut data)) => {
                let got = data.read(into)?;
                if !data.is_empty() {
                    self.reads.push_front(ReadAnswer::Data(data));
                }
                Ok(got)
            }
        }
    }

    fn answer_write(&mut self, from: &[u8]) -> io::Result<usize> {
        let taken = match self.writes.pop_front() {
            None => from.len(),
            Some(WriteAnswer::Takes(max)) => max.min(from.len()),
            Some(WriteAnswer::AllButOne) => (from.len() - 1).max(1),
            Some(WriteAnswer::Error(kind)) => return Err(kind.into()),
        };
        self.written.extend(&from[..taken]);
        Ok(taken)
    }

    fn record(&mut self, call: &str, len: usize, answer: &io::Result<usize>) {
        let line = match answer {
            Ok(n) => format!("{call}({len}) = {n}"),
            Err(error) => format!("{call}({len}) = {:?}", error.kind()),
        };
        trace!("{line}");
        self.calls.push(line);
    }
}

impl Read for Script {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let answer = self.answer_read(into);
        self.record("read", into.len(), &answer);
        answer
    }
}

impl Write for Script {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let answer = self.answer_write(from);
        self.record("write", from.len(), &answer);
        answer
    }

    fn flush(&mut self) -> io::Result<()> {
        unreachable!("a socket has nothing to flush")
    }
}
