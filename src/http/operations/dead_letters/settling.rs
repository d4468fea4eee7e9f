//! Redrives and purges dead letters: chosen here, done by their keeper, which alone touches the queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::{self, StreamExt};
use iyagi_actors::dlq_keeper::{DlqMessage, Order, Reply, Settled};
use iyagi_actors::push_sender::gates::{Before, Recipient, Verdict, gate};
use iyagi_actors::push_sender::state::PushState;
use iyagi_messages::ids::LetterId;
use iyagi_messages::push::SuppressReason;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::EXPECTED;
use super::filter::{DeadPushes, Filter};
use crate::http::State;
use crate::http::body;
use crate::http::openapi::orders::SettlingOrder;
use crate::http::operations::access::Operator;
use crate::http::operations::order;
use crate::http::operations::status::Conservation;
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Fields, Query};
use crate::http::response;
use crate::http::visible;
use crate::surface::Surface;

const FIELDS: [&str; 4] = ["ids", "filter", "dry_run", "because"];
/// Largest body that names letters.
const BODY_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Pushes whose recipients' sight is asked for at the same time.
const LOOKS: usize = 16;
/// How long a request waits for the keeper; the keeper goes on all the same.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What an operator wants done.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    which: Which,
    dry_run: bool,
    /// Why, in the operator's words.
    because: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Which {
    These(Vec<LetterId>),
    Fitting(Filter),
}

/// What was done, or would be.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Settlement)]
struct Outcome {
    dry_run: bool,
    /// Letters that were chosen.
    selected: usize,
    /// Letters that were redriven or purged.
    done: usize,
    /// Letters that were not, because they are unknown or no longer wait.
    skipped: usize,
    /// The letters that were chosen in a dry run, done otherwise.
    letters: Vec<LetterId>,
    /// The letters that were skipped.
    skipped_letters: Vec<LetterId>,
    /// In a dry run of a redrive: pushes that would not be sent all the same, by the gate that is closed to them now.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    held: BTreeMap<SuppressReason, u64>,
    /// What has become of every push, as it stands then.
    conservation: Conservation,
}

/// What the keeper is to do with the letters.
#[derive(Debug, Clone, Copy)]
pub(in crate::http::operations) enum Fate {
    Redrive,
    Purge,
}

/// Has the jobs of letters tried anew.
#[utoipa::path(
    post,
    path = "/v1/ops/dead-letters/redrive",
    operation_id = "redriveDeadLetters",
    tag = "dead letters",
    request_body = SettlingOrder,
    responses((status = 200, description = "What was done, or would be", body = Outcome)),
    extensions(("x-problems" = json!([Kind::Unavailable, Kind::StillRunning, Kind::StorageFull])))
)]
pub async fn redrive(
    state: Data<State>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    settle(&state, &request, payload, Fate::Redrive).await
}

/// Gives letters up for good.
#[utoipa::path(
    post,
    path = "/v1/ops/dead-letters/purge",
    operation_id = "purgeDeadLetters",
    tag = "dead letters",
    request_body = SettlingOrder,
    responses((status = 200, description = "What was done, or would be", body = Outcome)),
    extensions(("x-problems" = json!([Kind::Unavailable, Kind::StillRunning, Kind::StorageFull])))
)]
pub async fn purge(
    state: Data<State>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    settle(&state, &request, payload, Fate::Purge).await
}

