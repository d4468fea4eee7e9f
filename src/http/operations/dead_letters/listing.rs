//! Lists dead letters, newest first, and shows one with its history.

use std::cmp::Reverse;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use iyagi_actors::dlq_keeper::LetterAge;
use iyagi_actors::projections::{LetterPlace, LetterState, Outbox};
use iyagi_messages::device::Platform;
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{LetterId, TemplateId, Timestamp};
use iyagi_messages::letter::{Letter, Origin};
use iyagi_messages::push::Push;
use serde::Serialize;
use utoipa::ToSchema;

use super::filter::{DeadPushes, Filter, PARAMETERS};
use super::{EXPECTED, PREFIX};
use crate::http::State;
use crate::http::journalled;
use crate::http::operations::status::Conservation;
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Query};
use crate::http::response;
use crate::surface::Surface;

/// Letters in a page that names no limit, and the most there can be.
const LIMIT_DEFAULT: u64 = 100;
const LIMIT_MAX: u64 = 1_000;
/// Events before a job's first that are shown: a commit leads to a push in one step, an upload to a job in two.
const CAUSES_MAX: usize = 16;

/// A letter as operators see it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub(in crate::http) struct View {
    #[serde(flatten)]
    pub(in crate::http) letter: Letter,
    /// Whether it can still be redriven or purged.
    pub(in crate::http) waiting: bool,
    /// When it is given up for good, if it still waits then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) expires_at: Option<Timestamp>,
    /// The queue's message id, once the queue holds it.
    #[schema(required)]
    pub(in crate::http) message_id: Option<String>,
    /// The commit or upload that it all began with.
    pub(in crate::http) corr: String,
    /// What a push was matched by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) template: Option<TemplateId>,
    /// The push service of a push's phone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) platform: Option<Platform>,
}

/// Some letters, the newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetterPage)]
pub(in crate::http) struct Page {
    pub(in crate::http) letters: Vec<View>,
    /// Where the next page begins; null on the last one.
    #[schema(required)]
    pub(in crate::http) next: Option<String>,
    pub(in crate::http) conservation: Conservation,
}

/// A letter with everything that led to it and came of it.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetterHistory)]
pub(in crate::http) struct Told {
    #[serde(flatten)]
    pub(in crate::http) view: View,
    /// In order, from the very beginning.
    pub(in crate::http) history: Vec<Event>,
}

/// Letters that wait, the newest first, in pages.
#[utoipa::path(
    get,
    path = "/v1/ops/dead-letters",
    operation_id = "listDeadLetters",
    tag = "dead letters",
    params(
        Filter,
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "100 if absent"),
    ),
    responses((status = 200, description = "A page, and what has become of every push", body = Page)),
)]
pub async fn list(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request, &[&PARAMETERS[..], &["cursor", "limit"]].concat())?;
    let filter = Filter::of(&query)?;
    let limit = query.number("limit", 1..=LIMIT_MAX, LIMIT_DEFAULT)? as usize;
    let page = read(&state.surface, &filter, query.cursor()?, limit).await?;
    Ok(response::ok(&page))
}

/// Letters that a filter lets through, behind a cursor.
pub(in crate::http) async fn read(
    surface: &Surface,
    filter: &Filter,
    cursor: Option<String>,
    limit: usize,
) -> Result<Page, Problem> {
    let behind = cursor.map(|place| read_place(&place)).transpose()?;
    let chosen_by = DeadPushes::behind(surface, filter).await?;
    let (letters, next, conservation) = {
        let outbox = surface.tree.projections.outbox();
        let (letters, next) = page(&outbox, &chosen_by, filter, behind, limit);
        (letters, next, Conservation::of(&outbox.counts))
    };
    let ids: Vec<LetterId> = letters.iter().map(|state| state.letter.id).collect();
    let pushes = DeadPushes::of_letters(surface, &ids).await?;
    let keep = surface.config.dead_letters.age();
    let views = letters
        .iter()
        .map(|state| View::of(state, keep, pushes.of(&state.letter).map(|push| &**push)));
    Ok(Page {
        letters: views.collect(),
        next: next.map(|place| request::sealed_cursor(&place_text(place))),
        conservation,
    })
}

