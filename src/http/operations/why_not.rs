//! Why somebody was, or was not, told of a change.

use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use iyagi_actors::subscription_matcher::{GRAPH_SNAPSHOT, GRAPH_VERSION};
use iyagi_messages::ids::{ElementId, PersonId};

use crate::embedded::journal::JournalReader;
use crate::hindsight::why_not::{About, Answer, Question};
use crate::hindsight::{Hindsight, PastFault};
use crate::http::State;
use crate::http::journalled;
use crate::http::problem::{Kind, Problem};
use crate::http::request::Query;
use crate::http::response;
use crate::surface::Surface;

/// What a question consists of.
pub(in crate::http) const PARAMETERS: [&str; 3] = ["person", "commit", "element"];

/// Why somebody was, or was not, told of a change: what each rule says of it, and what became of the pushes.
///
/// The change is named by either `commit` or `element`. It may read the whole journal and the change log.
#[utoipa::path(
    get,
    path = "/v1/ops/why-not",
    operation_id = "explain",
    tag = "journal",
    params(
        ("person" = PersonId, Query, description = "Who was, or was not, told"),
        ("commit" = Option<i64>, Query, minimum = 1, description = "All that a commit did"),
        ("element" = Option<ElementId>, Query, description = "The last that was done to a vertex or an edge"),
    ),
    responses((status = 200, description = "The answer", body = Answer)),
    extensions(("x-problems" = json!([Kind::NotFound, Kind::Unavailable])))
)]
pub async fn answer(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request, &PARAMETERS)?;
    Ok(response::ok(&explained(&state.surface, &query).await?))
}

/// The answer to a query of [`PARAMETERS`].
pub(in crate::http) async fn explained(
    surface: &Surface,
    query: &Query,
) -> Result<Answer, Problem> {
    let person = PersonId::from(query.required("person")?);
    let about = match (query.text("commit"), query.text("element")) {
        (Some(_), None) => About::Commit(query.number("commit", 1..=i64::MAX as u64, 1)?),
        (None, Some(_)) => About::Element(query.required("element")?.into()),
        _ => {
            let detail = "name the change by either `commit` or `element`";
            return Err(Problem::invalid("commit", detail));
        }
    };
    let newest = surface.journal.snapshot(GRAPH_SNAPSHOT, GRAPH_VERSION);
    let newest = newest
        .await
        .map_err(|fault| journalled::problem_of(&fault))?;
    let path = surface.journal_path.clone();
    let stream = Arc::clone(&surface.stream);
    let (templates, model) = (Arc::clone(&surface.templates), surface.config.graph.clone());
    let bounds = surface.config.stream.commit;
    let what = query.text("element").unwrap_or_default().to_owned();
    let runtime = tokio::runtime::Handle::current();
    // Whole journals are read, which no listener's thread should wait for.
    let answered = tokio::task::spawn_blocking(move || {
        let journal = JournalReader::open(&path)?;
        let hindsight = Hindsight::of_daemon(journal, stream, newest, bounds)?;
        let question = Question {
            person: &person,
            about,
            model: &model,
            templates: &templates,
        };
        runtime.block_on(hindsight.why_not(&question))
    });
    let answered = answered
        .await
        .map_err(|error| Problem::internal("looking back", &error))?;
    match answered {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(Problem::new(
            Kind::NotFound,
            format!("the change log has no change of {what}"),
        )),
        Err(PastFault::Journal(fault)) => Err(journalled::problem_of(&fault)),
        Err(fault @ PastFault::NotYet { .. }) => {
            Err(Problem::new(Kind::NotFound, fault.to_string()))
        }
        Err(fault @ (PastFault::Stream(_) | PastFault::Gap(_))) => {
            Err(Problem::new(Kind::Unavailable, fault.to_string()))
        }
        Err(fault) => Err(Problem::internal("looking back", &fault)),
    }
}
