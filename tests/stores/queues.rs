//! Queues in SQLite.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use iyagi::embedded::queues::{EmbeddedQueues, QueueConfig, Redrive};
use iyagi_actors::ports::contract;
use iyagi_actors::ports::contract::queue::QueueHarness;
use iyagi_actors::ports::{Clock, Outgoing, Queue, QueueDepth, QueueFault};
use iyagi_messages::ids::Timestamp;
use tokio::time::Instant;

use crate::TokioClock;

struct Embedded {
    queues: EmbeddedQueues,
    named: AtomicU32,
}

impl Embedded {
    fn fresh_name(&self, fifo: bool) -> String {
        let number = self.named.fetch_add(1, Ordering::Relaxed);
        format!("queue-{number}{}", if fifo { ".fifo" } else { "" })
    }
}

#[async_trait]
impl QueueHarness for Embedded {
    async fn queue(&self, fifo: bool) -> Arc<dyn Queue> {
        plain(&self.queues, &self.fresh_name(fifo))
    }

    async fn with_dead_letters(
        &self,
        fifo: bool,
        max_receive_count: u32,
    ) -> (Arc<dyn Queue>, Arc<dyn Queue>) {
        let dead_letter_queue = self.fresh_name(fifo);
        let dead_letters = plain(&self.queues, &dead_letter_queue);
        let queue = self.queues.queue(QueueConfig {
            name: self.fresh_name(fifo),
            redrive: Some(Redrive {
                dead_letter_queue,
                max_receive_count,
            }),
        });
        (queue.expect("valid"), dead_letters)
    }

    async fn advance(&self, by: Duration) {
        tokio::time::advance(by).await;
    }
}

fn plain(queues: &EmbeddedQueues, name: &str) -> Arc<dyn Queue> {
    let config = QueueConfig {
        name: name.to_owned(),
        redrive: None,
    };
    queues.queue(config).expect("a valid queue")
}

fn open(folder: &Path, clock: &Arc<dyn Clock>) -> EmbeddedQueues {
    EmbeddedQueues::open(&folder.join("queues.db"), Arc::clone(clock)).expect("opens")
}

fn text(body: &str) -> Outgoing {
    Outgoing {
        body: body.to_owned(),
        ..Outgoing::default()
    }
}

fn in_group(body: &str, deduplication_id: &str) -> Outgoing {
    Outgoing {
        group: Some("g".to_owned()),
        deduplication_id: Some(deduplication_id.to_owned()),
        ..text(body)
    }
}

const VISIBILITY: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn keep_the_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    let harness = Embedded {
        queues: open(folder.path(), &TokioClock::start()),
        named: AtomicU32::new(0),
    };
    contract::queue::all(&harness).await;
}

#[tokio::test(start_paused = true)]
async fn remember_everything_over_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = TokioClock::start();
    let (receipt, first_id) = {
        let queues = open(folder.path(), &clock);
        let standard = plain(&queues, "media");
        standard
            .send(vec![text("waiting"), text("in flight")])
            .await
            .expect("sends");
        let fifo = plain(&queues, "dead.fifo");
        let sent = fifo
            .send(vec![in_group("letter", "1")])
            .await
            .expect("sends");
        let received = standard
            .receive(1, Duration::ZERO, VISIBILITY)
            .await
            .expect("receives");
        (
            received[0].receipt.clone(),
            sent[0].clone().expect("taken").message_id,
        )
    };
    let queues = open(folder.path(), &clock);
    let standard = plain(&queues, "media");
    let depth = standard.depth().await.expect("counts");
    assert_eq!((depth.visible, depth.in_flight, depth.delayed), (1, 1, 0));
    standard.delete(&[receipt]).await.expect("deletes");
    tokio::time::advance(VISIBILITY).await;
    let left = standard.receive(10, Duration::ZERO, VISIBILITY).await;
    assert_eq!(left.expect("receives").len(), 1);
    let fifo = plain(&queues, "dead.fifo");
    let repeated = fifo
        .send(vec![in_group("again", "1")])
        .await
        .expect("sends");
    assert_eq!(repeated[0].clone().expect("taken").message_id, first_id);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_has_run_out_deletes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let queue = plain(&open(folder.path(), &TokioClock::start()), "media");
    queue.send(vec![text("job")]).await.expect("sends");
    let received = queue.receive(1, Duration::ZERO, VISIBILITY).await;
    let receipt = received.expect("receives").remove(0).receipt;
    tokio::time::advance(VISIBILITY).await;
    for receipt in [receipt.as_str(), "1.99", "nonsense"] {
        assert_eq!(queue.delete(&[receipt.to_owned()]).await, Ok(()));
        let hidden = queue.change_visibility(receipt, VISIBILITY).await;
        assert!(matches!(hidden, Err(QueueFault::NotInFlight { .. })));
    }
    let again = queue.receive(1, Duration::ZERO, VISIBILITY).await;
    assert_eq!(again.expect("receives")[0].receive_count, 2);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_receiver_gets_a_message_when_its_visibility_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let queue = plain(&open(folder.path(), &TokioClock::start()), "media");
    queue.send(vec![text("job")]).await.expect("sends");
    let slow = queue
        .receive(1, Duration::ZERO, Duration::from_secs(7))
        .await;
    assert_eq!(slow.expect("receives").len(), 1);
    let started = Instant::now();
    let again = queue.receive(1, Duration::from_secs(20), VISIBILITY).await;
    assert_eq!(again.expect("receives").len(), 1);
    assert_eq!(started.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_waits_in_vain_returns_on_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let queue = plain(&open(folder.path(), &TokioClock::start()), "media");
    let started = Instant::now();
    let none = queue.receive(1, Duration::from_secs(5), VISIBILITY).await;
    assert_eq!(none, Ok(vec![]));
    assert_eq!(started.elapsed().as_secs(), 5);
}

