//! Standard output and files that cannot take a report.

use std::fs::File;

use crate::bench::{bench, bench_against, measure};
use crate::support::Server;
use crate::support::temp_dir::TempDir;

#[test]
fn fault_s16_bench_does_not_measure_for_an_output_that_cannot_be_written() {
    let server = Server::start(&[]);
    let dir = TempDir::new("read-only-output");
    let path = dir.file("report.json");
    let report = measure(server.address(), "-c 1 -n 10 -w 0");
    std::fs::write(&path, report.0.to_string()).expect("writing");
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
