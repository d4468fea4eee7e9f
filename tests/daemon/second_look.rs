//! A push that has waited is not sent of what its recipient may not see by then, nor while nobody can tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use iyagi::clock::SystemClock;
use iyagi::config::Config;
use iyagi::daemon::{DaemonError, block_on};
use iyagi::embedded::journal::SqliteJournal;
use iyagi::embedded::push_log::{FaultClass, FaultRule};
use iyagi_actors::journal::{Draft, Journal};
use iyagi_actors::ports::{Clock, GatewayFault, GraphFault, GraphQueries, Payload, PushGateway};
use iyagi_actors::runtime::System;
use iyagi_actors::tree::{ROOT_INTENSITY, Tree, plant};
use iyagi_messages::change::EdgeEnds;
use iyagi_messages::device::{Device, Platform};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{DeviceRegistered, Fact, PushRequested};
use iyagi_messages::ids::{ElementId, PersonId, Pos, Timestamp};
use iyagi_messages::push::{Push, SuppressReason};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Notify, Semaphore};

use crate::gathering::short_bursts;
use crate::in_flight::{Unobserved, ports, push, settings};
use crate::world::{World, play_changed, play_gathering};

/// Seconds for which a phone is to be left alone: longer than it takes to change the graph.
const PATIENCE_SECONDS: u32 = 2;

fn set(id: &str, key: &str, value: &str) -> Value {
    json!([{"op": "set_property", "id": id, "key": key, "value": value}])
}

/// Lets the next attempt to a phone fail in passing, and the phone be left alone for a while.
fn fails_once(world: &World, device: &str) {
    let here = world.daemon.surface.one_machine.as_ref();
    let push_log = &here.expect("everything is on one machine").push_log;
    push_log.add_fault(FaultRule {
        device: Some(device.into()),
        class: FaultClass::Transient,
        times: Some(1),
        retry_after_seconds: Some(PATIENCE_SECONDS.into()),
    });
}

async fn waits(world: &World, pushes: usize) {
    world
        .until("pushes wait for their next attempt", || {
            let tree = &world.daemon.surface.tree;
            let outbox = tree.projections.outbox();
            outbox.retries() == pushes as u64 && tree.lines.len() == pushes
        })
        .await;
}

fn lasting(config: &mut Config) {
    config.push.breaker.failures = 20;
}

/// What happened to the push to a person that was tried first, by kind, and why it ended.
async fn life(world: &World, person: &str) -> (Vec<String>, Option<SuppressReason>) {
    let journal = &world.daemon.surface.journal;
    let events = journal.read(Pos::default(), 10_000).await;
    let events = events.expect("readable");
    let tried = events.iter().find_map(|event| match &event.fact {
        Fact::PushRequested(requested) if requested.push.recipient.as_str() == person => {
            let mut later = events.iter().filter(|other| other.entity == event.entity);
            later
                .any(|other| matches!(other.fact, Fact::PushFailed(_)))
                .then(|| event.entity.clone())
        }
        _ => None,
    });
    let tried = tried.expect("one failed");
    let of_push = events.iter().filter(|event| event.entity == tried);
    let kinds = of_push.clone().map(|event| event.fact.kind().to_owned());
    let mut reason = of_push.filter_map(|event| match &event.fact {
        Fact::PushSuppressed(suppressed) => Some(suppressed.reason),
        _ => None,
    });
    (kinds.collect(), reason.next_back())
}

/// `daniel` and `grace` follow `minji`, and hear of her story.
async fn a_story(world: World) -> World {
    for person in ["minji", "daniel", "grace"] {
        world.person(person, person, "en").await;
    }
    world.follow("daniel", "minji").await;
    world.follow("grace", "minji").await;
    world.story("minji", "story", "Story").await;
    world.settle().await;
    for person in ["daniel", "grace"] {
        world.subscribe(person, "story").await;
    }
    world
}