async fn settle(
    state: &State,
    request: &HttpRequest,
    payload: Payload,
    fate: Fate,
) -> Result<HttpResponse, Problem> {
    Query::of(request, &[])?;
    let body = body::read(request, payload, BODY_BYTES_MAX).await?;
    let by = Operator::of(request)?.name;
    let Wanted {
        which,
        dry_run,
        because,
    } = Wanted::read(&body)?;
    let letters = which.letters(&state.surface).await?;
    let selected = letters.len();
    if dry_run || letters.is_empty() {
        let (waiting, unknown): (Vec<_>, Vec<_>) = {
            let outbox = state.surface.tree.projections.outbox();
            let waits = |id: &LetterId| outbox.letter(*id).is_some_and(|state| state.waiting);
            letters.into_iter().partition(waits)
        };
        let held = match fate {
            Fate::Redrive => held(&state.surface, &waiting).await?,
            Fate::Purge => BTreeMap::new(),
        };
        return Ok(response::ok(&Outcome {
            dry_run,
            selected,
            done: 0,
            skipped: unknown.len(),
            letters: waiting,
            skipped_letters: unknown,
            held,
            conservation: conservation(&state.surface),
        }));
    }
    let order = Order { by, because };
    let settled = ask(&state.surface, letters, fate, order).await?;
    Ok(response::ok(&Outcome {
        dry_run,
        selected,
        done: settled.done.len(),
        skipped: settled.skipped.len(),
        letters: settled.done,
        skipped_letters: settled.skipped,
        held: BTreeMap::new(),
        conservation: conservation(&state.surface),
    }))
}

fn conservation(surface: &Surface) -> Conservation {
    Conservation::of(&surface.tree.projections.outbox().counts)
}

/// What the gates would say of pushes if they were tried anew at this moment.
async fn held(
    surface: &Surface,
    letters: &[LetterId],
) -> Result<BTreeMap<SuppressReason, u64>, Problem> {
    let mut held = BTreeMap::new();
    let mut open = Vec::new();
    for push in dead(surface, letters).await? {
        match by_the_journal(surface, &push) {
            Verdict::Suppress(reason) => *held.entry(reason).or_default() += 1,
            Verdict::Pass | Verdict::Defer { .. } => open.push(push),
        }
    }
    let mut seen = stream::iter(&open)
        .map(|state| surface.tree.second_look.sees(&state.push))
        .buffer_unordered(LOOKS);
    while let Some(seen) = seen.next().await {
        if !seen.map_err(|fault| visible::unanswered(&fault))? {
            *held.entry(SuppressReason::NotVisible).or_default() += 1;
        }
    }
    Ok(held)
}

/// The pushes that letters stand for.
async fn dead(surface: &Surface, letters: &[LetterId]) -> Result<Vec<PushState>, Problem> {
    let pushes = DeadPushes::of_letters(surface, letters).await?;
    let outbox = surface.tree.projections.outbox();
    let states = letters.iter().filter_map(|id| {
        let push = pushes.of(&outbox.letter(*id)?.letter)?;
        let (progress, _) = outbox.progress(push.id)?;
        let push = Arc::clone(push);
        Some(PushState { push, progress })
    });
    Ok(states.collect())
}

/// What the gates say for which the graph need not be asked.
fn by_the_journal(surface: &Surface, state: &PushState) -> Verdict {
    let PushState { push, .. } = state;
    let now = surface.clock.now();
    let projections = &surface.tree.projections;
    let recipient = Recipient::of(push, &projections.audience(), &projections.wishes(), now);
    let template = surface.templates.get(&push.template);
    let urgent = template.is_some_and(|template| template.urgent);
    let deadline = state.deadline();
    gate(push, urgent, deadline, recipient, Before::default(), now)
}

/// Has letters redriven or purged, and waits until that is done.
pub(in crate::http::operations) async fn ask(
    surface: &Surface,
    letters: Vec<LetterId>,
    fate: Fate,
    order: Order,
) -> Result<Settled, Problem> {
    let (reply, answer) = Reply::channel();
    tracing::info!(
        letters = letters.len(),
        ?fate,
        by = order.by,
        because = order.because,
        "an operator settles dead letters"
    );
    let message = match fate {
        Fate::Redrive => DlqMessage::Redrive {
            letters,
            order,
            reply,
        },
        Fate::Purge => DlqMessage::Purge {
            letters,
            order,
            reply,
        },
    };
    let asked = async {
        let told = surface.tree.dlq.tell(message).await;
        told.map_err(|_| {
            Problem::new(
                Kind::Unavailable,
                "the keeper of dead letters has stopped; the daemon is going down",
            )
        })?;
        answer.await.map_err(|_| {
            Problem::new(
                Kind::Internal,
                "the keeper of dead letters gave the request up; list the letters to see what was done",
            )
        })
    };
    let answered = tokio::time::timeout(ANSWER_TIMEOUT, asked).await;
    answered.unwrap_or_else(|_| {
        let seconds = ANSWER_TIMEOUT.as_secs();
        Err(Problem::new(
            Kind::StillRunning,
            format!("not done after {seconds} seconds; what has begun goes on: list the letters to see how far it is"),
        ))
    })
}

