//! The outputs of `bench`: which of them are streams, and that each has a file or a stream of its own.

use std::path::{self, Path, PathBuf};

use super::options::ReportOptions;
use crate::cli::refusal::escape_control;

/// The descriptor of standard output.
const STDOUT: u32 = 1;

/// Returns the number of the open descriptor that `path` names: 1 for `-` and `/dev/stdout`, 3 for `/dev/fd/3`.
pub fn descriptor_of(path: &Path) -> Option<u32> {
    let name = path.to_str()?;
    match name {
        "-" => Some(STDOUT),
        _ if cfg!(windows) => None,
        "/dev/stdin" => Some(0),
        "/dev/stdout" => Some(STDOUT),
        "/dev/stderr" => Some(2),
        _ => {
            let folders = ["/dev/fd/", "/proc/self/fd/"];
            let number = folders
                .iter()
                .find_map(|folder| name.strip_prefix(folder))?;
            number.parse().ok()
        }
    }
}

/// Turns `--output -` into `--json` and checks the outputs of `report`, as [`resolve_paths`] does. `other` is an output that
/// `report` does not name.
///
/// # Errors
///
/// When two outputs share a file or a stream.
pub fn resolve_outputs(report: &mut ReportOptions, other: Option<&PathBuf>) -> Result<(), String> {
    let others = [report.hgrm.clone(), report.page().cloned(), other.cloned()];
    let others = others.each_ref().map(Option::as_ref);
    let names = "--output, --hgrm, --html, --hlog, --csv";
    resolve_paths(&mut report.json, &mut report.output, &others, names)
}

/// Turns `--output -` into `--json`: the report as JSON takes the place of its text on standard output. `others` are the
/// other outputs, and `names` are the options of all.
///
/// # Errors
///
/// When two outputs share a file or a stream. The report on standard output is an output too. Two spellings of one path
/// are found; links are not followed.
pub fn resolve_paths(
    json: &mut bool,
    output: &mut Option<PathBuf>,
    others: &[Option<&PathBuf>],
    names: &str,
) -> Result<(), String> {
    if !*json && output.as_deref() == Some(Path::new("-")) {
        *output = None;
        *json = true;
    }
    let given = output.iter().chain(others.iter().copied().flatten());
    let key = |path: &PathBuf| match descriptor_of(path) {
        Some(number) => (Some(number), None),
        None => (None, path::absolute(path).ok()),
    };
    let outputs: Vec<_> = given.map(|path| (key(path), path)).collect();
    let refuse = |path: &Path, expected: &str| {
        let path = escape_control(&path.to_string_lossy());
        Err(format!(
            "invalid value '{path}' for an output: expected {expected}"
        ))
    };
    if let Some((_, path)) = outputs.iter().find(|(key, _)| key.0 == Some(STDOUT)) {
        let expected =
            "a file, because the report is on standard output (as JSON with --json or --output -)";
        return refuse(path, expected);
    }
    // Three outputs need no sort, which would take some KB of the program.
    let is_shared = |(index, (key, _)): &(usize, &(_, _))| {
        outputs[..*index].iter().any(|(other, _)| other == key)
    };
    match outputs.iter().enumerate().find(is_shared) {
        None => Ok(()),
        Some((_, (_, path))) => refuse(path, &format!("a file of its own for each of {names}")),
    }
}
