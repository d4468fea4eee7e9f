//! The actors, and the orders that an operator gives them. Each order is in the journal before it is carried out.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use iyagi_actors::runtime::{ActorKind, ActorSnapshot, ActorState, ControlError};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{ActorPaused, ActorResumed, Fact, PoolResized, RestartRequested};
use serde::Serialize;
use utoipa::ToSchema;

use super::WRITER;
use super::order::{self, BECAUSE};
use crate::http::State;
use crate::http::journalled::{self, Decision};
use crate::http::openapi::orders::{ActorOrder, Order, Scaling};
use crate::http::openapi::parameters::Name;
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Fields, Query};
use crate::http::response;
use crate::surface::Surface;

const PREFIX: &str = "/v1/ops/actors/";
/// What the document says of an actor's name.
const NAME: &str = "The actor's name, as one segment";
/// By name; a size is yet to be read.
const ORDERS: [(&str, Verb); 4] = [
    ("scale", Verb::Scale),
    ("pause", Verb::Pause),
    ("resume", Verb::Resume),
    ("restart", Verb::Restart),
];
/// Most workers that a pool may be given.
const SIZE_MAX: u32 = 1_024;

#[derive(Clone, Copy)]
enum Verb {
    Scale,
    Pause,
    Resume,
    Restart,
}

/// What an operator wants of an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Scale(u32),
    Pause,
    Resume,
    Restart,
}

/// Everything that works in the daemon.
#[derive(Debug, Serialize, ToSchema)]
struct ActorListing {
    actors: Vec<ActorSnapshot>,
}

/// Every actor; a pool is followed by its workers.
#[utoipa::path(
    get,
    path = "/v1/ops/actors",
    operation_id = "listActors",
    tag = "actors",
    responses((status = 200, description = "Actors in the order of the tree", body = ActorListing)),
)]
pub async fn list(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let actors = state.surface.actors.actors();
    Ok(response::ok(&ActorListing { actors }))
}

/// One actor.
#[utoipa::path(
    get,
    path = "/v1/ops/actors/{name}",
    operation_id = "showActor",
    tag = "actors",
    params(("name" = Name, Path, description = NAME)),
    responses((status = 200, description = "The actor", body = ActorSnapshot)),
    extensions(("x-problems" = json!([Kind::UnknownActor])))
)]
pub async fn one(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let name = request::segment(&request, PREFIX, "name")?;
    Ok(response::ok(&find(&state.surface, &name)?))
}

/// Gives a pool another number of workers.
#[utoipa::path(
    post,
    path = "/v1/ops/actors/{name}/scale",
    operation_id = "scalePool",
    tag = "actors",
    params(("name" = Name, Path, description = NAME)),
    request_body = Scaling,
    responses((status = 200, description = "The pool as it is then", body = ActorSnapshot)),
    extensions(("x-problems" = json!([Kind::UnknownActor, Kind::NotAPool, Kind::ActorStopped, Kind::Contended, Kind::StorageFull])))
)]
pub async fn scale(
    state: Data<State>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    order(state, request, payload).await
}

/// Lets an actor take no more messages, lets it go on, or rebuilds it from the journal.
#[utoipa::path(
    post,
    path = "/v1/ops/actors/{name}/{order}",
    operation_id = "orderActor",
    tag = "actors",
    params(
        ("name" = Name, Path, description = NAME),
        ("order" = inline(ActorOrder), Path),
    ),
    request_body = Option<Order>,
    responses((status = 200, description = "The actor as it is then", body = ActorSnapshot)),
    extensions(("x-problems" = json!([Kind::UnknownPath, Kind::UnknownActor, Kind::ActorStopped, Kind::Contended, Kind::StorageFull])))
)]
pub async fn order(
    state: Data<State>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let order = order::read(&request, payload, (PREFIX, "name"), &ORDERS).await?;
    let wish = Wish::read(order.verb, order.fields)?;
    let (by, because) = (&order.by, order.because.as_deref());
    let actor = give(&state.surface, &order.name, wish, by, because).await?;
    Ok(response::ok(&actor))
}

