//! `--log-format json`.

use serde_json::Value;

use crate::support::{Client, Server};

/// Returns the members of the line whose message begins with `start`.
#[track_caller]
fn object<'a>(objects: &'a [Value], start: &str) -> &'a Value {
    let message = |object: &&Value| {
        object["message"]
            .as_str()
            .is_some_and(|text| text.starts_with(start))
    };
    objects
        .iter()
        .find(message)
        .unwrap_or_else(|| panic!("no `{start}` in {objects:#?}"))
}

#[test]
fn every_line_of_a_json_log_is_an_object_and_a_connection_has_its_fields() {
    let server = Server::start(&["-vv", "--log-format", "json", "--max-per-ip", "1"]);
    let listener = server.address().to_string();
    let client = Client::connect(server.address());
    client.echo(b"hello");
    // The reset may come before the client has looked at its socket.
    drop(Client::try_connect(server.address()));
    server.await_log("refused ");
    let peer = client.address().to_string();
    client.half_close();
    client.expect_fin();
    let log = server.stop().log;
    let objects: Vec<Value> = log
        .iter()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    for object in &objects {
        for name in ["time", "level", "target", "message"] {
            assert!(object[name].is_string(), "no {name}: {object}");
        }
    }
    let closed = object(&objects, "conn 1 from ");
    assert_eq!(closed["level"], "debug");
    assert_eq!(closed["conn"], 1);
    assert_eq!(closed["peer"], *peer);
    assert_eq!(closed["listener"], *listener);
    assert_eq!(closed["reason"], "peer finished");
    assert_eq!(closed["bytes"], 5);
    let change = object(&objects, "conn 1: Open -> ");
    assert_eq!(change["level"], "trace");
    assert_eq!(change["conn"], 1);
    assert_eq!(change["reason"], "peer finished sending");
    let refused = object(&objects, "refused ");
    assert_eq!(refused["level"], "warn");
    assert_eq!(refused["listener"], *listener);
    assert_eq!(refused["reason"], "too many connections from its address");
    assert_eq!(object(&objects, "up to ")["level"], "info");
}
