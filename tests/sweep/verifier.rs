//! A client that compares every byte, and that survives whatever the server does.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use crate::support::client::is_timeout;
use crate::support::messages::message;
use crate::support::{Client, Data, End};

/// The length of every line.
pub const LINE: usize = 600;

/// A client that sends lines and expects their echo.
pub struct Verifier {
    pub name: String,
    /// `None` if the client could not connect, or has closed.
    client: Option<Client>,
    bytes: Vec<u8>,
    sent: usize,
    received: usize,
    /// A write has reported a reset. Reads do not report it again.
    has_failed: bool,
    end: Option<End>,
    wrong: Option<String>,
}

/// What a client got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Every byte and a FIN.
    Complete,
    /// A reset, or no connection.
    Reset,
    /// No end.
    Waiting,
}

impl Verifier {
    /// Prepares `length` bytes. A client that could not connect, `None`, counts as reset.
    pub fn new(name: String, client: Option<Client>, length: usize) -> Self {
        // Names that differ in one letter have different data.
        let mut data = Data::new(name.bytes().map(u64::from).sum());
        let lines = (0..length.div_ceil(LINE)).flat_map(|_| message("line", LINE, &mut data));
        Self {
            end: client.is_none().then_some(End::Reset),
            bytes: lines.collect(),
            name,
            client,
            sent: 0,
            received: 0,
            has_failed: false,
            wrong: None,
        }
    }

    /// Sends `length` bytes, or less if the connection ends or the server takes none for `patience`.
    pub fn send(&mut self, length: usize, patience: Duration) {
        let until = Instant::now() + patience;
        let end = self.bytes.len().min(self.sent + length);
        while self.sent < end
            && let Some(client) = &self.client
        {
            match client.write_by(&self.bytes[self.sent..end], until) {
                Ok(taken) => self.sent += taken,
                Err(error) => {
                    // A client that has seen a FIN and sends gets another error: EPIPE.
                    self.has_failed |= error.kind() == ErrorKind::ConnectionReset;
                    return;
                }
            }
        }
    }

    /// Sends `length` bytes and receives the echo of everything that was sent, unless the connection ends or `patience`
    /// is over.
    pub fn echo(&mut self, length: usize, patience: Duration) {
        self.send(length, patience);
        self.receive_while(patience, |received, sent| received < sent);
    }

    /// Sends a FIN.
    pub fn half_close(&self) {
        if let Some(client) = &self.client {
            // The connection may have ended.
            client.half_close();
        }
    }

    /// Receives until the connection ends or `patience` is over, and then closes.
    pub fn finish(&mut self, patience: Duration) {
        self.receive_while(patience, |_, _| true);
        self.client = None;
    }

    fn receive_while(&mut self, patience: Duration, more: impl Fn(usize, usize) -> bool) {
        let until = Instant::now() + patience;
        let mut chunk = vec![0; 64 << 10];
        while self.end.is_none()
            && more(self.received, self.sent)
            && let Some(client) = &self.client
        {
            match client.read_by(&mut chunk, until) {
                Ok(0) if self.has_failed => self.end = Some(End::Reset),
                Ok(0) => self.end = Some(End::Fin),
                Ok(got) => self.compare(&chunk[..got]),
                Err(error) if is_timeout(&error) => return,
                Err(_) => self.end = Some(End::Reset),
            }
        }
    }

    fn compare(&mut self, got: &[u8]) {
        let expected = &self.bytes[self.received..self.sent];
        if !expected.starts_with(got) {
            let at = got.iter().zip(expected).take_while(|(a, b)| a == b).count();
            let offset = self.received + at;
            self.wrong = Some(format!("a wrong byte at offset {offset} of {}", self.sent));
        }
        self.received = (self.received + got.len()).min(self.sent);
    }

    pub fn service(&self) -> Service {
        match self.end {
            Some(End::Fin) => Service::Complete,
            Some(End::Reset) => Service::Reset,
            None => Service::Waiting,
        }
    }

    /// Returns true if no byte has come back.
    pub fn is_unanswered(&self) -> bool {
        self.received == 0
    }

    /// Returns what no fault excuses: a wrong byte, or a FIN after a part of the echo.
    pub fn violation(&self) -> Option<String> {
        let (received, sent) = (self.received, self.sent);
        let is_truncated = self.end == Some(End::Fin) && received < sent;
        let truncated = is_truncated.then(|| format!("a FIN after {received} of {sent} bytes"));
        let what = self.wrong.clone().or(truncated)?;
        Some(format!("client `{}`: {what}", self.name))
    }
}
