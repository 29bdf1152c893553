//! Signals, as a source of events that a loop waits for.
//!
//! On Unix the signals are a descriptor in the poll. On Windows the system calls a handler on a thread of its own, which
//! counts console events and wakes the loop.
//!
//! A program inherits three settings that could make its signals useless:
//!
//! - **Ignored signals.** nohup(1) starts a program with SIGHUP ignored, so that the program outlives its terminal. SIGHUP
//!   then stays ignored. Otherwise SIGHUP stops a program like SIGTERM. Where the system does not tell whether a signal is
//!   ignored (all systems but Linux, and Linux without /proc), SIGHUP keeps the action that the program was started with.
//! - **Blocked signals.** A parent that blocks a signal passes the block on. The signals that are handled are unblocked.
//! - **Process 1.** The kernel discards a signal for the first process of a PID namespace (a container) unless the process
//!   has a handler. [`exit_at_signals`] installs one for the time before [`Signals`] handles the signals.

pub(crate) use system::Signals;
pub(super) use system::block;
#[cfg(feature = "bench")]
pub(crate) use system::keep_exit_statuses;
pub use system::{exit_at_signals, exit_in_signal_handlers};

/// The request of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalRequest {
    /// Stop, because of the signal of this number. A second one ends the program at once.
    Stop(i32),
    /// Log the statistics.
    #[cfg_attr(windows, allow(dead_code, reason = "Windows has no signal for it"))]
    LogStats,
}

