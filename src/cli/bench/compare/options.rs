//! The options of `bench compare` as the program uses them.

use std::path::PathBuf;

use clap::Args;
use mio_echo::load::{CommandLine, Figure, RunSettings};

use crate::cli::bench::server::Server;
use crate::cli::definition::OUTPUT;

/// What an undecided limit means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// A failure.
    Fails,
    /// No failure.
    Passes,
}

/// The options of a comparison.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// What is compared.
    pub input: CompareInput,
    /// The share by which B may be slower: 0.02 is 2 %.
    pub limit: Option<f64>,
    /// What an undecided limit means.
    pub undecided: Undecided,
    /// What happens to the report.
    pub outputs: CompareOutputs,
}

/// What is compared.
#[derive(Clone, Debug)]
pub enum CompareInput {
    /// Runs that are to be done.
    Rounds(Box<RoundsOptions>),
    /// Reports of runs.
    Files {
        /// The reports of A.
        base: Vec<PathBuf>,
        /// The reports of B.
        new: Vec<PathBuf>,
        /// The figure that decides, if it was chosen.
        metric: Option<Figure>,
    },
}

/// The options of rounds.
#[derive(Clone, Debug)]
pub struct RoundsOptions {
    /// What A is.
    pub a: SideOptions,
    /// What B is.
    pub b: SideOptions,
    /// The number of rounds.
    pub rounds: usize,
    /// The seed of the orders of the rounds.
    pub seed: u64,
    /// The command before each run.
    pub prepare: Option<CommandLine>,
    /// The figure that decides.
    pub metric: Figure,
}

/// A side of a comparison.
#[derive(Clone, Debug)]
pub struct SideOptions {
    /// The server.
    pub server: Server,
    /// The options that this side has of its own, as they were typed.
    pub options: Option<String>,
    /// The settings of each run.
    pub settings: RunSettings,
}

// What happens to the report of a comparison. Not a doc comment: it would become the first line of the help.
#[derive(Args, Clone, Debug)]
pub struct CompareOutputs {
    /// Write the report to this file as JSON, with the reports of all runs; `-` is standard output, without the text of the
    /// report; default: no file
    #[arg(short, long, value_name = "FILE", help_heading = OUTPUT)]
    pub output: Option<PathBuf>,

    /// Write the report to this file as markdown, for a pull request; default: no file
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub markdown: Option<PathBuf>,

    /// Write the report to this file as a page of HTML with plots, for a browser; default: no file
    #[cfg(feature = "html")]
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub html: Option<PathBuf>,

    /// Print the report as JSON on standard output, and nothing else there; default: print text
    #[arg(short = 'J', long, help_heading = OUTPUT)]
    pub json: bool,

    /// Exit with 5 if a run is suspect; default: exit with 0
    #[arg(long, help_heading = OUTPUT)]
    pub strict: bool,
}

impl CompareOutputs {
    /// Returns the file for the page of HTML. A build without the feature `html` has none.
    pub fn page(&self) -> Option<&PathBuf> {
        #[cfg(feature = "html")]
        return self.html.as_ref();
        #[cfg(not(feature = "html"))]
        None
    }
}
