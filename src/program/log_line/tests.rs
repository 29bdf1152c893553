use log::kv::Source;
use proptest::prelude::{any, proptest};
use serde_json::{Value as Json, json};

use super::*;

fn line(level: Level, text: &str, fields: &dyn Source, format: LineFormat) -> LogLine {
    LogLine::new(
        &Record::builder()
            .level(level)
            .target("mio_echo::net")
            .args(format_args!("{text}"))
            .key_values(fields)
            .build(),
        format,
    )
}

/// Returns the object of a line, without its time.
fn parsed(line: &LogLine) -> Json {
    let text = line.to_json();
    assert_eq!(text.lines().count(), 1, "{text}");
    let mut object: Json = serde_json::from_str(&text).expect("JSON");
    let time = object["time"].take();
    let time = time.as_str().expect("a time");
    let shape = time.replace(|c: char| c.is_ascii_digit(), "0");
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{time}");
    object
}

proptest! {
    #[test]
    fn fault_m4_any_text_is_one_line_of_json(text in any::<String>(), value in any::<String>()) {
        let fields = [("peer", value.as_str())];
        let object = parsed(&line(Level::Info, &text, &fields, LineFormat::Json));
        assert_eq!(object["message"], text);
        assert_eq!(object["peer"], value);
    }

    #[test]
    fn fault_m4_any_text_is_one_line_of_the_journal(text in any::<String>()) {
        let line = line(Level::Info, &text, &[("conn", 7)], LineFormat::Systemd).to_systemd();
        assert!(line.starts_with("<6>"), "{line}");
        assert!(!line.contains(char::is_control), "{line}");
    }
}

#[test]
fn fault_m4_control_characters_and_quotes_are_escaped_in_json() {
    for (text, escaped) in [
        ("a\"b\\c", r#"a\"b\\c"#),
        (
            "\r\n\0\u{1b}\u{7f}\u{9f}",
            r"\u000d\u000a\u0000\u001b\u007f\u009f",
        ),
        ("ä€😀", "ä€😀"),
    ] {
        assert_eq!(escape_json(text), escaped);
    }
}

#[test]
fn an_object_has_the_fields_of_the_record() {
    let (conn, peer) = (7_u64, "127.0.0.1:5");
    let fields: &[(&str, Value<'_>)] = &[("conn", conn.into()), ("peer", peer.into())];
    let object = parsed(&line(Level::Debug, "text", &fields, LineFormat::Json));
    let expected = json!({
        "time": null, "level": "debug", "target": "mio_echo::net", "message": "text", "conn": 7, "peer": peer,
    });
    assert_eq!(object, expected);
}

#[test]
fn a_line_about_lost_lines_is_an_object_too() {
    let object = parsed(&LogLine::about_lost(3));
    let expected = json!({
        "time": null, "level": "warn", "target": "mio_echo", "message": "3 log lines lost",
    });
    assert_eq!(object, expected);
}

#[test]
fn the_prefix_for_the_journal_is_the_level() {
    let levels = [
        Level::Error,
        Level::Warn,
        Level::Info,
        Level::Debug,
        Level::Trace,
    ];
    for (level, expected) in levels
        .into_iter()
        .zip(["<3>a", "<4>a", "<6>a", "<7>a", "<7>a"])
    {
        let line = line(level, "a", &[("conn", 7)], LineFormat::Systemd);
        assert_eq!(line.to_systemd(), expected);
    }
}
