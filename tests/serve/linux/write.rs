//! The system calls, memory and processor time of writing.

use std::thread;
use std::time::Duration;

use crate::support::server::server_override;
use crate::support::{Client, DEADLINE, Data, QUIET, Server, proc, size_bound, wait_for};

#[test]
#[cfg(not(mio_unsupported_force_poll_poll))]
fn fault_w2_an_echo_costs_one_read_one_write_and_at_most_one_wait() {
    use crate::support::strace::{Strace, count};
    const ECHOES: usize = 500;
    let server = Server::start(&[]);
    let client = Client::connect(server.address());
    client.echo(b"warm");
    let Some(strace) = Strace::attach("fault_w2", server.pid(), "all") else {
        return;
    };
    for _ in 0..ECHOES {
        client.echo(&[1; 64]);
    }
    let calls = strace.detach();
    let waits = count(&calls, &["epoll_wait", "epoll_pwait", "epoll_pwait2"]);
    assert_eq!(
        count(&calls, &["read", "recv", "recvfrom"]),
        ECHOES,
        "{calls:#?}"
    );
    assert_eq!(
        count(&calls, &["write", "send", "sendto"]),
        ECHOES,
        "{calls:#?}"
    );
    // The server may have been in one wait before the first echo, and is in another after the last.
    assert!(waits <= ECHOES + 2, "{waits} waits");
    assert_eq!(count(&calls, &["epoll_ctl"]), 0, "{calls:#?}");
}

#[test]
fn fault_w3_a_client_that_never_reads_costs_bounded_memory_and_no_time() {
    const MARK: u32 = 64 << 10;
    // The allocator and the buffer round up to pages.
    const ROUNDING: u32 = 16 << 10;
    let cases = [
        ("1", 1, 512 << 10),
        ("8", 8, 512 << 10),
        ("256k", 256 << 10, 100 << 20),
    ];
    // Under Wine every call is slow, and two calls per byte take minutes.
    let skipped = if server_override().is_some() { 2 } else { 0 };
    for (buffer, bytes, length) in cases.into_iter().skip(skipped) {
        let small = ["--socket-buffer", "16k"];
        let sockets = if bytes <= 8 { &small[..] } else { &[] };
        let server = Server::start(&[&["--read-buffer", buffer], sockets].concat());
        let warm_up = Client::connect(server.address());
        warm_up.exchange(&Data::new(1), (length as usize).min(4 << 20));
        warm_up.half_close();
        warm_up.expect_fin();
        let before = proc::memory(server.pid());

        let client = match sockets {
            [] => Client::connect(server.address()),
            _ => Client::connect_with_small_buffers(server.address(), 16 << 10),
        };
        let data = Data::new(3);
        let sent = client.send_until_blocked(&mut data.clone(), length as usize);
        assert!(
            sent < length as usize,
            "the client was never blocked: {sent} bytes"
        );
        // The server may still echo bytes that it has read. After that it must rest.
        wait_for("the server rests", DEADLINE, || {
            let before = proc::cpu(server.pid());
            thread::sleep(QUIET);
            proc::cpu(server.pid()) - before <= size_bound(Duration::from_millis(1))
        });
        let growth = proc::memory(server.pid()).saturating_sub(before);
        let allowed = size_bound(MARK + bytes + ROUNDING);
        assert!(
            growth <= u64::from(allowed),
            "the memory grew by {growth} bytes, more than {allowed}"
        );

        let rest = length as usize - sent;
        thread::scope(|scope| {
            let mut outgoing = data.clone();
            outgoing.skip(sent);
            let client = &client;
            scope.spawn(move || {
                for at in (0..rest).step_by(64 << 10) {
                    client.send(&outgoing.take((64 << 10).min(rest - at)));
                }
                client.half_close();
            });
            client.expect_data(&mut data.clone(), length as usize);
        });
        client.expect_fin();
    }
}
