//! The journal's money path: what was acknowledged is there, whatever happens to the process or the disk.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use iyagi::embedded::journal::{Damage, Filter, JournalReader, OpenError, SqliteJournal};
use iyagi_actors::journal::{Append, Journal, JournalFault, contract};
use iyagi_actors::ports::Clock;
use iyagi_messages::event::{Entity, Event, NewEvent};
use iyagi_messages::fact::PushAttempted;
use iyagi_messages::ids::{EventId, Pos, Timestamp};
use rusqlite::Connection;
use tempfile::TempDir;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }
}

fn open(path: &Path) -> SqliteJournal {
    SqliteJournal::open(path, Arc::new(Still)).expect("a sound journal opens")
}

struct File(TempDir);

impl File {
    fn fresh() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("journal.db")
    }
}

#[async_trait]
impl contract::Store for File {
    async fn open(&self) -> Arc<dyn Journal> {
        Arc::new(open(&self.path()))
    }

    async fn damage_newest_snapshot(&self, name: &str) {
        let connection = Connection::open(self.path()).expect("opens");
        let changed = connection
            .execute(
                "UPDATE snapshot SET body = CAST(body || 'x' AS BLOB) WHERE rowid =
                    (SELECT rowid FROM snapshot WHERE name = ?1 ORDER BY pos DESC LIMIT 1)",
                [name],
            )
            .expect("updates");
        assert_eq!(changed, 1);
    }
}

#[tokio::test]
async fn keeps_the_journals_contract() {
    contract::holds(File::fresh).await;
}

#[tokio::test]
async fn a_torn_tail_recovers_to_the_last_durable_append() {
    const EVENTS_PER_APPEND: u32 = 3;
    let file = File::fresh();
    let journal = open(&file.path());
    // The log's length as of each append: a cut behind it must keep the append, a cut before it must not.
    let mut ends = vec![0];
    for nth in 0..60 {
        append(
            &journal,
            (0..EVENTS_PER_APPEND)
                .map(|i| event(nth * EVENTS_PER_APPEND + i))
                .collect(),
        )
        .await;
        ends.push(
            std::fs::metadata(wal(&file.path()))
                .expect("the log is there")
                .len(),
        );
    }
    let database = std::fs::read(file.path()).expect("readable");
    let log = std::fs::read(wal(&file.path())).expect("readable");
    assert_eq!(
        ends.last(),
        Some(&(log.len() as u64)),
        "the log was not reused"
    );
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut cuts: Vec<_> = (0..40).map(|_| random.usize(0..=log.len())).collect();
    cuts.extend([0, 1, 31, 32, log.len()]);
    for &end in random.choose_multiple(&ends, 10) {
        cuts.extend([end as usize, (end as usize).saturating_sub(1)]);
    }
    for cut in cuts {
        let torn = File::fresh();
        std::fs::write(torn.path(), &database).expect("written");
        std::fs::write(wal(&torn.path()), &log[..cut]).expect("written");
        let journal = open(&torn.path());
        let durable = ends
            .iter()
            .skip(1)
            .filter(|&&end| end <= cut as u64)
            .count() as u32;
        let events = read_all(&journal).await;
        assert_eq!(
            events.len() as u32,
            durable * EVENTS_PER_APPEND,
            "cut at {cut}"
        );
        assert!(
            events
                .iter()
                .zip(0..)
                .all(|(event, nth)| event.id == id(nth))
        );
        append(&journal, vec![event(9_999)]).await;
    }
}

#[tokio::test]
async fn a_changed_row_refuses_to_open_and_names_the_position() {
    let file = File::fresh();
    fill(&file.path(), 3_000).await;
    let mut bytes = at_rest(&file.path());
    let at = find(&bytes, 1_499);
    bytes[at] ^= 0x20;
    std::fs::write(file.path(), &bytes).expect("written");
    assert_eq!(damage(&file.path()).0, 1_499);
    let report = JournalReader::open(&file.path())
        .expect("opens")
        .verify()
        .expect("verifies");
    assert!(
        report.damages.iter().any(|damage| matches!(
            damage,
            Damage::Row {
                pos: Pos(1_500),
                ..
            }
        )),
        "{:?}",
        report.damages
    );
}

