//! What a person wants to hear of: their own subscriptions, and the default notifications that they have not left.
//!
//! Changing one is a merge patch of its terms.
//!
//! A default notification is known here as `template:<id>`. Deleting it opts the person out, posting it opts them in.

mod terms;

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use iyagi_actors::projections::Audience;
use iyagi_actors::subscription_matcher::graph::GraphModel;
use iyagi_actors::subscription_matcher::matching::Templates;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{
    SubscriptionChanged, SubscriptionCreated, SubscriptionRemoved, TemplateOptedIn,
    TemplateOptedOut,
};
use iyagi_messages::ids::{PersonId, SubscriptionId, TemplateId};
use iyagi_messages::subscription::Subscription;
use serde::Serialize;
use utoipa::ToSchema;

use self::terms::{Terms, known_default};

use crate::auth::Caller;
use crate::embedded::unique_id::unique_id;
use crate::http::State;
use crate::http::journalled::{self, Decision};
use crate::http::openapi::requests::{SubscriptionChange, SubscriptionRequest};
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Fields, Query};
use crate::http::response;
use crate::surface::Surface;

const PREFIX: &str = "/v1/subscriptions/";
/// Begins the id of a default notification.
const DEFAULT: &str = "template:";
/// Largest body of a subscription.
const BODY_BYTES_MAX: u64 = 64 * 1024;
/// Subscriptions of one person; each is looked at whenever its anchor changes.
const PER_PERSON_MAX: usize = 1_000;

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

