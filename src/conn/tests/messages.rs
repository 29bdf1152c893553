//! The rules of messages: how each framing splits a stream, how a message goes to a worker and returns, and when the
//! frame timer runs.

use super::*;

/// All framings that have messages.
const FRAMINGS: [Framing; 5] = [
    Framing::Line,
    Framing::Crlf,
    Framing::Len8,
    Framing::Len16,
    Framing::Len16Le,
];

fn settings(framing: Framing) -> Settings {
    Settings {
        framing,
        max_message: 1 << 16,
        ..Settings::raw(HIGH_WATER, ShortRead::ProvesNothing)
    }
}

impl Rig {
    fn framed(framing: Framing, socket: Script) -> Self {
        Self::with_settings(settings(framing), READ_BUFFER, socket)
    }

    pub(super) fn framed_with_an_incomplete_message() -> Self {
        let mut rig = Self::framed(Framing::Line, Script::new().read_gives(b"ab"));
        assert_eq!(rig.ready(readable()), Progress::Wait);
        rig
    }

    /// Returns a connection with the len8 framing that gives every message to a worker.
    fn offloading(socket: Script) -> Self {
        Self::offloading_some(Offload::All, socket)
    }

    fn offloading_some(offload: Offload, socket: Script) -> Self {
        let settings = Settings {
            offload,
            ..settings(Framing::Len8)
        };
        Self::with_settings(settings, READ_BUFFER, socket)
    }

    /// Returns a connection that has received two messages, and a worker has the first.
    pub(super) fn with_a_job_in_flight() -> Self {
        let mut rig = Self::offloading(Script::new().read_gives(b"\x02a\x03bc"));
        assert_eq!(rig.ready(readable()), Progress::Offload);
        assert_eq!(rig.poll_job().unwrap(), b"\x02a");
        rig.socket.take_calls();
        rig
    }

    /// Returns a copy of the message that a worker has to process.
    fn poll_job(&mut self) -> Option<Vec<u8>> {
        self.connection.poll_job(&self.buffers).map(<[u8]>::to_vec)
    }

    /// Lets the worker return `message`, and drives the connection.
    fn complete(&mut self, message: &[u8]) -> Progress {
        self.connection
            .handle_completion(Ok(message), &mut self.buffers);
        self.drive()
    }

    /// Delivers events and completions until everything is read, echoed and taken.
    fn serve(&mut self) -> Progress {
        let mut progress = self.run_until_idle();
        while let Some(message) = self.poll_job() {
            assert_eq!(progress, Progress::Offload);
            self.complete(&message);
            progress = self.run_until_idle();
        }
        progress
    }
}

/// Returns a message of `length` bytes, header or terminator included.
fn message(framing: Framing, length: usize) -> Vec<u8> {
    let mut message: Vec<u8> = (0..length).map(|i| 128 + (i % 127) as u8).collect();
    match framing {
        Framing::Raw | Framing::Nul => {}
        Framing::Line => message[length - 1] = b'\n',
        Framing::Crlf => message[length - 2..].copy_from_slice(b"\r\n"),
        Framing::Len8 => message[0] = length as u8,
        Framing::Len16 => message[..2].copy_from_slice(&(length as u16).to_be_bytes()),
        Framing::Len16Le => message[..2].copy_from_slice(&(length as u16).to_le_bytes()),
    }
    message
}

/// Returns a socket with one read for each of `pieces`, and then the FIN.
fn in_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Script {
    pieces
        .into_iter()
        .fold(Script::new(), Script::read_gives)
        .read_ends()
}

/// Asserts the echo of `stream` and why the session ends: in one piece, in any two pieces, and byte by byte.
#[track_caller]
fn expect(settings: &Settings, stream: &[u8], echo: &[u8], reason: CloseReason) {
    let in_two = (0..=stream.len()).map(|at| vec![&stream[..at], &stream[at..]]);
    let byte_by_byte = stream.chunks(1).collect();
    for mut pieces in in_two.chain([byte_by_byte]) {
        pieces.retain(|piece| !piece.is_empty());
        let mut rig = Rig::with_settings(settings.clone(), 4096, in_pieces(pieces.iter().copied()));
        rig.serve();
        assert_eq!(rig.socket.written(), echo, "{pieces:?}");
        assert_eq!(rig.connection.close_reason(), Some(reason), "{pieces:?}");
    }
}

fn too_short(length: u16, header: u8) -> CloseReason {
    CloseReason::BadFrame(BadFrame::TooShort { length, header })
}

fn too_long(length: u32, limit: u32) -> CloseReason {
    CloseReason::BadFrame(BadFrame::TooLong { length, limit })
}

mod framings {
    use super::*;

    #[test]
    fn fault_f1_a_len8_message_of_every_length_is_echoed_once_its_last_byte_arrives() {
        for length in 1..=255 {
            let whole = message(Framing::Len8, length);
            let mut rig = Rig::framed(Framing::Len8, Script::new());
            let (last, rest) = whole.split_last().unwrap();
            for byte in rest {
                rig.socket = Script::new().read_gives(&[*byte]);
                assert_eq!(rig.ready(readable()), Progress::Wait);
                assert_eq!(rig.socket.written(), b"", "length {length}");
            }
            rig.socket = Script::new().read_gives(&[*last]);
            assert_eq!(rig.ready(readable()), Progress::Wait);
            assert_eq!(rig.socket.written(), whole);
            assert!(rig.connection.inbox.is_none());
        }
    }

