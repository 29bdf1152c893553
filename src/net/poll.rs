//! The one wait of every loop, and what an event means to a connection.
//!
//! The server, the client, the load generator and its signal waiter call [`wait`], so interrupted system calls and
//! very long timeouts are handled in one place.

use std::io::{self, ErrorKind};
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Token, Waker};

use super::Handle;
use super::platform::LONGEST_WAIT;
use super::timers::NEVER;
use crate::conn::Ready;

/// Most events that one wait returns. The buffer takes 12 KiB on Linux; events that do not fit come with the next wait.
pub(crate) const EVENTS_PER_WAIT: usize = 1024;

/// Creates a poll and its waker, which reports its wakes as `token`.
///
/// # Errors
///
/// Fails if the system refuses one of them. The error names which.
pub(crate) fn with_waker(token: Token) -> io::Result<(Poll, Handle)> {
    let poll = new()?;
    let waker = Waker::new(poll.registry(), token).map_err(explain("cannot create the waker"))?;
    Ok((poll, Handle::new(waker)))
}

/// Creates a poll.
///
/// # Errors
///
/// Fails if the system refuses the poll. The error says that.
pub(crate) fn new() -> io::Result<Poll> {
    Poll::new().map_err(explain("cannot create the poll"))
}

/// Returns a function that puts `what` failed before the text of an error.
pub(crate) fn explain(what: &'static str) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// Waits until a registered source has an event or `timeout` is over. `None` waits without a limit.
///
/// A wait that a signal interrupts (`EINTR`) returns without events. Callers compute their timeout anew every turn, so
/// they simply wait again.
///
/// # Errors
///
/// Returns the error of the poll itself, with the operation. No peer can cause one.
#[inline]
pub(crate) fn wait(
    poll: &mut Poll,
    events: &mut Events,
    timeout: Option<Duration>,
) -> io::Result<()> {
    match poll.poll(events, timeout) {
        Ok(()) => Ok(()),
        Err(error) => unless_interrupted(error),
    }
}

#[cold]
fn unless_interrupted(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::Interrupted => Ok(()),
        _ => Err(explain("cannot wait for events")(error)),
    }
}

/// Returns how long to wait at `now` for `deadline`, or `None` for [`NEVER`].
///
/// The result is never longer than the time left. It may be shorter: see [`LONGEST_WAIT`].
pub(crate) fn timeout_until(deadline: u64, now: u64) -> Option<Duration> {
    (deadline != NEVER)
        .then(|| Duration::from_nanos(deadline.saturating_sub(now)).min(LONGEST_WAIT))
}

/// Translates an event of the poll into the terms of a connection.
pub(crate) fn readiness_of(event: &Event) -> Ready {
    Ready {
        readable: event.is_readable(),
        writable: event.is_writable(),
        read_closed: event.is_read_closed(),
        write_closed: event.is_write_closed(),
        priority: event.is_priority(),
        error: event.is_error(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_t3_no_timeout_is_longer_than_every_system_accepts() {
        const DAY: u64 = 24 * 60 * 60 * 1_000_000_000;
        const HOUR: u64 = DAY / 24;
        for (deadline, now, expected) in [
            (NEVER, 5, None),
            (5, 9, Some(0)),
            (9, 5, Some(4)),
            (DAY + 5, 5, Some(DAY)),
            (DAY + 6, 5, Some(DAY)),
            // Darwin refuses 30,000 hours.
            (30_000 * HOUR, 0, Some(DAY)),
            (NEVER - 1, 0, Some(DAY)),
        ] {
            let expected = expected.map(Duration::from_nanos);
            assert_eq!(
                timeout_until(deadline, now),
                expected,
                "deadline {deadline}, now {now}"
            );
        }
    }
}
