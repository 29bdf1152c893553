//! Random clients of every kind, one random server after the other, until the time is over.
//!
//! `MIO_ECHO_TEST_SECONDS` sets the time; the default is a minute. `MIO_ECHO_TEST_SEED` sets the seed, which decides the
//! options of the servers and the plans of the clients. The default is a random seed, which the test prints. The order of
//! events is not repeatable.

use std::env;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use socket2::{Domain, SockRef, Socket, Type};

use crate::support::messages::MessageStream;
use crate::support::proc::descriptors;
use crate::support::server::{Figures, serve};
use crate::support::{DEADLINE, Server};

/// The number of clients of one server.
const CLIENTS: u64 = 400;

/// The number of clients that one server has at once.
const AT_ONCE: usize = 32;

/// Each server has a listener for each of these framings.
const FRAMINGS: [&str; 7] = ["raw", "nul", "line", "crlf", "len8", "len16", "len16le"];

/// Each server has one entry of each list.
const OPTIONS: [&[&str]; 6] = [
    &["", "--read-buffer=1", "--read-buffer=7", "--read-buffer=4k"],
    &["", "--socket-buffer=4k", "--socket-buffer=64k"],
    &["", "--high-water=1", "--high-water=4k", "--high-water=1m"],
    &[
        "",
        "--max-connections=5",
        "--max-connections=20",
        REFUSING[0],
        REFUSING[1],
    ],
    &[
        "",
        "--workers=1",
        "--workers=3 --work-time=20us",
        "--workers=2 --offload=large --max-message=1m",
    ],
    &[
        "",
        "--idle-timeout=1h --session-timeout=1h",
        "--write-timeout=0 --frame-timeout=0 --keepalive=0",
    ],
];

/// With these options the server resets some clients before it serves them.
const REFUSING: [&str; 2] = ["--max-connections=20 --when-full=close", "--max-per-ip=20"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// Sends and reads a few bytes at a time, with short pauses.
    Dribble,
    /// Sends and reads as much as the system takes.
    Burst,
    /// Often reads nothing until the system takes no more.
    Stall,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Half-closes, and reads to the FIN of the server.
    HalfClose,
    /// Reads what is owed, then closes.
    Close,
    /// Resets without reading what is owed.
    Reset,
    /// Closes without reading what is owed.
    Vanish,
}

const ENDINGS: [Ending; 4] = [
    Ending::HalfClose,
    Ending::Close,
    Ending::Reset,
    Ending::Vanish,
];

/// What one client does.
#[derive(Debug)]
struct Plan {
    framing: &'static str,
    pace: Pace,
    ending: Ending,
    sends_urgent_bytes: bool,
    socket_buffer: Option<usize>,
    /// The number of bytes to send. The last message may be incomplete.
    length: usize,
}

impl Plan {
    fn new(rng: &mut fastrand::Rng, framing: &'static str, longest: usize) -> Self {
        let pace = [Pace::Dribble, Pace::Burst, Pace::Stall][rng.usize(..3)];
        let socket_buffer = (rng.u8(..4) == 0).then_some(4096);
        let longest = match pace {
            Pace::Dribble => 512,
            // With small buffers, the kernels sometimes wait 200 ms for each other.
            Pace::Burst | Pace::Stall => {
                socket_buffer.map_or(longest, |bytes| longest.min(4 * bytes))
            }
        };
        let magnitude = rng.u32(..=longest.ilog2());
        Self {
            framing,
            pace,
            ending: ENDINGS[rng.usize(..ENDINGS.len())],
            sends_urgent_bytes: rng.u8(..4) == 0,
            socket_buffer,
            length: rng.usize(..=1 << magnitude),
        }
    }
}

struct Client {
    plan: Plan,
    rng: fastrand::Rng,
    socket: TcpStream,
    stream: MessageStream,
    sent: usize,
    received: usize,
    /// The value of `sent` when the last urgent byte went out.
    urgent_at: Option<usize>,
}

impl Client {
    fn connect(plan: Plan, server: SocketAddr, mut rng: fastrand::Rng) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if let Some(bytes) = plan.socket_buffer {
            socket.set_send_buffer_size(bytes)?;
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.connect_timeout(&server.into(), DEADLINE)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let framing = match plan.framing {
            // Any bytes are good for raw, and lines without a NUL for nul.
            "raw" | "nul" => "line",
            framing => framing,
        };
        // The shortest message has 2 bytes.
        let mut stream = MessageStream::new(framing, plan.length + 2, rng.u64(..));
        if plan.framing == "nul" {
            let nuls = stream.bytes.iter_mut().filter(|byte| **byte == 0);
            nuls.for_each(|byte| *byte = b'0');
        }
        Ok(Self {
            plan,
            rng,
            socket: socket.into(),
            stream,
            sent: 0,
            received: 0,
            urgent_at: None,
        })
    }

