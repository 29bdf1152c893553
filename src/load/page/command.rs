//! The command that repeats a run.

use crate::load::judge::slo::ObjectiveResult;
use crate::load::plan::settings::{Arrival, Close, SizeRange};
use crate::load::report::settings::ReportedSettings;
use crate::load::units::format_decimal;

/// Returns the command that repeats the run with these settings, for a shell of Unix. Options with their default are left
/// out. The time of the start is left out too: it has passed.
pub fn command(settings: &ReportedSettings, slo: &[ObjectiveResult]) -> String {
    let mut words = Words(vec!["mio-echo".into(), "bench".into()]);
    words.0.extend(settings.target.clone());
    load(settings, &mut words);
    connections(settings, &mut words);
    messages(settings, &mut words);
    machine(settings, &mut words);
    words.option("--label", settings.label.clone());
    let objectives: Vec<_> = slo
        .iter()
        .map(|result| result.objective.to_string().replace(' ', ""))
        .collect();
    words.option(
        "--slo",
        (!objectives.is_empty()).then(|| objectives.join(",")),
    );
    words.joined()
}

fn load(settings: &ReportedSettings, words: &mut Words) {
    let default = settings.messages.is_none().then_some(10.0);
    words.option(
        "-d",
        settings
            .duration_s
            .filter(|_| settings.duration_s != default)
            .map(seconds),
    );
    words.option("-n", settings.messages);
    words.option(
        "-r",
        settings.rate_per_s.map(|rate| format_decimal(rate, 9)),
    );
    words.option(
        "--arrival",
        settings
            .arrival
            .filter(|arrival| *arrival != Arrival::Constant),
    );
    let depth = if settings.rate_per_s.is_some() && !settings.churn {
        1024
    } else {
        1
    };
    words.option("-p", unless(settings.pipeline, depth));
    words.option("-t", unless(settings.threads, 1));
    words.option("-w", unless(settings.warmup_s, 1.0).map(seconds));
    words.option("-i", unless(settings.interval_s, 1.0).map(seconds));
    words.option("--seed", unless(settings.seed, 1));
    words.option(
        "--shard",
        settings
            .shard
            .map(|shard| format!("{}/{}", shard.index, shard.count)),
    );
}

fn connections(settings: &ReportedSettings, words: &mut Words) {
    words.option("-c", unless(settings.connections, 64));
    words.option(
        "--connect-rate",
        settings
            .connect_rate_per_s
            .map(|rate| format_decimal(rate, 9)),
    );
    words.flag("--churn", settings.churn);
    words.option(
        "--close",
        Some("rst").filter(|_| settings.close == Close::Rst),
    );
    let sources = &settings.sources;
    words.option("--source", (!sources.is_empty()).then(|| sources.join(",")));
    // The addresses of --source tell the family.
    words.flag("-4", sources.is_empty() && settings.family == "ipv4");
    words.flag("-6", sources.is_empty() && settings.family == "ipv6");
    words.option("--timeout", unless(settings.timeout_s, 10.0).map(seconds));
    words.option("--socket-buffer", settings.socket_buffer_bytes);
}

fn messages(settings: &ReportedSettings, words: &mut Words) {
    let size = |size: &SizeRange| {
        let range = match (size.from_bytes, size.to_bytes) {
            (from, to) if from == to => from.to_string(),
            (from, to) => format!("{from}..{to}"),
        };
        match size.weight {
            1 => range,
            weight => format!("{range}:{weight}"),
        }
    };
    let sizes: Vec<_> = settings.sizes.0.iter().map(size).collect();
    words.option("-s", unless(sizes.join(","), "64".into()));
    words.option("--framing", unless(settings.framing.clone(), "raw".into()));
    words.option("--skip", unless(settings.skip_bytes, 0));
    words.flag("--no-verify", !settings.verify);
}

fn machine(settings: &ReportedSettings, words: &mut Words) {
    words.option("--pin", settings.pin.clone());
    words.option("--server-pin", settings.server_pin.clone());
    words.option("--server-pid", settings.server_pid);
}

/// The words of a command.
struct Words(Vec<String>);

impl Words {
    fn option(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.0.extend([name.to_owned(), value.to_string()]);
        }
    }

    fn flag(&mut self, name: &str, is_set: bool) {
        self.0.extend(is_set.then(|| name.to_owned()));
    }

    /// Returns the words with the quotes that a shell needs.
    fn joined(&self) -> String {
        // No word has a NUL: each of them was an argument.
        shlex::try_join(self.0.iter().map(String::as_str)).unwrap_or_else(|_| self.0.join(" "))
    }
}

fn unless<T: PartialEq>(value: T, default: T) -> Option<T> {
    (value != default).then_some(value)
}

fn seconds(seconds: f64) -> String {
    format!("{}s", format_decimal(seconds, 9))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::testing::{closed_loop, open_loop};

    #[test]
    fn defaults_are_left_out_and_words_are_quoted() {
        let mut results = open_loop();
        results.settings.label = Some("it's <b>".into());
        let settings = ReportedSettings::of(&results);
        assert_eq!(
            command(&settings, &[]),
            r#"mio-echo bench -d 1s -r 2000 -w 0.5s -c 2 --label "it's <b>""#
        );
        let mut settings = ReportedSettings::of(&closed_loop());
        (settings.duration_s, settings.warmup_s, settings.connections) = (Some(10.0), 1.0, 64);
        assert_eq!(command(&settings, &[]), "mio-echo bench localhost:7007");
    }
}
