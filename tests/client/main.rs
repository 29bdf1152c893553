//! `mio-echo client` from outside: the real binary against the real server, and against peers that misbehave.

#![forbid(unsafe_code)]
// The tests of the server use the others.
#![allow(dead_code, unused_imports)]

#[path = "../support/mod.rs"]
mod support;

mod connect;
#[cfg(target_os = "linux")]
mod linux;
mod messages;
mod pipe;
mod program;
mod scripted_server;
