//! What becomes of a person's subscriptions, in the journal before it is true.

use actix_web::http::StatusCode;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{
    SubscriptionChanged, SubscriptionCreated, SubscriptionRemoved, TemplateOptedIn,
    TemplateOptedOut,
};
use iyagi_messages::ids::{PersonId, Seq, SubscriptionId, TemplateId};
use iyagi_messages::subscription::Subscription;

use super::terms::Terms;
use crate::http::journalled::{self, Decision};
use crate::http::problem::{Kind, Problem};
use crate::http::request::Fields;
use crate::surface::Surface;

/// Subscriptions of one person; each is looked at whenever its anchor changes.
const PER_PERSON_MAX: usize = 1_000;

/// Asking twice for the same gives the same subscription.
pub(super) async fn subscribe(
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
        let seen = Seq::default();
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
pub(super) async fn amend(
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

pub(super) async fn unsubscribe(
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
pub(super) async fn prefer(
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
