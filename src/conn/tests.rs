//! The rules of the state machine, one test for each, grouped by state.

mod messages;

use std::io::ErrorKind;
use std::sync::Arc;

use super::script::Script;
use super::sim::SECOND;
use super::*;

const READ_BUFFER: usize = 16;
const HIGH_WATER: usize = 8;

/// More bytes than the scripted sockets of most tests have queued.
const QUEUED: usize = 1000;

/// A connection, its scripted socket, and the other arguments of `drive`.
struct Rig {
    connection: Connection,
    socket: Script,
    buffers: Buffers,
    now: u64,
}

/// Returns a read buffer of `size` bytes, and blocks in which the longest message of most tests has room.
fn plentiful_buffers(size: usize) -> Buffers {
    let blocks = BlockPool::new(1 << 16, 2, 8).expect("memory");
    Buffers::new(size, blocks, 1).expect("memory")
}

impl Rig {
    fn new(socket: Script) -> Self {
        Self::with_sizes(READ_BUFFER, HIGH_WATER, socket)
    }

    fn with_sizes(read_buffer: usize, high_water: usize, socket: Script) -> Self {
        Self::with_short_read(read_buffer, high_water, ShortRead::ProvesNothing, socket)
    }

    fn with_short_read(
        read_buffer: usize,
        high_water: usize,
        short_read: ShortRead,
        socket: Script,
    ) -> Self {
        Self::with_settings(Settings::raw(high_water, short_read), read_buffer, socket)
    }

    fn with_settings(settings: Settings, read_buffer: usize, socket: Script) -> Self {
        Self {
            connection: Connection::new(7, Arc::new(settings), 0),
            socket,
            buffers: plentiful_buffers(read_buffer),
            now: 0,
        }
    }

    /// Returns a connection in every situation in which it can wait for an event, with a name.
    fn in_every_situation() -> Vec<(&'static str, Rig)> {
        vec![
            ("open", Rig::new(Script::new())),
            ("open, paused", Rig::paused()),
            ("finishing", Rig::finishing()),
            ("lingering, owing", Rig::lingering_and_owing()),
            ("lingering", Rig::lingering()),
        ]
    }

    /// Returns an open connection with 16 bytes pending, which is above the high-water mark.
    fn paused() -> Rig {
        let mut rig = Rig::new(Script::new().read_gives(&[b'x'; 16]).write_blocks());
        assert_eq!(rig.ready(readable()), Progress::Wait);
        assert_eq!(rig.connection.pending(), 16);
        rig.socket.take_calls();
        rig
    }

    /// Returns a connection whose peer has finished, with 4 bytes pending.
    fn finishing() -> Rig {
        let socket = Script::new().read_gives(b"data").write_blocks().read_ends();
        let mut rig = Rig::new(socket);
        assert_eq!(rig.ready(readable()), Progress::Wait);
        assert_eq!(rig.connection.state(), State::Finishing);
        rig.socket.take_calls();
        rig
    }

    /// Returns a connection whose session we have ended, with 4 bytes pending.
    fn lingering_and_owing() -> Rig {
        let mut rig = Rig::new(Script::new().read_gives(b"data").write_blocks());
        rig.connection.handle_shutdown(QUEUED);
        assert_eq!(rig.drive(), Progress::Wait);
        assert_eq!(rig.connection.state(), State::Lingering);
        rig.socket.take_calls();
        rig
    }

    /// Returns a connection whose session we have ended, and whose FIN went out at 1 s.
    fn lingering() -> Rig {
        let mut rig = Rig::new(Script::new());
        rig.connection.handle_shutdown(QUEUED);
        assert_eq!(rig.drive(), Progress::SendFin);
        rig.now = SECOND;
        rig.connection.handle_fin_sent(rig.now);
        assert_eq!(rig.drive(), Progress::Wait);
        rig.socket.take_calls();
        rig
    }

    /// Drives the connection. The error of a dead socket is a reset.
    fn drive(&mut self) -> Progress {
        let progress = self.drive_once();
        if progress != Progress::TakeError {
            return progress;
        }
        self.connection
            .handle_taken_error(ErrorKind::ConnectionReset);
        self.drive_once()
    }

    fn drive_once(&mut self) -> Progress {
        self.connection
            .drive(&mut self.socket, &mut self.buffers, self.now)
    }

    fn ready(&mut self, ready: Ready) -> Progress {
        self.connection.handle_ready(ready);
        self.drive()
    }

    /// Lets the running timer expire after one second, and drives the connection.
    fn timeout(&mut self) -> Progress {
        self.now += SECOND;
        let timer = self.connection.timer().expect("a timer is running");
        self.connection.handle_timeout(timer);
        self.drive()
    }

    /// Delivers events until everything is read, echoed and taken.
    fn run_until_idle(&mut self) -> Progress {
        loop {
            let progress = self.ready(readable_and_writable());
            if progress != Progress::Again && !self.connection.wants_write() {
                return progress;
            }
        }
    }

    fn ended_by(&self) -> CloseReason {
        assert_eq!(self.connection.state(), State::Closed);
        self.connection
            .close_reason()
            .expect("a closed connection has a reason")
    }
}

fn readable() -> Ready {
    Ready {
        readable: true,
        ..Ready::default()
    }
}

fn writable() -> Ready {
    Ready {
        writable: true,
        ..Ready::default()
    }
}

/// What Windows reports on most occasions.
fn readable_and_writable() -> Ready {
    Ready {
        readable: true,
        writable: true,
        ..Ready::default()
    }
}

fn error() -> Ready {
    Ready {
        error: true,
        ..Ready::default()
    }
}

fn write_closed() -> Ready {
    Ready {
        write_closed: true,
        ..Ready::default()
    }
}

/// Returns the lines of a worked trace in the documentation of `conn`.
pub(crate) fn documented_trace(heading: &str) -> Vec<&'static str> {
    include_str!("mod.rs")
        .lines()
        .skip_while(|line| *line != format!("//! ## {heading}"))
        .skip_while(|line| *line != "//! ```text")
        .skip(1)
        .take_while(|line| *line != "//! ```")
        .map(|line| line.trim_start_matches("//! "))
        .collect()
}

/// Returns bytes with the period 251, so that a lost, repeated or swapped byte is detected.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

mod in_every_state {
    use super::sim::{CAUSES, STATES};
    use super::*;

