//! The clients of proxies in a build without the feature `proxy`: there are none. `clients.rs` describes the methods.

use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::TcpStream;

use crate::conn::Settings;
use crate::net::Config;
use crate::net::loops::Loops;
use crate::net::timers::NEVER;

#[derive(Debug)]
pub(in crate::net) struct ProxiedClients;

impl ProxiedClients {
    pub(in crate::net) fn new(_: &Config, _: usize) -> Self {
        Self
    }

    pub(in crate::net) fn memory_per_connection(_: &Config) -> (usize, usize) {
        (0, 0)
    }

    pub(in crate::net) fn len(&self) -> usize {
        0
    }

    pub(in crate::net) fn takes(&self, _: SocketAddr) -> bool {
        false
    }

    pub(in crate::net) fn add(
        &mut self,
        _: TcpStream,
        _: SocketAddr,
        _: &Arc<Settings>,
        _: &mut Loops,
        _: u64,
    ) {
    }

    pub(in crate::net) fn mark_ready(&mut self, _: usize) {}

    pub(in crate::net) fn is_runnable(&self, _: u64) -> bool {
        false
    }

    pub(in crate::net) fn next_deadline(&self) -> u64 {
        NEVER
    }

    pub(in crate::net) fn run(&mut self, _: &mut Loops, _: u64) {}

    pub(in crate::net) fn finish(&mut self, _: &mut Loops, _: u64) {}
}
