//! What strace writes down: one line for each system call.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use crate::table::Cell;

/// The last system call of Rust's runtime before `main`: the handler that reports a stack overflow.
const BEFORE_MAIN: &str = " rt_sigaction(SIGBUS, {";

/// How a wait for events begins.
const WAITS: [&str; 2] = [" epoll_wait(", " epoll_pwait"];

/// The file that strace writes in one run.
pub struct Trace(pub PathBuf);

impl Trace {
    /// Returns the arguments with which strace writes this file and lets calls fail as `fault` says.
    pub fn arguments(&self, fault: Option<&str>) -> Vec<String> {
        let file = self.0.to_str().expect("a path of text");
        let mut arguments = vec!["-f", "-o", file];
        if let Some(fault) = fault {
            arguments.extend(["-e", fault]);
        }
        arguments.into_iter().map(str::to_owned).collect()
    }

    fn text(&self) -> String {
        let bytes = fs::read(&self.0).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns the number of lines so far.
    pub fn lines(&self) -> usize {
        self.text().lines().count()
    }

    /// Returns the last `count` lines.
    pub fn tail(&self, count: usize) -> String {
        let text = self.text();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// Returns true if strace has let a call fail.
    pub fn has_injected(&self) -> bool {
        self.text().contains("(INJECTED)")
    }

    /// Counts the calls before `main`. There are none if strace was attached later.
    pub fn before_main(&self) -> Calls {
        Calls::count(split_at_main(&self.text()).0)
    }

    /// Counts the calls from `main` to the first wait for events.
    pub fn at_start(&self) -> Calls {
        let text = self.text();
        let (_, main) = split_at_main(&text);
        let end = WAITS.iter().filter_map(|wait| main.find(wait)).min();
        Calls::count(&main[..end.unwrap_or(main.len())])
    }

    /// Counts the calls from `main` on.
    pub fn in_main(&self) -> Calls {
        Calls::count(split_at_main(&self.text()).1)
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn split_at_main(text: &str) -> (&str, &str) {
    let last = text.find(BEFORE_MAIN);
    let end = last.and_then(|last| Some(last + text[last..].find('\n')?));
    text.split_at(end.unwrap_or(0))
}

/// Returns the argument of strace that lets calls of `cell` fail, after `before` calls that succeed.
pub fn fault(cell: &Cell, before: u32) -> String {
    let (call, error, at) = (cell.call, cell.error, cell.at + before);
    let plus = if cell.for_ever { "+" } else { "" };
    format!("inject={call}:error={error}:when={at}{plus}")
}

/// How often each thread made each system call.
pub struct Calls(BTreeMap<(String, String), u32>);

impl Calls {
    fn count(text: &str) -> Self {
        let mut calls = BTreeMap::new();
        for (thread, call) in text.lines().filter_map(thread_and_call) {
            let key = (thread.to_owned(), call.to_owned());
            *calls.entry(key).or_default() += 1;
        }
        Self(calls)
    }

    /// Returns how often one thread made the call `name`, at most.
    pub fn most(&self, name: &str) -> u32 {
        let of_name = self.0.iter().filter(|((_, call), _)| call == name);
        of_name.map(|(_, count)| *count).max().unwrap_or(0)
    }

    pub fn names(&self) -> BTreeSet<&str> {
        self.0.keys().map(|(_, call)| call.as_str()).collect()
    }
}

/// Returns the thread and the name of a call, as in `123 close(5) = 0`. Signals, the ends of threads and the second parts of
/// calls that other threads have interrupted are no calls.
fn thread_and_call(line: &str) -> Option<(&str, &str)> {
    let (thread, rest) = line.split_once(' ')?;
    let (call, _) = rest.trim_start().split_once('(')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!call.is_empty() && call.chars().all(is_name)).then_some((thread, call))
}
