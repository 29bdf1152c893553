//! Schedules to begin with.

use serde::Serialize;

/// A schedule that shows one thing.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Example {
    name: &'static str,
    title: &'static str,
    text: &'static str,
    pub(super) schedule: &'static str,
    /// The heading of the worked trace in `conn/mod.rs` that the schedule repeats word for word.
    pub(super) heading: Option<&'static str>,
}

pub(super) const EXAMPLES: [Example; 7] = [
    Example {
        name: "echo",
        title: "An echo",
        text: "One read and one write. The short read proves the socket empty, and no registration changes.",
        schedule: "edge\nsizes-16-8-16\nsend-5\nturn\ntake-all\nsend-5\nturn\ntake-all",
        heading: Some("An echo"),
    },
    Example {
        name: "slow-reader",
        title: "A slow reader",
        text: "The peer does not take its echo. With 6 bytes pending, which is below the mark of 8, the connection reads \
            once more: 16 bytes. With 22 pending it pauses, and keeps its belief that there is more to read. After \
            “Take 1” no event comes: the kernel reports room only when more than a third of the send buffer is free. \
            Later the send buffer grows, as the kernel of Linux lets it. No button does that.",
        schedule: "edge\nsizes-16-8-10\nsend-35\nturn\ntake-1\nclock\ngrow-40\ntake-all\nturn\ntake-all",
        heading: Some("A slow reader"),
    },
    Example {
        name: "half-close",
        title: "A half-close",
        text: "The event reports the FIN (“read closed”), so the connection reads on after the short read and finds it. The \
            connection stays in Finishing until the pending bytes are delivered. As in “A slow reader”, the send buffer \
            grows on the way.",
        schedule: "edge\nsizes-16-8-2\nsend-5\nfin\nturn\ngrow-8\ntake-all\nturn\ntake-all",
        heading: Some("A half-close"),
    },
    Example {
        name: "lost-fin",
        title: "A lost FIN, found by a timer",
        text: "The event does not report the FIN that is queued after a byte, so nobody reads it. The last step shows what \
            ends this: the idle timer expires, and the read that it asks for finds the FIN after a minute. With the \
            default --idle-timeout 0, nothing would end it.",
        schedule: "edge\nbreak-hide-fin\nsend-1\nfin\nturn\ntake-all\nclock",
        heading: None,
    },
    Example {
        name: "urgent-mark",
        title: "An urgent mark",
        text: "A peer can mark a place in the stream as urgent (MSG_OOB). Near a mark, two answers of a read prove nothing. \
            A read stops short at the mark, although a byte follows: see the first read of step 3. And while the process \
            has a signal pending, a read at the mark answers WouldBlock, although a byte follows: see the first read of \
            step 7. So after an event with an urgent mark, the connection reads on until a second WouldBlock.",
        schedule: "edge\nsend-1\nurgent\nturn\ntake-all\nurgent\nsignal\nturn\ntake-all",
        heading: None,
    },
    Example {
        name: "stop",
        title: "A stop",
        text: "The server stops while a byte waits that no event has reported. The byte is echoed, our FIN follows, and the \
            connection lingers. The byte d, which comes after the stop, is read and discarded. The peer’s FIN leads to \
            Finishing, and to Closed at once, because nothing is owed.",
        schedule: "edge\nsend-2\nturn\nsend-1\nstop\ntake-all\nsend-1\nturn\nfin\nturn",
        heading: None,
    },
    Example {
        name: "rearm",
        title: "The other poll",
        text: "On Windows and poll(2), a direction is reported once and then not again until a read has answered WouldBlock. \
            So the connection reads until it does. In step 2, epoll beside it saves that read: the short read is proof \
            enough.",
        schedule: "rearm\nsend-1\nturn\nsend-3\nturn\ntake-all\nturn\ntake-all",
        heading: None,
    },
];
