//! `mio-echo bench` from outside: whether its figures can be trusted, and what it does about servers with faults.
//!
//! Most tests measure for a second or less beside other tests, on a machine that may be busy. They require what holds
//! there too, with upper bounds of time ten times as wide as promised. With `--features soak` there are longer ones;
//! with `MIO_ECHO_TEST_STRICT=1` bounds are as promised, and a run is required to be VALID. Both want a machine at
//! rest and one test after the other: `cargo test --release --features soak --test bench -- --test-threads=1`.

#![forbid(unsafe_code)]

// Shared with the tests of other subcommands, which use other parts.
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;

#[path = "../support/bench.rs"]
mod bench;
#[path = "../support/faulty/mod.rs"]
mod faulty;

mod failures;
mod faulty_servers;
mod load;
mod options;
mod own_server;
mod report;
mod schedule;
mod shards;
#[cfg(unix)]
mod signals;
#[cfg(unix)]
mod stalled_readers;
mod verification;
