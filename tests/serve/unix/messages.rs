//! Messages that have queued before the server reads.

use std::time::Duration;

use crate::support::messages::{MessageStream, Mode, bad_frame, in_each_mode};
use crate::support::{Client, Server, time_bound, within};

#[track_caller]
fn established(server: &Server, mode: Mode) -> Client {
    let client = Client::connect(server.address());
    client.echo(&mode.message(20, 1));
    client
}

#[test]
fn fault_r9_messages_and_fin_in_one_event_are_echoed_and_closed() {
    in_each_mode(|mode| {
        for buffer in ["1", "8", "256k"] {
            let server = mode.start(&["--read-buffer", buffer]);
            for length in [2, 7, 8, 9, 1000] {
                let client = established(&server, mode);
                let stream = MessageStream::new(mode.framing, length, 9);
                let frozen = server.freeze();
                client.send(&stream.bytes);
                client.half_close();
                drop(frozen);
                within(Duration::from_millis(100), || {
                    client.expect(&stream.bytes);
                    client.expect_fin();
                });
            }
        }
    });
}

#[test]
fn fault_h3_a_bad_frame_among_queued_messages_ends_in_a_fin() {
    in_each_mode(|mode| {
        let server = mode.start(&["--max-message", "1000"]);
        let client = established(&server, mode);
        let stream = MessageStream::new(mode.framing, 5000, 9);
        let frozen = server.freeze();
        client.send(&[&stream.bytes[..], &bad_frame(mode.framing), &[1; 5000]].concat());
        drop(frozen);
        within(Duration::from_millis(100), || {
            client.expect(&stream.bytes);
            client.expect_fin();
        });
    });
}

#[test]
fn fault_r8_a_reset_right_after_messages_closes_at_once() {
    in_each_mode(|mode| {
        let server = mode.start(&[]);
        for _ in 0..5 {
            let client = established(&server, mode);
            let frozen = server.freeze();
            client.send(&MessageStream::new(mode.framing, 5000, 9).bytes);
            client.reset();
            drop(frozen);
            server.await_active(0, time_bound(Duration::from_millis(100)));
        }
        server.stop().expect_no_warning();
    });
}
