//! `--slo`, `--strict` and the exit codes; aliases; invalid options.

use crate::bench::{bench, bench_against, measure_expecting, run};
use crate::faulty::{Damage, DamagingServer, limits_rate, never_answers};
use crate::support::Server;
#[cfg(target_os = "linux")]
use crate::support::strace;
use crate::support::temp_dir::TempDir;

#[test]
fn an_slo_that_is_not_met_exits_with_3() {
    let server = Server::start(&[]);
    let code = |slo: &str, code| {
        let args = format!("-c 2 -n 2000 -w 0 --slo {slo}");
        run(bench_against(server.address(), &args), code).text()
    };
    code("p99<10s", 0);
    code("p50<10s,p99<10s,errors<0.1%", 0);
    let text = code("p50<1ns", 3);
    assert!(text.contains("slo: p50 < 1 ns NOT MET"), "{text}");
    code("p50<10s,p99<1ns", 3);
    // 2,000 messages are too few for this percentile.
    code("p99.99<10s", 3);
}

#[test]
fn strict_exits_with_5_if_the_run_is_suspect() {
    let server = limits_rate(500, 64);
    let args = "-c 1 -p 4 -r 1000 -d 1s -w 0";
    measure_expecting(server.address(), args, 0);
    measure_expecting(server.address(), &format!("{args} --strict"), 5);
}

#[test]
fn the_most_serious_exit_code_wins() {
    // The objective is not met, and the run is suspect.
    let server = limits_rate(500, 64);
    let args = "-c 1 -p 4 -r 1000 -d 1s -w 0 --strict --slo p50<1ns";
    measure_expecting(server.address(), args, 3);
    // There are wrong bytes, and the objective is not met.
    let server = DamagingServer::start(Damage::Corrupted { offset: 0 }, 64);
    measure_expecting(
        server.server().address(),
        "-c 1 -n 10 -w 0 --slo p50<1ns",
        4,
    );
    // No message is answered, and the objective is not met.
    let args = "-c 1 -d 100ms -w 0 --timeout 50ms --strict --slo p50<1ns";
    measure_expecting(never_answers().address(), args, 3);
    measure_expecting(
        never_answers().address(),
        &args.replace("--slo p50<1ns", ""),
        1,
    );
}

/// Requires exit code 2 and exactly one line, which contains `parts`.
#[track_caller]
fn expect_refused(args: &str, parts: &[&str]) {
    let finished = run(bench(args), 2);
    assert!(finished.output.is_empty(), "{args}: {:?}", finished.output);
    let [line] = &finished.log[..] else {
        panic!("{args}: one line, not {:#?}", finished.log);
    };
    for part in parts {
        assert!(line.contains(part), "{args}: no `{part}` in: {line}");
    }
}

#[test]
fn an_invalid_option_value_is_refused_in_one_line() {
    for (args, option) in [
        ("-c 0", "--connections"),
        ("-d 0", "--duration"),
        ("-n -1", "--count"),
        ("-s 4k..1", "--size"),
        ("-p 1025", "--pipeline"),
        ("-r nan", "--rate"),
        ("--framing nul", "--framing"),
        ("--slo p98<1ms", "--slo"),
        ("--shard 2/2", "--shard"),
        ("--framing len8 -s 256", "--size"),
        ("--framing len16 -s 70000", "--size"),
        ("--framing crlf -s 1", "--size"),
    ] {
        let value = args.rsplit(' ').next().expect("a value");
        expect_refused(&format!("127.0.0.1:9 {args}"), &[option, value]);
    }
}

#[test]
fn skip_is_refused_without_a_target() {
    expect_refused(
        "--skip 6",
        &["--skip", "'6'", "expected with HOST:PORT only"],
    );
}

#[test]
fn a_shard_without_messages_is_refused() {
    let parts = [
        "--count",
        "'1'",
        "expected at least one for each of 4 shards",
    ];
    expect_refused("-n 1 --shard 3/4 127.0.0.1:9", &parts);
}

#[test]
fn a_name_with_a_line_break_is_refused_in_one_line() {
    let dir = TempDir::new("line-break");
    let missing = |name: &str| dir.file(name).display().to_string();
    for (args, code) in [
        (vec!["a\nb:1".to_owned()], 2),
        (vec!["merge".into(), missing("x\ny"), "z".into()], 1),
        (vec!["-o".into(), missing("x\ny/z")], 1),
    ] {
        let mut command = bench("");
        command.args(&args);
        let finished = run(command, code);
        let [line] = &finished.log[..] else {
            panic!("{args:?}: one line, not {:#?}", finished.log);
        };
        assert!(line.contains("\\n"), "{args:?}: {line}");
    }
}

#[test]
fn options_of_other_tools_get_a_hint() {
    expect_refused("-t 10s 127.0.0.1:9", &["-d 10s is the duration"]);
    expect_refused("-c 2 -t 4 127.0.0.1:9", &["-d"]);
    expect_refused("-p 7007 127.0.0.1", &["HOST:PORT"]);
    expect_refused("127.0.0.1", &["write HOST:PORT; -p is pipelining"]);
    expect_refused(
        "-w 64k 127.0.0.1:9",
        &["-w is the warm-up; see --socket-buffer"],
    );
}

#[test]
fn aliases_work_like_their_options() {
    let server = Server::start(&[]);
    for args in [
        "-z 200ms -R 500",
        "-z 200ms --qps 500",
        "--duration 200ms --rate 500",
    ] {
        let report = crate::bench::measure(server.address(), &format!("{args} -w 0 -c 2"));
        report.expect_all_scheduled(100);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn fault_s10_bench_measures_without_the_options_that_only_tune() {
    let server = Server::start(&[]);
    let args = "-c 8 -t 2 -d 300ms -w 0 --socket-buffer 64k --source 127.0.0.1";
    let command = bench_against(server.address(), args);
    let fault = "setsockopt:error=ENOPROTOOPT";
    let Some(command) = strace::run_with("fault_s10 (bench)", fault, &command) else {
        return;
    };
    let finished = run(command, 0);
    for option in [
        "TCP_NODELAY",
        "SO_SNDBUF",
        "SO_RCVBUF",
        "IP_BIND_ADDRESS_NO_PORT",
    ] {
        let text = format!("cannot set the socket option {option}: ");
        let lines = finished.log.iter().filter(|line| line.starts_with(&text));
        assert_eq!(lines.count(), 1, "{option}: {:#?}", finished.log);
    }
}
