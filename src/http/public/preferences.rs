//! What a person wants of notifications at all: when, in which language, about whom and about what.

use std::collections::BTreeSet;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::PreferencesChanged;
use iyagi_messages::ids::{ElementId, PersonId};
use iyagi_messages::preferences::Preferences;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::http::State;
use crate::http::body;
use crate::http::journalled::{self, Decision};
use crate::http::openapi::requests::PreferencesChange;
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Fields, Query};
use crate::http::response;
use crate::surface::Surface;

const PREFIX: &str = "/v1/preferences/";
const FIELDS: [&str; 7] = [
    "locale",
    "time_zone",
    "quiet_hours",
    "digest",
    "opted_out_categories",
    "muted",
    "blocked",
];
/// Largest body of preferences.
const BODY_BYTES_MAX: u64 = 1024 * 1024;
/// People or things in one list.
const LIST_MAX: usize = 1_000;

/// A person's preferences as they are shown.
#[derive(Serialize, ToSchema)]
#[schema(as = PreferencesOfPerson)]
pub(crate) struct Shown<'a> {
    person: &'a PersonId,
    #[serde(flatten)]
    preferences: &'a Preferences,
}

/// What a person wants; who never said anything has the default.
#[utoipa::path(
    get,
    path = "/v1/preferences/{person}",
    operation_id = "readPreferences",
    tag = "preferences",
    params(("person" = PersonId, Path, description = "The caller", example = "minji")),
    responses((status = 200, description = "All of them", body = Shown<'_>)),
    extensions(("x-problems" = json!([Kind::InvalidField, Kind::NotFound])))
)]
pub async fn show(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let person = person_of(&request, &caller)?;
    let preferences = current(&state.surface, &person);
    Ok(shown(&person, &preferences))
}

/// Sets preferences; what is left out is as if nothing had ever been said of it.
#[utoipa::path(
    put,
    path = "/v1/preferences/{person}",
    operation_id = "replacePreferences",
    tag = "preferences",
    params(("person" = PersonId, Path, description = "The caller", example = "minji")),
    request_body = PreferencesChange,
    responses((status = 200, description = "All of them", body = Shown<'_>)),
    extensions(("x-problems" = json!([Kind::NotFound, Kind::Contended, Kind::LimitReached, Kind::StorageFull])))
)]
pub async fn replace(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    change(&state.surface, &caller, &request, payload, |_| {
        Preferences::default()
    })
    .await
}

/// Changes preferences; what is left out stays as it is.
#[utoipa::path(
    patch,
    path = "/v1/preferences/{person}",
    operation_id = "changePreferences",
    tag = "preferences",
    params(("person" = PersonId, Path, description = "The caller", example = "minji")),
    request_body = PreferencesChange,
    responses((status = 200, description = "All of them", body = Shown<'_>)),
    extensions(("x-problems" = json!([Kind::NotFound, Kind::Contended, Kind::LimitReached, Kind::StorageFull])))
)]
pub async fn amend(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    change(
        &state.surface,
        &caller,
        &request,
        payload,
        Preferences::clone,
    )
    .await
}

fn person_of(request: &HttpRequest, caller: &Caller) -> Result<PersonId, Problem> {
    let named = request::segment(request, PREFIX, "person")?;
    caller.as_named("person", Some(&named))
}

async fn change(
    surface: &Surface,
    caller: &Caller,
    request: &HttpRequest,
    payload: Payload,
    beginning: impl Fn(&Preferences) -> Preferences,
) -> Result<HttpResponse, Problem> {
    Query::of(request, &[])?;
    let person = person_of(request, caller)?;
    let body = body::read(request, payload, BODY_BYTES_MAX).await?;
    if body.trim_ascii().is_empty() {
        // Whoever lost it on the way does not want everything as if nothing had ever been said.
        let detail = "the body is missing; `{}` says nothing";
        return Err(Problem::new(Kind::MalformedJson, detail));
    }
    let entity = Entity::new("preferences", &person);
    let preferences = journalled::settle(&*surface.journal, async || {
        let seen = surface.tree.projections.wishes().seq_of(&person);
        let known = current(surface, &person);
        let wanted = read(&body, beginning(&known))?;
        check(surface, &person, &wanted)?;
        if wanted == known {
            return Ok(Decision::nothing(wanted));
        }
        let fact = PreferencesChanged {
            person: person.clone(),
            preferences: wanted.clone(),
        };
        Ok(Decision::next("http", entity.clone(), seen, fact, wanted))
    })
    .await?;
    Ok(shown(&person, &preferences))
}

