//! What the definitions of all subcommands share: the headings that group options in the help, and how values are
//! typed.

use std::any::TypeId;
use std::path::PathBuf;

use clap::Arg;

/// Connections: how many, from and to which addresses, and how they are opened and closed.
pub const CONNECTIONS: &str = "Connections";

/// Messages: how they are framed, their size and their contents.
pub const MESSAGES: &str = "Messages";

/// How long something may take.
pub const TIMEOUTS: &str = "Timeouts";

/// How a server stops.
pub const STOP: &str = "Stop";

/// Memory and buffers of the system.
pub const BUFFERS: &str = "Buffers";

/// What is logged, printed or written.
pub const OUTPUT: &str = "Output";

/// The load of a measurement.
#[cfg(feature = "bench")]
pub const LOAD: &str = "Load";

/// What a comparison compares, and how it decides.
#[cfg(feature = "bench")]
pub const COMPARISON: &str = "Comparison";

/// The machine of a measurement.
#[cfg(feature = "bench")]
pub const MACHINE: &str = "Machine";

/// Several measurements, one after another.
#[cfg(feature = "bench")]
pub const SERIES: &str = "Several measurements";

/// One load that several processes make.
#[cfg(feature = "bench")]
pub const SHARDS: &str = "Load from several processes";

/// Lets the value of `option` begin with a hyphen: `--backlog -1` is a refused value of `--backlog`, not an unknown
/// option `-1`. A path may be any text, so after an option that takes a path the next option is no value.
pub fn allow_hyphen_values(option: Arg) -> Arg {
    let is_option = option.get_action().takes_values() && !option.is_positional();
    let takes_path = is_path(&option);
    option.allow_hyphen_values(is_option && !takes_path)
}

/// Returns true if the value of `option` is a path.
pub fn is_path(option: &Arg) -> bool {
    option.get_value_parser().type_id() == TypeId::of::<PathBuf>()
}
