//! What every metadata table promises.

use iyagi_messages::ids::Timestamp;
use iyagi_messages::media::{
    Audio, Claim, Duplicate, DuplicateKind, MetadataItem, Rendition, RenditionFile, RenditionState,
    Sketch, Thumbnails, Transcript, TranscriptState, Variant,
};
use iyagi_messages::object::{ObjectKey, Sequencer};

use crate::ports::{ALIKE_MAX, MetadataTable, Written};

/// Every check, on keys below `prefix`, which must be empty.
pub async fn all(table: &dyn MetadataTable, prefix: &str) {
    an_item_is_read_as_it_was_recorded(table, prefix).await;
    a_late_write_is_outdated(table, prefix).await;
    thumbnails_wait_for_their_item_and_go_with_it(table, prefix).await;
    what_a_recording_is_is_kept_like_thumbnails(table, prefix).await;
    a_removal_bars_what_came_before_it(table, prefix).await;
    sequencers_count_as_numbers(table, prefix).await;
    any_order_of_the_same_changes_ends_the_same(table, prefix).await;
    a_listing_is_in_byte_order_and_pages_without_gaps(table, prefix).await;
    wildcards_in_a_prefix_are_plain_characters(table, prefix).await;
    a_file_is_claimed_until_its_last_claim_is_released(table, prefix).await;
    a_claim_of_a_later_write_outlives_a_release(table, prefix).await;
    a_recording_is_found_by_every_value_of_its_sketch_until_it_is_taken_out(table, prefix).await;
    a_value_that_many_share_finds_no_more_than_so_many(table, prefix).await;
}

/// What goes in comes out.
pub async fn an_item_is_read_as_it_was_recorded(table: &dyn MetadataTable, prefix: &str) {
    // Spelled in NFC and NFD: two files.
    let composed = item(&key(prefix, "read/\u{d55c}.jpg"), 1);
    let decomposed = MetadataItem {
        size: 2,
        ..item(&key(prefix, "read/\u{1112}\u{1161}\u{11ab}.jpg"), 1)
    };
    for item in [&composed, &decomposed] {
        assert_eq!(table.get(&item.key).await, Ok(None));
        assert_eq!(table.record(item.clone()).await, Ok(Written::Yes));
    }
    for item in [composed, decomposed] {
        let twice = table.record(item.clone()).await;
        assert_eq!(twice, Ok(Written::Yes), "a repeat changes nothing");
        assert_eq!(table.get(&item.key).await, Ok(Some(item)));
    }
}

/// The latest write wins, in whatever order they arrive.
pub async fn a_late_write_is_outdated(table: &dyn MetadataTable, prefix: &str) {
    let key = key(prefix, "late/a.jpg");
    assert_eq!(table.record(item(&key, 2)).await, Ok(Written::Yes));
    assert_eq!(table.record(item(&key, 1)).await, Ok(Written::Outdated));
    let late = table.attach_thumbnails(&key, thumbnails(&key, 1)).await;
    assert_eq!(late, Ok(Written::Outdated));
    let late = table.remove(&key, &sequencer(1)).await;
    assert_eq!(late, Ok((Written::Outdated, None)));
    assert_eq!(table.get(&key).await, Ok(Some(item(&key, 2))));
}

/// Thumbnails may be made before the item is recorded; those of an earlier write are not shown.
pub async fn thumbnails_wait_for_their_item_and_go_with_it(
    table: &dyn MetadataTable,
    prefix: &str,
) {
    let key = key(prefix, "thumbnails/a.jpg");
    let made = thumbnails(&key, 1);
    let attached = table.attach_thumbnails(&key, made.clone()).await;
    assert_eq!(attached, Ok(Written::Yes));
    assert_eq!(table.get(&key).await, Ok(None), "no item yet");
    assert_eq!(table.record(item(&key, 1)).await, Ok(Written::Yes));
    let complete = MetadataItem {
        thumbnails: Some(made.clone()),
        ..item(&key, 1)
    };
    assert_eq!(table.get(&key).await, Ok(Some(complete.clone())));
    assert_eq!(table.record(item(&key, 1)).await, Ok(Written::Yes));
    assert_eq!(table.get(&key).await, Ok(Some(complete)), "they stay");
    assert_eq!(table.record(item(&key, 2)).await, Ok(Written::Yes));
    assert_eq!(table.get(&key).await, Ok(Some(item(&key, 2))));
}

