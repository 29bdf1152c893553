//! The table: which system call fails, how, and what must be seen then.
//!
//! Each error of a row is injected once, at the first to the [eighth](DEPTH) call of a thread, and from each of these calls
//! on for ever. The runs are always the same: nothing is random.
//!
//! `EAGAIN` is missing where it would be a lie: the kernel never answers it for a socket that has data and that an event has
//! reported. An endless `EINTR` is missing, because no system does that.

use std::fmt;

use Outcome::{
    Ends, NoNewClients, Nobody, NobodyWarned, OneReset, Refused, Served, ServedOrRefused, Unlogged,
    Warned,
};
use Phase::{Operation, Start};
use Setup::{Raw, Stdin, Workers};

/// The last call of a thread that is made to fail.
const DEPTH: u32 = 8;

/// A system call, and what must be seen when it fails.
pub struct Row {
    pub phase: Phase,
    pub setup: Setup,
    /// The names of the call. It has several names where systems differ, and a program uses one of them.
    pub calls: &'static str,
    pub errors: &'static str,
    /// What must be seen if one call fails.
    pub once: Outcome,
    /// What must be seen if every call from the n-th on fails. `None` if no system does that.
    pub for_ever: Option<Outcome>,
}

/// When calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// From the first statement of `main` on. The loader and Rust's runtime have made their calls before that.
    Start,
    /// From the time on at which the server has printed its start line and clients are connected.
    Operation,
}

/// What the server serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setup {
    /// Raw bytes.
    Raw,
    /// Lines that go through two workers.
    Workers,
    /// Raw bytes. The server would also stop at the end of its standard input.
    Stdin,
}

/// What must be seen. In every run there is no wrong byte, no FIN after a part of an echo, no spin and no flood of log lines,
/// and SIGTERM ends the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server does not start: it prints one line and exits with 1.
    Refused,
    /// Every client is served to the end, and the log has no warning.
    Served,
    /// Like `Served` or like `Refused`: the C library may still have memory, or do without.
    ServedOrRefused,
    /// Every client is served to the end, and the log has a warning.
    Warned,
    /// Every client is served to the end. Lines of the log, or the start line, are lost.
    Unlogged,
    /// One connection is reset at most. The other clients are served.
    OneReset,
    /// Connected clients are served, new ones are not, and the log has a warning.
    NoNewClients,
    /// Every connection may fail. The peers seem to be at fault, so there need not be a warning.
    Nobody,
    /// Every connection may fail, and the log has a warning.
    NobodyWarned,
    /// The server cannot go on. Without a signal it prints an error line and exits with 1.
    Ends,
}

