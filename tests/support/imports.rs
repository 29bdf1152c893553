//! Reads from the sources below `src` which file imports which.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::rust_files;

/// The sources of the library and of the executable, by their paths below `src`.
pub struct Tree {
    pub files: BTreeMap<String, Source>,
}

/// A file without its comments and tests.
#[derive(Default)]
pub struct Source {
    /// Everything but the `use` declarations.
    pub body: String,
    pub uses: Vec<Use>,
    /// The modules that the file declares.
    children: Vec<String>,
}

/// One item of a `use` declaration.
pub struct Use {
    pub path: Path,
    /// The name that the item has in the file.
    pub name: String,
    is_public: bool,
}

pub type Path = Vec<String>;

impl Tree {
    pub fn read() -> Self {
        let files = rust_files("src").into_iter();
        let files = files.map(|(path, text)| (path["src/".len()..].to_owned(), text));
        let files = files.filter(|(path, _)| !is_for_tests(path));
        let files = files.map(|(path, text)| (path, Source::parse(&text)));
        Self {
            files: files.collect(),
        }
    }

    /// Returns the files that each file imports. Re-exports of a `mod.rs` do not count.
    pub fn imports(&self) -> BTreeMap<String, BTreeSet<String>> {
        let imports = self.files.iter().map(|(file, source)| {
            let is_re_export = |item: &&Use| item.is_public && is_root_of_folder(file);
            let used = source.uses.iter().filter(|item| !is_re_export(item));
            let paths = used.map(|item| item.path.clone());
            let targets = paths
                .chain(source.paths_in_body())
                .filter_map(|path| self.defining_file(file, &path))
                .filter(|target| target != file);
            (file.clone(), targets.collect())
        });
        imports.collect()
    }

    /// Returns the file that defines the item which `path` names in `file`, or `None` for an item of another crate.
    pub fn defining_file(&self, file: &str, path: &[String]) -> Option<String> {
        let mut names = path.iter().peekable();
        let mut module = match names.peek()?.as_str() {
            "crate" | "mio_echo" => Vec::new(),
            "self" | "super" => module_of(file),
            name if self.files[file].children.iter().any(|child| child == name) => module_of(file),
            _ => return None,
        };
        names.next_if(|name| ["crate", "mio_echo", "self"].contains(&name.as_str()));
        while names.next_if(|name| *name == "super").is_some() {
            module.pop();
        }
        while let Some(child) = names.peek() {
            module.push((*child).clone());
            if self.file_of(&module).is_none() {
                module.pop();
                break;
            }
            names.next();
        }
        let defining = self.file_of(&module)?;
        // If the module only imports or re-exports the item, another file defines it.
        let mut uses = self.files[&defining].uses.iter();
        let imported = uses.find(|item| defining != file && Some(&&item.name) == names.peek());
        let origin = imported.and_then(|item| self.defining_file(&defining, &item.path));
        Some(origin.unwrap_or(defining))
    }

    /// Returns the file of a module. The root is `lib.rs`, because nothing imports `main.rs`.
    fn file_of(&self, module: &[String]) -> Option<String> {
        let path = match module {
            [] => "lib".to_owned(),
            names => names.join("/"),
        };
        let candidates = [format!("{path}.rs"), format!("{path}/mod.rs")];
        let mut candidates = candidates.into_iter();
        candidates.find(|file| self.files.contains_key(file))
    }
}

fn is_for_tests(path: &str) -> bool {
    let mut parts = path.trim_end_matches(".rs").split('/');
    parts.any(|part| ["tests", "script", "testing"].contains(&part))
}

/// Returns true for a file that may re-export the items of its folder. A re-export is not an import.
fn is_root_of_folder(file: &str) -> bool {
    file == "lib.rs" || file.ends_with("/mod.rs")
}

/// Returns the module that `file` holds: `net`, `timers` for `net/timers.rs`.
fn module_of(file: &str) -> Path {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    let names = path
        .split('/')
        .filter(|name| !["lib", "main"].contains(name));
    names.map(str::to_owned).collect()
}

