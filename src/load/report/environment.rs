//! The machine and the build that generated a load.

use std::env::consts;
use std::path::Path;
use std::{fs, thread};

use serde::{Deserialize, Serialize};
use sysinfo::{CpuRefreshKind, System};

use crate::net::BACK_END;

/// Linux has one directory for each set of CPUs that change their frequency together.
const CPU_FREQUENCIES: &str = "/sys/devices/system/cpu/cpufreq";

/// The machine and the build that generated a load: `environment` in the JSON report.
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
    /// The model of the first CPU; null if the system does not tell.
    pub cpu_model: Option<String>,
    /// How Linux chooses the frequency of the CPUs: `performance`, `schedutil`, ... If CPUs differ, all names, separated
    /// by commas. Null on other systems, and where the frequency is not Linux's choice, as in most virtual machines.
    pub governor: Option<String>,
    /// The system interface by which this build waits for sockets: `epoll`, `kqueue`, `poll` or `IOCP`.
    pub back_end: String,
}

impl Environment {
    /// Returns the environment of this process.
    pub fn current() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            system: consts::OS.into(),
            kernel: System::kernel_version(),
            architecture: consts::ARCH.into(),
            cpus: thread::available_parallelism().ok().map(usize::from),
            cpu_model: cpu_model(),
            governor: governor(Path::new(CPU_FREQUENCIES)),
            back_end: BACK_END.into(),
        }
    }
}

fn cpu_model() -> Option<String> {
    let mut system = System::new();
    system.refresh_cpu_list(CpuRefreshKind::nothing());
    let model = system.cpus().first()?.brand().trim().to_owned();
    Some(model).filter(|model| !model.is_empty())
}

fn governor(cpu_frequencies: &Path) -> Option<String> {
    let policies = fs::read_dir(cpu_frequencies).ok()?.flatten();
    let names = policies.filter_map(|policy| {
        let name = fs::read_to_string(policy.path().join("scaling_governor")).ok()?;
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    names.dedup();
    (!names.is_empty()).then(|| names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::cgroup::testing::Tree;

    #[test]
    fn each_governor_is_named_once() {
        let tree = Tree::new();
        assert_eq!(governor(&tree.root().join("cpufreq")), None);
        for (policy, name) in [(0, "schedutil"), (1, "performance"), (2, "schedutil")] {
            let file = format!("cpufreq/policy{policy}/scaling_governor");
            tree.write(&file, &format!("{name}\n"));
        }
        tree.write("cpufreq/boost", "1\n");
        let governor = governor(&tree.root().join("cpufreq"));
        assert_eq!(governor.as_deref(), Some("performance, schedutil"));
    }
}
