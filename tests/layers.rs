//! The order of the layers, and the absence of circles between files.
//!
//! Both are read from the sources: from `use` declarations and from paths inside code, such as `crate::net::Config`.
//! A path is followed through the re-exports of a `mod.rs` to the file that defines the item. Tests are left out.

#![forbid(unsafe_code)]

#[path = "support/imports.rs"]
mod imports;
#[path = "support/sources.rs"]
mod sources;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use imports::Tree;

/// Every layer and the layers that it may import. A file belongs to the layer with the longest matching path.
#[rustfmt::skip]
const LAYERS: [(&str, &[&str]); 21] = [
    ("main.rs", &["program", "cli"]),
    ("manual.rs", &["cli"]),
    ("bin/player.rs", &["player"]),
    ("program", &["cli", "client", "load", "metrics", "net", "conn"]),
    ("cli", &["client", "load", "metrics", "net", "conn"]),
    ("client", &["net", "conn"]),
    ("metrics", &["net", "conn"]),
    ("load/compare", &["load/report", "load/judge", "load/measure", "load/plan", "load/units.rs"]),
    ("load/search", &["load/report", "load/judge", "load/measure", "load/plan", "load/units.rs"]),
    ("load/page", &["load/compare", "load/search", "load/report", "load/judge", "load/measure", "load/plan", "load/units.rs"]),
    ("load/drive", &["load/plan", "load/measure", "load/units.rs", "net", "conn"]),
    ("load/report", &["load/judge", "load/measure", "load/plan", "load/units.rs", "net", "conn"]),
    ("load/judge", &["load/measure", "load/plan", "load/units.rs", "net", "conn"]),
    ("load/measure", &["load/plan", "load/units.rs", "net", "conn"]),
    ("load/plan", &["load/units.rs", "net", "conn"]),
    ("load/units.rs", &[]),
    ("player", &["conn"]),
    ("net", &["conn"]),
    ("conn", &[]),
    // These two only re-export.
    ("load", &[]),
    ("lib.rs", &[]),
];

/// What the state machine of a connection must not name: it is pure, and the same on every system.
const NOT_IN_CONN: [&str; 4] = ["mio::", "std::time", "std::thread", "target_os"];

#[test]
fn imports_run_one_way() {
    let mut wrong = Vec::new();
    for (file, targets) in Tree::read().imports() {
        let Some((layer, may_import)) = layer_of(&file) else {
            wrong.push(format!("{file} belongs to no layer"));
            continue;
        };
        let is_allowed = |target: &String| {
            layer_of(target).is_some_and(|(other, _)| other == layer)
                || may_import.iter().any(|layer| target.starts_with(layer))
        };
        let others = targets.iter().filter(|target| !is_allowed(target));
        wrong.extend(others.map(|target| format!("{file} imports {target}")));
    }
    assert!(
        wrong.is_empty(),
        "against the order of the layers: {wrong:#?}"
    );
}

#[test]
fn no_file_imports_itself_through_others() {
    let imports = Tree::read().imports();
    let circles: BTreeSet<_> = imports
        .keys()
        .filter_map(|file| shortest_circle(file, &imports))
        .collect();
    assert!(circles.is_empty(), "circles between files: {circles:#?}");
}

#[test]
fn no_file_imports_all_of_a_module() {
    let tree = Tree::read();
    let mut globs = Vec::new();
    for (file, source) in &tree.files {
        let own = source.uses.iter().filter(|item| item.name == "*");
        let own = own.filter(|item| tree.defining_file(file, &item.path).is_some());
        globs.extend(own.map(|item| format!("{file}: use {}", item.path.join("::"))));
    }
    assert!(globs.is_empty(), "{globs:#?}");
}

#[test]
fn the_state_machine_is_pure() {
    let tree = Tree::read();
    let in_conn = tree
        .files
        .iter()
        .filter(|(file, _)| file.starts_with("conn/"));
    for (file, source) in in_conn {
        for name in NOT_IN_CONN {
            let mut uses = source.uses.iter().map(|item| item.path.join("::"));
            let is_named = source.body.contains(name) || uses.any(|path| path.starts_with(name));
            assert!(!is_named, "{file} names {name}");
        }
    }
}

/// Returns the layer that `file` belongs to, and the layers that this layer may import.
fn layer_of(file: &str) -> Option<(&'static str, &'static [&'static str])> {
    let matching = LAYERS
        .into_iter()
        .filter(|(layer, _)| file.starts_with(layer));
    matching.max_by_key(|(layer, _)| layer.len())
}

/// Returns the shortest chain of imports from `file` back to `file`.
fn shortest_circle(file: &str, imports: &BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    let mut chains = VecDeque::from([vec![file]]);
    let mut seen = BTreeSet::new();
    while let Some(chain) = chains.pop_front() {
        for target in &imports[chain[chain.len() - 1]] {
            if target == file {
                // Every file of a circle finds the same circle. Starting at the first name makes the circles equal.
                let mut chain = chain.clone();
                let first = (0..chain.len()).min_by_key(|&at| chain[at])?;
                chain.rotate_left(first);
                return Some(chain.join(" -> "));
            }
            if seen.insert(target) {
                chains.push_back([&chain[..], &[target]].concat());
            }
        }
    }
    None
}
