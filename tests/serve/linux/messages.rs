//! The memory, descriptors and processor time of framed sessions.

use std::thread;
use std::time::Duration;

use crate::support::messages::{MessageStream, bad_frame, in_each_mode};
use crate::support::{Client, DEADLINE, QUIET, proc, size_bound, wait_for};

#[test]
fn fault_w3_unread_messages_take_bounded_memory() {
    // The high-water mark and one read, both as bytes and as messages; then rounding, and the messages of the workers.
    const MAX_GROWTH: u32 = 2 * (64 << 10) + 2 * (64 << 10) + (64 << 10);
    const LENGTH: usize = 2 << 20;
    in_each_mode(|mode| {
        let server = mode.start(&["--read-buffer", "64k", "--socket-buffer", "64k"]);
        Client::connect(server.address())
            .exchange_bytes(&MessageStream::new(mode.framing, 256 << 10, 1).bytes);
        server.await_active(0, DEADLINE);
        let before = proc::memory(server.pid());

        let client = Client::connect_with_small_buffers(server.address(), 64 << 10);
        let stream = MessageStream::new(mode.framing, LENGTH, 3);
        let sent = client.send_bytes_until_blocked(&stream.bytes);
        assert!(sent < stream.bytes.len(), "the client was never blocked");
        wait_for("the server rests", DEADLINE, || {
            let before = proc::cpu(server.pid());
            thread::sleep(QUIET);
            proc::cpu(server.pid()) - before <= size_bound(Duration::from_millis(1))
        });
        let growth = proc::memory(server.pid()).saturating_sub(before);
        assert!(
            growth <= u64::from(size_bound(MAX_GROWTH)),
            "{mode:?}: {growth} bytes"
        );

        let whole = stream.whole_messages(sent);
        client.expect(&stream.bytes[..whole]);
        client.half_close();
        client.expect_fin();
    });
}

#[test]
fn fault_h5_every_end_of_a_framed_session_frees_everything() {
    in_each_mode(|mode| {
        let server = mode.start(&["--max-message", "1000", "--work-time", "10ms"]);
        Client::connect(server.address()).echo(&mode.message(20, 1));
        server.await_active(0, DEADLINE);
        let at_start = proc::descriptors(server.pid());
        let message = mode.message(20, 2);
        for turn in 0..30 {
            let client = Client::connect(server.address());
            client.send(&message.repeat(3));
            match turn % 4 {
                0 => client.reset(),
                1 => drop(client),
                2 => {
                    client.send(&bad_frame(mode.framing));
                    client.expect(&message.repeat(3));
                    client.expect_fin();
                }
                _ => {
                    client.send(&message[..10]);
                    client.half_close();
                    client.expect(&message.repeat(3));
                    client.expect_fin();
                }
            }
        }
        wait_for("every connection is closed", DEADLINE, || {
            server.figures().closed() == 31
        });
        assert_eq!(proc::descriptors(server.pid()), at_start);
    });
}