    #[test]
    fn fault_f1_many_len8_messages_in_one_segment_are_echoed_in_order() {
        let stream: Vec<u8> = (1..=255).flat_map(|n| message(Framing::Len8, n)).collect();
        for read_buffer in [1, 16, 4096, 65536] {
            let socket = in_pieces([&stream[..]]);
            let mut rig = Rig::with_settings(settings(Framing::Len8), read_buffer, socket);
            assert_eq!(rig.serve(), Progress::Close);
            assert_eq!(rig.socket.written(), stream);
            assert_eq!(rig.ended_by(), CloseReason::PeerClosed);
        }
    }

    #[test]
    fn fault_f1_a_len8_length_of_0_is_a_bad_frame_and_a_truncated_message_is_not_echoed() {
        let settings = settings(Framing::Len8);
        expect(&settings, b"\x00", b"", too_short(0, 1));
        expect(&settings, b"\x02a\x00bc", b"\x02a", too_short(0, 1));
        expect(&settings, b"\x01\x04ab", b"\x01", CloseReason::Truncated);
    }

    #[test]
    fn fault_f2_len16_messages_are_echoed_even_if_their_header_is_split() {
        for framing in [Framing::Len16, Framing::Len16Le] {
            for length in [2, 3, 255, 256, 257, 4096, 65535] {
                let whole = message(framing, length);
                for pieces in [
                    vec![&whole[..]],
                    vec![&whole[..1], &whole[1..]],
                    vec![&whole[..length - 1], &whole[length - 1..]],
                ] {
                    for read_buffer in [16, 1 << 16] {
                        let socket = in_pieces(pieces.iter().copied());
                        let mut rig = Rig::with_settings(settings(framing), read_buffer, socket);
                        assert_eq!(rig.serve(), Progress::Close);
                        assert_eq!(rig.socket.written(), whole);
                        assert_eq!(rig.ended_by(), CloseReason::PeerClosed);
                    }
                }
            }
        }
    }

    #[test]
    fn fault_f2_len16_lengths_that_are_too_short_or_too_long_are_bad_frames() {
        type Header = fn(u16) -> [u8; 2];
        for (framing, header) in [
            (Framing::Len16, u16::to_be_bytes as Header),
            (Framing::Len16Le, u16::to_le_bytes),
        ] {
            let settings = Settings {
                max_message: 5,
                ..settings(framing)
            };
            let good = message(framing, 5);
            expect(&settings, &good, &good, CloseReason::PeerClosed);
            for (length, reason) in [
                (0, too_short(0, 2)),
                (1, too_short(1, 2)),
                (6, too_long(6, 5)),
                (65535, too_long(65535, 5)),
            ] {
                expect(&settings, &header(length), b"", reason);
                let stream = [&good, &header(length)[..]].concat();
                expect(&settings, &stream, &good, reason);
            }
            expect(&settings, &good[..1], b"", CloseReason::Truncated);
        }
    }

    #[test]
    fn fault_f3_a_crlf_line_ends_only_with_cr_and_lf_together() {
        let settings = settings(Framing::Crlf);
        for (stream, echo) in [
            (&b"ab\r\ncd\r\n"[..], &b"ab\r\ncd\r\n"[..]),
            (b"\r\n\r\n", b"\r\n\r\n"),
            (b"a\rb\nc\n\rd\r\r\n", b"a\rb\nc\n\rd\r\r\n"),
            (b"\n\r\n", b"\n\r\n"),
            (b"\x80\xff\0\r\n", b"\x80\xff\0\r\n"),
        ] {
            expect(&settings, stream, echo, CloseReason::PeerClosed);
        }
        for unfinished in [&b"a"[..], b"\r", b"\n", b"a\r", b"a\n", b"\r\r"] {
            let stream = [b"x\r\n", unfinished].concat();
            expect(&settings, &stream, b"x\r\n", CloseReason::Truncated);
        }
    }

    #[test]
    fn fault_f3_a_line_ends_with_lf_and_cr_is_data() {
        let settings = settings(Framing::Line);
        let stream = b"ab\ncd\r\n\n\re\r\x80\xff\0\n";
        expect(&settings, stream, stream, CloseReason::PeerClosed);
        expect(&settings, b"x\ny\r", b"x\n", CloseReason::Truncated);
    }

    #[test]
    fn fault_f3_a_line_may_be_as_long_as_the_limit_and_not_longer() {
        const LIMIT: usize = 20;
        for framing in [Framing::Line, Framing::Crlf] {
            let settings = Settings {
                max_message: LIMIT,
                ..settings(framing)
            };
            for length in [LIMIT - 1, LIMIT] {
                let line = message(framing, length);
                expect(&settings, &line, &line, CloseReason::PeerClosed);
            }
            let bad = too_long(LIMIT as u32 + 1, LIMIT as u32);
            let good = message(framing, 5);
            for length in [LIMIT + 1, 3 * LIMIT] {
                let stream = [good.clone(), message(framing, length)].concat();
                expect(&settings, &stream, &good, bad);
            }
        }
    }

