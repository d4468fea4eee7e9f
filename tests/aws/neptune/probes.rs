//! What is asked for, and how far the log reaches.

use iyagi_actors::ports::{ChangeStream, Position, StreamFault};
use iyagi_messages::cursor::Cursor;
use serde_json::json;

use super::client::{client, stream};
use super::fake::{EventIds, Fake, TipText};

#[tokio::test]
async fn every_position_is_asked_for_in_the_services_own_terms_and_signed_for_it() {
    let fake = Fake::start();
    fake.commit_vertices(3).await;
    let stream = stream(fake.url());
    let beyond = Cursor::new(u64::MAX, u64::MAX);
    for (position, parameters) in [
        (Position::TrimHorizon, "iteratorType=TRIM_HORIZON"),
        (Position::Latest, "iteratorType=LATEST"),
        (
            Position::At(Cursor::new(2, 1)),
            "iteratorType=AT_SEQUENCE_NUMBER&commitNum=2&opNum=1",
        ),
        (
            Position::After(Cursor::new(2, 2)),
            "iteratorType=AFTER_SEQUENCE_NUMBER&commitNum=2&opNum=2",
        ),
        (
            Position::After(beyond),
            "iteratorType=AFTER_SEQUENCE_NUMBER&commitNum=9223372036854775807&opNum=9223372036854775807",
        ),
    ] {
        let direct = fake.graph().fetch(position, 100).await;
        assert_eq!(stream.fetch(position, 100).await, direct, "{position:?}");
        let requests = fake.requests();
        let request = requests.last().expect("a request");
        assert_eq!(
            (&*request.method, &*request.target),
            (
                "GET",
                &*format!("/propertygraph/stream?limit=100&{parameters}")
            )
        );
        assert!(request.takes_gzip());
        let signature = request.header("authorization").expect("is signed");
        assert!(
            signature.contains("/ap-northeast-2/neptune-db/aws4_request"),
            "{signature}"
        );
    }
    assert_eq!(fake.requests().len(), 5, "nothing is asked for twice");
}

#[tokio::test]
async fn a_limit_out_of_range_is_refused_by_the_service() {
    let fake = Fake::start();
    for limit in [0, 100_001] {
        let answer = stream(fake.url()).fetch(Position::TrimHorizon, limit).await;
        match answer {
            Err(StreamFault::InvalidRequest(reason)) => {
                assert!(reason.contains("limit"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_ends_of_the_log_are_probed_alike_on_neptune_and_embedded() {
    let fake = Fake::start();
    let (remote, embedded) = (stream(fake.url()), fake.graph());
    let both = async || {
        let (head, oldest) = (remote.head().await, remote.oldest().await);
        assert_eq!(head, embedded.head().await);
        assert_eq!(oldest, embedded.oldest().await);
        let oldest = oldest.expect("an answer").map(|record| record.event_id);
        (head.expect("an answer"), oldest)
    };
    assert_eq!(both().await, (None, None), "an empty log");
    fake.commit_vertices(4).await;
    let (first, last) = (Cursor::new(1, 1), Cursor::new(4, 2));
    assert_eq!(both().await, (Some(last), Some(first)));
    embedded.trim_before(3).await.expect("trims");
    assert_eq!(both().await, (Some(last), Some(Cursor::new(3, 1))));
    embedded.trim_before(u64::MAX).await.expect("trims");
    assert_eq!(both().await, (Some(last), None), "everything is trimmed");
    embedded.set_stream_enabled(false);
    assert_eq!(remote.head().await, Err(StreamFault::Disabled));
    assert_eq!(remote.oldest().await, Err(StreamFault::Disabled));
    assert_eq!(embedded.head().await, Err(StreamFault::Disabled));
}

#[tokio::test]
async fn a_service_that_does_not_tell_its_end_has_no_head() {
    let fake = Fake::start();
    fake.commit_vertices(2).await;
    fake.switches().tip_text = TipText::Untold;
    assert_eq!(stream(fake.url()).head().await, Ok(None));
}

#[tokio::test]
async fn a_replica_tells_the_end_that_it_has_seen() {
    let fake = Fake::start();
    fake.commit_vertices(4).await;
    fake.switches().replica_at = Some(2);
    let stream = stream(fake.url());
    let seen = Cursor::new(2, 2);
    assert_eq!(stream.head().await, Ok(Some(seen)));
    let page = stream
        .fetch(Position::TrimHorizon, 100)
        .await
        .expect("a page");
    assert_eq!(page.last_event_id, seen);
    let latest = stream.fetch(Position::Latest, 100).await.expect("a page");
    assert_eq!((latest.records.len(), latest.last_event_id), (1, seen));
    for ahead in [seen, Cursor::new(4, 2)] {
        let answer = stream.fetch(Position::After(ahead), 100).await;
        assert_eq!(
            answer,
            Err(StreamFault::NotFound {
                last_valid: Some(seen)
            })
        );
    }
}

/// The day on which numbers fit the SDK's model, the raw answer is no longer needed.
#[tokio::test]
async fn the_sdks_own_model_fits_pages_whose_event_ids_are_texts() {
    let fake = Fake::start();
    fake.commit(json!([{"op": "add_vertex", "id": "a", "label": "Person"}]))
        .await;
    let ask = || {
        client(fake.url())
            .get_propertygraph_stream()
            .iterator_type(aws_sdk_neptunedata::types::IteratorType::TrimHorizon)
            .send()
    };
    fake.switches().event_ids = EventIds::Texts;
    let output = ask().await.expect("texts fit");
    assert_eq!(output.records.len(), 1);
    fake.switches().event_ids = EventIds::Joined;
    assert!(ask().await.is_err(), "an old example does not fit");
}
