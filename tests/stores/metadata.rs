//! The metadata table in SQLite.

use iyagi::embedded::metadata::EmbeddedMetadata;
use iyagi::upload_quota::{self, Counted, Day, UploadCounts, UploadQuota};
use iyagi_actors::ports::{MetadataTable, contract};
use iyagi_messages::ids::Timestamp;

#[tokio::test]
async fn keeps_the_contract_and_what_it_knows_over_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("metadata.db");
    let table = EmbeddedMetadata::open(&path).expect("opens");
    contract::metadata_table::all(&table, "under/test/").await;
    let before = table.list("", None, 1000).await.expect("lists");
    drop(table);
    let table = EmbeddedMetadata::open(&path).expect("opens");
    let after = table.list("", None, 1000).await.expect("lists");
    assert!(!before.items.is_empty());
    assert_eq!(after, before);
}

#[tokio::test]
async fn what_people_upload_is_counted_over_a_restart_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("metadata.db");
    let table = EmbeddedMetadata::open(&path).expect("opens");
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
    let table = EmbeddedMetadata::open(&path).expect("opens");
    let counted = table.count(&"minji".into(), day, 6, &quota).await;
    assert!(matches!(counted, Ok(Counted::Beyond(_))), "{counted:?}");
}