    /// Returns the cells of each row of the table in the module's documentation.
    fn table() -> Vec<Vec<&'static str>> {
        include_str!("mod.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! |")?.strip_suffix('|'))
            .map(|row| row.split('|').map(str::trim).collect())
            .collect()
    }

    #[test]
    fn the_documented_transition_table_is_what_next_does() {
        let mut expected = vec![vec!["state".to_string()], vec!["-----------".to_string()]];
        for cause in CAUSES {
            expected[0].push(format!("{cause:?}"));
            expected[1].push("-".repeat(format!("{cause:?}").len().max(8) + 2));
        }
        for state in STATES {
            let mut row = vec![format!("{state:?}")];
            row.extend(CAUSES.map(|cause| format!("{:?}", state.next(cause))));
            expected.push(row);
        }
        let table = table();
        assert_eq!(table.len(), expected.len());
        assert_eq!(table[0], expected[0]);
        assert_eq!(table[2..], expected[2..]);
    }

    #[test]
    fn the_index_of_a_close_reason_is_its_position_in_all() {
        for (index, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), index, "{reason:?}");
        }
    }

    #[test]
    fn a_reset_closes_at_once_in_every_state() {
        let resets: [fn(&mut Connection); 2] = [
            |c| c.handle_ready(error()),
            |c| c.handle_error(ErrorKind::NotFound),
        ];
        for reset in resets {
            for (situation, mut rig) in Rig::in_every_situation() {
                let first_reason = rig.connection.close_reason();
                let has_pending_output = rig.connection.pending() > 0;

                reset(&mut rig.connection);

                let progress = if has_pending_output {
                    Progress::Abort
                } else {
                    Progress::Close
                };
                assert_eq!(rig.drive(), progress, "{situation}");
                let expected = first_reason
                    .filter(|_| !has_pending_output)
                    .unwrap_or(CloseReason::Reset);
                assert_eq!(rig.ended_by(), expected, "{situation}");
                rig.socket.expect_calls(&[]);
            }
        }
    }

    #[test]
    fn fault_t6_the_error_of_a_dead_socket_tells_a_reset_from_a_peer_that_no_longer_answers() {
        use ErrorKind::*;
        let gave_up = [
            TimedOut,
            HostUnreachable,
            NetworkUnreachable,
            ConnectionRefused,
            PermissionDenied,
            Other,
        ];
        let resets = [ConnectionReset, ConnectionAborted, BrokenPipe, NotConnected];
        let errors = gave_up.map(|kind| (kind, CloseReason::NoAnswer));
        for (kind, reason) in errors
            .into_iter()
            .chain(resets.map(|kind| (kind, CloseReason::Reset)))
        {
            let mut idle = Rig::new(Script::new());
            idle.connection.handle_ready(error());
            assert_eq!(idle.drive_once(), Progress::TakeError);
            idle.connection.handle_taken_error(kind);
            assert_eq!(idle.drive_once(), Progress::Close);
            assert_eq!(idle.ended_by(), reason, "{kind}");

            // Owed bytes are lost, so the death of the socket replaces the reason for our FIN.
            let mut owing = Rig::lingering_and_owing();
            owing.connection.handle_ready(error());
            assert_eq!(owing.drive_once(), Progress::TakeError);
            owing.connection.handle_taken_error(kind);
            assert_eq!(owing.drive_once(), Progress::Abort);
            assert_eq!(owing.ended_by(), reason, "{kind}");
        }
    }

    #[test]
    fn a_closed_sending_side_is_a_reset_until_we_have_sent_a_fin() {
        for (situation, mut rig) in Rig::in_every_situation() {
            let fin_sent = rig.connection.timer() == Some(Timer::Linger);
            let has_pending_output = rig.connection.pending() > 0;
            let expected = match (fin_sent, has_pending_output) {
                (true, _) => Progress::Wait,
                (false, true) => Progress::Abort,
                (false, false) => Progress::Close,
            };
            assert_eq!(rig.ready(write_closed()), expected, "{situation}");
        }
    }

    #[test]
    fn every_close_that_drops_owed_bytes_is_an_abort() {
        let mut write_timeout = Rig::paused();
        write_timeout.socket = Script::new().write_blocks();
        assert_eq!(write_timeout.timeout(), Progress::Abort);
        assert_eq!(write_timeout.ended_by(), CloseReason::WriteTimeout);

        let mut drain = Rig::lingering_and_owing();
        drain.connection.handle_drain_deadline();
        assert_eq!(drain.drive(), Progress::Abort);
        assert_eq!(drain.ended_by(), CloseReason::DrainTimeout);

        let failure = ErrorKind::OutOfMemory;
        let mut failed = Rig::new(Script::new().read_gives(b"data").write_fails(failure));
        assert_eq!(failed.ready(readable()), Progress::Abort);
        assert_eq!(
            failed.ended_by(),
            CloseReason::Failed(SocketError::new(SocketCall::Write, &failure.into()))
        );

        let mut reset = Rig::paused();
        reset.connection.handle_error(ErrorKind::NotFound);
        assert_eq!(reset.drive(), Progress::Abort);
        assert_eq!(reset.ended_by(), CloseReason::Reset);
    }

    #[test]
    fn fault_w9_a_failed_call_of_the_owner_aborts_although_nothing_is_owed() {
        // The peer may have sent more, so a FIN would make a part of its echo look like the whole.
        for (situation, mut rig) in Rig::in_every_situation() {
            rig.connection.handle_error(ErrorKind::OutOfMemory);
            assert_eq!(rig.drive(), Progress::Abort, "{situation}");
            let failed = CloseReason::Failed(ErrorKind::OutOfMemory.into());
            assert_eq!(rig.ended_by(), failed, "{situation}");
        }
    }

    #[test]
    fn the_drain_deadline_aborts_only_connections_that_owe_bytes() {
        for (situation, mut rig) in Rig::in_every_situation() {
            let has_pending_output = rig.connection.pending() > 0;
            rig.connection.handle_drain_deadline();
            let (progress, reason) = if has_pending_output {
                (Progress::Abort, CloseReason::DrainTimeout)
            } else {
                (Progress::Close, CloseReason::Stopped)
            };
            assert_eq!(rig.drive(), progress, "{situation}");
            assert_eq!(rig.ended_by(), reason, "{situation}");
        }
    }

    #[test]
    fn a_closed_connection_does_not_use_its_socket() {
        for (situation, mut rig) in Rig::in_every_situation() {
            rig.connection.handle_drain_deadline();
            let progress = rig.drive();
            let reason = rig.ended_by();

            rig.connection.handle_shutdown(QUEUED);
            rig.connection.handle_drain_deadline();
            rig.connection.handle_timeout(Timer::Idle);
            assert_eq!(rig.ready(readable_and_writable()), progress, "{situation}");
            assert_eq!(rig.ready(error()), progress, "{situation}");

            assert_eq!(rig.ended_by(), reason, "{situation}");
            assert_eq!(rig.connection.timer(), None, "{situation}");
            assert!(!rig.connection.wants_write(), "{situation}");
            rig.socket.expect_calls(&[]);
        }
    }

    #[test]
    fn a_connection_takes_at_most_104_bytes() {
        let size = size_of::<Connection>();
        println!("a connection takes {size} bytes");
        assert!(size <= 104, "{size} bytes");
    }
}