    #[test]
    fn fault_f3_a_thousand_pipelined_lines_are_echoed() {
        for framing in [Framing::Line, Framing::Crlf] {
            let stream: Vec<u8> = (0..1000)
                .flat_map(|n| message(framing, 2 + n % 7))
                .collect();
            for read_buffer in [1, 16, 1 << 16] {
                let mut rig =
                    Rig::with_settings(settings(framing), read_buffer, in_pieces([&stream[..]]));
                assert_eq!(rig.serve(), Progress::Close);
                assert_eq!(rig.socket.written(), stream);
            }
        }
    }

    #[test]
    fn fault_f4_the_first_nul_ends_the_session_at_any_offset() {
        let settings = settings(Framing::Nul);
        let data = message(Framing::Nul, 12);
        for at in 0..=data.len() {
            let mut stream = data.clone();
            stream.insert(at, 0);
            expect(&settings, &stream, &data[..at], CloseReason::NulReceived);
        }
        expect(&settings, b"\0", b"", CloseReason::NulReceived);
        expect(&settings, b"a\0b\0c", b"a", CloseReason::NulReceived);
        expect(&settings, &data, &data, CloseReason::PeerClosed);
        expect(&settings, b"", b"", CloseReason::PeerClosed);
    }

    #[test]
    fn fault_h3_the_echo_of_bytes_before_a_nul_is_delivered_before_our_fin() {
        let socket = Script::new().read_gives(b"data\0more").write_blocks();
        let mut rig = Rig::framed(Framing::Nul, socket);
        assert_eq!(rig.ready(readable()), Progress::Wait);
        assert_eq!(rig.connection.state(), State::Lingering);
        assert_eq!(rig.ready(writable()), Progress::SendFin);
        assert_eq!(rig.socket.written(), b"data");
    }

    #[test]
    fn fault_h3_the_echo_of_messages_before_a_bad_frame_is_delivered_before_our_fin() {
        let socket = Script::new().read_gives(b"\x02a\x03bc\x00").write_blocks();
        let mut rig = Rig::framed(Framing::Len8, socket.read_gives(b"\x02d"));
        assert_eq!(rig.ready(readable()), Progress::Wait);
        assert_eq!(rig.connection.state(), State::Lingering);
        assert_eq!(rig.ready(readable_and_writable()), Progress::SendFin);
        assert_eq!(rig.socket.written(), b"\x02a\x03bc");
        assert_eq!(rig.connection.close_reason(), Some(too_short(0, 1)));
    }

    #[test]
    fn a_bad_frame_names_the_length_and_the_bound() {
        let texts = [too_short(1, 2), too_long(70, 64)].map(|reason| reason.to_string());
        assert_eq!(
            texts,
            [
                "bad frame (length 1 is less than the 2-byte header)",
                "bad frame (length 70 is over the limit of 64 bytes)",
            ]
        );
    }
}

mod inbox {
    use super::*;

    #[test]
    fn messages_that_arrive_whole_are_written_as_they_were_read() {
        for framing in FRAMINGS {
            let stream = [message(framing, 4), message(framing, 7)].concat();
            let mut rig = Rig::framed(framing, Script::new().read_gives(&stream));
            assert_eq!(rig.ready(readable()), Progress::Wait);
            rig.socket
                .expect_calls(&["read(16) = 11", "write(11) = 11", "read(16) = WouldBlock"]);
            assert!(rig.connection.inbox.is_none());
        }
    }

    #[test]
    fn nothing_is_read_while_pending_bytes_are_at_the_high_water_mark() {
        let socket = Script::new().read_gives(&[1; 100]).write_blocks();
        let mut rig = Rig::framed(Framing::Len8, socket);
        rig.connection.greet(&[b'x'; HIGH_WATER], &mut rig.buffers);
        assert_eq!(rig.ready(readable()), Progress::Wait);
        rig.socket.expect_calls(&["write(8) = WouldBlock"]);
    }

    #[test]
    fn the_inbox_and_the_pending_bytes_are_bounded() {
        const MAX: usize = 40;
        let stream: Vec<u8> = (1..200)
            .flat_map(|n| message(Framing::Len8, 1 + n * 7 % MAX))
            .collect();
        let mut socket = Script::new().read_gives(&stream);
        for _ in 0..stream.len() {
            socket = socket.write_takes(1).write_blocks();
        }
        let settings = Settings {
            max_message: MAX,
            ..settings(Framing::Len8)
        };
        let mut rig = Rig::with_settings(settings, READ_BUFFER, socket.read_blocks());
        rig.buffers.blocks = BlockPool::new(MAX, 2, 1).expect("memory");
        while rig.socket.written().len() < stream.len() {
            rig.ready(readable_and_writable());
            let waiting = rig.connection.inbox.as_ref().map_or(0, |i| i.len());
            assert!(waiting <= MAX);
            assert!(rig.connection.pending() <= HIGH_WATER + MAX.max(READ_BUFFER));
        }
        assert_eq!(rig.socket.written(), stream);
    }