#[tokio::test]
async fn a_damaged_page_refuses_to_open_and_names_the_position() {
    const PAGE: usize = 4_096;
    let file = File::fresh();
    fill(&file.path(), 3_000).await;
    let whole = at_rest(&file.path());
    let page = find(&whole, 1_499) / PAGE * PAGE;
    let on_page = |nth: u32| {
        let at = find(&whole, nth);
        (page..page + PAGE).contains(&at)
    };
    let first = (0..1_500)
        .rev()
        .take_while(|&nth| on_page(nth))
        .last()
        .expect("1499 is on its page");
    for filling in [0x00, 0xff] {
        let mut bytes = whole.clone();
        bytes[page..page + PAGE].fill(filling);
        std::fs::write(file.path(), &bytes).expect("written");
        let (after, reason) = damage(&file.path());
        assert_eq!(after, u64::from(first), "{reason}");
        let report = JournalReader::open(&file.path())
            .expect("opens")
            .verify()
            .expect("verifies");
        assert!(!report.sound());
    }
}

#[tokio::test]
async fn what_is_missing_or_contradicts_itself_refuses_to_open() {
    let cases = [
        (
            "DELETE FROM event WHERE pos = 7",
            6,
            "position 7 is missing",
        ),
        ("DELETE FROM event WHERE pos > 900", 900, "are missing"),
        (
            "UPDATE event SET at = at + 1 WHERE pos = 12",
            11,
            "checksum",
        ),
        (
            "UPDATE event SET cause_pos = 3 WHERE pos = 12",
            11,
            "checksum",
        ),
        (
            "DELETE FROM lookup_entity WHERE pos = (SELECT min(pos) FROM lookup_entity)",
            3_000,
            "do not match",
        ),
        (
            "UPDATE lookup_id SET pos = pos + 1 WHERE pos = (SELECT max(pos) FROM lookup_id)",
            3_000,
            "do not match",
        ),
    ];
    for (tampering, whole, words) in cases {
        let file = File::fresh();
        fill(&file.path(), 3_000).await;
        let connection = Connection::open(file.path()).expect("opens");
        assert!(
            connection.execute(tampering, []).expect("tampers") > 0,
            "{tampering}"
        );
        let (after, reason) = damage(&file.path());
        assert_eq!(after, whole, "{tampering}");
        assert!(reason.contains(words), "{tampering}: {reason}");
    }
}

#[test]
fn a_file_that_is_no_journal_is_refused() {
    let file = File::fresh();
    std::fs::write(
        file.path(),
        "not a database, but long enough to be read as one".repeat(20),
    )
    .expect("written");
    assert!(SqliteJournal::open(&file.path(), Arc::new(Still)).is_err());
    let foreign = File::fresh();
    let connection = Connection::open(foreign.path()).expect("opens");
    connection
        .execute_batch("CREATE TABLE t(x); PRAGMA user_version = 1")
        .expect("made");
    let refused = SqliteJournal::open(&foreign.path(), Arc::new(Still))
        .err()
        .expect("refused");
    assert!(
        refused.to_string().contains("is not a file of this kind"),
        "{refused}"
    );
    assert!(JournalReader::open(&foreign.path()).is_err());
    assert!(JournalReader::open(&foreign.path().with_extension("none")).is_err());
}

