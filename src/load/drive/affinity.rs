//! The CPUs that threads and processes may use.
//!
//! A new thread or process may use the CPUs of the thread that starts it.

use std::io;

use crate::load::plan::cpu_list::CpuList;

/// True if the system lets a thread choose its CPUs.
pub const CAN_PIN: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly"
));

/// Keeps a thread restricted. A drop on that thread ends the restriction: the next run may start its server anywhere.
#[derive(Debug)]
pub struct Pinned {
    before: system::Cpus,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // The thread was allowed to use these CPUs before, so a failure is unlikely, and nothing better can be done.
        let _ = system::allow(&self.before);
    }
}

/// Restricts the calling thread, and what it starts from now on, to `cpus`.
///
/// # Errors
///
/// Fails if the thread may not use one of `cpus`, or if the system cannot restrict a thread.
pub fn pin(cpus: &CpuList) -> io::Result<Pinned> {
    let pinned = Pinned {
        before: system::allowed()?,
    };
    system::restrict(cpus)?;
    Ok(pinned)
}

/// Runs `start` while the calling thread is restricted to `cpus`: what `start` starts stays restricted.
///
/// # Errors
///
/// Fails as [`pin`] does.
pub fn start_pinned<T>(cpus: &CpuList, start: impl FnOnce() -> T) -> io::Result<T> {
    let before = system::allowed()?;
    let started = system::restrict(cpus).map(|()| start());
    system::allow(&before)?;
    started
}

#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly"
))]
mod system {
    use std::io;

    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;

    use super::CpuList;

    /// Stands for the calling thread.
    const CALLER: Pid = Pid::from_raw(0);

    /// A set of CPUs.
    pub type Cpus = CpuSet;

    pub fn allowed() -> io::Result<Cpus> {
        Ok(sched_getaffinity(CALLER)?)
    }

    pub fn allow(cpus: &Cpus) -> io::Result<()> {
        Ok(sched_setaffinity(CALLER, cpus)?)
    }

    /// Linux leaves out CPUs that do not exist, and fails only if none is left.
    pub fn restrict(cpus: &CpuList) -> io::Result<()> {
        let mut set = CpuSet::new();
        for cpu in cpus.cpus() {
            set.set(*cpu).map_err(|_| not_allowed(*cpu))?;
        }
        allow(&set).map_err(|_| not_allowed(cpus.cpus()[0]))?;
        let allowed = allowed()?;
        let is_refused = |cpu: &&usize| !allowed.is_set(**cpu).unwrap_or(false);
        match cpus.cpus().iter().find(is_refused) {
            None => Ok(()),
            Some(cpu) => Err(not_allowed(*cpu)),
        }
    }

    fn not_allowed(cpu: usize) -> io::Error {
        io::Error::other(format!(
            "CPU {cpu} does not exist, or this process may not use it"
        ))
    }
}

#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly"
)))]
mod system {
    use std::io;

    use super::CpuList;

    /// The system tells no set of CPUs.
    pub type Cpus = ();

    pub fn allowed() -> io::Result<Cpus> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn allow(_cpus: &Cpus) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn restrict(_cpus: &CpuList) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn list(cpus: &[usize]) -> CpuList {
        CpuList::new(cpus.to_vec()).expect("at least one CPU")
    }

    #[test]
    fn only_what_is_started_stays_restricted() {
        // The test has a thread of its own, because the restriction stays with the thread.
        let test = thread::spawn(|| {
            let before = system::allowed().expect("the CPUs of this thread");
            let cpu = (0..).find(|cpu| before.is_set(*cpu) == Ok(true));
            let one = list(&[cpu.expect("a CPU")]);
            let during = start_pinned(&one, || thread::spawn(system::allowed)).expect("allowed");
            let during = during.join().expect("its CPUs").expect("its CPUs");
            let is_allowed = |cpu| during.is_set(cpu) == Ok(true);
            assert!(
                (0..1024)
                    .filter(|cpu| is_allowed(*cpu))
                    .eq(one.cpus().iter().copied())
            );
            assert_eq!(system::allowed().expect("as before"), before);
        });
        test.join().expect("no failure");
    }

    #[test]
    fn a_pinned_thread_is_free_again_after_the_run() {
        let test = thread::spawn(|| {
            let before = system::allowed().expect("the CPUs of this thread");
            let cpu = (0..).find(|cpu| before.is_set(*cpu) == Ok(true));
            let pinned = pin(&list(&[cpu.expect("a CPU")])).expect("allowed");
            drop(pinned);
            assert_eq!(system::allowed().expect("as before"), before);
        });
        test.join().expect("no failure");
    }

    #[test]
    fn one_cpu_that_does_not_exist_is_refused_among_others() {
        let test = thread::spawn(|| {
            let allowed = system::allowed().expect("the CPUs of this thread");
            let exists = (0..).find(|cpu| allowed.is_set(*cpu) == Ok(true));
            for missing in [1_023, 65_535] {
                let error = pin(&list(&[exists.expect("a CPU"), missing])).expect_err("missing");
                let expected =
                    format!("CPU {missing} does not exist, or this process may not use it");
                assert_eq!(error.to_string(), expected);
            }
        });
        test.join().expect("no failure");
    }
}
