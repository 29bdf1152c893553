//! The program `player`: reads a schedule from standard input, and writes its trace to standard output. The page of play/
//! runs it in a browser.
#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::process::ExitCode;

use mio_echo::player;

fn main() -> ExitCode {
    let mut schedule = String::new();
    if let Err(error) = io::stdin().read_to_string(&mut schedule) {
        eprintln!("player: cannot read the schedule: {error}");
        return ExitCode::FAILURE;
    }
    let trace = match player::play(&schedule) {
        Ok(trace) => trace,
        Err(reason) => {
            eprintln!("player: {reason}");
            return ExitCode::FAILURE;
        }
    };
    match io::stdout().write_all(trace.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("player: cannot write the trace: {error}");
            ExitCode::FAILURE
        }
    }
}
