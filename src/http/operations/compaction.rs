//! `/v1/ops/compaction`: has what is over taken out of the journal now, and tells how that goes.
//!
//! A run may take minutes, so an order only begins one; whoever wants to know looks again.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::CompactionRequested;
use iyagi_messages::ids::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::WRITER;
use super::access::Operator;
use super::order::{self, BECAUSE};
use crate::embedded::journal::{Compaction, CompactionStanding, Outcome};
use crate::http::State;
use crate::http::journalled;
use crate::http::openapi::orders::CompactionOrder;
use crate::http::problem::{Kind, Problem};
use crate::http::request::Query;
use crate::http::response;
use crate::retention::kept_since;
use crate::surface::Surface;

/// Every client can tell whole numbers up to this one apart.
const BEFORE_MAX: u64 = 9_007_199_254_740_991;

/// How compaction stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Compaction)]
struct View {
    #[serde(flatten)]
    standing: CompactionStanding,
    /// What the last run did, of those since the daemon came up.
    #[schema(required)]
    last: Option<Outcome>,
    /// Only of a dry run: what a run would do.
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<Outcome>,
}

/// How compaction stands, and what the last run did.
#[utoipa::path(
    get,
    path = "/v1/ops/compaction",
    operation_id = "showCompaction",
    tag = "journal",
    responses((status = 200, description = "As it is now", body = View)),
    extensions(("x-problems" = json!([Kind::Unavailable])))
)]
pub async fn show(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let compaction = compaction(&state.surface)?;
    Ok(response::ok(&view(compaction, None)))
}

/// Has what is over taken out of the journal now, or tells what that would be.
#[utoipa::path(
    post,
    path = "/v1/ops/compaction",
    operation_id = "orderCompaction",
    tag = "journal",
    request_body = Option<CompactionOrder>,
    responses(
        (status = 200, description = "A dry run: what a run would do is in `preview`", body = View),
        (status = 202, description = "A run is to begin: `runs` grows when it has ended", body = View),
    ),
    extensions(("x-problems" = json!([
        Kind::Unavailable, Kind::Contended, Kind::StorageFull, Kind::Internal
    ])))
)]
pub async fn order(
    state: Data<State>,
    request: HttpRequest,
    Operator { name: by, .. }: Operator,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let surface = &state.surface;
    let compaction = compaction(surface)?;
    let mut fields = order::body(&request, payload).await?;
    let before: Option<u64> = fields.optional("before")?;
    let dry_run = fields.optional("dry_run")?.unwrap_or(false);
    let because = order::because(&mut fields)?;
    fields.end(&["before", "dry_run", BECAUSE])?;
    let before = match before {
        Some(ms) => moment(ms)?,
        None => old_enough(surface)?,
    };
    if dry_run {
        let preview = compaction.preview(before).await;
        let preview = preview.map_err(|fault| Problem::internal("the journal", &fault))?;
        return Ok(response::ok(&view(compaction, Some(preview))));
    }
    if !compaction.leads() {
        return Err(of_leader(surface));
    }
    let wish = CompactionRequested {
        before,
        by,
        because,
    };
    tracing::info!(
        before = before.0,
        by = wish.by,
        because = wish.because,
        "an operator has the journal compacted"
    );
    journal(surface, wish).await?;
    compaction.order(before);
    Ok(HttpResponse::Accepted().json(view(compaction, None)))
}

fn compaction(surface: &Surface) -> Result<&Compaction, Problem> {
    surface.compaction.as_deref().ok_or_else(|| {
        let detail = "`journal.retention.exports` names no bucket, which the journal of a fleet is exported to before anything \
                      is taken out of it";
        Problem::new(Kind::Unavailable, detail)
    })
}

/// Another host does it.
fn of_leader(surface: &Surface) -> Problem {
    let leader = surface.tree.projections.members().leader.clone();
    let leader = leader.map_or_else(|| "nobody leads yet".to_owned(), |it| format!("{it} leads"));
    let detail = format!(
        "the journal of a fleet is compacted by the host that leads, and this one does not: {leader}"
    );
    Problem::new(Kind::Unavailable, detail)
}

fn moment(ms: u64) -> Result<Timestamp, Problem> {
    let known = i64::try_from(ms).ok().filter(|_| ms <= BEFORE_MAX);
    known.map(Timestamp).ok_or_else(|| {
        let detail = format!("`before` is at most {BEFORE_MAX}, in milliseconds since 1970");
        Problem::invalid("before", detail)
    })
}

fn old_enough(surface: &Surface) -> Result<Timestamp, Problem> {
    let days = surface.config.journal_keep_days().ok_or_else(|| {
        let detail = "`before` is missing, and `journal.retention.keep_days` is 0";
        Problem::invalid("before", detail)
    })?;
    Ok(kept_since(surface.clock.now(), days))
}

fn view(compaction: &Compaction, preview: Option<Outcome>) -> View {
    View {
        standing: compaction.standing(),
        last: compaction.last(),
        preview,
    }
}

async fn journal(surface: &Surface, wish: CompactionRequested) -> Result<(), Problem> {
    let entity = Entity::new("journal", "iyagi");
    journalled::note(&*surface.journal, WRITER, entity, wish).await
}
