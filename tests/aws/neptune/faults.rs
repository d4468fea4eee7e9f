//! What every answer but a page means, told by the service's own words and by none.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use iyagi::aws::neptune::PAGE_BYTES_MAX;
use iyagi_actors::ports::{ChangeStream, Position, StreamFault};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::stream::StreamPage;

use super::client::{impatient_stream, stream};
use super::fake::{Reply, Server};

const BEHIND: Position = Position::After(Cursor::new(5, 1));

/// What the adapter makes of a reply, and how often it asked.
async fn fetch(reply: Reply) -> (Result<StreamPage, StreamFault>, usize) {
    let server = Server::always(reply);
    let answer = stream(server.url()).fetch(BEHIND, 10).await;
    (answer, server.requests().len())
}

async fn fault(reply: Reply) -> StreamFault {
    let (answer, _) = fetch(reply).await;
    answer.expect_err("is no page")
}

fn not_found(commit: u64, op: u64) -> StreamFault {
    StreamFault::NotFound {
        last_valid: Some(Cursor::new(commit, op)),
    }
}

#[tokio::test]
async fn every_exception_of_the_service_has_its_own_meaning() {
    let future = "Requested startEventId is from the future.";
    let told = format!("{future} Last valid eventId is [commitNum = 1132, opNum = 200]");
    let far = format!("{future} Last valid eventId is [commitNum = 9007199254740993, opNum = 7]");
    let tip = "StreamRecordsNotFoundException";
    let nothing = StreamFault::NotFound { last_valid: None };
    // Status, code, text, meaning, and whether the SDK asks again by itself.
    for (status, code, detail, expected, repeats) in [
        (404, tip, &*told, not_found(1132, 200), false),
        (404, tip, &*far, not_found((1 << 53) + 1, 7), false),
        (404, tip, future, nothing, false),
        (
            400,
            "ExpiredStreamException",
            "",
            StreamFault::Expired,
            false,
        ),
        (
            400,
            "UnsupportedOperationException",
            "",
            StreamFault::Disabled,
            false,
        ),
        (500, "ThrottlingException", "", StreamFault::Throttled, true),
        (
            429,
            "TooManyRequestsException",
            "",
            StreamFault::Throttled,
            true,
        ),
        (
            500,
            "MemoryLimitExceededException",
            "",
            StreamFault::MemoryLimit,
            true,
        ),
    ] {
        let (answer, asked) = fetch(Reply::error(status, code, detail)).await;
        assert_eq!(answer, Err(expected), "{code}: {detail}");
        assert_eq!(asked > 1, repeats, "{code} was asked for {asked} times");
    }
}

#[tokio::test]
async fn a_refused_request_is_a_bug_that_says_which_one() {
    for code in [
        "InvalidParameterException",
        "InvalidArgumentException",
        "IllegalArgumentException",
        "PreconditionsFailedException",
        "ConstraintViolationException",
    ] {
        match fault(Reply::error(400, code, "limit is out of range")).await {
            StreamFault::InvalidRequest(reason) => {
                assert!(
                    reason.contains(code) && reason.contains("limit is out of range"),
                    "{reason}"
                );
            }
            other => panic!("{code}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn whoever_is_not_let_in_is_told_what_to_allow() {
    for reply in [
        Reply::error(403, "AccessDeniedException", "no role of yours may"),
        Reply::error(403, "MissingAuthenticationTokenException", ""),
        Reply::html(403),
        Reply::empty(401),
    ] {
        let denied = fault(reply).await;
        assert!(matches!(denied, StreamFault::Denied(_)), "{denied:?}");
        assert!(denied.to_string().contains("neptune-db:GetStreamRecords"));
    }
}

#[tokio::test]
async fn an_answer_that_is_not_the_services_own_is_never_the_end_of_the_log() {
    for reply in [
        Reply::empty(404),
        Reply::html(404),
        Reply::empty(500),
        Reply::html(502),
        Reply::empty(503),
        Reply::html(504),
        Reply::empty(302),
        Reply::new(404, "application/json", "{}"),
        Reply::new(
            404,
            "application/json",
            r#"{"detailedMessage": "Last valid eventId is [commitNum = 5, opNum = 1]"}"#,
        ),
        Reply::error(500, "InternalFailureException", "broken"),
        Reply::error(500, "ClientTimeoutException", "too slow"),
        Reply::error(400, "SomethingNewException", "?"),
        Reply::error(404, "StreamRecordsNotFoundException", "").cut(),
    ] {
        let answer = fault(reply.clone()).await;
        assert!(
            matches!(answer, StreamFault::Unreachable(_)),
            "{reply:?}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn an_error_that_comes_compressed_is_still_read() {
    let detail = "Last valid eventId is [commitNum = 5, opNum = 1]";
    let packed = Reply::error(404, "StreamRecordsNotFoundException", detail).gzip();
    assert_eq!(fault(packed).await, not_found(5, 1));
}

#[tokio::test]
async fn a_page_that_is_not_whole_is_not_used_at_all() {
    let page = include_str!("pages/numbers.json");
    let bomb = Reply::json(vec![b' '; PAGE_BYTES_MAX + 1]);
    for (reply, reason) in [
        (Reply::json(page).halved(), "unknown shape"),
        (Reply::json(page).gzip().halved(), "gzip"),
        (Reply::json(page).encoded("gzip"), "gzip"),
        (Reply::json(page).encoded("br"), "`br`"),
        (Reply::json(""), "unknown shape"),
        (Reply::json("{}"), "unknown shape"),
        (Reply::html(200), "unknown shape"),
        (Reply::html(200).gzip(), "unknown shape"),
        (Reply::json(format!("{page} and more")), "unknown shape"),
        (bomb.gzip(), "larger than"),
    ] {
        match fault(reply.clone()).await {
            StreamFault::Unparsable(text) => assert!(text.contains(reason), "{text}"),
            other => panic!("{reply:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_page_whose_connection_breaks_is_asked_for_again_and_never_half_used() {
    let page = Reply::json(include_str!("pages/numbers.json"));
    for broken in [page.clone().cut(), page.clone().gzip().cut()] {
        let (answer, asked) = fetch(broken).await;
        assert!(
            matches!(answer, Err(StreamFault::Unreachable(_))),
            "{answer:?}"
        );
        assert!(asked > 1, "a cut connection is worth another try");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_given_up() {
    let page = Reply::json(include_str!("pages/numbers.json"));
    let server = Server::always(page.slow(Duration::from_millis(400)));
    let hasty = impatient_stream(server.url(), Duration::from_millis(100));
    let answer = hasty.fetch(BEHIND, 10).await;
    assert!(
        matches!(answer, Err(StreamFault::Unreachable(_))),
        "{answer:?}"
    );
    let patient = impatient_stream(server.url(), Duration::from_secs(30));
    assert!(patient.fetch(BEHIND, 10).await.is_ok());
}

#[tokio::test]
async fn a_cluster_that_is_not_there_cannot_be_reached() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let answer = stream(&url).fetch(BEHIND, 10).await;
    assert!(
        matches!(answer, Err(StreamFault::Unreachable(_))),
        "{answer:?}"
    );
}
