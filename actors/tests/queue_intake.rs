//! What an intake has received is neither stranded by a drain nor lost to another host by a long job.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use iyagi_actors::health::Health;
use iyagi_actors::ports::{Clock, Outgoing, Queue, QueueDepth, QueueFault, Received, Sent};
use iyagi_actors::queue_intake::{
    Deliveries, Delivery, QueueIntake, QueueIntakeContext, Receive, VISIBILITY,
};
use iyagi_actors::runtime::{
    ChildSpec, Cx, Done, Failure, Fault, PoolSpec, Strategy, System, Worker,
};
use iyagi_messages::ids::Timestamp;
use support::{SECOND, endless, local, sturdy, system, until};
use tokio::sync::Notify;
use tokio::time::Instant;

/// A queue that answers a receive when it is told to, and counts what becomes of its messages.
#[derive(Default)]
struct Remote {
    can_be_dropped: bool,
    waiting: Mutex<Vec<&'static str>>,
    arrival: Notify,
    begun: AtomicUsize,
    dropped: AtomicUsize,
    deleted: Mutex<Vec<String>>,
    given_back: Mutex<Vec<String>>,
    renewed: Mutex<Vec<(String, Instant)>>,
}

impl Remote {
    fn send(&self, message: &'static str) {
        self.waiting.lock().unwrap().push(message);
        self.arrival.notify_one();
    }

    fn take(&self) -> Vec<Received> {
        let messages = std::mem::take(&mut *self.waiting.lock().unwrap());
        let received = messages.into_iter().map(|message| Received {
            message_id: message.to_owned(),
            receipt: message.to_owned(),
            body: message.to_owned(),
            receive_count: 1,
            sent_at: Timestamp(0),
            group: None,
        });
        received.collect()
    }

    fn deleted(&self) -> Vec<String> {
        self.deleted.lock().unwrap().clone()
    }
}

/// Notes that a receive went away before it answered.
struct Unanswered<'q>(Option<&'q AtomicUsize>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(dropped) = self.0 {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl Queue for Remote {
    fn name(&self) -> &'static str {
        "thumbnails"
    }

    async fn send(&self, _: Vec<Outgoing>) -> Result<Vec<Result<Sent, QueueFault>>, QueueFault> {
        unreachable!("an intake sends nothing")
    }

    async fn receive(
        &self,
        _: usize,
        wait: Duration,
        _: Duration,
    ) -> Result<Vec<Received>, QueueFault> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let mut unanswered = Unanswered(Some(&self.dropped));
        if self.waiting.lock().unwrap().is_empty() {
            tokio::time::timeout(wait, self.arrival.notified())
                .await
                .ok();
        }
        unanswered.0 = None;
        Ok(self.take())
    }

    fn receive_can_be_dropped(&self) -> bool {
        self.can_be_dropped
    }

    async fn delete(&self, receipts: &[String]) -> Result<(), QueueFault> {
        self.deleted.lock().unwrap().extend_from_slice(receipts);
        Ok(())
    }

    async fn change_visibility(
        &self,
        receipt: &str,
        visibility: Duration,
    ) -> Result<(), QueueFault> {
        if visibility.is_zero() {
            self.given_back.lock().unwrap().push(receipt.to_owned());
        } else {
            let renewal = (receipt.to_owned(), Instant::now());
            self.renewed.lock().unwrap().push(renewal);
        }
        Ok(())
    }

    async fn depth(&self) -> Result<QueueDepth, QueueFault> {
        Ok(QueueDepth::default())
    }

    async fn purge(&self) -> Result<(), QueueFault> {
        Ok(())
    }
}

struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

/// Deletes a message once it was worked on for a while.
struct Slow(Duration);

impl Worker for Slow {
    type Msg = Delivery;

    async fn handle(&mut self, delivery: &Delivery, _: &Cx<Delivery>) -> Result<Done, Fault> {
        if delivery.received.body.starts_with("slow") {
            tokio::time::sleep(self.0).await;
        }
        delivery.done().await.expect("the queue answers");
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, _: &Delivery, _: &[Failure]) -> Result<(), Fault> {
        unreachable!("nothing fails")
    }

    async fn hand_back(&mut self, delivery: Delivery) {
        delivery.hand_back().await;
    }
}

fn start(system: &System, queue: &Arc<Remote>, work: Duration) {
    start_with(system, queue, work, PoolSpec::new(sturdy("worker"), 2));
}

