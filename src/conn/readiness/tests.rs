//! Compares the table of bits in the documentation with what the methods do.

use super::*;

const BITS: [(&str, u8); 6] = [
    ("READABLE", READABLE),
    ("READ_UNTIL_BLOCKED", READ_UNTIL_BLOCKED),
    ("BLOCK_MAY_BE_FALSE", BLOCK_MAY_BE_FALSE),
    ("WRITABLE", WRITABLE),
    ("WRITE_CLOSED", WRITE_CLOSED),
    ("FAILED", FAILED),
];

const ALL_BITS: u8 =
    READABLE | WRITABLE | READ_UNTIL_BLOCKED | BLOCK_MAY_BE_FALSE | WRITE_CLOSED | FAILED;

/// Every set of bits that a socket can have, under both rules for short reads.
fn all_states() -> impl Iterator<Item = Readiness> {
    [ShortRead::ProvesEmpty, ShortRead::ProvesNothing]
        .into_iter()
        .flat_map(|short_read| {
            (0..=ALL_BITS).map(move |bits| Readiness {
                bits,
                ..Readiness::new(short_read)
            })
        })
}

/// Every combination that an event can report.
fn all_events() -> impl Iterator<Item = Ready> {
    (0..1 << 6).map(|bits: u8| Ready {
        readable: bits & 1 != 0,
        writable: bits & 2 != 0,
        read_closed: bits & 4 != 0,
        write_closed: bits & 8 != 0,
        priority: bits & 16 != 0,
        error: bits & 32 != 0,
    })
}

/// Returns the bits that `method` sets in some state, and the bits that it clears in some state.
fn changed_by(method: &str) -> (u8, u8) {
    let mut changed = (0, 0);
    for before in all_states() {
        let call = |method: fn(&mut Readiness)| {
            let mut after = before;
            method(&mut after);
            vec![after]
        };
        let outcomes = match method {
            "record" => all_events()
                .map(|ready| {
                    let mut after = before;
                    after.record(ready);
                    after
                })
                .collect(),
            "record_fin_sent" => call(Readiness::record_fin_sent),
            #[cfg(feature = "client")]
            "assume_readable" => call(Readiness::assume_readable),
            #[cfg(not(feature = "client"))]
            "assume_readable" => call(|readiness| readiness.bits |= READABLE),
            "assume_unread" => call(Readiness::assume_unread),
            "assume_writable" => call(Readiness::assume_writable),
            "clear" => call(Readiness::clear),
            "read_would_block" => call(Readiness::read_would_block),
            "read_came_short" => call(Readiness::read_came_short),
            "write_would_block" => call(Readiness::write_would_block),
            unknown => panic!("this test does not call {unknown}"),
        };
        for after in outcomes {
            changed.0 |= after.bits & !before.bits;
            changed.1 |= before.bits & !after.bits;
        }
    }
    changed
}

/// Returns the names of the methods that can change a bit, as the source declares them.
fn changing_methods() -> impl Iterator<Item = &'static str> {
    include_str!("../readiness.rs")
        .lines()
        .filter(|line| line.contains("(&mut self"))
        .filter_map(|line| line.trim().strip_prefix("pub(crate) fn "))
        .filter_map(|line| line.split('(').next())
}

/// Returns the cells of each row of the table of bits in the documentation.
fn documented_table() -> Vec<Vec<&'static str>> {
    include_str!("../readiness.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("/// | `")?.strip_suffix('|'))
        .map(|row| row.split('|').map(|cell| cell.trim()).collect())
        .collect()
}

#[test]
fn the_documented_table_of_bits_is_what_the_methods_do() {
    let mut table = documented_table();
    assert_eq!(table.len(), BITS.len());
    for ((name, bit), row) in BITS.into_iter().zip(&mut table) {
        let (mut set_by, mut cleared_by) = (vec![], vec![]);
        if Readiness::new(ShortRead::ProvesEmpty).bits & bit != 0 {
            set_by.push("new");
        }
        for method in changing_methods() {
            let (set, cleared) = changed_by(method);
            if set & bit != 0 {
                set_by.push(method);
            }
            if cleared & bit != 0 {
                cleared_by.push(method);
            }
        }
        assert_eq!(row[0].trim_matches('`'), name);
        assert_eq!(methods(row[1]), sorted(set_by), "{name} is set by");
        assert_eq!(methods(row[2]), sorted(cleared_by), "{name} is cleared by");
    }
}

/// Returns the method names in a cell of the table.
fn methods(cell: &str) -> Vec<&str> {
    sorted(
        cell.split(", ")
            .map(|name| name.trim_matches('`'))
            .collect(),
    )
}

fn sorted(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names
}

#[test]
fn each_bit_is_told_by_its_name() {
    for (name, bit) in BITS {
        let mut readiness = Readiness::new(ShortRead::ProvesEmpty);
        readiness.bits = bit;
        let set = readiness.bits().into_iter().filter(|(_, is_set)| *is_set);
        assert_eq!(set.collect::<Vec<_>>(), [(name, true)]);
    }
}
