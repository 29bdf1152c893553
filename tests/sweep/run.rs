//! One run: a server under strace beside its clients, and what must be seen in the end.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::clients::{Clients, PATIENT, SLOTS};
use crate::support::server::{Finished, serve};
use crate::support::strace::{self, Strace};
use crate::support::{Client, Server};
use crate::table::{Outcome, Phase, Setup};
use crate::trace::Trace;
use crate::verifier::{Service, Verifier};

/// How long a server with a lasting fault is watched while its clients do nothing.
const WATCHED: Duration = Duration::from_millis(200);

/// The most calls in that time. A listener that cannot accept makes up to 64 calls four times a second, and a busy machine
/// may still have echoes to finish. A loop that spins makes many thousand.
const CALLS_WHILE_WATCHED: usize = 1000;

/// What a run is like.
pub struct Run<'a> {
    pub phase: Phase,
    pub setup: Setup,
    /// What must be seen if the fault occurs.
    pub outcome: Outcome,
    /// True if calls fail for ever: the server is watched for a while.
    pub lasts: bool,
    /// The argument of strace that lets calls fail.
    pub fault: Option<String>,
    pub address: SocketAddr,
    pub trace: &'a Trace,
}

/// A run that is over.
pub struct Ended {
    server: Finished,
    clients: Option<Clients>,
}