    /// Does what is planned. Returns the error of a connection that the server has reset.
    fn run(&mut self) -> io::Result<()> {
        self.send_all()?;
        match self.plan.ending {
            Ending::HalfClose => {
                self.socket.shutdown(Shutdown::Write)?;
                while self.receive()? > 0 {}
            }
            Ending::Close => {
                while self.received < self.owed() {
                    assert!(self.receive()? > 0, "a FIN before the whole echo");
                }
            }
            Ending::Reset => {
                return SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
            }
            Ending::Vanish => return Ok(()),
        }
        assert_eq!(self.received, self.owed(), "of {} bytes", self.sent);
        Ok(())
    }

    fn send_all(&mut self) -> io::Result<()> {
        let mut stalls = self.plan.pace == Pace::Stall;
        while self.sent < self.plan.length {
            self.send_urgent()?;
            let ready = match stalls {
                true => self.wait(PollFlags::OUT, Duration::from_millis(20)),
                false => self.wait_for(PollFlags::IN | PollFlags::OUT),
            };
            stalls &= !ready.is_empty();
            if ready.contains(PollFlags::OUT) {
                let end = self.plan.length.min(self.sent + self.piece());
                let piece = &self.stream.bytes[self.sent..end];
                self.sent += unless_blocked((&self.socket).write(piece))?.unwrap_or(0);
                self.pause();
            }
            if ready.contains(PollFlags::IN) && !stalls {
                assert!(self.receive()? > 0, "a FIN before that of the client");
                stalls = self.plan.pace == Pace::Stall && self.rng.u8(..8) == 0;
            }
        }
        self.send_urgent()?;
        if stalls {
            thread::sleep(Duration::from_millis(self.rng.u64(..50)));
        }
        Ok(())
    }

    /// Sends an urgent byte now and then, which the server does not echo.
    fn send_urgent(&mut self) -> io::Result<()> {
        // If an urgent byte comes before the server has read past the last one, the last one becomes ordinary data.
        let may_send = self.urgent_at.is_none_or(|at| self.received > at);
        if self.plan.sends_urgent_bytes && may_send && self.rng.u8(..4) == 0 {
            let sent = SockRef::from(&self.socket).send_out_of_band(b"!");
            self.urgent_at = unless_blocked(sent)?.map_or(self.urgent_at, |_| Some(self.sent));
        }
        Ok(())
    }

    /// Receives some bytes, which must be the next ones of the echo. Returns 0 at the FIN of the server.
    fn receive(&mut self) -> io::Result<usize> {
        let mut bytes = vec![0; self.piece()];
        let got = loop {
            self.wait_for(PollFlags::IN);
            if let Some(got) = unless_blocked((&self.socket).read(&mut bytes))? {
                break got;
            }
        };
        let end = self.received + got;
        assert!(end <= self.owed(), "{end} bytes for {} bytes", self.sent);
        let expected = &self.stream.bytes[self.received..end];
        assert!(bytes[..got] == *expected, "a wrong byte before {end}");
        self.received = end;
        self.pause();
        Ok(got)
    }

    /// Returns how many bytes the server has to echo: those of whole messages.
    fn owed(&self) -> usize {
        match self.plan.framing {
            "raw" | "nul" => self.sent,
            _ => self.stream.whole_messages(self.sent),
        }
    }

    /// Returns the length of the next piece.
    fn piece(&mut self) -> usize {
        match self.plan.pace {
            Pace::Dribble => self.rng.usize(1..=8),
            Pace::Burst | Pace::Stall => self.rng.usize(1..=64 << 10),
        }
    }

    fn pause(&mut self) {
        if self.plan.pace == Pace::Dribble && self.rng.bool() {
            thread::sleep(Duration::from_micros(self.rng.u64(..500)));
        }
    }

    fn wait_for(&self, wanted: PollFlags) -> PollFlags {
        let ready = self.wait(wanted, DEADLINE);
        assert!(!ready.is_empty(), "the connection is stuck");
        ready
    }

    /// Waits for an event. Returns no flag if none comes for `time`.
    fn wait(&self, wanted: PollFlags, time: Duration) -> PollFlags {
        let mut sockets = [PollFd::new(&self.socket, wanted)];
        let time = Timespec::try_from(time).expect("a time");
        retry_on_intr(|| poll(&mut sockets, Some(&time))).expect("polling");
        sockets[0].revents()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if thread::panicking() {
            let (sent, received) = (self.sent, self.received);
            eprintln!("{:?}; {sent} bytes sent, {received} received", self.plan);
        }
    }
}

