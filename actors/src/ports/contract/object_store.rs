//! What every object store promises.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use iyagi_media::sha256;
use iyagi_messages::media::DERIVED_PREFIX;
use iyagi_messages::object::{
    KEY_BYTES_MAX, Notification, ObjectEvent, ObjectEventKind, ObjectKey,
};

use crate::ports::queue::BATCH_MAX;
use crate::ports::{LocalFile, NewObject, ObjectInfo, ObjectStore, PutOptions, Queue, StoreFault};

/// More than any object of the checks has.
const BYTES_MAX: u64 = 1024 * 1024;
/// Long enough for a service that is slow to notify.
const PATIENCE: Duration = Duration::from_secs(20);
const VISIBILITY: Duration = Duration::from_mins(1);

/// Every check, on keys below `prefix`, which must be empty; `notifications` gets the store's events and no others.
pub async fn all(store: &dyn ObjectStore, notifications: &dyn Queue, prefix: &str) {
    an_object_is_read_as_it_was_written(store, prefix).await;
    objects_stored_together_are_all_read_as_they_were_written(store, prefix).await;
    a_missing_object_is_not_found(store, prefix).await;
    every_spelling_of_a_key_is_its_own_object(store, prefix).await;
    the_latest_write_is_read(store, prefix).await;
    an_object_larger_than_wanted_is_not_read(store, prefix).await;
    the_start_of_an_object_comes_with_the_facts_of_the_whole(store, prefix).await;
    a_part_of_an_object_comes_while_it_is_the_one_that_was_looked_at(store, prefix).await;
    a_file_is_the_object_that_it_was_asked_for(store, prefix).await;
    a_file_stays_what_it_was_whatever_becomes_of_its_object(store, prefix).await;
    what_is_stored_from_a_file_is_read_as_it_was_in_it(store, prefix).await;
    a_listing_is_in_byte_order_and_pages_without_gaps(store, prefix).await;
    drain(notifications).await;
    writes_and_removals_are_notified_in_the_order_of_their_sequencers(store, notifications, prefix)
        .await;
    derived_objects_are_not_notified(store, notifications, prefix).await;
}

/// Bytes and what stands beside them come back.
pub async fn an_object_is_read_as_it_was_written(store: &dyn ObjectStore, prefix: &str) {
    let options = PutOptions {
        content_type: Some("image/png".to_owned()),
        cache_control: Some("public, max-age=31536000, immutable".to_owned()),
        metadata: BTreeMap::from([("origin".to_owned(), "camera".to_owned())]),
    };
    for (name, bytes) in [
        ("read/full.png", vec![0, 255, 10, 13]),
        ("read/empty", vec![]),
    ] {
        let key = key(prefix, name);
        let put = store.put(&key, bytes.clone(), options.clone()).await;
        let put = put.expect("stores");
        assert_eq!(put.key, key);
        assert_eq!(put.size, bytes.len() as u64);
        let (read, info) = store.get(&key, BYTES_MAX).await.expect("reads");
        assert_eq!(read, bytes);
        assert_eq!(info.options, options);
        assert_eq!(info.etag, put.etag);
        if let Some(told) = &info.sha256 {
            assert_eq!(*told, sha256(&bytes));
        }
        assert_eq!(store.head(&key).await, Ok(info));
    }
}

/// None is lost, none is taken for another, and their facts come in their order.
pub async fn objects_stored_together_are_all_read_as_they_were_written(
    store: &dyn ObjectStore,
    prefix: &str,
) {
    put(store, &key(prefix, "together/1"), "what was there before").await;
    let objects: Vec<NewObject> = (0..12)
        .map(|number: u8| NewObject {
            key: key(prefix, &format!("together/{number}")),
            bytes: vec![number; usize::from(number)],
            options: PutOptions {
                content_type: Some(format!("test/{number}")),
                ..PutOptions::default()
            },
        })
        .collect();
    let infos = store.put_all(objects.clone()).await.expect("stores");
    assert_eq!(infos.len(), objects.len());
    for (object, info) in objects.into_iter().zip(infos) {
        assert_eq!(info.key, object.key);
        let (read, found) = store.get(&object.key, BYTES_MAX).await.expect("reads");
        assert_eq!(read, object.bytes);
        assert_eq!((&found.etag, &found.options), (&info.etag, &object.options));
    }
    assert_eq!(store.put_all(Vec::new()).await, Ok(Vec::new()));
}

