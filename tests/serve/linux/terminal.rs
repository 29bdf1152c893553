//! Standard streams that are a terminal.

use std::process::Stdio;

use rustix::process::Signal;

use super::environment::expect_service_and_stop;
use crate::support::Server;
use crate::support::server::serve;
use crate::support::terminal::Terminal;
use crate::support::unused::free_address;

#[test]
fn fault_s15_an_unread_terminal_with_little_room_does_not_stop_the_echo() {
    let Some(mut terminal) = Terminal::open("fault_s15 (both streams)") else {
        return;
    };
    terminal.leave_little_room();
    let (_unused, address) = free_address();
    let mut command = serve();
    command.args(["-vv", "--listen", &address.to_string()]);
    command.stdout(terminal.stream()).stderr(terminal.stream());
    expect_service_and_stop(Server::spawn_without_waiting(command), address);
}

#[test]
fn fault_s15_more_start_lines_than_an_unread_terminal_has_room_for_do_not_stop_the_echo() {
    /// Their start lines have 3,300 bytes: more than the room, and less than a page.
    const LISTENERS: usize = 100;
    let Some(mut terminal) = Terminal::open("fault_s15 (start lines)") else {
        return;
    };
    terminal.leave_little_room();
    let (_unused, address) = free_address();
    let mut command = serve();
    command.args(["--listen", &address.to_string()]);
    command.args(["--listen", "127.0.0.1:0"].repeat(LISTENERS));
    command.stdout(terminal.stream()).stderr(Stdio::null());
    expect_service_and_stop(Server::spawn_without_waiting(command), address);
}

#[test]
fn fault_s15_a_log_that_starts_on_an_unread_terminal_does_not_stop_the_echo() {
    let Some(mut terminal) = Terminal::open("fault_s15 (log)") else {
        return;
    };
    terminal.leave_little_room();
    let (_unused, address) = free_address();
    let mut command = serve();
    command.args(["--listen", &address.to_string()]);
    command.stdout(Stdio::null()).stderr(terminal.stream());
    expect_service_and_stop(Server::spawn_without_waiting(command), address);
}

#[test]
fn fault_s15_a_terminal_that_is_read_gets_every_line() {
    let Some(mut terminal) = Terminal::open("fault_s15 (read)") else {
        return;
    };
    let mut command = serve();
    command.args(["--listen", "127.0.0.1:0"]);
    command.stdout(terminal.stream()).stderr(terminal.stream());
    let mut server = Server::spawn_without_waiting(command);
    terminal.await_first("listening on ");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let text = terminal.read_to_end();
    for line in ["up to ", "stop requested", "accepted 0, refused 0"] {
        assert!(text.contains(line), "no `{line}` in {text}");
    }
}
