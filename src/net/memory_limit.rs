//! The most memory that connections may hold in the process, and where that number comes from.

use std::fmt;
use std::fs;
use std::path::Path;

use super::{cgroup, platform};

/// The default is the smallest limit of the system divided by this number.
const DIVISOR: u64 = 4;

/// The bound if neither the configuration nor the system tells a number: 256 MiB.
const FALLBACK: usize = 256 << 20;

/// The most memory that connections may hold in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// The limit in bytes.
    pub bytes: usize,
    /// Where the limit comes from.
    pub source: MemorySource,
}

/// Where a [`MemoryLimit`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemorySource {
    /// The configuration sets the limit.
    Configured,
    /// A quarter of the physical memory of the machine.
    Physical,
    /// A quarter of the smallest limit of the process's cgroup and its ancestors.
    Cgroup,
    /// A quarter of the limit of the process's address space (`RLIMIT_AS`).
    AddressSpace,
    /// The system tells none of these. The limit is 256 MiB.
    Unknown,
}

impl MemoryLimit {
    /// Returns the limit that the configuration sets, or the default of the system.
    #[must_use]
    pub fn new(max_memory: Option<usize>) -> Self {
        let configured = max_memory.map(|bytes| Self {
            bytes,
            source: MemorySource::Configured,
        });
        configured.unwrap_or_else(Self::default_of_system)
    }

    /// Returns a quarter of the smallest of the physical memory, the limit of the process's cgroups and the limit of its
    /// address space, as far as the system tells them.
    #[must_use]
    pub fn default_of_system() -> Self {
        let cgroup = platform::IS_LINUX.then(|| cgroup::memory_limit(Path::new("/")));
        Self::part_of_smallest([
            (MemorySource::Physical, platform::physical_memory()),
            (MemorySource::Cgroup, cgroup.flatten()),
            (MemorySource::AddressSpace, platform::address_space_limit()),
        ])
    }

    fn part_of_smallest(limits: [(MemorySource, Option<u64>); 3]) -> Self {
        let known = limits
            .into_iter()
            .filter_map(|(source, limit)| Some((source, limit?)));
        match known.min_by_key(|(_, limit)| *limit) {
            Some((source, limit)) => Self {
                bytes: usize::try_from(limit / DIVISOR).unwrap_or(usize::MAX),
                source,
            },
            None => Self {
                bytes: FALLBACK,
                source: MemorySource::Unknown,
            },
        }
    }
}

impl fmt::Display for MemorySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configured => "--max-memory",
            Self::Physical => "a quarter of physical memory",
            Self::Cgroup => "a quarter of the cgroup's limit",
            Self::AddressSpace => "a quarter of the address space limit",
            Self::Unknown => "the default where the system tells no limit",
        })
    }
}

/// Returns the resident memory of the process in bytes, or `None` on systems other than Linux.
#[must_use]
pub(crate) fn resident_memory() -> Option<u64> {
    platform::IS_LINUX
        .then(|| resident_memory_below(Path::new("/")))
        .flatten()
}

/// Returns the resident memory that the files below `root` tell. `status` is not exact: the kernel adds the counters of
/// the processors late. Linux before 4.14 has no `smaps_rollup`.
fn resident_memory_below(root: &Path) -> Option<u64> {
    let figure = |file, name| {
        let text = fs::read_to_string(root.join("proc/self").join(file)).ok()?;
        let value = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kilobytes: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
        kilobytes.checked_mul(1024)
    };
    figure("smaps_rollup", "Rss:").or_else(|| figure("status", "VmRSS:"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::cgroup::testing::Tree;

    #[test]
    fn fault_l6_the_default_is_a_quarter_of_the_smallest_limit() {
        use MemorySource::{AddressSpace, Cgroup, Physical, Unknown};
        for (physical, cgroup, address_space, bytes, source) in [
            (Some(400), None, None, 100, Physical),
            (Some(400), Some(400), None, 100, Physical),
            (Some(400), Some(401), Some(402), 100, Physical),
            (Some(400), Some(80), Some(81), 20, Cgroup),
            (Some(400), Some(80), Some(79), 19, AddressSpace),
            (None, None, Some(79), 19, AddressSpace),
            (None, None, None, FALLBACK, Unknown),
        ] {
            let limit = MemoryLimit::part_of_smallest([
                (Physical, physical),
                (Cgroup, cgroup),
                (AddressSpace, address_space),
            ]);
            assert_eq!(limit, MemoryLimit { bytes, source });
        }
    }

    #[test]
    fn a_configured_number_needs_no_system() {
        let limit = MemoryLimit::new(Some(7));
        assert_eq!((limit.bytes, limit.source), (7, MemorySource::Configured));
        assert_eq!(MemoryLimit::new(None), MemoryLimit::default_of_system());
    }

    #[test]
    fn the_system_tells_its_memory() {
        let limit = MemoryLimit::default_of_system();
        if cfg!(any(
            target_os = "linux",
            target_os = "macos",
            target_os = "freebsd",
            windows
        )) {
            assert_ne!(limit.source, MemorySource::Unknown);
        }
        let mebibytes = limit.bytes >> 20;
        assert!((16..1 << 30).contains(&mebibytes), "{mebibytes} MiB");
    }

    #[test]
    fn resident_memory_is_read_from_the_exact_file_if_there_is_one() {
        let tree = Tree::new();
        assert_eq!(resident_memory_below(tree.root()), None);
        tree.write("proc/self/status", "VmSize:\t 9 kB\nVmRSS:\t    1760 kB\n");
        assert_eq!(resident_memory_below(tree.root()), Some(1760 << 10));
        tree.write(
            "proc/self/smaps_rollup",
            "56100d189000-7ffcf242c000 ---p 00000000 00:00 0      [rollup]\nRss:      1752 kB\nPss:       315 kB\n",
        );
        assert_eq!(resident_memory_below(tree.root()), Some(1752 << 10));
    }

    #[test]
    fn resident_memory_grows_with_touched_pages() {
        let before = resident_memory();
        assert_eq!(before.is_some(), platform::IS_LINUX);
        let Some(before) = before else { return };
        let touched = vec![1_u8; 64 << 20];
        let after = resident_memory().expect("told before");
        // Other tests run at the same time and may free memory.
        assert!(after > before + (32 << 20), "{before} {after}");
        drop(touched);
    }
}
