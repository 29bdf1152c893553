//! The control groups (cgroups) of this process, on Linux: where their directories are, and the memory limit.
//!
//! A process belongs to one cgroup of each hierarchy. The limits of that cgroup and of all its ancestors hold. Version 2
//! has one hierarchy for all resources. Version 1 may have one for each resource. A system may mount both versions.
//!
//! | file | content |
//! |------|---------|
//! | `/proc/self/cgroup` | the path of the process's cgroup in each hierarchy |
//! | `/proc/self/mountinfo` | where a hierarchy is mounted, and the path of the cgroup that is the top of the mount |
//! | `memory.max` (version 2), `memory.limit_in_bytes` (version 1) | the limit of one cgroup |
//!
//! In a container the two paths may not fit each other, and the directory of the process's cgroup may be missing. The
//! directories that exist count then, up to the top of the mount.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// A larger limit is no limit. Version 1 writes the largest multiple of a page below 2^63 if there is none.
const UNLIMITED: u64 = 1 << 62;

/// The version of a hierarchy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl Version {
    fn limit_file(self) -> &'static str {
        match self {
            Self::V1 => "memory.limit_in_bytes",
            Self::V2 => "memory.max",
        }
    }
}

/// The process's cgroup of one hierarchy with its ancestors, as one mount shows them.
pub(crate) struct Ancestry {
    version: Version,
    /// The directories of the cgroups, from the process's cgroup to the top of the mount. Some may not exist.
    pub(crate) directories: Vec<PathBuf>,
}

/// The mount of a hierarchy that may have the controller.
struct Mount<'a> {
    version: Version,
    /// The path of the cgroup at the top of the mount.
    root: &'a Path,
    /// The directory of that cgroup.
    point: &'a str,
}

/// Returns the smallest memory limit of the process's cgroups and their ancestors, in bytes, or `None` if nothing is
/// limited. `root` is the root directory, or a directory of a test with the same layout.
pub(super) fn memory_limit(root: &Path) -> Option<u64> {
    let limits = ancestries(root, "memory").into_iter().filter_map(|found| {
        let file = found.version.limit_file();
        let directories = found.directories.iter();
        directories
            .filter_map(|dir| read_limit(&dir.join(file)))
            .min()
    });
    limits.min()
}

/// Returns the process's cgroups that `controller` may control: one for each mount that shows one. A hierarchy of version
/// 2 is among them even if its cgroups do not have the controller.
pub(crate) fn ancestries(root: &Path, controller: &str) -> Vec<Ancestry> {
    let read = |file| fs::read(root.join(file)).unwrap_or_default();
    let (cgroups, mounts) = (read("proc/self/cgroup"), read("proc/self/mountinfo"));
    let (cgroups, mounts) = (
        String::from_utf8_lossy(&cgroups),
        String::from_utf8_lossy(&mounts),
    );
    let mounts: Vec<_> = mounts
        .lines()
        .filter_map(|line| parse_mount(line, controller))
        .collect();
    let paths = cgroups
        .lines()
        .filter_map(|line| parse_cgroup(line, controller));
    paths
        .flat_map(|(version, path)| in_hierarchy(root, version, path, &mounts))
        .collect()
}

/// Parses a line of `/proc/self/cgroup`: number of the hierarchy, controllers, path. Version 2 has number 0 and names no
/// controllers.
fn parse_cgroup<'a>(line: &'a str, controller: &str) -> Option<(Version, &'a Path)> {
    let (number, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let version = match (number, controllers) {
        ("0", "") => Version::V2,
        _ if controllers.split(',').any(|name| name == controller) => Version::V1,
        _ => return None,
    };
    Some((version, Path::new(path)))
}

/// Parses a line of `/proc/self/mountinfo`: number, parent, device, root, mount point, options, any number of further
/// fields, a hyphen, type, source, options of the file system. See proc_pid_mountinfo(5).
fn parse_mount<'a>(line: &'a str, controller: &str) -> Option<Mount<'a>> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let mut file_system = file_system.split(' ');
    let version = match file_system.next()? {
        "cgroup2" => Version::V2,
        "cgroup"
            if file_system
                .nth(1)?
                .split(',')
                .any(|name| name == controller) =>
        {
            Version::V1
        }
        _ => return None,
    };
    Some(Mount {
        version,
        root: Path::new(mount.next()?),
        point: mount.next()?,
    })
}