impl Source {
    fn parse(text: &str) -> Self {
        let mut source = Self::default();
        let mut lines = without_tests(text).into_iter();
        while let Some(line) = lines.next() {
            let (is_public, words) = without_visibility(line.trim());
            if let Some(start) = words.strip_prefix("use ") {
                let mut tree = start.to_owned();
                while !tree.ends_with(';') {
                    tree.push_str(lines.next().unwrap_or(";").trim());
                }
                source.add_uses(Vec::new(), tree.trim_end_matches(';'), is_public);
                continue;
            }
            let child = words
                .strip_prefix("mod ")
                .and_then(|rest| rest.strip_suffix(';'));
            source.children.extend(child.map(str::to_owned));
            source.body.push_str(line);
            source.body.push('\n');
        }
        source
    }

    /// Adds every item of `tree`, the rest of a `use` declaration after the names `path`.
    fn add_uses(&mut self, mut path: Path, tree: &str, is_public: bool) {
        let tree = tree.trim();
        if let Some(group) = tree
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
        {
            let mut depth = 0;
            let is_end_of_part = |character: char| {
                depth += i32::from(character == '{') - i32::from(character == '}');
                character == ',' && depth == 0
            };
            for part in group
                .split(is_end_of_part)
                .filter(|part| !part.trim().is_empty())
            {
                self.add_uses(path.clone(), part, is_public);
            }
        } else if let Some((name, rest)) = tree.split_once("::") {
            path.push(name.to_owned());
            self.add_uses(path, rest, is_public);
        } else {
            let (item, name) = tree.split_once(" as ").unwrap_or((tree, ""));
            // `use super::timers::{self}` names the module itself.
            if item != "self" || path.is_empty() {
                path.push(item.to_owned());
            }
            let name = if name.is_empty() {
                &path[path.len() - 1]
            } else {
                name
            }
            .to_owned();
            self.uses.push(Use {
                path,
                name,
                is_public,
            });
        }
    }

    /// Returns the paths inside code, such as `crate::net::Config::default`.
    fn paths_in_body(&self) -> impl Iterator<Item = Path> {
        let words = self
            .body
            .split(|c: char| !(c.is_alphanumeric() || "_:".contains(c)));
        let paths = words.filter(|word| word.contains("::"));
        paths.map(|path| path.split("::").map(str::to_owned).collect())
    }
}

/// Returns the lines of code of `text`: no comments, and no item after `#[cfg(test)]`.
///
/// rustfmt ends an item with a line of the same indentation.
fn without_tests(text: &str) -> Vec<&str> {
    let mut code = Vec::new();
    let mut lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            code.push(line.split(" // ").next().unwrap_or(line));
            continue;
        }
        let indentation = line.len() - line.trim_start().len();
        let is_last = |line: &str| {
            line.len() - line.trim_start().len() == indentation
                && !line.trim_start().starts_with("#[")
                && line.ends_with([';', '}', ','])
        };
        lines.find(|line| is_last(line));
    }
    code
}

/// Splits `pub` or `pub(..)` from a line. Returns true if there was one.
fn without_visibility(line: &str) -> (bool, &str) {
    match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => {
            (true, rest.split_once(") ").map_or("", |parts| parts.1))
        }
        Some(rest) if rest.starts_with(' ') => (true, rest.trim_start()),
        _ => (false, line),
    }
}

#[test]
fn sources_are_read_as_intended() {
    let text = "\
        use std::io;\n\
        pub(super) use super::{self as parent, timers::{Timers, self}};\n\
        mod child;\n\
        #[cfg(test)]\n\
        mod tests {\n    use super::*;\n}\n\
        // crate::not::this\n\
        fn f() {\n    child::g(crate::net::Config::default());\n}\n";
    let source = Source::parse(text);
    let uses = source
        .uses
        .iter()
        .map(|item| (&*item.name, item.path.join("::"), item.is_public));
    let expected = [
        ("io", "std::io", false),
        ("parent", "super", true),
        ("Timers", "super::timers::Timers", true),
        ("timers", "super::timers", true),
    ];
    let expected = expected.map(|(name, path, is_public)| (name, path.to_owned(), is_public));
    assert_eq!(uses.collect::<Vec<_>>(), expected);
    assert_eq!(source.children, ["child"]);
    let in_body: Vec<_> = source.paths_in_body().map(|path| path.join("::")).collect();
    assert_eq!(in_body, ["child::g", "crate::net::Config::default"]);
}