    #[test]
    fn fault_r2_small_messages_after_a_begun_one_are_written_together() {
        const LINE: usize = 64;
        let line = |begun: usize| {
            let mut stream = vec![b'x'; begun];
            stream.resize(begun + LINE, b'\n');
            stream
        };
        for begun in [1, 63] {
            let settings = Settings {
                max_message: LINE,
                high_water: 1,
                ..settings(Framing::Line)
            };
            let stream = line(begun);
            let socket = in_pieces([&stream[..begun], &stream[begun..]]);
            let mut rig = Rig::with_settings(settings, LINE, socket);
            assert_eq!(rig.ready(readable()), Progress::Close);
            let mut calls = rig.socket.take_calls();
            calls.retain(|call| call.starts_with("write"));
            assert_eq!(calls, [format!("write({0}) = {0}", begun + LINE)]);
            assert_eq!(rig.socket.written(), stream);
        }
    }

    #[test]
    fn a_read_after_an_incomplete_message_is_offered_the_rest_of_the_block() {
        let mut rig = Rig::framed(Framing::Line, Script::new());
        rig.buffers.blocks = BlockPool::new(8, 2, 0).expect("memory");
        for (data, read) in [(&b"abc"[..], "read(8) = 3"), (b"d\n", "read(5) = 2")] {
            rig.socket = Script::new().read_gives(data);
            rig.ready(readable());
            assert_eq!(rig.socket.take_calls()[0], read);
        }
    }

    #[test]
    fn an_incomplete_message_is_not_owed() {
        let mut reset = Rig::framed(Framing::Line, Script::new().read_gives(b"ab"));
        reset.ready(readable());
        assert_eq!(reset.ready(error()), Progress::Close);
        assert_eq!(reset.ended_by(), CloseReason::Reset);

        let mut drain = Rig::framed(Framing::Line, Script::new().read_gives(b"ab"));
        drain.ready(readable());
        drain.connection.handle_drain_deadline();
        assert_eq!(drain.drive(), Progress::Close);
        assert_eq!(drain.ended_by(), CloseReason::Stopped);

        let mut stop = Rig::framed(Framing::Line, Script::new().read_gives(b"ab\ncd"));
        stop.connection.handle_shutdown(QUEUED);
        assert_eq!(stop.drive(), Progress::SendFin);
        assert_eq!(stop.socket.written(), b"ab\n");
        assert_eq!(stop.connection.close_reason(), Some(CloseReason::Stopped));
    }
}

mod jobs {
    use super::*;

    #[test]
    fn nothing_is_read_while_a_job_is_in_flight() {
        let mut rig = Rig::with_a_job_in_flight();
        assert!(!rig.connection.wants_job());
        assert_eq!(rig.poll_job(), None);
        assert_eq!(rig.ready(readable_and_writable()), Progress::Wait);
        rig.socket.expect_calls(&[]);

        assert_eq!(rig.complete(b"\x02a"), Progress::Offload);
        rig.socket.expect_calls(&["write(2) = 2"]);
        assert_eq!(rig.poll_job().unwrap(), b"\x03bc");
        assert_eq!(rig.complete(b"\x03bc"), Progress::Wait);
        rig.socket
            .expect_calls(&["write(3) = 3", "read(16) = WouldBlock"]);
        assert!(rig.connection.inbox.is_none());
    }

    #[test]
    fn a_small_message_never_overtakes_a_large_one() {
        let socket = Script::new().read_gives(b"\x02a\x04bcd\x02e\x04fgh");
        let mut rig = Rig::offloading_some(Offload::LargerThan(3), socket);
        assert_eq!(rig.ready(readable()), Progress::Offload);
        assert_eq!(rig.socket.written(), b"\x02a");
        assert_eq!(rig.poll_job().unwrap(), b"\x04bcd");
        assert_eq!(rig.ready(readable_and_writable()), Progress::Wait);
        assert_eq!(rig.socket.written(), b"\x02a");
        assert_eq!(rig.complete(b"\x04bcd"), Progress::Offload);
        assert_eq!(rig.socket.written(), b"\x02a\x04bcd\x02e");
    }

    #[test]
    fn a_message_waits_until_the_worker_pool_has_room() {
        let mut rig = Rig::offloading(Script::new().read_gives(b"\x02a"));
        assert_eq!(rig.ready(readable()), Progress::Offload);
        assert_eq!(rig.ready(readable()), Progress::Offload);
        assert!(rig.connection.wants_job());
        assert_eq!(rig.poll_job().unwrap(), b"\x02a");
    }

    #[test]
    fn the_echo_is_the_reply_of_the_worker() {
        let mut rig = Rig::with_a_job_in_flight();
        rig.complete(b"!?");
        assert_eq!(rig.socket.written(), b"!?");
    }

