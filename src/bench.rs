//! `mio-echo bench`: measures, then says what came of it.

mod progress;

use std::process::ExitCode;

use mio_echo::load;

use crate::cli::{Bench, Measure, Merge};
use crate::fail;

/// Does what was asked for.
pub fn bench(asked: Bench) -> ExitCode {
    match asked {
        Bench::Measure(measure) => self::measure(*measure),
        Bench::Merge(merge) => self::merge(merge),
    }
}

fn measure(asked: Measure) -> ExitCode {
    let mut progress = progress::chosen();
    match load::run(asked.config, &mut *progress) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn merge(_asked: Merge) -> ExitCode {
    ExitCode::FAILURE
}
