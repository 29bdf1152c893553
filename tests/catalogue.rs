//! The catalogues `tests/FAULTS.md` and `tests/CLASSICS.md` agree with the tests that carry their ids.
//!
//! The last column of a row lists its tests. `MIO_ECHO_TEST_UPDATE=1 cargo test --test catalogue` rewrites that column.

#![forbid(unsafe_code)]

#[path = "support/sources.rs"]
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const CATALOGUES: [&str; 2] = ["tests/FAULTS.md", "tests/CLASSICS.md"];

#[test]
fn every_row_lists_the_tests_that_carry_its_id() {
    let tests = tests_by_id();
    let mut wrong = Vec::new();
    for file in CATALOGUES {
        let text = fs::read_to_string(file).expect("reading a catalogue");
        let lines = text.lines();
        let updated: Vec<_> = lines.clone().map(|line| with_tests(line, &tests)).collect();
        if std::env::var_os("MIO_ECHO_TEST_UPDATE").is_some() {
            fs::write(file, updated.join("\n") + "\n").expect("writing a catalogue");
        } else {
            let pairs = lines.zip(updated);
            wrong.extend(pairs.filter(|(old, new)| old != new).map(|pair| pair.1));
        }
    }
    assert!(
        wrong.is_empty(),
        "run `MIO_ECHO_TEST_UPDATE=1 cargo test --test catalogue`; these rows should be:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_id_in_the_name_of_a_test_has_one_row() {
    let mut rows: Vec<_> = CATALOGUES
        .into_iter()
        .flat_map(rows)
        .map(|row| row.0)
        .collect();
    rows.sort();
    let ids = tests_by_id().into_keys().collect::<BTreeSet<_>>();
    let without_row: Vec<_> = ids.iter().filter(|id| !rows.contains(id)).collect();
    assert!(without_row.is_empty(), "no row: {without_row:?}");
    let twice: Vec<_> = rows.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "two rows: {twice:?}");
}

#[test]
fn every_row_has_a_test_or_names_a_file_that_checks_it() {
    let tests = tests_by_id();
    for (id, row) in CATALOGUES.into_iter().flat_map(rows) {
        assert_eq!(row.split(" |").count(), 5, "{id} has not four cells: {row}");
        let files = files_named_in(&row);
        assert!(
            tests.contains_key(&id) || !files.is_empty(),
            "{id}: neither a test nor a file"
        );
        for file in files {
            assert!(Path::new(file).exists(), "{id}: there is no {file}");
        }
    }
}

#[test]
fn every_test_that_ci_names_exists() {
    let script = fs::read_to_string(".ci/under-wine").expect("reading a script");
    let names = script
        .lines()
        .map(str::trim)
        .filter(|line| line.contains("::") && !line.contains(' '));
    let functions = test_functions();
    for name in names {
        let (module, function) = name.rsplit_once("::").expect("a module");
        let file = format!("/{}.rs", module.replace("::", "/"));
        let is_it = |(path, test): &(String, String)| path.ends_with(&file) && test == function;
        assert!(
            functions.iter().any(is_it),
            ".ci/under-wine: there is no {name}"
        );
    }
}

#[test]
fn every_test_that_the_readme_names_exists() {
    let readme = fs::read_to_string("README.md").expect("reading README");
    let words = readme.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    let functions = test_functions();
    for prefix in words.filter(|word| word.starts_with("fault_") || word.starts_with("seed_")) {
        let exists = functions.iter().any(|(_, test)| test.starts_with(prefix));
        assert!(exists, "README.md: there is no {prefix}");
    }
}

#[test]
fn a_row_without_tests_keeps_its_other_cells() {
    let tests = [("file.rs".to_owned(), "fault_x1_name".to_owned())];
    let tests = BTreeMap::from([("X1".to_owned(), tests.to_vec())]);
    let row = "| X1 | done | seen | file.rs: `fault_x1_name` |";
    assert_eq!(with_tests("| X1 | done | seen | |", &tests), row);
    assert_eq!(with_tests(row, &tests), row);
}