    #[test]
    fn a_reply_waits_for_pending_bytes() {
        let socket = Script::new().read_gives(b"\x02a\x04bcd").write_takes(1);
        let mut rig = Rig::offloading_some(Offload::LargerThan(2), socket.write_blocks());
        assert_eq!(rig.ready(readable()), Progress::Offload);
        let message = rig.poll_job().unwrap();
        assert_eq!(rig.complete(&message), Progress::Wait);
        assert_eq!(rig.connection.pending(), 5);
        rig.ready(writable());
        assert_eq!(rig.socket.written(), b"\x02a\x04bcd");
    }

    #[test]
    fn a_reply_waits_while_pending_bytes_are_at_the_high_water_mark() {
        let socket = Script::new().read_gives(b"\x04abc\x04def\x05ghij");
        let mut rig = Rig::offloading_some(Offload::LargerThan(4), socket.write_blocks());
        assert_eq!(rig.ready(readable()), Progress::Offload);
        let message = rig.poll_job().unwrap();
        assert_eq!(rig.complete(&message), Progress::Wait);
        assert_eq!(rig.connection.pending(), HIGH_WATER);
        rig.ready(writable());
        assert_eq!(rig.socket.written(), b"\x04abc\x04def\x05ghij");
    }

    #[test]
    fn no_timer_runs_while_a_job_waits_or_is_in_flight_and_its_completion_restarts_the_idle_timer()
    {
        let mut rig = Rig::offloading(Script::new().read_gives(b"\x02a"));
        rig.now = SECOND;
        assert_eq!(rig.ready(readable()), Progress::Offload);
        assert_eq!(rig.connection.timer(), None);
        let message = rig.poll_job().unwrap();
        assert_eq!(rig.connection.timer(), None);

        rig.now = 100 * SECOND;
        assert_eq!(rig.complete(&message), Progress::Wait);
        assert_eq!(rig.connection.timer(), Some(Timer::Idle));
        assert_eq!(rig.connection.timer_started(), 100 * SECOND);
    }

    #[test]
    fn the_write_timer_runs_while_a_job_is_in_flight() {
        let socket = Script::new().read_gives(b"\x02a\x04bcd").write_blocks();
        let mut rig = Rig::offloading_some(Offload::LargerThan(2), socket);
        rig.now = SECOND;
        assert_eq!(rig.ready(readable()), Progress::Offload);
        rig.poll_job().unwrap();
        assert_eq!(rig.connection.timer(), Some(Timer::Write));
        rig.socket = Script::new().write_blocks();
        assert_eq!(rig.timeout(), Progress::Abort);
        assert_eq!(rig.ended_by(), CloseReason::WriteTimeout);
    }

    #[test]
    fn fault_s5_a_panic_of_the_worker_aborts_the_connection() {
        let mut rig = Rig::with_a_job_in_flight();
        rig.connection
            .handle_completion(Err(WorkerPanicked), &mut rig.buffers);
        assert_eq!(rig.drive(), Progress::Abort);
        assert_eq!(rig.ended_by(), CloseReason::WorkerPanicked);
        rig.socket.expect_calls(&[]);
    }

    #[test]
    fn fault_r8_a_reset_closes_at_once_while_a_job_is_in_flight_or_waits() {
        let waiting = || {
            let mut rig = Rig::offloading(Script::new().read_gives(b"\x02a"));
            rig.ready(readable());
            rig
        };
        for mut rig in [waiting(), Rig::with_a_job_in_flight()] {
            rig.socket.take_calls();
            assert_eq!(rig.ready(error()), Progress::Abort);
            assert_eq!(rig.ended_by(), CloseReason::Reset);
            assert_eq!(rig.connection.timer(), None);
            rig.socket.expect_calls(&[]);
        }
    }

    #[test]
    fn fault_t8_the_session_timeout_waits_for_a_worker_and_drops_an_incomplete_message() {
        let mut rig = Rig::with_a_job_in_flight();
        for _ in 0..3 {
            rig.connection.handle_timeout(Timer::Session);
            assert_eq!(rig.drive(), Progress::Wait, "the delay is ours");
        }
        assert_eq!(rig.complete(b"\x02a"), Progress::Offload);
        rig.connection.handle_timeout(Timer::Session);
        assert_eq!(rig.drive(), Progress::Offload, "the delay is ours");
        assert!(rig.poll_job().is_some());
        assert_eq!(rig.complete(b"\x03bc"), Progress::SendFin);
        assert_eq!(rig.socket.written(), b"\x02a\x03bc");

        let mut rig = Rig::framed(Framing::Line, Script::new().read_gives(b"ab"));
        rig.ready(readable());
        rig.connection.handle_timeout(Timer::Session);
        assert_eq!(rig.drive(), Progress::SendFin);
        let reason = rig.connection.close_reason();
        assert_eq!(reason, Some(CloseReason::SessionTimeout));
    }

    #[test]
    fn a_closed_connection_wants_no_job_and_keeps_its_reason() {
        let mut rig = Rig::with_a_job_in_flight();
        rig.ready(error());
        rig.connection.handle_drain_deadline();
        assert_eq!(rig.complete(b"\x02a"), Progress::Abort);
        assert!(!rig.connection.wants_job());
        assert_eq!(rig.ended_by(), CloseReason::Reset);
        rig.socket.expect_calls(&[]);
    }