/// On the real clock: a paused one would jump to the end of the wait while the writer works.
#[tokio::test]
async fn whatever_makes_a_message_visible_wakes_a_waiting_receiver() {
    const WAIT: Duration = Duration::from_secs(20);
    let folder = tempfile::tempdir().expect("a folder");
    let queues = open(folder.path(), &TokioClock::start());
    let dead_letters = plain(&queues, "dead.fifo");
    let config = QueueConfig {
        name: "jobs.fifo".to_owned(),
        redrive: Some(Redrive {
            dead_letter_queue: "dead.fifo".to_owned(),
            max_receive_count: 2,
        }),
    };
    let queue = queues.queue(config).expect("valid");
    let started = Instant::now();

    let (received, sent) = tokio::join!(queue.receive(1, WAIT, VISIBILITY), async {
        queue
            .send(vec![in_group("first", "1"), in_group("second", "2")])
            .await
    });
    sent.expect("sends");
    let first = received.expect("receives").remove(0);
    let (received, given_back) = tokio::join!(
        queue.receive(1, WAIT, VISIBILITY),
        queue.change_visibility(&first.receipt, Duration::ZERO)
    );
    given_back.expect("in flight");
    let first = received.expect("receives").remove(0);
    assert_eq!(first.body, "first");
    // The third receive moves it to the dead letters, whose receiver waits too.
    queue
        .change_visibility(&first.receipt, Duration::ZERO)
        .await
        .expect("in flight");
    let (dead, next) = tokio::join!(
        dead_letters.receive(1, WAIT, VISIBILITY),
        queue.receive(1, WAIT, VISIBILITY)
    );
    assert_eq!(dead.expect("receives")[0].body, "first");
    let second = next.expect("receives").remove(0);
    // A delete frees the group.
    queue
        .send(vec![in_group("third", "3")])
        .await
        .expect("sends");
    let receipts = [second.receipt];
    let (third, deleted) =
        tokio::join!(queue.receive(1, WAIT, VISIBILITY), queue.delete(&receipts));
    deleted.expect("deletes");
    assert_eq!(third.expect("receives")[0].body, "third");
    assert!(started.elapsed() < WAIT, "nobody slept through");
}

#[tokio::test(start_paused = true)]
async fn the_depth_tells_waiting_from_in_flight_from_delayed() {
    let folder = tempfile::tempdir().expect("a folder");
    let queue = plain(&open(folder.path(), &TokioClock::start()), "media");
    assert_eq!(queue.depth().await, Ok(QueueDepth::default()));
    let later = Outgoing {
        delay: VISIBILITY,
        ..text("later")
    };
    queue
        .send(vec![text("a"), text("b"), later])
        .await
        .expect("sends");
    queue
        .receive(1, Duration::ZERO, VISIBILITY)
        .await
        .expect("receives");
    let expected = QueueDepth {
        visible: 1,
        in_flight: 1,
        delayed: 1,
        oldest_sent_at: Some(Timestamp(1_767_225_600_000)),
    };
    assert_eq!(queue.depth().await, Ok(expected));
    queue.purge().await.expect("purges");
    assert_eq!(queue.depth().await, Ok(QueueDepth::default()));
}
