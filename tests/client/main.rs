//! `mio-echo client` from outside: the real executable against the real server, and against servers that misbehave.

#![forbid(unsafe_code)]
// Every test program includes this module and uses a part of the module.
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
#[cfg(target_os = "linux")]
mod streams;
