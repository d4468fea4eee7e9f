//! Files of changed presets and renditions for uploads that are there already. What an operator wants is in the journal
//! before it is begun; the backfill itself goes on without anybody watching.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use iyagi_actors::media_backfill::Recipe;
use iyagi_actors::projections::{Backfill, BackfillStage, Backfills};
use iyagi_media::audio::Rendition;
use iyagi_messages::fact::{BackfillBegun, BackfillPaused, BackfillResumed, Fact};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::object::ObjectKey;
use serde::Serialize;
use utoipa::ToSchema;

use super::WRITER;
use super::access::Operator;
use super::order::{self, BECAUSE, Order, PAUSE_OR_RESUME};
use crate::http::State;
use crate::http::journalled::{self, Decision};
use crate::http::openapi::orders::{self, BackfillOrder, PauseOrResume};
use crate::http::openapi::parameters::Name;
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Query};
use crate::http::response;
use crate::surface::Surface;

const PREFIX: &str = "/v1/ops/media/backfills/";

/// A backfill as operators see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Backfill)]
struct View {
    preset: String,
    /// Digest of the preset as it was at the beginning.
    digest: String,
    /// Whether it is only counted what would be made.
    dry_run: bool,
    /// Who asked for it.
    by: String,
    begun_at: Timestamp,
    /// Uploads that could have files of the preset; null until they are counted.
    #[schema(required)]
    uploads: Option<u64>,
    /// Those that lacked them then.
    #[schema(required)]
    lacking: Option<u64>,
    /// The last upload that was looked at.
    #[schema(required)]
    through: Option<ObjectKey>,
    /// How many were offered to the workers.
    offered: u64,
    stage: BackfillStage,
    /// What waits for the workers, uploads included.
    waiting: u64,
}

/// The last backfill of each preset.
#[derive(Debug, Serialize, ToSchema)]
struct BackfillListing {
    backfills: Vec<View>,
}

/// The last backfill of each preset.
#[utoipa::path(
    get,
    path = "/v1/ops/media/backfills",
    operation_id = "listBackfills",
    tag = "backfills",
    responses((status = 200, description = "Backfills in the order of their presets", body = BackfillListing)),
)]
pub async fn list(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let waiting = Waiting::read(&state.surface).await?;
    let backfills = state.surface.tree.projections.backfills();
    let backfills = backfills.all().map(|one| View::of(one, &waiting));
    let backfills = backfills.collect();
    Ok(response::ok(&BackfillListing { backfills }))
}

/// The last backfill of a preset.
#[utoipa::path(
    get,
    path = "/v1/ops/media/backfills/{preset}",
    operation_id = "showBackfill",
    tag = "backfills",
    params(("preset" = Name, Path)),
    responses((status = 200, description = "The backfill", body = View)),
    extensions(("x-problems" = json!([Kind::NotFound])))
)]
pub async fn one(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let preset = request::segment(&request, PREFIX, "preset")?;
    answer(&state.surface, &preset).await
}

/// Begins a backfill, unless it is on its way.
#[utoipa::path(
    post,
    path = "/v1/ops/media/backfills",
    operation_id = "beginBackfill",
    tag = "backfills",
    request_body = BackfillOrder,
    responses((status = 200, description = "The backfill, begun or as it is on its way", body = View)),
    extensions(("x-problems" = json!([Kind::UnknownPreset, Kind::RenditionOff, Kind::Contended, Kind::StorageFull])))
)]
pub async fn begin(
    state: Data<State>,
    request: HttpRequest,
    Operator { name: by, .. }: Operator,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let mut fields = order::body(&request, payload).await?;
    let preset: String = fields.required("preset")?;
    let dry_run = fields.optional("dry_run")?.unwrap_or(false);
    let because = order::because(&mut fields)?;
    fields.end(&["preset", "dry_run", BECAUSE])?;
    let surface = &state.surface;
    let digest = recipe_of(surface, &preset)?.digest();
    write(surface, &preset, |before| {
        let on_its_way = before.is_some_and(|one| one.stage != BackfillStage::Completed);
        // A count gives way to the deed; whatever else is on its way goes on as it is.
        if on_its_way && before.is_some_and(|one| !one.dry_run || dry_run) {
            return Ok(None);
        }
        let begun = BackfillBegun {
            preset: preset.clone(),
            digest: digest.clone(),
            dry_run,
            by: by.clone(),
            because: because.clone(),
        };
        Ok(Some(begun.into()))
    })
    .await?;
    tracing::info!(
        preset,
        dry_run,
        by,
        because,
        "an operator begins a backfill"
    );
    answer(surface, &preset).await
}

