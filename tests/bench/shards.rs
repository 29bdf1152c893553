//! Several processes that generate one load together.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::bench::{Report, bench, bench_against, run, start as start_bench};
use crate::support::server::Finished;
use crate::support::temp_dir::TempDir;
use crate::support::{Server, until_in_time};

const HISTOGRAMS: [&str; 5] = ["response", "wait", "service", "send_lag", "connect"];

/// Runs both commands at the same time and returns their reports.
#[track_caller]
fn both(dir: &TempDir, commands: [Command; 2]) -> [(PathBuf, Report); 2] {
    finish_both(dir, commands).map(read_report)
}

/// Requires exit code 0.
#[track_caller]
fn read_report((finished, path): (Finished, PathBuf)) -> (PathBuf, Report) {
    finished.expect_code(0);
    let report = Report::read(&path);
    (path, report)
}

/// Returns true if `finished` has started later than its `--start-at`, which is no fault on a busy machine.
fn was_too_late(finished: &Finished) -> bool {
    let text = finished.text();
    let errors = ["the start time passed", "expected a time in the future"];
    errors.iter().any(|error| text.contains(error))
}

/// Runs both commands at the same time. Returns how they ended, and the files of their reports.
#[track_caller]
fn finish_both(dir: &TempDir, commands: [Command; 2]) -> [(Finished, PathBuf); 2] {
    let mut number = 0;
    let running = commands.map(|mut command| {
        number += 1;
        let path = dir.file(&format!("{number}.json"));
        command.arg("-o").arg(&path);
        (start_bench(command), path)
    });
    running.map(|(running, path)| (running.finished(), path))
}

#[test]
fn two_merged_shards_are_the_sum_of_their_parts() {
    until_in_time(|| {
        let dir = TempDir::new("shards");
        let server = Server::start(&[]);
        let start = soon();
        let shards = [0, 1].map(|shard| {
            let args = format!("-c 5 -r 2000 -d 600ms -w 0 --shard {shard}/2 --start-at {start}");
            bench_against(server.address(), &args)
        });
        let shards = finish_both(&dir, shards);
        if shards.iter().any(|(finished, _)| was_too_late(finished)) {
            return None;
        }
        let [(first, a), (second, b)] = shards.map(read_report);
        assert_eq!(
            a.count("connections_achieved") + b.count("connections_achieved"),
            5
        );
        let total = |name: &str| a.count(name) + b.count(name);
        assert_eq!(total("response_us/count"), 1200);

        let mut merge = bench("merge -J");
        merge.arg(&first).arg(&second);
        let merged = Report::of(&run(merge, 0));
        for name in [
            "messages",
            "connections_asked",
            "connections_achieved",
            "corrupted",
            "unanswered",
            "unsent",
            "reconnects",
        ] {
            assert_eq!(merged.count(name), total(name), "{name}");
        }
        for row in HISTOGRAMS {
            let mut sum = a.histogram(row);
            sum.add(b.histogram(row)).expect("equal bounds");
            assert_eq!(merged.histogram(row), sum, "{row}");
            for (name, percentile) in [("p50", 50.0), ("p90", 90.0), ("p99", 99.0)] {
                let printed = merged.at(&format!("/metrics/{row}_us/{name}"));
                let exact = sum.value_at_percentile(percentile) as f64 / 1000.0;
                match printed.as_f64() {
                    Some(printed) => assert!(
                        (printed - exact).abs() <= 0.001 * exact,
                        "{row} {name}: {printed} {exact}"
                    ),
                    None => assert!(sum.len() < 1000, "{row} {name}"),
                }
            }
        }
        let rates = a.number("messages_per_sec") + b.number("messages_per_sec");
        let merged_rate = merged.number("messages_per_sec");
        assert!(
            (merged_rate - rates).abs() < 0.05 * rates,
            "{merged_rate} {rates}"
        );
        assert_eq!(server.stop().figures().get("accepted"), 5);
        Some(())
    });
}

