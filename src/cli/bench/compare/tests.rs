use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use mio_echo::load::{Figure, Load, Sizes, Target};

use super::*;
use crate::cli::bench::options::BenchCommand;
use crate::cli::bench::server::Server;
use crate::cli::tests::no_sockets;
use crate::cli::{Command, parse};

/// Parses `mio-echo bench compare` with `arguments`, words as a shell splits them.
fn parsed(arguments: &str) -> Result<CompareOptions, String> {
    let words = shlex::split(arguments).expect("words");
    let typed = ["mio-echo", "bench", "compare"].map(String::from);
    let typed = typed.into_iter().chain(words).map(OsString::from);
    match parse(typed, |_| None, no_sockets)? {
        Command::Bench(BenchCommand::Compare(options)) => Ok(*options),
        other => panic!("{arguments}: {other:?}"),
    }
}

fn rounds(arguments: &str) -> RoundsOptions {
    match parsed(arguments).map(|options| options.input) {
        Ok(CompareInput::Rounds(rounds)) => *rounds,
        other => panic!("{arguments}: {other:?}"),
    }
}

#[test]
fn two_servers_have_the_same_options() {
    let found = rounds("-p 4 'old -l :{port}' host:7");
    assert!(matches!(&found.a.server, Server::Command(command) if command.program() == "old"));
    assert_eq!(found.b.server, Server::Running("host:7".into()));
    assert_eq!(
        (found.a.settings.pipeline, found.b.settings.pipeline),
        (4, 4)
    );
    assert_eq!(found.b.settings.target, Target::Remote("host:7".into()));
    assert_eq!((found.a.options, found.b.options), (None, None));
}

#[test]
fn the_defaults_are_twelve_rounds_of_three_seconds_each() {
    let found = rounds("a:1 b:1");
    assert_eq!(found.rounds, 12);
    let window = |arguments: &str| rounds(arguments).a.settings.stop.duration;
    assert_eq!(window("a:1 b:1"), Some(Duration::from_secs(3)));
    assert_eq!(window("-d 1s a:1 b:1"), Some(Duration::from_secs(1)));
    assert_eq!(window("-n 100 a:1 b:1"), None);
}

#[test]
fn options_of_a_side_take_precedence_over_those_of_both() {
    let found = rounds("-c 3 -p 2 -s 64 --a '-p 1 -s 32' --b '-p 16' host:7");
    let (a, b) = (found.a.settings, found.b.settings);
    assert_eq!((a.pipeline, b.pipeline), (1, 16));
    assert_eq!((a.connections, b.connections), (3, 3));
    assert_eq!((a.sizes, b.sizes), (Sizes::one(32), Sizes::one(64)));
    assert_eq!(
        (found.a.server, found.b.server.clone()),
        (found.b.server, Server::Running("host:7".into()))
    );
    assert_eq!(found.b.options.as_deref(), Some("-p 16"));
    let own = rounds("--a=-c2 --b '--label \"the new\" -c 4'");
    assert_eq!((own.a.server, own.b.server), (Server::Own, Server::Own));
    assert_eq!(own.b.settings.label.as_deref(), Some("the new"));
    // After two hyphens there is no option, and a side with no options is possible.
    let found = rounds("--a '' --b '-p 2' -- host:7");
    assert_eq!(found.b.settings.pipeline, 2);
}

#[test]
fn the_loop_decides_which_figure_decides() {
    for (arguments, metric) in [
        ("a:1 b:1", Figure::MessagesPerSec),
        ("-r 100 a:1 b:1", Figure::P99),
        ("--metric p50 a:1 b:1", Figure::P50),
        ("--metric per-cpu a:1 b:1", Figure::MessagesPerCpuSecond),
        (
            "--metric rate --a '-r 5' --b '' h:1",
            Figure::MessagesPerSec,
        ),
    ] {
        assert_eq!(rounds(arguments).metric, metric, "{arguments}");
    }
    let found = rounds("-r 100 --a '' --b '-r 200' h:1");
    let is_open = |load| matches!(load, Load::Open { .. });
    assert!(is_open(found.a.settings.load) && is_open(found.b.settings.load));
}