/// What a recording is waits for its item, is outdated by a later write, and goes with a removal.
pub async fn what_a_recording_is_is_kept_like_thumbnails(table: &dyn MetadataTable, prefix: &str) {
    let key = key(prefix, "audio/a.m4a");
    let attached = table.attach_audio(&key, audio(1)).await;
    assert_eq!(attached, Ok(Written::Yes));
    assert_eq!(table.get(&key).await, Ok(None), "no item yet");
    let complete = |number| MetadataItem {
        audio: Some(audio(number)),
        ..item(&key, number)
    };
    assert_eq!(table.record(item(&key, 1)).await, Ok(Written::Yes));
    assert_eq!(table.get(&key).await, Ok(Some(complete(1))));
    assert_eq!(table.record(complete(2)).await, Ok(Written::Yes));
    assert_eq!(table.get(&key).await, Ok(Some(complete(2))));
    let late = table.attach_audio(&key, audio(1)).await;
    assert_eq!(late, Ok(Written::Outdated));
    let removed = table.remove(&key, &sequencer(2)).await;
    assert_eq!(removed, Ok((Written::Yes, None)));
    let straggler = table.attach_audio(&key, audio(2)).await;
    assert_eq!(straggler, Ok(Written::Outdated));
    assert_eq!(table.get(&key).await, Ok(None));
}

/// A removal is remembered, so that a straggler cannot bring the item back.
pub async fn a_removal_bars_what_came_before_it(table: &dyn MetadataTable, prefix: &str) {
    let key = key(prefix, "removed/a.jpg");
    let made = thumbnails(&key, 1);
    table.record(item(&key, 1)).await.expect("records");
    table
        .attach_thumbnails(&key, made.clone())
        .await
        .expect("attaches");
    // An expiry carries the sequencer of the very write that it removes.
    let removed = table.remove(&key, &sequencer(1)).await;
    assert_eq!(removed, Ok((Written::Yes, Some(made))));
    assert_eq!(table.get(&key).await, Ok(None));
    assert_eq!(table.record(item(&key, 1)).await, Ok(Written::Outdated));
    let straggler = table.attach_thumbnails(&key, thumbnails(&key, 1)).await;
    assert_eq!(straggler, Ok(Written::Outdated));
    assert_eq!(table.get(&key).await, Ok(None));
    assert_eq!(table.record(item(&key, 2)).await, Ok(Written::Yes));
    assert_eq!(table.get(&key).await, Ok(Some(item(&key, 2))));
}

/// `a` is later than `9`, `10` later than `f`, padding says nothing.
pub async fn sequencers_count_as_numbers(table: &dyn MetadataTable, prefix: &str) {
    let key = key(prefix, "numbers/a.jpg");
    let at = |sequencer: &str| MetadataItem {
        sequencer: Sequencer(sequencer.to_owned()),
        ..item(&key, 0)
    };
    for later in ["9", "00A", "f", "0010"] {
        assert_eq!(table.record(at(later)).await, Ok(Written::Yes), "{later}");
    }
    assert_eq!(table.record(at("0000F")).await, Ok(Written::Outdated));
}

/// Notifications come late, twice and in any order; the end is the same.
pub async fn any_order_of_the_same_changes_ends_the_same(table: &dyn MetadataTable, prefix: &str) {
    const ROUNDS: u64 = 40;
    for seed in 0..ROUNDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut changes: Vec<Change> = (0..random.u64(1..7))
            .map(|number| match random.u8(0..3) {
                0 => Change::Record(number),
                1 => Change::Attach(number / 2),
                _ => Change::Remove(number),
            })
            .collect();
        let in_order = key(prefix, &format!("order/{seed}/a"));
        for change in &changes {
            change.apply(table, &in_order).await;
        }
        let repeats: Vec<_> = changes.iter().filter(|_| random.bool()).copied().collect();
        changes.extend(repeats);
        random.shuffle(&mut changes);
        let shuffled = key(prefix, &format!("order/{seed}/b"));
        for change in &changes {
            change.apply(table, &shuffled).await;
        }
        let expected = table.get(&in_order).await.expect("reads");
        let found = table.get(&shuffled).await.expect("reads");
        let renamed = found.map(|item| MetadataItem {
            key: in_order.clone(),
            ..item
        });
        assert_eq!(renamed, expected, "seed {seed}: {changes:?}");
    }
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Record(u64),
    Attach(u64),
    Remove(u64),
}

