//! The search index on OpenSearch.
//!
//! # Layout
//! - this file: the port's contract, and what only this index has, on a real server
//! - `faults`: what a server says that has too much to do, breaks off or is gone
//! - `signing`: requests as AWS demands them
//! - `daemon`: the whole way, from a commit to what a person finds, and from a rejected document to its redrive

mod daemon;
mod faults;
mod signing;

use std::sync::Arc;
use std::time::Duration;

use iyagi::aws::opensearch::OpenSearch;
use iyagi::clock::SystemClock;
use iyagi::config::OpenSearchConfig;
use iyagi_actors::ports::{Outcome, RejectionClass, SearchFault, SearchIndex, contract};
use iyagi_messages::change::ElementKind;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::stream::TypedValue;
use iyagi_search::document::{Document, DocumentId, PropertyValue, Version};
use iyagi_search::hits::Request;
use iyagi_search::projection::{Projection, Standing, Write};
use iyagi_search::query::Query;
use serde_json::{Value, json};

use crate::servers::{osmem, unique};

const TIMEOUT: Duration = Duration::from_secs(20);

/// An index under a name on a server, which is not spoken to yet.
fn at(url: &str, name: &str) -> OpenSearch {
    under(url, name, &contract::search_index::projection())
}

fn under(url: &str, name: &str, projection: &Projection) -> OpenSearch {
    let config = OpenSearchConfig {
        index: name.to_owned(),
        ..OpenSearchConfig::default()
    };
    let (projection, clock) = (projection.clone(), Arc::new(SystemClock));
    OpenSearch::new(url, &config, projection, None, TIMEOUT, clock).expect("an address")
}

fn fresh() -> OpenSearch {
    at(osmem().url(), &unique("iyagi"))
}

