use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use mio_echo::conn::Framing;
use mio_echo::load::{
    Arrival, CAN_PIN, Close, CpuList, Launcher, Load, Objective, Percentile, RunSettings, Shard,
    SizeRange, Sizes, Slo, StopCondition, Target,
};
use mio_echo::net::IpFamily;

use super::*;
use crate::cli::tests::no_sockets;
use crate::cli::{Command, parse};

/// Parses `mio-echo bench` with `arguments`, which must be accepted.
fn bench(arguments: &str) -> BenchCommand {
    match parsed(arguments) {
        Ok(Command::Bench(bench)) => bench,
        other => panic!("{arguments}: {other:?}"),
    }
}

fn measure(arguments: &str) -> MeasureOptions {
    match bench(arguments) {
        BenchCommand::Measure(measure) => *measure,
        other => panic!("{other:?}"),
    }
}

fn settings(arguments: &str) -> RunSettings {
    measure(arguments).settings
}

/// Returns why `mio-echo bench` with `arguments` is refused.
fn refused(arguments: &str) -> String {
    let line = parsed(arguments).map(|_| ()).expect_err(arguments);
    assert_eq!(line.lines().count(), 1, "{line}");
    line
}

fn parsed(arguments: &str) -> Result<Command, String> {
    let typed = ["mio-echo", "bench"]
        .into_iter()
        .chain(arguments.split_whitespace());
    let variable = |name: &str| (name == "JOB_COMPLETION_INDEX").then(|| "1".into());
    parse(typed.map(OsString::from), variable, no_sockets)
}

#[test]
fn a_process_is_named_only_for_a_server_that_runs_already() {
    assert_eq!(settings("--server-pid 17 host:7").server_pid, Some(17));
    let refusal = refused("--server-pid 17");
    assert!(refusal.contains("with HOST:PORT only"), "{refusal}");
    for pid in ["0", "-1", "4294967296", "init"] {
        refused(&format!("--server-pid {pid} host:7"));
    }
}

#[test]
fn only_a_child_server_can_be_pinned() {
    let pinned = "--pin 0 --server-pin 2-3,1";
    if CAN_PIN {
        let settings = settings(pinned);
        assert_eq!(settings.pin, CpuList::new(vec![0]));
        assert_eq!(settings.server_pin, CpuList::new(vec![1, 2, 3]));
        assert!(refused("--server-pin 1 host:7").contains("without HOST:PORT"));
    } else {
        for option in ["--pin 0", "--server-pin 0"] {
            assert!(refused(option).contains("Linux, Android or FreeBSD"));
        }
    }
}

#[test]
fn a_sweep_has_settings_for_each_value() {
    let sweep = |arguments: &str| match bench(arguments) {
        BenchCommand::Sweep(sweep) => sweep,
        other => panic!("{other:?}"),
    };
    let sizes = sweep("--sweep size=64..256 -c 3 --csv t.csv host:7");
    let found = sizes.steps.iter();
    let found: Vec<_> = found
        .map(|(value, settings)| (*value, settings.sizes.clone(), settings.connections))
        .collect();
    let expected = [64, 128, 256].map(|size| (size as f64, Sizes::one(size), 3));
    assert_eq!(found, expected);
    assert_eq!(sizes.csv, Some(PathBuf::from("t.csv")));
    let rates = sweep("--sweep rate=1,2 --arrival poisson");
    let Load::Open { rate, arrival } = rates.steps[1].1.load else {
        panic!("an open loop");
    };
    assert_eq!((rate, arrival), (2.0, Arrival::Poisson));
    assert_eq!(rates.steps[1].1.pipeline, 1024);
    assert_eq!(sweep("--sweep pipeline=1,16").steps[1].1.pipeline, 16);
    assert_eq!(sweep("--sweep connections=1,2").steps[0].1.connections, 1);
}

#[test]
fn options_that_contradict_a_sweep_are_refused() {
    for (arguments, parts) in [
        (
            "--sweep size=1,2 -s 64",
            ["'size' for '--sweep'", "without --size"],
        ),
        (
            "--sweep rate=1,2 -r 5",
            ["'rate' for '--sweep'", "without --rate"],
        ),
        (
            "--sweep size=1,300 --framing len8",
            ["'300' for '--size'", "len8"],
        ),
        ("--sweep size=1,2 --shard 0/2", ["--sweep", "--shard"]),
        (
            "--sweep size=1,2 --start-at next:60s",
            ["--sweep", "--start-at"],
        ),
        ("--sweep size=1,2 --hlog a.hlog", ["--sweep", "--hlog"]),
        ("--sweep size=1,2 --hgrm a.hgrm", ["--sweep", "--hgrm"]),
        (
            "--sweep size=1,2 --csv a -o a",
            ["'a' for an output", "--csv"],
        ),
        ("--csv a.csv", ["--sweep", "required"]),
    ] {
        let refusal = refused(arguments);
        for part in parts {
            assert!(refusal.contains(part), "{arguments}: {refusal}");
        }
    }
}

