//! Commits to the graph, and its change log as Neptune serves it.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::embedded::graph::Problem as Reason;
use crate::embedded::graph::{CommitRejected, CommitRequest, Committed, EmbeddedGraph, wire};
use crate::embedded::sqlite::DatabaseError;
use crate::http::State;
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Query};
use crate::http::response;
use crate::surface::OneMachine;

/// `POST /v1/graph/commits`
pub async fn commit(
    state: Data<State>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let bytes_max = state.surface.config.http.body_bytes_max as u64;
    let _place = state.transfer().await?;
    let body = request::body(&request, payload, bytes_max).await?;
    let committed = apply(&here(&state)?.graph, body).await?;
    // A commit that changes nothing gets no number of its own, so nothing was created.
    let status = if committed.records == 0 {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok(response::json(status, &committed))
}

/// `GET /propertygraph/stream`, `/pg/stream` and `/gremlin/stream`: bodies and errors are those of the service.
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
