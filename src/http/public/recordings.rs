//! What is derived from recordings, as clients reach it: waveforms, the fingerprint, and copies for delivery.
//!
//! `/v1/media/{key}/derived/{name}`. The names are few and fixed, so that a key of an upload that has such a segment is
//! still that key unless it ends in one of them.

use iyagi_actors::audio_worker::FILE_NAMES;
use iyagi_media::audio::Rendition;
use iyagi_messages::media::{Audio, MetadataItem, RenditionState};
use iyagi_messages::object::ObjectKey;
use serde_json::Value;

use crate::auth::Caller;
use crate::http::State;
use crate::http::problem::{Kind, Problem};
use crate::http::response;
use crate::http::visible;

/// What separates a key from the name of what is derived from it.
pub(super) const DERIVED: &str = "/derived/";

/// What a link has in it, so that what it shows never changes.
pub(super) fn version(derived: &ObjectKey) -> String {
    response::digest([derived.as_str().as_bytes()])
}

/// What is derived from recordings.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let renditions = Rendition::ALL.into_iter().map(Rendition::name);
    FILE_NAMES.into_iter().chain(renditions)
}

/// The file of this name, or why there is none and whether waiting helps.
pub(super) fn find<'i>(item: &'i MetadataItem, name: &str) -> Result<&'i ObjectKey, Problem> {
    let key = &item.key;
    let none = |reason: &str, detail: String| {
        Problem::new(Kind::NotFound, detail)
            .with("reason", reason)
            .with("field", "name")
    };
    let Some(audio) = &item.audio else {
        let detail = format!("`{key}` is not analysed as a recording, or not yet");
        return Err(none("not_analysed", detail));
    };
    if let Some(stored) = stored(audio, name) {
        return Ok(stored);
    }
    let rendition = audio.renditions.iter().find(|one| one.name == name);
    Err(match rendition.map(|one| &one.state) {
        Some(RenditionState::Failed { reason, detail }) => {
            none(reason, format!("there is no {name} of `{key}`: {detail}"))
        }
        Some(_) => none("pending", format!("the {name} of `{key}` is not made yet")).retry_after(5),
        None => none(
            "not_configured",
            format!("no {name} is made of recordings: `media.audio.renditions` does not name it"),
        ),
    })
}

/// Leaves out of what a recording is a duplicate, where the caller may not see that or it is there no more: nobody learns
/// from a copy of a private recording that there is one.
pub(super) async fn withhold_duplicate(
    state: &State,
    caller: &Caller,
    item: &mut MetadataItem,
) -> Result<(), Problem> {
    let duplicate = item
        .audio
        .as_ref()
        .and_then(|audio| audio.duplicate_of.as_ref());
    let Some(other) = duplicate else {
        return Ok(());
    };
    let visible = visible::look(state, caller).sees_file(&other.key).await;
    let mut shown = visible.map_err(|fault| visible::unanswered(&fault))?;
    if shown {
        let found = state.surface.table.get(&other.key).await;
        let found = found.map_err(|fault| Problem::internal("the metadata table", &fault))?;
        shown = found.is_some_and(|found| found.sha256.as_ref() == Some(&other.sha256));
    }
    if !shown {
        leave_out_duplicate(item);
    }
    Ok(())
}

/// A listing would have to look at another item for each that is a duplicate.
pub(super) fn leave_out_duplicate(item: &mut MetadataItem) {
    if let Some(audio) = &mut item.audio {
        audio.duplicate_of = None;
    }
}

/// Gives every stored file of an item its link. `at` is where the item itself is read.
pub(super) fn link(item: &MetadataItem, at: &str, view: &mut Value) {
    let Some(audio) = &item.audio else {
        return;
    };
    for list in ["/audio/files", "/audio/renditions"] {
        let files = view.pointer_mut(list).and_then(Value::as_array_mut);
        for file in files.into_iter().flatten() {
            let name = file["name"].as_str().unwrap_or_default();
            if let Some(stored) = stored(audio, name) {
                let version = version(stored);
                file["url"] = format!("{at}{DERIVED}{name}?v={version}").into();
            }
        }
    }
}

fn stored<'i>(audio: &'i Audio, name: &str) -> Option<&'i ObjectKey> {
    let file = audio.files.iter().find(|file| file.name == name);
    let file = file.map(|file| &file.key);
    file.or_else(|| {
        let rendition = audio.renditions.iter().find(|one| one.name == name)?;
        match &rendition.state {
            RenditionState::Made(file) => Some(&file.key),
            _ => None,
        }
    })
}
