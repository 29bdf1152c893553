//! A sweep of failing system calls: strace lets the calls of a real server fail, one after the other, beside clients that
//! compare every byte.
//!
//! `table.rs` says which call fails, how, and what must be seen. `run.rs` is one run, `clients.rs` what its clients do. A
//! failed run prints the command that repeats it.

#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

mod clients;
mod run;
// Every test program includes this module and uses a part of it.
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;
mod table;
mod trace;
mod verifier;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::panic::{self, AssertUnwindSafe};
use std::process;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use run::Run;
use support::strace;
use support::temp_dir::TempDir;
use table::{Cell, LEFT_OUT, Outcome, Phase, Row, Setup, TABLE};
use trace::{Calls, Trace};

/// The number of runs at once.
const LANES: u8 = 2;

/// The most calls of a run: so many for each call of a run without a fault, and so many more.
const CALLS: (usize, usize) = (2, 500);

/// The lines of strace that a failed run prints.
const TAIL: usize = 15;

/// A variable with a part of the name of the cells to run.
const CHOSEN: &str = "MIO_ECHO_TEST_SWEEP";

/// The place of the runs of one thread.
struct Lane<'a> {
    number: u8,
    directory: &'a TempDir,
}

impl Lane<'_> {
    fn trace(&self) -> Trace {
        Trace(self.directory.file(&format!("trace-{}", self.number)))
    }

    /// Returns a free address. The port is none of those that systems choose for other programs, and no run uses it twice:
    /// a server that may not set SO_REUSEADDR could not listen on it.
    fn address(&self) -> SocketAddr {
        static NEXT_PORT: AtomicU16 = AtomicU16::new(10_000);
        let [.., high, low] = process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, 1 + self.number, high, low.max(1));
        let listen = |_| TcpListener::bind((address, NEXT_PORT.fetch_add(1, Ordering::Relaxed)));
        let listener = (0..100).find_map(|attempt| listen(attempt).ok());
        let listener = listener.expect("a free port");
        listener.local_addr().expect("an address")
    }
}

/// A run without a fault.
struct Reference {
    before_main: Calls,
    at_start: Calls,
    in_main: Calls,
    lines: usize,
}

type References = BTreeMap<(Phase, Setup), Reference>;

impl Reference {
    fn run(lane: &Lane<'_>, phase: Phase, setup: Setup) -> Self {
        let trace = lane.trace();
        let run = Run {
            phase,
            setup,
            outcome: Outcome::Served,
            lasts: false,
            fault: None,
            address: lane.address(),
            trace: &trace,
        };
        run.run()
            .and_then(|ended| ended.expect(Outcome::Served))
            .unwrap_or_else(|error| panic!("without a fault, {phase:?} {setup:?}: {error}"));
        Self {
            before_main: trace.before_main(),
            at_start: trace.at_start(),
            in_main: trace.in_main(),
            lines: trace.lines(),
        }
    }

    /// Returns the name of the call of `row` on this system, and how often one thread makes the call, at most.
    fn count(&self, row: &Row) -> Option<(&'static str, u32)> {
        let calls = match row.phase {
            Phase::Start => &self.at_start,
            Phase::Operation => &self.in_main,
        };
        let counts = row.calls.split(' ').map(|name| (name, calls.most(name)));
        counts.into_iter().find(|(_, count)| *count > 0)
    }
}

