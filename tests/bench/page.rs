//! The page of a report: its file, and the command that it shows.

use std::fs;

use serde_json::Value;

use crate::bench::{Report, bench, run, start};
use crate::support::temp_dir::TempDir;

/// Returns the command that the page shows, without `mio-echo bench`.
fn command_of(page: &str) -> String {
    let (_, rest) = page.split_once("<code>").expect("a command");
    let (command, _) = rest.split_once("</code>").expect("its end");
    let command = command
        .replace("&#60;", "<")
        .replace("&#39;", "'")
        .replace("&#38;", "&");
    let arguments = command.strip_prefix("mio-echo bench ").expect("bench");
    arguments.replace('\'', "").to_owned()
}

#[test]
fn the_command_of_the_page_repeats_the_run() {
    let dir = TempDir::new("page");
    let (page, json) = (dir.file("page.html"), dir.file("report.json"));
    let options = "-d 0.2 -n 50 -r 500.5 --arrival poisson -p 7 -t 2 -w 0.1 -i 0.15 --seed 9 -c 3 --connect-rate 900 \
        --close rst --source 127.0.0.1 --timeout 1.5 --socket-buffer 64k -s 5..9,70:3 --framing line --no-verify \
        --shard 0/1 --label a<b --slo errors<50%";
    let mut config = Vec::new();
    let mut arguments = options.to_owned();
    for _ in 0..2 {
        let mut command = bench(&arguments);
        command.arg("--html").arg(&page).arg("-o").arg(&json);
        run(command, 0);
        let mut settings = Report::read(&json).at("/config").clone();
        settings["address"].take();
        config.push(settings);
        arguments = command_of(&fs::read_to_string(&page).expect("the page"));
    }
    assert_eq!(config[0], config[1], "{arguments}");
}

#[test]
fn merge_writes_a_page() {
    let dir = TempDir::new("merged-page");
    let (page, json) = (dir.file("page.html"), dir.file("report.json"));
    let mut shard = bench("-d 0.2 -w 0 -c 2");
    shard.arg("-o").arg(&json);
    run(shard, 0);
    let mut merge = bench("merge");
    merge.arg(&json).arg("--html").arg(&page);
    run(merge, 0);
    let page = fs::read_to_string(page).expect("the page");
    assert!(page.starts_with("<!doctype html>") && page.contains("bench merge, 1 reports"));
}

#[test]
fn the_page_of_each_kind_of_measurement_holds_the_same_report_as_its_json() {
    for (kind, options) in [
        ("compare", "compare --a=-p1 --b=-p2 --rounds 2 -c 2"),
        ("sweep", "--sweep size=64..128 -c 2"),
        ("find_max", "--find-max 400..800 --slo p50<10s -c 2"),
        ("beside", "--beside 2x64k -r 500"),
    ] {
        let dir = TempDir::new(&format!("page-of-{kind}"));
        let (page, json) = (dir.file("page.html"), dir.file("report.json"));
        let mut command = bench(&format!("{options} -d 100ms -w 0"));
        command.arg("--html").arg(&page).arg("-o").arg(&json);
        let finished = start(command).finished();
        let page = fs::read_to_string(page).unwrap_or_else(|_| panic!("{}", finished.text()));
        let held = page.split_once(r#"id="report">"#).map(|(_, rest)| rest);
        let held = held.and_then(|rest| rest.split_once("</script>"));
        let held: Value = serde_json::from_str(held.expect("the JSON").0).expect("JSON");
        assert_eq!(held["kind"], kind);
        assert_eq!(&held, Report::read(&json).at(""), "{kind}");
    }
}
