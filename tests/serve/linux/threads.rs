//! A system that refuses threads.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;

use super::environment::first_client;
use crate::support::server::{program, program_at, serve, server_override};
use crate::support::strace::Strace;
use crate::support::temp_dir::TempDir;
use crate::support::terminal::Terminal;
use crate::support::unix::wrapped;
use crate::support::unused::free_address;
use crate::support::{Client, Server, skip};

/// A copy of the program that runs as a user who may have one thread.
struct NoThreads {
    test: &'static str,
    dir: TempDir,
    user: u32,
}

impl NoThreads {
    /// Prints that `test` is skipped, and returns `None`, if the system cannot do that.
    #[track_caller]
    fn new(test: &'static str) -> Option<Self> {
        // Each test has a user of its own, because the limit counts all threads of a user.
        static USERS: AtomicU32 = AtomicU32::new(0);
        let number = USERS.fetch_add(1, Ordering::Relaxed);
        let user = 1_000_000 + process::id() * 16 + number;
        if server_override().is_some() {
            skip(test, "Wine has threads of its own");
            return None;
        }
        if !rustix::process::geteuid().is_root() {
            skip(test, "only root can change the user");
            return None;
        }
        let dir = TempDir::public(&format!("no-threads-{number}"));
        let this = Self { test, dir, user };
        let program = program("serve");
        fs::copy(program.get_program(), this.path()).expect("copying the program");
        let for_everyone = fs::Permissions::from_mode(0o755);
        fs::set_permissions(this.path(), for_everyone).expect("for everyone");
        this.try_command("serve")?;
        Some(this)
    }

    fn path(&self) -> String {
        let path = self.dir.file("mio-echo");
        path.into_os_string().into_string().expect("a plain path")
    }

    fn try_command(&self, subcommand: &str) -> Option<Command> {
        let user = self.user;
        let ids = [format!("--reuid={user}"), format!("--regid={user}")];
        let limit = ["prlimit", "--nproc=1:1", "setpriv", "--clear-groups"];
        let wrapper = [&limit[..], &[&ids[0], &ids[1]]].concat();
        wrapped(self.test, &wrapper, &program_at(&self.path(), subcommand))
    }

    /// Returns the command of a subcommand.
    fn command(&self, subcommand: &str) -> Command {
        self.try_command(subcommand).expect("it worked before")
    }
}

/// Requires that the last line of `log` is the last line of a server that has accepted one client.
#[track_caller]
fn expect_last_line(log: &[String]) {
    let last = log.last().expect("a last line");
    assert!(last.contains("accepted 1, refused 0"), "{log:#?}");
}

#[test]
fn fault_s14_without_threads_the_log_of_a_server_goes_to_a_pipe() {
    let Some(no_threads) = NoThreads::new("fault_s14 (pipe)") else {
        return;
    };
    let mut command = no_threads.command("serve");
    command.args(["-v", "--listen", "127.0.0.1:0"]);
    let server = Server::spawn(command);
    let client = Client::connect(server.address());
    client.echo(b"hello");
    assert_eq!(server.figures().get("active"), 1);
    client.half_close();
    client.expect_fin();
    server.await_log("peer finished, 5 bytes in, 5 out");
    server.signal(Signal::TERM);
    let finished = server.finished();
    assert_eq!(finished.status.code(), Some(0));
    expect_last_line(&finished.log);
    finished.expect_no_warning();
}

#[test]
fn fault_s14_without_threads_the_log_of_a_server_goes_to_a_file() {
    let Some(no_threads) = NoThreads::new("fault_s14 (file)") else {
        return;
    };
    let path = no_threads.dir.file("log");
    let (_unused, address) = free_address();
    let mut command = no_threads.command("serve");
    command.args(["--listen", &address.to_string()]);
    command.stdout(Stdio::null());
    command.stderr(File::create(&path).expect("a file"));
    let mut server = Server::spawn_without_waiting(command);
    first_client(address).echo(b"hello");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let log = fs::read_to_string(&path).expect("the log");
    let log: Vec<_> = log.lines().map(str::to_owned).collect();
    expect_last_line(&log);
}

