//! The log as it is served over HTTP.

use std::io::Read as _;
use std::path::Path;

use iyagi_actors::ports::{Position, StreamFault};
use iyagi_messages::stream::StreamPage;
use serde_json::{Value, json};

use crate::fixture::Fixture;

#[tokio::test]
async fn the_body_of_a_page_is_the_services_own_byte_for_byte() {
    let fixture = Fixture::with_people().await;
    let answer = fixture
        .graph
        .answer("commitNum=1&opNum=5&limit=2", false)
        .await;
    assert_eq!(answer.status, 200);
    let expected = concat!(
        r#"{"lastEventId":{"commitNum":1,"opNum":6},"lastTrxTimestamp":1700000000000,"format":"PG_JSON","#,
        r#""records":[{"commitTimestamp":1700000000000,"eventId":{"commitNum":1,"opNum":5},"#,
        r#""data":{"id":"c","type":"vl","key":"label","value":{"value":"vertex","dataType":"String"}},"op":"ADD"},"#,
        r#"{"commitTimestamp":1700000000000,"eventId":{"commitNum":1,"opNum":6},"#,
        r#""data":{"id":"e","type":"e","key":"label","value":{"value":"FOLLOWS","dataType":"String"},"#,
        r#""from":"a","to":"b"},"op":"ADD"}],"totalRecords":2}"#
    );
    assert_eq!(String::from_utf8(answer.body).expect("text"), expected);
    let (_, page) = fixture.wire("iteratorType=LATEST&limit=50").await;
    assert_eq!(page["totalRecords"], 1);
    let (_, page) = Fixture::with_commits(8)
        .await
        .wire("iteratorType=TRIM_HORIZON")
        .await;
    assert_eq!(page["totalRecords"], 10, "ten is the default limit");
}

#[tokio::test]
async fn a_page_reads_the_same_with_event_ids_of_every_published_form() {
    let fixture = Fixture::with_people().await;
    let query = "iteratorType=TRIM_HORIZON&limit=100";
    let served = fixture.graph.answer(query, false).await.body;
    let page = StreamPage::parse(&served).expect("a page");
    let rewrite = |form: fn(&Value) -> Value| {
        let mut body: Value = serde_json::from_slice(&served).expect("JSON");
        body["lastEventId"] = form(&body["lastEventId"]);
        for record in body["records"].as_array_mut().expect("records") {
            record["eventId"] = form(&record["eventId"]);
        }
        StreamPage::parse(body.to_string().as_bytes())
    };
    let texts: fn(&Value) -> Value = |id| {
        let text = |name: &str| id[name].to_string();
        json!({"commitNum": text("commitNum"), "opNum": text("opNum")})
    };
    let joined: fn(&Value) -> Value = |id| json!(format!("{}:{}", id["commitNum"], id["opNum"]));
    assert_eq!(rewrite(texts).as_ref(), Ok(&page));
    assert_eq!(rewrite(joined).as_ref(), Ok(&page));
}

#[tokio::test]
async fn a_page_is_compressed_for_who_accepts_it() {
    let fixture = Fixture::with_people().await;
    let query = "iteratorType=TRIM_HORIZON&limit=100";
    let plain = fixture.graph.answer(query, false).await;
    let packed = fixture.graph.answer(query, true).await;
    assert_eq!(packed.content_encoding, Some("gzip"));
    let mut body = Vec::new();
    flate2::read::GzDecoder::new(&packed.body[..])
        .read_to_end(&mut body)
        .expect("gzip");
    assert_eq!(body, plain.body);
    let error = fixture.graph.answer("commitNum=99", true).await;
    assert_eq!((error.status, error.content_encoding), (404, None));
}

#[tokio::test]
async fn errors_have_the_services_own_codes_and_texts() {
    let empty = Fixture::new();
    let future = "Requested startEventId is from the future.";
    let (status, body) = empty.wire("commitNum=1").await;
    assert_eq!(status, 404);
    assert_eq!(body["code"], "StreamRecordsNotFoundException");
    assert_eq!(
        (&body["detailedMessage"], &body["message"]),
        (&json!(future), &json!(future))
    );
    assert!(body["requestId"].as_str().is_some_and(|id| id.len() == 36));

    let fixture = Fixture::with_people().await;
    let probe = format!("commitNum={}&limit=1", i64::MAX);
    let (status, body) = fixture.wire(&probe).await;
    assert_eq!(status, 404);
    let last_valid = format!("{future} Last valid eventId is [commitNum = 1, opNum = 7]");
    assert_eq!(body["detailedMessage"], last_valid.as_str());

    for query in [
        "",
        "limit=0&commitNum=1",
        "iteratorType=NEWEST",
        "commitNum=one",
    ] {
        let (status, body) = fixture.wire(query).await;
        assert_eq!(
            (status, &body["code"]),
            (400, &json!("InvalidParameterException")),
            "{query}"
        );
    }

    fixture.graph.set_stream_enabled(false);
    let (status, body) = fixture.wire("commitNum=1").await;
    assert_eq!(
        (status, &body["code"]),
        (400, &json!("UnsupportedOperationException"))
    );
    assert_eq!(
        fixture.fetch(Position::Latest, 1).await,
        Err(StreamFault::Disabled)
    );
    fixture.graph.set_stream_enabled(true);
    assert_eq!(fixture.wire("commitNum=1").await.0, 200);
}

/// Pages as published by AWS and by its users; the folder is given by the environment, because it is not ours to copy.
#[test]
fn published_pages_are_read_and_everything_else_is_refused() {
    let Some(folder) = std::env::var_os("PUBLISHED_FIXTURES") else {
        return;
    };
    let folder = Path::new(&folder);
    let folder = [folder.join("neptune"), folder.to_owned()]
        .into_iter()
        .find(|folder| folder.is_dir())
        .expect("PUBLISHED_FIXTURES is a folder");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("is readable") {
        let path = entry.expect("is readable").path();
        let name = path
            .file_name()
            .expect("a file")
            .to_string_lossy()
            .into_owned();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let mut body = std::fs::read(&path).expect("is readable");
        if name.contains("axios") {
            let wrapped: Value = serde_json::from_slice(&body).expect("JSON");
            body = wrapped["data"].to_string().into_bytes();
        }
        let refused = name.contains("sparql") || name.contains("error");
        let page = StreamPage::parse(&body);
        assert_eq!(page.is_err(), refused, "{name}: {page:?}");
        if let Ok(page) = page {
            assert_eq!(page.total_records, page.records.len() as u64, "{name}");
        }
        seen += 1;
    }
    assert!(seen > 0, "PUBLISHED_FIXTURES has no page");
}