#[test]
fn ids_are_read_from_the_start_of_a_name() {
    assert_eq!(ids("fault_t2_500_messages"), ["T2"]);
    assert_eq!(
        ids("fault_a1_seed_s2_7_seed_s4_3_name"),
        ["A1", "S2.7", "S4.3"]
    );
    assert_eq!(ids("usr1_logs_the_figures"), [""; 0]);
}

/// Returns the tests that carry each id: the file and the name of each.
fn tests_by_id() -> BTreeMap<String, Vec<(String, String)>> {
    let mut tests: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (file, name) in test_functions() {
        for id in ids(&name) {
            tests
                .entry(id)
                .or_default()
                .push((file.clone(), name.clone()));
        }
    }
    tests
}

/// Returns the file and the name of every function after `#[test]`.
fn test_functions() -> Vec<(String, String)> {
    let mut functions = Vec::new();
    for (file, text) in ["src", "tests"].into_iter().flat_map(sources::rust_files) {
        let mut lines = text.lines().map(str::trim);
        while lines.any(|line| line == "#[test]") {
            let function = lines
                .find_map(|line| line.strip_prefix("fn "))
                .unwrap_or_default();
            let name = function.split('(').next().unwrap_or_default();
            functions.push((file.clone(), name.to_owned()));
        }
    }
    functions
}

/// Returns the ids at the start of the name of a test, as the catalogues write them.
fn ids(name: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut words = name.split('_');
    loop {
        let id = match words.next() {
            Some("fault") => words.next().map(str::to_uppercase),
            Some("seed") => words
                .next()
                .zip(words.next())
                .map(|(system, number)| format!("{}.{number}", system.to_uppercase())),
            _ => return ids,
        };
        ids.extend(id);
    }
}

/// Returns the id of each row of the catalogue `file`, and the row.
fn rows(file: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(file).expect("reading a catalogue");
    let rows = text
        .lines()
        .filter_map(|line| Some((id_of_row(line)?.to_owned(), line.to_owned())));
    rows.collect()
}

/// Returns the first cell of a row if the cell is an id. Headings have none.
fn id_of_row(line: &str) -> Option<&str> {
    let id = line.strip_prefix("| ")?.split(" |").next()?;
    let is_id = id.starts_with(|c: char| c.is_ascii_uppercase())
        && id.ends_with(|c: char| c.is_ascii_digit());
    is_id.then_some(id)
}

/// Returns `line` with the tests of its id in the last cell. Other lines, and a row without tests, stay the same.
fn with_tests(line: &str, tests: &BTreeMap<String, Vec<(String, String)>>) -> String {
    let tests = id_of_row(line).and_then(|id| tests.get(id));
    let before = line
        .strip_suffix(" |")
        .and_then(|row| row.rsplit_once(" |"));
    let (Some(tests), Some((before, _))) = (tests, before) else {
        return line.to_owned();
    };
    let mut cell = Vec::new();
    for (file, names) in &group(tests) {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        cell.push(format!("{file}: {}", names.join(", ")));
    }
    format!("{before} | {} |", cell.join("; "))
}

fn group(tests: &[(String, String)]) -> BTreeMap<&str, Vec<&str>> {
    let mut by_file: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (file, name) in tests {
        by_file
            .entry(file.as_str())
            .or_default()
            .push(name.as_str());
    }
    by_file
}

/// Returns what stands between backticks and looks like the path of a file: `.ci/run`, `fuzz/fuzz_targets/deframers.rs`.
fn files_named_in(row: &str) -> Vec<&str> {
    let quoted = row.split('`').skip(1).step_by(2);
    let first_words = quoted.filter_map(|text| text.split(' ').next());
    let folders = [".ci/", "benches/", "fuzz/", "tests/", "src/"];
    first_words
        .filter(|word| folders.iter().any(|folder| word.starts_with(folder)))
        .collect()
}
