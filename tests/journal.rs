//! The journal's money path: what was acknowledged is there, whatever happens to the process or the disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use iyagi::embedded::journal::SqliteJournal;
use iyagi_actors::journal::{Journal, contract};
use iyagi_actors::ports::Clock;
use iyagi_messages::ids::Timestamp;
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
        let connection = rusqlite::Connection::open(self.path()).expect("opens");
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
