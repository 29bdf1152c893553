//! `mio-echo bench` from outside: correct figures, and the right answer to servers with faults.
//!
//! Most tests measure for a second or less while other tests run, on a machine that may be busy, so they have no upper
//! bounds on time. `--features soak` adds longer tests. With `MIO_ECHO_TEST_STRICT=1` the promised figures are upper
//! bounds, and a run must be VALID. Both need an idle machine and one test at a time:
//! `cargo test --release --features soak --test bench -- --test-threads=1`.

#![forbid(unsafe_code)]

// Every test program includes this module and uses a part of the module.
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;

#[path = "../support/bench.rs"]
mod bench;
#[path = "../support/faulty/mod.rs"]
mod faulty;

mod beside;
mod compare;
mod failures;
mod faulty_servers;
mod find_max;
#[cfg(target_os = "linux")]
mod idle;
mod load;
mod machine;
mod options;
mod own_server;
#[cfg(feature = "html")]
mod page;
mod report;
#[cfg(all(feature = "systemd", target_os = "linux"))]
mod restarts;
mod schedule;
#[cfg(target_os = "linux")]
mod scopes;
mod shards;
#[cfg(unix)]
mod signals;
#[cfg(unix)]
mod stalled_readers;
#[cfg(unix)]
mod stalls;
#[cfg(all(unix, feature = "soak"))]
mod stationarity;
#[cfg(target_os = "linux")]
mod streams;
mod sweep;
#[cfg(target_os = "linux")]
mod terminal;
mod verification;
