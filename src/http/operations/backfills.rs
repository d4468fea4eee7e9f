//! Files of changed presets and renditions for uploads that are there already. What an operator wants is in the journal
//! before it is begun; the backfill itself goes on without anybody watching.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use iyagi_actors::media_backfill::Recipe;
use iyagi_actors::projections::{Backfill, BackfillStage, Backfills};
use iyagi_media::audio::Rendition;
use iyagi_messages::fact::{BackfillBegun, BackfillPaused, BackfillResumed, Fact};
use serde_json::{Value, json};

use super::WRITER;
use super::access::Operator;
use super::order::{self, BECAUSE, Order, PAUSE_OR_RESUME};
use crate::http::State;
use crate::http::journalled::{self, Decision};
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Query};
use crate::http::response;
use crate::surface::Surface;

const PREFIX: &str = "/v1/ops/media/backfills/";

/// `GET /v1/ops/media/backfills`
pub async fn list(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let waiting = Waiting::read(&state.surface).await?;
    let backfills = state.surface.tree.projections.backfills();
    let shown: Vec<_> = backfills.all().map(|one| shown(one, &waiting)).collect();
    Ok(response::ok(&json!({ "backfills": shown })))
}

/// `GET /v1/ops/media/backfills/{preset}`
pub async fn one(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let preset = request::segment(&request, PREFIX, "preset")?;
    answer(&state.surface, &preset).await
}

/// `POST /v1/ops/media/backfills`
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

/// `POST /v1/ops/media/backfills/{preset}/{pause,resume}`
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
    Ok(response::ok(&shown(backfill, &waiting)))
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

fn shown(backfill: &Backfill, waiting: &Waiting) -> Value {
    let mut shown = serde_json::to_value(backfill).expect("a backfill has only text keys");
    shown["waiting"] = waiting.of(backfill).into();
    if let Some(shown) = shown.as_object_mut() {
        // The journal's own business.
        shown.remove("seq");
    }
    shown
}