fn current(surface: &Surface, person: &PersonId) -> Preferences {
    let wishes = surface.tree.projections.wishes();
    wishes.of(person).cloned().unwrap_or_default()
}

fn shown(person: &PersonId, preferences: &Preferences) -> HttpResponse {
    response::ok(&Shown {
        person,
        preferences,
    })
}

fn read(body: &[u8], mut preferences: Preferences) -> Result<Preferences, Problem> {
    let mut fields = Fields::parse(body)?;
    let Preferences {
        locale,
        time_zone,
        quiet_hours,
        digest,
        opted_out_categories,
        muted,
        blocked,
    } = &mut preferences;
    set(&mut fields, "locale", locale)?;
    set(&mut fields, "time_zone", time_zone)?;
    set(&mut fields, "quiet_hours", quiet_hours)?;
    set(&mut fields, "digest", digest)?;
    set(&mut fields, "opted_out_categories", opted_out_categories)?;
    set(&mut fields, "muted", muted)?;
    set(&mut fields, "blocked", blocked)?;
    fields.end(&FIELDS)?;
    Ok(preferences)
}

/// Takes a field if it is there; null unsets what may be absent.
fn set<T: DeserializeOwned>(fields: &mut Fields, name: &str, slot: &mut T) -> Result<(), Problem> {
    if fields.has(name) {
        *slot = fields.required(name)?;
    }
    Ok(())
}

fn check(surface: &Surface, person: &PersonId, wanted: &Preferences) -> Result<(), Problem> {
    if let Some(locale) = &wanted.locale {
        request::check_locale("locale", locale)?;
    }
    if let Some(name) = &wanted.time_zone {
        check_time_zone(name)?;
    }
    let templates = surface.templates.iter();
    let categories: BTreeSet<&str> = templates
        .map(|template| template.category.as_str())
        .collect();
    for category in &wanted.opted_out_categories {
        if !categories.contains(category.as_str()) {
            let hint = request::did_you_mean(category, categories.iter().copied());
            let detail = format!("there is no category `{category}`{hint}");
            return Err(Problem::invalid("opted_out_categories", detail));
        }
    }
    check_list("muted", wanted.muted.iter().map(ElementId::as_str), person)?;
    check_list(
        "blocked",
        wanted.blocked.iter().map(PersonId::as_str),
        person,
    )
}

fn check_time_zone(name: &str) -> Result<(), Problem> {
    if TimeZone::get(name).is_ok() {
        return Ok(());
    }
    let known: Vec<String> = jiff::tz::db()
        .available()
        .map(|zone| zone.to_string())
        .collect();
    let hint = request::did_you_mean(name, known.iter().map(String::as_str));
    let detail = format!("there is no time zone `{name}`, such as `Asia/Seoul`{hint}");
    Err(Problem::invalid("time_zone", detail))
}

fn check_list<'a>(
    field: &str,
    ids: impl ExactSizeIterator<Item = &'a str>,
    person: &PersonId,
) -> Result<(), Problem> {
    if ids.len() > LIST_MAX {
        return Err(Problem::new(
            Kind::LimitReached,
            format!("`{field}` has more than {LIST_MAX} entries"),
        )
        .with("field", field));
    }
    for id in ids {
        request::check_text(field, id)?;
        if id == person.as_str() {
            let detail = format!("`{field}` names `{person}` themselves");
            return Err(Problem::invalid(field, detail));
        }
    }
    Ok(())
}
