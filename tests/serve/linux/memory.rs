//! The bound of the memory that the first log line tells, and where the bound comes from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::server::serve;
use crate::support::unix::{limited, wrapped};
use crate::support::{Client, Server, skip};

/// A cgroup whose processes may use 128 MiB, and a cgroup in it without a limit of its own. Dropping this value removes
/// both.
struct LimitedCgroup {
    path: PathBuf,
    /// The directory that the hierarchy is mounted on.
    top: PathBuf,
}

impl LimitedCgroup {
    fn create() -> Result<Self, String> {
        let v2 = Path::new("/sys/fs/cgroup");
        let v1 = v2.join("memory");
        let (top, file) = if v1.join("memory.limit_in_bytes").exists() {
            (v1, "memory.limit_in_bytes")
        } else {
            // If this fails, the new cgroup has no file for its limit.
            let _ = fs::write(v2.join("cgroup.subtree_control"), "+memory");
            (v2.to_owned(), "memory.max")
        };
        let path = top.join(format!("mio-echo-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let cgroup = Self { path, top };
        let limit = cgroup.path.join(file);
        if !limit.exists() {
            return Err(format!("no {}", limit.display()));
        }
        fs::write(&limit, "134217728").map_err(|error| format!("{}: {error}", limit.display()))?;
        fs::create_dir(cgroup.inner()).map_err(|error| error.to_string())?;
        Ok(cgroup)
    }

    fn inner(&self) -> PathBuf {
        self.path.join("inner")
    }
}

impl Drop for LimitedCgroup {
    fn drop(&mut self) {
        for path in [self.inner(), self.path.clone()]
            .iter()
            .filter(|path| path.exists())
        {
            if let Err(error) = fs::remove_dir(path) {
                eprintln!("{}: {error}", path.display());
            }
        }
    }
}

/// Returns the command that runs `inner` in the cgroup at `path`.
fn in_cgroup(path: &Path, inner: &Command) -> Command {
    limited(&format!("echo $$ > {}/cgroup.procs", path.display()), inner)
}

/// Returns the command of a server on a free port, without options that bound memory.
fn server() -> Command {
    let mut command = serve();
    command.args(["--listen", "127.0.0.1:0", "--stop-on-eof"]);
    command
}

/// Requires that the first log line says `bound`, and that the server serves.
#[track_caller]
fn expect_bound(command: Command, bound: &str) {
    let server = Server::spawn(command);
    Client::connect(server.address()).echo(b"hello");
    let finished = server.stop();
    let first = &finished.log[0];
    let expected = format!("; at most {bound}, ");
    assert!(
        first.contains(&expected),
        "`{expected}` is not in `{first}`"
    );
    assert!(first.contains(" in use now"), "{first}");
}

#[test]
fn fault_l6_the_memory_is_a_quarter_of_the_limit_of_the_cgroup() {
    const TEST: &str = "fault_l6 (cgroup)";
    let bound = "32 MiB of process memory (a quarter of the cgroup's limit)";
    let cgroup = match LimitedCgroup::create() {
        Ok(cgroup) => cgroup,
        Err(error) => return skip(TEST, &error),
    };
    expect_bound(in_cgroup(&cgroup.path, &server()), bound);
    expect_bound(in_cgroup(&cgroup.inner(), &server()), bound);
    // Two kinds of containers. Both mount their own cgroup alone, and one has a cgroup namespace.
    let (path, top) = (cgroup.path.display(), cgroup.top.display());
    let mounted = limited(&format!("mount --bind {path} {top}"), &server());
    for unshare in [
        &["unshare", "--mount"][..],
        &["unshare", "--mount", "--cgroup"],
    ] {
        if let Some(contained) = wrapped(TEST, unshare, &mounted) {
            expect_bound(in_cgroup(&cgroup.path, &contained), bound);
        }
    }
    if let Some(hidden) = server_without_meminfo() {
        expect_bound(in_cgroup(&cgroup.path, &hidden), bound);
    }
}

/// Returns what the first log line says about memory, without the memory in use.
#[track_caller]
fn bound_of(command: Command) -> String {
    let server = Server::spawn(command);
    let finished = server.stop();
    let (_, bound) = finished.log[0].split_once("; at most ").expect("a bound");
    let (bound, _) = bound.split_once(", ").expect("the memory in use");
    bound.to_owned()
}

/// Returns the command of a server that sees only the files of processes in /proc, as with `ProcSubset=pid` of systemd.
/// Prints that the test is skipped, and returns `None`, if that is not possible.
fn server_without_meminfo() -> Option<Command> {
    let hide =
        r#"mount -t proc -o subset=pid proc /proc && test ! -e /proc/meminfo && exec "$0" "$@""#;
    let unshare = ["unshare", "--mount", "sh", "-c", hide];
    wrapped("fault_l6 (subset=pid)", &unshare, &server())
}

#[test]
fn fault_l6_the_memory_is_the_same_if_proc_shows_only_processes() {
    if let Some(hidden) = server_without_meminfo() {
        assert_eq!(bound_of(hidden), bound_of(server()));
    }
}

#[test]
fn fault_l6_the_memory_is_a_quarter_of_the_limit_of_the_address_space() {
    let bound = "100 MiB of process memory (a quarter of the address space limit)";
    expect_bound(limited("ulimit -v 409600", &server()), bound);
}

#[test]
fn fault_l6_the_option_sets_the_memory_whatever_the_limits_are() {
    let mut command = server();
    command.args(["--max-memory", "64m"]);
    let bound = "64 MiB of process memory (--max-memory)";
    expect_bound(limited("ulimit -v 409600", &command), bound);
}

/// Requires that the server does not start under the limit, with exit code 1 and the text in its only line.
#[track_caller]
fn expect_refusal(limit: &str, args: &[&str], text: &str) {
    let mut command = server();
    command.args(args);
    let output = limited(limit, &command).output().expect("a process");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.contains(text), "{errors}");
}

#[test]
fn fault_l6_fault_w11_buffers_that_do_not_fit_into_the_memory_are_refused_with_one_line() {
    let too_much =
        "bytes of memory; --max-memory is 256000000 (a quarter of the address space limit)";
    expect_refusal("ulimit -v 1000000", &["--read-buffer", "1g"], too_much);
    let refused = "the system refuses the memory for the buffers and the slots";
    let args = ["--read-buffer", "1g", "--max-memory", "2g"];
    expect_refusal("ulimit -v 1000000", &args, refused);
    let args = ["--max-connections", "1000", "--max-memory", "8m"];
    let both = "bytes of memory; --max-memory is 8388608\n";
    expect_refusal("true", &args, both);
}
