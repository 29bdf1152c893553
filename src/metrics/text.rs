//! The figures in the text format of Prometheus, version 0.0.4.

use super::figures::{BUILD, CLOSED, Figures, Kind, Metric, OF_LISTENER, OF_SERVER};
use crate::conn::CloseReason;
use crate::net::{BACK_END, ListenerStats, ScopedAddress};

/// The content type of the text.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Returns `figures` as text.
pub(super) fn of(figures: &Figures) -> String {
    let mut text = String::new();
    let listeners = &figures.stats.listeners;
    let labels: Vec<_> = listeners.iter().map(listener_labels).collect();
    for metric in &OF_LISTENER {
        add_head(&mut text, metric);
        for (listener, labels) in listeners.iter().zip(&labels) {
            add(&mut text, metric, labels, listener);
        }
    }
    add_head(&mut text, &CLOSED);
    for (listener, labels) in listeners.iter().zip(&labels) {
        for reason in CloseReason::ALL {
            let labels = format!("{labels},{}", label("reason", reason.explain()));
            add(
                &mut text,
                &CLOSED,
                &labels,
                &listener.closed[reason.index()],
            );
        }
    }
    for metric in &OF_SERVER {
        if (metric.value)(figures).is_some() {
            add_head(&mut text, metric);
            add(&mut text, metric, "", figures);
        }
    }
    add_head(&mut text, &BUILD);
    let version = label("version", env!("CARGO_PKG_VERSION"));
    let labels = format!("{version},{}", label("back_end", BACK_END));
    add(&mut text, &BUILD, &labels, &());
    text
}

fn listener_labels(listener: &ListenerStats) -> String {
    let address = label("listener", &ScopedAddress(listener.address).to_string());
    let framing = label("framing", &listener.framing.to_string());
    format!("{address},{framing}")
}

/// Returns a label. A backslash, a quote and a line feed in its value are escaped.
fn label(name: &str, value: &str) -> String {
    let value = value
        .replace('\\', r"\\")
        .replace('"', r#"\""#)
        .replace('\n', r"\n");
    format!("{name}=\"{value}\"")
}

fn add_head<T>(
    text: &mut String,
    Metric {
        name, kind, help, ..
    }: &Metric<T>,
) {
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

/// Adds the value of `metric` for `of`, if there is one.
fn add<T>(text: &mut String, metric: &Metric<T>, labels: &str, of: &T) {
    let name = metric.name;
    let labels = match labels {
        "" => String::new(),
        labels => format!("{{{labels}}}"),
    };
    if let Some(value) = (metric.value)(of) {
        text.push_str(&format!("{name}{labels} {value}\n"));
    }
}

#[cfg(test)]
mod tests;
