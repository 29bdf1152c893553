//! What the connection believes about its socket, beside what is true.

use super::super::State;
use super::super::checks::Check;
use super::kernel::Item;
use super::step::Chance;
use super::world::World;

/// A bit of the connection's readiness.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Belief {
    pub(crate) bit: &'static str,
    pub(crate) is_believed: bool,
    /// `None` once the connection has closed and believes nothing.
    pub(crate) is_true: Option<bool>,
}

impl<C: Chance> World<'_, C> {
    /// Returns all bits, in the order of the table in `conn/readiness.rs`.
    pub(crate) fn beliefs(&self) -> [Belief; 6] {
        let kernel = &self.kernel;
        let has_mark = kernel.inbound.contains(&Item::UrgentMark);
        let truths = [
            kernel.readable(),
            kernel.peer_finished || has_mark,
            kernel.may_block_falsely(),
            kernel.reset || kernel.outbound < kernel.send_buffer,
            kernel.is_write_closed(),
            kernel.reset,
        ];
        let mut truths = truths.into_iter();
        let is_open = self.connection.state() != State::Closed;
        self.connection
            .readiness
            .bits()
            .map(|(bit, is_believed)| Belief {
                bit,
                is_believed,
                is_true: truths.next().filter(|_| is_open),
            })
    }

    /// Returns what the next runs have to ask the socket.
    pub(crate) fn checks(&self) -> Vec<String> {
        let checks = [
            Check::Stop,
            Check::WriteTimer,
            Check::IdleTimer,
            Check::FrameTimer,
            Check::SessionTimer,
            Check::SessionGrace,
        ];
        let pending = self.connection.pending_checks;
        let pending = checks.into_iter().filter(|check| pending.contains(*check));
        pending.map(|check| format!("{check:?}")).collect()
    }
}
