//! `GET /v1/live?topics=`: what changes in an open page, as server-sent events; one connection a page, whatever it shows.
//!
//! An event is a part of a page as it is then, whole. So nothing is queued: whoever is slow gets the newest state next, and
//! whoever comes back is told every part anew. The id of an event is the journal's position that it shows.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use super::look::Look;
use super::topic::Topic;
use crate::http::State;
use crate::http::openapi::events::PatchEvent;
use crate::http::openapi::parameters::TopicName;
use crate::http::operations::access::Operator;
use crate::http::problem::{Kind, Problem};
use crate::http::request::Query;
use crate::http::response;

/// How often a silent connection is told that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Least time between two states of one part.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a browser may take nothing of what it is sent.
const PATIENCE: Duration = Duration::from_secs(30);
/// Events on their way to one connection.
const EVENTS_AHEAD: usize = 4;
/// Parts that one page may have.
const TOPICS_MAX: usize = 16;
/// Seconds after which a page may come back that found no place.
const REFUSED_SECONDS: u32 = 10;

/// What changes in an open page, as server-sent events, without end.
///
/// Lines that begin with a colon come while nothing happens.
#[utoipa::path(
    get,
    path = "/v1/live",
    operation_id = "listenToPage",
    tag = "dashboard",
    params(("topics" = Vec<TopicName>, Query, style = Form, explode = false, min_items = 1, max_items = 16, description = "Parts of the page, with commas")),
    responses((status = 200, description = "Each part at once, and whenever it has changed", body = PatchEvent, content_type = "text/event-stream")),
    extensions(("x-problems" = json!([Kind::Unavailable])))
)]
pub(in crate::http) async fn listen(
    state: Data<State>,
    operator: Operator,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request, &["topics"])?;
    let topics = read(query.required("topics")?)?;
    let place = Arc::clone(&state.board.places).try_acquire_owned();
    let place = place.map_err(|_| {
        tracing::warn!("a page is not kept up to date: every place is taken");
        let detail = "too many pages are open; close some, or load this one again later";
        Problem::new(Kind::Unavailable, detail).retry_after(REFUSED_SECONDS)
    })?;
    let (events, on_their_way) = mpsc::channel(EVENTS_AHEAD);
    let teller = Teller {
        looks: state.board.looks(),
        told: vec![None; topics.len()],
        topics,
        may_act: operator.may_act(),
        events,
        told_at: Instant::now(),
        stopping: state.stopping.clone(),
        state: state.clone().into_inner(),
    };
    state.surface.actors.spawn_named("live", teller.run());
    Ok(response::event_stream(on_their_way, place))
}

fn read(topics: &str) -> Result<Vec<Topic>, Problem> {
    let topics: Vec<Topic> = topics
        .split(',')
        .map(Topic::read)
        .collect::<Result<_, _>>()?;
    if topics.len() > TOPICS_MAX {
        let detail = format!("`topics` names more than {TOPICS_MAX}");
        return Err(Problem::invalid("topics", detail));
    }
    Ok(topics)
}

/// Tells one page what changes.
struct Teller {
    state: Arc<State>,
    topics: Vec<Topic>,
    may_act: bool,
    /// A digest of what was last told, by topic.
    told: Vec<Option<u64>>,
    looks: watch::Receiver<Arc<Look>>,
    events: mpsc::Sender<Bytes>,
    told_at: Instant,
    stopping: watch::Receiver<bool>,
}

/// The page is gone, or the daemon goes.
struct Ended;

/// A part as it is now.
#[derive(Serialize)]
struct Patch<'p> {
    topic: &'p str,
    html: &'p str,
}

impl Teller {
    async fn run(mut self) {
        while self.tell().await.is_ok() {}
        tracing::debug!("a page is no longer kept up to date");
    }

    /// Tells what is new, and waits for more.
    async fn tell(&mut self) -> Result<(), Ended> {
        let look = Arc::clone(&self.looks.borrow_and_update());
        for index in 0..self.topics.len() {
            let topic = &self.topics[index];
            let html = match topic.html(&self.state, &look, self.may_act) {
                Ok(Some(html)) => html,
                Ok(None) => continue,
                Err(problem) => {
                    tracing::warn!(%problem, topic = topic.name(), "a part of a page is told later");
                    continue;
                }
            };
            let digest = digest(&html);
            if self.told[index] != Some(digest) {
                let event = event(&look, &topic.name(), &html);
                self.send(event).await?;
                self.told[index] = Some(digest);
            }
        }
        if self.told_at.elapsed() >= HEARTBEAT {
            // A browser's script hears no comment, and has to know of a connection that is dead.
            self.send(beat(&look)).await?;
        }
        let next = async {
            tokio::time::sleep(PAUSE).await;
            self.looks.changed().await.map_err(|_| Ended)
        };
        tokio::select! {
            looked = next => looked,
            () = self.events.closed() => Err(Ended),
            _ = self.stopping.wait_for(|stopping| *stopping) => Err(Ended),
        }
    }

    async fn send(&mut self, piece: Bytes) -> Result<(), Ended> {
        let sent = tokio::time::timeout(PATIENCE, self.events.send(piece));
        tokio::select! {
            sent = sent => match sent {
                Ok(Ok(())) => {
                    self.told_at = Instant::now();
                    Ok(())
                }
                Ok(Err(_)) | Err(_) => Err(Ended),
            },
            _ = self.stopping.wait_for(|stopping| *stopping) => Err(Ended),
        }
    }
}

fn digest(html: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    html.hash(&mut hasher);
    hasher.finish()
}

fn beat(look: &Look) -> Bytes {
    format!("id: {}\nevent: beat\ndata: {{}}\n\n", look.head).into()
}

fn event(look: &Look, topic: &str, html: &str) -> Bytes {
    let json = serde_json::to_string(&Patch { topic, html });
    let json = json.expect("a patch is two texts");
    format!("id: {}\nevent: patch\ndata: {json}\n\n", look.head).into()
}
