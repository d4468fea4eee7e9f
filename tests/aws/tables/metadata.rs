//! The metadata table in DynamoDB.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use iyagi::aws::dynamodb::definitions::{EXPIRES_AT, TableDefinition};
use iyagi::aws::dynamodb::metadata::DynamoMetadata;
use iyagi::clock::SystemClock;
use iyagi::embedded::metadata::EmbeddedMetadata;
use iyagi::upload_quota;
use iyagi_actors::ports::{ALIKE_MAX, Clock, MetadataTable, Written, contract};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::media::{MetadataItem, Sketch, Thumbnails, Variant};
use iyagi_messages::object::{ObjectKey, Sequencer};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{lose_next_answer, table};
use crate::faults::{Call, Fault, FaultProxy, Rule, Service};
use crate::servers::{Server, localemu, ministack, moto, unique};

/// Stands still.
struct Stopped(Timestamp);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// In the year 2100: the servers delete what has expired by the clock on the wall.
const NOW_S: i64 = 4_102_444_800;

fn clock() -> Arc<dyn Clock> {
    Arc::new(Stopped(Timestamp(NOW_S * 1000 + 999)))
}

async fn metadata(server: &Server) -> (DynamoMetadata, Client, String) {
    let (client, definition) = table(server, TableDefinition::metadata).await;
    let metadata = DynamoMetadata::new(client.clone(), &definition.name, clock());
    (metadata, client, definition.name)
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).expect("valid")
}

fn item(key: &ObjectKey, sequencer: &str) -> MetadataItem {
    MetadataItem {
        key: key.clone(),
        owner: iyagi_messages::media::owner_of_key(key),
        sequencer: Sequencer(sequencer.to_owned()),
        version_id: None,
        content_type: "image/jpeg".to_owned(),
        size: 3,
        sha256: None,
        dimensions: None,
        animated: false,
        defect: None,
        recorded_at: Timestamp(5),
        thumbnails: None,
        audio: None,
    }
}

fn thumbnails(sequencer: &str) -> Thumbnails {
    Thumbnails {
        sequencer: Sequencer(sequencer.to_owned()),
        dominant_colour: "#102030".to_owned(),
        placeholder: None,
        rendered_in_ms: None,
        variants: vec![Variant {
            preset: "small".to_owned(),
            content_type: "image/webp".to_owned(),
            key: key("derived/a/small"),
            width: 128,
            height: 96,
            size: 700,
        }],
    }
}

async fn keeps_the_contract(server: &Server) {
    let (metadata, _, _) = metadata(server).await;
    // Its first two segments decide on a key's partition: all in one, and spread over all.
    for prefix in ["under/test/", "spread-"] {
        contract::metadata_table::all(&metadata, prefix).await;
    }
    upload_quota::contract::all_but_races(&metadata, "test-").await;
}

#[tokio::test]
async fn a_fleet_has_one_quota_of_uploads_a_person_on_ministack() {
    let (metadata, client, table) = metadata(ministack()).await;
    let other_host = DynamoMetadata::new(client, table, clock());
    upload_quota::contract::all([&metadata, &other_host], "test-").await;
}

#[tokio::test]
async fn keeps_the_contract_on_ministack() {
    keeps_the_contract(ministack()).await;
}

#[tokio::test]
async fn keeps_the_contract_on_moto() {
    keeps_the_contract(moto()).await;
}

#[tokio::test]
async fn keeps_the_contract_on_localemu() {
    if let Some(server) = localemu() {
        keeps_the_contract(server).await;
    }
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Record(u8),
    RecordWithThumbnails(u8, u8),
    Attach(u8),
    Remove(u8),
}

impl Change {
    /// What it says, and what readers see then.
    async fn apply(
        self,
        table: &dyn MetadataTable,
        key: &ObjectKey,
    ) -> impl PartialEq + std::fmt::Debug + use<> {
        let digits = |number: u8| format!("{number:X}");
        let said = match self {
            Self::Record(number) => {
                let written = table.record(item(key, &digits(number))).await;
                written.map(|written| (written, None))
            }
            Self::RecordWithThumbnails(number, made) => {
                let item = MetadataItem {
                    thumbnails: Some(thumbnails(&digits(made))),
                    ..item(key, &digits(number))
                };
                let written = table.record(item).await;
                written.map(|written| (written, None))
            }
            Self::Attach(number) => {
                let written = table
                    .attach_thumbnails(key, thumbnails(&digits(number)))
                    .await;
                written.map(|written| (written, None))
            }
            Self::Remove(number) => table.remove(key, &Sequencer(digits(number))).await,
        };
        (
            said.expect("answers"),
            table.get(key).await.expect("answers"),
        )
    }
}

