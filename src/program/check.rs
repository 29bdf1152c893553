//! `mio-echo serve --check`: prints what the options mean on this system.

use std::env;
use std::process::ExitCode;

use mio_echo::net::{self, Config};

use super::failure::refuse;
use super::help;
use super::standard_streams::write_stderr_bounded;
use crate::cli::unknown_variables;

/// Prints `settings`, a line for each option, and what `config` resolves to. Refuses a configuration with which the server
/// would not start.
pub fn run(config: &Config, settings: &[String]) -> ExitCode {
    for line in unknown_variables(env::vars_os()) {
        write_stderr_bounded(&format!("mio-echo: {line}"));
    }
    match net::check(config) {
        Ok(resolved) => {
            let lines = settings.iter().chain(&resolved);
            help::print(&lines.map(|line| format!("{line}\n")).collect::<String>())
        }
        Err(error) => refuse(&error.to_string()),
    }
}