/// Returns `None` instead of the error of a call that would block.
fn unless_blocked<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        result => result.map(Some),
    }
}

/// One server and its clients.
struct Round {
    seed: u64,
    /// One entry of each list of [`OPTIONS`].
    options: [&'static str; OPTIONS.len()],
}

impl Drop for Round {
    /// Prints how to repeat a round that fails.
    fn drop(&mut self) {
        if thread::panicking() {
            let Self { seed, options } = self;
            let command = "cargo test --features soak --test serve fault_x2";
            eprintln!("the server's options: {}", options.join(" "));
            eprintln!("to begin with this server: MIO_ECHO_TEST_SEED={seed} {command}");
        }
    }
}

impl Round {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let options = OPTIONS.map(|list| list[rng.usize(..list.len())]);
        Self { seed, options }
    }

    /// Starts a server, lets all clients come and go, and stops the server.
    fn run(&self) {
        let mut command = serve();
        for framing in FRAMINGS {
            command.args(["--listen", &format!("{framing}@127.0.0.1:0")]);
        }
        let options = self.options.iter().flat_map(|words| words.split(' '));
        command.args(options.filter(|word| !word.is_empty()));
        command.arg("--stop-on-eof");
        let server = Server::spawn_with_listeners(command, FRAMINGS.len());
        let descriptors_at_start = descriptors(server.pid());
        let (next, refused) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            let work = || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= CLIENTS {
                        return;
                    }
                    let was_refused = self.run_client(number, server.addresses());
                    refused.fetch_add(was_refused.into(), Ordering::Relaxed);
                }
            };
            let threads = [(); AT_ONCE].map(|()| scope.spawn(work));
            while threads.iter().any(|thread| !thread.is_finished()) {
                expect_balance(&server.figures());
                thread::sleep(Duration::from_millis(20));
            }
        });
        server.await_active(0, DEADLINE);
        assert_eq!(descriptors(server.pid()), descriptors_at_start);
        let finished = server.stop();
        let figures = finished.figures();
        expect_balance(&figures);
        assert_eq!(figures.get("active"), 0);
        assert_eq!(figures.get("accepted") + figures.get("refused"), CLIENTS);
        assert!(figures.get("refused") >= refused.into_inner());
        if !self.may_refuse() {
            finished.expect_no_warning();
        }
    }

    /// Returns true if the server has refused the client.
    fn run_client(&self, number: u64, servers: &[SocketAddr]) -> bool {
        let mut rng = fastrand::Rng::with_seed(self.seed ^ (number + 1) << 32);
        let listener = rng.usize(..FRAMINGS.len());
        let plan = Plan::new(&mut rng, FRAMINGS[listener], self.longest());
        let mut client = match Client::connect(plan, servers[listener], rng) {
            Ok(client) => client,
            Err(error) => {
                assert!(self.may_refuse(), "connecting: {error}");
                return true;
            }
        };
        let result = client.run();
        if let Err(error) = &result {
            assert!(self.may_refuse() && client.received == 0, "{error}");
        }
        result.is_err()
    }

    /// Returns the most bytes that one client sends. With small buffers, a megabyte would take a minute.
    fn longest(&self) -> usize {
        match self.options {
            ["--read-buffer=1", ..] => 4 << 10,
            ["--read-buffer=7", ..] => 32 << 10,
            [_, "--socket-buffer=4k", ..] => 256 << 10,
            _ => 1 << 20,
        }
    }

    fn may_refuse(&self) -> bool {
        REFUSING.iter().any(|words| self.options.contains(words))
    }
}

/// Requires that each accepted connection is active or closed.
#[track_caller]
fn expect_balance(figures: &Figures) {
    let (accepted, active) = (figures.get("accepted"), figures.get("active"));
    assert_eq!(accepted, active + figures.closed());
}

#[test]
#[cfg_attr(not(feature = "soak"), ignore = "takes long: --features soak")]
fn fault_x2_random_clients_get_every_byte_and_leave_nothing_behind() {
    let variable = |name| Some(env::var(name).ok()?.parse::<u64>().expect(name));
    let seconds = variable("MIO_ECHO_TEST_SECONDS").unwrap_or(60);
    let seed = variable("MIO_ECHO_TEST_SEED").unwrap_or_else(|| fastrand::u32(..).into());
    print(&format!("MIO_ECHO_TEST_SEED={seed}, {seconds} s"));
    let (start, mut servers) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        Round::new(seed.wrapping_add(servers)).run();
        servers += 1;
    }
    print(&format!("{servers} servers, {} clients", servers * CLIENTS));
}

/// Prints a line past the output capture of the test harness.
fn print(line: &str) {
    // A closed standard error is no reason to fail.
    let _ = writeln!(io::stderr(), "fault_x2: {line}");
}
