//! What becomes of a push and its phone when the push service tells, later, that it did not deliver.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use iyagi_actors::invariants::Audit;
use iyagi_actors::journal::{Draft, Journal, MemoryJournal};
use iyagi_actors::ports::{Clock, Outgoing, Queue, QueueDepth, QueueFault, Received, Sent};
use iyagi_actors::projections::{DyingTokensPolicy, Projections, RecentlyAccepted, TrafficPolicy};
use iyagi_actors::push_feedback::{FeedbackCounts, Hear, PushFeedback, PushFeedbackContext};
use iyagi_actors::runtime::{Cx, Worker};
use iyagi_messages::device::{Device, Platform};
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::{DeviceRegistered, Fact, PushAccepted, PushAttempted, PushRequested};
use iyagi_messages::feedback::BounceClass;
use iyagi_messages::ids::{Pos, Timestamp};
use iyagi_messages::push::Push;
use serde_json::json;

use crate::sample;

const TOKEN: &str = "phone-of-minji";
const GATEWAY_ID: &str = "message-1";

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_000_000)
    }
}

/// A queue that hands out what it was given, once, and notes what becomes of it.
#[derive(Default)]
struct Script {
    waiting: Mutex<VecDeque<Received>>,
    deleted: Mutex<Vec<String>>,
    postponed: Mutex<Vec<String>>,
}

#[async_trait]
impl Queue for Script {
    fn name(&self) -> &'static str {
        "push-feedback"
    }

    async fn send(&self, _: Vec<Outgoing>) -> Result<Vec<Result<Sent, QueueFault>>, QueueFault> {
        panic!("feedback is only heard")
    }

    async fn receive(
        &self,
        max: usize,
        _: Duration,
        _: Duration,
    ) -> Result<Vec<Received>, QueueFault> {
        let mut waiting = self.waiting.lock().expect("sound");
        let batch = waiting.len().min(max);
        Ok(waiting.drain(..batch).collect())
    }

    async fn delete(&self, receipts: &[String]) -> Result<(), QueueFault> {
        self.deleted
            .lock()
            .expect("sound")
            .extend_from_slice(receipts);
        Ok(())
    }

    async fn change_visibility(&self, receipt: &str, _: Duration) -> Result<(), QueueFault> {
        self.postponed
            .lock()
            .expect("sound")
            .push(receipt.to_owned());
        Ok(())
    }

    async fn depth(&self) -> Result<QueueDepth, QueueFault> {
        Ok(QueueDepth::default())
    }

    async fn purge(&self) -> Result<(), QueueFault> {
        panic!("feedback is only heard")
    }
}

/// A journal, the actor beside it and its queue.
struct World {
    journal: MemoryJournal,
    projections: Arc<Projections>,
    queue: Arc<Script>,
    counts: Arc<FeedbackCounts>,
    actor: PushFeedback,
    facts: u64,
}

impl World {
    /// A journal in which this has happened before the actor came up.
    async fn given(facts: Vec<(Entity, Fact)>) -> Self {
        let journal = MemoryJournal::new(Arc::new(Still));
        let projections = Projections::recover(&journal, TrafficPolicy::default())
            .await
            .expect("recovers");
        let queue = Arc::new(Script::default());
        let counts = Arc::new(FeedbackCounts::default());
        let mut number = 0;
        for (entity, fact) in facts {
            number += 1;
            append(&journal, number, entity, fact).await;
        }
        let context = PushFeedbackContext {
            journal: Arc::new(journal.clone()),
            projections: Arc::clone(&projections),
            accepted: RecentlyAccepted::follow(&journal).await.expect("follows"),
            queue: Arc::clone(&queue) as _,
            health: Arc::default(),
            clock: Arc::new(Still),
            counts: Arc::clone(&counts),
            dying_tokens: DyingTokensPolicy::default(),
        };
        let me = Cx::<Hear>::detached("push-feedback").incarnation();
        Self {
            actor: PushFeedback::new(me, Arc::new(context)),
            journal,
            projections,
            queue,
            counts,
            facts: number,
        }
    }

    async fn then(&mut self, entity: Entity, fact: Fact) {
        self.facts += 1;
        append(&self.journal, self.facts, entity, fact).await;
    }

    async fn hears(&mut self, body: &serde_json::Value, receive_count: u32) {
        let message = Received {
            message_id: "m".to_owned(),
            receipt: body.to_string(),
            body: body.to_string(),
            receive_count,
            sent_at: Timestamp(0),
            group: None,
        };
        self.queue.waiting.lock().expect("sound").push_back(message);
        let cx = Cx::detached("push-feedback");
        self.actor.handle(&Hear, &cx).await.expect("handled");
    }

    async fn events(&self) -> Vec<Event> {
        self.journal.read(Pos(0), 1_000).await.expect("readable")
    }

    /// What the actor has written.
    async fn written(&self) -> Vec<Event> {
        let events = self.events().await.into_iter();
        events
            .filter(|event| event.actor.as_str().starts_with("push-feedback"))
            .collect()
    }

    fn deleted(&self) -> usize {
        self.queue.deleted.lock().expect("sound").len()
    }

    fn ignored(&self, reason: &str) -> u64 {
        let counts = self.counts.ignored();
        let found = counts.iter().find(|(name, _)| *name == reason);
        found.expect("a reason").1
    }
}

