//! What the selector reports about the socket, and when.

use super::super::readiness::Ready;
use super::kernel::{Item, Kernel};
use super::rules::{BrokenRule, Selector};
use super::step::{Chance, Rare};

impl<C: Chance> Kernel<'_, C> {
    /// Returns true if an arrival arms the selector. Otherwise a call that blocks does.
    pub(super) fn is_edge_triggered(&self) -> bool {
        self.rules.selector == Selector::Edge
    }

    pub(crate) fn readable(&self) -> bool {
        let bytes = self.inbound.iter().any(|item| *item != Item::UrgentMark);
        bytes || self.peer_finished || self.reset
    }

    /// Returns the number of bytes that the kernel has received and the connection has not read.
    pub(crate) fn queued(&self) -> usize {
        let bytes = self.inbound.iter();
        bytes.filter(|item| **item != Item::UrgentMark).count()
    }

    /// Returns true if a write event can be reported: if about a third of the send buffer is free. A write may succeed
    /// before.
    pub(crate) fn writable(&self) -> bool {
        self.reset || self.send_buffer - self.outbound > self.send_buffer / 3
    }

    /// Returns whether a read event and whether a write event is due.
    pub(crate) fn due(&self) -> (bool, bool) {
        let read = self.read_armed && self.readable();
        let write = self.write_armed && self.write_interest && self.writable();
        (read, write)
    }

    pub(super) fn event(&mut self) -> Option<Ready> {
        let (mut read, mut write) = self.due();
        if !read && !write {
            return None;
        }
        let possible = [Rare::EventTwice, Rare::EventForBoth, Rare::EventSplit];
        let count = if read && write { 3 } else { 2 };
        match self.chance.rare(&possible[..count]) {
            Some(Rare::EventTwice) => return Some(self.report(read, write)),
            Some(Rare::EventForBoth) => (read, write) = (true, true),
            Some(Rare::EventSplit) => read = false,
            Some(_) | None => {}
        }
        self.read_armed &= !read;
        self.write_armed &= !write;
        Some(self.report(read, write))
    }

    pub(crate) fn report(&self, read: bool, write: bool) -> Ready {
        let mut ready = Ready {
            readable: read,
            writable: write,
            read_closed: read && (self.peer_finished || self.reset),
            write_closed: self.is_write_closed(),
            priority: read && self.inbound.contains(&Item::UrgentMark),
            error: self.reset,
        };
        (self.rules.hide)(&mut ready);
        ready.read_closed &= !self.rules.breaks(BrokenRule::HideFin);
        ready.priority &= !self.rules.breaks(BrokenRule::HideUrgentMark);
        ready
    }

    /// Changes the registration for write events, if `wanted` is a change.
    pub(super) fn arm_write(&mut self, wanted: bool) {
        if wanted != self.write_interest {
            self.register_write(wanted);
        }
    }

    /// Registers or deregisters for write events. A selector reports what holds at that moment, whether or not it has
    /// reported it before.
    pub(super) fn register_write(&mut self, wanted: bool) {
        self.peer_may_act();
        self.write_interest = wanted;
        self.write_armed = wanted;
    }
}
