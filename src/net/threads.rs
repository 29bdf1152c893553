//! The start of a thread in a process that runs out of memory or threads.
//!
//! A thread can fail to start in two ways. Either the system refuses the thread, and [`std::thread::Builder::spawn`]
//! returns the error. Or the new thread runs, and the standard library cannot map the memory for the stack of its signal
//! handlers. The standard library then panics in a function that cannot unwind, which aborts the process.
//!
//! The panic hook of [`survive_failed_starts`] runs before that abort. It reports the failure to the caller of [`spawn`],
//! and never returns, so the process goes on. The failed thread sleeps until the process ends.

use std::cell::Cell;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::{io, panic};

use super::signals;

/// The channel to a caller of [`spawn`] who waits until the new thread begins or fails.
static STARTING: Mutex<Option<SyncSender<Result<(), String>>>> = Mutex::new(None);

thread_local! {
    /// True in the thread that installed the hook, and in each thread that has begun to run its closure.
    static HAS_BEGUN: Cell<bool> = const { Cell::new(false) };
}

/// Starts a thread, and waits until the thread has begun to run `run`. The thread takes no signals.
///
/// # Errors
///
/// Fails if the system refuses the thread, or the memory that the thread needs before it runs `run`. The second failure
/// is an error only after [`survive_failed_starts`]; otherwise it aborts the process.
pub fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    // With one start at a time, a thread that has not begun belongs to this start.
    static ONE_START: Mutex<()> = Mutex::new(());
    let _one_start = lock(&ONE_START);
    let (report, begun) = mpsc::sync_channel(1);
    *lock(&STARTING) = Some(report);
    let begin_and_run = || {
        HAS_BEGUN.set(true);
        signals::block();
        if let Some(caller) = lock(&STARTING).take() {
            let _ = caller.send(Ok(()));
        }
        run()
    };
    let spawned = thread::Builder::new()
        .name(name.into())
        .spawn(begin_and_run);
    let started = spawned.and_then(|thread| match begun.recv() {
        Ok(Err(reason)) => Err(io::Error::other(reason)),
        Ok(Ok(())) | Err(_) => Ok(thread),
    });
    *lock(&STARTING) = None;
    started
}

/// Turns the failure of a thread to begin into an error of [`spawn`].
///
/// This is for programs: it adds to the panic hook of the whole process. A hook that is installed later must call the
/// earlier hook for the panics of threads that it does not know.
pub fn survive_failed_starts() {
    HAS_BEGUN.set(true);
    let earlier_hook = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let caller = match HAS_BEGUN.get() {
            true => None,
            false => lock(&STARTING).take(),
        };
        let Some(caller) = caller else {
            return earlier_hook(panic);
        };
        let reason = panic.payload().downcast_ref::<String>().cloned();
        let _ = caller.send(Err(reason.unwrap_or_else(|| "it panicked".into())));
        loop {
            thread::park();
        }
    }));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_runs_under_its_name() {
        let name = || thread::current().name().map(str::to_owned);
        let thread = spawn("named", name).expect("a thread");
        assert_eq!(thread.join().expect("its end").as_deref(), Some("named"));
    }

    #[test]
    fn a_panic_of_a_thread_that_has_begun_is_the_result_of_its_join() {
        let thread = spawn("panics", || panic!("for the test")).expect("a thread");
        assert!(thread.join().is_err());
    }
}
