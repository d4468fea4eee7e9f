//! The metadata table in SQLite.

use iyagi::embedded::metadata::EmbeddedMetadata;
use iyagi_actors::ports::{MetadataTable, contract};

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