#[test]
fn fault_x1_a_failing_system_call_has_the_outcome_of_the_table() {
    if !strace::is_usable("fault_x1") {
        return;
    }
    let began = Instant::now();
    let directory = TempDir::new("sweep");
    let lane = |number| Lane {
        number,
        directory: &directory,
    };
    let keys: BTreeSet<_> = TABLE.iter().map(|row| (row.phase, row.setup)).collect();
    let references: References = keys
        .into_iter()
        .map(|(phase, setup)| ((phase, setup), Reference::run(&lane(0), phase, setup)))
        .collect();
    expect_every_call_in_the_table(&references);

    let chosen = std::env::var(CHOSEN).unwrap_or_default();
    let cells = TABLE.iter().flat_map(|row| {
        let count = references[&(row.phase, row.setup)].count(row);
        count.map_or(Vec::new(), |(call, count)| row.cells(call, count))
    });
    let cells: Vec<_> = cells
        .filter(|cell| cell.to_string().contains(&chosen))
        .collect();
    let [next, failed, unreached] = [const { AtomicUsize::new(0) }; 3];
    let run_cells = |number| {
        while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
            let reference = &references[&(cell.row.phase, cell.row.setup)];
            match run(&lane(number), cell, reference) {
                Ok(true) => {}
                Ok(false) => {
                    unreached.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    failed.fetch_add(1, Ordering::Relaxed);
                    print_now(&error);
                }
            }
        }
    };
    thread::scope(|scope| {
        for number in 0..LANES {
            scope.spawn(move || run_cells(number));
        }
    });
    let failed = failed.into_inner();
    print_now(&format!(
        "the sweep: {} rows, {} runs, {failed} failed, in {} the call did not come; {} s",
        TABLE.len(),
        cells.len(),
        unreached.into_inner(),
        began.elapsed().as_secs()
    ));
    assert_eq!(failed, 0, "failed runs; see above");
}

/// Prints past the output capture of the test harness.
fn print_now(text: &str) {
    // A closed standard error is no reason to fail.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Runs `cell`. Returns true if the call came and failed.
///
/// # Errors
///
/// Returns what is wrong, the end of the trace, and the command that repeats the run.
fn run(lane: &Lane<'_>, cell: &Cell, reference: &Reference) -> Result<bool, String> {
    let trace = lane.trace();
    let attempt = AssertUnwindSafe(|| try_to_run(lane, cell, reference, &trace));
    let result = panic::catch_unwind(attempt).unwrap_or_else(|panic| Err(words_of(&*panic)));
    result.map_err(|error| {
        let (outcome, tail) = (cell.outcome, trace.tail(TAIL));
        format!(
            "{cell}: not {outcome:?}: {error}\n{tail}\n\
             repeat it: {CHOSEN}='{cell}' cargo test --features soak --test sweep\n"
        )
    })
}

fn try_to_run(
    lane: &Lane<'_>,
    cell: &Cell,
    reference: &Reference,
    trace: &Trace,
) -> Result<bool, String> {
    let run = Run {
        phase: cell.row.phase,
        setup: cell.row.setup,
        outcome: cell.outcome,
        lasts: cell.for_ever,
        fault: Some(trace::fault(cell, reference.before_main.most(cell.call))),
        address: lane.address(),
        trace,
    };
    let ended = run.run()?;
    let has_failed = trace.has_injected();
    if has_failed {
        ended.expect(cell.outcome)?;
    } else if cell.at == 1 {
        return Err("the call did not come".into());
    }
    let (calls, usually, (factor, more)) = (trace.lines(), reference.lines, CALLS);
    if calls > usually * factor + more {
        return Err(format!("{calls} system calls, usually {usually}"));
    }
    Ok(has_failed)
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().map(String::as_str);
    let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
    words.unwrap_or("a panic").to_owned()
}

/// Requires that every call that the server makes is in the table or in the list of those left out, and that the server
/// makes the calls of every row.
fn expect_every_call_in_the_table(references: &References) {
    let rows = TABLE.iter().map(|row| row.calls);
    let listed = rows.chain(LEFT_OUT.iter().map(|(names, _)| *names));
    let listed: BTreeSet<_> = listed.flat_map(|names| names.split(' ')).collect();
    for ((phase, setup), reference) in references {
        let unlisted: Vec<_> = reference
            .in_main
            .names()
            .difference(&listed)
            .copied()
            .collect();
        assert!(
            unlisted.is_empty(),
            "{phase:?} {setup:?}: not in the table: {unlisted:?}"
        );
    }
    for row in TABLE {
        let (phase, setup, calls) = (row.phase, row.setup, row.calls);
        let count = references[&(phase, setup)].count(row);
        assert!(
            count.is_some(),
            "{phase:?} {setup:?}: the server does not call {calls}"
        );
    }
}
