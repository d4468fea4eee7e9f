//! What is missing and was not taken out is damage, as it always was.

use std::fs;
use std::path::PathBuf;

use iyagi::embedded::journal::{Damage, Export, JournalReader, OpenError, SqliteJournal};
use iyagi_actors::journal::JournalFault;
use iyagi_actors::ports::Clock as _;
use iyagi_actors::projections::Projections;
use iyagi_messages::ids::Pos;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use rusqlite::Connection;

use super::history::History;
use super::killed::at_rest;
use super::steps::steps;
use super::{INBOX, POLICY, World, state};

/// A journal with holes, and with events behind and between them.
async fn compacted() -> World {
    let world = World::new();
    let mut history = History::new(world.clock.clone());
    let opened = world.open().await;
    let mut runner = TestRunner::deterministic();
    for _ in 0..4 {
        let part = steps().new_tree(&mut runner).expect("a history").current();
        history.go_on(&opened.journal, &part).await;
    }
    let outcome = world.compact(&opened, 24).await;
    assert!(outcome.taken_out > 20, "{outcome:?}");
    world
}

fn change(world: &World, sql: &str) {
    let connection = Connection::open(world.path()).expect("opens");
    let changed = connection.execute(sql, []).expect("changed");
    assert_eq!(changed, 1, "{sql}");
}

fn why_not_opened(world: &World) -> String {
    let clock = world.clock.clone();
    match SqliteJournal::open_copy(&world.path(), clock, INBOX) {
        Err(OpenError::Fault(JournalFault::Corrupt { reason, .. })) => reason,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("a damaged journal opened"),
    }
}

fn damages(world: &World) -> Vec<Damage> {
    let reader = JournalReader::open(&world.path()).expect("opens");
    reader.verify().expect("readable").damages
}

#[tokio::test]
async fn a_row_that_is_missing_beside_a_hole_is_told_from_what_was_taken_out() {
    let world = compacted().await;
    change(
        &world,
        "DELETE FROM event WHERE pos = (SELECT max(last) + 1 FROM hole)",
    );
    assert!(why_not_opened(&world).contains("is missing"));
    let found = damages(&world);
    assert!(
        found
            .iter()
            .any(|damage| matches!(damage, Damage::Gap { .. })),
        "{found:?}"
    );
    let reader = JournalReader::open(&world.path()).expect("opens");
    let read = reader.read(Pos(0), usize::MAX);
    assert!(
        matches!(read, Err(JournalFault::Corrupt { .. })),
        "{read:?}"
    );
}

#[tokio::test]
async fn a_hole_that_is_not_known_any_more_is_a_gap() {
    let world = compacted().await;
    change(
        &world,
        "DELETE FROM hole WHERE first = (SELECT min(first) FROM hole)",
    );
    assert!(why_not_opened(&world).contains("is missing"));
    let reader = JournalReader::open(&world.path()).expect("opens");
    let exports = reader.verify_exports(&world.kept()).await;
    let exports = exports.expect("readable");
    let told = |damage: &Damage| matches!(damage, Damage::TakenOut { .. });
    assert!(exports.damages.iter().any(told), "{:?}", exports.damages);
}

#[tokio::test]
async fn what_was_taken_out_and_is_there_all_the_same_is_refused() {
    let world = compacted().await;
    change(
        &world,
        "UPDATE hole SET last = last + 1 WHERE first = (SELECT max(first) FROM hole)",
    );
    assert!(why_not_opened(&world).contains("is there all the same"));
    let found = damages(&world);
    assert!(
        found
            .iter()
            .any(|damage| matches!(damage, Damage::LeftOver { .. })),
        "{found:?}"
    );
}

#[tokio::test]
async fn sums_that_were_changed_are_not_counted_on() {
    let world = compacted().await;
    world.forget_what_is_folded();
    change(
        &world,
        "UPDATE compaction SET body = replace(body, '\"events\":', '\"events\":1')",
    );
    let journal = SqliteJournal::open_copy(&world.path(), world.clock.clone(), INBOX);
    let journal = journal.expect("its rows are sound");
    let folded = Projections::recover(&journal, POLICY).await;
    let fault = folded.map(|_| ()).expect_err("refused");
    assert!(
        fault.to_string().contains("does not match its checksum"),
        "{fault}"
    );
}

