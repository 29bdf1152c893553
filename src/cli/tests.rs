use std::ffi::OsString;
use std::iter;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use clap::{Arg, CommandFactory};
use log::LevelFilter;
use mio_echo::conn::Framing;
use mio_echo::net::{BACK_END, Config, Listen, OffloadPolicy, WhenFull};

use super::definition::is_path;
use super::parse::{Cli, SERVE, SUBCOMMANDS, version};
use super::*;

/// A value that every option refuses, except those that take any text or a path.
const BAD: &str = r"\q";

/// A process that has inherited no sockets.
pub fn no_sockets() -> Result<Vec<InheritedSocket>, String> {
    Ok(Vec::new())
}

/// Parses `mio-echo serve` with `arguments`, which must be accepted.
fn serve(arguments: &str, variables: &[(&str, &str)]) -> ServeOptions {
    match parsed(SERVE, arguments.split_whitespace(), variables) {
        Ok(Command::Serve(serve)) => *serve,
        other => panic!("{arguments}: {other:?}"),
    }
}

/// Returns why `mio-echo serve` with `arguments` is refused.
fn refusal<'a>(arguments: impl IntoIterator<Item = &'a str>, variables: &[(&str, &str)]) -> String {
    refusal_of(SERVE, arguments, variables)
}

fn refusal_of<'a>(
    subcommand: &'a str,
    arguments: impl IntoIterator<Item = &'a str>,
    variables: &[(&str, &str)],
) -> String {
    match parsed(subcommand, arguments, variables) {
        Ok(command) => panic!("accepted: {command:?}"),
        Err(reason) => reason,
    }
}

fn parsed<'a>(
    subcommand: &'a str,
    arguments: impl IntoIterator<Item = &'a str>,
    variables: &[(&str, &str)],
) -> Result<Command, String> {
    let variable = |name: &str| {
        let (_, value) = variables.iter().find(|(set, _)| *set == name)?;
        Some(value.into())
    };
    parse(
        ["mio-echo", subcommand]
            .into_iter()
            .chain(arguments)
            .map(OsString::from),
        variable,
        no_sockets,
    )
}

fn options() -> Vec<clap::Arg> {
    options_of(SERVE)
}

fn options_of(subcommand: &str) -> Vec<clap::Arg> {
    let mut command = Cli::command();
    command.build();
    let subcommand = command.find_subcommand(subcommand).unwrap();
    subcommand.get_opts().cloned().collect()
}

#[cfg(feature = "client")]
mod client;

#[test]
fn clap_accepts_the_definitions() {
    Cli::command().debug_assert();
}

#[test]
fn the_defaults_are_those_of_the_library() {
    let serve = serve("", &[]);
    assert_eq!(
        format!("{:?}", serve.config),
        format!("{:?}", Config::default())
    );
    assert_eq!(serve.level, LevelFilter::Info);
    assert_eq!(serve.log_format, LogFormat::Auto);
    assert!(!serve.stop_on_eof);
}

#[test]
fn every_option_sets_its_own_field() {
    let serve = serve(
        r"-l 127.0.0.1:1 -l len8@:2 --framing line --banner hi\n --max-connections 70000 --when-full close
          --max-per-ip 3 --idle-timeout 4 --write-timeout 5 --stop-delay 6 --drain-timeout 7 --keepalive 8
          --backlog 9 --read-buffer 10 --high-water 11 --socket-buffer 12 --max-memory 18 --stop-on-eof -vv
          --frame-timeout 13 --session-timeout 17 --max-message 14 --workers 15 --work-time 16 --offload large
          --log-format json",
        &[],
    );
    let config = Config {
        listen: vec![
            (Listen::At(([127, 0, 0, 1], 1).into()), Framing::Line),
            (Listen::Wildcard(2), Framing::Len8),
        ],
        inherited: Vec::new(),
        #[cfg(feature = "threads")]
        threads: 1,
        banner: "hi\n".into(),
        max_connections: Some(70_000),
        other_descriptors: 0,
        when_full: WhenFull::Close,
        max_per_ip: Some(3),
        #[cfg(feature = "proxy")]
        proxy_networks: Vec::new(),
        idle_timeout: Some(Duration::from_secs(4)),
        write_timeout: Some(Duration::from_secs(5)),
        frame_timeout: Some(Duration::from_secs(13)),
        session_timeout: Some(Duration::from_secs(17)),
        stop_delay: Duration::from_secs(6),
        drain_timeout: Duration::from_secs(7),
        keepalive: Some(Duration::from_secs(8)),
        backlog: 9,
        read_buffer: 10,
        high_water: 11,
        max_message: 14,
        workers: 15,
        simulated_work: Duration::from_secs(16),
        offload: OffloadPolicy::Large,
        max_memory: Some(18),
        socket_buffer: Some(12),
    };
    assert_eq!(format!("{:?}", serve.config), format!("{config:?}"));
    assert_eq!(serve.level, LevelFilter::Trace);
    assert_eq!(serve.log_format, LogFormat::Json);
    assert!(serve.stop_on_eof);
}

