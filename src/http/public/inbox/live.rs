//! `GET /v1/inbox/live`: what changes in a person's inbox, as server-sent events.
//!
//! Nothing is queued for anybody. Whoever listens is woken when their inbox changes, and what has changed since they last
//! were told is read from it then; so a connection costs no more than the few events on their way to it, and one that
//! comes back with `Last-Event-ID`, to whichever start of the daemon, goes on exactly where it was.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use iyagi_actors::inbox::ReadFault;
use iyagi_actors::journal::Journal;
use iyagi_actors::ports::{Change, Inbox};
use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{PersonId, Pos, PushId};
use serde::Serialize;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::auth::Caller;
use crate::http::State;
use crate::http::openapi::events::LiveEvent;
use crate::http::problem::{Kind, Problem};
use crate::http::request::Query;
use crate::http::response;
use crate::surface::Surface;

/// How often a silent connection is told that it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Events on their way to one connection.
const EVENTS_AHEAD: usize = 4;
/// Changes that are read at once.
const PAGE: usize = 50;
/// How soon names are asked for again that the graph did not tell.
const RETRY: Duration = Duration::from_secs(1);
/// Seconds after which a client may come back that found no place.
const REFUSED_SECONDS: u32 = 10;
const LAST_EVENT_ID: &str = "last-event-id";

/// Everybody who listens, and what became of those who did.
pub struct Live {
    bells: Mutex<HashMap<PersonId, Vec<Arc<Notify>>>>,
    places: Arc<Semaphore>,
    places_max: usize,
    /// How long a connection may take nothing of what it is sent.
    patience: Duration,
    refused: AtomicU64,
    ended: [AtomicU64; LiveEnd::ALL.len()],
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveEnd {
    /// The client left.
    Left,
    /// The client took nothing of what it was sent for too long.
    Slow,
    /// The daemon stops.
    Stopped,
}

impl LiveEnd {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Left, Self::Slow, Self::Stopped];

    /// The reason in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Slow => "slow",
            Self::Stopped => "stopped",
        }
    }
}

/// Is rung when a person's inbox changes.
struct Bell {
    live: Arc<Live>,
    person: PersonId,
    rung: Arc<Notify>,
}

impl Live {
    /// Nobody yet; at most `places_max` at once, each of whom may stand still for `patience`.
    pub fn new(places_max: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            bells: Mutex::default(),
            places: Arc::new(Semaphore::new(places_max)),
            places_max,
            patience,
            refused: AtomicU64::default(),
            ended: Default::default(),
        })
    }

    /// Rings whenever an inbox changes, or what of it is to be seen.
    pub fn follow(self: &Arc<Self>, inbox: &dyn Inbox, journal: &dyn Journal) {
        let of_inbox = Arc::clone(self);
        inbox.on_change(Arc::new(move |people| of_inbox.ring(people)));
        let of_wishes = Arc::clone(self);
        journal.on_commit(Arc::new(move |events| {
            for event in events {
                of_wishes.heed(event);
            }
        }));
    }

    /// Connections at present.
    pub fn connections(&self) -> usize {
        self.places_max - self.places.available_permits()
    }

    /// Connections that found no place.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Connections that ended for a reason.
    pub fn ended(&self, end: LiveEnd) -> u64 {
        self.ended[end as usize].load(Relaxed)
    }

    fn ring(&self, people: &[PersonId]) {
        let bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if bells.is_empty() {
            return;
        }
        for bell in people.iter().filter_map(|person| bells.get(person)) {
            for rung in bell {
                rung.notify_one();
            }
        }
    }

    /// What people block and mute changes what they see, and what is seen of them.
    fn heed(&self, event: &Event) {
        let other = |id: &iyagi_messages::ids::ElementId| id.clone().into();
        match &event.fact {
            Fact::PreferencesChanged(changed) => {
                self.ring(std::slice::from_ref(&changed.person));
                for blocked in &changed.preferences.blocked {
                    self.ring(std::slice::from_ref(blocked));
                }
            }
            Fact::SilencePlaced(placed) => {
                self.ring(&[placed.person.clone(), other(&placed.other)]);
            }
            Fact::SilenceLifted(lifted) => {
                self.ring(&[lifted.person.clone(), other(&lifted.other)]);
            }
            _ => {}
        }
    }

    fn bell(self: &Arc<Self>, person: &PersonId) -> Bell {
        let rung = Arc::new(Notify::new());
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        let of_person = bells.entry(person.clone()).or_default();
        of_person.push(Arc::clone(&rung));
        Bell {
            live: Arc::clone(self),
            person: person.clone(),
            rung,
        }
    }

    fn place(self: &Arc<Self>) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            self.refused.fetch_add(1, Relaxed);
            let most = self.places_max;
            tracing::warn!(most, "an inbox is not listened to: every place is taken");
            let detail = format!("{most} apps listen already, which is the most; come back later");
            Problem::new(Kind::Unavailable, detail).retry_after(REFUSED_SECONDS)
        })
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        let mut bells = self
            .live
            .bells
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(of_person) = bells.get_mut(&self.person) {
            of_person.retain(|rung| !Arc::ptr_eq(rung, &self.rung));
            if of_person.is_empty() {
                bells.remove(&self.person);
            }
        }
    }
}

