//! Signals, as something the loop waits for like everything else.
//!
//! On Unix they are a descriptor in the poll; SIGHUP is left alone, so that `nohup` works. On Windows the system
//! calls a handler on a thread of its own, which counts and wakes the loop.

pub(crate) use system::Signals;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Stop; a second one exits at once. The number of the signal.
    Stop(i32),
    /// Log the figures.
    #[cfg_attr(windows, allow(dead_code, reason = "Windows has no signal for it"))]
    Report,
}

impl Request {
    /// The number of the signal that asks for a stop.
    #[cfg(feature = "bench")]
    pub(crate) fn signal(self) -> Option<i32> {
        match self {
            Self::Stop(signal) => Some(signal),
            Self::Report => None,
        }
    }
}

#[cfg(unix)]
mod system {
    use std::io;
    use std::sync::Arc;

    use mio::{Interest, Registry, Token};
    use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
    use signal_hook::flag;

    use super::Request;
    use crate::net::{Handle, platform};

    /// Two of the same that come closer together, in nanoseconds, are one: timeout(1) sends its signal to the process and
    /// then to its group, which the process is in.
    const TOGETHER: u64 = 10_000_000;

    /// SIGINT, SIGTERM and SIGUSR1 of this process. SIGXFSZ is handled too, by nothing.
    pub(crate) struct Signals {
        source: signal_hook_mio::v1_0::Signals,
        token: Token,
        ready: bool,
        last: Last,
    }

    /// The last signal to stop, and when it came.
    #[derive(Default)]
    struct Last(Option<(i32, u64)>);

    impl Last {
        /// Whether `signal`, at `now`, is another one.
        fn is_followed_by(&mut self, signal: i32, now: u64) -> bool {
            let is_repeated = self
                .0
                .is_some_and(|(last, at)| last == signal && now.saturating_sub(at) < TOGETHER);
            if !is_repeated {
                self.0 = Some((signal, now));
            }
            !is_repeated
        }
    }

    impl Signals {
        pub(crate) fn install(registry: &Registry, token: Token, _: Handle) -> io::Result<Self> {
            let mut source = signal_hook_mio::v1_0::Signals::new([SIGINT, SIGTERM, SIGUSR1])?;
            registry.register(&mut source, token, Interest::READABLE)?;
            // By default it kills. Handled, a file that may not grow any more (`ulimit -f`) is a write that fails.
            flag::register(SIGXFSZ, Arc::default())?;
            Ok(Self {
                source,
                token,
                ready: false,
                last: Last::default(),
            })
        }

        /// A signal may have come.
        pub(crate) fn mark_ready(&mut self) {
            self.ready = true;
        }

        /// What has been asked for since the last call.
        pub(crate) fn pending(&mut self, registry: &Registry) -> io::Result<Vec<Request>> {
            if !std::mem::take(&mut self.ready) {
                return Ok(Vec::new());
            }
            let now = platform::monotonic_now();
            let last = &mut self.last;
            let requests = self.source.pending().filter_map(|signal| match signal {
                SIGUSR1 => Some(Request::Report),
                signal => last
                    .is_followed_by(signal, now)
                    .then_some(Request::Stop(signal)),
            });
            let requests = requests.collect();
            // The descriptor is read behind mio's back, so only this re-arms it under poll(2).
            registry.reregister(&mut self.source, self.token, Interest::READABLE)?;
            Ok(requests)
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_signal_that_comes_twice_at_once_is_one() {
            let mut last = Last::default();
            assert!(last.is_followed_by(SIGTERM, 5));
            assert!(
                !last.is_followed_by(SIGTERM, 5 + TOGETHER - 1),
                "the group's"
            );
            assert!(last.is_followed_by(SIGTERM, 5 + TOGETHER), "a second one");
            assert!(last.is_followed_by(SIGINT, 6 + TOGETHER), "another");
        }
    }
}

#[cfg(windows)]
mod system {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use mio::{Registry, Token};

    use super::Request;
    use crate::net::Handle;

    /// The number that Unix gives to an interrupt, for the exit code.
    const SIGINT: i32 = 2;

    /// Ctrl-C, Ctrl-Break and the closing of the console.
    pub(crate) struct Signals {
        count: Arc<AtomicUsize>,
    }

    impl Signals {
        pub(crate) fn install(_: &Registry, _: Token, handle: Handle) -> io::Result<Self> {
            let count = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&count);
            let note = move || {
                counter.fetch_add(1, Ordering::Release);
                if let Err(error) = handle.wake() {
                    log::warn!("a console event could not wake the loop: {error}");
                }
            };
            ctrlc::set_handler(note).map_err(io::Error::other)?;
            Ok(Self { count })
        }

        /// The handler has counted already.
        pub(crate) fn mark_ready(&mut self) {}

        /// What has been asked for since the last call.
        pub(crate) fn pending(&mut self, _: &Registry) -> io::Result<Vec<Request>> {
            Ok(vec![
                Request::Stop(SIGINT);
                self.count.swap(0, Ordering::Acquire)
            ])
        }
    }
}
