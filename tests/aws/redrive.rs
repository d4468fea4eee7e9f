//! The pair of queues by which operators redrive dead letters with AWS's own tools.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use iyagi::aws::sqs::SqsQueue;
use iyagi::clock::SystemClock;
use iyagi_actors::dlq_keeper::{
    DeadLetter, DlqKeeper, DlqKeeperContext, DlqMessage, LetterAge, deduplication_id, group_id,
};
use iyagi_actors::fleet::Fleet;
use iyagi_actors::health::Health;
use iyagi_actors::journal::{Draft, Journal, MemoryJournal};
use iyagi_actors::ports::{Clock, Outgoing, Queue};
use iyagi_actors::projections::{Projections, TrafficPolicy};
use iyagi_actors::queue_intake::{Deliveries, QueueIntake, QueueIntakeContext, Receive};
use iyagi_actors::redriver::{Redriver, RedriverContext};
use iyagi_actors::runtime::{
    ChildSpec, Intensity, Mailbox, PoolSpec, Strategy, System, Unobserved,
};
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::{Fact, LetterRequested};
use iyagi_messages::ids::{LetterId, Timestamp};
use iyagi_messages::letter::{Letter, Origin};

use crate::queues::Sqs;
use crate::servers::{Server, localemu, ministack};

const PATIENCE: Duration = Duration::from_mins(1);

/// The queues as they are provisioned, a journal, and the actors between them.
struct World {
    sqs: Sqs,
    client: aws_sdk_sqs::Client,
    journal: Arc<dyn Journal>,
    dead_letters: SqsQueue,
    redrive: SqsQueue,
    thumbnails: SqsQueue,
    system: System,
    dlq: Mailbox<DlqMessage>,
}

fn letter(key: &str, generation: u32) -> Letter {
    Letter {
        id: LetterId::of_object("thumbnails", key, "1"),
        generation,
        origin: Origin::Object {
            consumer: "thumbnails".to_owned(),
            key: key.to_owned(),
            message: format!("the notification of {key}"),
        },
        reason: "timed_out".to_owned(),
        detail: "it took longer than 10s".to_owned(),
        attempts: 3,
        at: Timestamp(1),
    }
}

fn message_of(letter: &Letter) -> Outgoing {
    Outgoing {
        body: DeadLetter::of(letter).to_json(),
        group: Some(group_id(letter)),
        deduplication_id: Some(deduplication_id(letter)),
        ..Outgoing::default()
    }
}

impl World {
    async fn on(server: &Server) -> Self {
        let sqs = Sqs::on(server);
        let client = server.clients().sqs;
        let dead_letters = sqs.create("dead-letters.fifo", None).await;
        let policy = sqs.redrive_policy(&dead_letters, 3).await;
        let redrive = sqs.create("redrive.fifo", Some(&policy)).await;
        let allow = serde_json::json!({
            "redrivePermission": "byQueue", "sourceQueueArns": [sqs.arn(&redrive).await],
        });
        let allowed = client
            .set_queue_attributes()
            .queue_url(dead_letters.url())
            .attributes(QueueAttributeName::RedriveAllowPolicy, allow.to_string());
        allowed.send().await.expect("the pair is tied");
        let thumbnails = sqs.create("thumbnails", None).await;

        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new(Arc::clone(&clock)));
        let projections = Projections::recover(&*journal, TrafficPolicy::default())
            .await
            .expect("folds");
        let system = System::new(1, Intensity::default(), Arc::new(Unobserved));
        let group = system.group("push", Strategy::OneForOne, Intensity::default());
        let context = Arc::new(DlqKeeperContext {
            journal: Arc::clone(&journal),
            fleet: Fleet::alone(Arc::clone(&projections)),
            projections,
            queue: Arc::new(dead_letters.clone()),
            consumers: vec![Arc::new(thumbnails.clone())],
            search: None,
            clock: Arc::clone(&clock),
            keep: LetterAge::days(14),
        });
        let dlq = group.child(ChildSpec::new("dlq-keeper"), move |me| {
            std::future::ready(Ok(DlqKeeper::new(me, Arc::clone(&context))))
        });
        let context = Arc::new(RedriverContext {
            journal: Arc::clone(&journal),
            dlq: dlq.for_sender("redriver"),
        });
        let pool = group.pool(PoolSpec::new(ChildSpec::new("redriver"), 1), move |_| {
            std::future::ready(Ok(Redriver::new(Arc::clone(&context))))
        });
        let context = Arc::new(QueueIntakeContext {
            queue: Arc::new(redrive.clone()),
            pool,
            deliveries: Arc::new(Deliveries::default()),
            health: Arc::new(Health::default()),
            clock,
        });
        let spec = ChildSpec {
            source: true,
            ..ChildSpec::new("redrive-intake")
        };
        let intake = group.child(spec, move |_| {
            std::future::ready(Ok(QueueIntake::new(Arc::clone(&context))))
        });
        assert!(intake.try_tell(Receive).is_ok(), "a new mailbox has room");
        Self {
            sqs,
            client,
            journal,
            dead_letters,
            redrive,
            thumbnails,
            system,
            dlq,
        }
    }

    /// Gives a job up as its worker does, and waits until its letter is in the queue.
    async fn give_up(&self, letter: &Letter) {
        let mut draft = Draft::new(&"test", "upload:test");
        let upstream = format!("{}.{}", letter.id, letter.generation);
        let requested = LetterRequested {
            letter: letter.clone(),
        };
        draft.begin(&upstream, Entity::new("letter", letter.id), requested);
        self.journal.append(draft.finish()).await.expect("appends");
        let told = self.dlq.tell(DlqMessage::Deposit(letter.id)).await;
        assert!(told.is_ok(), "the keeper lives");
        self.until("the letter is deposited", letter, |fact| {
            matches!(fact, Fact::LetterDeadLettered(dead) if dead.generation == letter.generation)
        })
        .await;
    }

    async fn events(&self, letter: &Letter) -> Vec<Event> {
        let entity = Entity::new("letter", letter.id);
        self.journal.entity(&entity).await.expect("readable")
    }

    async fn until(&self, what: &str, letter: &Letter, holds: impl Fn(&Fact) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !self
                .events(letter)
                .await
                .iter()
                .any(|event| holds(&event.fact))
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let events = waited.await;
        assert!(
            events.is_ok(),
            "in vain: {what}; {:?}",
            self.events(letter).await
        );
    }

    /// Waits until a queue holds so many messages, in flight or not.
    async fn until_holds(&self, queue: &SqsQueue, count: u64) {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let depth = queue.depth().await.expect("counts");
                if depth.visible + depth.in_flight == count {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        let depth = queue.depth().await;
        assert!(
            waited.await.is_ok(),
            "{}: {depth:?}, not {count}",
            queue.name()
        );
    }

    async fn stop(self) {
        let report = self.system.drain(Duration::from_secs(30)).await;
        assert!(report.clean(), "{report:?}");
    }

    async fn redriven(&self, letter: &Letter) {
        self.until("the letter is redriven", letter, |fact| {
            matches!(fact, Fact::LetterRedriven(redriven)
                if redriven.generation == letter.generation && redriven.by == "console")
        })
        .await;
    }
}