#[test]
fn what_became_private_or_was_unfollowed_while_a_push_waited_is_not_sent() {
    let report = play_changed(lasting, async |world| {
        let world = a_story(world).await;
        let before = ["daniel", "grace"].map(|person| world.shown(person).len());
        fails_once(&world, "daniel");
        fails_once(&world, "grace");
        world.commit(set("story", "title", "Once public")).await;
        waits(&world, 2).await;
        // Of a thing for followers, Grace is none any more; nobody tells her so.
        let graph = &world
            .daemon
            .surface
            .one_machine
            .as_ref()
            .expect("here")
            .graph;
        let edges = graph.edges(None, 100).await.expect("an answer");
        let follows = edges.iter().find(|(_, ends)| ends.from.as_str() == "grace");
        let (follows, _) = follows.expect("she follows");
        world
            .commit(json!([{"op": "drop_edge", "id": follows}]))
            .await;
        world.settle().await;
        assert_eq!(world.shown("daniel").len(), before[0] + 1);
        assert_eq!(world.shown("grace").len(), before[1]);
        fails_once(&world, "daniel");
        world.commit(set("story", "title", "Soon private")).await;
        waits(&world, 1).await;
        world.commit(set("story", "visibility", "private")).await;
        world.settle().await;
        assert_eq!(world.shown("daniel").len(), before[0] + 1);
        let (kinds, reason) = life(&world, "grace").await;
        let of_push = [
            "push.requested",
            "push.attempted",
            "push.failed",
            "push.suppressed",
        ];
        assert_eq!(
            (kinds, reason),
            (
                of_push.map(str::to_owned).into(),
                Some(SuppressReason::NotVisible)
            )
        );
        let inbox = &world.daemon.surface.tree.inbox;
        let page = inbox
            .page(&"grace".into(), None, false, 100)
            .await
            .expect("readable");
        let told = page
            .entries
            .iter()
            .filter(|entry| entry.category == "subscriptions");
        assert_eq!(told.count(), 0, "it is taken back: {page:?}");
        world
    });
    assert_eq!(report.counts.pending, 0);
}

#[test]
fn what_is_public_again_in_time_is_sent() {
    play_changed(lasting, async |world| {
        let world = a_story(world).await;
        let before = world.shown("daniel").len();
        fails_once(&world, "daniel");
        world.commit(set("story", "title", "New")).await;
        waits(&world, 1).await;
        world.commit(set("story", "visibility", "private")).await;
        world.commit(set("story", "visibility", "public")).await;
        world.settle().await;
        // The title, and that it is public; that it is private they do not hear.
        assert_eq!(world.shown("daniel").len(), before + 2);
        world
    });
}

#[test]
fn what_was_deleted_while_a_push_waited_is_not_told_but_its_deletion_is() {
    play_changed(lasting, async |world| {
        let world = a_story(world).await;
        let before = ["daniel", "grace"].map(|person| world.shown(person).len());
        fails_once(&world, "daniel");
        world.commit(set("story", "title", "Soon gone")).await;
        waits(&world, 1).await;
        fails_once(&world, "grace");
        world
            .commit(json!([{"op": "drop_vertex", "id": "story"}]))
            .await;
        world.settle().await;
        // Grace heard of the title at once, and of the deletion at the second attempt; Daniel of the deletion alone.
        assert_eq!(world.shown("grace").len(), before[1] + 2);
        assert_eq!(world.shown("daniel").len(), before[0] + 1);
        let (_, reason) = life(&world, "daniel").await;
        assert_eq!(reason, Some(SuppressReason::NotVisible));
        world
    });
}

#[test]
fn whoever_took_back_their_like_while_it_waited_is_not_counted_among_the_others() {
    let report = play_gathering(short_bursts(), async |world| {
        world.person("minji", "민지", "ko").await;
        world.story("minji", "story-1", "첫 이야기").await;
        for (id, name) in [("daniel", "Daniel"), ("grace", "Grace"), ("ada", "Ada")] {
            world.person(id, name, "en").await;
        }
        world
            .at_once(async {
                for who in ["daniel", "grace", "ada"] {
                    world
                        .commit(json!([{"op": "add_edge", "id": format!("{who}-likes"), "from": who, "label": "LIKES", "to": "story-1"}]))
                        .await;
                }
            })
            .await;
        world
            .until("the rest of the burst waits", || {
                world.daemon.surface.tree.projections.outbox().deferred() == 2
            })
            .await;
        world
            .commit(json!([{"op": "drop_edge", "id": "grace-likes"}]))
            .await;
        world.settle().await;
        assert_eq!(
            world.shown("minji").last().map(String::as_str),
            Some("좋아요: Ada 님 외 1명이 좋아합니다: “첫 이야기”")
        );
        world
    });
    assert_eq!(report.counts.suppressed[&SuppressReason::NotVisible], 1);
}