impl Wish {
    fn read(verb: Verb, mut fields: Fields) -> Result<Self, Problem> {
        let mut known: &[&str] = &[BECAUSE];
        let wish = match verb {
            Verb::Scale => {
                known = &["size", BECAUSE];
                let size: u64 = fields.required("size")?;
                let size = u32::try_from(size)
                    .ok()
                    .filter(|size| (1..=SIZE_MAX).contains(size));
                let detail = format!("`size` is a whole number from 1 to {SIZE_MAX}");
                Self::Scale(size.ok_or_else(|| Problem::invalid("size", detail))?)
            }
            Verb::Pause => Self::Pause,
            Verb::Resume => Self::Resume,
            Verb::Restart => Self::Restart,
        };
        fields.end(known)?;
        Ok(wish)
    }

    /// What the order is in the journal.
    fn fact(self, snapshot: &ActorSnapshot, by: &str, because: Option<&str>) -> Option<Fact> {
        let (actor, by) = (snapshot.name.clone(), by.to_owned());
        let because = because.map(str::to_owned);
        Some(match self {
            Self::Pause => ActorPaused { actor, by, because }.into(),
            Self::Resume => ActorResumed { actor, by, because }.into(),
            Self::Restart => RestartRequested { actor, by, because }.into(),
            Self::Scale(to) => {
                let from = u32::try_from(snapshot.size.unwrap_or(0)).unwrap_or(u32::MAX);
                if from == to {
                    return None;
                }
                PoolResized {
                    pool: actor,
                    from,
                    to,
                    by,
                    because,
                }
                .into()
            }
        })
    }
}

/// Journals an order and carries it out; yields the actor as it is then.
async fn give(
    surface: &Surface,
    name: &str,
    wish: Wish,
    by: &str,
    because: Option<&str>,
) -> Result<ActorSnapshot, Problem> {
    let entity = Entity::new("actor", name);
    journalled::settle(&*surface.journal, async || {
        let actor = find(surface, name)?;
        check(&actor, wish)?;
        let Some(fact) = wish.fact(&actor, by, because) else {
            return Ok(Decision::nothing(()));
        };
        let seen = journalled::seq_of(&*surface.journal, &entity).await?;
        Ok(Decision::next(WRITER, entity.clone(), seen, fact, ()))
    })
    .await?;
    tracing::info!(actor = name, order = ?wish, by, because, "an operator's order");
    let actors = &surface.actors;
    let done = match wish {
        Wish::Scale(size) => actors.scale(name, size as usize).map(|_| ()),
        Wish::Pause => actors.pause(name),
        Wish::Resume => actors.resume(name),
        Wish::Restart => actors.restart(name),
    };
    done.map_err(|error| problem_of(&error))?;
    find(surface, name)
}

fn check(actor: &ActorSnapshot, wish: Wish) -> Result<(), Problem> {
    let name = actor.name.clone();
    if actor.state == ActorState::Stopped {
        return Err(problem_of(&ControlError::Stopped { name }));
    }
    if matches!(wish, Wish::Scale(_)) && actor.kind != ActorKind::Pool {
        return Err(problem_of(&ControlError::NotAPool { name }));
    }
    Ok(())
}

fn find(surface: &Surface, name: &str) -> Result<ActorSnapshot, Problem> {
    surface
        .actors
        .actor(name)
        .map_err(|error| problem_of(&error))
}

fn problem_of(error: &ControlError) -> Problem {
    let detail = error.to_string();
    match error {
        ControlError::UnknownActor { candidates, .. } => {
            Problem::new(Kind::UnknownActor, detail).with("candidates", candidates.clone())
        }
        ControlError::NotAPool { .. } => Problem::new(Kind::NotAPool, detail),
        ControlError::Stopped { .. } => Problem::new(Kind::ActorStopped, detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(body: &str) -> Result<Wish, Problem> {
        Wish::read(Verb::Scale, Fields::parse(body.as_bytes())?)
    }

    #[test]
    fn a_size_beyond_the_bounds_is_refused_with_its_field() {
        for body in [
            r#"{"size": 0}"#,
            r#"{"size": 1025}"#,
            r#"{"size": "3"}"#,
            "{}",
            r#"{"size": -1}"#,
        ] {
            let problem = scale(body).unwrap_err();
            assert_eq!(problem.to_json()["field"], "size", "{body}");
        }
        assert_eq!(scale(r#"{"size": 1024}"#), Ok(Wish::Scale(1024)));
    }
}