/// Absent and removed objects are the same; removing twice is no error.
pub async fn a_missing_object_is_not_found(store: &dyn ObjectStore, prefix: &str) {
    let key = key(prefix, "missing/a");
    let missing = StoreFault::NotFound(key.clone());
    assert_eq!(store.head(&key).await, Err(missing.clone()));
    assert_eq!(store.delete(&key).await, Ok(()));
    put(store, &key, "here").await;
    assert_eq!(store.delete(&key).await, Ok(()));
    assert_eq!(store.delete(&key).await, Ok(()));
    assert_eq!(store.get(&key, BYTES_MAX).await, Err(missing));
}

/// Keys are bytes: nothing is normalised, folded, cut or taken for a folder.
pub async fn every_spelling_of_a_key_is_its_own_object(store: &dyn ObjectStore, prefix: &str) {
    let longest = "k".repeat(KEY_BYTES_MAX - prefix.len());
    let deep = "d/".repeat((KEY_BYTES_MAX - prefix.len()) / 2 - 1) + "d";
    let escaped = "?".repeat(KEY_BYTES_MAX - prefix.len());
    let mut names = vec![
        "a",
        "a/b",
        "a/b/c",
        "A",
        "\u{d55c}\u{ae00}.jpg",
        "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}.jpg",
        "with space.jpg",
        "with+space.jpg",
        "with%20space.jpg",
        ".hidden",
        "..two dots",
        "dot.",
        "con",
        "a\\b",
        "~tilde~1.jpg",
        "quote\"'<>|*:?.jpg",
        "\u{1f600}",
        "incoming",
        "objects.db",
    ];
    names.extend([longest.as_str(), deep.as_str(), escaped.as_str()]);
    for name in &names {
        put(store, &key(prefix, name), name).await;
    }
    for name in &names {
        let (bytes, info) = store
            .get(&key(prefix, name), BYTES_MAX)
            .await
            .expect("reads");
        assert_eq!(bytes, name.as_bytes());
        assert_eq!(info.key, key(prefix, name));
        assert_eq!(store.delete(&key(prefix, name)).await, Ok(()));
    }
}

/// A write replaces what was there.
pub async fn the_latest_write_is_read(store: &dyn ObjectStore, prefix: &str) {
    let key = key(prefix, "latest/a");
    put(store, &key, "first").await;
    let before = store.head(&key).await.expect("is there");
    put(store, &key, "second, longer").await;
    let (bytes, after) = store.get(&key, BYTES_MAX).await.expect("reads");
    assert_eq!(bytes, b"second, longer");
    assert_eq!(after.size, 14);
    assert_ne!(after.etag, before.etag);
}

/// The limit protects memory, so it holds before anything is read.
pub async fn an_object_larger_than_wanted_is_not_read(store: &dyn ObjectStore, prefix: &str) {
    let key = key(prefix, "large/a");
    put(store, &key, "12345").await;
    assert!(store.get(&key, 5).await.is_ok());
    let too_large = StoreFault::TooLarge {
        key: key.clone(),
        size: 5,
        max: 4,
    };
    assert_eq!(store.get(&key, 4).await, Err(too_large));
}

/// Whoever asks what an object is need not read it.
pub async fn the_start_of_an_object_comes_with_the_facts_of_the_whole(
    store: &dyn ObjectStore,
    prefix: &str,
) {
    let key = key(prefix, "start/a");
    let missing = StoreFault::NotFound(key.clone());
    assert_eq!(store.get_start(&key, 4).await, Err(missing));
    for text in ["0123456789", "0123", "01", ""] {
        put(store, &key, text).await;
        let start = store.get_start(&key, 4).await;
        let (start, info) = start.expect("reads");
        assert_eq!(start, &text.as_bytes()[..text.len().min(4)]);
        assert_eq!(store.head(&key).await, Ok(info));
    }
}

/// Whoever has promised a client so many bytes of an object gets these, or none of another one.
pub async fn a_part_of_an_object_comes_while_it_is_the_one_that_was_looked_at(
    store: &dyn ObjectStore,
    prefix: &str,
) {
    let key = key(prefix, "part/a");
    let long = large("part");
    put(store, &key, &long).await;
    let before = store.head(&key).await.expect("is there");
    let end = before.size;
    for part in [0..end, 0..1, 1..end, 70_000..70_001, end - 1..end] {
        let (from, to) = (part.start as usize, part.end as usize);
        let pieces = store.get_part(&before, part.clone()).await;
        let pieces = pieces.expect("reads").expect("it is the same");
        let bytes: Vec<_> = pieces.try_collect().await.expect("none is lost");
        assert!(bytes.concat() == long.as_bytes()[from..to], "{part:?}");
    }
    put(store, &key, "").await;
    let replaced = store.get_part(&before, 0..1).await.expect("looks");
    assert!(replaced.is_none(), "it is another one by now");
    let empty = store.head(&key).await.expect("is there");
    let pieces = store.get_part(&empty, 0..0).await.expect("reads");
    assert_eq!(pieces.expect("it is the same").count().await, 0);
    store.delete(&key).await.expect("removes");
    let missing = store.get_part(&empty, 0..0).await.err();
    assert_eq!(missing, Some(StoreFault::NotFound(key)));
}

