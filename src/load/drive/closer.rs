//! Closes the connections of one worker at the end: a batch at a time, as they were opened.
//!
//! If 100,000 FINs are sent in one go, the packets wait in the queues of the system for longer than TCP's retransmission
//! timeout. All of them are sent again then, which makes the queues longer still, and closing takes minutes. So a batch sends
//! its FINs, and the next batch follows when the peers have answered with theirs.

use std::net::Shutdown;
use std::time::Duration;

use mio::{Events, Token};

use super::client::{Client, SocketState};
use super::client_runner::ClientRunner;
use crate::net::platform;
use crate::net::poll::{EVENTS_PER_WAIT, timeout_until, wait};
use crate::net::timers::nanoseconds;

/// How long the peers of a batch may take. After one batch that takes longer, the others do not wait: a peer that keeps its
/// side open must not put off the end.
const PATIENCE: Duration = Duration::from_millis(500);

/// Closes all connections, and records the messages that have not ended.
pub fn close_all(clients: &mut [Client], runner: &mut ClientRunner) {
    let mut is_waiting = runner.closes_with_fin();
    let mut batches = clients
        .chunks_mut(runner.connector.most_at_once())
        .peekable();
    while let Some(batch) = batches.next() {
        // Nothing follows the last batch.
        is_waiting = is_waiting && batches.peek().is_some() && are_answered(batch, runner);
        for client in batch {
            runner.finish(client);
        }
    }
}

/// Sends the FINs of a batch. Returns true if every peer has answered with its own in time.
fn are_answered(batch: &[Client], runner: &mut ClientRunner) -> bool {
    let first = batch[0].key;
    let mut is_awaited: Vec<bool> = batch.iter().map(send_fin).collect();
    let mut events = Events::with_capacity(EVENTS_PER_WAIT);
    let deadline = platform::monotonic_now().saturating_add(nanoseconds(PATIENCE));
    while is_awaited.contains(&true) {
        let now = platform::monotonic_now();
        if now >= deadline
            || wait(&mut runner.poll, &mut events, timeout_until(deadline, now)).is_err()
        {
            return false;
        }
        for event in events.iter().filter(|event| event.is_read_closed()) {
            let Token(key) = event.token();
            if let Some(awaited) = key.checked_sub(first).and_then(|at| is_awaited.get_mut(at)) {
                *awaited = false;
            }
        }
    }
    true
}

/// Returns true if the client had a connection that could send a FIN.
fn send_fin(client: &Client) -> bool {
    match &client.socket {
        SocketState::Up(connection) => connection.socket.shutdown(Shutdown::Write).is_ok(),
        SocketState::Down | SocketState::Connecting(_) => false,
    }
}