/// A letter with its history, from the commit or the upload on.
#[utoipa::path(
    get,
    path = "/v1/ops/dead-letters/{id}",
    operation_id = "showDeadLetter",
    tag = "dead letters",
    params(("id" = LetterId, Path)),
    responses((status = 200, description = "The letter, be it settled or not", body = Told)),
    extensions(("x-problems" = json!([Kind::NotFound])))
)]
pub async fn one(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let told = tell(&state.surface, request::rest(&request, PREFIX)?).await?;
    Ok(response::ok(&told))
}

/// A letter with its history.
pub(in crate::http) async fn tell(surface: &Surface, id: &str) -> Result<Told, Problem> {
    let id: LetterId = request::id(id, "id", EXPECTED)?;
    let told = events_of(surface, Entity::new("letter", id)).await?;
    let pushes = DeadPushes::of_letters(surface, &[id]).await?;
    let found = {
        let outbox = surface.tree.projections.outbox();
        let state = outbox.letter(id);
        let keep = surface.config.dead_letters.age();
        state.map(|state| View::of(state, keep, pushes.of(&state.letter).map(|push| &**push)))
    };
    // A letter that is settled for good is in the journal alone.
    let view = found.or_else(|| View::settled(&told)).ok_or_else(|| {
        let detail = format!("there is no dead letter {id}");
        Problem::new(Kind::NotFound, detail)
    })?;
    let mut history = told;
    if let Origin::Push { push, .. } = &view.letter.origin {
        history.extend(events_of(surface, Entity::new("push", push)).await?);
    }
    history.sort_by_key(|event| event.pos);
    if let Some(first) = history.first() {
        let causes = causes_of(surface, first).await?;
        history.splice(0..0, causes);
    }
    Ok(Told { view, history })
}

async fn events_of(surface: &Surface, entity: Entity) -> Result<Vec<Event>, Problem> {
    let events = surface.journal.entity(&entity).await;
    events.map_err(|fault| journalled::problem_of(&fault))
}

/// What led to an event, from the very beginning.
async fn causes_of(surface: &Surface, event: &Event) -> Result<Vec<Event>, Problem> {
    let mut causes = Vec::new();
    let mut next = event.cause;
    while let Some(id) = next
        && causes.len() < CAUSES_MAX
    {
        let cause = surface.journal.event(id).await;
        let Some(cause) = cause.map_err(|fault| journalled::problem_of(&fault))? else {
            break;
        };
        next = cause.cause;
        causes.push(cause);
    }
    causes.reverse();
    Ok(causes)
}

impl View {
    fn of(state: &LetterState, keep: LetterAge, push: Option<&Push>) -> Self {
        let expires_at = keep.expires(&state.letter).filter(|_| state.waiting);
        Self {
            letter: state.letter.clone(),
            waiting: state.waiting,
            expires_at,
            message_id: state.message_id.clone(),
            corr: state.corr.clone(),
            template: push.map(|push| push.template.clone()),
            platform: push.and_then(|push| push.platform),
        }
    }

    fn settled(told: &[Event]) -> Option<Self> {
        let mut view = None;
        for event in told {
            match &event.fact {
                Fact::LetterRequested(requested) => {
                    view = Some(Self {
                        letter: requested.letter.clone(),
                        waiting: false,
                        expires_at: None,
                        message_id: None,
                        corr: event.corr.clone(),
                        template: None,
                        platform: None,
                    });
                }
                Fact::LetterDeadLettered(dead) => {
                    if let Some(view) = &mut view {
                        view.message_id = Some(dead.message_id.clone());
                    }
                }
                _ => {}
            }
        }
        view
    }
}