/// What a request asks for.
#[derive(Debug, PartialEq)]
enum Wanted {
    Explicit {
        owner: PersonId,
        terms: Terms,
    },
    Default {
        owner: PersonId,
        template: TemplateId,
    },
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
    let body = request::body(&request, payload, BODY_BYTES_MAX).await?;
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
    let body = request::body(&request, payload, BODY_BYTES_MAX).await?;
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

/// Asking twice for the same gives the same subscription.
async fn subscribe(
    surface: &Surface,
    wanted: Subscription,
) -> Result<(StatusCode, Subscription), Problem> {
    journalled::settle(&*surface.journal, async || {
        let known = surface.tree.projections.subscriptions().of(&wanted.owner);
        let terms = Terms::of(&wanted);
        if let Some(same) = known.iter().find(|known| Terms::of(known) == terms) {
            return Ok(Decision::nothing((StatusCode::OK, same.clone())));
        }
        if known.len() >= PER_PERSON_MAX {
            return Err(Problem::new(
                Kind::LimitReached,
                format!("a person has at most {PER_PERSON_MAX} subscriptions; remove some first"),
            ));
        }
        let fact = SubscriptionCreated {
            subscription: wanted.clone(),
        };
        let outcome = (StatusCode::CREATED, wanted.clone());
        let seen = iyagi_messages::ids::Seq::default();
        Ok(Decision::next(
            "http",
            entity(&wanted.id),
            seen,
            fact,
            outcome,
        ))
    })
    .await
}

/// What is changed takes effect from here on: of what was committed before, nobody is told by it.
async fn amend(
    surface: &Surface,
    owner: &PersonId,
    id: &SubscriptionId,
    patch: &Fields,
) -> Result<Subscription, Problem> {
    journalled::settle(&*surface.journal, async || {
        let seen = journalled::seq_of(&*surface.journal, &entity(id)).await?;
        let known = owned(surface, owner, id)?;
        let terms = Terms::of(&known);
        let amended = terms.amended(patch, &surface.templates, &surface.config.graph)?;
        if amended == terms {
            return Ok(Decision::nothing(known));
        }
        if amended.expires_at != terms.expires_at {
            amended.clone().check(surface.clock.now())?;
        }
        let now_on = surface.tree.projections.outbox().cursor;
        let subscription = amended.of_person(id.clone(), owner.clone(), now_on);
        let fact = SubscriptionChanged {
            subscription: subscription.clone(),
        };
        Ok(Decision::next("http", entity(id), seen, fact, subscription))
    })
    .await
}

/// A person's subscription. Another one's is as if it were not there.
fn owned(
    surface: &Surface,
    owner: &PersonId,
    id: &SubscriptionId,
) -> Result<Subscription, Problem> {
    let known = surface.tree.projections.subscriptions().get(id);
    known.filter(|known| known.owner == *owner).ok_or_else(|| {
        let detail = format!("`{owner}` has no subscription `{id}`");
        Problem::new(Kind::NotFound, detail)
    })
}

async fn unsubscribe(
    surface: &Surface,
    owner: &PersonId,
    id: &SubscriptionId,
) -> Result<(), Problem> {
    journalled::settle(&*surface.journal, async || {
        let seen = journalled::seq_of(&*surface.journal, &entity(id)).await?;
        owned(surface, owner, id)?;
        let fact = SubscriptionRemoved {
            id: id.clone(),
            owner: owner.clone(),
        };
        Ok(Decision::next("http", entity(id), seen, fact, ()))
    })
    .await
}

/// Lets a person have a default notification, or not.
async fn prefer(
    surface: &Surface,
    owner: &PersonId,
    template: &TemplateId,
    enabled: bool,
) -> Result<(), Problem> {
    let entity = Entity::new("preference", owner);
    journalled::settle(&*surface.journal, async || {
        let seen = journalled::seq_of(&*surface.journal, &entity).await?;
        let audience = surface.tree.projections.audience();
        if audience.has_opted_out(owner, template) != enabled {
            return Ok(Decision::nothing(()));
        }
        let (person, template) = (owner.clone(), template.clone());
        let entity = entity.clone();
        Ok(if enabled {
            let fact = TemplateOptedIn { person, template };
            Decision::next("http", entity, seen, fact, ())
        } else {
            let fact = TemplateOptedOut { person, template };
            Decision::next("http", entity, seen, fact, ())
        })
    })
    .await
}

fn entity(id: &SubscriptionId) -> Entity {
    Entity::new("subscription", id)
}

impl Wanted {
    fn read(
        body: &[u8],
        caller: &Caller,
        templates: &Templates,
        model: &GraphModel,
    ) -> Result<Self, Problem> {
        let mut fields = Fields::parse(body)?;
        let owner = caller.as_field("owner", &mut fields)?;
        if fields.has("anchor") {
            let terms = Terms::read(fields, templates, model)?;
            return Ok(Self::Explicit { owner, terms });
        }
        if !fields.has("template") {
            let detail =
                "name an `anchor` for a subscription, or the `template` of a default notification";
            return Err(Problem::invalid("anchor", detail));
        }
        let template: TemplateId = fields.required("template")?;
        fields.end(&["owner", "anchor", "template"])?;
        known_default(templates, &template)?;
        Ok(Self::Default { owner, template })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iyagi_messages::subscription::{Anchor, When};
    use iyagi_messages::template::{Template, Texts};

    fn caller() -> Caller {
        Caller {
            person: "p".into(),
            is_admin: false,
        }
    }

    fn templates() -> Templates {
        let template = |id: &str, anchor| Template {
            id: id.into(),
            anchor,
            when: When::default(),
            category: "people".to_owned(),
            ttl_seconds: 60,
            on_unknown_outcome: iyagi_messages::push::OnUnknownOutcome::default(),
            urgent: false,
            duplicate_seconds: 0,
            burst_seconds: 0,
            texts: [(
                "en".to_owned(),
                Texts {
                    title: String::new(),
                    body: String::new(),
                },
            )]
            .into(),
            device_texts: None,
            presentation: iyagi_messages::template::Presentation::default(),
            link: String::new(),
        };
        let me = Anchor::Incident {
            vertex: "@me".into(),
            dir: iyagi_messages::subscription::Direction::In,
        };
        Templates::new(vec![
            template("follow", Some(me)),
            template("subscription", None),
        ])
    }

    #[test]
    fn a_subscription_with_a_mistake_names_its_field() {
        for (body, field) in [
            (
                r#"{"owner": "q", "anchor": {"label": {"label": "story"}}}"#,
                "owner",
            ),
            (r#"{"owner": "p"}"#, "anchor"),
            (r#"{"owner": "p", "anchor": {"lable": {}}}"#, "anchor"),
            (
                r#"{"owner": "p", "anchor": {"label": {"label": ""}}}"#,
                "anchor.label.label",
            ),
            (
                r#"{"owner": "p", "anchor": {"incident": {"vertex": "@me"}}}"#,
                "anchor.incident.vertex",
            ),
            (
                r#"{"owner": "p", "anchor": {"element": {"id": "e"}}, "when": {"key": []}}"#,
                "when",
            ),
            (
                r#"{"owner": "p", "anchor": {"element": {"id": "e"}}, "when": {"keys": [""]}}"#,
                "when.keys",
            ),
            (
                r#"{"owner": "p", "anchor": {"element": {"id": "e"}}, "template": "folow"}"#,
                "template",
            ),
            (r#"{"owner": "p", "anchor": {}}"#, "anchor"),
            (
                r#"{"owner": "p", "anchor": {"followed": {"via": "FOLOWS"}}}"#,
                "anchor.followed.via",
            ),
            (
                r#"{"owner": "p", "anchor": {"element": {"idd": "e"}}}"#,
                "anchor.element",
            ),
            (
                r#"{"owner": "p", "anchor": {"owned": {}}, "when": {"where": [{"key": "a", "op": "is"}]}}"#,
                "when.where[0]",
            ),
            (
                r#"{"owner": "p", "anchor": {"owned": {}}, "when": {"where": [{"key": "a", "op": "in", "value": "b"}]}}"#,
                "when.where[0].value",
            ),
            (
                r#"{"owner": "p", "anchor": {"owned": {}}, "when": {"where": [{"key": "", "op": "exists"}]}}"#,
                "when.where[0].key",
            ),
            (
                r#"{"owner": "p", "anchor": {"owned": {}}, "enabled": "no"}"#,
                "enabled",
            ),
            (r#"{"owner": "p", "template": "subscription"}"#, "template"),
            (r#"{"owner": "p", "template": "follow", "whom": 1}"#, "whom"),
        ] {
            let problem = Wanted::read(
                body.as_bytes(),
                &caller(),
                &templates(),
                &GraphModel::default(),
            )
            .unwrap_err();
            assert_eq!(problem.to_json()["field"], field, "{body}: {problem}");
        }
    }

    #[test]
    fn a_default_notification_is_on_until_its_person_opts_out() {
        let (owner, templates) = (PersonId::from("p"), templates());
        let audience = Audience::default();
        let listing = listing(&owner, Vec::new(), &audience, &templates);
        assert_eq!(listing.defaults.len(), 1);
        assert_eq!(listing.defaults[0].id, "template:follow");
        assert!(listing.defaults[0].enabled);
    }

    #[test]
    fn a_merge_patch_changes_what_it_names_and_nothing_else() {
        let body = r#"{"owner": "p", "anchor": {"incident": {"vertex": "v", "dir": "in"}}, "expires_at": 5,
                       "when": {"keys": ["title"], "labels": ["Story"]}, "exclude_self": false}"#;
        let Ok(Wanted::Explicit { terms, .. }) = Wanted::read(
            body.as_bytes(),
            &caller(),
            &templates(),
            &GraphModel::default(),
        ) else {
            panic!("it can be read");
        };
        let amended = |patch: &str| {
            let patch = Fields::parse(patch.as_bytes()).expect("an object");
            terms.amended(&patch, &templates(), &GraphModel::default())
        };
        assert_eq!(amended("{}").as_ref(), Ok(&terms));
        let patch = r#"{"when": {"keys": null, "change": ["deleted"]}, "expires_at": null, "enabled": false}"#;
        let changed = amended(patch).expect("makes sense");
        assert_eq!(changed.when.labels, ["Story"]);
        assert_eq!(changed.when.keys, Vec::<String>::new());
        assert_eq!(changed.when.change.len(), 1);
        let rest = (changed.expires_at, changed.enabled, changed.exclude_self);
        assert_eq!(rest, (None, false, false));
        let turned = amended(r#"{"anchor": {"incident": {"dir": "out"}}}"#).expect("makes sense");
        let dir = iyagi_messages::subscription::Direction::Out;
        let vertex = "v".into();
        assert_eq!(turned.anchor, Anchor::Incident { vertex, dir });
        let moved = amended(r#"{"anchor": {"element": {"id": "e"}}}"#).expect("makes sense");
        assert_eq!(moved.anchor, Anchor::Element { id: "e".into() });
        for (patch, field) in [
            (r#"{"owner": "q"}"#, "owner"),
            (r#"{"effective_after": 0}"#, "effective_after"),
            (r#"{"anchor": null}"#, "anchor"),
            (
                r#"{"anchor": {"incident": {"vertex": ""}}}"#,
                "anchor.incident.vertex",
            ),
            (r#"{"template": "folow"}"#, "template"),
            (r#"{"wen": {}}"#, "wen"),
        ] {
            let problem = amended(patch).unwrap_err();
            assert_eq!(problem.to_json()["field"], field, "{patch}: {problem}");
        }
    }
}
