//! Thumbnails, as clients reach them: `/v1/media/{key}/thumbnails/{preset}`, in the format that the client wants most.

use actix_web::HttpRequest;
use iyagi_actors::media_job::is_candidate;
use iyagi_actors::projections::LetterState;
use iyagi_actors::thumbnail_worker::claims_to_be_a_picture;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{Fact, ThumbnailFailed};
use iyagi_messages::ids::LetterId;
use iyagi_messages::media::{MetadataItem, Variant};
use iyagi_messages::object::ObjectKey;
use serde_json::Value;

use crate::http::journalled;
use crate::http::problem::{Kind, Problem};
use crate::http::request;
use crate::http::response;
use crate::surface::Surface;

/// What separates a key from its preset.
pub(super) const THUMBNAILS: &str = "/thumbnails/";
/// The consumer whose letters say why there is no thumbnail.
const CONSUMER: &str = "thumbnails";

/// The file that the client gets, and the version of the whole, or why there is none and whether waiting helps.
pub(super) async fn find<'i>(
    surface: &Surface,
    request: &HttpRequest,
    item: &'i MetadataItem,
    preset: &str,
) -> Result<(&'i ObjectKey, String), Problem> {
    let variants = variants_of(item, preset);
    if variants.is_empty() {
        return Err(why_none(surface, item).await?);
    }
    let variant = negotiated(request, &variants)?;
    Ok((&variant.key, version_of(&variants)))
}

/// Gives every thumbnail of an item its link. `at` is where the item itself is read.
pub(super) fn link(item: &MetadataItem, at: &str, view: &mut Value) {
    let variants = view.pointer_mut("/thumbnails/variants");
    for variant in variants.and_then(Value::as_array_mut).into_iter().flatten() {
        let preset = variant["preset"].as_str().unwrap_or_default();
        let version = version_of(&variants_of(item, preset));
        let preset = response::encoded(preset);
        variant["url"] = format!("{at}{THUMBNAILS}{preset}?v={version}").into();
    }
}

fn variants_of<'i>(item: &'i MetadataItem, preset: &str) -> Vec<&'i Variant> {
    let all = item.thumbnails.iter().flat_map(|some| &some.variants);
    all.filter(|variant| variant.preset == preset).collect()
}

fn version_of(variants: &[&Variant]) -> String {
    response::digest(
        variants
            .iter()
            .map(|variant| variant.key.as_str().as_bytes()),
    )
}

/// The format that the client wants most; a client that does not name `WebP` gets JPEG, which everybody can show.
fn negotiated<'i>(request: &HttpRequest, variants: &[&'i Variant]) -> Result<&'i Variant, Problem> {
    let rank = |variant: &Variant| {
        let (quality, named) = response::wanted(request.headers(), &variant.content_type);
        let everybody = variant.content_type == "image/jpeg";
        let newer = named && !everybody;
        (quality, newer, everybody)
    };
    let best = variants.iter().max_by_key(|variant| rank(variant));
    best.copied()
        .filter(|variant| rank(variant).0 > 0)
        .ok_or_else(|| {
            let types: Vec<&str> = variants
                .iter()
                .map(|one| one.content_type.as_str())
                .collect();
            let detail = format!(
                "the thumbnail comes as {}; accept one of them",
                types.join(" or ")
            );
            Problem::new(Kind::NotAcceptable, detail).with("available", types)
        })
}

/// Refuses a preset that is not configured.
pub(super) fn check_preset(surface: &Surface, preset: &str) -> Result<(), Problem> {
    let presets: Vec<&str> = surface
        .config
        .media
        .presets
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    if presets.contains(&preset) {
        return Ok(());
    }
    let hint = request::did_you_mean(preset, presets.iter().copied());
    let detail = format!("there is no preset `{preset}`{hint}");
    Err(Problem::new(Kind::UnknownPreset, detail)
        .with("field", "preset")
        .with("available", presets))
}

/// Says why a file has no thumbnail, and whether waiting helps.
async fn why_none(surface: &Surface, item: &MetadataItem) -> Result<Problem, Problem> {
    let failed = failure(surface, item).await?;
    let waiting = LetterId::of_object(CONSUMER, item.key.as_str(), &item.sequencer.0);
    let waiting = surface.tree.projections.outbox().letter(waiting).cloned();
    Ok(reason(surface, item, failed, waiting))
}

/// What the journal says of this write of the file, if no thumbnail could be made of it.
async fn failure(
    surface: &Surface,
    item: &MetadataItem,
) -> Result<Option<ThumbnailFailed>, Problem> {
    let told = surface
        .journal
        .entity(&Entity::new("thumbnail", &item.key))
        .await;
    let told = told.map_err(|fault| journalled::problem_of(&fault))?;
    let last = told.into_iter().rev().find_map(|event| match event.fact {
        Fact::ThumbnailFailed(failed) => Some(failed),
        _ => None,
    });
    Ok(last.filter(|failed| failed.sequencer == item.sequencer))
}

fn reason(
    surface: &Surface,
    item: &MetadataItem,
    failed: Option<ThumbnailFailed>,
    letter: Option<LetterState>,
) -> Problem {
    let key = &item.key;
    let problem = |reason: &str, detail: String| {
        Problem::new(Kind::NoThumbnail, detail).with("reason", reason)
    };
    let given_up = letter
        .as_ref()
        .map(|state| (&state.letter.reason, &state.letter.detail));
    let given_up = failed
        .as_ref()
        .map(|failed| (&failed.reason, &failed.detail))
        .or(given_up);
    if let Some((reason, detail)) = given_up {
        let detail = format!("no thumbnail can be made of `{key}`: {detail}");
        let problem = problem(reason, detail);
        return match letter.filter(|state| state.waiting) {
            Some(state) => problem.with("letter", state.letter.id.to_string()),
            None => problem,
        };
    }
    if let Some(defect) = &item.defect {
        return problem(
            "defect",
            format!("no thumbnail can be made of `{key}`: {defect}"),
        );
    }
    let prefixes = &surface.config.media.thumbnail_prefixes;
    let is_picture = item.content_type.starts_with("image/") || claims_to_be_a_picture(key);
    if !is_candidate(key, prefixes) || !is_picture {
        let places = prefixes.join(", ");
        let detail = format!("`{key}` gets no thumbnail: only pictures under {places} do");
        return problem("not_eligible", detail);
    }
    problem(
        "pending",
        format!("the thumbnail of `{key}` is not made yet"),
    )
    .retry_after(1)
}