mod open {
    use super::*;

    #[test]
    fn nothing_is_read_before_an_event() {
        let mut rig = Rig::new(Script::new().read_gives(b"data"));
        assert_eq!(rig.drive(), Progress::Wait);
        rig.socket.expect_calls(&[]);
    }

    #[test]
    fn a_spurious_event_costs_one_system_call() {
        let mut rig = Rig::new(Script::new());
        assert_eq!(rig.ready(readable_and_writable()), Progress::Wait);
        rig.socket.expect_calls(&["read(16) = WouldBlock"]);
        assert_eq!(rig.drive(), Progress::Wait);
        rig.socket.expect_calls(&[]);
    }

    #[test]
    fn a_short_read_ends_reading_only_if_it_proves_the_socket_empty() {
        for (short_read, calls) in [
            (
                ShortRead::ProvesEmpty,
                &["read(16) = 4", "write(4) = 4"][..],
            ),
            (
                ShortRead::ProvesNothing,
                &["read(16) = 4", "write(4) = 4", "read(16) = WouldBlock"],
            ),
        ] {
            let socket = Script::new().read_gives(b"data");
            let mut rig = Rig::with_short_read(READ_BUFFER, HIGH_WATER, short_read, socket);
            assert_eq!(rig.ready(readable()), Progress::Wait);
            rig.socket.expect_calls(calls);
        }
    }

    #[test]
    fn fault_r9_data_and_fin_in_one_event_are_read_to_the_end() {
        let socket = Script::new().read_gives(b"data").read_ends();
        let mut rig = Rig::with_short_read(READ_BUFFER, HIGH_WATER, ShortRead::ProvesEmpty, socket);
        let event = Ready {
            read_closed: true,
            ..readable()
        };
        assert_eq!(rig.ready(event), Progress::Close);
        assert_eq!(rig.ended_by(), CloseReason::PeerClosed);
        rig.socket
            .expect_calls(&["read(16) = 4", "write(4) = 4", "read(16) = 0"]);
    }

    #[test]
    fn fault_r6_data_after_an_urgent_mark_is_read() {
        let socket = Script::new().read_gives(b"before").read_gives(b"after");
        let mut rig = Rig::with_short_read(READ_BUFFER, HIGH_WATER, ShortRead::ProvesEmpty, socket);
        let event = Ready {
            priority: true,
            ..readable()
        };
        assert_eq!(rig.ready(event), Progress::Wait);
        assert_eq!(rig.socket.written(), b"beforeafter");
    }

    #[test]
    fn fault_r10_a_block_at_an_urgent_mark_proves_nothing() {
        let socket = || Script::new().read_blocks().read_gives(b"after").read_ends();
        let new =
            || Rig::with_short_read(READ_BUFFER, HIGH_WATER, ShortRead::ProvesEmpty, socket());
        let event = Ready {
            priority: true,
            ..readable()
        };
        let mut rig = new();
        assert_eq!(rig.ready(event), Progress::Close);
        assert_eq!(rig.socket.written(), b"after");

        let mut rig = new();
        rig.connection.handle_shutdown(QUEUED);
        assert_eq!(rig.drive(), Progress::Close);
        assert_eq!(rig.socket.written(), b"after");
    }

    #[test]
    fn fault_w1_partial_writes_lose_nothing() {
        let faults: [fn(Script) -> Script; 3] = [
            |script| script.write_takes(1),
            Script::write_takes_all_but_one,
            Script::write_blocks,
        ];
        for (read_buffer, len) in [(1, 12), (8, 100), (4096, 20_000)] {
            for fault in faults {
                for call in 0..40 {
                    let mut socket = Script::new();
                    for _ in 0..call {
                        socket = socket.write_takes_all();
                    }
                    let socket = fault(socket).read_gives(&pattern(len)).read_ends();
                    let mut rig = Rig::with_sizes(read_buffer, HIGH_WATER, socket);
                    assert_eq!(rig.run_until_idle(), Progress::Close);
                    assert_eq!(rig.socket.written(), pattern(len), "call {call}");
                    assert_eq!(rig.ended_by(), CloseReason::PeerClosed);
                }
            }
        }
    }

    #[test]
    fn fault_w1_one_byte_per_write_loses_nothing() {
        for read_buffer in [1, 8, 4096] {
            let mut socket = Script::new().read_gives(&pattern(500)).read_ends();
            for _ in 0..250 {
                socket = socket.write_takes(1).write_blocks();
            }
            let mut rig = Rig::with_sizes(read_buffer, HIGH_WATER, socket);
            assert_eq!(rig.run_until_idle(), Progress::Close);
            assert_eq!(rig.socket.written(), pattern(500));
        }
    }

    #[test]
    fn fault_r7_an_interrupted_call_has_no_visible_effect() {
        fn run(interrupt_read: Option<usize>, interrupt_write: Option<usize>) -> Vec<String> {
            let mut socket = Script::new();
            for call in 0..4 {
                if interrupt_read == Some(call) {
                    socket = socket.read_fails(ErrorKind::Interrupted);
                }
                socket = match call {
                    0 => socket.read_gives(b"0123456789abcdef"),
                    1 => socket.read_gives(b"data"),
                    2 => socket.read_blocks(),
                    _ => socket.read_ends(),
                };
                if interrupt_write == Some(call) {
                    socket = socket.write_fails(ErrorKind::Interrupted);
                }
                socket = match call {
                    0 => socket.write_takes(5),
                    1 => socket.write_blocks(),
                    _ => socket.write_takes(11),
                };
            }
            let mut rig = Rig::with_sizes(16, 32, socket);
            let mut seen = vec![];
            for event in [readable(), writable(), readable()] {
                let progress = rig.ready(event);
                let timer = rig.connection.timer();
                seen.push(format!("{progress:?} {timer:?}"));
                seen.extend(rig.socket.take_calls());
            }
            seen.retain(|line| !line.contains("Interrupted"));
            seen.push(format!("{:?}", rig.socket.written()));
            seen.push(format!("{:?}", rig.ended_by()));
            seen
        }

        let undisturbed = run(None, None);
        assert_eq!(
            undisturbed.iter().filter(|s| s.starts_with("read")).count(),
            4
        );
        for call in 0..4 {
            assert_eq!(run(Some(call), None), undisturbed);
            assert_eq!(run(None, Some(call)), undisturbed);
            assert_eq!(run(Some(call), Some(call)), undisturbed);
        }
    }