fn change() -> impl Strategy<Value = Change> {
    // Few numbers, so that they meet, and some of two digits.
    let number = || prop_oneof![0..5_u8, 14..18_u8];
    prop_oneof![
        3 => number().prop_map(Change::Record),
        1 => (number(), number()).prop_map(|(item, made)| Change::RecordWithThumbnails(item, made)),
        3 => number().prop_map(Change::Attach),
        3 => number().prop_map(Change::Remove),
    ]
}

/// The same changes in two orders.
fn two_orders() -> impl Strategy<Value = (Vec<Change>, Vec<Change>)> {
    let changes = prop::collection::vec(change(), 1..10);
    changes.prop_flat_map(|changes| (Just(changes.clone()), Just(changes).prop_shuffle()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_and_shows_what_the_embedded_table_does_whatever_the_order() {
    const CASES: u32 = 60;
    let (metadata, _, _) = metadata(ministack()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("metadata.db");
    let embedded = EmbeddedMetadata::open(&path, Arc::new(SystemClock)).expect("opens");
    let here = tokio::runtime::Handle::current();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(CASES));
    let ran = tokio::task::block_in_place(|| {
        runner.run(&two_orders(), |(one, other)| {
            for order in [one, other] {
                let key = key(&format!("twin/{}", unique("key")));
                for change in order {
                    let (theirs, ours) = here.block_on(async {
                        let theirs = change.apply(&embedded, &key).await;
                        (theirs, change.apply(&metadata, &key).await)
                    });
                    prop_assert_eq!(ours, theirs, "at {:?}", change);
                }
            }
            Ok(())
        })
    });
    ran.expect("they are twins");
}

async fn stored(client: &Client, table: &str, key: &ObjectKey) -> Option<AttributeValue> {
    let all = client
        .scan()
        .table_name(table)
        .consistent_read(true)
        .send()
        .await;
    let all = all.expect("scans").items.unwrap_or_default();
    let wanted = AttributeValue::S(key.to_string());
    let mut found = all.into_iter().filter(|item| item["key"] == wanted);
    found.next().expect("it is there").remove(EXPIRES_AT)
}

#[tokio::test]
async fn a_removal_is_forgotten_after_a_month_and_nothing_else_ever() {
    let (metadata, client, table) = metadata(ministack()).await;
    let key = key("posts/1/a.jpg");
    metadata.record(item(&key, "2")).await.expect("records");
    let none = metadata.remove(&key, &Sequencer("1".to_owned())).await;
    assert_eq!(none, Ok((Written::Outdated, None)));
    assert_eq!(stored(&client, &table, &key).await, None, "the item lives");

    metadata
        .remove(&key, &Sequencer("2".to_owned()))
        .await
        .expect("removes");
    let month = AttributeValue::N((NOW_S + 30 * 86_400).to_string());
    assert_eq!(stored(&client, &table, &key).await, Some(month));

    // Thumbnails may come before their item; then it is no mere memory any more.
    metadata
        .attach_thumbnails(&key, thumbnails("3"))
        .await
        .expect("attaches");
    assert_eq!(stored(&client, &table, &key).await, None);
    metadata
        .remove(&key, &Sequencer("3".to_owned()))
        .await
        .expect("removes");
    assert!(stored(&client, &table, &key).await.is_some());
    metadata.record(item(&key, "4")).await.expect("records");
    assert_eq!(stored(&client, &table, &key).await, None);
}

#[tokio::test]
async fn a_value_of_a_sketch_that_finds_nothing_is_forgotten_after_a_month() {
    let (metadata, client, table) = metadata(ministack()).await;
    let sketch = Sketch(vec![7]);
    let place = key("sketches/00000007");
    for digest in ["a", "b"] {
        let indexed = metadata.index_sketch(digest, &sketch).await;
        assert_eq!(indexed, Ok(1));
    }
    let taken_out = metadata.unindex_sketch("a", &sketch).await;
    assert_eq!(taken_out, Ok(()));
    assert_eq!(stored(&client, &table, &place).await, None, "b is found");
    let taken_out = metadata.unindex_sketch("b", &sketch).await;
    assert_eq!(taken_out, Ok(()));
    let month = AttributeValue::N((NOW_S + 30 * 86_400).to_string());
    assert_eq!(stored(&client, &table, &place).await, Some(month));
    assert_eq!(metadata.index_sketch("a", &sketch).await, Ok(1));
    assert_eq!(stored(&client, &table, &place).await, None);
}

#[tokio::test]
async fn a_sketch_is_looked_up_by_one_call_however_many_it_finds() {
    let (direct, _, table) = metadata(ministack()).await;
    let proxy = FaultProxy::before(ministack());
    let metadata = DynamoMetadata::new(proxy.server().clients().dynamodb, &table, clock());
    let sketch = Sketch((0..24).collect());
    let indexed = metadata.index_sketch("own", &sketch).await;
    assert_eq!((indexed, proxy.changes()), (Ok(24), 24), "a write a value");
    for other in 0..2 * ALIKE_MAX {
        let value = Sketch(vec![other as u32 % 2]);
        let indexed = direct.index_sketch(&format!("{other:03}"), &value).await;
        indexed.expect("indexed");
    }
    let batch = Call {
        service: Service::Dynamodb,
        operation: "BatchGetItem",
    };
    proxy.inject(Rule::nth(batch, 2, Fault::AnswerLost));
    let found = metadata.sketched_alike(&sketch).await.expect("finds");
    assert_eq!(proxy.fired(), 0, "there is no second call");
    assert_eq!(found.len(), 2 * (ALIKE_MAX - 1) + 1);
    assert_eq!(found[0], "own");
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_says_what_it_did() {
    let (_, _, table) = metadata(ministack()).await;
    let proxy = FaultProxy::before(ministack());
    let metadata = DynamoMetadata::new(proxy.server().clients().dynamodb, &table, clock());
    let key = key("posts/1/a.jpg");
    lose_next_answer(&proxy);
    assert_eq!(metadata.record(item(&key, "1")).await, Ok(Written::Yes));
    lose_next_answer(&proxy);
    let attached = metadata.attach_thumbnails(&key, thumbnails("1")).await;
    assert_eq!(attached, Ok(Written::Yes));
    lose_next_answer(&proxy);
    let removed = metadata.remove(&key, &Sequencer("1".to_owned())).await;
    assert_eq!(removed.map(|(written, _)| written), Ok(Written::Yes));
    assert_eq!((proxy.fired(), metadata.get(&key).await), (3, Ok(None)));
}

async fn lists_many_items(server: &Server) {
    let (metadata, _, _) = metadata(server).await;
    // One person with many files, many persons with one, and more than a megabyte.
    let mut keys: Vec<_> = (0..30)
        .map(|n| key(&format!("profile/ann/{n}.jpg")))
        .collect();
    keys.extend((0..30).map(|n| key(&format!("profile/bob{n}/a.jpg"))));
    for key in &keys {
        let large = MetadataItem {
            defect: Some("d".repeat(50_000)),
            ..item(key, "1")
        };
        metadata.record(large).await.expect("records");
        let gone = ObjectKey::new(format!("{key}.gone")).expect("valid");
        metadata.record(item(&gone, "1")).await.expect("records");
        let removed = metadata.remove(&gone, &Sequencer("1".to_owned())).await;
        removed.expect("removes");
    }
    keys.sort();
    for prefix in [
        "",
        "profile",
        "profile/ann",
        "profile/ann/",
        "profile/b",
        "profile/bob7/",
    ] {
        let expected: Vec<_> = keys
            .iter()
            .filter(|key| key.as_str().starts_with(prefix))
            .collect();
        for limit in [7, u32::MAX] {
            let mut listed = Vec::new();
            let mut after = None;
            loop {
                let page = metadata
                    .list(prefix, after.as_ref(), limit)
                    .await
                    .expect("lists");
                listed.extend(page.items.into_iter().map(|item| item.key));
                let Some(next) = page.next else { break };
                assert_eq!(listed.last(), Some(&next));
                after = Some(next);
            }
            assert_eq!(
                listed.iter().collect::<Vec<_>>(),
                expected,
                "{prefix} by {limit}"
            );
        }
    }
    let behind = metadata
        .list("profile/ann/", Some(&key("profile/bob")), 5)
        .await;
    assert_eq!(behind.expect("lists").items, []);
}

#[tokio::test]
async fn lists_many_items_on_ministack() {
    lists_many_items(ministack()).await;
}

#[tokio::test]
async fn lists_many_items_on_moto() {
    lists_many_items(moto()).await;
}

async fn lists_a_persons_items(server: &Server) {
    let (metadata, _, _) = metadata(server).await;
    let mut keys: Vec<_> = [
        "profile/ann/b",
        "uploads/ann/1/2",
        "profile/ann/a",
        "uploads/ann/0",
    ]
    .map(key)
    .into();
    for key in keys
        .iter()
        .chain(&[key("profile/bob/a"), key("posts/ann/a")])
    {
        metadata.record(item(key, "1")).await.expect("records");
    }
    let gone = key("profile/ann/gone");
    metadata.record(item(&gone, "1")).await.expect("records");
    metadata
        .remove(&gone, &Sequencer("1".to_owned()))
        .await
        .expect("removes");
    keys.sort();
    for limit in [1, 3, 100] {
        let mut listed = Vec::new();
        let mut after = None;
        loop {
            let page = metadata.list_of_owner("ann", after.as_ref(), limit).await;
            let page = page.expect("lists");
            assert!(page.items.len() <= limit as usize);
            listed.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let expected: Vec<_> = keys.iter().map(|key| item(key, "1")).collect();
        assert_eq!(listed, expected, "limit {limit}");
    }
    let nobodys = metadata
        .list_of_owner("carl", None, 10)
        .await
        .expect("lists");
    assert_eq!((nobodys.items, nobodys.next), (vec![], None));
}

#[tokio::test]
async fn lists_a_persons_items_on_ministack() {
    lists_a_persons_items(ministack()).await;
}

#[tokio::test]
async fn lists_a_persons_items_on_localemu() {
    if let Some(server) = localemu() {
        lists_a_persons_items(server).await;
    }
}

#[tokio::test]
async fn what_is_larger_than_an_item_may_be_is_refused_by_name() {
    let (metadata, _, table) = metadata(ministack()).await;
    let key = key("posts/1/large.jpg");
    let at_most = MetadataItem {
        defect: Some("d".repeat(190_000)),
        ..item(&key, "1")
    };
    assert_eq!(metadata.record(at_most.clone()).await, Ok(Written::Yes));
    let attached = Thumbnails {
        dominant_colour: "d".repeat(190_000),
        placeholder: None,
        rendered_in_ms: None,
        ..thumbnails("1")
    };
    let attached = metadata.attach_thumbnails(&key, attached).await;
    assert_eq!(attached, Ok(Written::Yes), "both parts fit");
    let too_large = MetadataItem {
        defect: Some("d".repeat(200_000)),
        ..item(&key, "2")
    };
    let fault = metadata
        .record(too_large)
        .await
        .expect_err("too large")
        .to_string();
    assert!(
        fault.contains(key.as_str()) && fault.contains(&table),
        "{fault}"
    );
    let stays = metadata.get(&key).await.expect("reads").expect("is there");
    assert_eq!(stays.sequencer, at_most.sequencer);
}

#[tokio::test]
async fn a_fault_names_the_table_and_the_cure() {
    let absent = unique("absent");
    let client = ministack().clients().dynamodb;
    let metadata = DynamoMetadata::new(client, &absent, clock());
    let key = key("posts/1/a.jpg");
    let faults = [
        metadata.record(item(&key, "1")).await.map(drop),
        metadata.get(&key).await.map(drop),
        metadata.list("", None, 1).await.map(drop),
        metadata.list_of_owner("ann", None, 1).await.map(drop),
    ];
    for fault in faults {
        let fault = fault.expect_err("there is no table").to_string();
        assert!(
            fault.contains(&absent) && fault.contains("`iyagi provision`"),
            "{fault}"
        );
    }

    let (metadata, client, table) = self::metadata(ministack()).await;
    metadata.record(item(&key, "1")).await.expect("records");
    let scanned = client
        .scan()
        .table_name(&table)
        .send()
        .await
        .expect("scans");
    let mut foreign = scanned.items.expect("items").remove(0);
    foreign.insert("item".to_owned(), AttributeValue::Bool(true));
    let put = client.put_item().table_name(&table).set_item(Some(foreign));
    put.send().await.expect("puts");
    let fault = metadata.get(&key).await.expect_err("no item").to_string();
    assert!(
        fault.contains(key.as_str()) && fault.contains(&table),
        "{fault}"
    );
}
