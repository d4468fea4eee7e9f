//! What a person wants to hear of: their own subscriptions, and the default notifications that they have not left.
//!
//! A default notification is known here as `template:<id>`. Deleting it opts the person out, posting it opts them in.

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use iyagi_actors::projections::Audience;
use iyagi_actors::subscription_matcher::matching::Templates;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{
    SubscriptionCreated, SubscriptionRemoved, TemplateOptedIn, TemplateOptedOut,
};
use iyagi_messages::ids::{PersonId, SubscriptionId, TemplateId};
use iyagi_messages::subscription::{Anchor, Subscription, When};
use iyagi_messages::template::Template;
use serde::Serialize;

use crate::embedded::unique_id::unique_id;
use crate::http::State;
use crate::http::journalled::{self, Decision};
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Fields, Query};
use crate::http::response;
use crate::surface::Surface;

const PREFIX: &str = "/v1/subscriptions/";
/// Begins the id of a default notification.
const DEFAULT: &str = "template:";
const FIELDS: [&str; 4] = ["owner", "anchor", "when", "template"];
/// The template of a subscription that names none.
const TEMPLATE: &str = "subscription";
/// Largest body of a subscription.
const BODY_BYTES_MAX: u64 = 64 * 1024;
/// Subscriptions of one person; each is looked at whenever its anchor changes.
const PER_PERSON_MAX: usize = 1_000;
/// Entries of one list in a condition.
const CONDITION_MAX: usize = 32;

/// Everything that a person hears of.
#[derive(Debug, PartialEq, Serialize)]
struct Listing<'a> {
    owner: &'a PersonId,
    subscriptions: Vec<&'a Subscription>,
    defaults: Vec<Notification<'a>>,
}

/// A default notification, and whether the person still gets it.
#[derive(Debug, PartialEq, Serialize)]
struct Notification<'a> {
    id: String,
    template: &'a TemplateId,
    category: &'a str,
    enabled: bool,
}

/// What a request asks for.
#[derive(Debug, PartialEq)]
enum Wanted {
    Explicit {
        owner: PersonId,
        anchor: Anchor,
        when: When,
        template: TemplateId,
    },
    Default {
        owner: PersonId,
        template: TemplateId,
    },
}

/// `GET /v1/subscriptions?owner=`
pub async fn list(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request, &["owner"])?;
    let owner = PersonId::from(query.required("owner")?);
    let surface = &state.surface;
    let audience = surface.tree.projections.audience();
    Ok(response::ok(&listing(
        &owner,
        &audience,
        &surface.templates,
    )))
}

