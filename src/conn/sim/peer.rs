//! The peer of a world.

use super::journal::{Entry, record};
use super::kernel::{Item, Kernel};
use super::step::{Chance, PeerStep};

impl<C: Chance> Kernel<'_, C> {
    pub(super) fn peer_steps(&self) -> Vec<PeerStep> {
        let mut steps = vec![];
        if self.reset {
            return steps;
        }
        if !self.peer_finished {
            steps.extend([
                PeerStep::Send(1),
                PeerStep::Send(2),
                PeerStep::Send(3),
                PeerStep::SendUrgent,
                PeerStep::Finish,
            ]);
        }
        if self.outbound > 0 {
            steps.push(PeerStep::Take(1));
        }
        if self.outbound > 1 {
            steps.push(PeerStep::Take(self.outbound));
        }
        steps.push(PeerStep::Reset);
        steps
    }

    pub(super) fn peer(&mut self, step: PeerStep) {
        match step {
            PeerStep::Send(bytes) => (0..bytes).for_each(|_| self.peer_sends_a_byte()),
            PeerStep::SendUrgent => {
                self.inbound.push_back(Item::UrgentMark);
                self.peer_sends_a_byte();
            }
            PeerStep::Finish => self.peer_finished = true,
            PeerStep::Reset => {
                self.reset = true;
                self.inbound.clear();
            }
            PeerStep::Take(bytes) => return self.peer_takes(bytes),
        }
        self.read_armed |= self.is_edge_triggered();
        self.write_armed |= self.is_edge_triggered() && self.reset;
        if self.closed.is_some() && self.queued() > 0 {
            self.reset_peer();
        }
    }

    fn peer_sends_a_byte(&mut self) {
        let byte = self.rules.tape.byte(self.peer_sent);
        self.inbound.push_back(Item::Byte(byte));
        self.peer_sent += 1;
    }

    pub(super) fn peer_takes(&mut self, bytes: usize) {
        self.outbound -= bytes;
        self.taken += bytes;
        self.report_room();
    }

    /// Lets the send buffer grow, as Linux does while a connection sends much (`tcp_wmem` in tcp(7)).
    pub(crate) fn grow(&mut self, send_buffer: usize) {
        self.send_buffer = send_buffer;
        self.report_room();
    }

    /// Makes a write event due if a write has found no room and there is room now.
    fn report_room(&mut self) {
        if self.was_full && self.writable() {
            self.was_full = false;
            self.write_armed |= self.is_edge_triggered() && self.write_interest;
        }
    }

    /// Lets the peer act between two system calls, because the peer does not wait for the loop.
    pub(super) fn peer_may_act(&mut self) {
        if !self.chance.lets_peer_interfere() {
            return;
        }
        let steps = self.peer_steps();
        if let Some(step) = self.chance.meanwhile(&steps) {
            record(|| Entry::Happening(format!("meanwhile {step:?}")));
            self.peer(step);
        }
    }
}
