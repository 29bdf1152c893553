//! Notifications for a service manager, see sd_notify(3): that the server is ready, its status, that it stops, and that its
//! loops are alive.
//!
//! The loop itself sends them, right before its wait. With several loops, the first one sends them, and a sign of life waits
//! until all others have turned. So the manager's watchdog notices a loop that hangs. A message never blocks: if the
//! manager's queue is full, the loop tries again later.

use std::fmt::Write;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;
use std::{env, io, process};

use log::warn;
use mio_echo::net::timers::{NEVER, nanoseconds};
use mio_echo::net::{Observation, Observer, TurnRequest};

/// The shortest time between two messages with a status.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// The pause after the manager's queue was full.
const RETRY: Duration = Duration::from_millis(100);

/// A manager that asks for signs of life more often gets them this far apart.
const SHORTEST_WATCHDOG: Duration = Duration::from_millis(1);

/// Sends the notifications of one server. Times are those of [`Observation::now`].
pub struct Notifier {
    socket: UnixDatagram,
    manager: SocketAddr,
    /// The time between two signs of life, or `None` if the manager does not watch.
    watchdog: Option<u64>,
    /// What a sign of life that is due waits for.
    turn_request: Option<TurnRequest>,
    sent: Sent,
    /// Until this time the manager's queue counts as full.
    full_until: u64,
    next_deadline: u64,
    has_warned: bool,
}

/// What the manager has been sent.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    is_ready: bool,
    is_stopping: bool,
    /// The number of active connections in the last status, and its time.
    status: Option<(usize, u64)>,
    /// The time of the last sign of life.
    alive_at: Option<u64>,
}

impl Notifier {
    /// Returns the notifier for the manager that `NOTIFY_SOCKET` names, or `None` if there is no manager.
    ///
    /// # Errors
    ///
    /// Fails if the variable is no address of a socket, or if the system refuses a socket.
    pub fn from_environment() -> io::Result<Option<Self>> {
        match env::var("NOTIFY_SOCKET") {
            Ok(address) if !address.is_empty() => {
                Self::new(parse_address(&address)?, watchdog_of_environment()).map(Some)
            }
            Ok(_) | Err(_) => Ok(None),
        }
    }

    fn new(manager: SocketAddr, watchdog: Option<Duration>) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            manager,
            // sd_watchdog_enabled(3) recommends half of the time.
            watchdog: watchdog.map(|time| nanoseconds((time / 2).max(SHORTEST_WATCHDOG))),
            turn_request: None,
            sent: Sent::default(),
            full_until: 0,
            next_deadline: 0,
            has_warned: false,
        })
    }

    /// Returns true if a sign of life is due, and all loops have turned since.
    fn is_alive(&mut self, observation: &Observation<'_>) -> bool {
        if self.sent.sign_of_life_due(self.watchdog) > observation.now {
            return false;
        }
        let new_request = || observation.request_turn();
        let request = *self.turn_request.get_or_insert_with(new_request);
        observation.have_turned(request)
    }

    /// Sends what the manager must know at `now`, in one message. A sign of life is sent only if the server `is_alive`.
    fn notify(&mut self, now: u64, is_stopping: bool, active: usize, is_alive: bool) {
        if now < self.full_until {
            return;
        }
        let (mut message, mut sent) = (String::new(), self.sent);
        if !sent.is_ready {
            message += "READY=1\n";
            sent.is_ready = true;
        }
        if is_stopping && !sent.is_stopping {
            message += "STOPPING=1\n";
            sent.is_stopping = true;
        }
        if sent.status_due(active, now) <= now {
            // A string takes every text.
            let _ = writeln!(message, "STATUS=active connections: {active}");
            sent.status = Some((active, now));
        }
        if is_alive && sent.sign_of_life_due(self.watchdog) <= now {
            message += "WATCHDOG=1\n";
            sent.alive_at = Some(now);
            self.turn_request = None;
        }
        if message.is_empty() || self.send(&message) {
            self.sent = sent;
            let sign_of_life_due = match sent.sign_of_life_due(self.watchdog) {
                // The answer of the loop that has not turned yet ends the wait.
                due if due <= now => NEVER,
                due => due,
            };
            self.next_deadline = sent.status_due(active, now).min(sign_of_life_due);
        } else {
            self.full_until = now.saturating_add(nanoseconds(RETRY));
            self.next_deadline = self.full_until;
        }
    }

    /// Sends `message`. Returns false if it must be sent again, because the manager's queue is full.
    fn send(&mut self, message: &str) -> bool {
        match self.socket.send_to_addr(message.as_bytes(), &self.manager) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => {
                if !self.has_warned {
                    warn!("cannot notify the service manager (NOTIFY_SOCKET): {error}");
                }
                self.has_warned = true;
                true
            }
        }
    }
}