impl Run<'_> {
    /// Runs the server, its clients and strace, and stops the server unless it is expected to end by itself.
    ///
    /// # Errors
    ///
    /// Returns what is wrong whatever the fault was.
    pub fn run(&self) -> Result<Ended, String> {
        let (mut server, mut clients, strace) = match self.phase {
            Phase::Start => self.start_traced()?,
            Phase::Operation => self.start_and_attach()?,
        };
        if let Some(clients) = &mut clients {
            clients.meet_fault();
        }
        if clients.is_some() && !self.outcome.ends_the_server() {
            self.ask_for_figures(&mut server)?;
            self.expect_no_spin()?;
            require(server.is_running(), || {
                format!("ended: {:#?}", server.log_lines())
            })?;
            server.signal(Signal::TERM);
        }
        let until = Instant::now() + PATIENT;
        if let Some(clients) = &mut clients {
            clients.finish(until);
        }
        while server.is_running() {
            require(Instant::now() < until, || {
                format!("does not end: {:#?}", server.log_lines())
            })?;
            thread::sleep(Duration::from_millis(1));
        }
        if let Some(clients) = &mut clients {
            clients.finish_stalled();
        }
        // strace has then written the last call.
        let _ = strace.map(Strace::detach);
        let ended = Ended {
            server: server.finished(),
            clients,
        };
        let violations = ended.clients.iter().flat_map(Clients::violations);
        let violations: Vec<_> = violations.collect();
        require(violations.is_empty(), || violations.join("; "))?;
        Ok(ended)
    }

    /// Starts a server under strace, and connects clients unless the server ends at once.
    fn start_traced(&self) -> Result<(Server, Option<Clients>, Option<Strace>), String> {
        let mut arguments = self.trace.arguments(self.fault.as_deref());
        // With -D, the process that is started here becomes the server, and strace is another one.
        arguments.push("-D".to_owned());
        let mut command = strace::traced(&arguments, &self.command());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = Server::spawn_without_waiting(command);
        let has_started = match self.outcome {
            // The start line may be lost, so the only sign of a listener is that it accepts.
            Outcome::Unlogged => self.await_listener(&mut server),
            _ => server.has_started(),
        };
        let clients = has_started.then(|| self.connect_clients());
        Ok((server, clients, None))
    }

    fn await_listener(&self, server: &mut Server) -> bool {
        let until = Instant::now() + PATIENT;
        while Client::try_connect(self.address).is_err() {
            if Instant::now() > until || !server.is_running() {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
        true
    }

    fn connect_clients(&self) -> Clients {
        Clients::connect(self.address, self.outcome)
    }

    /// Starts a server, connects clients, and then attaches strace.
    fn start_and_attach(&self) -> Result<(Server, Option<Clients>, Option<Strace>), String> {
        let server = Server::spawn(self.command());
        let clients = self.connect_clients();
        let arguments = self.trace.arguments(self.fault.as_deref());
        let strace = Strace::attach_with("fault_x1", server.pid(), &arguments);
        require(strace.is_some(), || "strace cannot attach".to_owned())?;
        Ok((server, Some(clients), strace))
    }

    fn command(&self) -> Command {
        let mut command = serve();
        let (address, slots) = (self.address.to_string(), SLOTS.to_string());
        command.args(["--listen", &address, "--max-connections", &slots]);
        command.args(["--when-full", "close", "--socket-buffer", "16k"]);
        command.args(["--drain-timeout", "100ms"]);
        match self.setup {
            Setup::Raw => &mut command,
            Setup::Workers => command.args(["--framing", "line", "--workers", "2"]),
            Setup::Stdin => command.arg("--stop-on-eof"),
        };
        command
    }

    /// Sends SIGUSR1. Waits for the answer in the log, if there must be one.
    fn ask_for_figures(&self, server: &mut Server) -> Result<(), String> {
        server.signal(Signal::USR1);
        let until = Instant::now() + PATIENT;
        let must_answer = self.outcome != Outcome::Unlogged && self.outcome.patience() == PATIENT;
        while must_answer && !has_figures(&server.log_lines()) {
            require(server.is_running() && Instant::now() < until, || {
                format!("no answer to SIGUSR1: {:#?}", server.log_lines())
            })?;
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Watches a server with a lasting fault.
    fn expect_no_spin(&self) -> Result<(), String> {
        if !self.lasts {
            return Ok(());
        }
        let before = self.trace.lines();
        thread::sleep(WATCHED);
        let calls = self.trace.lines() - before;
        require(calls <= CALLS_WHILE_WATCHED, || {
            format!("spins: {calls} system calls in {WATCHED:?}")
        })
    }
}

impl Ended {
    /// Requires what must be seen.
    pub fn expect(&self, outcome: Outcome) -> Result<(), String> {
        let outcome = match (outcome, &self.clients) {
            (Outcome::ServedOrRefused, None) => Outcome::Refused,
            (Outcome::ServedOrRefused, Some(_)) => Outcome::Served,
            (outcome, _) => outcome,
        };
        let log = &self.server.log;
        let complaints = self.complaints(outcome);
        require(outcome.complaints().contains(&complaints), || {
            format!("{complaints} warnings and errors: {log:#?}")
        })?;
        let unserved = self.unserved(outcome);
        require(unserved.is_empty(), || {
            format!("not served: {}", unserved.join(", "))
        })?;
        if !matches!(outcome, Outcome::Refused | Outcome::Unlogged) {
            self.expect_figures()?;
        }
        let code = i32::from(outcome.ends_the_server());
        let status = self.server.status;
        require(status.code() == Some(code), || {
            format!("{status}: {log:#?}")
        })
    }

    /// Returns the clients that were not served to the end although `outcome` promises it.
    fn unserved(&self, outcome: Outcome) -> Vec<String> {
        let Some(clients) = &self.clients else {
            return Vec::new();
        };
        let promised: Vec<_> = match outcome {
            Outcome::Nobody | Outcome::NobodyWarned | Outcome::Ends => Vec::new(),
            Outcome::NoNewClients => clients.connected().collect(),
            Outcome::Served
            | Outcome::ServedOrRefused
            | Outcome::Warned
            | Outcome::Unlogged
            | Outcome::OneReset
            | Outcome::Refused => clients.regular().collect(),
        };
        let is_unserved = |client: &&Verifier| client.service() != Service::Complete;
        let mut unserved: Vec<_> = promised.into_iter().filter(is_unserved).collect();
        if outcome == Outcome::OneReset && unserved.len() == 1 {
            unserved.retain(|client| client.service() != Service::Reset);
        }
        let describe = |client: &Verifier| format!("`{}` {:?}", client.name, client.service());
        unserved.into_iter().map(describe).collect()
    }

    /// Requires a last line in which every connection is counted once.
    fn expect_figures(&self) -> Result<(), String> {
        let log = &self.server.log;
        require(has_figures(log), || format!("no last line: {log:#?}"))?;
        let figures = self.server.figures();
        let (accepted, closed) = (figures.get("accepted"), figures.closed());
        require(accepted == closed && figures.get("active") == 0, || {
            format!("{accepted} accepted, {closed} closed")
        })
    }

    /// Counts the lines of the log that are not information, except the one about the client without a slot.
    ///
    /// A line that the system refuses can leave an empty line, or its beginning, and its number is reported later.
    fn complaints(&self, outcome: Outcome) -> usize {
        let usual = [" INFO ", "all slots are taken"];
        let is_lost = |line: &str| line.is_empty() || line.ends_with(" lost");
        let is_complaint = |line: &&String| {
            let is_usual = usual.iter().any(|text| line.contains(text));
            !(is_usual || outcome == Outcome::Unlogged && is_lost(line))
        };
        self.server.log.iter().filter(is_complaint).count()
    }
}

impl Outcome {
    /// Returns true if the server ends without a signal.
    fn ends_the_server(self) -> bool {
        matches!(self, Self::Refused | Self::Ends)
    }

    /// Returns how many warnings and errors the log may have.
    fn complaints(self) -> RangeInclusive<usize> {
        match self {
            Self::Served => 0..=0,
            Self::Refused => 1..=1,
            Self::NoNewClients | Self::NobodyWarned | Self::Ends => 1..=2,
            // One for each socket option that is refused.
            Self::Warned => 1..=9,
            Self::ServedOrRefused => 0..=1,
            Self::Unlogged | Self::OneReset | Self::Nobody => 0..=2,
        }
    }
}

fn has_figures(log: &[String]) -> bool {
    log.iter().any(|line| line.contains(", refused "))
}

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