/// What changes in a person's inbox, as server-sent events, without end.
///
/// Lines that begin with a colon come while nothing happens.
#[utoipa::path(
    get,
    path = "/v1/inbox/live",
    operation_id = "listenToInbox",
    tag = "inbox",
    params(
        ("Last-Event-ID" = Option<u64>, Header, description = "The last event that the client has seen: it goes on behind it"),
        ("person" = Option<PersonId>, Query, description = "The caller, who need not be named"),
    ),
    responses((status = 200, description = "Events", body = LiveEvent, content_type = "text/event-stream")),
    extensions(("x-problems" = json!([Kind::InvalidField, Kind::NotFound])))
)]
pub async fn listen(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request, &["person"])?;
    let person = caller.as_named("person", query.text("person"))?;
    let surface = &state.surface;
    let place = state.live.place()?;
    // Before anything is read, so that nothing falls between.
    let bell = state.live.bell(&person);
    let standing = surface.tree.inbox.store.standing(&person).await;
    let head = standing
        .map_err(|fault| super::problem_of(&ReadFault::Inbox(fault)))?
        .as_of;
    let after = match last_event_id(&request)? {
        Some(told) if !surface.has_reached(told).await => {
            return Err(no_event("is of an event that has not happened here"));
        }
        told => told.unwrap_or(head),
    };
    let (events, on_their_way) = mpsc::channel(EVENTS_AHEAD);
    let listener = Listener {
        surface: Arc::clone(surface),
        person,
        after,
        unread: None,
        bell,
        events,
        stopping: state.stopping.clone(),
    };
    surface.actors.spawn_named("inbox-live", listener.run());
    Ok(response::event_stream(on_their_way, place))
}

/// Where the client goes on, if it has been here before.
fn last_event_id(request: &HttpRequest) -> Result<Option<Pos>, Problem> {
    let Some(value) = request.headers().get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let pos = value.to_str().ok().and_then(|text| text.parse().ok());
    let pos = pos.ok_or_else(|| no_event("is not the id of an event from here"))?;
    Ok(Some(Pos(pos)))
}

fn no_event(what: &str) -> Problem {
    let detail = format!("`Last-Event-ID` {what}; leave it out to begin anew");
    Problem::invalid(LAST_EVENT_ID, detail)
}

/// Tells one connection what changes.
struct Listener {
    surface: Arc<Surface>,
    person: PersonId,
    /// Everything up to here has been told.
    after: Pos,
    /// The count that was told last.
    unread: Option<u64>,
    bell: Bell,
    events: mpsc::Sender<Bytes>,
    stopping: watch::Receiver<bool>,
}

/// Why a listener stops telling for now, or for good.
enum Halt {
    End(LiveEnd),
    Fault(ReadFault),
}