#[test]
fn bulk_connections_have_the_settings_of_the_ping_apart_from_its_load() {
    let beside = |arguments: &str| match bench(arguments) {
        BenchCommand::Beside(options) => *options,
        other => panic!("{other:?}"),
    };
    let found = beside("--beside 8x1MiB -r 100 -n 50 --skip 3 --timeout 2s host:7");
    let (ping, bulk) = (&found.ping, &found.bulk);
    assert_eq!((ping.connections, bulk.connections), (1, 8));
    assert_eq!(
        (&ping.sizes, &bulk.sizes),
        (&Sizes::one(64), &Sizes::one(1 << 20))
    );
    assert_eq!(
        (ping.stop.messages, bulk.stop),
        (Some(50), StopCondition::NEVER)
    );
    assert_eq!(bulk.load, Load::Closed);
    assert_eq!((bulk.pipeline, bulk.threads), (5, 1));
    assert_eq!((ping.skip, bulk.skip), (3, 3));
    assert_eq!(ping.timeout, bulk.timeout);
    assert_eq!(
        (&ping.target, &bulk.target),
        (&found.bulk.target, &ping.target)
    );

    let found = beside("--beside 1x1 -c 64 -t 2 --churn --connect-rate 5");
    assert_eq!((found.ping.connections, found.ping.threads), (64, 2));
    let bulk = found.bulk;
    assert_eq!((bulk.pipeline, bulk.threads, bulk.churn), (1024, 1, false));
    assert_eq!(bulk.connect_rate, None);
    assert_eq!(beside("--beside 1x8m").bulk.pipeline, 2);
    assert_eq!(settings("").connections, 64);
}

#[test]
fn options_that_contradict_bulk_connections_are_refused() {
    for (arguments, parts) in [
        ("--beside 8", ["'8' for '--beside", "expected NxSIZE"]),
        (
            "--beside 8x1k --framing len8",
            ["'1024' for '--beside'", "len8"],
        ),
        ("--beside 8x1k --sweep size=1,2", ["--beside", "--sweep"]),
        ("--beside 8x1k --shard 0/2", ["--beside", "--shard"]),
        (
            "--beside 8x1k --start-at next:60s",
            ["--beside", "--start-at"],
        ),
        ("--beside 8x1k --hlog a.hlog", ["--beside", "--hlog"]),
        ("--beside 8x1k --hgrm a.hgrm", ["--beside", "--hgrm"]),
        ("--beside 8x1k --csv a.csv", ["--beside", "--csv"]),
        ("--beside 8x1k -t 2", ["--threads", "at most 1"]),
    ] {
        let refusal = refused(arguments);
        for part in parts {
            assert!(refusal.contains(part), "{arguments}: {refusal}");
        }
    }
}

#[test]
fn a_search_starts_at_the_low_end_of_an_open_loop() {
    let typed = "--slo p99<1ms,max<1s --find-max 1k..1m --arrival poisson -d 4s --csv t.csv host:7";
    let BenchCommand::FindMax(search) = bench(typed) else {
        panic!("a search");
    };
    assert_eq!((search.range.low, search.range.high), (1e3, 1e6));
    let Load::Open { rate, arrival } = search.settings.load else {
        panic!("an open loop");
    };
    assert_eq!((rate, arrival), (1e3, Arrival::Poisson));
    assert_eq!(search.settings.pipeline, 1024);
    assert_eq!(search.duration, Duration::from_secs(4));
    assert_eq!(search.slo.0.len(), 2);
    assert_eq!(search.csv, Some(PathBuf::from("t.csv")));
}