#[tokio::test]
async fn ids_and_entities_are_found_wherever_their_entries_are() {
    const EVENTS: u32 = 40_000;
    let file = File::fresh();
    fill(&file.path(), EVENTS).await;
    let reader = JournalReader::open(&file.path()).expect("opens");
    let journal = open(&file.path());
    for nth in (0..EVENTS).step_by(997) {
        let found = journal
            .event(id(nth))
            .await
            .expect("readable")
            .expect("there");
        assert_eq!(found.pos, Pos(u64::from(nth) + 1));
        assert_eq!(reader.event(id(nth)), Ok(Some(found.clone())));
        let entity = journal.entity(&found.entity).await.expect("readable");
        assert_eq!(entity.len() as u32, EVENTS / 1_000);
        assert_eq!(reader.entity(&found.entity), Ok(entity));
        let again = journal.append(one(event(nth))).await.expect("appended");
        assert_eq!((again.duplicates, again.last), (1, Pos(u64::from(EVENTS))));
    }
    let last = journal.append(one(event(EVENTS))).await.expect("appended");
    assert_eq!(last.last, Pos(u64::from(EVENTS) + 1));
    let report = reader.verify().expect("verifies");
    assert!(report.sound(), "{:?}", report.damages);
    assert_eq!(
        (report.events, report.entities),
        (u64::from(EVENTS) + 1, 1_000)
    );
}

#[tokio::test]
async fn a_reader_next_to_the_writer_sees_what_was_acknowledged() {
    let file = File::fresh();
    let journal = open(&file.path());
    let reader = JournalReader::open(&file.path()).expect("opens");
    for nth in 0..50 {
        append(&journal, vec![event(nth)]).await;
        assert_eq!(reader.head(), Ok(Pos(u64::from(nth) + 1)));
        let event = reader.event(id(nth)).expect("readable").expect("there");
        assert_eq!(reader.by_corr(&event.corr), Ok(vec![event]));
    }
    let filter = Filter {
        entity_prefix: Some("push/4".to_owned()),
        kinds: vec!["push.attempted".to_owned()],
        after: Pos(5),
        newest_first: true,
        ..Filter::default()
    };
    let positions = |filter: &Filter| -> Vec<u64> {
        let found = reader.find(filter, 3).expect("readable");
        found.iter().map(|event| event.pos.0).collect()
    };
    assert_eq!(positions(&filter), [50, 49, 48]);
    let second_page = Filter {
        before: Some(Pos(48)),
        ..filter.clone()
    };
    assert_eq!(positions(&second_page), [47, 46, 45]);
    let of_one_origin = Filter {
        corr: Some(event(6).corr),
        ..Filter::default()
    };
    assert_eq!(positions(&of_one_origin), [7]);
    let of_nobody = Filter {
        actor_prefix: Some("nobody".to_owned()),
        ..filter
    };
    assert_eq!(positions(&of_nobody), [0; 0]);
    let none = Filter {
        kinds: vec!["push.failed".to_owned()],
        ..Filter::default()
    };
    assert_eq!(reader.find(&none, 10), Ok(Vec::new()));
}

#[tokio::test]
async fn a_trace_goes_up_to_the_root_and_down_to_every_consequence() {
    let file = File::fresh();
    let journal = open(&file.path());
    let caused = |nth, cause| NewEvent {
        cause: Some(id(cause)),
        ..event(nth)
    };
    // 0 → 1 → 2 → {3 → 5, 4}, and 6 beside them.
    append(&journal, vec![event(0), caused(1, 0), caused(2, 1)]).await;
    append(&journal, vec![caused(3, 2), caused(4, 2), caused(6, 1)]).await;
    append(&journal, vec![caused(5, 3)]).await;
    let reader = JournalReader::open(&file.path()).expect("opens");
    let trace = reader.trace(id(2)).expect("readable").expect("there");
    let ids = |events: &[Event]| -> Vec<_> { events.iter().map(|event| event.id).collect() };
    assert_eq!(ids(&trace.causes), [id(0), id(1)]);
    assert!(!trace.truncated);
    assert_eq!(trace.event.event.id, id(2));
    let [third, fourth] = &trace.event.consequences[..] else {
        panic!("{:?}", trace.event)
    };
    assert_eq!((third.event.id, fourth.event.id), (id(3), id(4)));
    assert_eq!(third.consequences[0].event.id, id(5));
    assert!(fourth.consequences.is_empty());
    assert_eq!(reader.trace(id(77)), Ok(None));
}