    #[test]
    fn the_fin_of_the_peer_is_not_read_while_a_job_is_in_flight() {
        let mut rig = Rig::with_a_job_in_flight();
        rig.socket = Script::new().read_ends();
        let event = Ready {
            read_closed: true,
            ..readable()
        };
        assert_eq!(rig.ready(event), Progress::Wait);
        assert_eq!(rig.complete(b"\x02a"), Progress::Offload);
        let message = rig.poll_job().unwrap();
        assert_eq!(rig.complete(&message), Progress::Close);
        assert_eq!(rig.socket.written(), b"\x02a\x03bc");
        assert_eq!(rig.ended_by(), CloseReason::PeerClosed);
    }

    #[test]
    fn stop_delivers_the_job_and_the_whole_messages_after_it() {
        let socket = Script::new().read_gives(b"\x02a\x03bc\x02");
        let mut rig = Rig::offloading(socket);
        assert_eq!(rig.ready(readable()), Progress::Offload);
        let message = rig.poll_job().unwrap();
        rig.connection.handle_shutdown(QUEUED);
        assert_eq!(rig.drive(), Progress::Wait);

        assert_eq!(rig.complete(&message), Progress::Offload);
        let message = rig.poll_job().unwrap();
        assert_eq!(rig.complete(&message), Progress::SendFin);
        assert_eq!(rig.socket.written(), b"\x02a\x03bc");
        assert_eq!(rig.connection.close_reason(), Some(CloseReason::Stopped));
    }

    #[test]
    fn stop_echoes_input_that_had_to_wait_for_a_job() {
        let mut rig = Rig::with_a_job_in_flight();
        rig.socket = Script::new().read_gives(b"\x02d").read_blocks();
        rig.connection.handle_shutdown(QUEUED);
        assert_eq!(
            rig.drive(),
            Progress::Wait,
            "nothing is read while a job is in flight"
        );
        assert_eq!(rig.complete(b"\x02a"), Progress::Offload);
        let message = rig.poll_job().unwrap();
        assert_eq!(rig.complete(&message), Progress::Offload);
        assert_eq!(rig.connection.close_reason(), None, "more may be queued");
        let message = rig.poll_job().unwrap();
        assert_eq!(rig.complete(&message), Progress::SendFin);
        assert_eq!(rig.connection.close_reason(), Some(CloseReason::Stopped));
        assert_eq!(rig.socket.written(), b"\x02a\x03bc\x02d");
    }

    #[test]
    fn the_drain_deadline_does_not_wait_for_a_worker() {
        let mut rig = Rig::with_a_job_in_flight();
        rig.connection.handle_shutdown(QUEUED);
        assert_ne!(rig.drive(), Progress::SendFin);
        rig.connection.handle_drain_deadline();
        assert_eq!(rig.drive(), Progress::Abort);
        assert_eq!(rig.ended_by(), CloseReason::DrainTimeout);
    }

    #[test]
    fn a_bad_frame_after_a_job_waits_for_the_job() {
        let mut rig = Rig::offloading(Script::new().read_gives(b"\x02a\x00"));
        assert_eq!(rig.ready(readable()), Progress::Offload);
        let message = rig.poll_job().unwrap();
        assert_eq!(rig.drive(), Progress::Wait);
        assert_eq!(rig.connection.state(), State::Open);
        assert_eq!(rig.complete(&message), Progress::SendFin);
        assert_eq!(rig.socket.written(), b"\x02a");
        assert_eq!(rig.connection.close_reason(), Some(too_short(0, 1)));
    }
}

mod frame_timer {
    use super::*;

    /// Lets `data` arrive at `second`. Returns the timer that runs then, and the start of the frame timer.
    fn timer_after(rig: &mut Rig, second: u64, data: &[u8]) -> (Option<Timer>, Option<u64>) {
        rig.now = second * SECOND;
        rig.socket = Script::new().read_gives(data);
        rig.ready(readable());
        let since = rig
            .connection
            .frame_timer_started()
            .map(|since| since / SECOND);
        (rig.connection.timer(), since)
    }

    #[test]
    fn fault_t2_the_frame_timer_runs_from_the_first_byte_of_a_message_and_is_not_restarted() {
        for (framing, start, more, end_and_start, end) in [
            (
                Framing::Line,
                &b"a"[..],
                &b"b"[..],
                &b"c\nd"[..],
                &b"\n"[..],
            ),
            (Framing::Len16, b"\x00", b"\x03", b"a\x00", b"\x02"),
        ] {
            let mut rig = Rig::framed(framing, Script::new());
            let idle = (Some(Timer::Idle), None);
            assert_eq!(rig.connection.timer(), Some(Timer::Idle));
            let begun = |second| (Some(Timer::Frame), Some(second));
            assert_eq!(timer_after(&mut rig, 2, start), begun(2));
            assert_eq!(timer_after(&mut rig, 3, more), begun(2));
            assert_eq!(timer_after(&mut rig, 4, end_and_start), begun(4));
            assert_eq!(timer_after(&mut rig, 5, end), idle);
        }
    }

