//! Standard streams as outputs: streams that cannot take a report, and streams that have other contents.

use std::fs::{self, File};
use std::process::Command;

use crate::bench::{Report, bench, bench_against, measure};
use crate::support::Server;
use crate::support::temp_dir::TempDir;

#[test]
fn fault_s16_bench_does_not_measure_for_an_output_that_cannot_be_written() {
    let server = Server::start(&[]);
    let dir = TempDir::new("read-only-output");
    let path = dir.file("report.json");
    let report = measure(server.address(), "-c 1 -n 10 -w 0");
    fs::write(&path, report.0.to_string()).expect("writing");
    let accepted = server.figures().get("accepted");

    let mut merging = bench("merge");
    merging.arg(&path);
    let measuring = || bench_against(server.address(), "-c 1 -n 10 -w 0");
    let mut as_json = measuring();
    as_json.arg("-J");
    for mut command in [measuring(), as_json, merging] {
        command.stdout(File::open("/dev/null").expect("opening"));
        let output = command.output().expect("running");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "mio-echo: cannot print the report: Bad file descriptor (os error 9)\n"
        );
    }
    assert_eq!(server.figures().get("accepted"), accepted);
}

/// Runs `script` in a shell whose `$0` and `$@` are `bench` against `server` with 10 messages. Requires exit code `code`.
/// Returns standard error.
#[track_caller]
fn run_in_shell(script: &str, server: &Server, code: i32) -> String {
    let bench = bench_against(server.address(), "-c 1 -n 10 -w 0");
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command.arg(bench.get_program()).args(bench.get_args());
    let output = command.output().expect("sh");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{script}: {errors}");
    errors
}

#[test]
fn fault_s18_an_output_that_is_a_stream_is_appended_to() {
    let server = Server::start(&[]);
    let dir = TempDir::new("streams");
    let path = dir.file("out");
    let file = path.display();
    for (script, what_follows) in [
        (format!(r#""$0" "$@" -o - >> {file}"#), ""),
        (format!(r#""$0" "$@" -o /dev/fd/3 3>> {file}"#), ""),
        (
            format!(r#"{{ "$0" "$@" -o /dev/fd/3; echo after >&3; }} 3>> {file}"#),
            "after\n",
        ),
    ] {
        fs::write(&path, "before\n").expect("writing");
        run_in_shell(&script, &server, 0);
        let text = fs::read_to_string(&path).expect("reading");
        let json = text.strip_prefix("before\n").expect("what was there");
        let json = json.strip_suffix(what_follows).expect("what follows");
        Report::of_lines(&[json.to_owned()]).expect_all(10);
    }
    // The position of the file is shared, so nothing is overwritten if it is not appended to.
    for output in ["-o", "--hgrm", "--hlog"] {
        let script = format!(
            r#"{{ echo before >&3; "$0" "$@" {output} /dev/fd/3; echo after >&3; }} 3> {file}"#
        );
        run_in_shell(&script, &server, 0);
        let text = fs::read_to_string(&path).expect("reading");
        assert!(text.starts_with("before\n"), "{output}: {text}");
        assert!(text.ends_with("after\n"), "{output}: {text}");
        assert!(text.len() > 100, "{output}: {text}");
    }
    // Standard error has the lines of the run first.
    let script = format!(r#""$0" "$@" -o /dev/stderr 2> {file}"#);
    run_in_shell(&script, &server, 0);
    let text = fs::read_to_string(&path).expect("reading");
    let (_, json) = text.split_at(text.find('{').expect("an object"));
    Report::of_lines(&[json.to_owned()]).expect_all(10);
}

#[test]
fn fault_s18_two_outputs_on_one_stream_are_refused() {
    let server = Server::start(&[]);
    let dir = TempDir::new("shared-streams");
    let path = dir.file("out");
    let file = path.display();
    fs::write(&path, "before\n").expect("writing");
    for script in [
        format!(r#""$0" "$@" -o /dev/stdout >> {file}"#),
        format!(r#""$0" "$@" -o {file} >> {file}"#),
        format!(r#""$0" "$@" -o /dev/stderr >> {file} 2>&1"#),
        format!(r#""$0" "$@" -o /dev/fd/3 --hlog {file} 3>> {file}"#),
        format!(r#"ln -sf {file} {file}.link; "$0" "$@" --hgrm {file}.link --hlog {file}"#),
    ] {
        let errors = run_in_shell(&script, &server, 2);
        let text = fs::read_to_string(&path).expect("reading");
        let lines = format!("{text}{errors}");
        assert!(
            lines.starts_with("before\nmio-echo: invalid value '"),
            "{lines}"
        );
        assert_eq!(lines.lines().count(), 2, "{lines}");
        fs::write(&path, "before\n").expect("writing");
    }
    // What is written to a device is shared by nobody.
    let script = r#""$0" "$@" -o /dev/null > /dev/null"#;
    run_in_shell(script, &server, 0);
    run_in_shell(&format!(r#""$0" "$@" -o {file}"#), &server, 0);
    Report::read(&path).expect_all(10);
}
