//! The machine and the build that generated a load.

use std::env::consts;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::net::BACK_END;

/// The machine and the build that generated a load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The version of mio-echo.
    pub version: String,
    /// The operating system: `linux`, `macos`, `windows`, ...
    pub system: String,
    /// The version of the kernel; null if the system does not tell.
    pub kernel: Option<String>,
    /// The processor architecture: `x86_64`, `aarch64`, ...
    pub architecture: String,
    /// The number of CPUs that the process may use; null if the system does not tell.
    pub cpus: Option<usize>,
    /// The system interface by which this build waits for sockets: `epoll`, `kqueue`, `poll` or `IOCP`.
    pub back_end: String,
}

impl Environment {
    /// Returns the environment of this process.
    pub fn current() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            system: consts::OS.into(),
            kernel: sysinfo::System::kernel_version(),
            architecture: consts::ARCH.into(),
            cpus: thread::available_parallelism().ok().map(usize::from),
            back_end: BACK_END.into(),
        }
    }
}