    #[test]
    fn fault_t2_an_expired_frame_timer_ends_the_session_without_an_echo_of_the_begun_message() {
        let socket = Script::new().read_gives(b"ab\ncd");
        let mut rig = Rig::framed(Framing::Line, socket);
        rig.ready(readable());
        assert_eq!(rig.timeout(), Progress::SendFin);
        assert_eq!(rig.socket.written(), b"ab\n");
        let reason = rig.connection.close_reason();
        assert_eq!(reason, Some(CloseReason::FrameTimeout));
        assert_eq!(rig.connection.frame_timer_started(), None);
    }

    #[test]
    fn input_that_completed_the_message_in_time_is_read_first() {
        for (rest, timer) in [(&b"d\n"[..], Timer::Idle), (b"d\ne", Timer::Frame)] {
            let socket = Script::new().read_gives(b"ab\ncd").read_blocks();
            let mut rig = Rig::framed(Framing::Line, socket);
            rig.ready(readable());
            rig.socket = Script::new().read_gives(rest);
            assert_eq!(rig.timeout(), Progress::Wait);
            assert_eq!(rig.socket.written(), b"cdd\n");
            assert_eq!(
                rig.connection.timer(),
                Some(timer),
                "the timer that runs next"
            );
        }
        // Input that does not complete the message does not stop the timeout.
        let mut rig = Rig::framed(Framing::Line, Script::new().read_gives(b"cd"));
        rig.ready(readable());
        rig.socket = Script::new().read_gives(b"d");
        assert_eq!(rig.timeout(), Progress::SendFin);
        let reason = rig.connection.close_reason();
        assert_eq!(reason, Some(CloseReason::FrameTimeout));
    }

    #[test]
    fn a_message_completed_in_time_keeps_the_session_even_if_the_next_one_takes_a_whole_run() {
        let socket = Script::new().read_gives(b"ab").read_blocks();
        let mut rig = Rig::framed(Framing::Line, socket);
        rig.ready(readable());
        let mut whole_run = vec![b'\n'; 16 * READ_BUFFER];
        *whole_run.last_mut().unwrap() = b'c';
        rig.socket = Script::new().read_gives(&whole_run);
        assert_eq!(rig.timeout(), Progress::Again);
        assert_eq!(rig.connection.frame_timer_started(), Some(SECOND));
        rig.now += 1;
        assert_eq!(rig.drive(), Progress::Wait);
        assert_eq!(rig.connection.timer(), Some(Timer::Frame));
    }

    #[test]
    fn the_frame_timer_stops_while_bytes_are_pending_and_then_starts_anew() {
        let socket = Script::new().read_gives(b"ab\ncd").write_blocks();
        let mut rig = Rig::framed(Framing::Line, socket);
        rig.now = SECOND;
        rig.ready(readable());
        assert_eq!(rig.connection.timer(), Some(Timer::Write));
        assert_eq!(rig.connection.frame_timer_started(), None);

        rig.now = 2 * SECOND;
        rig.ready(writable());
        assert_eq!(rig.connection.timer(), Some(Timer::Frame));
        assert_eq!(rig.connection.frame_timer_started(), Some(2 * SECOND));
    }

    #[test]
    fn the_bytes_of_a_message_restart_the_idle_timer_and_not_the_write_timer() {
        let mut rig = Rig::framed(Framing::Line, Script::new());
        timer_after(&mut rig, 5, b"ab");
        assert_eq!(rig.connection.timer_started(), 5 * SECOND);

        rig.now = 6 * SECOND;
        rig.socket = Script::new().read_gives(b"\n").write_blocks();
        rig.ready(readable());
        let write_timer = (Some(Timer::Write), None);
        assert_eq!(timer_after(&mut rig, 7, b"c"), write_timer);
        assert_eq!(rig.connection.timer_started(), 6 * SECOND);
    }

    #[test]
    fn the_frame_timer_stops_while_a_job_is_in_flight_and_then_starts_anew() {
        let mut rig = Rig::offloading(Script::new().read_gives(b"\x02a\x05b"));
        rig.now = SECOND;
        rig.ready(readable());
        assert_eq!(rig.connection.frame_timer_started(), None);
        let message = rig.poll_job().unwrap();
        assert_eq!(rig.connection.frame_timer_started(), None);

        rig.now = 9 * SECOND;
        rig.complete(&message);
        assert_eq!(rig.connection.timer(), Some(Timer::Frame));
        assert_eq!(rig.connection.frame_timer_started(), Some(9 * SECOND));
    }
}

mod properties {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// What the kernel answers to a call.
    #[derive(Clone, Copy, Debug)]
    enum Answer {
        Bytes(usize),
        Interrupted,
        WouldBlock,
    }

    fn answer() -> impl Strategy<Value = Answer> {
        prop_oneof![
            4 => (1usize..40).prop_map(Answer::Bytes),
            1 => Just(Answer::Interrupted),
            1 => Just(Answer::WouldBlock),
        ]
    }

    fn framing() -> impl Strategy<Value = Framing> {
        select(Framing::ALL.map(|(_, framing)| framing).to_vec())
    }