fn place_text(LetterPlace(Reverse(at), id): LetterPlace) -> String {
    format!("{}/{id}", at.0)
}

fn read_place(text: &str) -> Result<LetterPlace, Problem> {
    let place = || {
        let (at, id) = text.split_once('/')?;
        Some(LetterPlace(
            Reverse(Timestamp(at.parse().ok()?)),
            id.parse().ok()?,
        ))
    };
    let detail = "`cursor` is not one that an earlier page of letters gave out";
    place().ok_or_else(|| Problem::invalid("cursor", detail))
}

fn page(
    outbox: &Outbox,
    pushes: &DeadPushes,
    filter: &Filter,
    behind: Option<LetterPlace>,
    limit: usize,
) -> (Vec<LetterState>, Option<LetterPlace>) {
    let fitting = filter.among(outbox, pushes, behind);
    let mut fitting: Vec<LetterState> = fitting.take(limit + 1).cloned().collect();
    let more = fitting.len() > limit;
    fitting.truncate(limit);
    let last = fitting.last().filter(|_| more);
    let last = last.map(|state| LetterPlace::of(&state.letter));
    (fitting, last)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use iyagi_messages::fact::LetterRequested;
    use iyagi_messages::ids::{EventId, Incarnation, Pos, Seq};

    /// Letters of thumbnails: whose, why, and when they were given up.
    pub(in super::super) fn outbox(letters: &[(&str, &str, i64)]) -> Outbox {
        let mut outbox = Outbox::default();
        for (at, (key, reason, moment)) in (1..).zip(letters) {
            let id = LetterId::of_object("thumbnails", key, "1");
            let letter = Letter {
                id,
                generation: 1,
                origin: Origin::Object {
                    consumer: "thumbnails".to_owned(),
                    key: (*key).to_owned(),
                    message: String::new(),
                },
                reason: (*reason).to_owned(),
                detail: String::new(),
                attempts: 1,
                at: Timestamp(*moment),
            };
            outbox.apply(&Event {
                pos: Pos(at),
                id: EventId::root("test", key),
                entity: Entity::new("letter", id),
                seq: Seq(1),
                at: Timestamp(*moment),
                cause: None,
                corr: String::new(),
                actor: Incarnation::from("test"),
                fact: LetterRequested { letter }.into(),
            });
        }
        outbox
    }

    #[test]
    fn pages_show_every_letter_once_newest_first() {
        let outbox = outbox(&[
            ("a", "bomb", 3),
            ("b", "bomb", 1),
            ("c", "bomb", 3),
            ("d", "bomb", 2),
        ]);
        let (mut seen, mut behind) = (Vec::new(), None);
        loop {
            let (letters, next) = page(
                &outbox,
                &DeadPushes::default(),
                &Filter::default(),
                behind,
                2,
            );
            seen.extend(letters.iter().map(|state| state.letter.at.0));
            let Some(next) = next else { break };
            behind = Some(read_place(&place_text(next)).expect("its own cursor"));
        }
        assert_eq!(seen, [3, 3, 2, 1]);
    }

    #[test]
    fn a_filter_lets_through_what_it_names_and_the_time_between() {
        let outbox = outbox(&[("a", "bomb", 3), ("b", "truncated", 1), ("c", "bomb", 5)]);
        let count = |filter: &Filter| {
            page(&outbox, &DeadPushes::default(), filter, None, 10)
                .0
                .len()
        };
        let only = Filter {
            reason: Some("truncated".to_owned()),
            ..Filter::default()
        };
        assert_eq!(count(&only), 1);
        let between = Filter {
            since: Some(Timestamp(1)),
            until: Some(Timestamp(5)),
            ..Filter::default()
        };
        assert_eq!(count(&between), 2);
        let of_somebody = Filter {
            person: Some("minji".into()),
            ..Filter::default()
        };
        assert_eq!(count(&of_somebody), 0);
    }
}
