use super::*;
use crate::conn::Framing;
use crate::net::Stats;

fn listener(address: &str, framing: Framing, first: u64) -> ListenerStats {
    let mut closed = [0; CloseReason::COUNT];
    closed[CloseReason::Reset.index()] = first + 6;
    ListenerStats {
        address: address.parse().expect("an address"),
        framing,
        accepted: first,
        refused: first + 1,
        active: first + 2,
        echoed: first + 3,
        discarded: first + 4,
        pending: first + 5,
        accept_pauses: first + 7,
        closed,
    }
}

fn text() -> String {
    of(&Figures {
        stats: Stats {
            listeners: vec![
                listener("127.0.0.1:7007", Framing::Raw, 10),
                listener("[::1]:7", Framing::Len8, 20),
            ],
            max_connections: 100,
            memory_bound: 101,
            memory_used: 102,
            backlog: 103,
            turns: 104,
            events: 105,
            ..Stats::default()
        },
        is_stopping: true,
        started: 106,
    })
}

#[test]
fn a_metric_has_its_meaning_its_kind_and_a_value_for_each_listener() {
    let expected = "\
# HELP mio_echo_pending_bytes Bytes of echoes that wait in the process until the kernel takes them.
# TYPE mio_echo_pending_bytes gauge
mio_echo_pending_bytes{listener=\"127.0.0.1:7007\",framing=\"raw\"} 15
mio_echo_pending_bytes{listener=\"[::1]:7\",framing=\"len8\"} 25
";
    let text = text();
    assert!(text.contains(expected), "{text}");
}

#[test]
fn every_figure_has_a_metric_of_its_own() {
    let text = text();
    for line in [
        "mio_echo_connections_accepted_total{listener=\"127.0.0.1:7007\",framing=\"raw\"} 10",
        "mio_echo_connections_refused_total{listener=\"127.0.0.1:7007\",framing=\"raw\"} 11",
        "mio_echo_connections_active{listener=\"127.0.0.1:7007\",framing=\"raw\"} 12",
        "mio_echo_echoed_bytes_total{listener=\"127.0.0.1:7007\",framing=\"raw\"} 13",
        "mio_echo_discarded_bytes_total{listener=\"127.0.0.1:7007\",framing=\"raw\"} 14",
        "mio_echo_accept_pauses_total{listener=\"127.0.0.1:7007\",framing=\"raw\"} 17",
        "mio_echo_connections_closed_total{listener=\"[::1]:7\",framing=\"len8\",reason=\"reset\"} 26",
        "mio_echo_connections_closed_total{listener=\"[::1]:7\",framing=\"len8\",reason=\"stopped\"} 0",
        "mio_echo_max_connections 100",
        "mio_echo_memory_bound_bytes 101",
        "mio_echo_memory_used_bytes 102",
        "mio_echo_loop_backlog_connections 103",
        "mio_echo_loop_turns_total 104",
        "mio_echo_loop_events_total 105",
        "mio_echo_stopping 1",
        "process_start_time_seconds 106",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    assert!(text.contains("\nmio_echo_build_info{version=\""), "{text}");
}

#[test]
fn a_label_escapes_what_would_end_it() {
    assert_eq!(label("a", "b\"\\\nc"), r#"a="b\"\\\nc""#);
}

#[test]
fn a_counter_and_no_other_metric_ends_with_total() {
    let text = text();
    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        assert_eq!(
            line.contains("_total "),
            line.ends_with(" counter"),
            "{line}"
        );
    }
}
