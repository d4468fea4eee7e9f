//! The real binary, killed while it compacts, or without room to do so.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use iyagi::embedded::journal::JournalReader;
use iyagi_actors::journal::{Draft, Journal as _};
use iyagi_actors::ports::Clock as _;
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::MetadataRemoved;
use iyagi_messages::ids::{Pos, Timestamp};
use iyagi_messages::object::{ObjectKey, Sequencer};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use rusqlite::Connection;

use super::history::History;
use super::state::State;
use super::steps::steps;
use super::{World, state};

/// Times that it is killed, each on a journal of its own.
const KILLS: u32 = 6;
/// Histories that the journal is made of.
const PARTS: usize = 30;

/// Everything is older than this.
const COMPACT: [&str; 4] = ["journal", "compact", "--older-than", "2100-01-01T00:00Z"];

fn compact(world: &World, limit: Option<u32>) -> Command {
    let binary = env!("CARGO_BIN_EXE_iyagi");
    let mut command = match limit {
        None => Command::new(binary),
        Some(blocks) => {
            // The limit gives an error instead of a signal once the signal is ignored.
            let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
            let mut command = Command::new("sh");
            command.args(["-c", &script, binary]);
            command
        }
    };
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("IYAGI_") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(world.folder.path())
        .args(COMPACT)
        .args(["--data-dir", "."])
        .env("IYAGI_INBOX_ENTRIES_MAX", "3")
        .env("IYAGI_JOURNAL_RETENTION_EXPORTS", "exports")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn start(world: &World) -> Child {
    compact(world, None).spawn().expect("the binary starts")
}

fn copy_of(world: &World) -> World {
    let mut copy = World::new();
    copy.clock.clone_from(&world.clock);
    fs::copy(world.path(), copy.path()).expect("copied");
    let mut all = copy.all.lock().expect("sound");
    all.clone_from(&world.all.lock().expect("sound"));
    drop(all);
    copy
}

/// What is in the journal's file, and what is in the exports that it knows of.
fn everything(world: &World) -> BTreeMap<Pos, Event> {
    let reader = JournalReader::open(&world.path()).expect("opens");
    let rows = reader.read(Pos(0), usize::MAX).expect("readable");
    let mut all: BTreeMap<Pos, Event> = rows.into_iter().map(|event| (event.pos, event)).collect();
    let connection = Connection::open(world.path()).expect("opens");
    let mut exports = connection
        .prepare("SELECT file FROM export")
        .expect("a statement");
    let exports = exports
        .query_map([], |row| row.get::<_, String>(0))
        .expect("rows");
    for export in exports {
        let path = world.exports().join(export.expect("a row"));
        let lines = zstd::decode_all(fs::File::open(path).expect("there")).expect("whole");
        for line in lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let event: Event = serde_json::from_slice(line).expect("an event");
            if let Some(kept) = all.insert(event.pos, event.clone()) {
                assert_eq!(kept, event, "what is kept is exported as it is");
            }
        }
    }
    all
}

fn nothing_is_lost(world: &World) {
    let all = everything(world);
    for event in &*world.all.lock().expect("sound") {
        assert_eq!(all.get(&event.pos), Some(event));
    }
}

async fn folded(world: &World, now: Timestamp) -> State {
    let opened = world.open().await;
    state(&opened, &world.path(), now).await
}

async fn filled() -> World {
    let world = World::new();
    let mut history = History::new(world.clock.clone());
    let opened = world.open().await;
    let mut runner = TestRunner::deterministic();
    for _ in 0..PARTS {
        let part = steps().new_tree(&mut runner).expect("a history").current();
        history.go_on(&opened.journal, &part).await;
    }
    drop(opened);
    at_rest(&world);
    world
}

/// Puts everything into the one file, which can then be copied.
pub(super) fn at_rest(world: &World) {
    let connection = Connection::open(world.path()).expect("opens");
    let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    assert_eq!(emptied, Ok(0));
}

#[tokio::test]
async fn killed_at_any_moment_it_loses_nothing_and_goes_on_where_it_was() {
    let original = filled().await;
    let now = original.clock.now();
    let expected = original.expected(now).await;
    let undisturbed = copy_of(&original);
    let begun = Instant::now();
    assert!(start(&undisturbed).wait().expect("ended").success());
    let took = begun.elapsed();
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..KILLS {
        let world = copy_of(&original);
        let mut child = start(&world);
        thread::sleep(took.mul_f64(random.f64()));
        child.kill().ok();
        child.wait().expect("ended");
        nothing_is_lost(&world);
        let reader = JournalReader::open(&world.path()).expect("opens");
        assert_eq!(reader.verify().expect("readable").damages, []);
        assert_eq!(
            reader
                .verify_exports(&world.kept())
                .await
                .expect("readable")
                .damages,
            []
        );
        world.forget_what_is_folded();
        folded(&world, now).await.must_be(&expected, "killed");
        at_rest(&world);
        assert!(start(&world).wait().expect("ended").success());
        nothing_is_lost(&world);
        world.forget_what_is_folded();
        folded(&world, now).await.must_be(&expected, "gone on");
        let size = |world: &World| fs::metadata(world.path()).expect("there").len();
        at_rest(&world);
        assert!(size(&world) < size(&original) / 2, "the file is shorter");
    }
}

#[tokio::test]
async fn without_room_for_an_export_nothing_is_taken_out_until_there_is() {
    const EVENTS: u64 = 4_000;
    let world = World::new();
    let opened = world.open().await;
    let mut draft = Draft::new(&"test", "test");
    let mut random = fastrand::Rng::with_seed(7);
    for nth in 0..EVENTS {
        // What no compression makes small.
        let key = format!("posts/{:032x}{:032x}", random.u128(..), random.u128(..));
        let removed = MetadataRemoved {
            key: ObjectKey::new(&*key).expect("a key"),
            sequencer: Sequencer(String::new()),
        };
        draft.begin(&nth.to_string(), Entity::new("metadata", &key), removed);
    }
    opened
        .journal
        .append(draft.finish())
        .await
        .expect("appended");
    drop(opened);
    at_rest(&world);
    // 128 KB: enough for the journal's log, and not for the export.
    let ended = compact(&world, Some(256)).output().expect("it runs");
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.contains("nothing more was taken out"), "{said}");
    assert_eq!(rows(&world.path()), EVENTS);
    let left = fs::read_dir(world.exports()).expect("made");
    let files = left.flat_map(|year| walk(&year.expect("readable").path()));
    assert_eq!(files.count(), 0, "a full disk is not kept full");
    let ended = compact(&world, None).output().expect("it runs");
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    // The last event stays, and the run itself is another one.
    assert_eq!(rows(&world.path()), 2);
    nothing_is_lost(&world);
}

fn rows(path: &Path) -> u64 {
    let connection = Connection::open(path).expect("opens");
    let sql = "SELECT count(*) FROM event";
    let count: i64 = connection
        .query_row(sql, [], |row| row.get(0))
        .expect("counted");
    count.unsigned_abs()
}

fn walk(path: &Path) -> Vec<std::path::PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).expect("readable");
    entries
        .flat_map(|entry| walk(&entry.expect("readable").path()))
        .collect()
}
