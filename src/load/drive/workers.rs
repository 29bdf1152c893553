//! The loops of a measurement, each on a thread of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::control::{Control, WorkerEvents};
use super::error::RunError;
use super::generator::Generator;
use crate::load::plan::payload::Payload;
use crate::load::plan::settings::RunSettings;
use crate::net::Handle;

/// Loops that run, or have ended.
pub struct Workers(Vec<(JoinHandle<io::Result<()>>, Handle)>);

impl Workers {
    /// Starts them: they connect to `address`, and wait there for what `control` says.
    ///
    /// # Errors
    ///
    /// When the system gives no thread or no poll.
    pub fn start(
        settings: &Arc<RunSettings>,
        address: SocketAddr,
        control: &Arc<Control>,
        reporter: &WorkerEvents,
    ) -> io::Result<Self> {
        let payload = Arc::new(Payload::new(settings.framing, settings.seed));
        let threads = settings.threads.min(settings.shard_connections()).max(1);
        let start = |thread| {
            let (generator, handle) = Generator::new(
                Arc::clone(settings),
                address,
                Arc::clone(&payload),
                Arc::clone(control),
                reporter.clone(),
                settings.share(thread, threads),
            )?;
            let loop_ = thread::Builder::new()
                .name(format!("load {thread}"))
                .spawn(|| generator.run())?;
            Ok((loop_, handle))
        };
        (0..threads).map(start).collect::<io::Result<_>>().map(Self)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many of them have ended.
    pub fn ended(&self) -> usize {
        let ended = self.0.iter().filter(|(loop_, _)| loop_.is_finished());
        ended.count()
    }

    /// Wakes all of them.
    pub fn wake(&self) {
        for (_, handle) in &self.0 {
            // A loop that cannot be woken looks by itself at its next event.
            let _ = handle.wake();
        }
    }

    /// Waits for their ends.
    ///
    /// # Errors
    ///
    /// When one has failed; the first of them.
    pub fn join(&mut self) -> Result<(), RunError> {
        let end = |(loop_, _): (JoinHandle<io::Result<()>>, Handle)| match loop_.join() {
            Ok(result) => result.map_err(RunError::System),
            Err(_) => Err(RunError::WorkerPanicked),
        };
        let ends: Vec<_> = self.0.drain(..).map(end).collect();
        ends.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use mio::{Poll, Token, Waker};

    use super::*;

    #[test]
    fn a_failure_is_told_when_all_have_ended() {
        let poll = Poll::new().expect("a poll");
        let handle = Handle::new(Waker::new(poll.registry(), Token(0)).expect("a waker"));
        let (woken, waits) = mpsc::channel::<()>();
        let (told, tells) = mpsc::channel();
        let fails = thread::spawn(|| Err(io::Error::other("first")));
        let panics = thread::spawn(|| panic!("for the test"));
        let goes_on = thread::spawn(move || {
            // Until its other end is dropped.
            let _ = waits.recv();
            told.send(()).map_err(io::Error::other)
        });
        let mut loops = Workers(vec![
            (fails, handle.clone()),
            (panics, handle.clone()),
            (goes_on, handle),
        ]);
        assert_eq!(loops.count(), 3);
        let join = thread::spawn(move || loops.join());
        drop(woken);
        let failure = join.join().expect("joining").expect_err("one has failed");
        assert!(matches!(failure, RunError::System(error) if error.to_string() == "first"));
        assert_eq!(tells.try_recv(), Ok(()), "the last one has ended, too");
    }
}