impl Change {
    async fn apply(self, table: &dyn MetadataTable, key: &ObjectKey) {
        match self {
            Self::Record(number) => table.record(item(key, number)).await.map(drop),
            // The same variants whatever the key, so that two keys can be compared.
            Self::Attach(number) => {
                let made = thumbnails(&item_key("any"), number);
                table.attach_thumbnails(key, made).await.map(drop)
            }
            Self::Remove(number) => table.remove(key, &sequencer(number)).await.map(drop),
        }
        .expect("the table answers");
    }
}

/// Pages of any size give every item once.
pub async fn a_listing_is_in_byte_order_and_pages_without_gaps(
    table: &dyn MetadataTable,
    prefix: &str,
) {
    let mut keys: Vec<_> = ["b", "a", "a/b", "B", "\u{d55c}", "a b", "a+b", "\u{1f600}"]
        .iter()
        .map(|name| key(prefix, &format!("list/{name}")))
        .collect();
    for key in &keys {
        table.record(item(key, 1)).await.expect("records");
    }
    let gone = key(prefix, "list/gone");
    table.record(item(&gone, 1)).await.expect("records");
    table.remove(&gone, &sequencer(2)).await.expect("removes");
    keys.sort();
    let under = format!("{prefix}list/");
    for limit in [1, 3, 8, 100] {
        let mut listed = Vec::new();
        let mut after = None;
        loop {
            let page = table.list(&under, after.as_ref(), limit).await;
            let page = page.expect("lists");
            assert!(page.items.len() <= limit as usize);
            listed.extend(page.items.into_iter().map(|item| item.key));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed, keys, "limit {limit}");
    }
}

/// `%` and `_` are letters like any other, and case counts.
pub async fn wildcards_in_a_prefix_are_plain_characters(table: &dyn MetadataTable, prefix: &str) {
    for name in ["wild/%a", "wild/_a", "wild/xa", "wild/Xa"] {
        let recorded = table.record(item(&key(prefix, name), 1)).await;
        assert_eq!(recorded, Ok(Written::Yes));
    }
    for (under, found) in [
        ("wild/%", "wild/%a"),
        ("wild/_", "wild/_a"),
        ("wild/x", "wild/xa"),
    ] {
        let page = table.list(&format!("{prefix}{under}"), None, 10).await;
        let keys: Vec<_> = page
            .expect("lists")
            .items
            .into_iter()
            .map(|i| i.key)
            .collect();
        assert_eq!(keys, [key(prefix, found)]);
    }
}

/// Objects of the same bytes share derived files, and not necessarily all of them.
pub async fn a_file_is_claimed_until_its_last_claim_is_released(
    table: &dyn MetadataTable,
    prefix: &str,
) {
    let [small, large] = [item_key("derived/small"), item_key("derived/large")];
    let (small, large) = (vec![small], vec![large]);
    let both = [small.clone(), large.clone()].concat();
    let sha256 = format!("{prefix}shared");
    let claim = |name: &str, files: &[ObjectKey]| Claim {
        sha256: sha256.clone(),
        key: key(prefix, name),
        sequencer: sequencer(1),
        files: files.to_vec(),
    };
    let (ann, ben) = (claim("claims/ann", &both), claim("claims/ben", &small));
    for claim in [&ann, &ann, &ben] {
        assert_eq!(table.claim(claim.clone()).await, Ok(()), "repeatable");
    }
    let found = table.claimants(&sha256, &large, 9).await;
    assert_eq!(found, Ok(vec![(ann.key.clone(), ann.sequencer.clone())]));
    let found = table.claimants(&sha256, &small, 1).await;
    assert_eq!(found.map(|found| found.len()), Ok(1), "as many as asked");
    let other = format!("{prefix}other");
    assert_eq!(table.claimants(&other, &large, 9).await, Ok(vec![]));
    for _ in 0..2 {
        assert_eq!(table.release(&ann).await, Ok(large.clone()), "repeatable");
    }
    assert_eq!(table.release(&ben).await, Ok(small));
    assert_eq!(table.claimants(&sha256, &both, 9).await, Ok(vec![]));
    // A claim takes the place of the one before: with a changed preset there are other files.
    let moved = claim("claims/ann", &large);
    table.claim(ann.clone()).await.expect("claims");
    table.claim(moved).await.expect("claims");
    assert_eq!(table.release(&ann).await, Ok(both));
    let page = table.list(prefix, None, 1000).await.expect("lists");
    let listed = page.items.iter().any(|item| item.key == ann.key);
    assert!(!listed, "a claim is no item");
}

