//! The graph of all states that a small world can reach, and the way out of each.
//!
//! The schedules of `sim/tests.rs` meet the same states again and again. Here each state is visited once: everything that
//! can happen there is tried, and then the connection must reach its end without anything rare. So no state is a trap.
//!
//! Paths of 6 steps reach 148,018 states on an edge-triggered selector and 126,194 on the other one, and no trap either.
//! They take a minute, so the tests take 4 steps.
//!
//! So many states make no picture. With `MIO_ECHO_TEST_MAP=target`, the tests write a map of [places](place) into that
//! folder, as JSON and for dot(1): `MIO_ECHO_TEST_MAP=target cargo test --lib every_state`. It has 35 places.

use std::collections::{BTreeSet, HashSet};
use std::{env, fs};

use super::*;
use crate::conn::sim::beliefs::Belief;

/// The rare events of a path to a state.
const RARE_EVENTS: usize = 1;

/// The states that a world can reach, and the changes between them that are one step.
#[derive(Debug, Default, PartialEq, Eq)]
struct Graph {
    states: HashSet<String>,
    changes: HashSet<(String, String)>,
    /// The changes between places.
    map: BTreeSet<[String; 2]>,
}

/// A state, and its place in the map.
struct Visit {
    state: String,
    place: String,
}

impl Visit {
    fn at(play: &Play) -> Self {
        Self {
            state: state(play),
            place: place(play),
        }
    }
}

/// Returns the state of a world as text. Two worlds are in the same state if they differ only in what has gone by: the
/// time, and how many bytes were echoed. So positions count from the first byte that is not echoed.
fn state(play: &Play) -> String {
    let World {
        connection, kernel, ..
    } = &play.world;
    let world = &play.world;
    let to_go = match connection.session {
        Session::Running => None,
        Session::Stopping(end) => Some(end.wrapping_sub(connection.received as u32) as i32),
        Session::Ended(_) => None,
    };
    let bits = world.beliefs().map(|belief| u8::from(belief.is_believed));
    let of_connection = (
        connection.state(),
        connection.close_reason(),
        (bits, connection.readiness.is_fin_sent()),
        (connection.pending(), &connection.pending_checks),
        (to_go, connection.must_abort),
    );
    let marks = kernel.inbound.iter().map(|item| *item == Item::UrgentMark);
    let of_kernel = (
        marks.collect::<Vec<_>>(),
        (kernel.peer_finished, kernel.reset, kernel.closed),
        (kernel.outbound, kernel.was_full, kernel.fin_sent),
        (kernel.write_interest, kernel.read_armed, kernel.write_armed),
        kernel.falsely_blocked_at == Some(kernel.read),
        (kernel.was_silent, kernel.to_echo - kernel.echoed),
    );
    let before_end = world.received_before_end;
    let is_exhausted = world.buffers.blocks.is_exhausted;
    let of_loop = (
        (world.checking_idle, world.checking_frame),
        (world.backlog, world.stopping),
        before_end.map(|received| received.saturating_sub(kernel.echoed)),
        (play.blocks_of_others.len(), is_exhausted),
    );
    format!("{of_connection:?} {of_kernel:?} {of_loop:?}")
}

/// Returns what the map shows of a state: the connection's state, two of its beliefs beside the truth, and whether bytes
/// are pending.
fn place(play: &Play) -> String {
    let connection = &play.world.connection;
    if play.world.is_closed() {
        return "Closed".to_owned();
    }
    let [readable, .., writable, _, _] = play.world.beliefs().map(|belief| view(&belief));
    let pending = match connection.pending() {
        0 => "nothing pending",
        _ => "pending",
    };
    format!(
        "{:?}: readable {readable}, writable {writable}, {pending}",
        connection.state()
    )
}

/// Returns how a belief and the truth go together.
fn view(belief: &Belief) -> &'static str {
    match (belief.is_believed, belief.is_true == Some(true)) {
        (true, true) => "seen",
        (true, false) => "believed in error",
        (false, true) => "unseen",
        (false, false) => "no",
    }
}

/// Visits every state of a world that a path of [`STEPS`] steps reaches. Returns the graph, or the path to a trap.
fn graph(rules: &Rules) -> Result<Graph, String> {
    let mut buffers = buffers(rules, BLOCK, EXTRA);
    let mut graph = Graph::default();
    let mut visited = HashSet::new();
    // The choices and the number of moves that lead to a state.
    let mut paths = vec![(vec![], 0)];
    while let Some((path, length)) = paths.pop() {
        let mut choices = Choices::new(STEPS, RARE_EVENTS);
        let kept = path.len();
        choices.taken = path;
        loop {
            let mut play = Play::new(rules, &mut buffers, &mut choices);
            let fault = walk(&mut play, length, &mut |before, play| {
                let after = Visit::at(play);
                let choices = &play.world.kernel.chance;
                graph.map.insert([before.place, after.place]);
                graph.changes.insert((before.state, after.state.clone()));
                graph.states.insert(after.state.clone());
                if visited.insert((after.state, choices.steps, choices.rare_events)) {
                    let path = choices.taken[..choices.at].to_vec();
                    paths.push((path, length + 1));
                }
            });
            if let Err(fault) = fault {
                start_journal();
                let mut play = Play::new(rules, &mut buffers, &mut choices);
                let _ = walk(&mut play, length, &mut |_, _| {});
                return Err(with_steps(fault));
            }
            if !choices.advance_after(kept) {
                break;
            }
        }
    }
    Ok(graph)
}

/// Makes the `length` moves of a path and one more, reports it to `arrive` with the state before, and then lets the
/// connection end without anything rare.
fn walk(play: &mut Play, length: usize, arrive: &mut impl FnMut(Visit, &Play)) -> Checked {
    for _ in 0..length {
        play.play_move()?;
    }
    if play.has_moves() {
        let before = Visit::at(play);
        play.play_move()?;
        arrive(before, play);
    }
    let choices = &mut play.world.kernel.chance;
    (choices.steps, choices.rare_events) = (0, 0);
    play.finish()?;
    Ok(())
}

#[test]
fn every_state_on_an_edge_triggered_selector_has_a_way_out() {
    assert_graph("edge", Rules::EDGE, (10_635, 31_427));
}

#[test]
fn every_state_on_a_drain_to_rearm_selector_has_a_way_out() {
    assert_graph("rearm", Rules::DRAIN_TO_REARM, (9_131, 23_795));
}

/// Asserts that no state is a trap, and how many states and changes there are. Writes the map, if that is wished.
#[track_caller]
fn assert_graph(name: &str, rules: Rules, expected: (usize, usize)) {
    let graph = graph(&rules).unwrap_or_else(|trap| panic!("{trap}"));
    assert_eq!((graph.states.len(), graph.changes.len()), expected);
    if let Ok(folder) = env::var("MIO_ECHO_TEST_MAP") {
        let (json, dot) = (serde_json::json!(graph.map), as_dot(&graph.map));
        fs::write(format!("{folder}/map-{name}.json"), json.to_string()).expect("a map as JSON");
        fs::write(format!("{folder}/map-{name}.dot"), dot).expect("a map for dot(1)");
    }
}

fn as_dot(map: &BTreeSet<[String; 2]>) -> String {
    let arrows = map.iter().filter(|[from, to]| from != to);
    let lines = arrows.map(|[from, to]| format!("  {from:?} -> {to:?};\n"));
    format!(
        "digraph states {{\n  node [shape=box];\n{}}}\n",
        lines.collect::<String>()
    )
}