impl From<ReadFault> for Halt {
    fn from(fault: ReadFault) -> Self {
        Self::Fault(fault)
    }
}

/// Entries that were marked as read.
#[derive(Serialize)]
struct Read<'a> {
    ids: &'a [PushId],
}

impl Listener {
    async fn run(mut self) {
        let end = self.tell().await;
        self.bell.live.ended[end as usize].fetch_add(1, Relaxed);
        let (person, reason) = (&self.person, end.as_str());
        if end == LiveEnd::Slow {
            let patience = self.bell.live.patience;
            tracing::warn!(%person, reason, ?patience, "a listener to an inbox is cut off");
        } else {
            tracing::debug!(%person, reason, "a listener to an inbox is gone");
        }
    }

    async fn tell(&mut self) -> LiveEnd {
        // A first piece at once, so that clients see the answer begin.
        if let Err(Halt::End(end)) = self.send(Bytes::from_static(b": listening\n\n")).await {
            return end;
        }
        loop {
            let wait = match self.catch_up().await {
                Ok(()) => KEEP_ALIVE,
                Err(Halt::End(end)) => return end,
                Err(Halt::Fault(fault)) => {
                    tracing::warn!(%fault, person = %self.person, "a listener to an inbox is told later");
                    RETRY
                }
            };
            tokio::select! {
                () = self.bell.rung.notified() => continue,
                () = tokio::time::sleep(wait) => {}
                () = self.events.closed() => return LiveEnd::Left,
                _ = self.stopping.wait_for(|stopping| *stopping) => return LiveEnd::Stopped,
            }
            if wait == KEEP_ALIVE
                && let Err(Halt::End(end)) =
                    self.send(Bytes::from_static(b": still here\n\n")).await
            {
                return end;
            }
        }
    }

    /// Tells everything that has changed, and then how much is unread if that has changed.
    async fn catch_up(&mut self) -> Result<(), Halt> {
        let surface = Arc::clone(&self.surface);
        let inbox = &surface.tree.inbox;
        loop {
            let since = inbox.store.since(&self.person, self.after, PAGE).await;
            let since = since.map_err(ReadFault::from)?;
            for change in &since.changes {
                if let Some(event) = self.event_of(change).await? {
                    self.send(event).await?;
                }
                self.after = change.pos();
            }
            self.after = since.as_of;
            if !since.more {
                break;
            }
        }
        let unread = inbox.unread(&self.person).await.map_err(ReadFault::from)?;
        if self.unread != Some(unread) {
            let count = serde_json::json!({ "unread": unread });
            self.send(event("unread", self.after, &count)).await?;
            self.unread = Some(unread);
        }
        Ok(())
    }

    /// Nothing for what the person is not to see.
    async fn event_of(&self, change: &Change) -> Result<Option<Bytes>, ReadFault> {
        let pos = change.pos();
        Ok(match change {
            Change::Entry(entry) => {
                let shown = self.surface.tree.inbox.show(&self.person, entry).await?;
                shown.map(|shown| event("entry", pos, &shown))
            }
            Change::Withdrawn { id, .. } => {
                Some(event("withdrawn", pos, &serde_json::json!({ "id": id })))
            }
            Change::Read { ids, .. } => Some(event("read", pos, &Read { ids })),
        })
    }

    async fn send(&mut self, piece: Bytes) -> Result<(), Halt> {
        let sent = tokio::time::timeout(self.bell.live.patience, self.events.send(piece));
        tokio::select! {
            sent = sent => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(Halt::End(LiveEnd::Left)),
                Err(_) => Err(Halt::End(LiveEnd::Slow)),
            },
            _ = self.stopping.wait_for(|stopping| *stopping) => Err(Halt::End(LiveEnd::Stopped)),
        }
    }
}

fn event(name: &str, pos: Pos, data: &impl Serialize) -> Bytes {
    let json = serde_json::to_string(data).expect("what is told has only text keys");
    format!("id: {pos}\nevent: {name}\ndata: {json}\n\n").into()
}
