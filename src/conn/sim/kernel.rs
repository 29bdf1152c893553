//! The kernel's side of one socket. The peer at its other end is in `peer.rs`, and the selector in `selector.rs`.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

use super::super::readiness::ShortRead;
use super::journal::{Call, Entry, record};
use super::rules::{BrokenRule, Rules, Selector};
use super::step::{Chance, Rare};

/// What is queued for the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Item {
    Byte(u8),
    UrgentMark,
}

/// How the peer sees that we have finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PeerEnd {
    Fin,
    Reset,
}

/// The peer, the kernel's side of one socket, and the selector. The peer sends the bytes of its tape. So the echo is
/// right if the n-th byte written is the n-th byte of the tape and belongs to a message that was read whole.
pub(crate) struct Kernel<'a, C> {
    pub(crate) rules: &'a Rules,
    pub(crate) chance: &'a mut C,

    pub(crate) inbound: VecDeque<Item>,
    pub(crate) peer_sent: usize,
    pub(crate) peer_finished: bool,
    pub(crate) reset: bool,
    /// The number of bytes in the send buffer or under way to the peer, and how many there may be.
    pub(crate) outbound: usize,
    pub(crate) send_buffer: usize,
    /// The number of bytes that the peer has taken.
    pub(crate) taken: usize,
    pub(crate) fin_sent: bool,
    /// What the peer sees after the bytes of the send buffer, once the owner has closed the socket.
    pub(crate) closed: Option<PeerEnd>,
    /// The peer has had its time to take everything: the linger timer has expired, or the server waits no longer.
    pub(super) has_lingered: bool,
    pub(super) was_full: bool,

    pub(crate) write_interest: bool,
    /// Under `Edge`: there is something to report. Under `DrainToRearm`: this direction is armed.
    pub(crate) read_armed: bool,
    pub(crate) write_armed: bool,

    /// Every read of this run is interrupted, until the budget is spent.
    pub(super) interrupting: bool,
    /// The number of bytes read when a read answered `WouldBlock` at an urgent mark, because a signal was pending.
    pub(super) falsely_blocked_at: Option<u64>,
    /// A `WouldBlock` is believed that the connection does not believe (`BrokenRule::TrustBlock`): the read that asks again
    /// is not made, and answers the same.
    believes_block: bool,
    /// A read has found nothing since a timer expired.
    pub(super) was_silent: bool,
    /// A write of this run found no room.
    pub(super) found_no_room: bool,
    /// Bytes that are read now have to be echoed.
    pub(super) echoing: bool,
    pub(super) to_echo: usize,
    pub(crate) echoed: usize,
    pub(super) read: u64,
    pub(super) calls: usize,
    pub(super) useful_calls: usize,
    /// A read has returned 0.
    pub(crate) read_the_end: bool,
    pub(super) violation: Option<&'static str>,
}

impl<'a, C: Chance> Kernel<'a, C> {
    pub(super) fn new(rules: &'a Rules, chance: &'a mut C) -> Self {
        Self {
            rules,
            chance,
            inbound: VecDeque::new(),
            peer_sent: 0,
            peer_finished: false,
            reset: false,
            outbound: 0,
            send_buffer: rules.sizes.send_buffer,
            taken: 0,
            fin_sent: false,
            closed: None,
            has_lingered: false,
            was_full: false,
            write_interest: false,
            read_armed: rules.selector == Selector::DrainToRearm,
            write_armed: false,
            interrupting: false,
            falsely_blocked_at: None,
            believes_block: false,
            was_silent: false,
            found_no_room: false,
            echoing: true,
            to_echo: 0,
            echoed: 0,
            read: 0,
            calls: 0,
            useful_calls: 0,
            read_the_end: false,
            violation: None,
        }
    }

    /// Returns true if nothing can be sent any more.
    pub(crate) fn is_write_closed(&self) -> bool {
        self.reset || self.fin_sent && self.peer_finished
    }

    pub(super) fn shut_down(&mut self) -> bool {
        self.peer_may_act();
        self.fin_sent = !self.reset;
        self.fin_sent
    }

    /// Closes the socket. With unread input, now or later, the kernel sends a reset, which drops what is still under way
    /// to the peer. That is a violation unless the peer has had its time, or is due this reset.
    pub(super) fn close(&mut self, end: PeerEnd) {
        self.closed = Some(end);
        if end == PeerEnd::Reset || self.queued() > 0 {
            self.reset_peer();
        }
    }

    pub(super) fn reset_peer(&mut self) {
        if self.closed == Some(PeerEnd::Fin) && self.outbound > 0 && !self.has_lingered {
            self.violation = Some("a reset destroys the end of the echo");
        }
        self.closed = Some(PeerEnd::Reset);
        self.outbound = 0;
    }

