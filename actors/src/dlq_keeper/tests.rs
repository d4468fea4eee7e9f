//! What becomes of the queue's messages when their letters are settled.

use std::sync::Mutex;

use async_trait::async_trait;
use iyagi_messages::fact::LetterRequested;
use iyagi_messages::ids::Timestamp;
use iyagi_messages::letter::Letter;

use super::*;
use crate::journal::MemoryJournal;
use crate::ports::{Clock, QueueDepth, Received, Sent};
use crate::projections::TrafficPolicy;

/// A queue that shows the same message again and again until it is deleted, and may be away.
#[derive(Default)]
struct Fifo {
    bodies: Mutex<Vec<String>>,
    away: Mutex<u32>,
}

impl Fifo {
    fn bodies(&self) -> Vec<String> {
        self.bodies.lock().expect("sound").clone()
    }
}

#[async_trait]
impl Queue for Fifo {
    fn name(&self) -> &'static str {
        "dead-letters.fifo"
    }

    async fn send(
        &self,
        messages: Vec<Outgoing>,
    ) -> Result<Vec<Result<Sent, QueueFault>>, QueueFault> {
        let mut bodies = self.bodies.lock().expect("sound");
        let sent = messages.into_iter().map(|message| {
            bodies.push(message.body.clone());
            Ok(Sent {
                message_id: message.body,
            })
        });
        Ok(sent.collect())
    }

    async fn receive(
        &self,
        max: usize,
        _: Duration,
        _: Duration,
    ) -> Result<Vec<Received>, QueueFault> {
        // Each receive takes its time, or a queue without end would be looked through at once.
        tokio::time::sleep(Duration::from_millis(10)).await;
        let mut away = self.away.lock().expect("sound");
        if *away > 0 {
            *away -= 1;
            return Err(QueueFault::Unavailable {
                queue: self.name().to_owned(),
                reason: "it is away".to_owned(),
            });
        }
        let received = self.bodies().into_iter().take(max).map(|body| Received {
            message_id: body.clone(),
            receipt: body.clone(),
            body,
            receive_count: 1,
            sent_at: Timestamp(0),
            group: None,
        });
        Ok(received.collect())
    }

    async fn delete(&self, receipts: &[String]) -> Result<(), QueueFault> {
        let mut bodies = self.bodies.lock().expect("sound");
        bodies.retain(|body| !receipts.contains(body));
        Ok(())
    }

    async fn change_visibility(&self, _: &str, _: Duration) -> Result<(), QueueFault> {
        Err(QueueFault::NotInFlight {
            queue: self.name().to_owned(),
        })
    }

    async fn depth(&self) -> Result<QueueDepth, QueueFault> {
        Ok(QueueDepth::default())
    }

    async fn purge(&self) -> Result<(), QueueFault> {
        Ok(())
    }
}

/// A clock that stands still.
struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}

fn letter(key: &str) -> Letter {
    Letter {
        id: LetterId::of_object("thumbnails", key, "1"),
        generation: 1,
        origin: Origin::Object {
            consumer: "thumbnails".to_owned(),
            key: key.to_owned(),
            message: String::new(),
        },
        reason: "timed_out".to_owned(),
        detail: String::new(),
        attempts: 1,
        at: Timestamp(0),
    }
}

/// A keeper that has put letters of these objects into the queue.
async fn keeper(queue: &Arc<Fifo>, letters: &[Letter]) -> DlqKeeper {
    keeper_at(Timestamp(0), queue, letters).await
}