#[test]
fn options_that_contradict_a_search_are_refused() {
    let search = "--slo p99<1ms --find-max 1k..1m";
    for (arguments, parts) in [
        ("--find-max 1k..1m".to_owned(), ["--slo", "required"]),
        ("--slo p99<1ms --find-max 1k".into(), ["'1k'", "LOW..HIGH"]),
        (
            format!("{search} --sweep size=1,2"),
            ["--find-max", "--sweep"],
        ),
        (
            format!("{search} --beside 1x1k"),
            ["--find-max", "--beside"],
        ),
        (format!("{search} -r 5"), ["--find-max", "--rate"]),
        (format!("{search} -n 5"), ["--find-max", "--count"]),
        (format!("{search} --shard 0/2"), ["--find-max", "--shard"]),
        (
            format!("{search} --start-at next:60s"),
            ["--find-max", "--start-at"],
        ),
        (format!("{search} --hlog a"), ["--find-max", "--hlog"]),
        (format!("{search} --hgrm a"), ["--find-max", "--hgrm"]),
        (
            format!("{search} --csv a -o a"),
            ["'a' for an output", "--csv"],
        ),
        (
            format!("{search} -d 1.9s"),
            ["'1.9s' for '--duration'", "at least 2 s, in which 1000"],
        ),
        (
            "--slo p99.9<1ms --find-max 1k..1m".into(),
            ["'10s' for '--duration'", "at least 20 s"],
        ),
    ] {
        let refusal = refused(&arguments);
        for part in parts {
            assert!(refusal.contains(part), "{arguments}: {refusal}");
        }
    }
    bench(&format!("{search} -d 2s"));
    bench("--slo errors<0.1% --find-max 1..2");
}

