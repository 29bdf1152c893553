//! What whoever measures waits for: loops that report, and signals.

use std::io;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};

use super::error::RunError;
use crate::net::signals::{SignalRequest, Signals};
use crate::net::timers::{NEVER, nanoseconds};
use crate::net::{Handle, platform, poll};

const WAKER: Token = Token(0);
const SIGNALS: Token = Token(1);

/// SIGINT and SIGTERM of this process, from [`install`](Self::install) on; on Windows the events of its console. What
/// they ask for has to be obeyed from then on: during a measurement [`ReadyRun::run`](super::Prepared::run()) does it,
/// afterwards whoever has called that.
pub struct SignalWaiter {
    poll: Poll,
    events: Events,
    /// Kept to the end: with the last clone of a waker a wake that is pending would go.
    handle: Handle,
    signals: Signals,
}

impl SignalWaiter {
    /// Takes the signals of the whole process.
    ///
    /// # Errors
    ///
    /// When the system refuses them, or the poll to wait for them.
    pub fn install() -> Result<Self, RunError> {
        Self::try_install().map_err(RunError::System)
    }

    fn try_install() -> io::Result<Self> {
        let poll = Poll::new()?;
        let handle = Handle::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Self {
            signals: Signals::install(poll.registry(), SIGNALS, handle.clone())?,
            poll,
            events: Events::with_capacity(4),
            handle,
        })
    }

    /// Waits for a signal to stop, at most for `longest`. Its number; none if there was none.
    ///
    /// # Errors
    ///
    /// When the system lets nobody wait.
    pub fn next(&mut self, longest: Option<Duration>) -> io::Result<Option<i32>> {
        let until = longest.map_or(NEVER, |longest| {
            platform::monotonic_now().saturating_add(nanoseconds(longest))
        });
        // One that has come already may have no event any more.
        self.signals.mark_ready();
        loop {
            let signal = self
                .pending()?
                .into_iter()
                .find_map(SignalRequest::stop_signal);
            let left = until.saturating_sub(platform::monotonic_now());
            if signal.is_some() || left == 0 {
                return Ok(signal);
            }
            self.wait(longest.map(|_| Duration::from_nanos(left)))?;
        }
    }

    /// Ends the wait.
    pub(crate) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits for a wake or a signal, at most for `longest`.
    pub(crate) fn wait(&mut self, longest: Option<Duration>) -> io::Result<()> {
        poll::wait(&mut self.poll, &mut self.events, longest)?;
        if self.events.iter().any(|event| event.token() == SIGNALS) {
            self.signals.mark_ready();
        }
        Ok(())
    }

    /// What has been asked for since the last call.
    pub(crate) fn pending(&mut self) -> io::Result<Vec<SignalRequest>> {
        self.signals.take_requests(self.poll.registry())
    }
}