    fn rules() -> impl Strategy<Value = Settings> {
        let offload = prop_oneof![
            Just(Offload::Nothing),
            Just(Offload::All),
            (0usize..20).prop_map(Offload::LargerThan),
        ];
        let short_read = select(vec![ShortRead::ProvesEmpty, ShortRead::ProvesNothing]);
        let limit = select(vec![64, 300, 1 << 16]);
        (framing(), offload, short_read, limit, 1usize..64).prop_map(
            |(framing, offload, short_read, max_message, high_water)| Settings {
                framing,
                max_message,
                offload,
                ..Settings::raw(high_water, short_read)
            },
        )
    }

    /// Makes a message of any bytes.
    fn encode(framing: Framing, body: &[u8]) -> Vec<u8> {
        let without = |byte: u8| body.iter().copied().filter(move |b| *b != byte);
        match framing {
            Framing::Raw => body.to_vec(),
            Framing::Nul => without(0).collect(),
            Framing::Line => without(b'\n').chain(*b"\n").collect(),
            Framing::Crlf => without(b'\n').chain(*b"\r\n").collect(),
            Framing::Len8 => [&[1 + body.len() as u8], body].concat(),
            Framing::Len16 => [&(2 + body.len() as u16).to_be_bytes(), body].concat(),
            Framing::Len16Le => [&(2 + body.len() as u16).to_le_bytes(), body].concat(),
        }
    }

    /// Returns a socket that splits `stream` as `reads` say and answers writes as `writes` say.
    fn kernel(stream: &[u8], reads: &[Answer], writes: &[Answer]) -> Script {
        let mut socket = Script::new();
        let mut rest = stream;
        for read in reads {
            socket = match *read {
                Answer::Interrupted => socket.read_fails(ErrorKind::Interrupted),
                Answer::WouldBlock => socket.read_blocks(),
                Answer::Bytes(n) => {
                    let (piece, after) = rest.split_at(n.min(rest.len()));
                    rest = after;
                    match piece {
                        [] => socket,
                        piece => socket.read_gives(piece),
                    }
                }
            };
        }
        if !rest.is_empty() {
            socket = socket.read_gives(rest);
        }
        for write in writes {
            socket = match *write {
                Answer::Interrupted => socket.write_fails(ErrorKind::Interrupted),
                Answer::WouldBlock => socket.write_blocks(),
                Answer::Bytes(n) => socket.write_takes(n),
            };
        }
        socket.read_ends()
    }

    /// Serves until the peer's FIN has been read or we have ended the session.
    ///
    /// A block has room for the longest message and for a read, and there are `extra` blocks beside the guaranteed ones.
    fn play(settings: Settings, read_buffer: usize, extra: usize, socket: Script) -> Rig {
        let block_size = settings.max_message.max(read_buffer);
        let mut rig = Rig::with_settings(settings, read_buffer, socket);
        rig.buffers.blocks = BlockPool::new(block_size, 2, extra).expect("memory");
        while !matches!(rig.serve(), Progress::Close | Progress::SendFin) {}
        rig
    }

    proptest! {
        #[test]
        fn the_echo_is_every_whole_message_in_order(
            settings in rules(),
            bodies in vec(vec(any::<u8>(), 0..60), 0..20),
            unfinished in 0usize..60,
            read_buffer in 1usize..64,
            extra in 0usize..3,
            reads in vec(answer(), 0..60),
            writes in vec(answer(), 0..60),
        ) {
            let framing = settings.framing;
            let messages: Vec<u8> = bodies.iter().flat_map(|body| encode(framing, body)).collect();
            let last = encode(framing, &[b'x'; 40]);
            let begun = match framing.has_messages() {
                true => &last[..unfinished.min(last.len() - 1)],
                false => &[],
            };
            let stream = [&messages, begun].concat();

            let rig = play(settings, read_buffer, extra, kernel(&stream, &reads, &writes));

            prop_assert_eq!(rig.socket.written(), messages);
            let reason = match begun {
                [] => CloseReason::PeerClosed,
                _ => CloseReason::Truncated,
            };
            prop_assert_eq!(rig.ended_by(), reason);
        }

        #[test]
        fn fault_f5_any_input_is_whole_messages_or_a_bad_frame(
            settings in rules(),
            hello in select(vec![
                &b""[..],
                b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                b"SSH-2.0-OpenSSH_9.6\r\n",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            ]),
            noise in vec(prop_oneof![3 => any::<u8>(), 1 => select(b"\0\x01\r\n".to_vec())], 0..500),
            read_buffer in 1usize..64,
            extra in 0usize..3,
            reads in vec(answer(), 0..60),
        ) {
            let stream = [hello, &noise].concat();
            let rig = play(settings, read_buffer, extra, kernel(&stream, &reads, &[]));
            let written = rig.socket.written();
            prop_assert_eq!(written, &stream[..written.len()]);
            match rig.connection.close_reason().unwrap() {
                CloseReason::PeerClosed => prop_assert_eq!(written.len(), stream.len()),
                CloseReason::Truncated
                | CloseReason::BadFrame(_)
                | CloseReason::NulReceived => prop_assert!(written.len() < stream.len()),
                reason => prop_assert!(false, "{:?}", reason),
            }
        }
    }
}