#[test]
fn a_label_is_one_line() {
    assert_eq!(settings("--label old").label.as_deref(), Some("old"));
    let typed = ["mio-echo", "bench", "--label", "a b\n\u{1b}[2J"];
    match parse(typed.map(OsString::from), |_| None, no_sockets) {
        Ok(Command::Bench(BenchCommand::Measure(measure))) => {
            let label = measure.settings.label;
            assert_eq!(label.as_deref(), Some(r"a b\n\u{1b}[2J"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let MeasureOptions {
        settings,
        hlog,
        report,
    } = measure("");
    let expected = RunSettings {
        target: Target::OwnServer,
        family: IpFamily::Any,
        connections: 64,
        threads: 1,
        stop: StopCondition {
            duration: Some(Duration::from_secs(10)),
            messages: None,
        },
        sizes: Sizes::one(64),
        pipeline: 1,
        load: Load::Closed,
        warmup: Duration::from_secs(1),
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(10),
        connect_rate: None,
        churn: false,
        close: Close::Fin,
        verify: true,
        seed: 1,
        sources: vec![],
        socket_buffer: None,
        skip: 0,
        framing: Framing::Raw,
        shard: None,
        start_at: None,
        server_pid: None,
        pin: None,
        server_pin: None,
        label: None,
    };
    assert_eq!(format!("{settings:?}"), format!("{expected:?}"));
    assert_eq!((hlog, report.output, report.hgrm), (None, None, None));
    assert_eq!(
        (report.json, report.slo, report.strict),
        (false, None, false)
    );
}

#[test]
fn source_addresses_decide_the_family() {
    for (typed, family) in [
        ("", IpFamily::Any),
        ("--source 10.0.0.0/24", IpFamily::V4),
        ("--source ::1", IpFamily::V6),
        ("-6 --source ::1", IpFamily::V6),
    ] {
        assert_eq!(settings(typed).family, family, "{typed}");
    }
}

#[test]
fn a_greeting_of_no_bytes_can_be_typed() {
    assert_eq!(settings("--skip 0").skip, 0);
}

#[test]
fn every_option_sets_its_own_field() {
    let MeasureOptions {
        settings,
        hlog,
        report,
    } = measure(
        "host:2 -c 3 -d 4 -n 5 -t 1 -s 6..7:8,9 -p 10 -r 11.5 --arrival poisson -w 12 -i 13 --timeout 14 \
         --connect-rate 15 --close rst --no-verify --seed 16 --source 10.0.0.1 -4 --socket-buffer 17 --skip 18 \
         --framing line --shard 1/2 -o a --hgrm b --hlog c -J --slo p99<1ms --strict",
    );
    let expected = RunSettings {
        target: Target::Remote("host:2".into()),
        family: IpFamily::V4,
        connections: 3,
        threads: 1,
        stop: StopCondition {
            duration: Some(Duration::from_secs(4)),
            messages: Some(5),
        },
        sizes: Sizes(vec![SizeRange::new(6..=7, 8), SizeRange::new(9..=9, 1)]),
        pipeline: 10,
        load: Load::Open {
            rate: 11.5,
            arrival: Arrival::Poisson,
        },
        warmup: Duration::from_secs(12),
        interval: Duration::from_secs(13),
        timeout: Duration::from_secs(14),
        connect_rate: Some(15.0),
        churn: false,
        close: Close::Rst,
        verify: false,
        seed: 16,
        sources: vec![SocketAddr::from(([10, 0, 0, 1], 0))],
        socket_buffer: Some(17),
        skip: 18,
        framing: Framing::Line,
        shard: Some(Shard {
            index: 1,
            count: 2,
            launcher: None,
        }),
        start_at: None,
        server_pid: None,
        pin: None,
        server_pin: None,
        label: None,
    };
    assert_eq!(format!("{settings:?}"), format!("{expected:?}"));
    assert_eq!(hlog, Some("c".into()));
    assert_eq!(
        (report.output, report.hgrm),
        (Some("a".into()), Some("b".into()))
    );
    let slo = Slo(vec![Objective::Percentile(
        Percentile::P99,
        Duration::from_millis(1),
    )]);
    assert_eq!(
        (report.json, report.slo, report.strict),
        (true, Some(slo), true)
    );
}

#[test]
fn aliases_of_other_tools_mean_the_same() {
    for duration in ["-d 3s", "-z 3s", "--duration 3s"] {
        let stop = settings(duration).stop;
        assert_eq!(stop.duration, Some(Duration::from_secs(3)), "{duration}");
    }
    for rate in ["-r 50k", "-R 50k", "--rate 50k", "--qps 50k"] {
        let load = Load::Open {
            rate: 50_000.0,
            arrival: Arrival::Constant,
        };
        assert_eq!(settings(rate).load, load, "{rate}");
    }
}

#[test]
fn defaults_depend_on_other_options() {
    assert_eq!(settings("-n 5").stop.duration, None);
    for (typed, depth) in [
        ("", 1),
        ("-r 1", 1024),
        ("-r 1 -p 7", 7),
        ("--churn", 1),
        ("--churn -r 1", 1),
        ("-p 8", 8),
    ] {
        assert_eq!(settings(typed).pipeline, depth, "{typed}");
    }
    let shard = settings("--shard auto/4").shard;
    assert_eq!(
        shard,
        Some(Shard {
            index: 1,
            count: 4,
            launcher: Some(Launcher::Kubernetes),
        })
    );
    let start = settings("--start-at next:1h")
        .start_at
        .expect("a start time");
    assert!(start > SystemTime::now());
}

#[test]
fn habits_of_other_tools_are_answered_in_one_line() {
    for (typed, answer) in [
        ("-t 10s", "-d 10s is the duration"),
        (
            "-t 128",
            "invalid value '128' for '--threads': expected at most 64, one for each connection; -d 128s is the duration",
        ),
        ("-c 2 -t 10", "-d 10s is the duration"),
        (
            "localhost",
            "no port given: write HOST:PORT; -p is pipelining",
        ),
        ("127.0.0.1 -p 7007", "write HOST:PORT; -p is pipelining"),
        ("-p 7007 127.0.0.1", "-p is pipelining"),
        ("-w 64k", "-w is the warm-up; see --socket-buffer"),
    ] {
        let line = refused(typed);
        assert!(line.contains(answer), "{typed}: {line}");
    }
}

// Windows has no paths of descriptors.
#[cfg(unix)]
#[test]
fn outputs_on_one_descriptor_are_refused_in_one_line() {
    for (typed, line) in [
        (
            "-o /dev/fd/3 --hlog /proc/self/fd/3",
            "invalid value '/proc/self/fd/3' for an output: expected a file of its own",
        ),
        (
            "-o /dev/stdout",
            "invalid value '/dev/stdout' for an output: expected a file, because the report is on standard output",
        ),
        (
            "-o - --hgrm /dev/fd/1",
            "invalid value '/dev/fd/1' for an output: expected a file, because",
        ),
    ] {
        let refusal = refused(typed);
        assert!(refusal.starts_with(line), "{typed}: {refusal}");
    }
}

#[test]
fn contradictions_are_refused_in_one_line() {
    for (typed, line) in [
        (
            "-i 0",
            "invalid value '0' for '--interval <DUR>': expected a duration from 100ms",
        ),
        (
            "-d 0",
            "invalid value '0' for '--duration <DUR>': expected a duration above 0",
        ),
        (
            "--framing nul",
            "invalid value 'nul' for '--framing <FRAMING>': expected the framing raw, line",
        ),
        (
            "-s 256 --framing len8",
            "invalid value '256' for '--size': expected a message with len8 from 1 to 255 bytes",
        ),
        (
            "-s 1..99 --framing len16",
            "invalid value '1' for '--size': expected a message with len16 from 2 to 65535",
        ),
        (
            "-s 64k --framing len16le",
            "invalid value '65536' for '--size'",
        ),
        (
            "-s 1 --framing crlf",
            "invalid value '1' for '--size': expected a message with crlf from 2",
        ),
        (
            "--churn -p 2",
            "invalid value '2' for '--pipeline': expected 1 with --churn",
        ),
        (
            "--arrival poisson",
            "invalid value 'poisson' for '--arrival': expected with --rate only",
        ),
        (
            "-c 3 --shard 0/4",
            "invalid value '3' for '--connections': expected at least one for each of 4 shards",
        ),
        (
            "-n 1 --shard 3/4",
            "invalid value '1' for '--count': expected at least one for each of 4 shards",
        ),
        (
            "--skip 1k",
            "invalid value '1024' for '--skip': expected with HOST:PORT only",
        ),
        (
            "-c 8 --shard 0/4 -t 3",
            "invalid value '3' for '--threads': expected at most 2",
        ),
        (
            "-6 --source 10.0.0.1",
            "invalid value '10.0.0.1' for '--source': expected an address of the family",
        ),
        (
            "-4 -6",
            "the argument '--ipv4' cannot be used with '--ipv6'",
        ),
        (
            "-o a --hlog a",
            "invalid value 'a' for an output: expected a file of its own",
        ),
        (
            "-o a --hgrm ./a",
            "invalid value './a' for an output: expected a file of its own",
        ),
        (
            "merge b.json -o a --hgrm a",
            "invalid value 'a' for an output: expected a file of its own",
        ),
        (
            "-J -o -",
            "invalid value '-' for an output: expected a file, because",
        ),
        (
            "merge b.json --hgrm -",
            "invalid value '-' for an output: expected a file, because",
        ),
        (
            "-o --strict",
            "a value is required for '--output <FILE>' but none was supplied",
        ),
        (
            "-p 1025",
            "invalid value '1025' for '--pipeline <N>': expected a count from 1 to 1024",
        ),
        (
            "-n 0",
            "invalid value '0' for '--count <N>': expected a count from 1",
        ),
        (
            "--start-at @1",
            "invalid value '@1' for '--start-at <TIME>': expected a time in the future",
        ),
        (
            "--no-such-option",
            "unexpected argument '--no-such-option' found",
        ),
        ("a:1 b:2", "the subcommand 'b:2' cannot be used with"),
    ] {
        let refusal = refused(typed);
        assert!(refusal.starts_with(line), "{typed}: {refusal}");
    }
    for fine in [
        "-s 1 --framing len8",
        "-s 2..65535 --framing len16",
        "-s 1 --framing line",
        "-c 1024 -t 1024",
        "-n 4 --shard 3/4",
        "--skip 1 h:1",
    ] {
        settings(fine);
    }
}

#[test]
fn the_output_of_a_hyphen_is_the_report_as_json_on_standard_output() {
    let report = measure("-o -").report;
    assert_eq!((report.output, report.json), (None, true));
    let report = measure("-o ./-").report;
    assert_eq!((report.output, report.json), (Some("./-".into()), false));
}

#[test]
fn merge_has_files_and_the_options_of_a_report() {
    let BenchCommand::Merge(MergeOptions {
        files,
        partial,
        report,
    }) = bench("merge a.json b.json --partial -o c.json --hgrm d -J --slo errors<1% --strict")
    else {
        panic!("no merge");
    };
    assert_eq!(files, ["a.json", "b.json"].map(PathBuf::from));
    assert_eq!(
        (report.output, report.hgrm),
        (Some("c.json".into()), Some("d".into()))
    );
    assert_eq!(report.slo, Some(Slo(vec![Objective::Errors(1.0)])));
    assert!(partial && report.json && report.strict);

    for typed in ["merge", "merge a -c 3", "merge a --hlog b", "-c 3 merge a"] {
        refused(typed);
    }
}

#[test]
fn the_help_explains_every_term_of_a_report() {
    for term in [
        "response",
        "wait",
        "service",
        "send lag",
        "connect",
        "generator delay",
        "-",
        ">",
        "corrupted",
        "unanswered",
        "unsent",
        "reconnects",
        "connections",
        "busy",
        "spinning",
        "CPU",
        "limited by",
        "achieved",
        "VALID",
        "SUSPECT",
    ] {
        let explained = NOTES.lines().any(|line| {
            let names = line
                .trim_start()
                .split_once(':')
                .map_or("", |(names, _)| names.trim_end());
            names == term || names.starts_with(&format!("{term} ("))
        });
        assert!(explained, "{term}");
    }
}
