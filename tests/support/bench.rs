//! Runs of `mio-echo bench`, and what they report.

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

/// `mio-echo bench` with `args`, which are separated by blanks.
pub fn bench(args: &str) -> Command {
    let mut command = program("bench");
    command.args(args.split_whitespace());
    command
}

/// `mio-echo bench` against `target` with `args`, which are separated by blanks.
pub fn bench_against(target: SocketAddr, args: &str) -> Command {
    let mut command = bench(args);
    command.arg(target.to_string());
    command
}

/// Starts `command`. It is killed when dropped, and may not run longer than the deadline of all tests.
#[track_caller]
pub fn start(mut command: Command) -> Server {
    command.stdout(process::Stdio::piped());
    command.stderr(process::Stdio::piped());
    Server::spawn_without_waiting(command)
}

/// Runs `command` to its end, which must be an exit with `code`.
#[track_caller]
pub fn run(command: Command, code: i32) -> Finished {
    let finished = start(command).finished();
    finished.expect_code(code);
    finished
}

/// Measures `target` with `args` and returns the figures; the exit code must be 0.
#[track_caller]
pub fn measure(target: SocketAddr, args: &str) -> Report {
    measure_expecting(target, args, 0)
}

/// The same with another exit code.
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

    /// All that was said, on standard output and standard error.
    pub fn text(&self) -> String {
        [self.output.join("\n"), self.log.join("\n")].join("\n")
    }
}

/// The JSON of a run.
pub struct Report(pub Value);

impl Report {
    /// Standard output, all of it.
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

    /// What `path` leads to, as in `/metrics/messages`.
    #[track_caller]
    pub fn at(&self, path: &str) -> &Value {
        let value = self.0.pointer(path);
        value.unwrap_or_else(|| panic!("no `{path}` in {}", self.without_histograms()))
    }

    /// A count among the metrics.
    #[track_caller]
    pub fn count(&self, name: &str) -> u64 {
        let value = self.at(&format!("/metrics/{name}"));
        value.as_u64().unwrap_or_else(|| panic!("{name}: {value}"))
    }

    /// A number among the metrics, or of one of their rows, as in `response_us/p50`.
    #[track_caller]
    pub fn number(&self, name: &str) -> f64 {
        let value = self.at(&format!("/metrics/{name}"));
        value
            .as_f64()
            .unwrap_or_else(|| panic!("{name}: {value} in {}", self.without_histograms()))
    }

    /// How often the error `name` was seen.
    pub fn errors(&self, name: &str) -> u64 {
        let count = self.0.pointer(&format!("/metrics/errors/{name}"));
        count.map_or(0, |count| count.as_u64().expect("a count"))
    }

    /// All errors that were seen.
    #[track_caller]
    pub fn total_errors(&self) -> u64 {
        let errors = self.at("/metrics/errors").as_object().expect("an object");
        errors.values().filter_map(Value::as_u64).sum()
    }

    /// Requires that `count` messages came back, and that nothing went wrong.
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

    /// Requires that all `count` messages of a schedule were answered, whenever, and that nothing went wrong.
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
        self.at("/verdict/valid").as_bool().expect("yes or no")
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

    /// A percentile of the histogram `name`.
    #[track_caller]
    pub fn percentile(&self, name: &str, percentile: f64) -> Duration {
        Duration::from_nanos(self.histogram(name).value_at_percentile(percentile))
    }

    /// For messages: the histograms are long.
    pub fn without_histograms(&self) -> Value {
        let mut value = self.0.clone();
        if let Some(object) = value.as_object_mut() {
            object.remove("histograms");
            object.remove("intervals");
        }
        value
    }
}

#[track_caller]
pub fn decode(base64: &str) -> Histogram<u64> {
    let bytes = STANDARD.decode(base64).expect("base64");
    let decoded = Deserializer::new().deserialize(&mut &bytes[..]);
    decoded.expect("a histogram of V2 deflate")
}