impl Wanted {
    fn read(body: &[u8]) -> Result<Self, Problem> {
        let mut fields = Fields::parse(body)?;
        let ids: Option<Vec<String>> = fields.optional("ids")?;
        // An empty one means every letter, which must be said in so many words.
        let filter = fields.optional("filter")?.map(read_filter).transpose()?;
        let dry_run = fields.optional("dry_run")?.unwrap_or(false);
        let because = order::because(&mut fields)?;
        fields.end(&FIELDS)?;
        let which = match (ids, filter) {
            (Some(ids), None) => {
                let ids = ids.iter().map(|id| request::id(id, "ids", EXPECTED));
                Which::These(ids.collect::<Result<_, _>>()?)
            }
            (None, Some(filter)) => Which::Fitting(filter),
            (None, None) | (Some(_), Some(_)) => {
                let detail = "name the letters with either `ids` or `filter`; an empty filter means all of them";
                return Err(Problem::invalid("ids", detail));
            }
        };
        Ok(Self {
            which,
            dry_run,
            because,
        })
    }
}

/// Reads a filter, which is an object: a list would be read by the order of the fields, and an empty one would mean all.
fn read_filter(filter: Map<String, Value>) -> Result<Filter, Problem> {
    let filter = serde_json::from_value(Value::Object(filter));
    filter.map_err(|error| Problem::invalid("filter", format!("`filter` cannot be read: {error}")))
}

impl Which {
    /// The letters that are meant, the oldest first, so that redriven pushes keep their order.
    async fn letters(self, surface: &Surface) -> Result<Vec<LetterId>, Problem> {
        match self {
            Self::These(mut ids) => {
                let mut seen = std::collections::HashSet::new();
                ids.retain(|id| seen.insert(*id));
                Ok(ids)
            }
            Self::Fitting(filter) => {
                let pushes = DeadPushes::behind(surface, &filter).await?;
                let outbox = surface.tree.projections.outbox();
                let mut fitting: Vec<_> = filter
                    .among(&outbox, &pushes, None)
                    .map(|state| (state.letter.at, state.letter.id))
                    .collect();
                fitting.sort_unstable();
                Ok(fitting.into_iter().map(|(_, id)| id).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_named_in_exactly_one_way() {
        for (body, field) in [
            ("{}", "ids"),
            (r#"{"ids": [], "filter": {}}"#, "ids"),
            (r#"{"ids": ["7"]}"#, "ids"),
            (r#"{"filter": {"orgin": "push"}}"#, "filter"),
            (r#"{"filter": []}"#, "filter"),
            (r#"{"filter": [null, null]}"#, "filter"),
            (r#"{"filter": {}, "dry_run": "yes"}"#, "dry_run"),
            (r#"{"filter": {}, "dryrun": true}"#, "dryrun"),
            (r#"{"filter": {}, "because": ""}"#, "because"),
            (r#"{"filter": {"platform": "pager"}}"#, "filter"),
        ] {
            let problem = Wanted::read(body.as_bytes()).unwrap_err();
            assert_eq!(problem.to_json()["field"], field, "{body}");
        }
        let wanted = Wanted::read(br#"{"filter": {"origin": "push"}, "dry_run": true}"#);
        assert!(wanted.expect("well-formed").dry_run);
    }
}