#[tokio::test]
async fn verify_tells_what_opening_does_not_look_at() {
    let file = File::fresh();
    let journal = open(&file.path());
    append(
        &journal,
        vec![
            event(0),
            event(1_000),
            NewEvent {
                cause: Some(id(99)),
                ..event(2)
            },
        ],
    )
    .await;
    journal
        .save_snapshot(
            "index",
            iyagi_actors::journal::Snapshot {
                code_version: 1,
                pos: Pos(3),
                body: b"state".to_vec(),
            },
        )
        .await
        .expect("saved");
    contract::Store::damage_newest_snapshot(&file, "index").await;
    let report = JournalReader::open(&file.path())
        .expect("opens")
        .verify()
        .expect("verifies");
    let expected = [
        Damage::Cause {
            pos: Pos(3),
            cause: id(99),
        },
        Damage::Snapshot {
            name: "index".to_owned(),
            pos: Pos(3),
        },
    ];
    assert_eq!(report.damages, expected);
    assert_eq!(
        (
            report.head,
            report.events,
            report.entities,
            report.snapshots
        ),
        (Pos(3), 3, 2, 1)
    );
}

#[tokio::test]
async fn killing_the_process_loses_nothing_that_was_acknowledged() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let file = File::fresh();
    let mut acknowledged = BTreeSet::new();
    for round in 0..6 {
        let (mut child, lines) = start_child(&file.path(), round * 1_000_000, None);
        let wanted = random.usize(1..400);
        let mut lines = lines.lines().map(|line| line.expect("readable"));
        acknowledged.extend(
            lines
                .by_ref()
                .filter_map(|line| acknowledgement(&line))
                .take(wanted),
        );
        child.kill().expect("killed");
        child.wait().expect("ended");
        // What it had said before it died counts as well.
        acknowledged.extend(lines.filter_map(|line| acknowledgement(&line)));
        let there: BTreeSet<_> = read_all(&open(&file.path()))
            .await
            .iter()
            .map(|event| event.id)
            .collect();
        let lost: Vec<_> = acknowledged
            .iter()
            .filter(|nth| !there.contains(&id(**nth)))
            .collect();
        assert!(
            lost.is_empty(),
            "{lost:?} of {} are lost",
            acknowledged.len()
        );
    }
    let report = JournalReader::open(&file.path())
        .expect("opens")
        .verify()
        .expect("verifies");
    assert!(report.sound(), "{:?}", report.damages);
}

#[tokio::test]
async fn a_full_disk_stops_with_a_clear_error_and_loses_nothing_that_was_acknowledged() {
    let file = File::fresh();
    let (mut child, lines) = start_child(&file.path(), 0, Some(2_000));
    let lines: Vec<_> = lines.lines().map(|line| line.expect("readable")).collect();
    assert!(child.wait().expect("ended").success(), "{lines:?}");
    let acknowledged: Vec<_> = lines
        .iter()
        .filter_map(|line| acknowledgement(line))
        .collect();
    assert!(
        acknowledged.len() > 100,
        "the disk was full too early: {lines:?}"
    );
    let stopped: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("the journal has stopped"))
        .collect();
    assert!(!stopped.is_empty());
    assert!(
        stopped
            .iter()
            .all(|line| line.contains("free the disk and start again")),
        "{stopped:?}"
    );
    let journal = open(&file.path());
    let there: BTreeSet<_> = read_all(&journal)
        .await
        .iter()
        .map(|event| event.id)
        .collect();
    assert!(acknowledged.iter().all(|nth| there.contains(&id(*nth))));
    append(&journal, vec![event(1_999_999)]).await;
}

