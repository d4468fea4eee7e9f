//! `GET /actors`: the supervision tree as it is now, and what an operator can do about each actor.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use iyagi_actors::runtime::{ActorKind, ActorSnapshot, ActorState, Calls};
use iyagi_messages::event::Entity;
use iyagi_messages::ids::Timestamp;

use super::bar::Bar;
use super::event::{self, Told};
use super::frame::{Frame, Refusal, page};
use super::look::{ActorLook, Look};
use super::text::{self, Moment};
use super::topic::Topic;
use super::verdict::Grade;
use crate::http::State;
use crate::http::journalled;
use crate::http::operations::status::state_name;
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Query};
use crate::http::response::encoded;

const PREFIX: &str = "/actors/";
/// Workers of a pool that are shown: whoever reads on wants a page of one of them.
const WORKERS_MAX: usize = 100;
/// Events of an actor that its page shows.
const EVENTS_MAX: usize = 20;

#[derive(Template)]
#[template(path = "actors.html")]
struct TreePage {
    frame: Frame,
    topic: String,
    tree: Tree,
}

/// The tree as it is now.
#[derive(Template)]
#[template(path = "actors_tree.html")]
pub(super) struct Tree {
    groups: Vec<Group>,
    /// The pool whose workers are all shown.
    open: Option<String>,
    may_act: bool,
}

struct Group {
    name: String,
    rows: Vec<Row>,
}

/// An actor in one line.
pub(super) struct Row {
    name: String,
    /// What is left of the name beneath the pool that it says.
    short: String,
    href: String,
    kind: ActorKind,
    state: String,
    grade: Grade,
    handling: String,
    mailbox: Bar,
    oldest: String,
    per_second: String,
    p99: String,
    restarts: String,
    reason: String,
    size: Option<usize>,
    /// Workers beneath it that are not shown though they are wanted.
    left_out: usize,
    paused: bool,
    stopped: bool,
}

#[derive(Template)]
#[template(path = "actor.html")]
struct ActorPage {
    frame: Frame,
    topic: String,
    detail: Detail,
    events: Vec<Told>,
}

/// One actor as it is now.
#[derive(Template)]
#[template(path = "actor_now.html")]
pub(super) struct Detail {
    row: Row,
    figures: Vec<(&'static str, String)>,
    waited: Vec<(String, String)>,
    failure: Option<(String, Moment)>,
    panic: Option<Panic>,
    policy: String,
    may_act: bool,
}

/// The last panic of an actor.
struct Panic {
    reason: String,
    at: Moment,
    /// The calls that led to it, once somebody has had them named.
    calls: Option<String>,
}

/// An actor's state, in words.
pub(super) fn state_words(state: ActorState) -> String {
    state_name(state).replace('_', " ")
}

/// How an actor's state is.
pub(super) fn grade_of(state: ActorState) -> Grade {
    match state {
        ActorState::Failed | ActorState::Stuck | ActorState::Stopped => Grade::Bad,
        ActorState::BackingOff | ActorState::Paused | ActorState::Draining => Grade::Fair,
        ActorState::Starting | ActorState::Running | ActorState::Idle => Grade::Good,
    }
}

impl Tree {
    /// Of the workers of other pools than `open` only those are shown that something is wrong with, beyond what is wrong with
    /// all of the pool.
    pub(super) fn of(look: &Look, open: Option<&str>, may_act: bool) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        let mut pool_group = 0;
        for actor in &look.actors {
            let row = Row::of(actor);
            if row.kind == ActorKind::Worker {
                // A pool is followed by its workers.
                if let Some(group) = groups.get_mut(pool_group) {
                    group.take_worker(row, open == Some(&*actor.actor.group));
                }
                continue;
            }
            let name = &actor.actor.group;
            let known = groups.iter().position(|group| group.name == *name);
            pool_group = known.unwrap_or_else(|| {
                groups.push(Group {
                    name: name.clone(),
                    rows: Vec::new(),
                });
                groups.len() - 1
            });
            groups[pool_group].rows.push(row);
        }
        Self {
            groups,
            open: open.map(str::to_owned),
            may_act,
        }
    }
}

impl Group {
    fn take_worker(&mut self, worker: Row, wanted: bool) {
        let pool = self.rows.iter().rposition(|row| !row.is_worker());
        let Some(pool) = pool else { return };
        let shown = self.rows.len() - pool - 1;
        let pool = &mut self.rows[pool];
        let remarkable = worker.grade != Grade::Good && worker.state != pool.state;
        if !wanted && !remarkable {
            return;
        }
        if shown < WORKERS_MAX {
            self.rows.push(worker);
        } else {
            pool.left_out += 1;
        }
    }
}

impl Row {
    fn of(
        ActorLook {
            actor, per_second, ..
        }: &ActorLook,
    ) -> Self {
        let own = actor.name.strip_prefix(&actor.group);
        let own = own.and_then(|own| own.strip_prefix('/'));
        let counters = &actor.counters;
        let restarts = match counters.panics {
            0 => text::number(counters.restarts),
            panics => format!(
                "{} ({})",
                text::number(counters.restarts),
                text::count(panics, "panic")
            ),
        };
        Self {
            short: own.unwrap_or(&actor.name).to_owned(),
            href: format!("{PREFIX}{}", encoded(&actor.name)),
            kind: actor.kind,
            state: state_words(actor.state),
            grade: grade_of(actor.state),
            handling: actor
                .handling
                .as_ref()
                .map_or_else(String::new, |handling| handling.message.to_owned()),
            mailbox: Bar::of(actor.mailbox.len as u64, actor.mailbox.capacity as u64),
            oldest: actor.oldest_message_ms.map_or_else(dash, text::span),
            per_second: per_second.map_or_else(dash, text::rate),
            p99: match actor.latency.count {
                0 => dash(),
                _ => text::micros(actor.latency.p99_us),
            },
            restarts,
            reason: actor
                .last_failure
                .as_ref()
                .map_or_else(String::new, |failure| failure.reason.clone()),
            size: actor.size.filter(|_| actor.kind == ActorKind::Pool),
            left_out: 0,
            paused: actor.state == ActorState::Paused,
            stopped: actor.state == ActorState::Stopped,
            name: actor.name.clone(),
        }
    }