/// Returns the cgroup `path` and its ancestors, for each mount that shows them.
///
/// A mount shows a part of the hierarchy. Mounts that do not show `path` count only if no other mount shows `path`.
fn in_hierarchy(root: &Path, version: Version, path: &Path, mounts: &[Mount<'_>]) -> Vec<Ancestry> {
    let mounts = || mounts.iter().filter(|mount| mount.version == version);
    let showing = mounts().filter_map(|mount| Some((mount, path_below(mount, path)?)));
    let mut found: Vec<_> = showing.collect();
    if found.is_empty() {
        found = mounts().map(|mount| (mount, Path::new(""))).collect();
    }
    let found = found.into_iter();
    found
        .map(|(mount, below)| up_to_mount(root, mount, below))
        .collect()
}

/// Returns the path of the cgroup `path` below the mount point, or `None` if the mount does not show the cgroup. The path
/// of a cgroup outside of the process's namespace begins with `/..`.
fn path_below<'a>(mount: &Mount<'_>, path: &'a Path) -> Option<&'a Path> {
    let below = path.strip_prefix(mount.root).ok()?;
    let is_below = below.components().all(|part| part != Component::ParentDir);
    is_below.then_some(below)
}

/// Returns the cgroup at `below` and its ancestors in `mount`.
fn up_to_mount(root: &Path, mount: &Mount<'_>, below: &Path) -> Ancestry {
    let top = root.join(mount.point.trim_start_matches('/'));
    let leaf = top.join(below);
    let directories = leaf.ancestors().take_while(|dir| dir.starts_with(&top));
    Ancestry {
        version: mount.version,
        directories: directories.map(Path::to_path_buf).collect(),
    }
}

/// Reads a file with a limit. `None` means no limit, no such file or no number: version 2 writes `max` for no limit, and
/// the cgroup at the root of a hierarchy has no file.
fn read_limit(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.trim().parse().ok().filter(|limit| *limit < UNLIMITED)
}

/// Directories that are laid out like `/`.
#[cfg(test)]
pub(crate) mod testing {
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::{env, fs, process};

    /// A directory of its own, which is removed when this value is dropped.
    pub struct Tree(PathBuf);

    impl Tree {
        pub fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("mio-echo-tree-{}-{number}", process::id());
            let path = env::temp_dir().join(name);
            fs::create_dir_all(&path).expect("creating a directory");
            Self(path)
        }

        pub fn root(&self) -> &Path {
            &self.0
        }

        /// Writes a file and creates its directories.
        pub fn write(&self, file: &str, text: &str) {
            let path = self.0.join(file);
            fs::create_dir_all(path.parent().expect("a directory")).expect("creating a directory");
            fs::write(path, text).expect("writing a file");
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            // A directory that stays does no harm.
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Tree;
    use super::*;

    const MIB: u64 = 1 << 20;
    const V2: &str =
        "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1: &str = "34 31 0:31 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu\n\
                      35 31 0:32 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory\n";
    const V1_NONE: &str = "9223372036854771712";

    /// Returns the limit that is found in a tree of `/proc/self/cgroup`, `/proc/self/mountinfo` and the files `limits`
    /// below `/sys/fs/cgroup`.
    fn limit(cgroup: &str, mounts: &str, limits: &[(&str, &str)]) -> Option<u64> {
        let tree = Tree::new();
        tree.write("proc/self/cgroup", cgroup);
        tree.write("proc/self/mountinfo", mounts);
        for (file, text) in limits {
            tree.write(&format!("sys/fs/cgroup/{file}"), &format!("{text}\n"));
        }
        memory_limit(tree.root())
    }

    #[test]
    fn fault_l6_version_2_the_smallest_limit_of_the_cgroup_and_its_ancestors_counts() {
        for (leaf, middle, top, expected) in [
            ("134217728", "max", "max", Some(128 * MIB)),
            ("max", "134217728", "max", Some(128 * MIB)),
            ("max", "max", "134217728", Some(128 * MIB)),
            ("268435456", "134217728", "536870912", Some(128 * MIB)),
            ("134217728", "268435456", "536870912", Some(128 * MIB)),
            ("max", "max", "max", None),
        ] {
            let limits = [
                ("a/b/c/memory.max", leaf),
                ("a/b/memory.max", middle),
                ("a/memory.max", top),
                ("a/b/sibling/memory.max", "4096"),
                ("other/memory.max", "4096"),
            ];
            assert_eq!(limit("0::/a/b/c\n", V2, &limits), expected, "{limits:?}");
        }
    }

    #[test]
    fn fault_l6_version_1_the_smallest_limit_of_the_cgroup_and_its_ancestors_counts() {
        let cgroup = "5:cpu,cpuacct:/cpu\n4:hugetlb,memory:/a/b\n1:name=systemd:/c\n";
        for (leaf, parent, top, expected) in [
            ("134217728", V1_NONE, V1_NONE, Some(128 * MIB)),
            (V1_NONE, "134217728", V1_NONE, Some(128 * MIB)),
            (V1_NONE, V1_NONE, "134217728", Some(128 * MIB)),
            ("268435456", "134217728", V1_NONE, Some(128 * MIB)),
            (V1_NONE, V1_NONE, V1_NONE, None),
            // With pages of 64 KiB.
            ("9223372036854710272", V1_NONE, V1_NONE, None),
        ] {
            let limits = [
                ("memory/a/b/memory.limit_in_bytes", leaf),
                ("memory/a/memory.limit_in_bytes", parent),
                ("memory/memory.limit_in_bytes", top),
                ("cpu/cpu/memory.limit_in_bytes", "4096"),
            ];
            assert_eq!(limit(cgroup, V1, &limits), expected, "{limits:?}");
        }
    }

    #[test]
    fn fault_l6_with_both_versions_the_smaller_limit_counts() {
        let cgroup = "4:memory:/a\n0::/b\n";
        let unified = V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified");
        for (v1, v2, expected) in [
            ("134217728", "max", Some(128 * MIB)),
            ("134217728", "268435456", Some(128 * MIB)),
            (V1_NONE, "134217728", Some(128 * MIB)),
            (V1_NONE, "max", None),
        ] {
            let limits = [
                ("memory/a/memory.limit_in_bytes", v1),
                ("unified/b/memory.max", v2),
            ];
            let mounts = format!("{V1}{unified}");
            assert_eq!(limit(cgroup, &mounts, &limits), expected, "{limits:?}");
        }
    }

    #[test]
    fn fault_l6_in_a_container_the_directories_that_exist_count() {
        let inside = V2.replace(" / ", " /pods/1 ");
        let outside = V2.replace(" / ", " /../.. ");
        let unrelated = V2
            .replace(" / ", " /other ")
            .replace("/sys/fs/cgroup", "/sys/fs/cgroup/bound");
        for (cgroup, mounts, file) in [
            // A cgroup namespace of its own.
            ("0::/\n", V2, "memory.max"),
            // The top of the mount is the cgroup of the container.
            ("0::/pods/1\n", &inside, "memory.max"),
            ("0::/pods/1/a\n", &inside, "a/memory.max"),
            // The directories of the process's cgroup are not visible.
            ("0::/a/b/c\n", V2, "a/memory.max"),
            ("0::/a/b/c\n", V2, "memory.max"),
            ("0::/pods/2\n", &inside, "memory.max"),
            // The process is outside of the namespace, or the mount is.
            ("0::/../../a\n", V2, "memory.max"),
            ("0::/\n", &outside, "memory.max"),
            ("0::/../../a\n", &outside, "a/memory.max"),
            // Another mount shows another part of the hierarchy.
            ("0::/a\n", &format!("{unrelated}{V2}"), "a/memory.max"),
        ] {
            let limits = [(file, "134217728"), ("bound/memory.max", "4096")];
            let expected = Some(128 * MIB);
            assert_eq!(limit(cgroup, mounts, &limits), expected, "{cgroup}{mounts}");
        }
    }

    #[test]
    fn fault_l6_a_path_never_leads_out_of_the_mount() {
        for cgroup in ["0::/..\n", "0::/../..\n", "0::/a/../../..\n"] {
            assert_eq!(limit(cgroup, V2, &[("../memory.max", "4096")]), None);
        }
    }

    #[test]
    fn what_is_no_number_is_no_limit() {
        for text in ["", "max", "many", "-1", "1k", "1.5", "0x1000", "\u{0}"] {
            let limits = [("a/memory.max", text), ("memory.max", "134217728")];
            assert_eq!(limit("0::/a\n", V2, &limits), Some(128 * MIB), "{text:?}");
        }
        let limits = [("memory.max", "134217728")];
        for (cgroup, mounts) in [
            ("", V2),
            ("0", V2),
            ("0:\n::\n\n", V2),
            ("4:cpu:/\n", V2),
            ("0::/\n", ""),
            ("0::/\n", "31 23 0:28 / /sys/fs/cgroup rw\n"),
            ("0::/\n", "31 - cgroup2\n - cgroup\n"),
            ("0::/\n", V1),
        ] {
            assert_eq!(limit(cgroup, mounts, &limits), None, "{cgroup}{mounts}");
        }
        assert_eq!(memory_limit(Tree::new().root()), None);
    }
}
