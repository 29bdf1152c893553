//! The wait of the coordinator: for worker events, for signals, and for a stop by another thread.

use std::io;
use std::time::Duration;

use mio::{Events, Poll, Token};

use crate::net::signals::{SignalRequest, Signals};
use crate::net::timers::{NEVER, nanoseconds};
use crate::net::{Handle, platform, poll};

const WAKER: Token = Token(0);
const SIGNALS: Token = Token(1);

/// Waits for SIGINT, SIGTERM and SIGHUP of this process, and for wakes by other threads. On Windows, waits for the events of
/// the console.
///
/// From [`install`](Self::install) on, the signals have no other effect.
/// [`ReadyRun::run`](super::prepare::ReadyRun::run) handles the signals during a run. Before and after a run the caller
/// handles them.
pub struct SignalWaiter {
    poll: Poll,
    events: Events,
    /// Kept as long as the poll: dropping the last clone of a waker would drop a pending wake.
    handle: Handle,
    /// `None` if another waiter of the process handles the signals.
    signals: Option<Signals>,
}

impl SignalWaiter {
    /// Installs the signal handlers of the process.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses the handlers or a poll.
    pub fn install() -> io::Result<Self> {
        let (poll, handle) = poll::with_waker(WAKER)?;
        let signals = Signals::install(poll.registry(), SIGNALS, handle.clone())
            .map_err(poll::explain("cannot handle signals"))?;
        Ok(Self {
            poll,
            events: Events::with_capacity(4),
            handle,
            signals: Some(signals),
        })
    }

    /// Creates a waiter for wakes alone. Another waiter of the process handles the signals, and
    /// [`Handle::stop`] of this waiter's handle stops the run.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses a poll.
    pub(super) fn without_signals() -> io::Result<Self> {
        let (poll, handle) = poll::with_waker(WAKER)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(4),
            handle,
            signals: None,
        })
    }

    /// Waits for a signal to stop, at most for `longest`. Returns the number of the signal, or `None` after that time.
    ///
    /// # Errors
    ///
    /// Fails if the poll fails.
    pub fn next(&mut self, longest: Option<Duration>) -> io::Result<Option<i32>> {
        let until = longest.map_or(NEVER, |longest| {
            platform::monotonic_now().saturating_add(nanoseconds(longest))
        });
        // The event of a signal that arrived earlier may have been consumed already.
        self.mark_ready();
        loop {
            let signal = self.stop_signal();
            let left = until.saturating_sub(platform::monotonic_now());
            if signal.is_some() || left == 0 {
                return Ok(signal);
            }
            self.wait(longest.map(|_| Duration::from_nanos(left)))?;
        }
    }

    /// Returns the handle that ends a wait from another thread.
    pub(crate) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits for a wake or a signal, at most for `longest`.
    pub(crate) fn wait(&mut self, longest: Option<Duration>) -> io::Result<()> {
        poll::wait(&mut self.poll, &mut self.events, longest)?;
        if self.events.iter().any(|event| event.token() == SIGNALS) {
            self.mark_ready();
        }
        Ok(())
    }

    /// Returns the requests that signals have made since the last call.
    pub(crate) fn pending(&mut self) -> Vec<SignalRequest> {
        let registry = self.poll.registry();
        let signals = self.signals.as_mut();
        signals.map_or_else(Vec::new, |signals| signals.take_requests(registry))
    }

    /// Returns the number of the first signal to stop since the last call for requests.
    pub(super) fn stop_signal(&mut self) -> Option<i32> {
        let mut requests = self.pending().into_iter();
        requests.find_map(|request| match request {
            SignalRequest::Stop(signal) => Some(signal),
            SignalRequest::LogStats => None,
        })
    }

    /// Returns true if another thread has stopped the run.
    pub(super) fn is_stopped(&self) -> bool {
        self.handle.stop_requested()
    }

    fn mark_ready(&mut self) {
        if let Some(signals) = &mut self.signals {
            signals.mark_ready();
        }
    }
}