/// A removal that comes late takes nothing from the write behind it.
pub async fn a_claim_of_a_later_write_outlives_a_release(table: &dyn MetadataTable, prefix: &str) {
    let at = |number| Claim {
        sha256: format!("{prefix}later"),
        key: key(prefix, "claims/late"),
        sequencer: sequencer(number),
        files: vec![item_key("derived/small")],
    };
    table.claim(at(2)).await.expect("claims");
    table.claim(at(1)).await.expect("is outdated");
    assert_eq!(table.release(&at(1)).await, Ok(vec![]));
    assert_eq!(table.release(&at(2)).await, Ok(at(2).files));
}

/// Those that share more come first; what is taken out twice is out.
pub async fn a_recording_is_found_by_every_value_of_its_sketch_until_it_is_taken_out(
    table: &dyn MetadataTable,
    prefix: &str,
) {
    let [ann, ben] = ["ann", "ben"].map(|name| format!("{prefix}{name}"));
    let values = |numbers: &[u32]| sketch(prefix, numbers);
    for _ in 0..2 {
        let indexed = table.index_sketch(&ann, &values(&[1, 2, 3])).await;
        assert_eq!(indexed, Ok(3), "repeatable");
        let indexed = table.index_sketch(&ben, &values(&[3, 4])).await;
        assert_eq!(indexed, Ok(2), "repeatable");
    }
    for (asked, found) in [
        (&[2, 3][..], vec![ann.clone(), ben.clone()]),
        (&[3, 4], vec![ben.clone(), ann.clone()]),
        (&[3], vec![ann.clone(), ben.clone()]),
        (&[4, 5], vec![ben.clone()]),
        (&[5], vec![]),
        (&[], vec![]),
    ] {
        assert_eq!(table.sketched_alike(&values(asked)).await, Ok(found));
    }
    for _ in 0..2 {
        let taken_out = table.unindex_sketch(&ann, &values(&[1, 2, 3])).await;
        assert_eq!(taken_out, Ok(()), "repeatable");
    }
    let found = table.sketched_alike(&values(&[1, 2, 3])).await;
    assert_eq!(found, Ok(vec![ben]));
    let again = table.index_sketch(&ann, &values(&[1])).await;
    assert_eq!(again, Ok(1));
    let found = table.sketched_alike(&values(&[1])).await;
    assert_eq!(found, Ok(vec![ann]));
    let page = table.list("sketches/", None, 1).await.expect("lists");
    assert_eq!(page.items, [], "a value is no item");
}

/// A sound that everybody has costs no more than any other.
pub async fn a_value_that_many_share_finds_no_more_than_so_many(
    table: &dyn MetadataTable,
    prefix: &str,
) {
    let digest = |number: usize| format!("{prefix}many-{number:03}");
    let hot = sketch(prefix, &[10]);
    for number in 0..ALIKE_MAX {
        let indexed = table.index_sketch(&digest(number), &hot).await;
        assert_eq!(indexed, Ok(1));
    }
    let own = sketch(prefix, &[10, 11]);
    let late = digest(ALIKE_MAX);
    let indexed = table.index_sketch(&late, &own).await;
    assert_eq!(indexed, Ok(1), "by its other value");
    let again = table.index_sketch(&digest(0), &hot).await;
    assert_eq!(again, Ok(1), "it is there already");
    let found = table.sketched_alike(&hot).await.expect("finds");
    assert_eq!(found, (0..ALIKE_MAX).map(digest).collect::<Vec<_>>());
    let found = table.sketched_alike(&own).await.expect("finds");
    assert_eq!(found.len(), ALIKE_MAX + 1);
    let taken_out = table.unindex_sketch(&digest(0), &hot).await;
    assert_eq!(taken_out, Ok(()));
    let indexed = table.index_sketch(&late, &own).await;
    assert_eq!(indexed, Ok(2), "there is room again");
}

