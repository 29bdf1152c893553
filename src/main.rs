//! The program `mio-echo`: reads the command line, sets up the log, runs what was asked for, and says how it ended.
#![forbid(unsafe_code)]

mod cli;
mod program;

use std::env;
use std::process::ExitCode;

use cli::Command;

fn main() -> ExitCode {
    match cli::parse(env::args_os(), |name| env::var_os(name)) {
        Ok(Command::Serve(options)) => program::serve::serve(options),
        #[cfg(feature = "client")]
        Ok(Command::Client(options)) => program::client::run(options),
        #[cfg(feature = "bench")]
        Ok(Command::Bench(asked)) => program::bench::bench(asked),
        Err(refusal) => cli::answer(refusal),
    }
}
