//! Link-local addresses, which mean something only together with an interface.

use crate::limits::expect_refusal;
use crate::support::link_local::{LinkLocal, port_of};
use crate::support::server::serve;
use crate::support::{Client, Server};

#[test]
fn fault_n2_start_lines_the_log_and_the_banner_show_the_interface() {
    let Some(network) = LinkLocal::set_up("fault_n2 (serve)") else {
        return;
    };
    let by_number = format!("line@[fe80::1%{}]:0", network.number_of("right"));
    let server = network.serve(&[
        "--listen",
        "[fe80::1%left]:0",
        "--listen",
        &by_number,
        "--banner",
        "{peer}\\n",
        "-v",
    ]);
    for (near, far, framing) in [
        (&network.near[0], "left", "raw"),
        (&network.near[1], "right", "line"),
    ] {
        let start = format!("listening on [fe80::1%{far}]:");
        let line = server.await_output(&start);
        assert!(line.ends_with(&format!(" {framing}")), "{line}");
        let client = Client::connect(LinkLocal::far_address(near, port_of(&line)));
        let address = client.address();
        let peer = format!("[{}%{far}]:{}", address.ip(), address.port());
        client.expect(format!("{peer}\n").as_bytes());
        client.echo(b"hello\n");
        client.half_close();
        client.expect_fin();
        server.await_log(&format!(" from {peer}: peer finished, "));
    }
    server.stop().expect_no_warning();
}

#[test]
fn fault_n2_the_limit_per_address_counts_link_local_addresses_per_interface() {
    let Some(network) = LinkLocal::set_up("fault_n2 (--max-per-ip)") else {
        return;
    };
    let server = network.serve(&["--listen", "[::]:0", "--max-per-ip", "1"]);
    let port = port_of(&server.await_output("listening on [::]:"));
    let [left, right] = network
        .near
        .each_ref()
        .map(|near| LinkLocal::far_address(near, port));
    let first = Client::connect(left);
    first.echo(b"left");
    expect_refusal(left);
    server.await_log("%left]:");
    let second = Client::connect(right);
    second.echo(b"right");
    expect_refusal(right);
    first.half_close();
    first.expect_fin();
    Client::connect(left).echo(b"left again");
    let finished = server.stop();
    assert_eq!(finished.figures().get("refused"), 2);
    assert_eq!(finished.figures().get("accepted"), 3);
}

#[test]
fn fault_n2_an_unknown_interface_is_a_refused_value() {
    for listener in ["[fe80::1%nowhere]:0", "raw@[fe80::1%nowhere]:0"] {
        let mut command = serve();
        command.args(["--listen", listener]);
        command.stderr(std::process::Stdio::piped());
        let finished = Server::spawn_without_waiting(command).finished();
        assert_eq!(finished.status.code(), Some(2), "{:?}", finished.log);
        let [line] = &finished.log[..] else {
            panic!("not one line: {:?}", finished.log);
        };
        let start = format!(
            "mio-echo: invalid value '{listener}' for '--listen <ADDR:PORT>': no such interface, expected its name or number"
        );
        assert!(line.starts_with(&start), "{line}");
    }
}