    #[test]
    fn fault_w7_a_local_write_error_aborts_and_a_dead_connection_is_a_reset() {
        // The kind of ENOBUFS has no stable name. It is classified like these two.
        for kind in [ErrorKind::OutOfMemory, ErrorKind::Other] {
            let mut rig = Rig::new(Script::new().read_gives(b"data").write_fails(kind));
            assert_eq!(rig.ready(readable()), Progress::Abort);
            assert_eq!(
                rig.ended_by(),
                CloseReason::Failed(SocketError::new(SocketCall::Write, &kind.into()))
            );
        }
        for kind in [
            ErrorKind::BrokenPipe,
            ErrorKind::ConnectionReset,
            ErrorKind::ConnectionAborted,
            ErrorKind::NotConnected,
        ] {
            let mut rig = Rig::new(Script::new().read_gives(b"data").write_fails(kind));
            assert_eq!(rig.ready(readable()), Progress::Abort);
            assert_eq!(rig.ended_by(), CloseReason::Reset);
        }
    }

    #[test]
    fn a_failed_read_is_classified_like_a_failed_write() {
        let mut rig = Rig::new(Script::new().read_fails(ErrorKind::TimedOut));
        assert_eq!(rig.ready(readable()), Progress::Close);
        assert_eq!(rig.ended_by(), CloseReason::NoAnswer);

        let mut rig = Rig::new(Script::new().read_fails(ErrorKind::ConnectionReset));
        assert_eq!(rig.ready(readable()), Progress::Close);
        assert_eq!(rig.ended_by(), CloseReason::Reset);

        let mut rig = Rig::new(Script::new().read_fails(ErrorKind::Other));
        assert_eq!(rig.ready(readable()), Progress::Abort);
        assert_eq!(
            rig.ended_by(),
            CloseReason::Failed(SocketError::new(SocketCall::Read, &ErrorKind::Other.into()))
        );
    }

    #[test]
    fn reading_pauses_at_the_high_water_mark_and_resumes_after_delivery() {
        let socket = Script::new().read_gives(&pattern(40)).write_blocks();
        let mut rig = Rig::new(socket);
        assert_eq!(rig.ready(readable()), Progress::Wait);
        rig.socket
            .expect_calls(&["read(16) = 16", "write(16) = WouldBlock"]);
        assert!(rig.connection.wants_write());

        // Further events do not end the pause.
        assert_eq!(rig.ready(readable()), Progress::Wait);
        rig.socket.expect_calls(&[]);

        assert_eq!(rig.ready(writable()), Progress::Wait);
        assert!(!rig.connection.wants_write());
        assert_eq!(rig.socket.written(), pattern(40));
    }

    #[test]
    fn pending_bytes_stay_below_the_high_water_mark_plus_one_read() {
        for read_buffer in [1, 8, 64] {
            let socket = Script::new().read_gives(&pattern(1000)).write_blocks();
            let mut rig = Rig::with_sizes(read_buffer, HIGH_WATER, socket);
            while rig.ready(readable()) == Progress::Again {}
            let pending = rig.connection.pending();
            assert!((HIGH_WATER..HIGH_WATER + read_buffer).contains(&pending));
        }
    }

    #[test]
    fn a_run_ends_after_sixteen_reads() {
        let mut rig = Rig::with_sizes(1, HIGH_WATER, Script::new().read_gives(&pattern(20)));
        assert_eq!(rig.ready(readable()), Progress::Again);
        assert_eq!(rig.socket.written(), pattern(16));
        assert_eq!(rig.drive(), Progress::Wait);
        assert_eq!(rig.socket.written(), pattern(20));
    }

    #[test]
    fn a_run_ends_after_256_kib_but_reads_at_least_once() {
        let data = pattern(1 << 20);
        for (read_buffer, in_one_run) in [
            (64 << 10, 256 << 10),
            (256 << 10, 256 << 10),
            (512 << 10, 512 << 10),
        ] {
            let mut rig = Rig::with_sizes(read_buffer, HIGH_WATER, Script::new().read_gives(&data));
            assert_eq!(rig.ready(readable()), Progress::Again);
            assert_eq!(rig.socket.written().len(), in_one_run);
        }
    }

    #[test]
    fn a_greeting_precedes_the_echo() {
        let socket = Script::new().read_gives(b"data").write_takes(3);
        let mut rig = Rig::new(socket);
        rig.connection.greet(b"hello ", &mut rig.buffers);
        assert!(rig.connection.wants_write());
        assert_eq!(rig.ready(readable()), Progress::Wait);
        assert_eq!(rig.socket.written(), b"hello data");
    }

    #[test]
    fn a_greeting_counts_as_sent_but_not_as_echoed() {
        let socket = Script::new().write_takes(3).write_blocks();
        let mut rig = Rig::new(socket.read_gives(b"data"));
        rig.connection.greet(b"hello ", &mut rig.buffers);
        rig.drive();
        assert_eq!((rig.connection.sent(), rig.connection.echoed()), (3, 0));
        rig.run_until_idle();
        assert_eq!((rig.connection.sent(), rig.connection.echoed()), (10, 4));
    }

    #[test]
    fn an_empty_greeting_takes_no_buffer() {
        let mut rig = Rig::new(Script::new());
        rig.connection.greet(b"", &mut rig.buffers);
        assert_eq!(rig.buffers.blocks.in_use(), 0);
    }

    #[test]
    fn only_bytes_restart_the_idle_timer() {
        let mut rig = Rig::new(Script::new().read_blocks().read_gives(b"data"));
        rig.now = SECOND;
        rig.ready(readable_and_writable());
        assert_eq!(rig.connection.timer(), Some(Timer::Idle));
        assert_eq!(rig.connection.timer_started(), 0, "no byte arrived");

        rig.now = 2 * SECOND;
        rig.ready(readable());
        assert_eq!(rig.connection.timer(), Some(Timer::Idle));
        assert_eq!(rig.connection.timer_started(), 2 * SECOND, "bytes arrived");

        // Bytes that the kernel takes restart the timer too.
        let mut rig = Rig::paused();
        rig.now = 3 * SECOND;
        rig.ready(writable());
        assert_eq!(rig.connection.timer(), Some(Timer::Idle));
        assert_eq!(
            rig.connection.timer_started(),
            3 * SECOND,
            "bytes were taken"
        );
    }

