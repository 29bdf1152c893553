//! Measurements through link-local addresses, which mean something only together with an interface.

use serde_json::json;

use crate::bench::{Report, bench, run};
use crate::support::link_local::{LinkLocal, port_of};

#[test]
fn fault_n2_the_reports_show_the_interface_of_the_server_and_of_the_sources() {
    let Some(network) = LinkLocal::set_up("fault_n2 (bench)") else {
        return;
    };
    let server = network.serve(&["--listen", "[fe80::1%left]:0", "-v"]);
    let port = port_of(&server.await_output("listening on [fe80::1%left]:"));
    let near = &network.near[0];
    let number = LinkLocal::far_address(near, port);
    let options = format!("-c 2 -n 20 -w 0 --source fe80::5%{near}/127 {number}");

    let report = Report::of(&run(bench(&format!("-J {options}")), 0));
    report.expect_all(20);
    assert_eq!(
        report.at("/config/address"),
        &format!("[fe80::1%{near}]:{port}")
    );
    let sources = ["4", "5"].map(|host| format!("fe80::{host}%{near}"));
    assert_eq!(report.at("/config/sources"), &json!(sources));
    for host in ["4", "5"] {
        server.await_log(&format!(" from [fe80::{host}%left]:"));
    }

    let text = run(bench(&options), 0).output.join("\n");
    let start = format!("{number} ([fe80::1%{near}]:{port}): raw, ");
    assert!(text.starts_with(&start), "{text}");
    server.stop().expect_no_warning();
}

#[test]
fn fault_n2_a_source_with_an_unknown_interface_is_a_refused_value() {
    for (value, reason) in [
        (
            "fe80::1%nowhere",
            "no such interface, expected its name or number",
        ),
        (
            "fe80::1%nowhere/126",
            "no such interface, expected its name or number",
        ),
        (
            "::1%lo",
            "expected an interface only after a link-local address",
        ),
    ] {
        let finished = run(bench(&format!("--source {value}")), 2);
        let [line] = &finished.log[..] else {
            panic!("not one line: {:?}", finished.log);
        };
        let start = format!("mio-echo: invalid value '{value}' for '--source <ADDRS>': {reason}");
        assert!(line.starts_with(&start), "{line}");
    }
}
