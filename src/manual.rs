//! The program `mio-echo-manual`: writes the man pages, and the completions of bash, zsh and fish, to a directory. It is for
//! packagers:
//!
//! ```text
//! cargo run --features manual --bin mio-echo-manual -- DIRECTORY
//! ```
//!
//! Pages and completions have the subcommands and options of the features with which this program is built.
#![forbid(unsafe_code)]

// Only the definitions of the command line are used.
#[allow(dead_code, unused_imports)]
mod cli;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use clap::CommandFactory;
use clap_complete::{Shell, generate, generate_to};
use cli::parse::Cli;

const NAME: &str = "mio-echo";

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let (Some(directory), None) = (arguments.next(), arguments.next()) else {
        eprintln!("mio-echo-manual: expected one argument, the directory to write to");
        return ExitCode::from(2);
    };
    match write(Path::new(&directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "mio-echo-manual: cannot write to {}: {error}",
                directory.display()
            );
            ExitCode::FAILURE
        }
    }
}

fn write(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Cli::command(), directory)?;
    for shell in [Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut Cli::command(), NAME, directory)?;
    }
    let mut bash = Vec::new();
    generate(Shell::Bash, &mut Cli::command(), NAME, &mut bash);
    // Without this, bash completes nothing after a subcommand, because the name of the program has a hyphen (clap issue 6421).
    let bash = String::from_utf8_lossy(&bash).replace("mio__subcmd__echo", "mio__echo");
    fs::write(directory.join("mio-echo.bash"), bash)
}