async fn local<F: Future>(body: F) -> F::Output {
    tokio::task::LocalSet::new().run_until(body).await
}

#[tokio::test]
async fn letters_that_an_operator_moves_are_redriven_and_leave_both_queues() {
    let Some(server) = localemu() else { return };
    local(async {
        let world = World::on(server).await;
        let letters = [letter("posts/1/a.jpg", 1), letter("posts/1/b.jpg", 1)];
        for letter in &letters {
            world.give_up(letter).await;
        }
        world.until_holds(&world.dead_letters, 2).await;
        // What the console's "start redrive" does, with a destination of one's own.
        let moved = world
            .client
            .start_message_move_task()
            .source_arn(world.sqs.arn(&world.dead_letters).await)
            .destination_arn(world.sqs.arn(&world.redrive).await)
            .send();
        moved.await.expect("the letters are moved");
        for letter in &letters {
            world.redriven(letter).await;
        }
        for queue in [&world.dead_letters, &world.redrive] {
            world.until_holds(queue, 0).await;
        }
        world.until_holds(&world.thumbnails, 2).await;
        world.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_letter_is_redriven_once_however_often_it_is_moved() {
    local(async {
        let world = World::on(ministack()).await;
        let first = letter("posts/1/a.jpg", 1);
        world.give_up(&first).await;
        let again = |letter: &Letter, deduplication_id: &str| Outgoing {
            deduplication_id: Some(deduplication_id.to_owned()),
            ..message_of(letter)
        };
        let moved = vec![again(&first, "1"), again(&first, "2")];
        for sent in world.redrive.send(moved).await.expect("in bounds") {
            sent.expect("taken");
        }
        world.redriven(&first).await;
        world.until_holds(&world.redrive, 0).await;
        world.until_holds(&world.thumbnails, 1).await;
        // The job is given up once more: a message of the first time does not try it anew.
        let second = letter("posts/1/a.jpg", 2);
        world.give_up(&second).await;
        let moved = vec![again(&first, "3")];
        for sent in world.redrive.send(moved).await.expect("in bounds") {
            sent.expect("taken");
        }
        world.until_holds(&world.redrive, 0).await;
        let redriven = world.events(&second).await;
        let redriven = redriven
            .iter()
            .filter(|event| matches!(event.fact, Fact::LetterRedriven(_)));
        assert_eq!(redriven.count(), 1);
        world.until_holds(&world.thumbnails, 1).await;
        world.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_letter_that_expires_leaves_its_queue_and_is_not_tried_anew_by_a_move() {
    local(async {
        let world = World::on(ministack()).await;
        // It was given up in 1970.
        let old = letter("posts/1/a.jpg", 1);
        world.give_up(&old).await;
        let told = world.dlq.tell(DlqMessage::Expire).await;
        assert!(told.is_ok(), "the keeper lives");
        world
            .until(
                "it expires",
                &old,
                |fact| matches!(fact, Fact::LetterExpired(expired) if expired.keep_days == 14),
            )
            .await;
        world.until_holds(&world.dead_letters, 0).await;
        let moved = vec![message_of(&old)];
        for sent in world.redrive.send(moved).await.expect("in bounds") {
            sent.expect("taken");
        }
        world.until_holds(&world.redrive, 0).await;
        world.until_holds(&world.thumbnails, 0).await;
        world.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_no_letter_of_ours_is_left_to_go_back() {
    local(async {
        let world = World::on(ministack()).await;
        let unknown = letter("posts/1/never-given-up.jpg", 1);
        let foreign = Outgoing {
            body: "not a letter".to_owned(),
            ..message_of(&letter("posts/1/foreign.jpg", 1))
        };
        let known = letter("posts/1/a.jpg", 1);
        world.give_up(&known).await;
        let moved = vec![foreign, message_of(&unknown), message_of(&known)];
        for sent in world.redrive.send(moved).await.expect("in bounds") {
            sent.expect("taken");
        }
        world.redriven(&known).await;
        world.until_holds(&world.redrive, 2).await;
        assert_eq!(world.events(&unknown).await, []);
        world.stop().await;
    })
    .await;
}