    #[test]
    fn after_an_idle_timeout_the_connection_lingers() {
        let mut rig = Rig::new(Script::new());
        assert_eq!(rig.timeout(), Progress::SendFin);
        assert_eq!(rig.connection.state(), State::Lingering);
        assert_eq!(
            rig.connection.close_reason(),
            Some(CloseReason::IdleTimeout)
        );
    }

    #[test]
    fn fault_t8_the_session_timer_ends_the_session_once_everything_is_read() {
        let mut rig = Rig::with_sizes(1, HIGH_WATER, Script::new().read_gives(&pattern(20)));
        rig.connection.handle_timeout(Timer::Session);
        assert_eq!(rig.drive(), Progress::Again, "the budget is 16 reads");
        assert_eq!(rig.drive(), Progress::SendFin);
        assert_eq!(rig.socket.written(), pattern(20));
        let reason = rig.connection.close_reason();
        assert_eq!(reason, Some(CloseReason::SessionTimeout));
        // No other timer ends a session that ends already.
        assert_eq!(rig.connection.state(), State::Lingering);
    }

    #[test]
    fn fault_t8_a_peer_that_always_sends_is_reset_when_the_session_timer_expires_again() {
        let mut rig = Rig::with_sizes(1, HIGH_WATER, Script::new().read_gives(&pattern(40)));
        rig.connection.handle_timeout(Timer::Session);
        assert_eq!(rig.drive(), Progress::Again);
        rig.connection.handle_timeout(Timer::Session);
        assert_eq!(rig.drive(), Progress::Abort);
        assert_eq!(rig.ended_by(), CloseReason::SessionTimeout);
    }

    #[test]
    fn fault_t8_what_the_peer_is_owed_is_delivered_between_the_two_expiries() {
        for (situation, mut rig) in [
            ("open, paused", Rig::paused()),
            ("finishing", Rig::finishing()),
            ("lingering, owing", Rig::lingering_and_owing()),
        ] {
            let owed = rig.connection.pending();
            let ended_by_peer = rig.connection.state() == State::Finishing;
            rig.socket = Script::new().write_takes(1).write_blocks();
            rig.connection.handle_timeout(Timer::Session);
            assert_eq!(rig.drive(), Progress::Wait, "{situation}");

            // At the second expiry the socket is asked once more, and takes everything.
            rig.connection.handle_timeout(Timer::Session);
            let progress = rig.drive();
            assert_eq!(rig.socket.written().len(), owed, "{situation}");
            let expected = if ended_by_peer {
                Progress::Close
            } else {
                Progress::SendFin
            };
            assert_eq!(progress, expected, "{situation}");
        }
    }

    #[test]
    fn fault_t8_a_peer_that_does_not_take_what_it_is_owed_is_reset() {
        for (situation, mut rig) in [
            ("open, paused", Rig::paused()),
            ("finishing", Rig::finishing()),
            ("lingering, owing", Rig::lingering_and_owing()),
        ] {
            let trickle = Script::new().write_takes(1).write_blocks();
            rig.socket = trickle.write_takes(1).write_blocks();
            rig.connection.handle_timeout(Timer::Session);
            assert_eq!(rig.drive(), Progress::Wait, "{situation}");
            rig.connection.handle_timeout(Timer::Session);
            assert_eq!(rig.drive(), Progress::Abort, "{situation}");
            assert_eq!(rig.ended_by(), CloseReason::SessionTimeout, "{situation}");
        }
    }

    #[test]
    fn a_reset_after_the_session_timeout_keeps_its_own_reason() {
        let mut rig = Rig::paused();
        rig.socket = Script::new().write_blocks();
        rig.connection.handle_timeout(Timer::Session);
        assert_eq!(rig.drive(), Progress::Wait);
        rig.connection.handle_timeout(Timer::Session);
        assert_eq!(rig.ready(error()), Progress::Abort);
        assert_eq!(rig.ended_by(), CloseReason::Reset);
    }

    #[test]
    fn bytes_that_arrived_in_time_keep_the_session_even_if_they_take_a_whole_run() {
        let mut rig = Rig::with_sizes(1, HIGH_WATER, Script::new().read_gives(&pattern(16)));
        assert_eq!(rig.timeout(), Progress::Again);
        assert_eq!(rig.connection.timer_started(), SECOND);
        rig.now += 1;
        assert_eq!(rig.drive(), Progress::Wait);
        assert_eq!(rig.connection.timer(), Some(Timer::Idle));
    }

    #[test]
    fn only_bytes_that_the_kernel_takes_restart_the_write_timer() {
        let socket = Script::new()
            .read_gives(b"data")
            .write_blocks()
            .read_blocks()
            .write_blocks()
            .read_gives(b"more")
            .read_blocks()
            .write_takes(1)
            .write_blocks();
        let mut rig = Rig::new(socket);
        for (second, event, since) in [
            (1, readable(), 1),
            (2, writable(), 1),
            (3, readable(), 1),
            (4, writable(), 4),
        ] {
            rig.now = second * SECOND;
            rig.ready(event);
            assert_eq!(rig.connection.timer(), Some(Timer::Write));
            assert_eq!(rig.connection.timer_started(), since * SECOND, "{second} s");
        }
    }

    #[test]
    fn an_expired_write_timer_aborts_only_if_the_socket_takes_nothing() {
        let mut rig = Rig::paused();
        rig.socket = Script::new().write_takes(1).write_blocks().write_blocks();

        assert_eq!(rig.timeout(), Progress::Wait);
        rig.socket
            .expect_calls(&["write(16) = 1", "write(15) = WouldBlock"]);
        assert_eq!(rig.connection.timer_started(), SECOND);

        assert_eq!(rig.timeout(), Progress::Abort);
        rig.socket.expect_calls(&["write(15) = WouldBlock"]);
        assert_eq!(rig.ended_by(), CloseReason::WriteTimeout);
    }