impl Observer for Notifier {
    fn observe(&mut self, observation: &Observation<'_>) {
        let (now, is_alive) = (observation.now, self.is_alive(observation));
        if self.sent.is_next_status_free(now) {
            observation.await_close();
        }
        self.notify(now, observation.is_stopping, observation.active(), is_alive);
    }

    fn next_deadline(&self) -> u64 {
        self.next_deadline
    }
}

impl Sent {
    /// Returns when the number of connections, which is `active` at `now`, must be looked at for the next status. No close
    /// of a connection in another loop is awaited before that time.
    fn status_due(&self, active: usize, now: u64) -> u64 {
        match self.status {
            None => 0,
            Some((sent, _)) if sent == active && self.is_next_status_free(now) => NEVER,
            Some((_, at)) => at.saturating_add(nanoseconds(STATUS_INTERVAL)),
        }
    }

    /// Returns true if the last status is so old that a change can be sent at once.
    fn is_next_status_free(&self, now: u64) -> bool {
        let next = |at: u64| at.saturating_add(nanoseconds(STATUS_INTERVAL));
        self.status.is_some_and(|(_, at)| next(at) <= now)
    }

    /// Returns when a sign of life is due, if the manager wants one every `period`.
    fn sign_of_life_due(&self, period: Option<u64>) -> u64 {
        match (period, self.alive_at) {
            (None, _) => NEVER,
            (Some(_), None) => 0,
            (Some(period), Some(at)) => at.saturating_add(period),
        }
    }
}

/// Parses the path of a socket, or `@` and its abstract name (unix(7)).
fn parse_address(text: &str) -> io::Result<SocketAddr> {
    match text.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None if text.starts_with('/') => SocketAddr::from_pathname(text),
        None => Err(ErrorKind::InvalidInput.into()),
    }
    .map_err(|_| {
        let text = format!("invalid NOTIFY_SOCKET '{text}': expected /PATH or @NAME");
        io::Error::new(ErrorKind::InvalidInput, text)
    })
}

