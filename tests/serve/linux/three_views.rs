//! README shows one connection as the kernel sees it and as the log tells it. `conn/mod.rs` has the table of transitions.

use std::collections::HashMap;
use std::fs;
use std::net::{Shutdown, TcpStream};

use rustix::net::{SendFlags, send};

use crate::support::server::serve;
use crate::support::temp_dir::TempDir;
use crate::support::{Server, strace};

/// What stands before a number that can differ from run to run: a descriptor, or a port.
const BEFORE_NUMBERS: [&str; 9] = [
    "epoll_wait(",
    "epoll_ctl(",
    "accept4(",
    "recvfrom(",
    "sendto(",
    "EPOLL_CTL_ADD, ",
    "SOCK_NONBLOCK) = ",
    "htons(",
    "127.0.0.1:",
];

#[test]
fn one_connection_in_readme_is_a_real_run() {
    if !strace::is_usable("one_connection_in_readme_is_a_real_run") {
        return;
    }
    let (calls, log) = a_run();
    let shown = lines_of_readme();
    let (shown_log, shown_calls): (Vec<_>, Vec<_>) =
        shown.into_iter().partition(|line| is_of_log(line));
    // The log is written by another thread, so only the order within each is compared.
    for (shown, real) in [(shown_calls, calls), (shown_log, log)] {
        assert!(!shown.is_empty() && shown.len() <= real.len(), "{real:#?}");
        for (shown, real) in with_names(&shown).iter().zip(with_names(&real)) {
            assert!(matches(shown, &real), "README: {shown}\na run: {real}");
        }
    }
}

#[test]
fn the_log_of_one_connection_in_readme_agrees_with_the_transition_table() {
    let table = fs::read_to_string("src/conn/mod.rs").expect("the table");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter_map(|line| line.strip_prefix("//! |"))
        .map(|row| row.split('|').map(str::trim).collect())
        .collect();
    let events = HashMap::from([
        ("(peer finished sending)", "PeerFin"),
        ("(everything is delivered)", "Delivered"),
    ]);
    let shown = lines_of_readme();
    let changes = shown
        .iter()
        .filter_map(|line| line.strip_prefix("TRACE conn 1: "));
    for change in changes {
        let (from, rest) = change.split_once(" -> ").expect("a change");
        let (to, why) = rest.split_once(' ').expect("a reason");
        let column = rows[0].iter().position(|event| *event == events[why]);
        let row = rows.iter().find(|row| row[0] == from).expect("a row");
        assert_eq!(row[column.expect("a column")], to, "{change}");
    }
}

/// Returns the lines of the block after the paragraph about one connection.
fn lines_of_readme() -> Vec<String> {
    let readme = fs::read_to_string("README.md").expect("README");
    let (_, section) = readme.split_once("**One connection").expect("the section");
    let (_, block) = section.split_once("```text\n").expect("a block");
    let (block, _) = block.split_once("```").expect("the end of the block");
    block.lines().map(str::to_owned).collect()
}

/// Runs the command of README. The client sends its bytes and its FIN in one segment, as in README. Returns the system calls
/// from the first wait on, and the log of the connection.
fn a_run() -> (Vec<String>, Vec<String>) {
    let mut command = serve();
    command.args(["-vv", "--listen", "127.0.0.1:0", "--stop-on-eof"]);
    let folder = TempDir::new("three-views");
    let trace = folder.file("calls");
    let path = trace.to_str().expect("a path");
    let calls = ["-o", path, "-e", "trace=network,epoll_ctl,epoll_wait"];
    let server = Server::spawn(strace::traced(&calls, &command));
    let client = TcpStream::connect(server.address()).expect("connecting");
    send(&client, b"hello", SendFlags::MORE).expect("sending");
    client.shutdown(Shutdown::Write).expect("half-closing");
    server.await_log("5 bytes in, 5 out");
    let log = server.stop().log;
    let calls = fs::read_to_string(trace).expect("the trace");
    let first = calls.find("epoll_wait(").expect("a wait");
    let calls = calls[first..].lines().map(shortened).collect();
    let log = log.iter().map(|line| shortened(line));
    (calls, log.filter(|line| is_of_log(line)).collect())
}

/// Returns true if a shortened line is one about a connection in the log.
fn is_of_log(line: &str) -> bool {
    line.starts_with("TRACE conn ") || line.starts_with("DEBUG conn ")
}

/// Returns a line without the time and the module of a log line, and without the spaces with which strace aligns results.
fn shortened(line: &str) -> String {
    let words: Vec<_> = line.split_whitespace().collect();
    match words[..] {
        [_, level @ ("TRACE" | "DEBUG"), _, ref text @ ..] => format!("{level} {}", text.join(" ")),
        _ => words.join(" "),
    }
}

/// Returns the lines with each descriptor and port replaced by the order in which it first appears.
fn with_names(lines: &[String]) -> Vec<String> {
    let mut names = HashMap::new();
    let mut named = Vec::new();
    for line in lines {
        let mut line = line.clone();
        for before in BEFORE_NUMBERS {
            let Some((start, rest)) = line.split_once(before) else {
                continue;
            };
            let digits = rest.chars().take_while(char::is_ascii_digit).count();
            if digits == 0 {
                continue;
            }
            let (number, rest) = rest.split_at(digits);
            let next = names.len();
            let name = names.entry(number.to_owned()).or_insert(next);
            line = format!("{start}{before}<{name}>{rest}");
        }
        named.push(line);
    }
    named
}

/// Returns true if `line` is `shown`, whose `...` stand for any text.
fn matches(shown: &str, line: &str) -> bool {
    let mut parts = shown.split("...");
    let Some(mut rest) = parts.next().and_then(|start| line.strip_prefix(start)) else {
        return false;
    };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.is_empty()
}
