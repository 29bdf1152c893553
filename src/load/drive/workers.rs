//! The worker threads of a run.

use std::io;
use std::thread::JoinHandle;

use super::control::WorkerSetup;
use super::error::RunError;
use super::generator::Generator;
use crate::net::{Handle, threads};

/// The threads of all workers, running or ended, each with the handle that wakes it.
pub struct Workers(Vec<(JoinHandle<io::Result<()>>, Handle)>);

impl Workers {
    /// Starts the workers. The workers connect, and wait until `setup.control` tells them when the load starts.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses a thread or a poll.
    pub fn start(setup: &WorkerSetup) -> Result<Self, RunError> {
        let settings = &setup.settings;
        let count = settings.threads.min(settings.shard_connections()).max(1);
        let start = |number| {
            let share = settings.share(number, count);
            let (generator, handle) = Generator::new(setup, share)?;
            let thread = threads::spawn(&format!("load {number}"), || generator.run());
            let refused =
                |error| RunError::Failed(format!("cannot start a worker thread: {error}"));
            Ok((thread.map_err(refused)?, handle))
        };
        (0..count).map(start).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the number of workers.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns the number of workers whose threads have ended.
    pub fn ended(&self) -> usize {
        let ended = self.0.iter().filter(|(thread, _)| thread.is_finished());
        ended.count()
    }

    /// Wakes all workers.
    pub fn wake(&self) {
        for (_, handle) in &self.0 {
            // A worker that cannot be woken reads the control values at its next event.
            let _ = handle.wake();
        }
    }

    /// Waits until all threads have ended.
    ///
    /// # Errors
    ///
    /// Returns the first error of a worker.
    pub fn join(&mut self) -> io::Result<()> {
        let join = |(thread, _): (JoinHandle<io::Result<()>>, Handle)| {
            let panicked = |_| Err(io::Error::other("a worker thread panicked: this is a bug"));
            thread.join().unwrap_or_else(panicked)
        };
        let results: Vec<_> = self.0.drain(..).map(join).collect();
        results.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use mio::{Poll, Token, Waker};

    use super::*;

    #[test]
    fn the_first_error_is_returned_after_all_workers_have_ended() {
        let poll = Poll::new().expect("a poll");
        let handle = Handle::new(Waker::new(poll.registry(), Token(0)).expect("a waker"));
        let (release, is_released) = mpsc::channel::<()>();
        let (ended, has_ended) = mpsc::channel();
        let fails = thread::spawn(|| Err(io::Error::other("first")));
        let panics = thread::spawn(|| panic!("for the test"));
        let ends_last = thread::spawn(move || {
            // Returns when `release` is dropped.
            let _ = is_released.recv();
            ended.send(()).map_err(io::Error::other)
        });
        let mut workers = Workers(vec![
            (fails, handle.clone()),
            (panics, handle.clone()),
            (ends_last, handle),
        ]);
        assert_eq!(workers.count(), 3);
        let join = thread::spawn(move || workers.join());
        drop(release);
        let error = join.join().expect("joining").expect_err("a worker failed");
        assert_eq!(error.to_string(), "first");
        assert_eq!(has_ended.try_recv(), Ok(()), "the last worker has ended");
    }
}
