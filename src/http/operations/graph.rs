//! Commits to the graph, and its change log as Neptune serves it.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::embedded::graph::Problem as Reason;
use crate::embedded::graph::{CommitRejected, CommitRequest, Committed, EmbeddedGraph, wire};
use crate::embedded::sqlite::DatabaseError;
use crate::http::State;
use crate::http::body;
use crate::http::openapi::neptune::{ChangeLogError, ChangePage, IteratorType};
use crate::http::openapi::orders::GraphCommit;
use crate::http::problem::{Kind, Problem};
use crate::http::request::Query;
use crate::http::response;
use crate::surface::OneMachine;

/// Commits to the graph. It is applied whole, or refused whole.
#[utoipa::path(
    post,
    path = "/v1/graph/commits",
    operation_id = "commit",
    tag = "graph",
    request_body = GraphCommit,
    responses(
        (status = 201, description = "A new commit", body = Committed),
        (status = 200, description = "It changes nothing", body = Committed),
    ),
    extensions(("x-problems" = json!([Kind::CommitUnreadable, Kind::Elsewhere, Kind::CommitRejected, Kind::StorageFull])))
)]
pub async fn commit(
    state: Data<State>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let bytes_max = state.surface.config.http.body_bytes_max as u64;
    let _place = state.transfers.place().await;
    let body = body::read(&request, payload, bytes_max).await?;
    let committed = apply(&here(&state)?.graph, body).await?;
    // A commit that changes nothing gets no number of its own, so nothing was created.
    let status = if committed.records == 0 {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok(response::json(status, &committed))
}

/// The change log as Amazon Neptune serves it, with its own errors.
///
/// Parameters that it does not know are ignored.
#[utoipa::path(
    get,
    path = "/propertygraph/stream",
    operation_id = "readChanges",
    tag = "graph",
    params(
        ("iteratorType" = inline(Option<IteratorType>), Query, description = "`AT_SEQUENCE_NUMBER` if absent"),
        ("commitNum" = Option<i64>, Query, minimum = 0, description = "Where a sequence number is asked for"),
        ("opNum" = Option<i64>, Query, minimum = 0, description = "1 if absent"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100_000, description = "Records; 10 if absent"),
    ),
    responses(
        (status = 200, description = "A page", body = ChangePage),
        (status = 400, description = "What cannot be asked for", body = ChangeLogError),
        (status = 404, description = "There is nothing there, or not yet", body = ChangeLogError),
        (status = 500, description = "It failed", body = ChangeLogError),
    ),
    extensions(("x-problems" = json!([Kind::Elsewhere])))
)]
pub async fn stream(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let gzip = response::takes_gzip(request.headers());
    let graph = &here(&state)?.graph;
    let answer = graph.answer(request.query_string(), gzip).await;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.content_type(wire::CONTENT_TYPE);
    if let Some(encoding) = answer.content_encoding {
        response.insert_header((header::CONTENT_ENCODING, encoding));
    }
    Ok(response.body(answer.body))
}

fn here(state: &State) -> Result<&OneMachine, Problem> {
    state.surface.one_machine.as_ref().ok_or_else(|| {
        Problem::new(
            Kind::Elsewhere,
            "the graph is a Neptune cluster: write to it there, and read its stream there",
        )
    })
}

async fn apply(graph: &EmbeddedGraph, body: Vec<u8>) -> Result<Committed, Problem> {
    // A large commit takes longer to read than other requests should wait.
    let parsed = tokio::task::spawn_blocking(move || CommitRequest::parse(&body)).await;
    let parsed = parsed.map_err(|error| Problem::internal("reading the commit", &error))?;
    let commit = parsed.map_err(|rejected| refused(&rejected))?;
    graph
        .commit_request(commit)
        .await
        .map_err(|error| match error {
            DatabaseError::Refused(rejected) => refused(&rejected),
            DatabaseError::Stopped { .. } => Problem::new(
                Kind::StorageFull,
                "the graph takes no more writes: free the disk and start the daemon again",
            ),
            other => Problem::internal("the graph", &other),
        })
}

fn refused(rejected: &CommitRejected) -> Problem {
    let kind = match rejected.problem {
        Reason::NotJson { .. } | Reason::NoList => Kind::CommitUnreadable,
        _ => Kind::CommitRejected,
    };
    let mut problem = Problem::new(kind, rejected.to_string()).with("pointer", rejected.pointer());
    if let Some(index) = rejected.index {
        problem = problem.with("index", index);
    }
    if let Some(field) = rejected.field() {
        problem = problem.with("field", field);
    }
    problem.with("cure", rejected.cure())
}
