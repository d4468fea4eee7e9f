//! What readers of the log get.

use iyagi::embedded::graph::PAGE_BYTES_MAX;
use iyagi_actors::ports::{Position, StreamFault};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::stream::StreamPage;
use serde_json::{Value, json};

use crate::fixture::{Fixture, not_found};

#[tokio::test]
async fn every_iterator_begins_where_it_says() {
    let fixture = Fixture::with_commits(3).await;
    let at = |commit, op| Position::At(Cursor::new(commit, op));
    let after = |commit, op| Position::After(Cursor::new(commit, op));
    for (position, limit, expected) in [
        (
            at(1, 1),
            10,
            vec![(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)],
        ),
        (at(2, 2), 2, vec![(2, 2), (3, 1)]),
        (at(2, 3), 1, vec![(3, 1)]),
        (at(2, u64::MAX), 1, vec![(3, 1)]),
        (after(1, 1), 1, vec![(1, 2)]),
        (after(1, 2), 1, vec![(2, 1)]),
        (after(1, 99), 1, vec![(2, 1)]),
        (after(2, u64::MAX), 1, vec![(3, 1)]),
        (Position::After(Cursor::START), 1, vec![(1, 1)]),
        (Position::At(Cursor::START), 1, vec![(1, 1)]),
        (Position::TrimHorizon, 3, vec![(1, 1), (1, 2), (2, 1)]),
        (Position::Latest, 100, vec![(3, 2)]),
    ] {
        let page = fixture.fetch(position, limit).await.expect("a page");
        let ids: Vec<_> = page
            .records
            .iter()
            .map(|r| (r.event_id.commit, r.event_id.op))
            .collect();
        assert_eq!(ids, expected, "{position:?}");
        let last = page.records.last().expect("a record");
        assert_eq!(page.last_event_id, last.event_id);
        assert_eq!(Some(page.last_trx_timestamp), last.commit_timestamp);
    }
    for position in [
        at(3, 3),
        at(4, 1),
        at(u64::MAX, 1),
        after(3, 2),
        after(9, 1),
    ] {
        assert_eq!(
            fixture.fetch(position, 1).await,
            Err(not_found(3, 2)),
            "{position:?}"
        );
    }
    for limit in [0, 100_001] {
        let fault = fixture
            .fetch(Position::TrimHorizon, limit)
            .await
            .expect_err("is refused");
        assert!(matches!(fault, StreamFault::InvalidRequest(_)));
    }
    let empty = Fixture::new();
    for position in [
        Position::TrimHorizon,
        Position::Latest,
        at(1, 1),
        after(1, 1),
    ] {
        let nothing = StreamFault::NotFound { last_valid: None };
        assert_eq!(empty.fetch(position, 1).await, Err(nothing));
    }
}

#[tokio::test]
async fn only_the_last_operation_of_a_commit_says_so_however_pages_split_it() {
    let fixture = Fixture::with_people().await;
    for limit in 1..=8 {
        let log = fixture.log(limit).await;
        let flags: Vec<bool> = log.iter().map(|record| record.is_last_op).collect();
        assert_eq!(
            flags,
            [false, false, false, false, false, false, true],
            "{limit}"
        );
    }
    let (_, page) = fixture.wire("commitNum=1&opNum=6&limit=1").await;
    assert!(page["records"][0].get("isLastOp").is_none());
    let (_, page) = fixture.wire("commitNum=1&opNum=7&limit=1").await;
    assert_eq!(page["records"][0]["isLastOp"], json!(true));
}

#[tokio::test]
async fn a_page_ends_with_the_record_that_crosses_ten_megabytes() {
    let fixture = Fixture::new();
    let text = "x".repeat(PAGE_BYTES_MAX / 10);
    let values: Vec<Value> = (0..12)
        .map(|n| json!({"op": "set_property", "id": "v", "key": format!("k{n}"), "value": text}))
        .collect();
    fixture
        .commit(&json!([{"op": "add_vertex", "id": "v"}]))
        .await
        .expect("is accepted");
    fixture.commit(&json!(values)).await.expect("is accepted");
    let page = fixture
        .fetch(Position::At(Cursor::new(2, 1)), 100_000)
        .await
        .expect("a page");
    assert_eq!(page.last_event_id, Cursor::new(2, 10));
    let answer = fixture
        .graph
        .answer("commitNum=2&limit=100000", false)
        .await;
    assert!(answer.body.len() > PAGE_BYTES_MAX);
    assert_eq!(StreamPage::parse(&answer.body), Ok(page));
    let rest = fixture
        .graph
        .answer("commitNum=2&opNum=11&limit=100000", false)
        .await;
    assert_eq!(
        StreamPage::parse(&rest.body).expect("a page").total_records,
        2
    );
}

#[tokio::test]
async fn a_trimmed_position_has_expired_but_not_the_one_behind_it() {
    let fixture = Fixture::with_commits(5).await;
    let at = |commit, op| Position::At(Cursor::new(commit, op));
    let after = |commit, op| Position::After(Cursor::new(commit, op));
    assert_eq!(fixture.graph.trim_before(4).await.expect("trims"), 3);
    assert_eq!(fixture.graph.trim_before(4).await.expect("trims"), 0);
    for position in [
        at(1, 1),
        at(3, 2),
        after(3, 1),
        after(1, 1),
        after(0, 0),
        at(0, 0),
    ] {
        assert_eq!(
            fixture.fetch(position, 1).await,
            Err(StreamFault::Expired),
            "{position:?}"
        );
    }
    for position in [at(4, 1), after(3, 2), Position::TrimHorizon] {
        let page = fixture.fetch(position, 1).await.expect("a page");
        assert_eq!(page.last_event_id, Cursor::new(4, 1), "{position:?}");
    }
    assert_eq!(
        fixture.statements().len(),
        10,
        "the graph itself is not trimmed"
    );

    fixture.graph.trim_before(u64::MAX).await.expect("trims");
    let (status, body) = fixture.wire("commitNum=5").await;
    assert_eq!(
        (status, &body["code"]),
        (400, &json!("ExpiredStreamException"))
    );
    for position in [after(5, 2), Position::TrimHorizon, Position::Latest] {
        assert_eq!(
            fixture.fetch(position, 1).await,
            Err(not_found(5, 2)),
            "{position:?}"
        );
    }
    let next = json!([{"op": "add_vertex", "id": "next"}]);
    assert_eq!(
        fixture.commit(&next).await.expect("goes on").last,
        Cursor::new(6, 1)
    );
    let page = fixture.fetch(after(5, 2), 10).await.expect("a page");
    assert_eq!(page.last_event_id, Cursor::new(6, 1));
}
