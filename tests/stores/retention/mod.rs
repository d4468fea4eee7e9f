//! What is left of a journal says what all of it said, whatever happens to who takes out the rest.

mod damage;
mod history;
mod killed;
mod meanwhile;
mod state;
mod steps;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use iyagi::embedded::journal::{Compaction, JournalReader, Outcome, Place, SqliteJournal};
use iyagi_actors::invariants::Invariant;
use iyagi_actors::journal::{Draft, Journal as _, Replica as _};
use iyagi_actors::ports::{Clock as _, Inbox as _, Retention};
use iyagi_actors::projections::{Projections, RatePolicy, TrafficPolicy};
use iyagi_actors::retention::{Count, Hold};
use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::Timestamp;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rusqlite::Connection;
use tempfile::TempDir;

use self::history::{Hands, History};
use self::state::State;
use self::steps::{Step, steps};

/// Few and short, so that entries leave the inboxes meanwhile.
const INBOX: Retention = Retention {
    entries_max: 3,
    // No whole number of hours, which is what goes by.
    age_ms_max: 173_000_000,
};
const POLICY: TrafficPolicy = TrafficPolicy {
    rate: RatePolicy {
        burst: 2,
        refill_seconds: 60,
    },
    remembered_ms: 5_400_000,
};

/// A journal in a folder of its own, and every event that was ever appended to it.
struct World {
    folder: TempDir,
    clock: Arc<Hands>,
    all: Arc<Mutex<Vec<Event>>>,
}

struct Opened {
    journal: SqliteJournal,
    projections: Arc<Projections>,
}