#[tokio::test]
async fn a_snapshot_from_before_what_was_taken_out_is_folded_anew() {
    let world = World::new();
    let mut history = History::new(world.clock.clone());
    let opened = world.open().await;
    let mut runner = TestRunner::deterministic();
    let mut part = || steps().new_tree(&mut runner).expect("a history").current();
    history.go_on(&opened.journal, &part()).await;
    opened
        .projections
        .save(&opened.journal)
        .await
        .expect("kept");
    let connection = Connection::open(world.path()).expect("opens");
    let keep = "CREATE TABLE old AS SELECT * FROM snapshot";
    connection.execute_batch(keep).expect("kept aside");
    history.go_on(&opened.journal, &part()).await;
    let now = world.clock.now();
    let expected = world.expected(now).await;
    world.compact(&opened, 0).await;
    drop(opened);
    let restore = "DELETE FROM snapshot; INSERT INTO snapshot SELECT * FROM old; DROP TABLE old";
    connection.execute_batch(restore).expect("put back");
    let opened = world.open().await;
    let folded = state(&opened, &world.path(), now).await;
    folded.must_be(&expected, "folded anew");
}

/// An export's file, and its manifest.
fn files_of(world: &World, export: &Export) -> [PathBuf; 2] {
    let file = world.exports().join(&export.file);
    let name = file.to_str().expect("UTF-8");
    let stem = name.strip_suffix(".jsonl.zst").expect("so it is called");
    [file.clone(), PathBuf::from(format!("{stem}.manifest.json"))]
}

/// Which exports are damaged.
async fn damaged(world: &World) -> Vec<String> {
    let reader = JournalReader::open(&world.path()).expect("opens");
    let report = reader.verify_exports(&world.kept()).await;
    let report = report.expect("readable");
    let damaged = report.damages.into_iter().map(|damage| match damage {
        Damage::Export { file, .. } => file,
        other => panic!("{other}"),
    });
    damaged.collect()
}

#[tokio::test]
async fn an_export_that_is_not_what_was_exported_is_named() {
    let (world, exports) = exported().await;
    assert_eq!(damaged(&world).await, [""; 0]);
    let export = &exports[1];
    for path in files_of(&world, export) {
        let whole = fs::read(&path).expect("there");
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        let longer = [&whole[..], b"\n"].concat();
        for wrong in [&flipped[..], &whole[..whole.len() - 1], &longer, b""] {
            fs::write(&path, wrong).expect("written");
            assert_eq!(
                damaged(&world).await,
                [&export.file[..]],
                "{}",
                path.display()
            );
        }
        fs::remove_file(&path).expect("removed");
        assert_eq!(
            damaged(&world).await,
            [&export.file[..]],
            "{}",
            path.display()
        );
        fs::write(&path, &whole).expect("written");
        assert_eq!(damaged(&world).await, [""; 0]);
    }
    let place = format!("DELETE FROM export WHERE first = {}", export.first);
    change(&world, &place);
    let next = &exports[2];
    let twice = [&next.file[..], &next.file[..]];
    assert_eq!(damaged(&world).await, twice, "one is missing before it");
}

/// A journal of several days, which was exported.
async fn exported() -> (World, Vec<Export>) {
    let world = World::new();
    let mut history = History::new(world.clock.clone());
    let opened = world.open().await;
    let mut runner = TestRunner::deterministic();
    let part = steps().new_tree(&mut runner).expect("a history").current();
    history.go_on(&opened.journal, &part).await;
    drop(opened);
    at_rest(&world);
    fs::copy(world.path(), world.folder.path().join("backup.db")).expect("copied");
    let opened = world.open().await;
    let outcome = world.compact(&opened, 0).await;
    assert!(outcome.exports.len() >= 3, "{outcome:?}");
    (world, outcome.exports)
}

/// As an older copy of the journal, which then goes on otherwise.
fn put_back(world: &World) {
    at_rest(world);
    fs::copy(world.folder.path().join("backup.db"), world.path()).expect("put back");
}

#[tokio::test]
async fn exports_of_other_histories_are_set_aside_each_by_a_name_of_its_own() {
    let (world, exports) = exported().await;
    let [export, manifest] = files_of(&world, &exports[0]);
    let mut others = Vec::new();
    for nth in 0..2 {
        put_back(&world);
        for path in [&export, &manifest] {
            let other = format!("another history's, {nth}");
            fs::write(path, &other).expect("written");
            others.push(other);
        }
        let opened = world.open().await;
        world.compact(&opened, 0).await;
    }
    let folder = fs::read_dir(export.parent().expect("a folder")).expect("readable");
    let files = folder.map(|file| file.expect("readable").path());
    let aside = files.filter(|path| path.to_string_lossy().contains(".unknown"));
    let mut aside: Vec<_> = aside
        .map(|path| fs::read_to_string(path).expect("text"))
        .collect();
    aside.sort();
    assert_eq!(aside, others);
    assert_eq!(damaged(&world).await, [""; 0]);
}
