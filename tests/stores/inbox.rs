//! Everybody's inbox, in the journal's file.

use std::sync::Arc;

use async_trait::async_trait;
use iyagi::embedded::journal::SqliteJournal;
use iyagi_actors::journal::{Draft, Journal as _};
use iyagi_actors::ports::contract::inbox::{self, Opened};
use iyagi_actors::ports::{Clock, Inbox as _, Retention};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::PushRequested;
use iyagi_messages::ids::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::TokioClock;

struct File(TempDir);

impl File {
    fn fresh() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn connection(&self) -> Connection {
        Connection::open(self.0.path().join("journal.db")).expect("opens")
    }
}

#[async_trait]
impl inbox::Store for File {
    async fn open(&self) -> Opened {
        let path = self.0.path().join("journal.db");
        let journal = SqliteJournal::open_retaining(&path, TokioClock::start(), inbox::RETENTION);
        let journal = Arc::new(journal.expect("a sound journal"));
        Opened {
            journal: Arc::clone(&journal) as _,
            inbox: journal,
        }
    }
}

#[tokio::test]
async fn keeps_the_contract() {
    inbox::holds(File::fresh).await;
}

#[tokio::test]
async fn a_journal_that_had_no_inboxes_gets_them_when_it_is_opened() {
    use iyagi_actors::ports::contract::inbox::Store;
    let file = File::fresh();
    inbox::reopening_keeps_everything(&file).await;
    let before = file
        .open()
        .await
        .inbox
        .page(&"minji".into(), None, false, 9)
        .await;
    // As a file of the layout's first version is.
    file.connection()
        .execute_batch(
            "DROP TABLE inbox_entry; DROP TABLE inbox_person; DROP TABLE inbox_fold;
             DROP TABLE hole; DROP TABLE export; DROP TABLE compaction; PRAGMA user_version = 1",
        )
        .expect("undone");
    let after = file
        .open()
        .await
        .inbox
        .page(&"minji".into(), None, false, 9)
        .await;
    assert_eq!(before.as_ref().map(Vec::len), Ok(3));
    assert_eq!(after, before);
}

/// Ten days after the first push of the contract's.
struct TenDaysLater;

impl Clock for TenDaysLater {
    fn now(&self) -> Timestamp {
        inbox::push("minji", "phone", 0, "daniel")
            .at
            .plus_ms(10 * DAY_MS)
    }
}

const DAY_MS: u64 = 24 * 3_600_000;

#[tokio::test]
async fn whoever_is_told_something_new_loses_what_is_too_old() {
    let folder = tempfile::tempdir().expect("a folder");
    let retention = Retention {
        entries_max: 20,
        age_ms_max: DAY_MS,
    };
    let path = folder.path().join("journal.db");
    let journal = SqliteJournal::open_retaining(&path, Arc::new(TenDaysLater), retention);
    let journal = journal.expect("opens");
    for commit in [1, 2, 10 * DAY_MS] {
        let push = inbox::push("minji", "phone", commit, "daniel");
        let mut draft = Draft::new(&"test", "test");
        let entity = Entity::new("push", push.id);
        draft.begin(&push.id.to_string(), entity, PushRequested { push });
        journal.append(draft.finish()).await.expect("appended");
    }
    let left = journal.page(&"minji".into(), None, false, 9).await;
    assert_eq!(left.expect("readable").len(), 1);
    assert_eq!(journal.counts().dropped_over_age, 2);
}