/// The same at a moment.
async fn keeper_at(now: Timestamp, queue: &Arc<Fifo>, letters: &[Letter]) -> DlqKeeper {
    let clock: Arc<dyn Clock> = Arc::new(Still(now));
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new(Arc::clone(&clock)));
    let recovered = Projections::recover(&*journal, TrafficPolicy::default()).await;
    let projections = recovered.expect("an empty journal folds");
    let context = DlqKeeperContext {
        journal: Arc::clone(&journal),
        fleet: Fleet::alone(Arc::clone(&projections)),
        projections,
        queue: Arc::clone(queue) as Arc<dyn Queue>,
        consumers: Vec::new(),
        search: None,
        clock,
        keep: LetterAge::days(14),
    };
    let mut keeper = DlqKeeper::new(cx().incarnation(), Arc::new(context));
    for letter in letters {
        let mut draft = Draft::new(&"test", "upload:test");
        let letter = letter.clone();
        let (id, entity) = (letter.id, Entity::new("letter", letter.id));
        draft.begin(&id.to_string(), entity, LetterRequested { letter });
        journal.append(draft.finish()).await.expect("appends");
        let deposited = keeper.handle(&DlqMessage::Deposit(id), &cx()).await;
        deposited.expect("the queue takes it");
    }
    keeper
}

fn cx() -> Cx<DlqMessage> {
    Cx::detached("dlq-keeper")
}

#[tokio::test(start_paused = true)]
async fn an_order_is_answered_with_what_it_did_and_its_letters_leave_a_queue_that_was_away() {
    let queue = Arc::new(Fifo::default());
    let letter = letter("posts/1/a.jpg");
    let mut keeper = keeper(&queue, std::slice::from_ref(&letter)).await;
    *queue.away.lock().expect("sound") = 1;
    let (reply, answer) = Reply::channel();
    let purge = DlqMessage::Purge {
        letters: vec![letter.id],
        order: Order::default(),
        reply,
    };
    let failed = keeper.handle(&purge, &cx()).await;
    assert!(failed.is_err(), "the queue is asked again");
    let settled = answer.await.expect("answered all the same");
    assert_eq!((settled.done, settled.skipped), (vec![letter.id], vec![]));
    keeper.handle(&purge, &cx()).await.expect("it is back");
    assert!(queue.bodies().is_empty(), "{:?}", queue.bodies());
}

#[tokio::test(start_paused = true)]
async fn a_long_queue_is_not_looked_through_for_ever() {
    let queue = Arc::new(Fifo::default());
    let letters: Vec<Letter> = (0..20)
        .map(|nth| letter(&format!("posts/1/{nth}.jpg")))
        .collect();
    let mut keeper = keeper(&queue, &letters).await;
    let (reply, answer) = Reply::channel();
    // It lies behind those that the queue shows again and again.
    let last = letters[19].id;
    let purge = DlqMessage::Purge {
        letters: vec![last],
        order: Order::default(),
        reply,
    };
    keeper.handle(&purge, &cx()).await.expect("done");
    assert_eq!(answer.await.expect("answered").done, [last]);
    assert_eq!(queue.bodies().len(), 20, "a later order takes it out");
}

#[tokio::test(start_paused = true)]
async fn letters_expire_at_their_age_with_their_messages_and_younger_ones_wait_on() {
    const DAY_MS: i64 = 24 * 3_600_000;
    let letters = [0, 1].map(|at| Letter {
        at: Timestamp(at),
        ..letter(&format!("posts/1/{at}.jpg"))
    });
    let waiting = |keeper: &DlqKeeper| {
        let outbox = keeper.context.projections.outbox();
        let ids: Vec<LetterId> = outbox.letters().map(|state| state.letter.id).collect();
        (ids, outbox.counts.expired)
    };
    let queue = Arc::new(Fifo::default());
    let mut keeper = keeper_at(Timestamp(14 * DAY_MS), &queue, &letters).await;
    // Twice, as a message is that was handled when the queue was away.
    for _ in 0..2 {
        let expired = keeper.handle(&DlqMessage::Expire, &cx()).await;
        expired.expect("done");
        assert_eq!(waiting(&keeper), (vec![letters[1].id], 1));
    }
    let bodies = queue.bodies();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert!(bodies[0].contains("posts/1/1.jpg"), "{bodies:?}");
    let entity = Entity::new("letter", letters[0].id);
    let history = keeper.context.journal.entity(&entity).await;
    let last = history.expect("readable").pop().expect("an event");
    let expired = LetterExpired {
        generation: 1,
        keep_days: 14,
    };
    assert_eq!(last.fact, expired.into());
}
