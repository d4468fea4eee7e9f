//! Everybody's inbox, in the journal's file.

use std::sync::Arc;

use async_trait::async_trait;
use iyagi::embedded::journal::SqliteJournal;
use iyagi_actors::ports::contract::inbox::{self, Opened};
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
            "DROP TABLE inbox_entry; DROP TABLE inbox_person; DROP TABLE inbox_fold; PRAGMA user_version = 1",
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