/// A graph that may be silent.
struct Mute {
    graph: Arc<dyn GraphQueries>,
    silent: AtomicBool,
}

impl Mute {
    fn asked(&self) -> Result<&dyn GraphQueries, GraphFault> {
        if self.silent.load(Ordering::SeqCst) {
            return Err(GraphFault("nobody answers".to_owned()));
        }
        Ok(&*self.graph)
    }
}

#[async_trait]
impl GraphQueries for Mute {
    async fn followers_of(
        &self,
        person: &PersonId,
        via: &str,
        after: Option<&PersonId>,
        limit: u32,
    ) -> Result<Vec<PersonId>, GraphFault> {
        self.asked()?.followers_of(person, via, after, limit).await
    }

    async fn has_edge(
        &self,
        from: &PersonId,
        via: &str,
        to: &PersonId,
    ) -> Result<bool, GraphFault> {
        self.asked()?.has_edge(from, via, to).await
    }

    async fn owner_of(
        &self,
        thing: &ElementId,
        authored: &[String],
    ) -> Result<Option<PersonId>, GraphFault> {
        self.asked()?.owner_of(thing, authored).await
    }

    async fn labels_of(&self, vertex: &ElementId) -> Result<Vec<String>, GraphFault> {
        self.asked()?.labels_of(vertex).await
    }

    async fn values_of(&self, vertex: &ElementId, key: &str) -> Result<Vec<String>, GraphFault> {
        self.asked()?.values_of(vertex, key).await
    }

    async fn ends_of(&self, edge: &ElementId) -> Result<Option<EdgeEnds>, GraphFault> {
        self.asked()?.ends_of(edge).await
    }

    async fn vertices(
        &self,
        after: Option<&ElementId>,
        limit: u32,
    ) -> Result<Vec<(ElementId, Vec<String>)>, GraphFault> {
        self.asked()?.vertices(after, limit).await
    }

    async fn vertices_with(
        &self,
        key: &str,
        after: Option<&ElementId>,
        limit: u32,
    ) -> Result<Vec<(ElementId, Vec<String>)>, GraphFault> {
        self.asked()?.vertices_with(key, after, limit).await
    }

    async fn edges(
        &self,
        after: Option<&ElementId>,
        limit: u32,
    ) -> Result<Vec<(ElementId, EdgeEnds)>, GraphFault> {
        self.asked()?.edges(after, limit).await
    }
}

struct Willing;

#[async_trait]
impl PushGateway for Willing {
    async fn send(&self, payload: &Payload) -> Result<String, GatewayFault> {
        Ok(payload.push_id.to_string())
    }
}

/// A push about a person, matched at a moment, to a phone that is registered.
async fn request(journal: &dyn Journal, person: &str, at: Timestamp) {
    let device = Device {
        token: person.into(),
        person: person.into(),
        platform: Platform::Fcm,
        locale: "en".to_owned(),
    };
    let mut draft = Draft::new(&"test", "test");
    let entity = Entity::new("device", person);
    draft.begin(person, entity, DeviceRegistered { device });
    let push = Push {
        subject: Some("daniel".into()),
        ..push(person, "daniel", Platform::Fcm, at)
    };
    let entity = Entity::new("push", push.id);
    draft.begin(&push.id.to_string(), entity, PushRequested { push });
    journal.append(draft.finish()).await.expect("appended");
}

