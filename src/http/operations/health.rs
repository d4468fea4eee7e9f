//! Whether the daemon lives, and whether each of its dependencies can be used.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::join_all;
use iyagi_actors::health::Condition;
use iyagi_actors::runtime::{ActorKind, ActorState};
use iyagi_messages::ids::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::State;
use crate::http::problem::{Kind, Problem};
use crate::http::request::Query;
use crate::http::response;
use crate::surface::Surface;

/// How long a dependency may take to say that it is there.
pub(super) const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// How the daemon and each of its dependencies are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether all of them can be used.
    pub ready: bool,
    /// Each by name.
    pub dependencies: BTreeMap<String, Condition>,
}

/// Whether the daemon lives, which it does if it answers.
#[derive(Debug, Serialize, ToSchema)]
struct Liveness {
    live: bool,
}

/// Whether the daemon lives.
#[utoipa::path(
    get,
    path = "/livez",
    operation_id = "isAlive",
    tag = "health",
    security(()),
    responses((status = 200, description = "It does", body = Liveness)),
)]
pub async fn live() -> HttpResponse {
    response::ok(&Liveness { live: true })
}

/// Whether the daemon can work: whether each of its dependencies can be used.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "isReady",
    tag = "health",
    security(()),
    params(("verbose" = Option<String>, Query, description = "Changes nothing; others' probes send it")),
    responses(
        (status = 200, description = "It can", body = Readiness),
        (status = 503, description = "Something is missing", body = Readiness),
    ),
    extensions(("x-problems" = json!([Kind::UnknownParameter])))
)]
pub async fn ready(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &["verbose"])?;
    let readiness = readiness(&state.surface).await;
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    Ok(response::json(status, &readiness))
}

/// What the actors last said of the world, the stores asked just now, and the actors themselves.
pub async fn readiness(surface: &Surface) -> Readiness {
    let now = surface.clock.now();
    for (name, ready, detail) in probe(surface).await {
        // The health board keeps since when it is so.
        surface.tree.health.report(&name, ready, detail, now);
    }
    for (name, condition) in surface.gateway.services() {
        let name = format!("push service {name}");
        let health = &surface.tree.health;
        health.report(&name, condition.ready, condition.detail, now);
    }
    let (ready, detail) = actors_say(surface);
    surface.tree.health.report("actors", ready, detail, now);
    let mut dependencies = surface.tree.health.all();
    // A change between two looks at the clock must not lie in the future.
    for condition in dependencies.values_mut() {
        condition.since = Timestamp(condition.since.0.min(now.0));
    }
    Readiness {
        ready: dependencies.values().all(|condition| condition.ready),
        dependencies,
    }
}

async fn probe(surface: &Surface) -> Vec<(String, bool, String)> {
    let journal = answered("journal", async {
        let head = surface.journal.head().await;
        head.map(|head| format!("at position {head}"))
    });
    let files = answered("files", async {
        let page = surface.store.list("", None, 1).await;
        page.map(|_| "readable".to_owned())
    });
    let metadata = answered("metadata", async {
        let page = surface.table.list("", None, 1).await;
        page.map(|_| "readable".to_owned())
    });
    let graph = answered("graph", async {
        let Some(here) = &surface.one_machine else {
            let head = surface.stream.head().await;
            let head = head.map_err(|fault| fault.to_string())?;
            return Ok(head.map_or_else(|| "empty".to_owned(), |head| format!("at {head}")));
        };
        if here.graph.has_stopped() {
            return Err("it takes no more writes: the disk is full or failed".to_owned());
        }
        let tip = here.graph.tip().await;
        tip.map(|tip| format!("at {tip}")).map_err(|error| {
            tracing::warn!(%error, "the graph cannot be read");
            "it cannot be read; the log says why".to_owned()
        })
    });
    let (journal, files, metadata, graph) = tokio::join!(journal, files, metadata, graph);
    let queues = surface.queues.iter().map(|queue| async move {
        let name = format!("queue {}", queue.name());
        answered(&name, async {
            let depth = queue.depth().await;
            depth.map(|depth| format!("{} visible, {} in flight", depth.visible, depth.in_flight))
        })
        .await
    });
    let mut all = vec![journal, files, metadata, graph];
    all.extend(join_all(queues).await);
    all
}

async fn answered<E: ToString>(
    name: &str,
    answer: impl Future<Output = Result<String, E>>,
) -> (String, bool, String) {
    let answer = tokio::time::timeout(PROBE_TIMEOUT, answer).await;
    let (ready, detail) = match answer {
        Ok(Ok(detail)) => (true, detail),
        Ok(Err(error)) => (false, error.to_string()),
        Err(_) => (
            false,
            format!("no answer within {} s", PROBE_TIMEOUT.as_secs()),
        ),
    };
    (name.to_owned(), ready, detail)
}

/// Actors that work, or that an operator has paused, are in order.
fn actors_say(surface: &Surface) -> (bool, String) {
    let actors = surface.actors.actors();
    let actors = actors
        .iter()
        .filter(|actor| actor.kind != ActorKind::Worker);
    let (mut count, mut bad, mut paused) = (0, Vec::new(), 0);
    for actor in actors {
        count += 1;
        match actor.state {
            ActorState::Failed | ActorState::Stuck => {
                let state = if actor.state == ActorState::Failed {
                    "failed"
                } else {
                    "stuck"
                };
                bad.push(format!("{} is {state}", actor.name));
            }
            ActorState::Stopped => bad.push(format!("{} has stopped", actor.name)),
            ActorState::Paused => paused += 1,
            _ => {}
        }
    }
    if bad.is_empty() {
        (true, format!("{count} actors, {paused} paused"))
    } else {
        (false, bad.join(", "))
    }
}
