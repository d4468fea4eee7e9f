//! All cells of an adapter.

use std::fmt::Write as _;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};

use super::columns::Column;
use super::trial::Trial;
use crate::servers::Server;

/// A cell whose promise was not kept.
const BROKEN: &str = "BROKEN";

/// Cells that are played at the same time: they wait more than they work.
const AT_ONCE: usize = 12;

/// Plays every operation under every one of its faults, and writes down what the adapter said.
///
/// A row is a fault, since there are more of them.
pub(super) async fn play<O, F>(
    upstream: &Server,
    operations: &[O],
    columns: impl Fn(O) -> Vec<Column>,
    run: impl Fn(O, Trial) -> F,
) -> String
where
    O: Copy + std::fmt::Debug,
    F: Future<Output = String>,
{
    let cells = operations.iter().flat_map(|operation| {
        let columns = columns(*operation).into_iter();
        columns.map(move |column| (*operation, column))
    });
    let cells = cells.map(|(operation, column)| {
        let cell = AssertUnwindSafe(run(operation, Trial::new(upstream, column))).catch_unwind();
        async move {
            // One promise that is broken must not hide what became of the others.
            let word = cell.await.unwrap_or_else(|_| BROKEN.to_owned());
            (format!("{operation:?}"), column.name, word)
        }
    });
    let cells: Vec<_> = stream::iter(cells).buffered(AT_ONCE).collect().await;
    let table = write(&cells);
    println!("{table}");
    let broken = cells.iter().filter(|(_, _, word)| word == BROKEN);
    let broken: Vec<_> = broken
        .map(|(of, under, _)| format!("{of} under {under}"))
        .collect();
    assert!(
        broken.is_empty(),
        "promises are broken, as told above: {broken:?}"
    );
    table
}

/// The kind of a table's fault, by what its sentence tells people to do.
pub(super) fn word_for_people(told: &str) -> String {
    let words = [
        ("is throttled", "throttled"),
        ("may not be used", "denied"),
        ("no answer", "unreachable"),
        ("does not exist", "missing"),
        ("refused", "refused"),
    ];
    let found = words.iter().find(|(part, _)| told.contains(part));
    found.map_or_else(|| told.to_owned(), |(_, word)| (*word).to_owned())
}

fn write(cells: &[(String, &'static str, String)]) -> String {
    let mut operations: Vec<&str> = Vec::new();
    let mut faults: Vec<&str> = Vec::new();
    for (operation, fault, _) in cells {
        if !operations.contains(&operation.as_str()) {
            operations.push(operation);
        }
        if !faults.contains(fault) {
            faults.push(fault);
        }
    }
    let cell = |operation: &str, fault: &str| {
        let found = cells
            .iter()
            .find(|(of, under, _)| of == operation && *under == fault);
        found.map_or("-", |(_, _, word)| word.as_str())
    };
    let width = |operation: &str| {
        let words = faults.iter().map(|fault| cell(operation, fault).len());
        words.chain([operation.len()]).max().unwrap_or_default()
    };
    let first = faults.iter().map(|fault| fault.len()).max().unwrap_or(0);
    let mut table = format!("{:first$}", "");
    for operation in &operations {
        let width = width(operation);
        let _ = write!(table, " | {operation:width$}");
    }
    table.push('\n');
    for fault in &faults {
        let _ = write!(table, "{fault:first$}");
        for operation in &operations {
            let width = width(operation);
            let _ = write!(table, " | {:width$}", cell(operation, fault));
        }
        table.push('\n');
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned() + "\n");
    lines.collect()
}
