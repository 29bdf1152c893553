//! The program `mio-echo`: parses the command line, runs the command, and exits with its code.
#![forbid(unsafe_code)]

mod cli;
mod program;

use std::env;
use std::process::ExitCode;

use cli::Command;

fn main() -> ExitCode {
    program::prepare_process();
    let variable = |name: &str| env::var_os(name);
    match cli::parse(env::args_os(), variable, program::take_inherited_sockets) {
        Ok(Command::Help(text)) => program::print_help(&text),
        Ok(Command::Check { options, settings }) => program::check(&options.config, &settings),
        Ok(Command::Serve(options)) => program::serve(*options),
        #[cfg(feature = "client")]
        Ok(Command::Client(options)) => program::client(options),
        #[cfg(feature = "bench")]
        Ok(Command::Bench(command)) => program::bench(command),
        Err(reason) => program::refuse(&reason),
    }
}
