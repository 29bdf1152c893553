//! Messages of each framing, and the modes in which the server handles them.

use std::thread;

use super::data::Rng;
use super::{Data, Server};

/// Returns a message of `length` bytes, header or terminator included.
#[track_caller]
pub fn message(framing: &str, length: usize, data: &mut Data) -> Vec<u8> {
    let mut message = data.take(length);
    let put = |message: &mut [u8], at: usize, bytes: &[u8]| {
        message[at..at + bytes.len()].copy_from_slice(bytes);
    };
    let short = || u16::try_from(length).expect("a length of two bytes");
    match framing {
        "line" | "crlf" => {
            let terminator: &[u8] = if framing == "line" { b"\n" } else { b"\r\n" };
            message
                .iter_mut()
                .filter(|byte| **byte == b'\n')
                .for_each(|byte| *byte = b' ');
            put(&mut message, length - terminator.len(), terminator);
        }
        "len8" => message[0] = u8::try_from(length).expect("a length of one byte"),
        "len16" => put(&mut message, 0, &short().to_be_bytes()),
        "len16le" => put(&mut message, 0, &short().to_le_bytes()),
        other => panic!("{other} has no messages"),
    }
    message
}

/// Returns bytes that are a bad frame in `framing` with `--max-message 1000`.
pub fn bad_frame(framing: &str) -> Vec<u8> {
    match framing {
        "line" | "crlf" => vec![b'x'; 1001],
        "len8" => vec![0],
        _ => vec![0, 0],
    }
}

/// A sequence of messages.
pub struct MessageStream {
    pub bytes: Vec<u8>,
    /// The offset after each message.
    ends: Vec<usize>,
}

impl MessageStream {
    /// Returns messages of random lengths, with `length` bytes in total.
    pub fn new(framing: &str, length: usize, seed: u64) -> Self {
        const SHORTEST: usize = 2;
        let longest = if framing == "len8" { 255 } else { 1000 };
        let (mut rng, mut data) = (Rng::new(seed), Data::new(seed));
        let (mut bytes, mut ends) = (Vec::with_capacity(length), Vec::new());
        while bytes.len() < length {
            let left = length - bytes.len();
            let next = match SHORTEST + rng.below(longest + 1 - SHORTEST) {
                _ if left <= longest => left,
                // The rest must be long enough for a message.
                next => next.min(left - SHORTEST),
            };
            bytes.extend(message(framing, next, &mut data));
            ends.push(bytes.len());
        }
        Self { bytes, ends }
    }

    /// Returns how many of the first `sent` bytes belong to complete messages.
    pub fn whole_messages(&self, sent: usize) -> usize {
        let messages = self.ends.partition_point(|end| *end <= sent);
        messages.checked_sub(1).map_or(0, |last| self.ends[last])
    }
}

/// A framing and a number of workers.
#[derive(Clone, Copy, Debug)]
pub struct Mode {
    pub framing: &'static str,
    pub workers: &'static str,
}

impl Mode {
    /// Starts a server with this framing and these workers, and with the options `args`.
    #[track_caller]
    pub fn start(self, args: &[&str]) -> Server {
        let mode = ["--framing", self.framing, "--workers", self.workers];
        Server::start(&[&mode[..], args].concat())
    }

    pub fn message(self, length: usize, seed: u64) -> Vec<u8> {
        message(self.framing, length, &mut Data::new(seed))
    }
}

/// Runs `test` in several modes at the same time: with each kind of framing, without workers and with workers.
pub fn in_each_mode(test: impl Fn(Mode) + Sync) {
    let framings = ["line", "len8", "len16le"];
    let modes = framings.map(|framing| ["0", "2"].map(|workers| Mode { framing, workers }));
    thread::scope(|scope| {
        for mode in modes.into_iter().flatten() {
            let test = &test;
            scope.spawn(move || test(mode));
        }
    });
}