/// Lets a backfill rest, or go on.
#[utoipa::path(
    post,
    path = "/v1/ops/media/backfills/{preset}/{order}",
    operation_id = "orderBackfill",
    tag = "backfills",
    params(
        ("preset" = Name, Path),
        ("order" = inline(PauseOrResume), Path),
    ),
    request_body = Option<orders::Order>,
    responses((status = 200, description = "The backfill as it is then", body = View)),
    extensions(("x-problems" = json!([Kind::UnknownPath, Kind::NotFound, Kind::Contended, Kind::StorageFull])))
)]
pub async fn order(
    state: Data<State>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let at = (PREFIX, "preset");
    let Order {
        name: preset,
        verb: pause,
        fields,
        by,
        because,
    } = order::read(&request, payload, at, &PAUSE_OR_RESUME).await?;
    fields.end(&[BECAUSE])?;
    let surface = &state.surface;
    write(surface, &preset, |before| {
        let stage = before.ok_or_else(|| none(&preset))?.stage;
        let (by, because) = (by.clone(), because.clone());
        Ok(match (stage, pause) {
            (BackfillStage::Running, true) => Some(BackfillPaused { by, because }.into()),
            (BackfillStage::Paused, false) => Some(BackfillResumed { by, because }.into()),
            _ => None,
        })
    })
    .await?;
    tracing::info!(
        preset,
        pause,
        by,
        because,
        "an operator's order to a backfill"
    );
    answer(surface, &preset).await
}

/// Writes the next event of a preset's backfill, decided on what is known of it.
async fn write(
    surface: &Surface,
    preset: &str,
    decide: impl Fn(Option<&Backfill>) -> Result<Option<Fact>, Problem>,
) -> Result<(), Problem> {
    let entity = Backfills::entity(preset);
    journalled::settle(&*surface.journal, async || {
        let before = surface.tree.projections.backfills().of(preset).cloned();
        let Some(fact) = decide(before.as_ref())? else {
            return Ok(Decision::nothing(()));
        };
        let seen = journalled::seq_of(&*surface.journal, &entity).await?;
        Ok(Decision::next(WRITER, entity.clone(), seen, fact, ()))
    })
    .await
}

/// What makes the files of this name, as it is configured now.
fn recipe_of(surface: &Surface, name: &str) -> Result<Recipe, Problem> {
    let media = &surface.config.media;
    let (presets, renditions) = (&media.presets, &media.audio.renditions);
    if let Some(recipe) = Recipe::named(name, presets, renditions) {
        return Ok(recipe);
    }
    if Rendition::named(name).is_some() {
        let cure = match media.audio.ffmpeg {
            Some(_) => "add it to `media.audio.renditions`",
            None => "add it to `media.audio.renditions`, and set `media.audio.ffmpeg`",
        };
        let detail = format!("recordings are to have no `{name}`: {cure}, and restart the daemon");
        return Err(Problem::new(Kind::RenditionOff, detail).with("field", "preset"));
    }
    let names = presets.iter().map(|one| one.name.as_str());
    let names: Vec<&str> = names
        .chain(renditions.iter().map(|one| one.name()))
        .collect();
    let hint = request::did_you_mean(name, names.iter().copied());
    let detail = format!("there is no preset `{name}`{hint}");
    Err(Problem::new(Kind::UnknownPreset, detail)
        .with("field", "preset")
        .with("available", names))
}

async fn answer(surface: &Surface, preset: &str) -> Result<HttpResponse, Problem> {
    let waiting = Waiting::read(surface).await?;
    let backfills = surface.tree.projections.backfills();
    let backfill = backfills.of(preset).ok_or_else(|| none(preset))?;
    Ok(response::ok(&View::of(backfill, &waiting)))
}

fn none(preset: &str) -> Problem {
    let detail = format!("there was never a backfill of the preset `{preset}`");
    Problem::new(Kind::NotFound, detail)
}

/// How many notifications wait for the workers, offers and others.
struct Waiting {
    pictures: u64,
    recordings: u64,
}

impl Waiting {
    async fn read(surface: &Surface) -> Result<Self, Problem> {
        Ok(Self {
            pictures: waiting(surface, "thumbnails").await?,
            recordings: waiting(surface, "audio").await?,
        })
    }

    /// Those that wait for the workers of a backfill, which may be of a rendition that is no longer made.
    fn of(&self, backfill: &Backfill) -> u64 {
        match Rendition::named(&backfill.preset) {
            Some(_) => self.recordings,
            None => self.pictures,
        }
    }
}

async fn waiting(surface: &Surface, consumer: &str) -> Result<u64, Problem> {
    let queue = surface.queues.iter().find(|queue| queue.name() == consumer);
    let Some(queue) = queue else { return Ok(0) };
    let depth = queue.depth().await;
    let depth = depth.map_err(|fault| Problem::internal("the queue of the workers", &fault))?;
    Ok(depth.visible + depth.in_flight + depth.delayed)
}

impl View {
    fn of(backfill: &Backfill, waiting: &Waiting) -> Self {
        let waiting = waiting.of(backfill);
        let Backfill {
            preset,
            digest,
            dry_run,
            by,
            begun_at,
            uploads,
            lacking,
            through,
            offered,
            stage,
            // The journal's own business.
            seq: _,
        } = backfill.clone();
        Self {
            preset,
            digest,
            dry_run,
            by,
            begun_at,
            uploads,
            lacking,
            through,
            offered,
            stage,
            waiting,
        }
    }
}
