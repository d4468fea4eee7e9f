//! Objects of S3 that go on to a client as they come: never a damaged one as a whole, and never bytes of another one.

use futures_util::StreamExt;
use iyagi_actors::ports::{ObjectInfo, ObjectStore, Pieces, PutOptions, StoreFault};

use crate::failing::{bucket, key};
use crate::stub::{Answer, Request, response};

const KEY: &str = "posts/a.m4a";
/// Many chunks.
const SIZE: usize = 1 << 20;

fn object() -> ObjectInfo {
    ObjectInfo {
        key: key(KEY),
        size: SIZE as u64,
        etag: "e".to_owned(),
        sha256: None,
        version_id: None,
        sequencer: None,
        options: PutOptions::default(),
    }
}

fn bytes() -> Vec<u8> {
    let pattern = (0..=250_u8).cycle();
    pattern.take(SIZE).collect()
}

/// What came, and whether it came to its end.
async fn taken(mut pieces: Pieces) -> (Vec<u8>, bool) {
    let mut taken = Vec::new();
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) => taken.extend_from_slice(&piece),
            Err(_) => return (taken, false),
        }
    }
    (taken, true)
}

#[tokio::test]
async fn a_part_is_asked_for_by_its_bytes_and_the_whole_without_so_that_its_checksum_comes() {
    let store = bucket(|request: &Request| {
        assert_eq!(request.headers["if-match"], "\"e\"");
        let sent = bytes();
        match request.headers.get("range").map(String::as_str) {
            None => Answer::Whole(response(200, &[], &sent)),
            Some("bytes=10-19") => Answer::Whole(response(206, &[], &sent[10..20])),
            Some(other) => panic!("{other}"),
        }
    })
    .await;
    for part in [0..SIZE, 10..20] {
        let asked = part.start as u64..part.end as u64;
        let pieces = store.get_part(&object(), asked).await.expect("reads");
        let (taken, whole) = taken(pieces.expect("it is the same")).await;
        assert!(whole && taken == bytes()[part.clone()], "{part:?}");
    }
}

#[tokio::test]
async fn what_breaks_off_or_is_not_what_its_checksum_is_of_never_comes_to_its_end() {
    let cut = |_: &Request| Answer::Cut(response(200, &[], &bytes())[..SIZE / 2].to_vec());
    let damaged = |_: &Request| {
        let headers = [("x-amz-checksum-crc32", "AAAAAA==")];
        Answer::Whole(response(200, &headers, &bytes()))
    };
    for store in [bucket(cut).await, bucket(damaged).await] {
        let pieces = store.get_part(&object(), 0..SIZE as u64).await;
        let (taken, whole) = taken(pieces.expect("begins").expect("it is the same")).await;
        assert!(!whole && taken.len() < SIZE, "{} bytes", taken.len());
    }
}

#[tokio::test]
async fn another_object_is_told_from_one_that_is_not_there_and_from_one_that_cannot_be_read() {
    let answered = async |status, code: &str| {
        let error = format!("<Error><Code>{code}</Code></Error>");
        let store = bucket(move |_| Answer::Whole(response(status, &[], error.as_bytes()))).await;
        store
            .get_part(&object(), 0..1)
            .await
            .map(|part| part.is_some())
    };
    assert_eq!(answered(412, "PreconditionFailed").await, Ok(false));
    let missing = StoreFault::NotFound(key(KEY));
    assert_eq!(answered(404, "NoSuchKey").await, Err(missing));
    let archived = answered(403, "InvalidObjectState").await;
    assert!(
        matches!(archived, Err(StoreFault::Unreadable { .. })),
        "{archived:?}"
    );
}
