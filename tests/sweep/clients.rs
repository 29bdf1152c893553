//! The clients of a run, and what they do.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::support::Client;
use crate::table::Outcome;
use crate::verifier::{LINE, Service, Verifier};

/// The longest wait for what must happen.
pub const PATIENT: Duration = Duration::from_secs(5);

/// The longest wait for what need not happen.
const BRIEF: Duration = Duration::from_millis(40);

/// Clients that stay connected and do nothing until the server stops.
const IDLE: usize = 6;

/// The slots of the server: `ping`, the idle clients, `bulk` and `stalled`.
pub const SLOTS: usize = IDLE + 3;

/// Clients that connect one after the other while calls fail.
const LATE: usize = 4;

/// More than the socket buffers hold, and less than these and the pending bytes of the server (64 KiB) together.
const UNREAD: usize = 160 * LINE;

/// The further bytes of `bulk`.
const REST: usize = 100 * LINE;

/// The clients of a run.
pub struct Clients {
    address: SocketAddr,
    outcome: Outcome,
    ping: Verifier,
    idle: Vec<Verifier>,
    /// A client that reads late, so the server waits until it can write.
    bulk: Verifier,
    late: Vec<Verifier>,
    /// A client that reads nothing until the server has ended. The server owes it bytes at the end of the drain timeout.
    stalled: Verifier,
    /// A client that finds no slot.
    excess: Option<Verifier>,
}

impl Clients {
    /// Connects the clients that are there before the fault, and lets each be served once.
    pub fn connect(address: SocketAddr, outcome: Outcome) -> Self {
        let connect = |name: &str, length| {
            let client = Client::connect_with_small_buffers(address, 4 << 10);
            let mut client = Verifier::new(name.to_owned(), Some(client), length);
            client.echo(LINE, outcome.patience());
            client
        };
        Self {
            address,
            outcome,
            ping: connect("ping", 3 * LINE),
            idle: (0..IDLE)
                .map(|n| connect(&format!("idle {n}"), LINE))
                .collect(),
            bulk: connect("bulk", LINE + UNREAD + REST),
            late: Vec::new(),
            stalled: connect("stalled", LINE + UNREAD),
            excess: None,
        }
    }

    /// Uses the server while calls fail.
    pub fn meet_fault(&mut self) {
        let patience = self.outcome.patience();
        let ends = self.outcome == Outcome::Ends;
        self.ping.echo(LINE, patience);
        // Nothing is read before the server has bytes pending.
        self.bulk.echo(UNREAD, patience);
        self.bulk.echo(REST, patience);
        self.bulk.half_close();
        self.bulk.finish(self.outcome.patience_with_new());
        if ends && self.bulk.service() != Service::Complete {
            return;
        }
        for n in 0..LATE {
            let mut late = self.echo_once(format!("late {n}"));
            late.half_close();
            late.finish(self.outcome.patience_with_new());
            let is_served = late.service() == Service::Complete;
            self.late.push(late);
            if ends && !is_served {
                break;
            }
        }
        if ends {
            // The server stops, and discards what it is sent from now on.
            return;
        }
        // The slot of `bulk` is free for one client.
        let last = self.echo_once("last".to_owned());
        self.late.push(last);
        let mut excess = self.echo_once("excess".to_owned());
        excess.finish(BRIEF);
        self.excess = Some(excess);
        self.stalled.send(UNREAD, patience);
        self.ping.echo(LINE, patience);
    }

    /// Connects a client that sends a line and waits for its echo.
    fn echo_once(&self, name: String) -> Verifier {
        let client = Client::try_connect(self.address).ok();
        let mut client = Verifier::new(name, client, LINE);
        client.echo(LINE, self.outcome.patience_with_new());
        client
    }

    /// Receives until each connection ends, except that of `stalled`.
    pub fn finish(&mut self, until: Instant) {
        let clients = [&mut self.ping].into_iter().chain(&mut self.idle);
        for client in clients.chain(&mut self.late) {
            client.finish(until.saturating_duration_since(Instant::now()));
        }
    }

    /// Receives what the server has left for `stalled`.
    pub fn finish_stalled(&mut self) {
        self.stalled.finish(PATIENT);
    }

    /// Returns the clients that were connected before the fault and send only lines.
    pub fn connected(&self) -> impl Iterator<Item = &Verifier> {
        [&self.ping].into_iter().chain(&self.idle)
    }

    /// Returns the clients that a server without a fault serves to the end.
    pub fn regular(&self) -> impl Iterator<Item = &Verifier> {
        self.connected().chain(&self.late).chain([&self.bulk])
    }

    /// Returns what no fault excuses.
    pub fn violations(&self) -> Vec<String> {
        let all = self.regular().chain([&self.stalled]).chain(&self.excess);
        // A server that ends may accept a client just before that. What the client sends later is discarded.
        let is_late = |client: &&Verifier| self.outcome == Outcome::Ends && client.is_unanswered();
        let clients = all.filter(|client| !is_late(client));
        clients.filter_map(Verifier::violation).collect()
    }
}

impl Outcome {
    /// Returns how long to wait for the echo of a client that was connected before the fault, or for the end of its
    /// connection.
    pub fn patience(self) -> Duration {
        match self {
            Self::Served
            | Self::ServedOrRefused
            | Self::Warned
            | Self::Unlogged
            | Self::OneReset
            | Self::NoNewClients
            | Self::Ends => PATIENT,
            Self::Nobody | Self::NobodyWarned | Self::Refused => BRIEF,
        }
    }

    /// Returns how long to wait for the echo of a client that connects during the fault, and for the end of a connection.
    fn patience_with_new(self) -> Duration {
        match self {
            Self::NoNewClients => BRIEF,
            outcome => outcome.patience(),
        }
    }
}