/// Asks the server itself.
fn raw(method: &str, path: &str, body: &Value) -> (u16, Value) {
    let agent = ureq::Agent::config_builder().http_status_as_error(false);
    let agent: ureq::Agent = agent.build().into();
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{}{path}", osmem().url()))
        .header("content-type", "application/json")
        .body(body.to_string());
    let answer = agent.run(request.expect("a request"));
    let mut answer = answer.expect("an answer");
    let status = answer.status().as_u16();
    let body = answer.body_mut().read_to_string().expect("text");
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

fn story(id: &str, title: &str) -> Document {
    let mut document = Document::new(ElementKind::Vertex, id.into());
    document.entity_type = vec!["Story".to_owned()];
    with(document, "title", &TypedValue::string(title))
}

fn with(mut document: Document, property: &str, value: &TypedValue) -> Document {
    let value = PropertyValue::of(value).expect("a value");
    document.predicates.insert(property.to_owned(), vec![value]);
    document
}

fn aged(id: &str, title: &str, data_type: &str, age: Value) -> Document {
    let age = TypedValue {
        value: age.into(),
        data_type: data_type.into(),
    };
    with(story(id, title), "age", &age)
}

fn standing(commit: u64, document: Document) -> Standing {
    let version = Version::of(Cursor::new(commit, 1)).expect("a small commit");
    Standing { version, document }
}

fn indexed(commit: u64, document: Document) -> Write {
    Write::Index(standing(commit, document))
}

fn class(outcome: &Outcome) -> Option<RejectionClass> {
    match outcome {
        Outcome::Rejected(rejection) => Some(rejection.class),
        _ => None,
    }
}

fn request(query: &str) -> Request {
    Request {
        query: Query::parse(query).expect("a query"),
        types: Vec::new(),
        owner: None,
        limit: 100,
        after: None,
    }
}

async fn found(index: &OpenSearch, query: &str) -> Vec<String> {
    let page = index.search(request(query)).await.expect("answers");
    let hits = page.hits.into_iter();
    hits.map(|hit| hit.standing.document.entity_id.to_string())
        .collect()
}

#[tokio::test]
async fn keeps_the_contract() {
    // This server compares scores in more digits than it tells, so that no page can begin among equal ones: `faults` has
    // what is asked for the next page.
    contract::search_index::all_but_pages(&mut async || fresh()).await;
    let name = unique("iyagi");
    contract::search_index::an_index_of_another_projection_is_searched_and_not_written(
        async |projection| under(osmem().url(), &name, projection),
    )
    .await;
}

#[tokio::test]
async fn neptunes_own_full_text_search_reads_the_same_index() {
    let name = unique("iyagi");
    let index = at(osmem().url(), &name);
    let document = aged("151", "A spring song", "Int", json!(42));
    let outcomes = index.write(vec![indexed(1, document)]).await;
    assert_eq!(outcomes, Ok(vec![Outcome::Written]));
    index.commit(Cursor::new(1, 1)).await.expect("commits");
    let query = json!({"query": {"bool": {"must": [
        {"match": {"predicates.title.value": "song"}},
        {"term": {"predicates.title.value.keyword": "A spring song"}},
        {"range": {"predicates.age.value": {"gte": 40}}},
        {"term": {"predicates.age.datatype": "Int"}},
    ]}}});
    let (_, answer) = raw("POST", &format!("/{name}/_search"), &query);
    let hit = &answer["hits"]["hits"][0];
    // `printf v://151 | md5sum`
    assert_eq!(hit["_id"], "723c31fc529b23952d1f21b165a8f437", "{answer}");
    let expected = json!({
        "entity_id": "151", "entity_type": ["Story"], "document_type": "vertex",
        "predicates": {"title": [{"value": "A spring song"}], "age": [{"value": 42, "datatype": "Int"}]},
    });
    assert_eq!(hit["_source"], expected);
}

#[tokio::test]
async fn a_document_that_the_mapping_refuses_is_rejected_and_stays_whole_and_found() {
    let name = unique("iyagi");
    let index = at(osmem().url(), &name);
    let strange = || indexed(2, aged("b", "여름 노래", "String", json!("many")));
    index
        .write(vec![indexed(1, aged("a", "봄 노래", "Int", json!(42)))])
        .await
        .expect("answers");
    // A crash before the letter is written: the same comes again, and must not pass for done.
    for _ in 0..2 {
        let outcomes = index
            .write(vec![strange(), indexed(2, story("c", "겨울 노래"))])
            .await;
        let outcomes = outcomes.expect("answers");
        assert_eq!(
            class(&outcomes[0]),
            Some(RejectionClass::Mapping),
            "{outcomes:?}"
        );
    }
    index.commit(Cursor::new(2, 1)).await.expect("commits");
    let whole = standing(2, aged("b", "여름 노래", "String", json!("many")));
    let id = whole.document.id();
    assert_eq!(index.standing(&[id]).await, Ok(vec![whole.clone()]));
    assert_eq!(found(&index, "여름").await, ["b"]);
    let again = index.retry(&id).await.expect("answers");
    assert_eq!(class(&again), Some(RejectionClass::Mapping));
    // Somebody mends the mapping.
    let mended = json!({"properties": {"predicates": {"properties": {"age": {"properties": {
        "value": {"type": "long", "ignore_malformed": true},
    }}}}}});
    let (status, told) = raw("PUT", &format!("/{name}/_mapping"), &mended);
    assert_eq!(status, 200, "{told}");
    assert_eq!(index.retry(&id).await, Ok(Outcome::Written));
    assert_eq!(index.standing(&[id]).await, Ok(vec![whole]));
    let (_, kept) = raw("GET", &format!("/{name}/_doc/{id}"), &Value::Null);
    assert_eq!(
        kept["_source"]["predicates"]["age"],
        json!([{"value": "many"}])
    );
    assert_eq!(kept["_source"].get("iyagi_aside"), None);
    let never = DocumentId::of(ElementKind::Vertex, &"never".into());
    assert_eq!(index.retry(&never).await, Ok(Outcome::Newer));
}

#[tokio::test]
async fn a_new_index_takes_the_place_of_the_old_in_one_step_and_its_writer_goes_over_to_it() {
    let name = unique("iyagi");
    let writer = at(osmem().url(), &name);
    writer
        .write(vec![indexed(1, story("old", "봄"))])
        .await
        .expect("answers");
    writer.commit(Cursor::new(9, 1)).await.expect("commits");
    let (before, _) = writer.look().await.expect("answers").expect("an index");
    let (new, beside) = writer.beside().await.expect("begins");
    assert_eq!(new.cursor().await, Ok(Cursor::START));
    new.write(vec![indexed(1, story("new", "봄"))])
        .await
        .expect("answers");
    new.commit(Cursor::new(7, 1)).await.expect("commits");
    assert_eq!(new.documents().await, Ok(1));
    assert_eq!(found(&writer, "봄").await, ["old"]);
    beside.publish().await.expect("swaps");
    assert_eq!(found(&writer, "봄").await, ["new"]);
    // What was written to the old one is not in the new one: the writer must not say so.
    let committed = writer.commit(Cursor::new(10, 1)).await;
    assert!(
        matches!(committed, Err(SearchFault::Unavailable(_))),
        "{committed:?}"
    );
    assert_eq!(writer.begin().await, Ok(Cursor::new(7, 1)));
    writer.commit(Cursor::new(10, 1)).await.expect("commits");
    assert_eq!(writer.cursor().await, Ok(Cursor::new(10, 1)));
    for gone in [before.clone(), format!("{before}-cursor")] {
        assert_eq!(
            raw("HEAD", &format!("/{gone}"), &Value::Null).0,
            404,
            "{gone}"
        );
    }
}

#[tokio::test]
async fn a_cursor_never_goes_back() {
    let index = fresh();
    index.begin().await.expect("makes it");
    index.commit(Cursor::new(5, 2)).await.expect("commits");
    index
        .commit(Cursor::new(5, 1))
        .await
        .expect("a slower writer");
    assert_eq!(index.cursor().await, Ok(Cursor::new(5, 2)));
}

#[tokio::test]
async fn an_index_of_somebody_else_is_left_alone_until_a_rebuild_replaces_it() {
    let name = unique("iyagi");
    let foreign = json!({"mappings": {"properties": {"entity_id": {"type": "text"}}}});
    assert_eq!(raw("PUT", &format!("/{name}"), &foreign).0, 200);
    let index = at(osmem().url(), &name);
    let begun = index.begin().await;
    assert!(
        matches!(&begun, Err(SearchFault::Damaged(why)) if why.contains("no alias")),
        "{begun:?}"
    );
    let (new, beside) = index.beside().await.expect("begins");
    new.write(vec![indexed(1, story("a", "봄"))])
        .await
        .expect("answers");
    new.commit(Cursor::new(1, 1)).await.expect("commits");
    beside.publish().await.expect("swaps");
    assert_eq!(index.begin().await, Ok(Cursor::new(1, 1)));
    assert_eq!(found(&index, "봄").await, ["a"]);
}

#[tokio::test]
async fn an_index_of_another_format_is_refused() {
    let name = unique("iyagi");
    let definition = json!({"mappings": {"_meta": {"format": 0}}, "aliases": {&name: {}}});
    assert_eq!(raw("PUT", &format!("/{name}-1"), &definition).0, 200);
    let begun = at(osmem().url(), &name).begin().await;
    assert!(
        matches!(&begun, Err(SearchFault::Damaged(why)) if why.contains("format 0")),
        "{begun:?}"
    );
}

#[tokio::test]
async fn an_index_that_was_taken_away_is_not_made_by_a_write() {
    let name = unique("iyagi");
    let index = at(osmem().url(), &name);
    index.begin().await.expect("makes it");
    let (concrete, _) = index.look().await.expect("answers").expect("an index");
    raw("DELETE", &format!("/{concrete}"), &Value::Null);
    let written = index.write(vec![indexed(1, story("a", "봄"))]).await;
    assert!(
        matches!(written, Err(SearchFault::Unavailable(_))),
        "{written:?}"
    );
    assert_eq!(raw("HEAD", &format!("/{name}"), &Value::Null).0, 404);
}