#[cfg(feature = "metrics")]
#[test]
fn metrics_have_an_address_without_a_framing_and_a_file() {
    let without = serve("", &[]).metrics;
    assert_eq!((without.listen, without.file), (None, None));
    let options = serve("--metrics [::1]:9100 --metrics-file a/b.prom", &[]);
    let endpoint = Listen::At("[::1]:9100".parse().expect("an address"));
    assert_eq!(options.metrics.listen, Some(endpoint));
    assert_eq!(options.metrics.file, Some("a/b.prom".into()));
    assert_eq!(options.config.other_descriptors, 12);
    let variables = [("MIO_ECHO_METRICS", "9100")];
    let from_variable = serve("", &variables).metrics;
    assert_eq!(from_variable.listen, Some(Listen::Wildcard(9100)));
    for address in ["raw@127.0.0.1:1", "localhost:1", "127.0.0.1", "1:2:3"] {
        let line = refusal(["--metrics", address], &[]);
        let start = format!("invalid value '{address}' for '--metrics <ADDR:PORT>': ");
        assert!(line.starts_with(&start), "{line}");
        assert!(line.contains("expected ADDR:PORT"), "{line}");
    }
}

#[cfg(feature = "proxy")]
#[test]
fn commas_separate_networks_of_proxies_and_so_do_blanks_in_the_variable() {
    let networks = |arguments: &str, variables: &[(&str, &str)]| {
        let networks = serve(arguments, variables).config.proxy_networks;
        let texts: Vec<_> = networks.iter().map(ToString::to_string).collect();
        texts.join(" ")
    };
    let expected = "10.0.0.0/8 ::1/128 127.0.0.0/8";
    let typed = "--proxy-protocol 10.0.0.0/8,::1 --proxy-protocol 127.0.0.0/8";
    assert_eq!(networks(typed, &[]), expected);
    let variable = ("MIO_ECHO_PROXY_PROTOCOL", "10.0.0.0/8,::1 127.0.0.0/8");
    assert_eq!(networks("", &[variable]), expected);
}

#[test]
fn the_framing_of_a_listener_wins_over_the_option() {
    use Framing::{Crlf, Len8, Len16, Len16Le, Raw};
    for (typed, first, second) in [
        ("-l 1 -l 2", Raw, Raw),
        ("-l len8@1 -l 2", Len8, Raw),
        ("--framing crlf -l 1 -l raw@2", Crlf, Raw),
        ("-l len16@1 -l len16le@2 --framing nul", Len16, Len16Le),
    ] {
        assert_eq!(
            serve(typed, &[]).config.listen,
            [(Listen::Wildcard(1), first), (Listen::Wildcard(2), second)],
            "{typed}"
        );
    }
}

#[cfg(feature = "threads")]
#[test]
fn threads_are_a_number_or_the_cpus_of_this_process() {
    assert_eq!(serve("", &[]).config.threads, 1);
    assert_eq!(serve("--threads 3", &[]).config.threads, 3);
    let cpus = std::thread::available_parallelism().expect("the CPUs");
    assert_eq!(serve("-t auto", &[]).config.threads, cpus.get());
    for typed in ["0", "1025", "all"] {
        let line = refusal(["--threads", typed], &[]);
        let expected = format!(
            "invalid value '{typed}' for '--threads <N>': expected a count from 1 to 1024, or auto"
        );
        assert!(line.starts_with(&expected), "{line}");
    }
}

#[test]
fn workers_need_a_listener_with_messages() {
    for (typed, workers) in [
        ("--framing raw --workers 2", "2"),
        ("--framing line -l raw@1 -l nul@2 --workers 1", "1"),
        ("--workers 1024", "1024"),
    ] {
        assert_eq!(
            refusal(typed.split(' '), &[]),
            format!(
                "invalid value '{workers}' for '--workers' (MIO_ECHO_WORKERS): raw and nul have no messages, expected a listener \
                 with line, crlf, len8, len16 or len16le"
            )
        );
    }
    for typed in [
        "--workers 0",
        "--framing line --workers 2",
        "-l raw@1 -l len8@2 --workers 2",
    ] {
        serve(typed, &[]);
    }
    refusal(["--framing=line", "--workers=1025"], &[]);
}