impl World {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            clock: Hands::new(),
            all: Arc::default(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    fn exports(&self) -> PathBuf {
        self.folder.path().join("exports")
    }

    fn kept(&self) -> Place {
        Place::Folder(self.exports())
    }

    async fn open(&self) -> Opened {
        let opened = self.open_file(&self.path()).await;
        let all = Arc::clone(&self.all);
        opened.journal.on_commit(Arc::new(move |events| {
            all.lock().expect("sound").extend_from_slice(events);
        }));
        opened
    }

    /// A copy's commits are not synchronised one by one, which these many need not be.
    async fn open_file(&self, path: &Path) -> Opened {
        let journal = SqliteJournal::open_copy(path, Arc::clone(&self.clock) as _, INBOX);
        let journal = journal.expect("a sound journal");
        let projections = Projections::recover(&journal, POLICY)
            .await
            .expect("folded");
        Opened {
            journal,
            projections,
        }
    }

    /// Forgets all that is folded, so that the next opening folds anew.
    fn forget_what_is_folded(&self) {
        let connection = Connection::open(self.path()).expect("opens");
        connection
            .execute_batch("DELETE FROM snapshot; UPDATE inbox_fold SET code_version = 0")
            .expect("forgotten");
    }

    /// The state that all events fold to that ever were.
    async fn expected(&self, now: Timestamp) -> State {
        let path = self.folder.path().join("whole.db");
        for suffix in ["", "-wal", "-shm"] {
            std::fs::remove_file(format!("{}{suffix}", path.display())).ok();
        }
        let whole = self.open_file(&path).await;
        let events = self.all.lock().expect("sound").clone();
        whole.journal.follow(events).await.expect("followed");
        state(&whole, &path, now).await
    }

    async fn compact(&self, opened: &Opened, keep_hours: u64) -> Outcome {
        let keep_ms = i64::try_from(keep_hours * 3_600_000).expect("short");
        let until = Timestamp(self.clock.now().0 - keep_ms);
        let journal = opened.journal.clone();
        let compaction =
            Compaction::new(journal, Arc::clone(&opened.projections), self.kept(), None);
        let preview = compaction.preview(until).await.expect("judged");
        let outcome = compaction.run(until).await.expect("compacted");
        assert_eq!(
            preview.kinds, outcome.kinds,
            "a dry run says what a run does"
        );
        outcome
    }

    async fn check(&self, taken_out: u64) {
        let reader = JournalReader::open(&self.path()).expect("opens");
        let report = reader.verify().expect("readable");
        assert_eq!(report.damages, []);
        assert_eq!(report.taken_out, taken_out);
        let exports = reader.verify_exports(&self.kept()).await.expect("readable");
        assert_eq!(exports.damages, []);
        let audit = reader.audit().expect("readable");
        // The others are about what senders do, which nobody did here.
        let promised = [
            Invariant::Gapless,
            Invariant::EntityOrder,
            Invariant::Unique,
            Invariant::CauseFirst,
            Invariant::CursorForward,
            Invariant::PossibleHistory,
            Invariant::Conservation,
        ];
        let broken: Vec<_> = audit
            .violations
            .iter()
            .filter(|violation| promised.contains(&violation.invariant))
            .collect();
        assert!(broken.is_empty(), "{broken:?}");
    }
}

async fn state(opened: &Opened, path: &Path, now: Timestamp) -> State {
    let age_ms = i64::try_from(INBOX.age_ms_max).expect("short");
    let before = Timestamp(now.0 - age_ms);
    while opened.journal.drop_older(before).await.expect("dropped") {}
    State::of(&opened.projections, path, now)
}

async fn what_is_left_says_the_same(parts: [Vec<Step>; 3], keep_hours: u64) {
    let world = World::new();
    let mut history = History::new(Arc::clone(&world.clock));
    let mut taken_out = 0;
    for part in parts {
        let opened = world.open().await;
        history.go_on(&opened.journal, &part).await;
        let now = world.clock.now();
        let expected = world.expected(now).await;
        taken_out += world.compact(&opened, keep_hours).await.taken_out;
        let live = state(&opened, &world.path(), now).await;
        live.must_be(&expected, "as the living daemon sees it");
        drop(opened);
        world.check(taken_out).await;
        world.forget_what_is_folded();
        let opened = world.open().await;
        let folded = state(&opened, &world.path(), now).await;
        folded.must_be(&expected, "folded anew from what is left");
    }
}

#[tokio::test]
async fn a_push_that_contradicts_itself_stays_and_holds_up_nothing_else() {
    let world = World::new();
    let mut history = History::new(Arc::clone(&world.clock));
    let opened = world.open().await;
    let mut runner = TestRunner::deterministic();
    let mut part = || steps().new_tree(&mut runner).expect("a history").current();
    for _ in 0..4 {
        history.go_on(&opened.journal, &part()).await;
    }
    let all = world.all.lock().expect("sound").clone();
    let accepted = all.into_iter().find_map(|event| match event.fact {
        Fact::PushAccepted(accepted) => Some((event.entity, accepted)),
        _ => None,
    });
    let (push, accepted) = accepted.expect("one was sent");
    let mut draft = Draft::new(&"test", "test");
    draft.begin("once more", push.clone(), accepted);
    let appended = opened.journal.append(draft.finish()).await;
    appended.expect("appended");
    world.clock.put_on_hours(1_000);
    history.go_on(&opened.journal, &part()).await;
    let now = world.clock.now();
    let expected = world.expected(now).await;
    let story = opened.journal.entity(&push).await.expect("readable");
    let outcome = world.compact(&opened, 1).await;
    assert!(outcome.taken_out > 20, "{outcome:?}");
    let held = |count: &Count| count.stay.get(&Hold::Contradiction).copied();
    let held: u64 = outcome.kinds.values().filter_map(held).sum();
    assert_eq!(held, story.len() as u64);
    assert_eq!(
        opened.journal.entity(&push).await.expect("readable"),
        story,
        "all of it is there to be looked into"
    );
    world.forget_what_is_folded();
    drop(opened);
    let opened = world.open().await;
    let folded = state(&opened, &world.path(), now).await;
    folded.must_be(&expected, "folded anew from what is left");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_left_of_any_journal_folds_to_what_all_of_it_folds_to(
        parts in [steps(), steps(), steps()],
        keep_hours in 0_u64..100,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(what_is_left_says_the_same(parts, keep_hours));
    }
}
