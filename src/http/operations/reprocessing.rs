//! `POST /v1/ops/media/reprocess`: has one upload worked on anew, whatever was made of it before.
//!
//! Its dead letters are redriven, and those who derive files from uploads make all of them again, as the presets are now. A
//! picture whose thumbnails are spoilt, a recording that a mended decoder reads: that is what it is for. A changed preset
//! needs none of it (`backfills`).

use std::time::Duration;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use iyagi_actors::dlq_keeper::Order;
use iyagi_actors::media_job::correlation;
use iyagi_actors::ports::StoreFault;
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::{Fact, ReprocessingRequested};
use iyagi_messages::ids::{EventId, LetterId, Seq};
use iyagi_messages::letter::Origin;
use iyagi_messages::object::{ObjectKey, Sequencer};
use serde::Serialize;
use utoipa::ToSchema;

use super::WRITER;
use super::access::Operator;
use super::dead_letters::{self, Fate};
use super::order::{self, BECAUSE};
use crate::http::State;
use crate::http::journalled::{self, Decision, problem_of};
use crate::http::openapi::orders::ReprocessingOrder;
use crate::http::problem::{Kind, Problem};
use crate::http::request::Query;
use crate::http::response;
use crate::surface::Surface;

/// How long the same wish of the same person is taken for the same one, unless something came of it before.
const SAME_WISH: Duration = Duration::from_mins(10);

/// What was ordered, and what of it was begun.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reprocessing)]
struct Ordered {
    key: ObjectKey,
    /// The event in the journal that says so; what comes of it follows from it.
    event: EventId,
    /// Whether the same was wished before, and nothing has come of it yet.
    repeated: bool,
    /// The dead letters that were redriven.
    redriven: Vec<LetterId>,
    /// Whether its files are made again.
    offered: bool,
}

/// Makes everything of one upload anew, and redrives its dead letters.
#[utoipa::path(
    post,
    path = "/v1/ops/media/reprocess",
    operation_id = "reprocessUpload",
    tag = "media",
    request_body = ReprocessingOrder,
    responses((status = 200, description = "What was begun", body = Ordered)),
    extensions(("x-problems" = json!([
        Kind::NotFound, Kind::Contended, Kind::StorageFull, Kind::Unavailable, Kind::StillRunning, Kind::Internal
    ])))
)]
pub async fn order(
    state: Data<State>,
    request: HttpRequest,
    Operator { name: by, .. }: Operator,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let mut fields = order::body(&request, payload).await?;
    let key: ObjectKey = fields.required("key")?;
    let because = order::because(&mut fields)?;
    fields.end(&["key", BECAUSE])?;
    let surface = &state.surface;
    let sequencer = recorded(surface, &key).await?;
    let letters = waiting_letters(surface, &key);
    if sequencer.is_none() && letters.is_empty() {
        let detail = format!("nothing is known of `{key}`, and no dead letter of it waits");
        return Err(Problem::new(Kind::NotFound, detail).with("field", "key"));
    }
    must_be_stored(surface, &key).await?;
    let wish = ReprocessingRequested {
        key,
        sequencer,
        by,
        because,
    };
    let (event, repeated) = journal(surface, &wish).await?;
    tracing::info!(
        key = %wish.key,
        by = wish.by,
        because = wish.because,
        repeated,
        "an operator has a file worked on anew"
    );
    Ok(response::ok(&Ordered {
        redriven: redrive(surface, letters, &wish).await?,
        offered: offer(surface, &wish, event).await?,
        key: wish.key,
        event,
        repeated,
    }))
}

/// The write of an object that its metadata is of.
async fn recorded(surface: &Surface, key: &ObjectKey) -> Result<Option<Sequencer>, Problem> {
    let item = surface.table.get(key).await;
    let item = item.map_err(|fault| Problem::internal("the metadata table", &fault))?;
    Ok(item.map(|item| item.sequencer))
}

fn waiting_letters(surface: &Surface, wanted: &ObjectKey) -> Vec<LetterId> {
    let outbox = surface.tree.projections.outbox();
    let letters = outbox.letters().map(|state| &state.letter);
    let mine = letters.filter(|letter| match &letter.origin {
        Origin::Object { key, .. } => key == wanted.as_str(),
        Origin::Push { .. } | Origin::Document { .. } => false,
    });
    mine.map(|letter| letter.id).collect()
}

async fn must_be_stored(surface: &Surface, key: &ObjectKey) -> Result<(), Problem> {
    match surface.store.head(key).await {
        Ok(_) => Ok(()),
        Err(StoreFault::NotFound(_)) => {
            let detail = format!("`{key}` is no longer stored, so nothing can be made of it");
            Err(Problem::new(Kind::NotFound, detail).with("field", "key"))
        }
        Err(fault) => Err(Problem::internal("the object store", &fault)),
    }
}

/// Writes the wish down, unless the same one has just been.
async fn journal(
    surface: &Surface,
    wish: &ReprocessingRequested,
) -> Result<(EventId, bool), Problem> {
    let entity = Entity::new("reprocessing", &wish.key);
    let corr = match &wish.sequencer {
        Some(sequencer) => correlation(&wish.key, sequencer),
        None => entity.to_string(),
    };
    journalled::settle(&*surface.journal, async || {
        let history = surface.journal.entity(&entity).await;
        let history = history.map_err(|fault| problem_of(&fault))?;
        let last = history.last();
        if let Some(last) = last
            && is_same(surface, last, wish).await?
        {
            return Ok(Decision::nothing((last.id, true)));
        }
        let (corr, entity, wish) = (corr.clone(), entity.clone(), wish.clone());
        let seen = last.map_or(Seq::default(), |event| event.seq);
        let decide = |event| (event, false);
        Ok(Decision::within(corr, WRITER, entity, seen, wish, decide))
    })
    .await
}

/// Whether an earlier wish says the same and is still to be fulfilled.
async fn is_same(
    surface: &Surface,
    earlier: &Event,
    wish: &ReprocessingRequested,
) -> Result<bool, Problem> {
    let age_ms = surface.clock.now().since_ms(earlier.at);
    if earlier.fact != Fact::from(wish.clone()) || u128::from(age_ms) > SAME_WISH.as_millis() {
        return Ok(false);
    }
    let came_of_it = surface.journal.caused_by(earlier.id).await;
    Ok(came_of_it.map_err(|fault| problem_of(&fault))?.is_empty())
}

async fn redrive(
    surface: &Surface,
    letters: Vec<LetterId>,
    wish: &ReprocessingRequested,
) -> Result<Vec<LetterId>, Problem> {
    if letters.is_empty() {
        return Ok(letters);
    }
    let order = Order {
        by: wish.by.clone(),
        because: wish.because.clone(),
    };
    let settled = dead_letters::ask(surface, letters, Fate::Redrive, order).await?;
    Ok(settled.done)
}

/// A wish that was written down and not carried out, because the daemon died in between, is carried out when it is repeated.
async fn offer(
    surface: &Surface,
    wish: &ReprocessingRequested,
    event: EventId,
) -> Result<bool, Problem> {
    let Some(sequencer) = &wish.sequencer else {
        return Ok(false);
    };
    let offers = &surface.tree.offers;
    let offered = offers.reprocess(&wish.key, sequencer, event).await;
    offered.map_err(|fault| Problem::new(Kind::Unavailable, fault.chain()))
}
