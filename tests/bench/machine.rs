//! What a report says of the machine: other processes, the process of the server.

use crate::bench::{bench_against, measure, run};
use crate::support::Server;

/// Runs `measure` while a thread of this process spins for each CPU.
#[cfg(target_os = "linux")]
fn on_a_busy_machine<T>(measure: impl FnOnce() -> T) -> T {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    /// Sets the value when it is dropped, so that a failed assertion ends the threads too.
    struct SetWhenDropped<'a>(&'a AtomicBool);

    impl Drop for SetWhenDropped<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let is_over = AtomicBool::new(false);
    let cpus = thread::available_parallelism().expect("a number of CPUs");
    thread::scope(|scope| {
        let _end = SetWhenDropped(&is_over);
        for _ in 0..cpus.get() {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        measure()
    })
}

#[test]
#[cfg(target_os = "linux")]
fn a_busy_loop_on_each_cpu_makes_a_measurement_suspect() {
    use crate::bench::{Report, bench};

    let report = on_a_busy_machine(|| run(bench("-c 4 -d 1s -w 100ms -J --label busy"), 0));
    let report = Report::of(&report);
    let figures = report.at("/interference");
    let figure = |name: &str| figures[name].as_f64().expect(name);
    assert!(figure("others_cores") > 0.5, "{figures}");
    assert!(figure("generator_wait") > 0.005, "{figures}");
    assert!(figure("server_wait") > 0.005, "{figures}");
    assert_eq!(figures["others_include_server"], false);
    let codes = report.at("/verdict/codes").to_string();
    assert!(codes.contains("busy_machine"), "{codes}");
    assert_eq!(report.at("/config/label"), "busy");
}

#[test]
fn a_local_server_counts_as_others_until_its_process_is_named() {
    let server = Server::start(&[]);
    let unknown = measure(server.address(), "-c 4 -n 5000 -w 100ms");
    assert_eq!(unknown.at("/interference/others_include_server"), true);
    assert!(unknown.at("/server").is_null());
    let codes = unknown.at("/verdict/codes").to_string();
    assert!(!codes.contains("busy_machine"), "{codes}");

    let pid = server.pid();
    let args = format!("-c 4 -n 5000 -w 100ms --server-pid {pid}");
    let named = measure(server.address(), &args);
    assert_eq!(named.at("/interference/others_include_server"), false);
    assert_eq!(named.at("/config/server_pid"), pid);
    if cfg!(target_os = "linux") {
        let cpu = named.at("/server/cpu_s").as_f64();
        assert!(cpu.is_some_and(|cpu| cpu > 0.0), "{}", named.at("/server"));
        assert!(named.at("/server/busiest_thread").is_f64());
        assert!(named.at("/interference/server_wait").is_f64());
    }
}

#[test]
fn a_process_that_does_not_exist_is_one_clear_line() {
    let server = Server::start(&[]);
    let pid = u32::MAX;
    let args = format!("-c 1 -d 100ms -w 0 --server-pid {pid}");
    let finished = run(bench_against(server.address(), &args), 1);
    let expected = format!(
        "cannot measure the server: process {pid} does not exist, or the system does not tell its CPU time"
    );
    assert!(
        finished.log.iter().any(|line| line.ends_with(&expected)),
        "{:?}",
        finished.log
    );
    assert_eq!(finished.log.len(), 1, "{:?}", finished.log);
}

#[test]
fn a_label_has_a_line_in_the_text() {
    let server = Server::start(&[]);
    let mut command = bench_against(server.address(), "-c 1 -n 10 -w 0");
    command.args(["--label", "build 7\n(old)"]);
    let finished = run(command, 0);
    assert_eq!(finished.output[1], r"label: build 7\n(old)");
}

#[test]
#[cfg(target_os = "linux")]
fn generator_and_server_run_on_the_cpus_that_they_are_pinned_to() {
    use crate::bench::{bench, start};
    use crate::support::{DEADLINE, proc::children, wait_for};

    let allowed = allowed_cpus("/proc/self/status");
    let last = allowed.rsplit([',', '-']).next().expect("a CPU").to_owned();
    let first = allowed.split([',', '-']).next().expect("a CPU").to_owned();
    let running = start(bench(&format!(
        "-c 2 -t 2 -d 1h -w 0 -i 100ms --pin {first} --server-pin {last}"
    )));
    // The first lines are the address of the server and an interval.
    running.await_log_from(2, "");
    let pid = running.pid();
    let workers = || {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("threads");
        let statuses = threads.flatten().map(|thread| thread.path().join("status"));
        let texts =
            statuses.filter_map(|status| Some((std::fs::read_to_string(&status).ok()?, status)));
        let workers = texts.filter(|(text, _)| text.contains("Name:\tload "));
        let workers = workers.map(|(_, status)| allowed_cpus(status.to_str().expect("a path")));
        workers.collect::<Vec<_>>()
    };
    wait_for("two workers", DEADLINE, || workers().len() == 2);
    assert_eq!(workers(), [first.clone(), first]);
    let server = children(pid)[0];
    assert_eq!(allowed_cpus(&format!("/proc/{server}/status")), last);
}

#[test]
#[cfg(target_os = "linux")]
fn a_cpu_that_does_not_exist_is_one_clear_line() {
    use crate::bench::bench;

    let reason = "CPU 1000 does not exist, or this process may not use it";
    for (option, failure) in [
        ("--pin", format!("cannot pin the generator: {reason}")),
        (
            "--server-pin",
            format!("cannot start a server to measure: {reason}"),
        ),
    ] {
        let finished = run(bench(&format!("-d 100ms -w 0 {option} 1000")), 1);
        let last = finished.log.last().expect("a line");
        assert!(last.ends_with(&failure), "{last}");
    }
}

/// Returns the CPUs that a thread may use, such as `0-1`, from its file `status`.
#[cfg(target_os = "linux")]
fn allowed_cpus(status: &str) -> String {
    let text = std::fs::read_to_string(status).expect("a status");
    let list = text
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.expect("a list of CPUs").trim().to_owned()
}