/// A file has the bytes and the facts that are read into memory, and the limits hold for it.
pub async fn a_file_is_the_object_that_it_was_asked_for(store: &dyn ObjectStore, prefix: &str) {
    let key = key(prefix, "file/a");
    let missing = StoreFault::NotFound(key.clone());
    assert_eq!(
        store.get_file(&key, BYTES_MAX).await.err(),
        Some(missing.clone())
    );
    for text in ["", "1", &large("a")] {
        put(store, &key, text).await;
        let file = store.get_file(&key, text.len() as u64).await;
        let (file, info) = file.expect("reads");
        assert_eq!(file.size(), text.len() as u64);
        assert_eq!(bytes(&file), text.as_bytes());
        assert_eq!(file.sha256().expect("readable"), sha256(text.as_bytes()));
        if let Some(told) = &info.sha256 {
            assert_eq!(*told, sha256(text.as_bytes()));
        }
        let head = store.head(&key).await.expect("is there");
        let sha256 = head.sha256.clone();
        assert_eq!(ObjectInfo { sha256, ..info }, head);
    }
    let size = large("a").len() as u64;
    let too_large = StoreFault::TooLarge {
        key: key.clone(),
        size,
        max: size - 1,
    };
    assert_eq!(store.get_file(&key, size - 1).await.err(), Some(too_large));
    store.delete(&key).await.expect("removes");
    assert_eq!(store.get_file(&key, BYTES_MAX).await.err(), Some(missing));
}

/// Whoever reads half of a file finds the other half of the same write behind it, wherever others read meanwhile.
pub async fn a_file_stays_what_it_was_whatever_becomes_of_its_object(
    store: &dyn ObjectStore,
    prefix: &str,
) {
    let key = key(prefix, "file/b");
    let (first, second) = (large("first"), large("second"));
    put(store, &key, &first).await;
    let (file, _) = store.get_file(&key, BYTES_MAX).await.expect("reads");
    let mut reader = file.reader();
    let mut read = vec![0; first.len() / 2];
    reader.read_exact(&mut read).expect("readable");
    put(store, &key, &second).await;
    let (later, _) = store.get_file(&key, BYTES_MAX).await.expect("reads");
    assert_eq!(bytes(&later), second.as_bytes());
    store.delete(&key).await.expect("removes");
    reader.read_to_end(&mut read).expect("readable");
    assert_eq!(read, first.as_bytes());
    let end = reader.seek(SeekFrom::End(-1)).expect("a place");
    assert_eq!(end, first.len() as u64 - 1);
    assert_eq!(bytes(&file), first.as_bytes());
    assert_eq!(bytes(&later), second.as_bytes());
}

/// A file is stored as bytes in memory are, with what stands beside them.
pub async fn what_is_stored_from_a_file_is_read_as_it_was_in_it(
    store: &dyn ObjectStore,
    prefix: &str,
) {
    let (from, to) = (key(prefix, "file/from"), key(prefix, "file/to"));
    let options = PutOptions {
        content_type: Some("audio/ogg".to_owned()),
        cache_control: Some("private".to_owned()),
        metadata: BTreeMap::from([("origin".to_owned(), "encoder".to_owned())]),
    };
    for text in ["", "1", &large("c")] {
        put(store, &from, text).await;
        let (file, _) = store.get_file(&from, BYTES_MAX).await.expect("reads");
        store.delete(&from).await.expect("removes");
        let stored = store.put_file(&to, &file, options.clone()).await;
        let stored = stored.expect("stores");
        assert_eq!((&stored.key, stored.size), (&to, text.len() as u64));
        let (read, info) = store.get(&to, BYTES_MAX).await.expect("reads");
        assert_eq!(read, text.as_bytes());
        assert_eq!((&info.etag, &info.options), (&stored.etag, &options));
    }
}