    #[test]
    fn after_progress_an_expired_write_timer_is_forgotten() {
        let mut rig = Rig::paused();
        rig.socket = Script::new().write_takes(1).write_blocks().write_blocks();
        assert_eq!(rig.timeout(), Progress::Wait);
        assert_eq!(rig.ready(writable()), Progress::Wait, "the check is over");
    }

    #[test]
    fn fault_r6_stop_echoes_data_after_an_urgent_mark_that_no_event_reported() {
        let socket = Script::new().read_gives(b"ab").read_gives(b"cd");
        let socket = socket.read_blocks();
        let mut rig = Rig::with_short_read(READ_BUFFER, HIGH_WATER, ShortRead::ProvesEmpty, socket);
        rig.connection.handle_shutdown(QUEUED);
        assert_eq!(rig.drive(), Progress::SendFin);
        assert_eq!(rig.socket.written(), b"abcd");
    }

    #[test]
    fn stop_echoes_input_that_has_arrived_and_then_lingers() {
        let socket = Script::new().read_gives(b"data");
        let socket = socket.read_blocks().read_blocks();
        let mut rig = Rig::new(socket.read_gives(b"too late"));
        rig.connection.handle_shutdown(QUEUED);
        assert_eq!(rig.drive(), Progress::SendFin);
        assert_eq!(rig.socket.written(), b"data");
        assert_eq!(rig.connection.close_reason(), Some(CloseReason::Stopped));

        rig.connection.handle_fin_sent(rig.now);
        assert_eq!(rig.ready(readable()), Progress::Wait);
        assert_eq!(rig.socket.written(), b"data");
        assert_eq!(rig.connection.received(), 4);
    }

    #[test]
    fn fault_s12_stop_echoes_what_was_queued_over_several_runs() {
        let queued = pattern(40);
        for (socket, end) in [
            (Script::new().read_gives(&queued), Progress::SendFin),
            (
                Script::new().read_gives(&queued).read_ends(),
                Progress::Close,
            ),
        ] {
            let mut rig = Rig::with_sizes(1, HIGH_WATER, socket);
            rig.connection.handle_shutdown(QUEUED);
            for _ in 0..2 {
                assert_eq!(rig.drive(), Progress::Again, "the budget is 16 reads");
                assert_eq!(rig.connection.close_reason(), None);
            }
            assert_eq!(rig.drive(), end);
            assert_eq!(rig.socket.written(), queued);
        }
    }

    #[test]
    fn fault_s12_stop_ends_an_endless_stream_after_what_could_be_queued() {
        let mut rig = Rig::with_sizes(1, HIGH_WATER, Script::new().read_gives(&pattern(200)));
        // The count of received bytes passes the end of 32 bits meanwhile.
        rig.connection.received = u64::from(u32::MAX) - 10;
        rig.connection.handle_shutdown(40);
        assert_eq!(rig.drive(), Progress::Again);
        assert_eq!(rig.drive(), Progress::Again);
        assert_eq!(rig.drive(), Progress::SendFin);
        assert_eq!(rig.socket.written(), pattern(48), "three budgets");
        assert_eq!(rig.buffers.discarded(0), 0);

        rig.connection.handle_fin_sent(rig.now);
        assert_eq!(rig.drive(), Progress::Again);
        assert_eq!(rig.socket.written(), pattern(48));
        assert_eq!(rig.buffers.discarded(0), 16);
    }

    #[test]
    fn fault_s12_the_drain_deadline_aborts_a_connection_that_may_have_unread_input() {
        let mut rig = Rig::with_sizes(1, HIGH_WATER, Script::new().read_gives(&pattern(40)));
        rig.connection.handle_shutdown(QUEUED);
        assert_eq!(rig.drive(), Progress::Again);
        assert_eq!(rig.connection.pending(), 0);
        rig.connection.handle_drain_deadline();
        assert_eq!(rig.drive(), Progress::Abort);
        assert_eq!(rig.ended_by(), CloseReason::DrainTimeout);
    }

    #[test]
    fn stop_echoes_input_that_had_to_wait_for_pending_bytes() {
        let mut rig = Rig::paused();
        rig.socket = Script::new()
            .write_takes(16)
            .read_gives(b"data")
            .read_blocks();
        rig.connection.handle_shutdown(QUEUED);
        assert_eq!(
            rig.drive(),
            Progress::Wait,
            "nothing is read above the high-water mark"
        );
        assert_eq!(rig.connection.close_reason(), None);
        assert_eq!(rig.ready(writable()), Progress::SendFin);
        assert_eq!(rig.connection.close_reason(), Some(CloseReason::Stopped));
        assert_eq!(rig.connection.sent(), 20);
    }

    #[test]
    fn stop_reads_up_to_the_fin_of_the_peer() {
        let mut rig = Rig::new(Script::new().read_gives(b"data").read_ends());
        rig.connection.handle_shutdown(QUEUED);
        assert_eq!(rig.drive(), Progress::Close);
        assert_eq!(rig.ended_by(), CloseReason::PeerClosed);
    }
}

mod finishing {
    use super::*;

    #[test]
    fn pending_bytes_are_delivered_before_the_close() {
        let mut rig = Rig::finishing();
        assert_eq!(rig.connection.timer(), Some(Timer::Write));
        assert_eq!(rig.ready(readable_and_writable()), Progress::Close);
        rig.socket.expect_calls(&["write(4) = 4"]);
        assert_eq!(rig.ended_by(), CloseReason::PeerClosed);
    }

    #[test]
    fn nothing_is_read_after_the_fin_of_the_peer() {
        let mut rig = Rig::finishing();
        assert_eq!(rig.ready(readable()), Progress::Wait);
        rig.socket.expect_calls(&[]);
    }

    #[test]
    fn stop_does_not_change_the_state() {
        let mut rig = Rig::finishing();
        rig.connection.handle_shutdown(QUEUED);
        assert_eq!(rig.drive(), Progress::Wait);
        assert_eq!(rig.connection.state(), State::Finishing);
        assert_eq!(rig.ready(writable()), Progress::Close);
        assert_eq!(rig.ended_by(), CloseReason::PeerClosed);
    }

    #[test]
    fn fault_h2_a_peer_that_never_reads_is_aborted() {
        let mut rig = Rig::finishing();
        rig.socket = Script::new().write_blocks();
        assert_eq!(rig.timeout(), Progress::Abort);
        assert_eq!(rig.ended_by(), CloseReason::WriteTimeout);
    }
}

mod lingering {
    use super::*;

