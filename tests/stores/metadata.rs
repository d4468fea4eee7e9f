//! The metadata table in SQLite.

use std::time::Duration;

use iyagi::embedded::metadata::EmbeddedMetadata;
use iyagi::upload_quota::{self, Counted, Day, UploadCounts, UploadQuota};
use iyagi_actors::ports::{MetadataTable, Written, contract};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::object::{ObjectKey, Sequencer};
use rusqlite::Connection;
use tokio::time::advance;

use crate::TokioClock;

#[tokio::test]
async fn keeps_the_contract_and_what_it_knows_over_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("metadata.db");
    let table = EmbeddedMetadata::open(&path, TokioClock::start()).expect("opens");
    contract::metadata_table::all(&table, "under/test/").await;
    let before = table.list("", None, 1000).await.expect("lists");
    drop(table);
    let table = EmbeddedMetadata::open(&path, TokioClock::start()).expect("opens");
    let after = table.list("", None, 1000).await.expect("lists");
    assert!(!before.items.is_empty());
    assert_eq!(after, before);
}

#[tokio::test]
async fn what_people_upload_is_counted_over_a_restart_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("metadata.db");
    let table = EmbeddedMetadata::open(&path, TokioClock::start()).expect("opens");
    upload_quota::contract::all([&table, &table.clone()], "test-").await;
    let (day, quota) = (
        Day::of(Timestamp(4_200_000_000_000)),
        UploadQuota {
            bytes: 10,
            files: 10,
        },
    );
    let counted = table.count(&"minji".into(), day, 6, &quota).await;
    assert_eq!(counted, Ok(Counted::Yes));
    drop(table);
    let table = EmbeddedMetadata::open(&path, TokioClock::start()).expect("opens");
    let counted = table.count(&"minji".into(), day, 6, &quota).await;
    assert!(matches!(counted, Ok(Counted::Beyond(_))), "{counted:?}");
}

/// A removal must outlive every notification that may still come, and not the disk.
#[tokio::test(start_paused = true)]
async fn a_removal_is_remembered_for_thirty_days_and_then_no_longer() {
    let day = Duration::from_hours(24);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("metadata.db");
    let table = EmbeddedMetadata::open(&path, TokioClock::start()).expect("opens");
    let key = |name: &str| ObjectKey::new(name).expect("a key");
    let sequencer = Sequencer("0A".to_owned());
    let remove = async |name: &str| {
        let removed = table.remove(&key(name), &sequencer).await;
        removed.expect("removes");
    };
    let rows = || {
        let connection = Connection::open(&path).expect("opens");
        let count =
            connection.query_row("SELECT count(*) FROM entry", [], |row| row.get::<_, i64>(0));
        count.expect("counts")
    };
    for number in 0..150 {
        remove(&format!("early/{number}")).await;
    }
    advance(day * 29).await;
    remove("late").await;
    assert_eq!(rows(), 151);
    let before = Sequencer("09".to_owned());
    let late = table.remove(&key("early/0"), &before).await;
    assert_eq!(late.expect("answers"), (Written::Outdated, None));
    advance(day).await;
    for number in 0..2 {
        remove(&format!("last/{number}")).await;
    }
    assert_eq!(rows(), 3, "those of the last month are left");
}

#[tokio::test]
async fn damage_that_is_met_on_the_way_is_told_with_the_file_and_what_mends_it() {
    const PAGE: usize = 4_096;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("metadata.db");
    let table = EmbeddedMetadata::open(&path, TokioClock::start()).expect("opens");
    contract::metadata_table::all(&table, "under/test/").await;
    let connection = Connection::open(&path).expect("opens");
    let settled = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    settled.expect("settles");
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[PAGE..].fill(0xff);
    std::fs::write(&path, bytes).expect("written");
    // A connection of its own that has read nothing before.
    let table =
        EmbeddedMetadata::open(&path, TokioClock::start()).expect("its first page is whole");
    let fault = table.list("", None, 10).await.expect_err("damaged");
    let told = fault.to_string();
    for said in ["metadata.db is damaged", "recorded anew"] {
        assert!(told.contains(said), "{said}: {told}");
    }
}
