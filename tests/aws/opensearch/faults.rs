//! What a server says that has too much to do, breaks off or is gone. No server does so when it is told to, so a stub does;
//! what becomes of the documents is seen on a real one behind it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use iyagi_actors::ports::{Outcome, RejectionClass, SearchFault, SearchIndex};
use iyagi_messages::cursor::Cursor;
use iyagi_search::projection::Write;
use serde_json::{Value, json};

use super::{at, class, found, fresh, indexed, story};
use crate::servers::{osmem, unique};
use crate::stub::{Answer, Request, response, serve};

/// What is done with requests that write, in turn; then all are passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// This status for all of it.
    Status(u16),
    /// The connection ends before an answer.
    Reset,
    /// The documents are written, and half of the answer arrives.
    Truncated,
    /// The first document is written, and the others get this status.
    AllButOne(u64),
}

/// A server with a fault: in front of the real one.
fn faulty(faults: &[Fault]) -> (String, Arc<Mutex<Vec<usize>>>) {
    let faults: Mutex<VecDeque<Fault>> = Mutex::new(faults.iter().copied().collect());
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sizes);
    let url = serve(move |request| {
        if !request.path.starts_with("/_bulk") {
            return Answer::Whole(passed_on(request, &request.body));
        }
        let lines = request.body.split(|byte| *byte == b'\n').count() / 2;
        seen.lock().expect("sound").push(lines);
        match faults.lock().expect("sound").pop_front() {
            None => Answer::Whole(passed_on(request, &request.body)),
            Some(Fault::Status(status)) => {
                Answer::Whole(response(status, &[], b"{\"error\": \"no\"}"))
            }
            Some(Fault::Reset) => Answer::Cut(Vec::new()),
            Some(Fault::Truncated) => {
                let mut answer = passed_on(request, &request.body);
                answer.truncate(answer.len() / 2);
                Answer::Cut(answer)
            }
            Some(Fault::AllButOne(status)) => Answer::Whole(all_but_one(request, status)),
        }
    });
    (url, sizes)
}

fn all_but_one(request: &Request, status: u64) -> Vec<u8> {
    let lines: Vec<&[u8]> = request
        .body
        .split_inclusive(|byte| *byte == b'\n')
        .collect();
    let (first, others) = lines.split_at(2);
    let (_, mut answer) = ask(request, &first.concat());
    let items = answer["items"].as_array_mut().expect("items");
    items.extend((0..others.len() / 2).map(|_| {
        let error = json!({"type": "rejected_execution_exception", "reason": "too much to do"});
        json!({"index": {"status": status, "error": error}})
    }));
    response(200, &[], answer.to_string().as_bytes())
}

fn passed_on(request: &Request, body: &[u8]) -> Vec<u8> {
    let (status, answer) = ask(request, body);
    response(status, &[], answer.to_string().as_bytes())
}

