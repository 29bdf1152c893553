//! Failed connects: refused, timed out, unreachable or unresolved, with the address.

use crate::program::run;
use crate::support::Server;
use crate::support::unused::unused_address;

#[test]
fn refused_names_the_address_and_the_system_error() {
    let (_unused, address) = unused_address();
    let target = address.to_string();
    let prefix = format!("cannot connect to {target}: refused: ");
    run(&[&target]).expect_failure(1, &[&prefix, "os error"]);
    let outcome = run(&[&target, "-m", "hello"]);
    outcome.expect_failure(1, &["connection 1: ", &prefix]);
    assert_eq!(outcome.lines(), ["0 of 1 equal"]);
}

#[test]
fn every_address_of_a_name_is_tried_and_named() {
    let (_unused, address) = unused_address();
    let target = format!("localhost:{}", address.port());
    let prefix = format!("cannot connect to {target}: ");
    run(&["-4", &target]).expect_failure(1, &[&prefix, "127.0.0.1:", " refused: "]);
}

#[test]
fn a_name_is_resolved_to_the_address_that_answers() {
    let server = Server::start(&[]);
    let target = format!("localhost:{}", server.address().port());
    let outcome = run(&[&target, "-m", "hello"]);
    outcome.expect_success();
    assert_eq!(outcome.lines(), ["1: hello", "1 of 1 equal"]);
}

#[test]
fn a_name_with_a_line_break_is_refused_in_one_line() {
    run(&["a\nb:1"]).expect_failure(2, &["\\n", "expected HOST:PORT"]);
}

#[test]
fn an_unresolved_name_is_named() {
    let expected = ["cannot connect to name.invalid:7: unresolved: "];
    run(&["name.invalid:7"]).expect_failure(1, &expected);
    let outcome = run(&["name.invalid:7", "-c", "3", "-m", "hello"]);
    outcome.expect_failure(1, &expected);
    assert!(outcome.output.is_empty());
}

#[test]
fn an_address_family_that_the_target_lacks_is_unresolved() {
    run(&["-6", "127.0.0.1:7"]).expect_failure(1, &["127.0.0.1:7: unresolved: no IPv6 address"]);
}

#[test]
fn misuse_is_refused_with_one_line() {
    for (args, texts) in [
        (&["localhost"][..], &["'localhost'", "HOST:PORT"][..]),
        (&[], &["HOST:PORT"]),
        (
            &["a:1", "-c", "0", "-m", "b"],
            &["'0'", "--connections", "1"],
        ),
        (&["a:1", "-c", "3"], &["--connections", "--message"]),
        (
            &["a:1", "--timeout", "1x", "-m", "b"],
            &["'1x'", "--timeout"],
        ),
        (
            &["a:1", "--framing", "line", "-m", "b\nc"],
            &[r"'b\nc'", "--message", "LF"],
        ),
        (&["a:1", "-4", "-6"], &["--ipv4", "--ipv6"]),
    ] {
        let outcome = run(args);
        outcome.expect_failure(2, texts);
        assert!(outcome.output.is_empty());
    }
}
