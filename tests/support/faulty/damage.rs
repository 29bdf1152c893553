//! Servers that return wrong bytes once.

use std::io::Write;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, OnceLock};

use super::FaultyServer;

/// The index of the damaged message. [`Damage::Reordered`] swaps this message with the next.
pub const DAMAGED_MESSAGE: usize = 3;

/// The damage to the replies on the first connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The byte at this offset is changed.
    Corrupted { offset: usize },
    /// Two messages are swapped.
    Reordered,
    /// A message is sent twice.
    Duplicated,
    /// A message is not sent.
    Missing,
    /// The first and the second 64 KiB of a message are swapped.
    SwappedBlocks,
    /// A message of the second connection is sent instead.
    Crossed,
}

/// A server that damages the replies on its first connection, once.
pub struct DamagingServer {
    server: FaultyServer,
    difference: Arc<OnceLock<usize>>,
}

impl DamagingServer {
    /// Starts a server for messages of `size` bytes.
    pub fn start(damage: Damage, size: usize) -> Self {
        let difference = Arc::new(OnceLock::new());
        let found = Arc::clone(&difference);
        let second_message = SharedMessage::default();
        let server = FaultyServer::start(move |mut connection| match connection.number {
            0 => {
                let mut damager = ReplyDamager::new(damage, &second_message);
                let mut replies = Comparison::default();
                loop {
                    let message = connection.message(size)?;
                    let reply = damager.reply(message.clone());
                    if let Some(offset) = replies.add(&message, &reply) {
                        found.get_or_init(|| offset);
                    }
                    connection.stream.write_all(&reply)?;
                }
            }
            _ => loop {
                let message = connection.message(size)?;
                second_message.share(&message);
                connection.stream.write_all(&message)?;
            },
        });
        Self { server, difference }
    }

    pub fn server(&self) -> &FaultyServer {
        &self.server
    }

    /// Returns the offset of the first wrong byte on the first connection, or `None` before there is one.
    pub fn difference(&self) -> Option<usize> {
        self.difference.get().copied()
    }
}

/// The latest message of the other connections.
#[derive(Default)]
struct SharedMessage {
    latest: Mutex<Option<Vec<u8>>>,
    changed: Condvar,
}

impl SharedMessage {
    fn share(&self, message: &[u8]) {
        *self.latest.lock().expect("a message") = Some(message.to_vec());
        self.changed.notify_all();
    }

    /// Waits until there is a message.
    fn wait(&self) -> Vec<u8> {
        let latest = self.latest.lock().expect("a message");
        let waited = self.changed.wait_while(latest, |latest| latest.is_none());
        waited.expect("a message").clone().expect("a message")
    }
}

struct ReplyDamager<'a> {
    damage: Damage,
    second_message: &'a SharedMessage,
    /// The number of messages so far.
    count: usize,
    /// The number of bytes so far.
    position: usize,
    /// A message that is sent later.
    kept: Vec<u8>,
}

impl<'a> ReplyDamager<'a> {
    fn new(damage: Damage, second_message: &'a SharedMessage) -> Self {
        Self {
            damage,
            second_message,
            count: 0,
            position: 0,
            kept: Vec::new(),
        }
    }

    /// Returns the reply to the next message.
    fn reply(&mut self, mut message: Vec<u8>) -> Vec<u8> {
        let (number, position) = (self.count, self.position);
        self.count += 1;
        self.position += message.len();
        match self.damage {
            Damage::Corrupted { offset } => {
                if let Some(byte) = offset
                    .checked_sub(position)
                    .and_then(|at| message.get_mut(at))
                {
                    *byte ^= 0x40;
                }
            }
            Damage::Reordered if number == DAMAGED_MESSAGE => {
                return mem::replace(&mut self.kept, message);
            }
            Damage::Reordered if number == DAMAGED_MESSAGE + 1 => message.append(&mut self.kept),
            Damage::Duplicated if number == DAMAGED_MESSAGE => message.extend_from_within(..),
            Damage::Missing if number == DAMAGED_MESSAGE => message.clear(),
            Damage::SwappedBlocks if number == DAMAGED_MESSAGE => {
                let (first, rest) = message.split_at_mut(64 << 10);
                first.swap_with_slice(&mut rest[..64 << 10]);
            }
            Damage::Crossed if number == DAMAGED_MESSAGE => message = self.second_message.wait(),
            Damage::Reordered
            | Damage::Duplicated
            | Damage::Missing
            | Damage::SwappedBlocks
            | Damage::Crossed => {}
        }
        message
    }
}

/// Finds the first difference between the bytes received and the bytes returned.
#[derive(Default)]
struct Comparison {
    equal: usize,
    sent: Vec<u8>,
    returned: Vec<u8>,
    is_over: bool,
}

impl Comparison {
    fn add(&mut self, sent: &[u8], returned: &[u8]) -> Option<usize> {
        if self.is_over {
            return None;
        }
        self.sent.extend_from_slice(sent);
        self.returned.extend_from_slice(returned);
        let pairs = self.sent.iter().zip(&self.returned);
        let (equal, both) = (
            pairs.clone().take_while(|(a, b)| a == b).count(),
            pairs.len(),
        );
        self.sent.drain(..equal);
        self.returned.drain(..equal);
        self.equal += equal;
        self.is_over = equal < both;
        self.is_over.then_some(self.equal)
    }
}