#[test]
fn shard_auto_takes_the_index_from_kubernetes() {
    let dir = TempDir::new("auto");
    let server = Server::start(&[]);
    let shards = ["0", "1"].map(|index| {
        let mut command = bench_against(server.address(), "-c 3 -n 100 -w 0 --shard auto/2");
        command.env("JOB_COMPLETION_INDEX", index);
        command
    });
    let [(_, a), (_, b)] = both(&dir, shards);
    assert_eq!(
        a.count("connections_achieved") + b.count("connections_achieved"),
        3
    );
    assert_eq!(a.count("messages") + b.count("messages"), 100);
    let mut without = bench_against(server.address(), "-c 3 -n 100 --shard auto/2");
    without.env_remove("JOB_COMPLETION_INDEX");
    let text = run(without, 2).text();
    assert!(text.contains("JOB_COMPLETION_INDEX"), "{text}");
}

#[test]
fn merge_judges_the_slo_on_the_merged_data() {
    let dir = TempDir::new("merge");
    let server = Server::start(&[]);
    let shards = [0, 1].map(|shard| {
        let args = format!("-c 2 -n 1200 -w 0 --shard {shard}/2");
        bench_against(server.address(), &args)
    });
    let [(first, a), (second, _)] = both(&dir, shards);
    assert!(
        a.at("/metrics/response_us/p99").is_null(),
        "600 messages are too few"
    );
    let merge = |slo: &str| {
        let mut merge = bench("merge");
        merge.arg(&first).arg(&second).args(["--slo", slo]);
        merge
    };
    run(merge("p99<10s"), 0);
    run(merge("p99<1ns"), 3);
    let text = run(merge("p50<10s"), 0).text();
    assert!(text.contains("Messages/sec: "), "{text}");
}

#[test]
fn a_missing_shard_is_refused_unless_the_sum_may_be_partial() {
    let dir = TempDir::new("partial");
    let mut shard = bench("-c 3 -n 3000 -w 0 --shard auto -o");
    shard.arg(dir.file("run-{shard}-of-{shards}.json"));
    shard.envs([("PMI_RANK", "1"), ("PMI_SIZE", "3")]);
    run(shard, 0);
    let file = dir.file("run-1-of-3.json");
    let report = Report::read(&file);
    assert_eq!(report.at("/config/shard/launcher"), "pmi");
    let killed = dir.file("run-2-of-3.json");
    std::fs::write(&killed, "").expect("writing");
    let merge = |options: &str, code| {
        let mut merge = bench(&format!("merge {options}"));
        merge.arg(&killed).arg(&file);
        let text = run(merge, code).text();
        assert!(
            text.contains("run-2-of-3.json is empty: its shard ended"),
            "{text}"
        );
        text
    };
    let refusal = merge("", 1);
    assert!(
        refusal.contains("1 of 3 shards: no report of shards 0, 2"),
        "{refusal}"
    );
    let partial = merge("--partial --strict", 5);
    assert!(partial.contains("SUSPECT: 1 of 3 shards"), "{partial}");
}

#[test]
fn merge_refuses_a_file_that_is_not_a_report() {
    let dir = TempDir::new("no-report");
    let file = dir.file("x.json");
    std::fs::write(&file, "{}").expect("writing");
    for path in [file, dir.file("missing.json")] {
        let mut merge = bench("merge");
        merge.arg(&path);
        let finished = run(merge, 1);
        assert_eq!(finished.log.len(), 1, "{:#?}", finished.log);
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        assert!(finished.log[0].contains(&name), "{:#?}", finished.log);
    }
}

#[test]
fn start_at_delays_the_start() {
    until_in_time(|| {
        let server = Server::start(&[]);
        let start = soon();
        let args = format!("-c 1 -n 10 -w 0 --start-at {start}");
        let finished = start_bench(bench_against(server.address(), &args)).finished();
        if was_too_late(&finished) {
            return None;
        }
        finished.expect_code(0);
        let at = start.trim_start_matches('@').parse().expect("seconds");
        assert!(SystemTime::now() >= UNIX_EPOCH + Duration::from_secs_f64(at));
        Some(())
    });
}

/// Returns a time for `--start-at` by which two processes have usually connected.
fn soon() -> String {
    let at = SystemTime::now() + Duration::from_millis(2500);
    let at = at.duration_since(UNIX_EPOCH).expect("after 1970");
    format!("@{:.3}", at.as_secs_f64())
}