/// Not a promise by itself: the process that the tests above kill or starve.
#[tokio::test]
async fn child_appends_until_it_is_stopped() {
    let Some(path) = std::env::var_os("IYAGI_TEST_JOURNAL") else {
        return;
    };
    let first: u32 = std::env::var("IYAGI_TEST_FIRST")
        .expect("set")
        .parse()
        .expect("a number");
    let journal = open(Path::new(&path));
    let appenders = (0..8_u32).map(|appender| {
        let journal = journal.clone();
        async move {
            for nth in (first + appender..).step_by(8) {
                match journal.append(one(event(nth))).await {
                    Ok(_) => say(&format!("acknowledged {nth}")),
                    Err(fault) => return say(&fault.to_string()),
                }
            }
        }
    });
    join_all(appenders).await;
    assert!(!journal.stopped().await.is_empty());
    let refused = journal.append(one(event(first))).await;
    assert!(
        matches!(refused, Err(JournalFault::Stopped(_))),
        "{refused:?}"
    );
}

fn start_child(
    path: &Path,
    first: u32,
    blocks_max: Option<u32>,
) -> (Child, BufReader<ChildStdout>) {
    let exe = std::env::current_exe().expect("a test knows its binary");
    let mut command = match blocks_max {
        None => Command::new(exe),
        Some(blocks) => {
            // The limit gives an error instead of a signal once the signal is ignored.
            let mut shell = Command::new("sh");
            let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
            shell.arg("-c").arg(script).arg(exe);
            shell
        }
    };
    let mut child = command
        .args([
            "--exact",
            "child_appends_until_it_is_stopped",
            "--nocapture",
        ])
        .env("IYAGI_TEST_JOURNAL", path)
        .env("IYAGI_TEST_FIRST", first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let lines = BufReader::new(child.stdout.take().expect("piped"));
    (child, lines)
}

fn say(line: &str) {
    // One write per line, so that a kill leaves whole lines or none.
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())
        .expect("the parent listens");
    out.flush().expect("the parent listens");
}

fn acknowledgement(line: &str) -> Option<u32> {
    line.strip_prefix("acknowledged ")?.parse().ok()
}

fn id(nth: u32) -> EventId {
    EventId::root("test", &nth.to_string())
}

fn event(nth: u32) -> NewEvent {
    NewEvent {
        id: id(nth),
        entity: Entity::new("push", nth % 1_000),
        cause: None,
        corr: format!("upload:{nth}"),
        fact: PushAttempted { attempt: nth }.into(),
    }
}

fn one(event: NewEvent) -> Append {
    Append {
        actor: "test#1".into(),
        events: vec![event],
        expected: Vec::new(),
    }
}

async fn append(journal: &SqliteJournal, events: Vec<NewEvent>) {
    let append = Append {
        actor: "test#1".into(),
        events,
        expected: Vec::new(),
    };
    journal.append(append).await.expect("appended");
}

async fn fill(path: &Path, events: u32) {
    let journal = open(path);
    for first in (0..events).step_by(500) {
        append(
            &journal,
            (first..events.min(first + 500)).map(event).collect(),
        )
        .await;
    }
}

async fn read_all(journal: &SqliteJournal) -> Vec<Event> {
    journal
        .read(Pos(0), usize::MAX)
        .await
        .expect("the journal is readable")
}

/// Moves everything into the main file and gives its bytes.
fn at_rest(path: &Path) -> Vec<u8> {
    let connection = Connection::open(path).expect("opens");
    let busy: i64 = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .expect("checkpoints");
    assert_eq!(busy, 0);
    drop(connection);
    std::fs::read(path).expect("readable")
}

/// The position and reason that an opening names.
fn damage(path: &Path) -> (u64, String) {
    match SqliteJournal::open(path, Arc::new(Still)) {
        Err(OpenError::Fault(JournalFault::Corrupt { after, reason })) => (after.0, reason),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("a damaged journal opened"),
    }
}

fn wal(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

/// Where the row of an event has its correlation.
fn find(bytes: &[u8], nth: u32) -> usize {
    // In the row the actor follows; in the index it does not.
    let text = format!("upload:{nth}test#1");
    let at = bytes
        .windows(text.len())
        .position(|window| window == text.as_bytes());
    at.expect("the event is in the file")
}
