use std::time::Duration;

use mio_echo::net::IpFamily;

use super::*;

fn client(arguments: &str) -> ClientOptions {
    match parsed_client(arguments.split_whitespace()) {
        Ok(Command::Client(client)) => client,
        Ok(other) => panic!("{other:?}"),
        Err(reason) => panic!("{arguments}: {reason}"),
    }
}

fn refused_client<'a>(arguments: impl IntoIterator<Item = &'a str>) -> String {
    match parsed_client(arguments) {
        Ok(command) => panic!("accepted: {command:?}"),
        Err(reason) => reason,
    }
}

/// Parses `mio-echo client` with `arguments`. Only `serve` reads variables: all are set to a refused value.
fn parsed_client<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Command, String> {
    let arguments = ["mio-echo", "client"].into_iter().chain(arguments);
    parse(
        arguments.map(OsString::from),
        |_| Some(BAD.into()),
        no_sockets,
    )
}

#[test]
fn without_a_message_the_client_sends_standard_input() {
    let client = client("localhost:7007");
    assert!(client.messages.is_none());
    assert!(!client.quiet);
    assert_eq!(client.config.target, "localhost:7007");
    assert_eq!(client.config.family, IpFamily::Any);
    assert_eq!(client.config.connect_timeout, Some(Duration::from_secs(5)));
    assert_eq!(client.config.skip, 0);
}

#[test]
fn every_option_of_the_client_sets_its_own_field() {
    let client = client(
        "-m a -m -b [::1]:1 -c 2 -n 3k -q --framing len8 --skip 4k --connect-timeout 5ms --timeout 0 -6",
    );
    let messages = client.messages.unwrap();
    assert_eq!(messages.texts, ["a", "-b"]);
    assert_eq!((messages.connections, messages.rounds), (2, 3000));
    assert_eq!(messages.framing, Framing::Len8);
    assert_eq!(messages.timeout, None);
    assert!(client.quiet);
    assert_eq!(client.config.target, "[::1]:1");
    assert_eq!(client.config.family, IpFamily::V6);
    assert_eq!(client.config.skip, 4096);
    assert_eq!(
        client.config.connect_timeout,
        Some(Duration::from_millis(5))
    );
}

#[test]
fn the_default_timeout_of_a_reply_is_ten_seconds() {
    let messages = client("h:1 -m a").messages.unwrap();
    assert_eq!(messages.timeout, Some(Duration::from_secs(10)));
    assert_eq!((messages.connections, messages.rounds), (1, 1));
    assert_eq!(messages.framing, Framing::Raw);
    assert_eq!(client("h:1 -4").config.family, IpFamily::V4);
    assert_eq!(client("h:1 --ipv6").config.family, IpFamily::V6);
}

#[test]
fn a_refused_value_of_the_client_is_one_line_with_option_value_and_what_is_allowed() {
    let takes_any_text = |option: &clap::Arg| option.get_long() == Some("message");
    for option in options_of("client")
        .iter()
        .filter(|option| option.get_action().takes_values() && !takes_any_text(option))
    {
        let (typed, name) = match option.get_long() {
            Some(long) => (
                vec!["h:1".into(), format!("--{long}={BAD}")],
                format!("--{long}"),
            ),
            None => (vec![BAD.to_owned()], "<HOST:PORT>".into()),
        };
        let line = refused_client(typed.iter().map(String::as_str));
        let start = format!("invalid value '{BAD}' for '{name}");
        assert!(line.starts_with(&start), "{line}");
        assert!(line.contains(": expected "), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

#[test]
fn a_target_has_a_host_and_a_port() {
    for text in [
        "h:1",
        "a.example:65535",
        "127.0.0.1:7",
        "[::1]:7007",
        "[fe80::1%2]:7",
    ] {
        assert_eq!(client(text).config.target, text);
    }
    for text in [
        "localhost",
        "7007",
        ":7007",
        "h:",
        "h:0",
        "h:70000",
        "h:+7",
        "h:http",
        "[::1]",
        "http://h:1",
        "a,b:1",
        "[]:1",
        "tcp@h:1",
    ] {
        let line = refused_client([text]);
        assert!(
            line.starts_with(&format!("invalid value '{text}' for '<HOST:PORT>': ")),
            "{line}"
        );
        assert!(line.contains("expected HOST:PORT, HOST a name"), "{line}");
    }
    for text in ["a b:1", "a\tb:1", "a\nb:1", "a\u{7f}b:1", "a\u{a0}b:1"] {
        let line = refused_client([text]);
        assert!(line.contains("expected HOST:PORT, HOST a name"), "{line}");
        assert_eq!(line.lines().count(), 1);
    }
    for text in ["::1:7007", "::1", "fe80::1:7"] {
        assert!(
            refused_client([text]).contains("IPv6 goes in brackets"),
            "{text}"
        );
    }
}

#[test]
fn misuse_of_the_client_is_refused_in_one_line() {
    for (arguments, expected) in [
        (
            &[][..],
            "the following required arguments were not provided: <HOST:PORT>",
        ),
        (
            &["h:1", "-4", "-6"],
            "the argument '--ipv4' cannot be used with '--ipv6'",
        ),
        (&["h:1", "h:2"], "unexpected argument 'h:2' found"),
        (
            &["--no-such", "h:1"],
            "unexpected argument '--no-such' found",
        ),
        (
            &["h:1", "-c", "2"],
            "'--connections <N>' is for messages: expected --message <TEXT> with it",
        ),
        (
            &["h:1", "-n", "2"],
            "'--count <N>' is for messages: expected --message <TEXT> with it",
        ),
        (
            &["h:1", "--framing", "len8"],
            "'--framing <FRAMING>' is for messages: expected --message <TEXT> with it",
        ),
        (
            &["h:1", "--timeout", "1s"],
            "'--timeout <DUR>' is for messages: expected --message <TEXT> with it",
        ),
    ] {
        assert_eq!(refused_client(arguments.iter().copied()), expected);
    }
}

#[test]
fn a_message_that_its_framing_cannot_carry_is_refused() {
    let long = "x".repeat(254);
    let (with_number, longest) = (format!("{}{{i}}", &long[1..]), "x".repeat(65_534));
    for (framing, message, why) in [
        ("raw", "", "expected at least one byte"),
        ("nul", "", "expected at least one byte"),
        ("line", "a\nb", "expected text without LF"),
        ("crlf", "a\r\nb", "expected text without CR LF"),
        ("len8", &with_number, "expected at most 254 bytes"),
        ("len16", &longest, "expected at most 65533 bytes"),
        ("len16le", &longest, "expected at most 65533 bytes"),
    ] {
        let line = refused_client([
            "h:1",
            "-c",
            "10",
            "--framing",
            framing,
            "-m",
            "b",
            "-m",
            message,
        ]);
        let end = format!("' for '--message <TEXT>' with the framing {framing}: {why}");
        assert!(
            line.starts_with("invalid value '") && line.ends_with(&end),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1);
    }
    client(&format!("h:1 -c 9 --framing len8 -m {with_number}"));
}
