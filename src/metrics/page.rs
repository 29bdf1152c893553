//! The figures as a page for people. The page is self-contained, and loads itself anew every 5 seconds.

use super::figures::{CLOSED, Figures, OF_LISTENER, OF_SERVER};
use crate::conn::CloseReason;
use crate::net::{BACK_END, ListenerStats, ScopedAddress};

/// The content type of the page.
pub(super) const CONTENT_TYPE: &str = "text/html; charset=utf-8";

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:72em;padding:0 1em}\
table{border-collapse:collapse;margin:1em 0}\
th,td{padding:.2em .8em;border-bottom:1px solid #8884;text-align:left;vertical-align:top}\
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
code{font-size:.9em}\
:root{color-scheme:light dark}";

/// Returns `figures` as a page.
pub(super) fn of(figures: &Figures) -> String {
    let state = match figures.is_stopping {
        true => "stopping",
        false => "running",
    };
    let (version, seconds) = (env!("CARGO_PKG_VERSION"), figures.stats.uptime.as_secs());
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <meta http-equiv=refresh content=5><title>mio-echo: {state}</title><style>{STYLE}</style>\
         <h1>mio-echo: {state}</h1><p>Version {version}, back end {BACK_END}, up for {seconds} s. The same figures for \
         Prometheus: <a href=metrics>/metrics</a>; for probes: <a href=healthz>/healthz</a>.</p>"
    );
    add_listeners(&mut page, &figures.stats.listeners);
    add_server(&mut page, figures);
    page
}

fn add_listeners(page: &mut String, listeners: &[ListenerStats]) {
    let mut columns = String::new();
    for listener in listeners {
        let address = escape(&ScopedAddress(listener.address).to_string());
        columns.push_str(&format!("<th>{address} {}", listener.framing));
    }
    page.push_str("<h2>Listeners</h2><table><tr><th>Metric");
    page.push_str(&format!("{columns}<th>Meaning</tr>"));
    for metric in &OF_LISTENER {
        let values = listeners.iter().map(metric.value);
        add_row(page, &code(metric.name), values, metric.help);
    }
    let (name, help) = (code(CLOSED.name), CLOSED.help);
    page.push_str(&format!(
        "</table><h2>Closed connections</h2><p>{name}: {help}</p><table><tr><th>Reason{columns}<th></tr>"
    ));
    for reason in CloseReason::ALL {
        let count = |listener: &ListenerStats| Some(listener.closed[reason.index()]);
        add_row(page, reason.explain(), listeners.iter().map(count), "");
    }
    page.push_str("</table>");
}

fn add_server(page: &mut String, figures: &Figures) {
    page.push_str("<h2>Server</h2><table><tr><th>Metric<th>Value<th>Meaning</tr>");
    for metric in &OF_SERVER {
        let value = (metric.value)(figures);
        add_row(page, &code(metric.name), [value], metric.help);
    }
    page.push_str("</table>");
}

/// Adds a row: its head, values and their meaning. A value that the system does not tell is a dash.
fn add_row(
    page: &mut String,
    head: &str,
    values: impl IntoIterator<Item = Option<u64>>,
    meaning: &str,
) {
    page.push_str(&format!("<tr><td>{head}"));
    for value in values {
        let value = value.map_or("–".into(), |value| value.to_string());
        page.push_str(&format!("<td class=n>{value}"));
    }
    page.push_str(&format!("<td>{}</tr>", escape(meaning)));
}

fn code(name: &str) -> String {
    format!("<code>{name}</code>")
}

/// Escapes what has a meaning in HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