#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    row(Operation, Raw, "accept4", "EINTR", Served, None),
    row(Operation, Raw, "accept4", "ECONNABORTED EPROTO EPERM ENETDOWN EHOSTUNREACH", Served, Some(NoNewClients)),
    row(Operation, Raw, "accept4", "EMFILE ENFILE ENOBUFS ENOMEM", Warned, Some(NoNewClients)),
    row(Operation, Raw, "accept4", "EBADF EINVAL EOPNOTSUPP", Ends, Some(Ends)),
    row(Operation, Raw, "recvfrom", "EINTR", Served, None),
    row(Operation, Raw, "recvfrom", "ECONNRESET ETIMEDOUT EHOSTUNREACH", OneReset, Some(Nobody)),
    row(Operation, Raw, "recvfrom", "EIO ENOMEM ENOBUFS EBADF EPERM", OneReset, Some(NobodyWarned)),
    row(Operation, Raw, "sendto", "EINTR", Served, None),
    row(Operation, Raw, "sendto", "EPIPE ECONNRESET EHOSTUNREACH", OneReset, Some(Nobody)),
    row(Operation, Raw, "sendto", "ENOBUFS ENOMEM EPERM EACCES EIO", OneReset, Some(NobodyWarned)),
    row(Operation, Raw, "writev", "EINTR", Served, None),
    row(Operation, Raw, "writev", "EPIPE ECONNRESET EHOSTUNREACH", OneReset, Some(Nobody)),
    row(Operation, Raw, "writev", "ENOBUFS ENOMEM EPERM EACCES EIO", OneReset, Some(NobodyWarned)),
    row(Operation, Raw, "epoll_ctl", "ENOSPC ENOMEM EPERM EBADF", OneReset, Some(NoNewClients)),
    row(Operation, Raw, "epoll_wait epoll_pwait", "EINTR", Served, None),
    row(Operation, Raw, "epoll_wait epoll_pwait", "EBADF EINVAL ENOMEM", Ends, Some(Ends)),
    row(Operation, Raw, "shutdown", "ENOTCONN", Served, Some(Served)),
    row(Operation, Raw, "shutdown", "ENOBUFS EPERM", OneReset, Some(NobodyWarned)),
    row(Operation, Raw, "setsockopt", "EPERM ENOPROTOOPT EINVAL", Served, Some(Served)),
    row(Operation, Raw, "getsockopt", "EPERM ENOPROTOOPT EINVAL", Served, Some(Served)),
    // strace does not make the call that it lets fail, so the client waits for the end of its connection.
    row(Operation, Raw, "close", "EINTR EIO ENOSPC", Nobody, Some(Nobody)),
    row(Operation, Raw, "write", "EINTR", Unlogged, None),
    row(Operation, Raw, "write", "EPIPE EIO ENOSPC EBADF", Unlogged, Some(Unlogged)),
    row(Operation, Workers, "accept4", "EMFILE", Warned, Some(NoNewClients)),
    row(Operation, Workers, "recvfrom", "EIO", OneReset, Some(NobodyWarned)),
    row(Operation, Workers, "sendto", "ENOBUFS", OneReset, Some(NobodyWarned)),
    row(Operation, Workers, "epoll_ctl", "ENOMEM", OneReset, Some(NoNewClients)),
    row(Operation, Workers, "write", "EINTR EAGAIN", Unlogged, None),
    row(Operation, Stdin, "read", "EINTR", Served, None),
    row(Operation, Stdin, "read", "EAGAIN", Served, Some(Served)),

    row(Start, Raw, "prlimit64", "EPERM ENOSYS", Served, Some(Served)),
    row(Start, Raw, "sysinfo", "EPERM ENOSYS", Served, Some(Served)),
    row(Start, Raw, "epoll_create1", "EMFILE ENFILE ENOMEM ENOSYS", Refused, Some(Refused)),
    row(Start, Raw, "eventfd2", "EMFILE ENFILE ENOMEM ENODEV", Refused, Some(Refused)),
    row(Start, Raw, "fcntl", "EMFILE EPERM", ServedOrRefused, Some(ServedOrRefused)),
    row(Start, Raw, "epoll_ctl", "ENOMEM ENOSPC EPERM", Refused, Some(Refused)),
    row(Start, Raw, "openat", "EACCES EMFILE ENOENT", Served, Some(Served)),
    row(Start, Raw, "getdents64", "EACCES ENOENT", Served, Some(Served)),
    row(Start, Raw, "newfstatat", "EACCES ENOMEM", Served, Some(Served)),
    row(Start, Raw, "statx", "EACCES ENOSYS", Served, Some(Served)),
    row(Start, Raw, "read", "EINTR", Served, None),
    row(Start, Raw, "read", "EIO EACCES", Served, Some(Served)),
    row(Start, Raw, "socket", "EMFILE ENFILE ENOBUFS EACCES EAFNOSUPPORT", Refused, Some(Refused)),
    row(Start, Raw, "setsockopt", "EPERM ENOPROTOOPT", Warned, Some(Warned)),
    row(Start, Raw, "bind", "EADDRINUSE EACCES EADDRNOTAVAIL EPERM ENOMEM", Refused, Some(Refused)),
    row(Start, Raw, "listen", "EADDRINUSE EOPNOTSUPP EPERM", Refused, Some(Refused)),
    row(Start, Raw, "getsockname", "ENOBUFS EPERM", Refused, Some(Refused)),
    row(Start, Raw, "socketpair", "EMFILE ENFILE ENOMEM EOPNOTSUPP", Refused, Some(Refused)),
    row(Start, Raw, "rt_sigaction", "EINVAL EPERM", Refused, Some(Refused)),
    row(Start, Raw, "ioctl", "EPERM EBADF", Served, Some(Served)),
    row(Start, Raw, "poll ppoll", "EINTR", Unlogged, None),
    row(Start, Raw, "poll ppoll", "EINVAL ENOMEM EPERM", Unlogged, Some(Unlogged)),
    row(Start, Raw, "write", "EINTR", Unlogged, None),
    row(Start, Raw, "write", "EPIPE EIO EAGAIN ENOSPC EBADF", Unlogged, Some(Unlogged)),
    row(Start, Workers, "clone3 clone", "ENOSYS", Served, Some(Served)),
    row(Start, Workers, "clone3 clone", "EAGAIN ENOMEM EPERM", Refused, Some(Refused)),
    row(Start, Workers, "mmap", "ENOMEM", ServedOrRefused, Some(ServedOrRefused)),
];

/// The system calls that the server makes and that no row lets fail, and why.
#[rustfmt::skip]
pub const LEFT_OUT: &[(&str, &str)] = &[
    ("brk", "the C library takes some memory from it instead of mmap"),
    ("exit exit_group getpid gettid", "cannot fail"),
    ("futex", "the C library ends the process if a lock fails"),
    ("madvise munmap", "give memory back"),
    ("mprotect", "the guard page of a thread"),
    ("prctl", "the name of a thread"),
    ("restart_syscall", "the kernel goes on after a stop of the process"),
    ("rseq sched_getaffinity set_robust_list", "the C library prepares a thread"),
    ("rt_sigprocmask", "the C library blocks signals while a thread starts"),
    ("rt_sigreturn", "the return from a signal handler"),
    ("sigaltstack", "Rust's runtime prepares a thread for the end of its stack"),
];

const fn row(
    phase: Phase,
    setup: Setup,
    calls: &'static str,
    errors: &'static str,
    once: Outcome,
    for_ever: Option<Outcome>,
) -> Row {
    Row {
        phase,
        setup,
        calls,
        errors,
        once,
        for_ever,
    }
}

/// One run of the sweep.
pub struct Cell {
    pub row: &'static Row,
    /// The name of the call on this system.
    pub call: &'static str,
    pub error: &'static str,
    /// The number of the first call that fails.
    pub at: u32,
    pub for_ever: bool,
    pub outcome: Outcome,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { phase, setup, .. } = self.row;
        let when = match self.for_ever {
            true => "for ever from",
            false => "once at",
        };
        let (call, error, at) = (self.call, self.error, self.at);
        write!(f, "{phase:?} {setup:?} {call} {error} {when} {at}")
    }
}

impl Row {
    /// Returns every run of this row if a thread of the server makes the call, which is named `call` here, `count` times.
    pub fn cells(&'static self, call: &'static str, count: u32) -> Vec<Cell> {
        let mut cells = Vec::new();
        for error in self.errors.split(' ') {
            for (for_ever, outcome) in [(false, Some(self.once)), (true, self.for_ever)] {
                cells.extend(outcome.into_iter().flat_map(|outcome| {
                    (1..=count.min(DEPTH)).map(move |at| Cell {
                        row: self,
                        call,
                        error,
                        at,
                        for_ever,
                        outcome,
                    })
                }));
            }
        }
        cells
    }
}