/// Waits for what a tree is to come to.
async fn until(tree: &Tree, what: &str, condition: impl Fn(&Tree) -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        while !condition(tree) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let asked = || tree.second_look.asked();
    assert!(waited.await.is_ok(), "in vain: {what}; {:?}", asked());
}

/// That a push is not sent, as the graph knows nobody whom it tells of.
async fn until_it_is_hidden(tree: &Tree) {
    until(tree, "it is decided", |tree| {
        tree.projections.outbox().counts.pending == 0
    })
    .await;
    let counts = tree.projections.outbox().counts.clone();
    assert_eq!(
        counts.suppressed[&SuppressReason::NotVisible],
        1,
        "nobody knows Daniel"
    );
}

#[test]
fn while_the_graph_is_silent_what_has_waited_waits_on_untried() {
    let folder = TempDir::new().expect("a folder");
    let played = block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let journal = SqliteJournal::open(&folder.path().join("journal.db"), Arc::clone(&clock));
        let journal = Arc::new(journal.expect("opens"));
        let mut ports = ports(&folder, &journal, Arc::clone(&clock)).await;
        let mute = Arc::new(Mute {
            graph: ports.graph,
            silent: AtomicBool::new(true),
        });
        ports.graph = Arc::clone(&mute) as _;
        ports.gateway = Arc::new(Willing);
        let system = System::new(1, ROOT_INTENSITY, Arc::new(Unobserved));
        let tree = plant(&system, &ports, &settings(), None).await;
        let tree = tree.expect("planted");
        let old = Timestamp(clock.now().0 - 60_000);
        request(&*journal, "minji", old).await;
        until(&tree, "it is asked in vain", |tree| {
            let [.., (_, unanswered)] = tree.second_look.asked();
            unanswered > 0 && tree.lines.len() == 1
        })
        .await;
        let events = journal.read(Pos::default(), 100).await.expect("readable");
        let attempts = events
            .iter()
            .filter(|event| event.fact.kind() == "push.attempted");
        assert_eq!(attempts.count(), 0, "nothing is tried unasked");
        mute.silent.store(false, Ordering::SeqCst);
        until_it_is_hidden(&tree).await;
        system.drain(Duration::from_secs(5)).await;
        Ok::<_, DaemonError>(())
    });
    played.expect("the actors run");
}

/// A clock that goes on when it is told to.
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A gateway with a crowd before it.
struct Crowded {
    waits: Notify,
    turns: Semaphore,
}

#[async_trait]
impl PushGateway for Crowded {
    async fn send(&self, payload: &Payload) -> Result<String, GatewayFault> {
        Willing.send(payload).await
    }

    async fn turn(&self, _: Platform, _: f64) -> bool {
        self.waits.notify_one();
        self.turns.acquire().await.expect("never closed").forget();
        true
    }
}

#[test]
fn a_push_whose_turn_was_long_in_coming_is_looked_at_again() {
    let folder = TempDir::new().expect("a folder");
    let played = block_on(async {
        let hands = Arc::new(Hands(AtomicI64::new(SystemClock.now().0)));
        let clock: Arc<dyn Clock> = Arc::clone(&hands) as _;
        let journal = SqliteJournal::open(&folder.path().join("journal.db"), Arc::clone(&clock));
        let journal = Arc::new(journal.expect("opens"));
        let mut ports = ports(&folder, &journal, Arc::clone(&clock)).await;
        let crowded = Arc::new(Crowded {
            waits: Notify::new(),
            turns: Semaphore::new(0),
        });
        ports.gateway = Arc::clone(&crowded) as _;
        let system = System::new(1, ROOT_INTENSITY, Arc::new(Unobserved));
        let tree = plant(&system, &ports, &settings(), None).await;
        let tree = tree.expect("planted");
        request(&*journal, "minji", clock.now()).await;
        crowded.waits.notified().await;
        hands.0.fetch_add(60_000, Ordering::SeqCst);
        crowded.turns.add_permits(1);
        until_it_is_hidden(&tree).await;
        system.drain(Duration::from_secs(5)).await;
        Ok::<_, DaemonError>(())
    });
    played.expect("the actors run");
}