/// `POST /v1/subscriptions`
pub async fn create(
    state: Data<State>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let body = request::body(&request, payload, BODY_BYTES_MAX).await?;
    let surface = &state.surface;
    match Wanted::read(&body, &surface.templates)? {
        Wanted::Default { owner, template } => {
            prefer(surface, &owner, &template, true).await?;
            let audience = surface.tree.projections.audience();
            let listing = listing(&owner, &audience, &surface.templates);
            let entry = listing
                .defaults
                .iter()
                .find(|one| *one.template == template);
            Ok(response::ok(&entry))
        }
        Wanted::Explicit {
            owner,
            anchor,
            when,
            template,
        } => {
            let subscription = Subscription {
                id: SubscriptionId(unique_id(surface.clock.now()).to_string()),
                owner,
                anchor,
                when,
                template,
                effective_after: surface.tree.projections.outbox().cursor.commit,
            };
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

/// `DELETE /v1/subscriptions/{id}?owner=`
pub async fn remove(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request, &["owner"])?;
    let owner = PersonId::from(query.required("owner")?);
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
    audience: &'a Audience,
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
        subscriptions: audience.subscriptions_of(owner).collect(),
        defaults: defaults.collect(),
    }
}

/// Asking twice for the same gives the same subscription.
async fn subscribe(
    surface: &Surface,
    wanted: Subscription,
) -> Result<(StatusCode, Subscription), Problem> {
    journalled::settle(&*surface.journal, async || {
        let audience = surface.tree.projections.audience();
        let same = |known: &&Subscription| {
            (&known.anchor, &known.when, &known.template)
                == (&wanted.anchor, &wanted.when, &wanted.template)
        };
        if let Some(known) = audience.subscriptions_of(&wanted.owner).find(same) {
            return Ok(Decision::nothing((StatusCode::OK, known.clone())));
        }
        if audience.subscriptions_of(&wanted.owner).count() >= PER_PERSON_MAX {
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

async fn unsubscribe(
    surface: &Surface,
    owner: &PersonId,
    id: &SubscriptionId,
) -> Result<(), Problem> {
    journalled::settle(&*surface.journal, async || {
        let seen = journalled::seq_of(&*surface.journal, &entity(id)).await?;
        let audience = surface.tree.projections.audience();
        if audience
            .subscription(id)
            .is_none_or(|known| known.owner != *owner)
        {
            let detail = format!("`{owner}` has no subscription `{id}`");
            return Err(Problem::new(Kind::NotFound, detail));
        }
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
    fn read(body: &[u8], templates: &Templates) -> Result<Self, Problem> {
        let mut fields = Fields::parse(body)?;
        let owner = PersonId(fields.required_text("owner")?);
        if !fields.has("anchor") {
            let detail =
                "name an `anchor` for a subscription, or the `template` of a default notification";
            if !fields.has("template") {
                return Err(Problem::invalid("anchor", detail));
            }
            let template: TemplateId = fields.required("template")?;
            fields.end(&FIELDS)?;
            known_default(templates, &template)?;
            return Ok(Self::Default { owner, template });
        }
        let anchor: Anchor = fields.required("anchor")?;
        let when: When = fields.optional("when")?.unwrap_or_default();
        let template = fields.optional("template")?;
        let template = template.unwrap_or_else(|| TemplateId::from(TEMPLATE));
        fields.end(&FIELDS)?;
        check_anchor(&anchor)?;
        check_when(&when)?;
        if templates.get(&template).is_none() {
            let detail = format!(
                "there is no template `{template}`{}",
                meant(templates, &template, |_| true)
            );
            return Err(Problem::invalid("template", detail));
        }
        Ok(Self::Explicit {
            owner,
            anchor,
            when,
            template,
        })
    }
}

fn known_default(templates: &Templates, id: &TemplateId) -> Result<(), Problem> {
    if templates
        .get(id)
        .is_some_and(|template| template.anchor.is_some())
    {
        return Ok(());
    }
    let hint = meant(templates, id, |template| template.anchor.is_some());
    let detail = format!("there is no default notification `{id}`{hint}");
    Err(Problem::new(Kind::NotFound, detail).with("field", "template"))
}

fn meant(templates: &Templates, id: &TemplateId, which: impl Fn(&Template) -> bool) -> String {
    let known = templates.iter().filter(|template| which(template));
    request::did_you_mean(id.as_str(), known.map(|template| template.id.as_str()))
}

fn check_anchor(anchor: &Anchor) -> Result<(), Problem> {
    match anchor {
        Anchor::Incident { vertex, .. } if vertex.as_str().starts_with('@') => {
            Err(Problem::invalid(
                "anchor.incident.vertex",
                "`@me` is for templates; name the vertex itself",
            ))
        }
        Anchor::Incident { vertex, .. } => {
            request::check_text("anchor.incident.vertex", vertex.as_str())
        }
        Anchor::Element { id } => request::check_text("anchor.element.id", id.as_str()),
        Anchor::Followed { via, .. } => request::check_text("anchor.followed.via", via),
        Anchor::Label { label } => request::check_text("anchor.label.label", label),
        Anchor::Owned { .. } => Ok(()),
    }
}

fn check_when(when: &When) -> Result<(), Problem> {
    let lists = [
        ("when.labels", &when.labels),
        ("when.other_labels", &when.other_labels),
        ("when.keys", &when.keys),
    ];
    if when.change.len() > CONDITION_MAX {
        let detail = format!("`when.change` has more than {CONDITION_MAX} entries");
        return Err(Problem::invalid("when.change", detail));
    }
    for (field, list) in lists {
        if list.len() > CONDITION_MAX {
            let detail = format!("`{field}` has more than {CONDITION_MAX} entries");
            return Err(Problem::invalid(field, detail));
        }
        for text in list {
            request::check_text(field, text)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use iyagi_messages::template::Texts;

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
        Templates::new(vec![template("follow", Some(me)), template(TEMPLATE, None)])
    }

    #[test]
    fn a_subscription_with_a_mistake_names_its_field() {
        for (body, field) in [
            (r#"{"anchor": {"label": {"label": "story"}}}"#, "owner"),
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
            (r#"{"owner": "p", "template": "subscription"}"#, "template"),
            (r#"{"owner": "p", "template": "follow", "whom": 1}"#, "whom"),
        ] {
            let problem = Wanted::read(body.as_bytes(), &templates()).unwrap_err();
            assert_eq!(problem.to_json()["field"], field, "{body}: {problem}");
        }
    }

    #[test]
    fn a_default_notification_is_on_until_its_person_opts_out() {
        let (owner, templates) = (PersonId::from("p"), templates());
        let audience = Audience::default();
        let listing = listing(&owner, &audience, &templates);
        assert_eq!(listing.defaults.len(), 1);
        assert_eq!(listing.defaults[0].id, "template:follow");
        assert!(listing.defaults[0].enabled);
    }
}