    #[test]
    fn our_fin_waits_for_pending_bytes() {
        let mut rig = Rig::lingering_and_owing();
        assert_eq!(rig.connection.timer(), Some(Timer::Write));
        assert_eq!(rig.ready(writable()), Progress::SendFin);
        assert_eq!(rig.socket.written(), b"data");
    }

    #[test]
    fn discarded_input_is_counted_for_the_listener_of_the_connection() {
        let settings = Settings {
            listener: 2,
            ..Settings::raw(HIGH_WATER, ShortRead::ProvesNothing)
        };
        let mut rig = Rig::with_settings(settings, READ_BUFFER, Script::new());
        let blocks = BlockPool::new(16, 2, 0).expect("memory");
        rig.buffers = Buffers::new(READ_BUFFER, blocks, 3).expect("memory");
        rig.connection.handle_shutdown(0);
        assert_eq!(rig.drive(), Progress::SendFin);
        rig.socket = Script::new().read_gives(b"too late");
        rig.ready(readable());
        let discarded = [0, 1, 2].map(|listener| rig.buffers.discarded(listener));
        assert_eq!(discarded, [0, 0, 8]);
        assert_eq!((rig.connection.id(), rig.connection.listener()), (7, 2));
    }

    #[test]
    fn input_is_discarded_before_and_after_our_fin() {
        for (situation, mut rig) in Rig::in_every_situation().into_iter().skip(3) {
            rig.socket = Script::new().read_gives(b"too late");
            assert_eq!(rig.ready(readable()), Progress::Wait, "{situation}");
            rig.socket
                .expect_calls(&["read(16) = 8", "read(16) = WouldBlock"]);
        }
    }

    #[test]
    fn the_linger_timer_runs_from_our_fin_and_is_never_restarted() {
        let mut rig = Rig::lingering();
        rig.socket = Script::new().read_gives(b"too late");
        rig.now = 2 * SECOND;
        rig.ready(readable_and_writable());
        assert_eq!(rig.connection.timer(), Some(Timer::Linger));
        assert_eq!(rig.connection.timer_started(), SECOND);
    }

    #[test]
    fn an_expired_linger_timer_closes() {
        let mut rig = Rig::lingering();
        assert_eq!(rig.timeout(), Progress::Close);
        assert_eq!(rig.ended_by(), CloseReason::Stopped);
    }

    #[test]
    fn the_fin_of_the_peer_closes_and_the_first_reason_stays() {
        let mut rig = Rig::lingering();
        rig.socket = Script::new().read_ends();
        assert_eq!(rig.ready(readable()), Progress::Close);
        assert_eq!(rig.ended_by(), CloseReason::Stopped);
    }

    #[test]
    fn the_fin_of_the_peer_does_not_cancel_pending_bytes() {
        let mut rig = Rig::lingering_and_owing();
        rig.socket = Script::new().read_ends();
        assert_eq!(rig.ready(readable()), Progress::Wait);
        assert_eq!(rig.connection.state(), State::Finishing);
        assert_eq!(rig.ready(writable()), Progress::Close);
        assert_eq!(rig.socket.written(), b"data");
        assert_eq!(rig.ended_by(), CloseReason::Stopped);
    }

    #[test]
    fn a_write_timeout_replaces_the_first_reason() {
        let mut rig = Rig::lingering_and_owing();
        rig.socket = Script::new().write_blocks();
        assert_eq!(rig.timeout(), Progress::Abort);
        assert_eq!(rig.ended_by(), CloseReason::WriteTimeout);
    }

    #[test]
    fn a_connection_closes_if_our_fin_cannot_be_sent() {
        let mut rig = Rig::new(Script::new());
        assert_eq!(rig.timeout(), Progress::SendFin);
        rig.connection.handle_error(ErrorKind::NotConnected);
        assert_eq!(rig.drive(), Progress::Close);
        assert_eq!(rig.ended_by(), CloseReason::IdleTimeout);
    }
}

mod buffers {
    use super::*;

    #[test]
    fn a_peer_that_keeps_up_takes_no_block() {
        let mut rig = Rig::new(Script::new().read_gives(&pattern(100)));
        rig.run_until_idle();
        assert_eq!(rig.buffers.blocks.ever_used(), 0);
    }

    #[test]
    fn the_blocks_of_delivered_bytes_return_to_the_pool() {
        let mut rig = Rig::paused();
        assert_eq!(rig.buffers.blocks.in_use(), 1);
        rig.run_until_idle();
        assert_eq!(rig.buffers.blocks.in_use(), 0);
    }

    #[test]
    fn a_connection_that_closes_returns_its_blocks() {
        for mut rig in [
            Rig::paused(),
            Rig::framed_with_an_incomplete_message(),
            Rig::with_a_job_in_flight(),
        ] {
            assert_ne!(rig.buffers.blocks.in_use(), 0);
            rig.ready(error());
            assert_eq!(rig.connection.state(), State::Closed);
            assert_eq!(rig.buffers.blocks.in_use(), 0);
        }
    }

    #[test]
    fn fault_w5_a_reused_block_holds_no_stale_bytes() {
        let socket = Script::new().read_gives(&[b'A'; 4096]).write_blocks();
        let mut rig = Rig::with_sizes(4096, 4096, socket);
        rig.ready(readable());
        rig.run_until_idle();

        let socket = Script::new().read_gives(b"b").write_blocks();
        let mut next = Rig::with_sizes(4096, 4096, socket);
        next.buffers = rig.buffers;
        next.ready(readable());
        assert_eq!(
            next.buffers.blocks.ever_used(),
            1,
            "the block is used again"
        );
        next.run_until_idle();
        assert_eq!(next.socket.written(), b"b");
    }

    #[test]
    fn bytes_keep_their_order_across_blocks() {
        let mut blocks = BlockPool::new(256, 1, 100).expect("memory");
        let mut buffer = WriteBuffer::default();
        let (mut pushed, mut out) = (0, Vec::<u8>::new());
        let data = pattern(64 * 1024 - 100);
        while out.len() < data.len() {
            let more = &data[pushed..(pushed + 1000).min(data.len())];
            buffer.push(more, &mut blocks).expect("memory");
            pushed += more.len();
            let (slices, count) = buffer.front(&blocks);
            let front: Vec<u8> = slices[..count]
                .iter()
                .flat_map(|slice| slice.to_vec())
                .collect();
            let taken = front.len().min(900);
            out.extend(&front[..taken]);
            buffer.consume(taken, &mut blocks);
        }
        assert_eq!(out, data);
        assert_eq!(blocks.in_use(), 0);
    }

