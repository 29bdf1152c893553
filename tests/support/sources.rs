//! Reads the Rust sources of this repository.

use std::fs;
use std::path::Path;

/// Returns every Rust file below `folder`, which is relative to the repository: its path, with `/`, and its text.
pub fn rust_files(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(Path::new(folder), &mut files);
    files.sort();
    files
}

/// Cargo starts every test in the root of the package, so relative paths are enough.
fn collect(folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("reading a folder") {
        let path = entry.expect("reading a folder").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.to_string_lossy().replace('\\', "/");
            files.push((name, fs::read_to_string(&path).expect("reading a file")));
        }
    }
}
