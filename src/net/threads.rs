//! The start of a thread in a process that runs out of memory or threads.
//!
//! A thread can fail to start in two ways. Either the system refuses the thread, and [`std::thread::Builder::spawn`]
//! returns the error. Or the new thread runs, and the standard library cannot map the memory for the stack of its signal
//! handlers. The standard library then panics in a function that cannot unwind, which aborts the process.
//!
//! The panic hook of [`survive_failed_starts`] runs before that abort. It reports the failure to the caller of [`spawn`],
//! and never returns, so the process goes on. The failed thread sleeps until the process ends.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::{io, mem, panic};

use super::signals;

/// The start of a thread. There is one at a time. A channel in place of the condition adds 17 kB to the server alone.
static START: Mutex<Start> = Mutex::new(Start::None);
static ENDED: Condvar = Condvar::new();

enum Start {
    None,
    /// The new thread has neither begun to run its closure nor failed.
    Pending,
    /// The new thread has failed for this reason.
    Failed(String),
}

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
    let _one_start = ONE_START.lock().unwrap_or_else(PoisonError::into_inner);
    *lock_start() = Start::Pending;
    // The box makes the code smaller: the standard library has one copy of its code for each type.
    let begin_and_run: Box<dyn FnOnce() -> T + Send> = Box::new(|| {
        HAS_BEGUN.set(true);
        signals::block();
        end(Start::None);
        run()
    });
    let spawned = thread::Builder::new()
        .name(name.into())
        .spawn(begin_and_run);
    if spawned.is_err() {
        end(Start::None);
    }
    wait().and(spawned)
}

/// Turns the failure of a thread to begin into an error of [`spawn`].
///
/// This is for programs: it adds to the panic hook of the whole process. A hook that is installed later must call the
/// earlier hook for the panics of threads that it does not know.
pub fn survive_failed_starts() {
    HAS_BEGUN.set(true);
    let earlier_hook = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if HAS_BEGUN.get() || !matches!(*lock_start(), Start::Pending) {
            return earlier_hook(panic);
        }
        let reason = panic.payload().downcast_ref::<String>().cloned();
        end(Start::Failed(
            reason.unwrap_or_else(|| "it panicked".into()),
        ));
        loop {
            thread::park();
        }
    }));
}

/// Waits for the end of the start.
fn wait() -> io::Result<()> {
    let is_pending = |start: &mut Start| matches!(start, Start::Pending);
    let ended = ENDED.wait_while(lock_start(), is_pending);
    let mut start = ended.unwrap_or_else(PoisonError::into_inner);
    match mem::replace(&mut *start, Start::None) {
        Start::Failed(reason) => Err(io::Error::other(reason)),
        Start::None | Start::Pending => Ok(()),
    }
}

fn end(result: Start) {
    *lock_start() = result;
    ENDED.notify_all();
}

fn lock_start() -> MutexGuard<'static, Start> {
    START.lock().unwrap_or_else(PoisonError::into_inner)
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