#[test]
fn fault_s14_without_threads_a_terminal_gets_the_number_of_lost_lines() {
    let test = "fault_s14 (terminal)";
    let (Some(no_threads), Some(terminal)) = (NoThreads::new(test), Terminal::open(test)) else {
        return;
    };
    let mut command = no_threads.command("serve");
    command.args(["--listen", "127.0.0.1:0"]);
    command.stdout(Stdio::piped()).stderr(terminal.stream());
    let server = Server::spawn_without_waiting(command);
    server.await_output("listening on ");
    server.signal(Signal::TERM);
    assert_eq!(server.finished().status.code(), Some(0));
    let text = terminal.read_to_end();
    assert!(
        text.starts_with("mio-echo: 3 log lines lost: ") && text.lines().count() == 1,
        "{text}"
    );
}

#[test]
fn fault_s14_a_command_that_needs_a_refused_thread_fails_with_one_line() {
    let Some(no_threads) = NoThreads::new("fault_s14 (commands)") else {
        return;
    };
    let server = Server::start(&[]);
    #[cfg(any(feature = "client", feature = "bench"))]
    let address = &server.address().to_string()[..];
    let cases: &[(&[&str], &str)] = &[
        (
            &["serve", "-l", "line@127.0.0.1:0", "--workers", "2"],
            "cannot start a worker thread: ",
        ),
        (
            &["serve", "-l", "127.0.0.1:0", "--stop-on-eof"],
            "cannot start a thread for --stop-on-eof: ",
        ),
        #[cfg(feature = "client")]
        (
            &["client", address],
            "cannot start a thread for a standard stream: ",
        ),
        #[cfg(feature = "bench")]
        (
            &["bench", "-d", "1s", address],
            "cannot start a worker thread: ",
        ),
        #[cfg(feature = "bench")]
        (
            &["bench", "-d", "1s", "--hlog", "/dev/null", address],
            "cannot write /dev/null: cannot start a thread: ",
        ),
    ];
    for (words, expected) in cases {
        let mut command = no_threads.command(words[0]);
        let output = command.args(&words[1..]).stdin(Stdio::null()).output();
        let output = output.expect("running a command");
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(output.stdout.is_empty(), "{words:?}");
        let log = String::from_utf8_lossy(&output.stderr);
        let mut errors = log.lines().filter(|line| line.starts_with("mio-echo: "));
        let error = errors.next().unwrap_or_default();
        assert!(error.contains(expected), "{words:?}: {log}");
        assert_eq!(errors.next(), None, "{words:?}: {log}");
    }
    server.stop();
}

/// The thread of the log starts with the first line after the start. Its second mapping is the stack for its signals,
/// without which the standard library gives up.
#[test]
fn fault_s14_a_thread_of_the_log_that_fails_to_begin_does_not_stop_the_echo() {
    let faults = [
        "clone,clone3:error=EAGAIN",
        "mmap:error=ENOMEM",
        "mmap:error=ENOMEM:when=1",
        "mmap:error=ENOMEM:when=2",
        "mmap:error=ENOMEM:when=2+",
        "mprotect:error=ENOMEM:when=2",
    ];
    for fault in faults {
        let mut command = serve();
        command.args(["--listen", "127.0.0.1:0"]);
        let server = Server::spawn(command);
        let Some(strace) = Strace::inject("fault_s14 (thread of the log)", server.pid(), fault)
        else {
            return;
        };
        let client = Client::connect(server.address());
        client.echo(b"hello");
        assert_eq!(server.figures().get("active"), 1, "{fault}");
        client.echo(b"hello");
        client.half_close();
        client.expect_fin();
        server.signal(Signal::TERM);
        let finished = server.finished();
        assert_eq!(finished.status.code(), Some(0), "{fault}");
        expect_last_line(&finished.log);
        drop(strace);
    }
}