async fn append(journal: &MemoryJournal, number: u64, entity: Entity, fact: Fact) {
    let mut draft = Draft::new(&"test", "test");
    draft.begin(&number.to_string(), entity, fact);
    journal.append(draft.finish()).await.expect("appended");
}

fn push() -> Push {
    sample::to_phone(sample::push(7, Timestamp(900_000)), TOKEN.into())
}

fn registered(person: &str) -> (Entity, Fact) {
    let device = Device {
        token: TOKEN.into(),
        person: person.into(),
        platform: Platform::Fcm,
        locale: "ko".to_owned(),
    };
    (
        Entity::new("device", TOKEN),
        DeviceRegistered { device }.into(),
    )
}

fn sent() -> Vec<(Entity, Fact)> {
    let entity = || Entity::new("push", push().id);
    let accepted = PushAccepted {
        attempt: 1,
        gateway_id: GATEWAY_ID.to_owned(),
    };
    vec![
        registered("minji"),
        (entity(), PushRequested { push: push() }.into()),
        (entity(), PushAttempted { attempt: 1 }.into()),
        (entity(), accepted.into()),
    ]
}

fn failure(failure_type: &str) -> serde_json::Value {
    json!({
        "EventType": "DeliveryFailure", "MessageId": GATEWAY_ID, "FailureType": failure_type,
        "FailureMessage": "why", "EndpointArn": "arn:aws:sns:r:1:endpoint/GCM/a/e",
    })
}

fn kinds(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.fact.kind()).collect()
}

#[tokio::test]
async fn a_dead_token_takes_the_phone_with_it_in_the_same_append() {
    let mut world = World::given(sent()).await;
    world.hears(&failure("InvalidPlatformToken"), 1).await;
    let written = world.written().await;
    assert_eq!(kinds(&written), ["push.bounced", "device.removed"]);
    let accepted = &world.events().await[3];
    assert_eq!(
        written[0].cause,
        Some(accepted.id),
        "`why` leads from the push to it"
    );
    assert_eq!(written[1].cause, Some(written[0].id));
    assert!(world.projections.audience().device(&TOKEN.into()).is_none());
    assert_eq!(world.deleted(), 1);
}

#[tokio::test]
async fn a_bounced_push_stays_sent_and_is_counted_beside_the_law() {
    let mut world = World::given(sent()).await;
    world.hears(&failure("DependencyUnavailable"), 1).await;
    assert_eq!(kinds(&world.written().await), ["push.bounced"]);
    assert!(
        world.projections.audience().device(&TOKEN.into()).is_some(),
        "the phone is not at fault"
    );
    let mut audit = Audit::default();
    for event in world.events().await {
        audit.event(&event);
    }
    let report = audit.finish();
    assert_eq!(report.violations, []);
    assert_eq!((report.counts.matched, report.counts.sent), (1, 1));
    let bounced: Vec<_> = report.counts.bounced.into_iter().collect();
    assert_eq!(bounced, [(BounceClass::DependencyUnavailable, 1)]);
}

#[tokio::test]
async fn a_failure_that_is_told_twice_is_written_once() {
    let mut world = World::given(sent()).await;
    world.hears(&failure("UNREGISTERED"), 1).await;
    world.hears(&failure("UNREGISTERED"), 2).await;
    assert_eq!(world.written().await.len(), 2);
    assert_eq!((world.deleted(), world.ignored("duplicate")), (2, 1));
}

#[tokio::test]
async fn a_registration_that_is_younger_than_the_push_stays() {
    for (person, why) in [
        ("minji", "the phone has told since that it is there"),
        ("daniel", "the phone is someone else's by now"),
    ] {
        let mut world = World::given(sent()).await;
        let (entity, fact) = registered(person);
        world.then(entity, fact).await;
        world.hears(&failure("UNREGISTERED"), 1).await;
        assert_eq!(kinds(&world.written().await), ["push.bounced"], "{why}");
        let audience = world.projections.audience();
        assert_eq!(
            audience.device(&TOKEN.into()).expect("there").person,
            person.into()
        );
    }
}

#[tokio::test]
async fn a_failure_that_is_quicker_than_the_journal_waits_for_its_push() {
    let mut facts = sent();
    let (entity, accepted) = facts.pop().expect("the gateway's yes");
    let mut world = World::given(facts).await;
    world.hears(&failure("UNREGISTERED"), 1).await;
    assert_eq!(world.written().await, []);
    assert_eq!(
        (
            world.deleted(),
            world.queue.postponed.lock().expect("sound").len()
        ),
        (0, 1)
    );
    world.then(entity, accepted).await;
    world.hears(&failure("UNREGISTERED"), 2).await;
    assert_eq!(
        kinds(&world.written().await),
        ["push.bounced", "device.removed"]
    );
    assert_eq!(world.deleted(), 1);
}

#[tokio::test]
async fn what_leads_to_nothing_is_counted_by_reason_and_leaves_the_queue() {
    let mut world = World::given(sent()).await;
    let unknown = json!({"EventType": "DeliveryFailure", "MessageId": "of another journal"});
    world.hears(&unknown, 4).await;
    world
        .hears(&json!({"EventType": "EndpointUpdated"}), 1)
        .await;
    world.hears(&json!(["no", "feedback"]), 1).await;
    assert_eq!(world.written().await, []);
    for reason in ["unknown_push", "other_event", "unreadable"] {
        assert_eq!(world.ignored(reason), 1, "{reason}");
    }
    assert_eq!(world.deleted(), 3);
}