    #[test]
    fn a_dropped_queue_gives_each_block_back_to_its_kind() {
        let blocks = BlockPool::new(8, 1, 2).expect("memory");
        let mut buffers = Buffers::new(1, blocks, 1).expect("memory");
        let mut queue = WriteBuffer::default();
        queue
            .push(&[b'x'; 20], &mut buffers.blocks)
            .expect("memory");
        assert_eq!(buffers.blocks.extra_bytes(), 0);
        assert_eq!(buffers.bytes_in_use(), 3 * BlockPool::bytes_per_block(8));
        queue.clear(&mut buffers.blocks);
        assert_eq!(buffers.blocks.extra_bytes(), 16);
        assert_eq!(buffers.bytes_in_use(), 0);
    }

    /// Returns a raw connection of which each block has 8 bytes, and its guaranteed block with 5 bytes pending. There
    /// are `extra` further blocks.
    fn with_small_blocks(extra: usize) -> Rig {
        let socket = Script::new().read_gives(b"hello").write_blocks();
        let mut rig = Rig::with_sizes(100, 100, socket);
        rig.buffers.blocks = BlockPool::new(8, 1, extra).expect("memory");
        assert_eq!(rig.ready(readable()), Progress::Wait);
        rig.socket.take_calls();
        rig
    }

    #[test]
    fn fault_w3_a_read_is_offered_no_more_than_there_is_memory_for() {
        for (extra, offered) in [(0, 3), (1, 11), (2, 19)] {
            let mut rig = with_small_blocks(extra);
            rig.socket = Script::new().read_gives(&pattern(100));
            assert_eq!(rig.ready(readable()), Progress::Wait);
            let read = format!("read({offered}) = {offered}");
            rig.socket.expect_calls(&[&read]);
            assert_eq!(rig.connection.pending(), 5 + offered);
        }
    }

    #[test]
    fn fault_w3_a_read_that_fills_a_small_offer_is_not_short() {
        let mut rig = with_small_blocks(0);
        rig.socket = Script::new().read_gives(b"abcdef");
        rig.ready(readable());
        rig.run_until_idle();
        assert_eq!(rig.socket.written(), b"helloabcdef");
    }

    #[test]
    fn fault_w3_extra_blocks_are_for_every_connection_and_the_guaranteed_one_is_not() {
        let mut rig = with_small_blocks(1);
        rig.socket = Script::new().read_gives(&pattern(100));
        rig.ready(readable());
        assert_eq!(rig.buffers.blocks.extra_bytes(), 0);

        // Another connection has its own block, and gets everything through it.
        let data = pattern(50);
        let mut socket = Script::new().read_gives(&data);
        for _ in 0..data.len() {
            socket = socket.write_takes(1).write_blocks();
        }
        let mut other = Rig::with_sizes(100, 100, socket);
        other.buffers = rig.buffers;
        while other.socket.written().len() < data.len() {
            other.ready(readable_and_writable());
        }
        assert_eq!(other.socket.written(), data);
    }

    #[test]
    fn fault_w11_a_refused_block_resets_the_connection() {
        let socket = Script::new()
            .read_gives(b"hello")
            .write_takes(2)
            .write_blocks();
        let mut rig = Rig::new(socket.read_ends());
        rig.buffers.blocks.is_exhausted = true;
        assert_eq!(rig.ready(readable()), Progress::Abort);
        assert_eq!(rig.ended_by(), CloseReason::NoMemory);

        let mut rig = Rig::framed_with_an_incomplete_message();
        rig.socket = Script::new().read_gives(b"c\n").write_blocks();
        rig.buffers.blocks.is_exhausted = true;
        assert_eq!(rig.ready(readable()), Progress::Abort);
        assert_eq!(rig.ended_by(), CloseReason::NoMemory);
        assert_eq!(rig.buffers.blocks.in_use(), 0);
    }
}

/// Runs the worked traces and compares them with the module's documentation, word for word.
mod worked_traces {
    use super::*;

    #[test]
    fn an_echo() {
        let socket = Script::new().read_gives(b"hello").read_gives(b"again");
        let mut trace = Trace::new(Rig::with_short_read(16, 8, ShortRead::ProvesEmpty, socket));
        trace.ready(1, "event readable", readable());
        trace.ready(2, "event readable", readable());
        trace.assert_documented_as("An echo");
    }

    #[test]
    fn a_slow_reader() {
        let socket = Script::new()
            .read_gives(&pattern(35))
            .write_takes(10)
            .write_blocks()
            .write_takes(1)
            .write_blocks();
        let mut trace = Trace::new(Rig::with_short_read(16, 8, ShortRead::ProvesEmpty, socket));
        trace.ready(1, "event readable", readable());
        trace.timeout(31, "the write timer expires");
        trace.ready(32, "event writable", writable());
        trace.assert_documented_as("A slow reader");
    }

    #[test]
    fn a_half_close() {
        let socket = Script::new()
            .read_gives(b"hello")
            .read_ends()
            .write_takes(2)
            .write_blocks();
        let mut trace = Trace::new(Rig::with_short_read(16, 8, ShortRead::ProvesEmpty, socket));
        let event = Ready {
            read_closed: true,
            ..readable()
        };
        trace.ready(1, "event readable, read closed", event);
        trace.ready(2, "event writable", writable());
        trace.assert_documented_as("A half-close");
    }

    struct Trace {
        rig: Rig,
        text: Vec<String>,
    }

    impl Trace {
        fn new(rig: Rig) -> Self {
            Self { rig, text: vec![] }
        }

        fn ready(&mut self, second: u64, what: &str, ready: Ready) {
            self.rig.connection.handle_ready(ready);
            self.drive(second, what);
        }

        fn timeout(&mut self, second: u64, what: &str) {
            let timer = self.rig.connection.timer().expect("a timer is running");
            self.rig.connection.handle_timeout(timer);
            self.drive(second, what);
        }

        fn drive(&mut self, second: u64, what: &str) {
            self.text.push(format!("{second} s: {what}"));
            self.rig.now = second * SECOND;
            sim::start_journal();
            let progress = self.rig.drive();
            let entries = sim::end_journal();
            self.text.extend(entries.iter().map(ToString::to_string));
            let outcome = sim::outcome(
                progress,
                sim::Armed::asked_by(&self.rig.connection),
                &self.rig.connection,
            );
            self.text.push(format!("-> {outcome}"));
        }

        fn assert_documented_as(&self, heading: &str) {
            assert_eq!(documented_trace(heading).join("\n"), self.text.join("\n"));
        }
    }
}