/// Returns how long the manager waits for a sign of life before it ends this process, or `None` if it does not watch, or
/// watches another process. See sd_watchdog_enabled(3).
fn watchdog_of_environment() -> Option<Duration> {
    let number = |name| env::var(name).ok()?.parse::<u64>().ok();
    let is_watched = match env::var_os("WATCHDOG_PID") {
        None => true,
        Some(_) => number("WATCHDOG_PID") == Some(process::id().into()),
    };
    let time = number("WATCHDOG_USEC").filter(|microseconds| *microseconds > 0);
    time.filter(|_| is_watched).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A manager at an abstract address, and a notifier for it.
    fn manager(watchdog: Option<Duration>) -> (UnixDatagram, Notifier) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("@mio-echo-notifier-{}-{number}", process::id());
        let address = parse_address(&name).expect("an address");
        let manager = UnixDatagram::bind_addr(&address).expect("a free name");
        manager.set_nonblocking(true).expect("non-blocking");
        (manager, Notifier::new(address, watchdog).expect("a socket"))
    }

    /// Returns the next message, or an empty text.
    fn received(manager: &UnixDatagram) -> String {
        let mut buffer = [0; 4096];
        let length = manager.recv(&mut buffer).unwrap_or(0);
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn the_manager_learns_of_the_start_and_of_the_stop_once() {
        let (manager, mut notifier) = manager(None);
        notifier.notify(7, false, 0, true);
        assert_eq!(
            received(&manager),
            "READY=1\nSTATUS=active connections: 0\n"
        );
        notifier.notify(8, false, 0, true);
        assert_eq!(received(&manager), "");
        notifier.notify(9, true, 0, true);
        notifier.notify(10, true, 0, true);
        assert_eq!(received(&manager), "STOPPING=1\n");
        assert_eq!(received(&manager), "");
    }

    #[test]
    fn a_status_is_sent_if_it_has_changed_and_at_most_once_in_five_seconds() {
        let (manager, mut notifier) = manager(None);
        notifier.notify(0, false, 1, true);
        received(&manager);
        for now in 1..4 {
            notifier.notify(now * SECOND, false, 2, true);
            assert_eq!(notifier.next_deadline(), 5 * SECOND);
        }
        assert_eq!(received(&manager), "");
        notifier.notify(5 * SECOND, false, 3, true);
        assert_eq!(received(&manager), "STATUS=active connections: 3\n");
        assert_eq!(notifier.next_deadline(), 10 * SECOND);
        notifier.notify(10 * SECOND, false, 3, true);
        assert_eq!(received(&manager), "");
        assert_eq!(notifier.next_deadline(), NEVER);
    }

    #[test]
    fn a_sign_of_life_is_sent_every_half_of_the_time() {
        let (manager, mut notifier) = manager(Some(Duration::from_secs(2)));
        notifier.notify(0, false, 0, true);
        assert!(received(&manager).ends_with("WATCHDOG=1\n"));
        for second in 1..4 {
            assert_eq!(notifier.next_deadline(), second * SECOND);
            notifier.notify(second * SECOND - 1, false, 0, true);
            assert_eq!(received(&manager), "");
            notifier.notify(second * SECOND, false, 0, true);
            assert_eq!(received(&manager), "WATCHDOG=1\n");
        }
    }

    #[test]
    fn a_sign_of_life_waits_for_the_loops_without_a_deadline() {
        let (manager, mut notifier) = manager(Some(Duration::from_secs(2)));
        notifier.notify(0, false, 0, true);
        assert!(received(&manager).ends_with("WATCHDOG=1\n"));
        notifier.notify(SECOND, false, 0, false);
        assert_eq!(notifier.next_deadline(), 5 * SECOND);
        notifier.notify(6 * SECOND, false, 0, false);
        assert_eq!(notifier.next_deadline(), NEVER);
        assert_eq!(received(&manager), "");
        notifier.notify(7 * SECOND, false, 0, true);
        assert_eq!(received(&manager), "WATCHDOG=1\n");
        assert_eq!(notifier.next_deadline(), 8 * SECOND);
    }

    #[test]
    fn fault_d4_a_message_that_finds_the_queue_full_is_sent_later() {
        let (manager, mut notifier) = manager(Some(Duration::from_secs(2)));
        let mut filled = 0;
        while notifier.send("a message of another service") {
            filled += 1;
        }
        notifier.notify(0, false, 0, true);
        let retry = nanoseconds(RETRY);
        assert_eq!(notifier.next_deadline(), retry);
        for _ in 0..filled {
            received(&manager);
        }
        notifier.notify(retry - 1, false, 0, true);
        assert_eq!(
            received(&manager),
            "",
            "the queue is not tried all the time"
        );
        notifier.notify(retry, false, 0, true);
        let message = "READY=1\nSTATUS=active connections: 0\nWATCHDOG=1\n";
        assert_eq!(received(&manager), message);
    }

    #[test]
    fn an_address_is_a_path_or_an_abstract_name() {
        for text in ["/run/systemd/notify", "@/org/freedesktop/systemd1/notify"] {
            assert!(parse_address(text).is_ok(), "{text}");
        }
        let long = format!("/{}", "x".repeat(200));
        for text in ["notify", "vsock:2:1", "", &long] {
            let refused = parse_address(text).expect_err(text).to_string();
            assert!(refused.ends_with("expected /PATH or @NAME"), "{refused}");
        }
    }
}