/// Pages of any size give every key once, and a prefix is no pattern.
pub async fn a_listing_is_in_byte_order_and_pages_without_gaps(
    store: &dyn ObjectStore,
    prefix: &str,
) {
    let mut keys: Vec<_> = [
        "b",
        "a",
        "a/b",
        "B",
        "\u{d55c}",
        "a b",
        "%",
        "_",
        "\u{1f600}",
    ]
    .iter()
    .map(|name| key(prefix, &format!("list/{name}")))
    .collect();
    for key in &keys {
        put(store, key, "x").await;
    }
    keys.sort();
    for limit in [1, 4, 9, 100] {
        let mut listed = Vec::new();
        let mut after = None;
        loop {
            let under = format!("{prefix}list/");
            let page = store.list(&under, after.as_ref(), limit).await;
            let page = page.expect("lists");
            assert!(page.objects.len() <= limit as usize);
            listed.extend(page.objects.into_iter().map(|object| object.key));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed, keys, "limit {limit}");
    }
    for name in ["list/%", "list/_"] {
        let page = store.list(&format!("{prefix}{name}"), None, 10).await;
        assert_eq!(page.expect("lists").objects.len(), 1, "{name}");
    }
}

/// Whoever hears of two changes to one key can tell which was later.
pub async fn writes_and_removals_are_notified_in_the_order_of_their_sequencers(
    store: &dyn ObjectStore,
    notifications: &dyn Queue,
    prefix: &str,
) {
    let key = key(prefix, "notified/한글 +1.jpg");
    put(store, &key, "first").await;
    let second = file(store, prefix, "second").await;
    let stored = store.put_file(&key, &second, PutOptions::default()).await;
    stored.expect("stores");
    store.delete(&key).await.expect("removes");
    let mut events = receive_events(notifications, 3).await;
    events.sort_by(|a, b| a.sequencer.cmp(&b.sequencer));
    assert!(events.iter().all(|event| event.key == key));
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.kind, event.size))
        .collect();
    assert_eq!(
        told,
        [
            (ObjectEventKind::Created, Some(5)),
            (ObjectEventKind::Created, Some(6)),
            // What a removal says of a size is nobody's business.
            (ObjectEventKind::Removed, events[2].size),
        ]
    );
    assert!(events[0].sequencer < events[1].sequencer);
    assert!(events[1].sequencer < events[2].sequencer);
}

/// What iyagi makes itself must not set it to work again.
pub async fn derived_objects_are_not_notified(
    store: &dyn ObjectStore,
    notifications: &dyn Queue,
    prefix: &str,
) {
    let derived = key(DERIVED_PREFIX, &format!("{prefix}made.webp"));
    put(store, &derived, "made").await;
    store.delete(&derived).await.expect("removes");
    let marker = key(prefix, "marker");
    put(store, &marker, "uploaded").await;
    let events = receive_events(notifications, 1).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].key, marker);
}

fn key(prefix: &str, name: &str) -> ObjectKey {
    ObjectKey::new(format!("{prefix}{name}")).expect("a valid key")
}

async fn put(store: &dyn ObjectStore, key: &ObjectKey, text: &str) {
    let put = store
        .put(key, text.as_bytes().to_vec(), PutOptions::default())
        .await;
    put.expect("stores");
}

/// More than any buffer on the way holds.
fn large(of: &str) -> String {
    of.repeat(300_000 / of.len())
}

fn bytes(file: &LocalFile) -> Vec<u8> {
    file.read().expect("readable")
}

/// A file with a text in it, of whose making nobody is notified.
async fn file(store: &dyn ObjectStore, prefix: &str, text: &str) -> LocalFile {
    let key = key(DERIVED_PREFIX, &format!("{prefix}text"));
    put(store, &key, text).await;
    let (file, _) = store.get_file(&key, BYTES_MAX).await.expect("reads");
    file
}

/// Empties the queue of what earlier checks and the store itself have put there.
pub async fn drain(notifications: &dyn Queue) {
    while !receive(notifications, Duration::from_secs(1))
        .await
        .is_empty()
    {}
}

async fn receive_events(notifications: &dyn Queue, count: usize) -> Vec<ObjectEvent> {
    let mut events = Vec::new();
    while events.len() < count {
        let received = receive(notifications, PATIENCE).await;
        assert!(!received.is_empty(), "{} of {count} came", events.len());
        events.extend(received);
    }
    events
}

async fn receive(notifications: &dyn Queue, wait: Duration) -> Vec<ObjectEvent> {
    let received = notifications.receive(BATCH_MAX, wait, VISIBILITY).await;
    let received = received.expect("the queue answers");
    let receipts: Vec<_> = received
        .iter()
        .map(|message| message.receipt.clone())
        .collect();
    if !receipts.is_empty() {
        notifications.delete(&receipts).await.expect("deletes");
    }
    let parse = |body: &str| match Notification::parse(body).expect("a notification") {
        Notification::Objects(events) => events,
        Notification::Test => vec![],
    };
    received
        .iter()
        .flat_map(|message| parse(&message.body))
        .collect()
}