/// Values of their own for each prefix.
fn sketch(prefix: &str, numbers: &[u32]) -> Sketch {
    let salt = prefix.bytes().fold(0_u32, |salt, byte| {
        salt.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    Sketch(numbers.iter().map(|number| salt ^ number).collect())
}

fn key(prefix: &str, name: &str) -> ObjectKey {
    item_key(&format!("{prefix}{name}"))
}

fn item_key(text: &str) -> ObjectKey {
    ObjectKey::new(text).expect("a valid key")
}

fn sequencer(number: u64) -> Sequencer {
    Sequencer(format!("{number:018X}"))
}

fn item(key: &ObjectKey, number: u64) -> MetadataItem {
    MetadataItem {
        key: key.clone(),
        owner: None,
        sequencer: sequencer(number),
        version_id: None,
        content_type: "image/jpeg".to_owned(),
        size: 1,
        sha256: Some("00".repeat(32)),
        dimensions: None,
        animated: false,
        defect: None,
        recorded_at: Timestamp(i64::try_from(number).expect("small")),
        thumbnails: None,
        audio: None,
    }
}

fn audio(number: u64) -> Audio {
    Audio {
        sequencer: sequencer(number),
        duration_ms: 6_700,
        codec: "aac_lc".to_owned(),
        sample_rate_hz: 44_100,
        channels: 1,
        bit_rate: 48_000,
        title: Some("오늘 밤".to_owned()),
        location: true,
        integrated_lufs: Some((-23.05).into()),
        range_lu: 4.0.into(),
        true_peak_dbtp: None,
        clipped_percent: 0.0.into(),
        near_silent: false,
        silent_lead_ms: 120,
        silent_trail_ms: 0,
        gain_db: 7.05.into(),
        waveform: "AAEC".to_owned(),
        fingerprint: None,
        duplicate_of: Some(Duplicate {
            key: item_key("posts/1/first.m4a"),
            sha256: "ab".repeat(32),
            kind: DuplicateKind::NearDuplicate {
                similarity: 0.97.into(),
                offset_seconds: (-1.5).into(),
            },
        }),
        files: vec![],
        renditions: vec![
            Rendition {
                name: "opus-32k".to_owned(),
                content_type: "audio/ogg".to_owned(),
                state: RenditionState::Pending,
            },
            Rendition {
                name: "aac-64k".to_owned(),
                content_type: "audio/mp4".to_owned(),
                state: RenditionState::Made(RenditionFile {
                    key: item_key("derived/rendition"),
                    size: 57_405,
                    duration_ms: 6_687,
                    bit_rate: 66_148,
                    integrated_lufs: Some((-16.1).into()),
                    true_peak_dbtp: None,
                }),
            },
        ],
        transcript: Some(Transcript {
            job: "abc-1-ko-KR".to_owned(),
            state: TranscriptState::Completed {
                text: "오늘 밤".to_owned(),
                truncated: false,
                language: Some("ko-KR".to_owned()),
            },
        }),
    }
}

fn thumbnails(key: &ObjectKey, number: u64) -> Thumbnails {
    Thumbnails {
        sequencer: sequencer(number),
        dominant_colour: "#808080".to_owned(),
        placeholder: Some("1QcSHQRnh493V4dIh4eXh1h4kJUI".to_owned()),
        rendered_in_ms: None,
        variants: vec![Variant {
            preset: "small".to_owned(),
            content_type: "image/webp".to_owned(),
            key: item_key(&format!("derived/{key}")),
            width: 128,
            height: 96,
            size: number,
        }],
    }
}
