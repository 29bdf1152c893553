//! Runs `mio-echo bench` and reads its reports.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{self, Command};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use serde_json::Value;

use crate::support::Server;
use crate::support::server::{Finished, program};

/// Returns the command `mio-echo bench` with `args`, which are separated by spaces.
pub fn bench(args: &str) -> Command {
    let mut command = program("bench");
    command.args(args.split_whitespace());
    command
}

/// Returns the command `mio-echo bench` with `args`, which are separated by spaces, and `target`.
pub fn bench_against(target: SocketAddr, args: &str) -> Command {
    let mut command = bench(args);
    command.arg(target.to_string());
    command
}

/// Starts `command`. The process is killed when the returned value is dropped, and fails the test after the deadline.
#[track_caller]
pub fn start(mut command: Command) -> Server {
    command.stdout(process::Stdio::piped());
    command.stderr(process::Stdio::piped());
    Server::spawn_without_waiting(command)
}

/// Runs `command` to its end and requires the exit code `code`.
#[track_caller]
pub fn run(command: Command, code: i32) -> Finished {
    let finished = start(command).finished();
    finished.expect_code(code);
    finished
}

/// Measures `target` with `args`, requires exit code 0 and returns the report.
#[track_caller]
pub fn measure(target: SocketAddr, args: &str) -> Report {
    measure_expecting(target, args, 0)
}

/// Measures `target` with `args`, requires the exit code `code` and returns the report.
#[track_caller]
pub fn measure_expecting(target: SocketAddr, args: &str, code: i32) -> Report {
    let mut command = bench_against(target, args);
    command.arg("-J");
    Report::of(&run(command, code))
}

impl Finished {
    #[track_caller]
    pub fn expect_code(&self, code: i32) {
        let (output, log) = (self.output.join("\n"), self.log.join("\n"));
        assert_eq!(self.status.code(), Some(code), "\n{output}\n{log}");
    }

    /// Returns standard output and standard error.
    pub fn text(&self) -> String {
        [self.output.join("\n"), self.log.join("\n")].join("\n")
    }
}

/// A report in JSON.
pub struct Report(pub Value);

impl Report {
    /// Parses standard output.
    #[track_caller]
    pub fn of(finished: &Finished) -> Self {
        Self::of_lines(&finished.output)
    }

    #[track_caller]
    pub fn of_lines(output: &[String]) -> Self {
        Self::parse(&output.join("\n"))
    }

    #[track_caller]
    pub fn read(path: &Path) -> Self {
        Self::parse(&fs::read_to_string(path).expect("reading a report"))
    }

    #[track_caller]
    fn parse(text: &str) -> Self {
        match serde_json::from_str(text) {
            Ok(value) => Self(value),
            Err(error) => panic!("not one JSON object: {error}: {text}"),
        }
    }

    /// Returns the value at `path`, such as `/metrics/messages`.
    #[track_caller]
    pub fn at(&self, path: &str) -> &Value {
        let value = self.0.pointer(path);
        value.unwrap_or_else(|| panic!("no `{path}` in {}", self.without_histograms()))
    }

    /// Returns a count of the metrics.
    #[track_caller]
    pub fn count(&self, name: &str) -> u64 {
        let value = self.at(&format!("/metrics/{name}"));
        value.as_u64().unwrap_or_else(|| panic!("{name}: {value}"))
    }

    /// Returns a number of the metrics, such as `seconds` or `response_us/p50`.
    #[track_caller]
    pub fn number(&self, name: &str) -> f64 {
        let value = self.at(&format!("/metrics/{name}"));
        value
            .as_f64()
            .unwrap_or_else(|| panic!("{name}: {value} in {}", self.without_histograms()))
    }

    /// Returns how often the error `name` was counted.
    pub fn errors(&self, name: &str) -> u64 {
        let count = self.0.pointer(&format!("/metrics/errors/{name}"));
        count.map_or(0, |count| count.as_u64().expect("a count"))
    }

    /// Returns how often the failure `name` of a connection was counted that ended no message.
    pub fn connection_failures(&self, name: &str) -> u64 {
        let count = self.0.pointer(&format!("/metrics/connections/{name}"));
        count.map_or(0, |count| count.as_u64().expect("a count"))
    }

    /// Returns the number of all errors.
    #[track_caller]
    pub fn total_errors(&self) -> u64 {
        let errors = self.at("/metrics/errors").as_object().expect("an object");
        errors.values().filter_map(Value::as_u64).sum()
    }

    /// Requires that exactly `count` messages came back and that there was no failure.
    #[track_caller]
    pub fn expect_all(&self, count: u64) {
        assert_eq!(
            self.count("messages"),
            count,
            "{}",
            self.without_histograms()
        );
        self.expect_no_failure();
    }

    /// Requires that all `count` messages of a schedule were answered, in the window or after it, and that there was no
    /// failure.
    #[track_caller]
    pub fn expect_all_scheduled(&self, count: u64) {
        let answered = self.count("response_us/count");
        assert_eq!(answered, count, "{}", self.without_histograms());
        self.expect_no_failure();
    }

    #[track_caller]
    pub fn expect_no_failure(&self) {
        for name in ["corrupted", "unanswered", "unsent", "reconnects"] {
            assert_eq!(self.count(name), 0, "{name}: {}", self.without_histograms());
        }
        assert_eq!(self.total_errors(), 0, "{}", self.without_histograms());
    }

    #[track_caller]
    pub fn is_valid(&self) -> bool {
        self.at("/verdict/valid").as_bool().expect("a bool")
    }

    #[track_caller]
    pub fn reasons(&self) -> String {
        self.at("/verdict/reasons").to_string()
    }

    #[track_caller]
    pub fn histogram(&self, name: &str) -> Histogram<u64> {
        let text = self.at(&format!("/histograms/{name}")).as_str();
        decode(text.expect("base64"))
    }

    /// Returns a percentile of the histogram `name`.
    #[track_caller]
    pub fn percentile(&self, name: &str, percentile: f64) -> Duration {
        Duration::from_nanos(self.histogram(name).value_at_percentile(percentile))
    }

    /// Returns the report without its long parts, for the messages of assertions.
    pub fn without_histograms(&self) -> Value {
        let mut value = self.0.clone();
        if let Some(object) = value.as_object_mut() {
            object.remove("histograms");
            object.remove("intervals");
        }
        value
    }
}

/// Decodes a histogram of the format "V2 deflate".
#[track_caller]
pub fn decode(base64: &str) -> Histogram<u64> {
    let bytes = STANDARD.decode(base64).expect("base64");
    let decoded = Deserializer::new().deserialize(&mut &bytes[..]);
    decoded.expect("a histogram of V2 deflate")
}
