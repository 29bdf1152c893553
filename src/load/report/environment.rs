//! Where it was measured.

use std::env::consts;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::net::BACK_END;

/// Where it was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The version of mio-echo.
    pub version: String,
    /// `linux`, `macos`, `windows`, ...
    pub system: String,
    /// The kernel's version; null where the system does not tell.
    pub kernel: Option<String>,
    /// `x86_64`, `aarch64`, ...
    pub architecture: String,
    /// CPUs that this process may use; null where the system does not tell.
    pub cpus: Option<usize>,
    /// How this build waits for sockets: `epoll`, `kqueue`, `poll` or `IOCP`.
    pub back_end: String,
}

impl Environment {
    /// Of this process.
    pub fn here() -> Self {
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