    /// Returns true if a signal can make a read block although bytes are queued. Linux knows only the last urgent mark. A
    /// second signal at the same mark would have to come right after the handling of the first one.
    pub(crate) fn may_block_falsely(&self) -> bool {
        let marks = self.inbound.len() - self.queued();
        let is_at_last_mark = marks == 1 && self.inbound.front() == Some(&Item::UrgentMark);
        is_at_last_mark && self.falsely_blocked_at != Some(self.read)
    }

    fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.peer_may_act();
        if self.interrupting {
            return Err(ErrorKind::Interrupted.into());
        }
        let mut max = into.len();
        let is_at_mark = self.inbound.front() == Some(&Item::UrgentMark);
        let possible = [
            Rare::ReadInterrupted,
            Rare::ReadOfOne,
            Rare::ReadBlockedFalsely,
        ];
        let count = if self.may_block_falsely() { 3 } else { 2 };
        match self.chance.rare(&possible[..count]) {
            Some(Rare::ReadInterrupted) => {
                self.interrupting = true;
                return Err(ErrorKind::Interrupted.into());
            }
            Some(Rare::ReadBlockedFalsely) => {
                record(|| Entry::Happening("a signal is pending at the urgent mark".to_string()));
                self.falsely_blocked_at = Some(self.read);
                self.believes_block = self.rules.breaks(BrokenRule::TrustBlock);
                self.read_armed |= !self.is_edge_triggered();
                return Err(ErrorKind::WouldBlock.into());
            }
            Some(Rare::ReadOfOne) if self.rules.short_read == ShortRead::ProvesNothing => max = 1,
            Some(_) | None => {}
        }
        if self.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if is_at_mark {
            self.inbound.pop_front();
        }
        let mut got = 0;
        while got < max
            && let Some(&Item::Byte(byte)) = self.inbound.front()
        {
            into[got] = byte;
            got += 1;
            self.inbound.pop_front();
        }
        if got == 0 && !self.peer_finished {
            self.was_silent = true;
            self.read_armed |= !self.is_edge_triggered();
            return Err(ErrorKind::WouldBlock.into());
        }
        self.read_the_end = got == 0;
        self.read += got as u64;
        self.to_echo += if self.echoing { got } else { 0 };
        Ok(got)
    }

    fn send(&mut self, from: &[u8]) -> io::Result<usize> {
        self.peer_may_act();
        if self.reset {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let room = self.send_buffer - self.outbound;
        if room == 0 {
            self.was_full = true;
            self.found_no_room = true;
            self.write_armed |= !self.is_edge_triggered();
            return Err(ErrorKind::WouldBlock.into());
        }
        let is_short = self.chance.rare(&[Rare::WriteOfOne]).is_some();
        let taken = from.len().min(if is_short { 1 } else { room });
        for byte in &from[..taken] {
            if *byte != self.rules.tape.byte(self.echoed) {
                self.violation = Some("the echo differs from the input");
            }
            self.echoed += 1;
        }
        if self.echoed > self.whole() {
            self.violation = Some("an incomplete message is echoed");
        }
        self.outbound += taken;
        Ok(taken)
    }

    /// Counts and records a call with its buffer and its answer.
    fn called(
        &mut self,
        call: &'static str,
        buffer: &[u8],
        answer: io::Result<usize>,
    ) -> io::Result<usize> {
        self.calls += 1;
        self.useful_calls += usize::from(answer.is_ok());
        record(|| {
            let answer = answer.as_ref().map_err(io::Error::kind).copied();
            Entry::Call(Call {
                call,
                size: buffer.len(),
                answer,
                bytes: buffer[..answer.unwrap_or(0)].to_vec(),
            })
        });
        answer
    }

    /// Returns how many of the bytes that were read belong to whole messages.
    pub(super) fn whole(&self) -> usize {
        self.rules.tape.whole(self.to_echo)
    }

    pub(super) fn owed(&self) -> usize {
        self.whole() - self.echoed
    }
}

impl<C: Chance> Read for Kernel<'_, C> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if std::mem::take(&mut self.believes_block) {
            return Err(ErrorKind::WouldBlock.into());
        }
        if self.read_the_end {
            self.violation = Some("a read after the end of the input");
        }
        let answer = self.receive(into);
        self.called("read", into, answer)
    }
}

impl<C: Chance> Write for Kernel<'_, C> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let answer = self.send(from);
        self.called("write", from, answer)
    }

    fn flush(&mut self) -> io::Result<()> {
        unreachable!("a socket has nothing to flush")
    }
}
