//! What a person wants to hear of: their own subscriptions, and the default notifications that they have not left.
//!
//! Changing one is a merge patch of its terms.
//!
//! A default notification is known here as `template:<id>`. Deleting it opts the person out, posting it opts them in.

mod changes;
mod terms;
mod wanted;

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use iyagi_actors::projections::Audience;
use iyagi_actors::subscription_matcher::matching::Templates;
use iyagi_messages::ids::{PersonId, SubscriptionId, TemplateId};
use iyagi_messages::subscription::Subscription;
use serde::Serialize;
use utoipa::ToSchema;

use self::changes::{amend, prefer, subscribe, unsubscribe};
use self::terms::known_default;
use self::wanted::Wanted;
use crate::auth::Caller;
use crate::embedded::unique_id::unique_id;
use crate::http::State;
use crate::http::body;
use crate::http::openapi::requests::{SubscriptionChange, SubscriptionRequest};
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Fields, Query};
use crate::http::response;

const PREFIX: &str = "/v1/subscriptions/";
/// Begins the id of a default notification.
const DEFAULT: &str = "template:";
/// Largest body of a subscription.
const BODY_BYTES_MAX: u64 = 64 * 1024;

/// Everything that a person hears of.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = SubscriptionListing)]
pub(crate) struct Listing<'a> {
    owner: &'a PersonId,
    subscriptions: Vec<Subscription>,
    defaults: Vec<Notification<'a>>,
}

/// A default notification, and whether the person still gets it.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = DefaultNotification)]
pub(crate) struct Notification<'a> {
    id: String,
    template: &'a TemplateId,
    category: &'a str,
    enabled: bool,
}

/// What a request led to that made no new subscription.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it says what the answers look like")]
pub(crate) enum Subscribed<'a> {
    Known(Box<Subscription>),
    Default(Notification<'a>),
}

/// Everything that a person hears of.
#[utoipa::path(
    get,
    path = "/v1/subscriptions",
    operation_id = "listSubscriptions",
    tag = "subscriptions",
    params(("owner" = Option<PersonId>, Query, description = "The caller, who need not be named")),
    responses((status = 200, description = "Subscriptions and default notifications", body = Listing<'_>)),
    extensions(("x-problems" = json!([Kind::InvalidField, Kind::NotFound])))
)]
pub async fn list(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request, &["owner"])?;
    let owner = caller.as_named("owner", query.text("owner"))?;
    let surface = &state.surface;
    let projections = &surface.tree.projections;
    let subscriptions = projections.subscriptions().of(&owner);
    let audience = projections.audience();
    Ok(response::ok(&listing(
        &owner,
        subscriptions,
        &audience,
        &surface.templates,
    )))
}

/// Subscribes to changes, or enables a default notification again.
#[utoipa::path(
    post,
    path = "/v1/subscriptions",
    operation_id = "subscribe",
    tag = "subscriptions",
    request_body = SubscriptionRequest,
    responses(
        (status = 201, description = "A new subscription", body = Subscription, headers(("Location" = String))),
        (status = 200, description = "The same as the person has already, or the default notification", body = inline(Subscribed<'_>)),
    ),
    extensions(("x-problems" = json!([Kind::NotFound, Kind::Contended, Kind::LimitReached, Kind::StorageFull])))
)]
pub async fn create(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let body = body::read(&request, payload, BODY_BYTES_MAX).await?;
    let surface = &state.surface;
    match Wanted::read(&body, &caller, &surface.templates, &surface.config.graph)? {
        Wanted::Default { owner, template } => {
            prefer(surface, &owner, &template, true).await?;
            let audience = surface.tree.projections.audience();
            let listing = listing(&owner, Vec::new(), &audience, &surface.templates);
            let entry = listing
                .defaults
                .iter()
                .find(|one| *one.template == template);
            Ok(response::ok(&entry))
        }
        Wanted::Explicit { owner, terms } => {
            let id = SubscriptionId(unique_id(surface.clock.now()).to_string());
            let now_on = surface.tree.projections.outbox().cursor;
            let subscription = terms
                .check(surface.clock.now())?
                .of_person(id, owner, now_on);
            let (status, subscription) = subscribe(surface, subscription).await?;
            let location = format!("{PREFIX}{}", subscription.id);
            let mut answer = response::json(status, &subscription);
            if let Ok(location) = header::HeaderValue::from_str(&location) {
                answer.headers_mut().insert(header::LOCATION, location);
            }
            Ok(answer)
        }
    }
}

/// Changes a subscription.
///
/// The body is a merge patch (RFC 7396): null brings a default back.
#[utoipa::path(
    patch,
    path = "/v1/subscriptions/{id}",
    operation_id = "changeSubscription",
    tag = "subscriptions",
    params(
        ("id" = SubscriptionId, Path),
        ("owner" = Option<PersonId>, Query, description = "The caller, who need not be named"),
    ),
    request_body = SubscriptionChange,
    responses((status = 200, description = "The whole subscription", body = Subscription)),
    extensions(("x-problems" = json!([Kind::NotFound, Kind::Contended, Kind::StorageFull])))
)]
pub async fn change(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request, &["owner"])?;
    let owner = caller.as_named("owner", query.text("owner"))?;
    let id = SubscriptionId(request::segment(&request, PREFIX, "id")?);
    let body = body::read(&request, payload, BODY_BYTES_MAX).await?;
    let surface = &state.surface;
    let changed = amend(surface, &owner, &id, &Fields::parse(&body)?).await?;
    Ok(response::ok(&changed))
}

/// Ends a subscription, or opts the person out of a default notification.
///
/// The id of a default notification is `template:` and its template.
#[utoipa::path(
    delete,
    path = "/v1/subscriptions/{id}",
    operation_id = "unsubscribe",
    tag = "subscriptions",
    params(
        ("id" = SubscriptionId, Path),
        ("owner" = Option<PersonId>, Query, description = "The caller, who need not be named"),
    ),
    responses((status = 204, description = "Nothing more comes of it")),
    extensions(("x-problems" = json!([Kind::InvalidField, Kind::NotFound, Kind::Contended, Kind::StorageFull])))
)]
pub async fn remove(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request, &["owner"])?;
    let owner = caller.as_named("owner", query.text("owner"))?;
    let id = request::segment(&request, PREFIX, "id")?;
    let surface = &state.surface;
    match id.strip_prefix(DEFAULT) {
        Some(template) => {
            let template = TemplateId::from(template);
            known_default(&surface.templates, &template)?;
            prefer(surface, &owner, &template, false).await?;
        }
        None => unsubscribe(surface, &owner, &SubscriptionId(id)).await?,
    }
    Ok(HttpResponse::NoContent().finish())
}

fn listing<'a>(
    owner: &'a PersonId,
    subscriptions: Vec<Subscription>,
    audience: &Audience,
    templates: &'a Templates,
) -> Listing<'a> {
    let defaults = templates
        .iter()
        .filter(|template| template.anchor.is_some());
    let defaults = defaults.map(|template| Notification {
        id: format!("{DEFAULT}{}", template.id),
        template: &template.id,
        category: &template.category,
        enabled: !audience.has_opted_out(owner, &template.id),
    });
    Listing {
        owner,
        defaults: defaults.collect(),
        subscriptions,
    }
}

#[cfg(test)]
mod tests;