#[cfg(unix)]
mod system {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, LazyLock};
    use std::{io, process};

    use mio::{Interest, Registry, Token};
    use nix::sys::signal::{SigSet, Signal};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
    use signal_hook::flag;

    use super::SignalRequest;
    use crate::net::{Handle, platform};

    /// A repeat of the same signal within this time, in nanoseconds, is ignored: timeout(1) sends its signal twice, to the
    /// process and to the group of the process.
    const REPEAT_WINDOW: u64 = 10_000_000;

    /// The process id of the first process of a PID namespace.
    const FIRST_PROCESS: u32 = 1;

    /// True while the handlers of [`exit_in_signal_handlers`] end the process. They do nothing while [`Signals`] handles
    /// the signals. Handlers belong to the process, and so does this value.
    static EXITS: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| Arc::new(AtomicBool::new(true)));

    /// Lets SIGINT, SIGTERM and SIGHUP end this process, until a server or a measurement handles them.
    ///
    /// The signals keep their default action, which ends the process. A signal that the parent has blocked is unblocked.
    /// For the first process of a PID namespace the default action is to ignore a signal, so a handler ends the process
    /// with `exit_code` of the signal's number. A SIGHUP that is ignored stays ignored.
    ///
    /// This is for programs, before they start threads. Errors are ignored: the program can do without these signals.
    pub fn exit_at_signals(exit_code: fn(i32) -> u8) {
        if process::id() == FIRST_PROCESS {
            exit_in_signal_handlers(exit_code);
        }
        unblock(&stop_signals());
    }

    /// Installs handlers of SIGINT, SIGTERM and SIGHUP that end this process with `exit_code` of the signal's number. A
    /// SIGHUP that is ignored stays ignored.
    ///
    /// This is for a program in which nothing reads the signals of a server or a measurement any more. Errors are ignored:
    /// nothing better can be done then.
    pub fn exit_in_signal_handlers(exit_code: fn(i32) -> u8) {
        EXITS.store(true, Ordering::Relaxed);
        for signal in stop_signals() {
            let (code, exits) = (exit_code(signal).into(), Arc::clone(&EXITS));
            let _ = flag::register_conditional_shutdown(signal, code, exits);
        }
    }

    /// Lets the system keep the exit status of a child until this process asks for it. If the program was started with
    /// SIGCHLD ignored, the system would drop it, and a caught signal is not ignored. An error is ignored: then the status
    /// may be unknown.
    #[cfg(feature = "bench")]
    pub(crate) fn keep_exit_statuses() {
        use signal_hook::consts::SIGCHLD;
        if platform::ignores_signal(SIGCHLD) != Some(false) {
            let _ = flag::register(SIGCHLD, Arc::default());
        }
    }

    /// Returns the signals that stop a program.
    fn stop_signals() -> Vec<i32> {
        let mut signals = vec![SIGINT, SIGTERM];
        if platform::ignores_signal(SIGHUP) == Some(false) {
            signals.push(SIGHUP);
        }
        signals
    }

    /// Unblocks `signals` in this thread. An error is ignored: then nothing has changed.
    fn unblock(signals: &[i32]) {
        let signals = signals.iter().copied().map(Signal::try_from);
        let _ = signals
            .filter_map(Result::ok)
            .collect::<SigSet>()
            .thread_unblock();
    }

    /// Blocks in this thread the signals that [`Signals`] handles, so that the system gives them to the thread that started
    /// this one. There they interrupt the wait of the loop. An error is ignored: then any thread may get them.
    pub(in crate::net) fn block() {
        let handled = [
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGUSR1,
        ];
        let _ = SigSet::from_iter(handled).thread_block();
    }

    /// SIGINT, SIGTERM, SIGHUP and SIGUSR1 of this process. A SIGHUP that was ignored before stays ignored. SIGXFSZ is
    /// ignored.
    pub(crate) struct Signals {
        source: signal_hook_mio::v1_0::Signals,
        token: Token,
        /// Set by each handler, after it has recorded its signal. The handler also makes the descriptor readable, but that
        /// fails if the system has no memory for the message. Then the signal has interrupted the wait of the loop, or the
        /// loop sees this right before it waits. A signal between that look and the wait, which are a few instructions
        /// apart, is noticed only at the next event.
        may_be_pending: Arc<AtomicBool>,
        last_stop: LastStop,
    }

    /// The last signal that asked for a stop, and its time.
    #[derive(Default)]
    struct LastStop(Option<(i32, u64)>);

    impl LastStop {
        /// Records `signal`, received at `now`. Returns true if it is not a repeat of the last signal.
        fn record(&mut self, signal: i32, now: u64) -> bool {
            let is_repeated = self
                .0
                .is_some_and(|(last, at)| last == signal && now.saturating_sub(at) < REPEAT_WINDOW);
            if !is_repeated {
                self.0 = Some((signal, now));
            }
            !is_repeated
        }
    }

    impl Signals {
        pub(crate) fn install(registry: &Registry, token: Token, _: Handle) -> io::Result<Self> {
            let mut signals = stop_signals();
            signals.push(SIGUSR1);
            let mut source = signal_hook_mio::v1_0::Signals::new(&signals)?;
            registry.register(&mut source, token, Interest::READABLE)?;
            let may_be_pending = Arc::default();
            for signal in &signals {
                flag::register(*signal, Arc::clone(&may_be_pending))?;
            }
            // SIGXFSZ would end the process. With a handler, a write over the file size limit (`ulimit -f`) only fails.
            flag::register(SIGXFSZ, Arc::default())?;
            EXITS.store(false, Ordering::Relaxed);
            // After the handlers: a pending SIGUSR1 must not end the process.
            unblock(&signals);
            Ok(Self {
                source,
                token,
                may_be_pending,
                last_stop: LastStop::default(),
            })
        }

        /// Records that a signal may be pending.
        pub(crate) fn mark_ready(&mut self) {
            self.may_be_pending.store(true, Ordering::Relaxed);
        }

        /// Returns the requests since the last call.
        pub(crate) fn take_requests(&mut self, registry: &Registry) -> Vec<SignalRequest> {
            if !self.may_be_pending.load(Ordering::Relaxed) {
                return Vec::new();
            }
            self.may_be_pending.store(false, Ordering::Relaxed);
            let now = platform::monotonic_now();
            let last_stop = &mut self.last_stop;
            let requests = self.source.pending().filter_map(|signal| match signal {
                SIGUSR1 => Some(SignalRequest::LogStats),
                signal => last_stop
                    .record(signal, now)
                    .then_some(SignalRequest::Stop(signal)),
            });
            let requests = requests.collect();
            self.arm(registry);
            requests
        }

        /// Arms the descriptor again where its event has disarmed it: the descriptor is read without mio. If that fails,
        /// the next turn tries again. A signal must never end the program through a failed call.
        fn arm(&mut self, registry: &Registry) {
            if platform::EVENTS_DISARM {
                let armed = registry.reregister(&mut self.source, self.token, Interest::READABLE);
                if armed.is_err() {
                    self.mark_ready();
                }
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_repeat_of_a_signal_within_10_ms_is_ignored() {
            let mut last_stop = LastStop::default();
            assert!(last_stop.record(SIGTERM, 5));
            assert!(
                !last_stop.record(SIGTERM, 5 + REPEAT_WINDOW - 1),
                "the signal to the group"
            );
            assert!(
                last_stop.record(SIGTERM, 5 + REPEAT_WINDOW),
                "a second signal"
            );
            assert!(
                last_stop.record(SIGINT, 6 + REPEAT_WINDOW),
                "another signal"
            );
        }
    }
}

#[cfg(windows)]
mod system {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use mio::{Registry, Token};

    use super::SignalRequest;
    use crate::net::Handle;

    /// The number of the interrupt signal on Unix. Windows has none for a console event.
    const SIGINT: i32 = 2;

    /// Does nothing: the default action of console events ends every process.
    pub fn exit_at_signals(_: fn(i32) -> u8) {}

    /// Does nothing: the handler of console events cannot be replaced.
    pub fn exit_in_signal_handlers(_: fn(i32) -> u8) {}

    /// Does nothing: the system keeps the exit status of a child.
    #[cfg(feature = "bench")]
    pub(crate) fn keep_exit_statuses() {}

    /// Does nothing: console events have a thread of their own.
    pub(in crate::net) fn block() {}

    /// The console events: Ctrl-C, Ctrl-Break and the closing of the console.
    pub(crate) struct Signals {
        count: Arc<AtomicUsize>,
    }

    impl Signals {
        pub(crate) fn install(_: &Registry, _: Token, handle: Handle) -> io::Result<Self> {
            let count = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&count);
            let handler = move || {
                counter.fetch_add(1, Ordering::Release);
                if let Err(error) = handle.wake() {
                    log::warn!("cannot wake the loop for a console event: {error}");
                }
            };
            ctrlc::set_handler(handler).map_err(io::Error::other)?;
            Ok(Self { count })
        }

        /// Does nothing: the handler has counted the event already.
        pub(crate) fn mark_ready(&mut self) {}

        /// Returns the requests since the last call.
        pub(crate) fn take_requests(&mut self, _: &Registry) -> Vec<SignalRequest> {
            let count = self.count.swap(0, Ordering::Acquire);
            vec![SignalRequest::Stop(SIGINT); count]
        }
    }
}