    fn is_worker(&self) -> bool {
        self.kind == ActorKind::Worker
    }

    /// Where its workers are shown, or no longer shown.
    fn unfolds(&self, open: Option<&String>) -> String {
        if open == Some(&self.name) {
            "/actors".to_owned()
        } else {
            format!("/actors?open={}", encoded(&self.name))
        }
    }

    /// The path of an order to it.
    fn order(&self, verb: &str) -> String {
        let name = encoded(&self.name).replace('/', "%2F");
        format!("/v1/ops/actors/{name}/{verb}")
    }
}

fn dash() -> String {
    "–".to_owned()
}

impl Detail {
    pub(super) fn of(look: &Look, name: &str, may_act: bool) -> Option<Self> {
        let found = look.actors.iter().find(|one| one.actor.name == name)?;
        let actor = &found.actor;
        let ago = |ms| {
            let at = look.started_at.0.saturating_add_unsigned(ms);
            text::ago(Timestamp(at), look.at)
        };
        let panicked_ms = actor.last_panic.as_ref().map(|panic| panic.at_ms);
        let last_failure = actor.last_failure.as_ref();
        let last_failure = last_failure.filter(|failure| panicked_ms != Some(failure.at_ms));
        Some(Self {
            row: Row::of(found),
            figures: figures(actor),
            waited: actor
                .backpressure_ms_by_sender
                .iter()
                .map(|(sender, ms)| (sender.clone(), text::span(*ms)))
                .collect(),
            // A panic says more.
            failure: last_failure.map(|failure| (failure.reason.clone(), ago(failure.at_ms))),
            panic: actor.last_panic.as_ref().map(|panic| Panic {
                reason: panic.reason.clone(),
                at: ago(panic.at_ms),
                calls: panic
                    .calls
                    .as_ref()
                    .and_then(Calls::named)
                    .map(str::to_owned),
            }),
            policy: actor.policy.clone(),
            may_act,
        })
    }
}

/// Has the calls of an actor's last panic named, which takes too long for a thread that serves others.
async fn name_calls(look: &Look, name: &str) {
    let found = look.actors.iter().find(|one| one.actor.name == name);
    let panic = found.and_then(|one| one.actor.last_panic.as_ref());
    if let Some(calls) = panic.and_then(|panic| panic.calls.clone())
        && let Err(error) = web::block(move || calls.name()).await
    {
        tracing::warn!(%error, "the calls of a panic are not named");
    }
}

fn figures(actor: &ActorSnapshot) -> Vec<(&'static str, String)> {
    let counters = &actor.counters;
    let time = |us| match actor.latency.count {
        0 => dash(),
        _ => text::micros(us),
    };
    let waited = match actor.queue_time.count {
        0 => dash(),
        _ => text::micros(actor.queue_time.p99_us),
    };
    vec![
        ("Received", text::number(counters.received)),
        ("Handled", text::number(counters.handled)),
        ("Failed", text::number(counters.failed)),
        ("Set aside", text::number(counters.set_aside)),
        ("Handed back", text::number(counters.handed_back)),
        ("Panics", text::number(counters.panics)),
        ("Restarts", text::number(counters.restarts)),
        (
            "Restarts in its window",
            text::number(u64::from(actor.restarts_in_window)),
        ),
        ("Incarnation", text::number(u64::from(actor.incarnation))),
        ("Mailbox peak", text::number(actor.mailbox.peak as u64)),
        ("Time to handle, p50", time(actor.latency.p50_us)),
        ("Time to handle, p99", time(actor.latency.p99_us)),
        ("Time in the mailbox, p99", waited),
        ("Senders waited", text::span(actor.backpressure_ms_total)),
    ]
}

/// `GET /actors?open`
pub(super) async fn list(
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Refusal> {
    let query = Query::of(&request, &["open"])?;
    let open = query.text("open");
    let look = state.board.refresh().await;
    let frame = Frame::of(&state, &request, "Actors", "/actors");
    let tree = Tree::of(&look, open, frame.may_act);
    let topic = Topic::Actors(open.map(str::to_owned)).name();
    page(&TreePage { frame, topic, tree })
}

/// `GET /actors/{name}`
pub(super) async fn one(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    Query::of(&request, &[])?;
    let name = request::segment(&request, PREFIX, "name")?;
    let look = state.board.refresh().await;
    name_calls(&look, &name).await;
    let frame = Frame::of(&state, &request, &*name, "/actors");
    let detail = Detail::of(&look, &name, frame.may_act).ok_or_else(|| {
        let known = look.actors.iter().map(|one| &*one.actor.name);
        let hint = request::did_you_mean(&name, known);
        Problem::new(
            Kind::UnknownActor,
            format!("there is no actor {name}{hint}"),
        )
    })?;
    let entity = Entity::new("actor", &name);
    let events = state.surface.journal.entity(&entity);
    let events = events
        .await
        .map_err(|fault| journalled::problem_of(&fault))?;
    let newest = events.iter().rev().take(EVENTS_MAX);
    let events = newest.map(|event| event::told(event, look.at)).collect();
    page(&ActorPage {
        frame,
        topic: Topic::Actor(name).name(),
        detail,
        events,
    })
}
