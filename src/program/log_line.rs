//! One line of the log, and its formats.

use std::fmt::Write;
use std::io;

use log::kv::{Error, Key, Value, VisitSource};
use log::{Level, Record};
use time::OffsetDateTime;

use super::log_format::LineFormat;
use super::standard_streams::can_write_without_blocking;
use crate::cli::escape_control;

/// The log target of this crate.
pub const TARGET: &str = "mio_echo";

/// The most bytes of a written line beside its target, its text and its fields: the time, the level and punctuation, and a
/// line about lost lines before it.
const LINE_OVERHEAD: usize = 256;

/// A formatted record.
pub struct LogLine {
    time: OffsetDateTime,
    pub level: Level,
    pub target: String,
    /// The text, escaped as the format demands.
    pub text: String,
    /// The fields of the record as members of a JSON object, each after a comma. Other formats show no fields.
    fields: String,
    /// The number of records that are lost with this line. A line about lost records stands for all of them.
    pub records: u64,
}

impl LogLine {
    pub fn new(record: &Record<'_>, format: LineFormat) -> Self {
        let text = record.args().to_string();
        let mut fields = JsonMembers::default();
        let text = match format {
            LineFormat::Text => text,
            LineFormat::Systemd => escape_control(&text),
            LineFormat::Json => {
                // Only a visitor that fails ends the visit, and this one does not.
                let _ = record.key_values().visit(&mut fields);
                escape_json(&text)
            }
        };
        Self {
            time: OffsetDateTime::now_utc(),
            level: record.level(),
            target: record.target().to_owned(),
            text,
            fields: fields.0,
            records: 1,
        }
    }

    pub fn about_lost(lost: u64) -> Self {
        Self {
            time: OffsetDateTime::now_utc(),
            level: Level::Warn,
            target: TARGET.into(),
            text: format!("{lost} log lines lost"),
            fields: String::new(),
            records: lost,
        }
    }

    /// Returns true if standard error takes the line without blocking.
    pub fn can_be_written(&self) -> bool {
        let length = self.target.len() + self.text.len() + self.fields.len() + LINE_OVERHEAD;
        can_write_without_blocking(&io::stderr(), length)
    }

    /// Returns the line as a JSON object. The time is that of the record, not that of the write.
    pub fn to_json(&self) -> String {
        let time = rfc3339(self.time);
        let level = self.level.as_str().to_ascii_lowercase();
        let (target, text, fields) = (escape_json(&self.target), &self.text, &self.fields);
        format!(
            r#"{{"time":"{time}","level":"{level}","target":"{target}","message":"{text}"{fields}}}"#
        )
    }

    /// Returns the line with the number of its level in syslog(3) as a prefix.
    pub fn to_systemd(&self) -> String {
        let priority = match self.level {
            Level::Error => 3,
            Level::Warn => 4,
            Level::Info => 6,
            Level::Debug | Level::Trace => 7,
        };
        format!("<{priority}>{}", self.text)
    }
}

/// Returns `time`, which is in UTC, as simple_logger writes it. The formatter of `time` would take 6 kB of a server.
fn rfc3339(time: OffsetDateTime) -> String {
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second, millisecond) = time.to_hms_milli();
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

/// Members of a JSON object, each after a comma.
#[derive(Default)]
struct JsonMembers(String);

impl<'kvs> VisitSource<'kvs> for JsonMembers {
    /// Adds a number or text. The crate logs no other values. Their code would print floating-point numbers, and take 13
    /// kB of a server.
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let key = escape_json(key.as_str());
        // Writing to a string does not fail.
        let _ = match (value.to_u64(), value.to_borrowed_str()) {
            (Some(number), _) => write!(self.0, r#","{key}":{number}"#),
            (None, Some(text)) => write!(self.0, r#","{key}":"{}""#, escape_json(text)),
            (None, None) => Ok(()),
        };
        Ok(())
    }
}

/// Returns `text` as the contents of a JSON string (RFC 8259).
fn escape_json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            _ if c.is_control() => {
                // Control characters are below U+00A0, so they have no surrogates.
                let _ = write!(escaped, r"\u{:04x}", u32::from(c));
            }
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
