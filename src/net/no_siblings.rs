//! The siblings of a loop in a build without the feature `threads`: there are none. `sibling.rs` and `arrivals.rs` describe
//! the methods.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::vec::Drain;

use mio::net::TcpStream;

use super::Stats;
use super::connections::Connections;
use crate::conn::Settings;

/// No value has this type.
pub(super) enum Sibling {}

/// No value has this type.
pub(super) enum Arrivals {}

pub(super) struct Arrival {
    pub socket: TcpStream,
    pub peer: SocketAddr,
    pub settings: Arc<Settings>,
}

impl Sibling {
    pub(super) fn admit(&mut self, arrival: Arrival) {
        drop((arrival.socket, arrival.peer, arrival.settings));
        match *self {}
    }

    pub(super) fn deliver(&mut self) -> Result<(), Drain<'_, Arrival>> {
        match *self {}
    }

    pub(super) fn active(&self) -> usize {
        match *self {}
    }

    pub(super) fn released(&self) -> usize {
        match *self {}
    }

    pub(super) fn await_release(&self) {
        match *self {}
    }

    pub(super) fn has_ended(&self) -> bool {
        match *self {}
    }

    pub(super) fn request_turn(&self, _: u64) {
        match *self {}
    }

    pub(super) fn has_turned(&self, _: u64) -> bool {
        match *self {}
    }

    pub(super) fn request_stats(&self, _: u64) {
        match *self {}
    }

    pub(super) fn stats(&self, _: u64) -> Option<Stats> {
        match *self {}
    }

    pub(super) fn stop(&self) {
        match *self {}
    }

    pub(super) fn abort(&self) {
        match *self {}
    }

    pub(super) fn join(&mut self) -> io::Result<()> {
        match *self {}
    }
}

impl Arrivals {
    pub(super) fn is_empty(&self) -> bool {
        match *self {}
    }

    pub(super) fn admit(&mut self, _: &mut Connections, _: u64) {
        match *self {}
    }

    pub(super) fn refuse(&mut self, _: &mut Connections) {
        match *self {}
    }
}