fn start_with(system: &System, queue: &Arc<Remote>, work: Duration, pool: PoolSpec<Delivery>) {
    let group = system.group("media", Strategy::OneForOne, endless());
    let pool = group.pool(pool, move |_| std::future::ready(Ok(Slow(work))));
    let context = Arc::new(QueueIntakeContext {
        queue: Arc::clone(queue) as Arc<dyn Queue>,
        pool,
        deliveries: Arc::new(Deliveries::default()),
        health: Arc::new(Health::default()),
        clock: Arc::new(Now),
    });
    let spec = ChildSpec {
        source: true,
        ..sturdy("intake")
    };
    let intake = group.child(spec, move |_| {
        std::future::ready(Ok(QueueIntake::new(Arc::clone(&context))))
    });
    assert!(intake.try_tell(Receive).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_message_that_arrives_while_the_drain_begins_is_finished() {
    local(async {
        let (system, _) = system();
        let queue = Arc::new(Remote::default());
        start(&system, &queue, SECOND);
        until("a receive waits", || {
            queue.begun.load(Ordering::Relaxed) == 1
        })
        .await;
        let late = async {
            tokio::time::sleep(SECOND).await;
            queue.send("late");
        };
        let (report, ()) = tokio::join!(system.drain(20 * SECOND), late);
        assert!(report.clean(), "{report:?}");
        assert_eq!(queue.deleted(), ["late"]);
        assert!(
            queue.given_back.lock().unwrap().is_empty(),
            "no receive is spent"
        );
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 0);
        assert_eq!(queue.begun.load(Ordering::Relaxed), 1, "no other begins");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_a_receive_no_longer_than_for_a_short_poll() {
    for (can_be_dropped, seconds) in [(true, 0..1), (false, 1..6)] {
        local(async {
            let (system, _) = system();
            let queue = Arc::new(Remote {
                can_be_dropped,
                ..Remote::default()
            });
            start(&system, &queue, SECOND);
            until("a receive waits", || {
                queue.begun.load(Ordering::Relaxed) == 1
            })
            .await;
            let report = system.drain(20 * SECOND).await;
            assert!(report.clean(), "{report:?}");
            assert!(seconds.contains(&report.took.as_secs()), "{report:?}");
            let dropped = queue.dropped.load(Ordering::Relaxed);
            assert_eq!(dropped, usize::from(can_be_dropped));
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_job_stays_hidden_however_many_short_ones_come_meanwhile() {
    local(async {
        let (system, _) = system();
        let queue = Arc::new(Remote::default());
        start(&system, &queue, 4 * VISIBILITY);
        let received_at = Instant::now();
        queue.send("slow");
        let mut sent = 0;
        while !queue.deleted().contains(&"slow".to_owned()) {
            queue.send("short");
            sent += 1;
            tokio::time::sleep(SECOND).await;
        }
        assert!(sent > 100, "the intake was never idle");
        let renewed = queue.renewed.lock().unwrap().clone();
        let of_slow = renewed.iter().filter(|(receipt, _)| receipt == "slow");
        let mut hidden_until = received_at + VISIBILITY;
        let mut count = 0;
        for (_, at) in of_slow {
            assert!(*at < hidden_until, "renewal {count} came too late");
            hidden_until = *at + VISIBILITY;
            count += 1;
        }
        assert!(count >= 7, "{count} renewals");
        assert!(hidden_until > Instant::now() - SECOND);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_room_in_its_pool_stays_hidden() {
    local(async {
        let (system, _) = system();
        let queue = Arc::new(Remote::default());
        let narrow = PoolSpec {
            capacity: 1,
            ..PoolSpec::new(sturdy("worker"), 1)
        };
        for message in ["slow", "slow too", "waits"] {
            queue.send(message);
        }
        start_with(&system, &queue, 2 * VISIBILITY, narrow);
        until("all are done", || queue.deleted().len() == 3).await;
        let renewed = queue.renewed.lock().unwrap().clone();
        let renewals = renewed.iter().filter(|(receipt, _)| receipt == "waits");
        assert!(renewals.count() >= 7, "{renewed:?}");
    })
    .await;
}

#[test]
fn a_message_that_came_twice_stays_hidden_while_its_newer_receipt_is_in_work() {
    let queue = Arc::new(Remote::default());
    let deliveries = Arc::new(Deliveries::default());
    let deliver = |receipt: &str| {
        let received = Received {
            message_id: "one".to_owned(),
            receipt: receipt.to_owned(),
            body: String::new(),
            receive_count: 1,
            sent_at: Timestamp(0),
            group: None,
        };
        Delivery::new(Arc::clone(&queue) as Arc<dyn Queue>, received, &deliveries)
    };
    let (first, second) = (deliver("first"), deliver("second"));
    drop(first);
    assert_eq!(deliveries.len(), 1);
    drop(second);
    assert!(deliveries.is_empty());
}
