//! What a report says of the machine: other processes, the process of the server.

use crate::bench::{bench_against, measure, run};
use crate::support::Server;

/// Runs `measure` while a thread of this process spins for each CPU.
#[cfg(target_os = "linux")]
fn on_a_busy_machine<T>(measure: impl FnOnce() -> T) -> T {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    let is_over = AtomicBool::new(false);
    let cpus = thread::available_parallelism().expect("a number of CPUs");
    thread::scope(|scope| {
        for _ in 0..cpus.get() {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop()
                }
            });
        }
        let result = measure();
        is_over.store(true, Ordering::Relaxed);
        result
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
    let unknown = measure(server.address(), "-c 4 -d 300ms -w 100ms");
    assert_eq!(unknown.at("/interference/others_include_server"), true);
    assert!(unknown.at("/server").is_null());
    let codes = unknown.at("/verdict/codes").to_string();
    assert!(!codes.contains("busy_machine"), "{codes}");

    let pid = server.pid();
    let args = format!("-c 4 -d 300ms -w 100ms --server-pid {pid}");
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