#[test]
fn only_messages_that_may_exceed_the_read_buffer_can_be_large() {
    for (typed, buffer, message) in [
        ("--offload large", 262_144, 65_536),
        (
            "--offload large --read-buffer 64k --framing len16 --workers 1",
            65_536,
            65_536,
        ),
        ("--offload large --read-buffer 16 --max-message 15", 16, 15),
    ] {
        assert_eq!(
            refusal(typed.split(' '), &[]),
            format!(
                "invalid value 'large' for '--offload' (MIO_ECHO_OFFLOAD): no message is larger than the read buffer, expected \
                 --read-buffer ({buffer}) below --max-message ({message})"
            )
        );
    }
    let config = serve("--offload large --read-buffer 15 --max-message 16", &[]).config;
    assert_eq!(config.offload, OffloadPolicy::Large);
}

#[test]
fn zero_disables_a_limit() {
    let typed =
        "--idle-timeout 0 --write-timeout 0ms --keepalive 0 --frame-timeout 0s --session-timeout 0";
    let config = serve(typed, &[]).config;
    assert_eq!(
        [
            config.idle_timeout,
            config.write_timeout,
            config.keepalive,
            config.frame_timeout,
            config.session_timeout
        ],
        [None; 5]
    );
}

#[test]
fn a_refused_value_is_one_line_with_option_value_and_what_is_allowed() {
    // The client has its own test: without a target, clap refuses nothing else.
    let subcommands = SUBCOMMANDS.iter().filter(|name| **name != "client");
    let options = subcommands.flat_map(|subcommand| {
        options_of(subcommand)
            .into_iter()
            .map(move |option| (subcommand, option))
    });
    let takes_any_text = |option: &Arg| is_path(option) || option.get_long() == Some("label");
    for (subcommand, option) in
        options.filter(|(_, option)| option.get_action().takes_values() && !takes_any_text(option))
    {
        let long = option.get_long().unwrap();
        let line = refusal_of(subcommand, [format!("--{long}={BAD}").as_str()], &[]);
        assert!(
            line.starts_with(&format!("invalid value '{BAD}' for '--{long}")),
            "{line}"
        );
        assert!(line.contains(": expected "), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

#[test]
fn a_refused_variable_is_one_line_with_variable_value_and_what_is_allowed() {
    // A path may be any text.
    for option in options().into_iter().filter(|option| !is_path(option)) {
        let name = environment::variable_name(option.get_long().unwrap());
        let line = refusal([], &[(&name, BAD)]);
        assert!(
            line.starts_with(&format!("invalid value '{BAD}' for '{name}': expected ")),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

#[test]
fn every_option_has_help_with_its_default() {
    for option in SUBCOMMANDS
        .iter()
        .flat_map(|subcommand| options_of(subcommand))
    {
        let help = option.get_help().unwrap().to_string();
        assert!(
            !option.get_default_values().is_empty() || help.contains("default: "),
            "{help}"
        );
    }
}

#[test]
fn help_explains_values_and_exit_codes() {
    let mut command = Cli::command();
    command.build();
    let subcommands = SUBCOMMANDS
        .iter()
        .map(|name| command.find_subcommand(name).unwrap())
        .flat_map(|subcommand| iter::once(subcommand).chain(subcommand.find_subcommand("merge")));
    for subcommand in subcommands {
        let notes = subcommand.get_after_help().unwrap().to_string();
        assert!(notes.contains("Exit code:\n  0 "), "{notes}");
        let names = subcommand.get_opts().filter_map(clap::Arg::get_value_names);
        for name in names.flatten() {
            if ["DUR", "SIZE", "N", "BOOL"].contains(&name.as_str()) {
                assert!(notes.contains(&format!("{name} is ")), "{name}: {notes}");
            }
        }
    }
}

#[test]
fn seed_s1_1_bad_numbers_are_refused_with_one_line() {
    for value in ["abc", "-1"] {
        let line = refusal(["--max-connections", value], &[]);
        assert!(
            line.starts_with(&format!(
                "invalid value '{value}' for '--max-connections <N>': expected a count from 1"
            )),
            "{line}"
        );
    }
    let line = refusal(["--listen", "70000"], &[]);
    assert!(
        line.starts_with("invalid value '70000' for '--listen <ADDR:PORT>': no such port"),
        "{line}"
    );
}

#[test]
fn control_characters_of_a_refused_value_are_escaped() {
    let line = refusal(["--backlog", "1\n2\u{1b}[31m"], &[]);
    assert!(
        line.starts_with(r"invalid value '1\n2\u{1b}[31m' for '--backlog <N>': expected "),
        "{line}"
    );

    let line = refusal([], &[("MIO_ECHO_VERBOSE", "1\n2")]);
    assert_eq!(
        line,
        r"invalid value '1\n2' for 'MIO_ECHO_VERBOSE': expected 0, 1 or 2"
    );

    assert_eq!(
        refusal(["--a\nb"], &[]),
        r"unexpected argument '--a\nb' found"
    );
}

#[test]
fn misuse_is_refused_in_one_line() {
    for (arguments, expected) in [
        (
            &["--no-such-option"][..],
            "unexpected argument '--no-such-option' found",
        ),
        (&["stray"], "unexpected argument 'stray' found"),
        (
            &["--backlog"],
            "a value is required for '--backlog <N>' but none was supplied",
        ),
        (
            &["--backlog", "1", "--backlog", "2"],
            "the argument '--backlog <N>' cannot be used multiple times",
        ),
    ] {
        assert_eq!(refusal(arguments.iter().copied(), &[]), expected);
    }
    for (arguments, expected) in [
        (
            &["mio-echo"][..],
            "'mio-echo' requires a subcommand but one was not provided [subcommands: serve",
        ),
        (&["mio-echo", "sreve"], "unrecognized subcommand 'sreve'"),
        (&["mio-echo", "-x"], "unexpected argument '-x' found"),
    ] {
        let line = parse(arguments.iter().map(OsString::from), |_| None, no_sockets)
            .err()
            .unwrap();
        assert!(line.starts_with(expected), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

#[test]
fn help_and_version_are_printed() {
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["--version"],
        &["-V"],
        &["help"],
        &["serve", "--help"],
        #[cfg(feature = "client")]
        &["client", "--help"],
    ] {
        let arguments = ["mio-echo"].iter().chain(arguments);
        let parsed = parse(arguments.map(OsString::from), |_| None, no_sockets);
        assert!(matches!(parsed, Ok(Command::Help(_))), "{parsed:?}");
    }
}

#[test]
fn the_version_names_the_back_end_and_the_subcommands() {
    assert!(version().starts_with(env!("CARGO_PKG_VERSION")));
    assert!(version().contains(&format!("back end {BACK_END}")));
    assert!(version().contains("features: serve"));
    assert!(version().ends_with(&SUBCOMMANDS.join(", ")));
}

/// Parses `mio-echo serve` with `arguments`, in a process that has inherited a socket of each name.
fn serve_with_sockets(arguments: &str, names: &[&str]) -> Result<Command, String> {
    let arguments = ["mio-echo", SERVE]
        .into_iter()
        .chain(arguments.split_whitespace());
    let socket = |name: &&str| InheritedSocket {
        name: (*name).to_owned(),
        socket: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"),
    };
    let sockets = || Ok(names.iter().map(socket).collect());
    parse(arguments.map(OsString::from), |_| None, sockets)
}

#[test]
fn inherited_sockets_replace_the_default_listener_and_may_be_named_after_their_framing() {
    use Framing::{Len8, Line, Nul, Raw};
    for (typed, names, bound, framings) in [
        ("", &["raw", "len8"][..], 0, &[Raw, Len8][..]),
        (
            "--framing line",
            &["", "nul", "mio-echo.socket"],
            0,
            &[Line, Nul, Line],
        ),
        ("-l nul@1 -l 2", &["len8"], 2, &[Nul, Raw, Len8]),
        ("-l 127.0.0.1:7007", &["len8"], 1, &[Raw, Len8]),
        ("--workers 1", &["len8"], 0, &[Len8]),
        ("", &[], 1, &[Raw]),
    ] {
        let Ok(Command::Serve(serve)) = serve_with_sockets(typed, names) else {
            panic!("{typed} {names:?}");
        };
        assert_eq!(serve.config.listen.len(), bound, "{typed} {names:?}");
        let found: Vec<_> = serve.config.framings().collect();
        assert_eq!(found, framings, "{typed} {names:?}");
    }
    let refused = serve_with_sockets("--workers 1", &["raw"]).expect_err("no messages");
    assert!(refused.contains("--workers"), "{refused}");
}

#[test]
fn an_inherited_socket_that_is_refused_refuses_the_command_line() {
    let arguments = || ["mio-echo", SERVE].map(OsString::from);
    let refuse = || Err("no socket".to_owned());
    let refused = parse(arguments(), |_| None, refuse).expect_err("a refusal");
    assert_eq!(refused, "no socket");
}

#[test]
fn a_variable_sets_an_option() {
    let serve = serve(
        "",
        &[
            ("MIO_ECHO_LISTEN", " 127.0.0.1:1\t[::1]:2  3\n"),
            ("MIO_ECHO_BANNER", "hello there "),
            ("MIO_ECHO_MAX_CONNECTIONS", "50k"),
            ("MIO_ECHO_FRAMING", "len16le"),
            ("MIO_ECHO_WORKERS", "3"),
            ("MIO_ECHO_MAX_MEMORY", "2g"),
            ("MIO_ECHO_WORK_TIME", "5ms"),
            ("MIO_ECHO_STOP_ON_EOF", "1"),
            ("MIO_ECHO_VERBOSE", "2"),
        ],
    );
    let framings = serve.config.listen.iter().map(|(_, framing)| *framing);
    assert_eq!(framings.collect::<Vec<_>>(), [Framing::Len16Le; 3]);
    assert_eq!(serve.config.workers, 3);
    assert_eq!(serve.config.max_memory, Some(2 << 30));
    assert_eq!(serve.config.simulated_work, Duration::from_millis(5));
    assert_eq!(serve.config.banner, "hello there ");
    assert_eq!(serve.config.max_connections, Some(50_000));
    assert_eq!(serve.level, LevelFilter::Trace);
    assert!(serve.stop_on_eof);
}

#[test]
fn the_command_line_wins_over_variables() {
    let variables = [
        ("MIO_ECHO_LISTEN", "1 2"),
        ("MIO_ECHO_BACKLOG", BAD),
        ("MIO_ECHO_STOP_ON_EOF", "true"),
    ];
    let serve = serve("-l 3 --backlog 4 --stop-on-eof=false", &variables);
    assert_eq!(serve.config.listen, [(Listen::Wildcard(3), Framing::Raw)]);
    assert_eq!(serve.config.backlog, 4);
    assert!(!serve.stop_on_eof);
}

#[test]
fn an_empty_variable_is_unset_and_an_unknown_one_is_ignored() {
    let variables = [
        ("MIO_ECHO_LISTEN", ""),
        ("MIO_ECHO_BACKLOG", ""),
        ("MIO_ECHO_VERBOSE", ""),
        ("MIO_ECHO_PORT", "tcp://10.0.0.1:7007"),
        ("MIO_ECHO_HELP", "1"),
    ];
    let config = serve("", &variables).config;
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
}

#[test]
fn a_list_of_blanks_is_unset() {
    assert_eq!(
        serve("", &[("MIO_ECHO_LISTEN", "  ")]).config.listen,
        Config::default().listen
    );
}

#[test]
fn the_last_one_typed_of_quiet_and_verbose_wins() {
    let quiet = ("MIO_ECHO_QUIET", "true");
    let verbose = ("MIO_ECHO_VERBOSE", "1");
    for (arguments, variables, level) in [
        ("-q", &[][..], LevelFilter::Error),
        ("-v", &[], LevelFilter::Debug),
        ("-v -v", &[], LevelFilter::Trace),
        ("-vvv", &[], LevelFilter::Trace),
        ("-v -q", &[], LevelFilter::Error),
        ("-q -v", &[], LevelFilter::Debug),
        ("", &[quiet], LevelFilter::Error),
        ("", &[quiet, verbose], LevelFilter::Debug),
        ("", &[("MIO_ECHO_QUIET", "0"), verbose], LevelFilter::Debug),
        ("", &[("MIO_ECHO_VERBOSE", "0")], LevelFilter::Info),
        ("-v --quiet=false", &[], LevelFilter::Debug),
        ("--quiet=false -vv", &[], LevelFilter::Trace),
        ("--quiet=false", &[verbose], LevelFilter::Debug),
        ("--quiet=false", &[quiet], LevelFilter::Info),
        ("-v", &[quiet], LevelFilter::Debug),
        ("-vv", &[verbose], LevelFilter::Trace),
        ("-q", &[verbose], LevelFilter::Error),
    ] {
        assert_eq!(
            serve(arguments, variables).level,
            level,
            "{arguments} {variables:?}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf_8_is_refused_by_name() {
    use std::os::unix::ffi::OsStringExt;

    let variable =
        |name: &str| (name == "MIO_ECHO_BANNER").then(|| OsString::from_vec(b"\xff".to_vec()));
    let line = parse(
        ["mio-echo", "serve"].map(OsString::from),
        variable,
        no_sockets,
    )
    .err()
    .unwrap();
    assert_eq!(
        line,
        "invalid value '\u{fffd}' for 'MIO_ECHO_BANNER': expected UTF-8"
    );
}
