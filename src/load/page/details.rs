//! The tables of a page: the latencies, the counts, and what is folded away.

use serde::Serialize;
use serde_json::Value;

use super::numbers::grouped;
use crate::load::measure::failure::Failures;
use crate::load::measure::summary::Summary;
use crate::load::report::cells::NO_FIGURE;

/// A name and its value.
pub type Entry = (String, String);

/// Returns what happened to the messages and connections. Failures have their names.
pub fn counts(metrics: &Summary) -> Vec<Entry> {
    let counts = &metrics.counts;
    let count = |name: &str, count: u64| (name.to_owned(), grouped(count as f64, 0));
    let (achieved, asked) = (metrics.connections_achieved, metrics.connections_asked);
    let mut entries = vec![count("replies in the window", counts.messages)];
    match counts.failures.total() {
        0 => entries.push(("errors".into(), "none".into())),
        _ => entries.extend(by_name("error", &counts.failures)),
    }
    entries.extend([
        count("corrupted", counts.corrupted),
        count("still unanswered at the end", counts.unanswered),
        count("unsent", counts.unsent),
        count("reconnects", counts.reconnects),
        ("connections".into(), format!("{achieved} of {asked}")),
    ]);
    entries.extend(by_name("connections that failed", &counts.connections));
    entries
}

fn by_name<'a>(kind: &'a str, failures: &'a Failures) -> impl Iterator<Item = Entry> + 'a {
    let seen = failures.seen();
    seen.map(move |(failure, count)| (format!("{kind}: {failure}"), grouped(count as f64, 0)))
}

/// Returns the fields of `value`, which is an object in JSON, under their names.
pub fn fields(value: &impl Serialize) -> Vec<Entry> {
    let Ok(Value::Object(fields)) = serde_json::to_value(value) else {
        return Vec::new();
    };
    let text = |value: Value| match value {
        Value::Null => NO_FIGURE.into(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    fields
        .into_iter()
        .map(|(name, value)| (name, text(value)))
        .collect()
}