fn ask(request: &Request, body: &[u8]) -> (u16, Value) {
    let agent = ureq::Agent::config_builder().http_status_as_error(false);
    let agent: ureq::Agent = agent.build().into();
    let asked = ureq::http::Request::builder()
        .method(request.method.as_str())
        .uri(format!("{}{}", osmem().url(), request.path))
        .header("content-type", "application/json")
        .body(body.to_vec());
    let mut answer = agent.run(asked.expect("a request")).expect("an answer");
    let status = answer.status().as_u16();
    let body = answer.body_mut().read_to_string().expect("text");
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

fn stories(commits: std::ops::RangeInclusive<u64>) -> Vec<Write> {
    commits
        .map(|commit| indexed(commit, story(&format!("{commit:04}"), "봄")))
        .collect()
}

#[tokio::test]
async fn documents_that_the_server_has_no_time_for_are_told_apart_from_those_that_it_took() {
    for status in [429, 503] {
        let (url, _) = faulty(&[Fault::AllButOne(status)]);
        let index = at(&url, &unique("iyagi"));
        let outcomes = index.write(stories(1..=3)).await.expect("answers");
        let expected = [Outcome::Written, Outcome::Throttled, Outcome::Throttled];
        assert_eq!(outcomes, expected, "{status}");
    }
}

#[tokio::test]
async fn a_request_that_is_too_much_is_to_be_made_smaller_and_one_document_that_is_too_much_is_rejected()
 {
    let (url, _) = faulty(&[Fault::Status(429), Fault::Status(413), Fault::Status(413)]);
    let index = at(&url, &unique("iyagi"));
    for _ in 0..2 {
        let outcomes = index.write(stories(1..=2)).await.expect("answers");
        assert_eq!(outcomes, [Outcome::Throttled, Outcome::Throttled]);
    }
    let outcomes = index.write(stories(1..=1)).await.expect("answers");
    assert_eq!(class(&outcomes[0]), Some(RejectionClass::TooLarge));
}

#[tokio::test]
async fn whatever_breaks_in_between_nothing_is_taken_for_written_and_all_of_it_can_be_sent_again() {
    for fault in [
        Fault::Status(503),
        Fault::Status(500),
        Fault::Reset,
        Fault::Truncated,
    ] {
        let (url, _) = faulty(&[fault]);
        let index = at(&url, &unique("iyagi"));
        let written = index.write(stories(1..=3)).await;
        assert!(
            matches!(written, Err(SearchFault::Unavailable(_))),
            "{fault:?}: {written:?}"
        );
        let cursor = index.begin().await;
        assert_eq!(cursor, Ok(Cursor::START), "{fault:?}");
        let again = index.write(stories(1..=3)).await.expect("answers");
        let done = |outcome: &Outcome| matches!(outcome, Outcome::Written | Outcome::Newer);
        assert!(again.iter().all(done), "{fault:?}: {again:?}");
        index.commit(Cursor::new(3, 1)).await.expect("commits");
        assert_eq!(found(&index, "봄").await.len(), 3, "{fault:?}");
    }
}

#[tokio::test]
async fn credentials_that_do_not_suffice_are_no_fault_of_the_documents() {
    let (url, _) = faulty(&[Fault::Status(403), Fault::AllButOne(403)]);
    let index = at(&url, &unique("iyagi"));
    for _ in 0..2 {
        let written = index.write(stories(1..=3)).await;
        assert!(
            matches!(written, Err(SearchFault::Refused(_))),
            "{written:?}"
        );
    }
}

#[tokio::test]
async fn no_request_has_too_many_documents_or_bytes() {
    let (url, sizes) = faulty(&[]);
    let index = at(&url, &unique("iyagi"));
    index.write(stories(1..=2_100)).await.expect("answers");
    let told = std::mem::take(&mut *sizes.lock().expect("sound"));
    assert_eq!(told, [1_000, 1_000, 100]);
    // Three and a half megabytes of text, more with what it is found by.
    let long = "이야기 ".repeat(60_000);
    let large = (1..=6).map(|commit| indexed(commit, story(&format!("large-{commit}"), &long)));
    let outcomes = index.write(large.collect()).await.expect("answers");
    assert_eq!(outcomes, vec![Outcome::Written; 6]);
    let told = sizes.lock().expect("sound").clone();
    assert!(
        told.len() > 1 && told.iter().sum::<usize>() == 6,
        "{told:?}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_out_of_reach() {
    let index = at("http://127.0.0.1:9", "iyagi");
    let cursor = index.cursor().await;
    assert!(
        matches!(&cursor, Err(SearchFault::Unavailable(_))),
        "{cursor:?}"
    );
    // Until somebody writes there is no index, and that is said.
    let found = fresh().search(super::request("봄")).await;
    assert!(matches!(found, Err(SearchFault::Unavailable(_))));
}

#[tokio::test]
async fn the_next_page_begins_behind_the_last_hit_as_it_was_told() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let url = serve(move |request| {
        if !request.path.contains("/_search?") {
            return Answer::Whole(response(404, &[], b"{}"));
        }
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        seen.lock()
            .expect("sound")
            .push(body["search_after"].clone());
        // Shortest digits of a `float`, as OpenSearch tells scores.
        let hit = r#"{"_id": "a", "_version": 1048577, "sort": [0.021393117, "00000000000000ff"],
            "_source": {"entity_id": "a", "entity_type": [], "document_type": "vertex", "predicates": {}}}"#;
        let found = format!(r#"{{"hits": {{"hits": [{hit}]}}}}"#);
        Answer::Whole(response(200, &[], found.as_bytes()))
    });
    let index = at(&url, "iyagi");
    let page = index.search(super::request("봄")).await.expect("answers");
    // As a client gives it back.
    let after = page.hits[0].place.to_string().parse().expect("a place");
    let request = iyagi_search::hits::Request {
        after: Some(after),
        ..super::request("봄")
    };
    index.search(request).await.expect("answers");
    let asked = asked.lock().expect("sound").clone();
    assert_eq!(asked[0], Value::Null);
    assert_eq!(asked[1][1], "00000000000000ff");
    let score = asked[1][0].as_f64().expect("a number");
    assert_eq!((score as f32).to_bits(), 0.021_393_117_f32.to_bits());
}

#[tokio::test]
async fn an_answer_that_no_memory_should_hold_is_not_read() {
    let url = serve(|_| {
        let endless = "HTTP/1.1 200 Said\r\ncontent-length: 1000000000000\r\n\r\n{";
        Answer::Cut(endless.as_bytes().to_vec())
    });
    let asked = at(&url, "iyagi").cursor().await;
    assert!(
        matches!(&asked, Err(SearchFault::Unavailable(why)) if why.contains("more than")),
        "{asked:?}"
    );
}