#[test]
fn reports_are_compared_without_runs() {
    let found = parsed("--base a b c d e --new f g h i j --metric p99 --fail-if-slower 2.5%");
    let found = found.expect("options");
    let CompareInput::Files { base, new, metric } = found.input else {
        panic!("files");
    };
    assert_eq!(base, ["a", "b", "c", "d", "e"].map(PathBuf::from));
    assert_eq!((new.len(), metric), (5, Some(Figure::P99)));
    assert_eq!(
        (found.limit, found.undecided),
        (Some(0.025), Undecided::Fails)
    );
}

#[test]
fn the_report_on_standard_output_is_text_or_json() {
    let found = parsed("-o - --markdown a.md --undecided pass --fail-if-slower 0% a:1 b:1");
    let found = found.expect("options");
    assert!(found.outputs.json && found.outputs.output.is_none());
    assert_eq!(found.outputs.markdown, Some(PathBuf::from("a.md")));
    assert_eq!(
        (found.limit, found.undecided),
        (Some(0.0), Undecided::Passes)
    );
}

#[test]
fn other_options_are_refused_in_one_line() {
    for (arguments, part) in [
        ("", "write A B, --a with --b, or --base with --new"),
        ("a:1", "expected a second server"),
        ("a:1 b:1 c:1", "'c:1'"),
        ("serve host:7", "a command contains {port}"),
        ("\"'serve {port}\" b:1", "a second quote for each quote"),
        ("--a '-p 1' h:1", "--b"),
        (
            "--a '-p 1' --b '-p 2' a:1 b:1",
            "expected one server with --a and --b",
        ),
        (
            "--a '-p 0' --b '' h:1",
            "--a: invalid value '0' for '--pipeline",
        ),
        (
            "--a '' --b '--rounds 3' h:1",
            "--b: unexpected argument '--rounds'",
        ),
        ("--a '' --b 'x:1' h:1", "--b: unexpected argument 'x:1'"),
        ("--a '' --b \"'\" h:1", "a second quote for each quote"),
        ("--a '-4' --b '' -6 h:1", "--ipv4"),
        ("--a '-r 5' --b '' h:1", "no --metric"),
        ("--rounds 1 a:1 b:1", "expected a count from 2 to 10000"),
        ("--metric p12 a:1 b:1", "rate or per-cpu or p50 or p99"),
        ("--fail-if-slower 2 a:1 b:1", "from 0% to 100%"),
        ("--fail-if-slower -1% a:1 b:1", "from 0% to 100%"),
        ("--undecided pass a:1 b:1", "--fail-if-slower"),
        ("--prepare '' a:1 b:1", "expected a command"),
        ("--shard 0/2 a:1 b:1", "--shard"),
        ("--start-at next:60s a:1 b:1", "--start-at"),
        ("--server-pid 7 a:1 b:1", "A and B are two processes"),
        ("--server-pin 0 a:1 b:1", "--server-pin"),
        ("--slo 'p50<1ms' a:1 b:1", "--slo"),
        ("-o x --markdown x a:1 b:1", "a file of its own"),
        ("--base a", "--new"),
        ("--base a --new b", "the reports of at least 5 runs"),
        (
            "--base a b c d e --new f g h i j -c 5",
            "--connections cannot be used with --base",
        ),
        ("--base a b c d e --new f g h i j --rounds 5", "--rounds"),
        ("--base a b c d e --new f g h i j --prepare x", "--prepare"),
    ] {
        let refusal = parsed(arguments).map(|_| ()).expect_err(arguments);
        assert!(refusal.contains(part), "{arguments}: {refusal}");
        assert_eq!(refusal.lines().count(), 1, "{refusal}");
    }
}
