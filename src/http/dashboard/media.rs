//! `GET /media`: uploaded pictures with what was made of them, and recordings with how they sound.

mod picture;
mod recording;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use iyagi_actors::media_job::correlation;
use iyagi_messages::ids::{LetterId, Timestamp};
use iyagi_messages::media::MetadataItem;
use iyagi_messages::object::ObjectKey;
use serde_json::json;

use self::picture::Picture;
use self::recording::Recording;
use super::frame::{Frame, Refusal, page};
use super::text::{self, Moment};
use crate::http::State;
use crate::http::problem::Problem;
use crate::http::public::files;
use crate::http::request::{self, Query};
use crate::http::response;

const PARAMETERS: [&str; 3] = ["prefix", "show", "cursor"];
const FILES: &str = "/media/files/";
/// Files on a page, and those that are looked at for it: most of them may be of another sort.
const PAGE: usize = 24;
const LOOKED_AT_MAX: usize = 2_000;
const LOOKED_AT_AT_ONCE: u32 = 200;
/// Whose jobs can have been given up.
const CONSUMERS: [&str; 3] = ["metadata", "thumbnails", "audio"];

#[derive(Template)]
#[template(path = "media.html")]
struct Page {
    frame: Frame,
    prefix: String,
    choices: Vec<Choice>,
    items: Vec<Item>,
    /// The next page, if there may be one.
    more: Option<String>,
}

/// A sort of files that can be chosen.
struct Choice {
    name: &'static str,
    title: &'static str,
    chosen: bool,
}

/// Which files are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    All,
    Pictures,
    Recordings,
    /// What something is wrong with.
    Defects,
}

impl Sort {
    const ALL: [(Self, &str, &str); 4] = [
        (Self::All, "all", "Everything"),
        (Self::Pictures, "pictures", "Pictures"),
        (Self::Recordings, "recordings", "Recordings"),
        (Self::Defects, "defects", "Defects"),
    ];

    fn read(query: &Query) -> Result<Self, Problem> {
        let named = query.text("show").unwrap_or("all");
        let known = Self::ALL.iter().find(|(_, name, _)| *name == named);
        known.map(|(sort, _, _)| *sort).ok_or_else(|| {
            let hint = request::did_you_mean(named, Self::ALL.iter().map(|(_, name, _)| *name));
            Problem::invalid("show", format!("there are no `{named}` here{hint}"))
        })
    }

    fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(sort, _, _)| *sort == self);
        known.expect("it has all of them").1
    }

    fn choices(self) -> Vec<Choice> {
        let choices = Self::ALL.iter().map(|(sort, name, title)| Choice {
            name,
            title,
            chosen: *sort == self,
        });
        choices.collect()
    }

    fn has(self, item: &MetadataItem) -> bool {
        match self {
            Self::All => true,
            Self::Pictures => item.content_type.starts_with("image/"),
            Self::Recordings => item.audio.is_some() || item.content_type.starts_with("audio/"),
            Self::Defects => item.defect.is_some(),
        }
    }
}

/// A file, and what was made of it.
struct Item {
    key: String,
    name: String,
    href: String,
    journal: String,
    content_type: String,
    size: String,
    dimensions: Option<String>,
    recorded: Moment,
    defect: Option<String>,
    /// Jobs of it that were given up and wait.
    letters: Vec<Given>,
    /// The body of the order to work on it anew.
    order: String,
    picture: Option<Picture>,
    recording: Option<Recording>,
}

/// A job that was given up.
struct Given {
    href: String,
    reason: String,
}

struct Derived {
    name: String,
    href: String,
    facts: String,
}

/// `GET /media?prefix&show&cursor`
pub(super) async fn show(
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Refusal> {
    let query = Query::of(&request, &PARAMETERS)?;
    let sort = Sort::read(&query)?;
    let prefix = query.text("prefix").unwrap_or_default().to_owned();
    let after = query.cursor()?.map(ObjectKey::new).transpose();
    let after = after.map_err(|error| Problem::invalid("cursor", error.to_string()))?;
    let (items, next) = found(&state, &prefix, sort, after).await?;
    let now = state.surface.clock.now();
    page(&Page {
        frame: Frame::of(&state, &request, "Media", "/media"),
        items: items
            .iter()
            .map(|item| Item::of(item, letters_of(&state, item), now))
            .collect(),
        more: next.map(|key| link(&prefix, sort, &key)),
        prefix,
        choices: sort.choices(),
    })
}

/// `GET /media/files/{key}`: an upload, or what was made of one. An operator sees every file.
pub(super) async fn file(
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let key = request::object_key(request::rest(&request, FILES)?)?;
    files::send(&state, &request, &key, files::ASK_AGAIN).await
}

/// A page of files of one sort, and the last that was looked at if there may be more.
async fn found(
    state: &State,
    prefix: &str,
    sort: Sort,
    mut after: Option<ObjectKey>,
) -> Result<(Vec<MetadataItem>, Option<ObjectKey>), Problem> {
    let mut items = Vec::new();
    let mut looked_at = 0;
    while looked_at < LOOKED_AT_MAX {
        let table = &state.surface.table;
        let listed = table.list(prefix, after.as_ref(), LOOKED_AT_AT_ONCE).await;
        let listed = listed.map_err(|fault| Problem::internal("the metadata table", &fault))?;
        looked_at += listed.items.len();
        let count = listed.items.len();
        for (place, item) in listed.items.into_iter().enumerate() {
            let key = item.key.clone();
            if sort.has(&item) {
                items.push(item);
            }
            if items.len() == PAGE {
                let more = listed.next.is_some() || place + 1 < count;
                return Ok((items, more.then_some(key)));
            }
        }
        after = listed.next;
        if after.is_none() {
            break;
        }
    }
    Ok((items, after))
}

/// The jobs of an upload that were given up and wait.
fn letters_of(state: &State, item: &MetadataItem) -> Vec<Given> {
    let outbox = state.surface.tree.projections.outbox();
    let found = CONSUMERS.iter().filter_map(|consumer| {
        let id = LetterId::of_object(consumer, item.key.as_str(), &item.sequencer.0);
        outbox.letter(id).filter(|state| state.waiting)
    });
    let given = found.map(|state| Given {
        href: format!("/dead-letters/{}", state.letter.id),
        reason: state.letter.reason.clone(),
    });
    given.collect()
}

fn link(prefix: &str, sort: Sort, after: &ObjectKey) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if !prefix.is_empty() {
        query.append_pair("prefix", prefix);
    }
    if sort != Sort::All {
        query.append_pair("show", sort.name());
    }
    query.append_pair("cursor", &request::sealed_cursor(after.as_str()));
    format!("/media?{}", query.finish())
}

fn href(key: &ObjectKey) -> String {
    format!("{FILES}{}", response::encoded(key.as_str()))
}

impl Item {
    fn of(item: &MetadataItem, letters: Vec<Given>, now: Timestamp) -> Self {
        let key = item.key.as_str();
        let journal = form_urlencoded::Serializer::new(String::new())
            .append_pair("corr", &correlation(&item.key, &item.sequencer))
            .finish();
        Self {
            key: key.to_owned(),
            name: key.rsplit('/').next().unwrap_or(key).to_owned(),
            href: href(&item.key),
            journal: format!("/journal?{journal}"),
            content_type: item.content_type.clone(),
            size: text::bytes(item.size),
            dimensions: item
                .dimensions
                .map(|size| format!("{} × {}", size.width, size.height)),
            recorded: text::ago(item.recorded_at, now),
            defect: item.defect.clone(),
            letters,
            order: json!({ "key": key }).to_string(),
            picture: item.thumbnails.as_ref().and_then(Picture::of),
            recording: item.audio.as_ref().map(|audio| Recording::of(item, audio)),
        }
    }
}

impl Item {
    fn is_given_up(&self) -> bool {
        self.defect.is_some() || !self.letters.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_keeps_the_filter() {
        let key = ObjectKey::new("posts/한글.jpg").expect("valid");
        let link = link("posts/", Sort::Pictures, &key);
        assert!(
            link.starts_with("/media?prefix=posts%2F&show=pictures&cursor="),
            "{link}"
        );
        let query = link.split_once('?').expect("a query").1;
        let query = Query::parse(query, &PARAMETERS).expect("known");
        assert_eq!(query.cursor(), Ok(Some(key.to_string())));
    }
}
