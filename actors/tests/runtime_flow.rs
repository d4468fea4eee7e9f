//! Mailboxes are bounded whatever their senders do, and topics keep their subscribers apart.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use iyagi_actors::runtime::{
    ChildSpec, Cx, Done, Failure, Fault, Mailbox, Outcome, Refused, Strategy, Worker,
};
use support::{Act, Log, SECOND, endless, local, scripted, sturdy, system, until};
use tokio::time::{Duration, Instant};

#[tokio::test(start_paused = true)]
async fn ten_thousand_senders_never_hold_more_than_the_capacity() {
    local(async {
        let (system, _) = system();
        let group = system.group("family", Strategy::OneForOne, endless());
        let log = Log::default();
        let slow = |_, _| Act::FinishAfter(Duration::from_millis(1));
        let mailbox = group.child(sturdy("a"), scripted(slow, &log));
        let waiting = Arc::new(AtomicUsize::new(0));
        for job in 0..10_000 {
            let (mailbox, waiting) = (mailbox.clone(), Arc::clone(&waiting));
            system.spawn_named("sender", async move {
                waiting.fetch_add(1, SeqCst);
                mailbox.tell(job).await.unwrap();
            });
        }
        tokio::task::yield_now().await;
        while !system.tasks().is_empty() {
            assert!(mailbox.depth() <= 256);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        until("all are done", || log.done().len() == 10_000).await;
        let snapshot = system.actor("a").unwrap();
        assert_eq!(waiting.load(SeqCst), 10_000);
        assert_eq!(
            (snapshot.mailbox.peak, snapshot.mailbox.capacity),
            (256, 256)
        );
        assert!(snapshot.backpressure_ms_total > 9_000);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_refuses_those_who_do_not_wait() {
    local(async {
        let (system, _) = system();
        let group = system.group("family", Strategy::OneForOne, endless());
        let log = Log::default();
        let spec = ChildSpec {
            mailbox_capacity: 2,
            ..sturdy("a")
        };
        let mailbox = group.child(spec, scripted(|_, _| Act::FinishAfter(SECOND), &log));
        mailbox.try_tell(1).unwrap();
        mailbox.try_tell(2).unwrap();
        tokio::time::sleep(SECOND / 2).await;
        let refused = mailbox.try_tell(3).unwrap_err();
        assert!(
            matches!(refused, Refused::Full { .. }),
            "the message in hand counts: {refused}"
        );
        assert_eq!(refused.into_message(), 3);
        drop(system);
    })
    .await;
}

/// Passes everything on.
struct Relay {
    next: Mailbox<u32>,
}

impl Worker for Relay {
    type Msg = u32;

    async fn handle(&mut self, job: &u32, _: &Cx<u32>) -> Result<Done, Fault> {
        self.next
            .tell(*job)
            .await
            .map_err(|closed| Fault::fatal(closed.to_string()))?;
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, _: &u32, _: &[Failure]) -> Result<(), Fault> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_sink_slows_the_source_and_memory_stays_flat() {
    local(async {
        let (system, _) = system();
        let group = system.group("chain", Strategy::RestForOne, endless());
        let log = Log::default();
        let tenth = |_, _| Act::FinishAfter(Duration::from_millis(100));
        let spec = |name: &str| ChildSpec {
            mailbox_capacity: 16,
            ..sturdy(name)
        };
        let mut mailboxes = vec![group.child(spec("sink"), scripted(tenth, &log))];
        for name in ["third", "second", "first"] {
            let next = mailboxes.last().unwrap().for_sender(name);
            mailboxes.push(group.child(spec(name), move |_| {
                let next = next.clone();
                async { Ok(Relay { next }) }
            }));
        }
        let first = mailboxes.last().unwrap().for_sender("source");
        let began = Instant::now();
        let source = async {
            for job in 0..1_000 {
                tokio::time::sleep(Duration::from_micros(200)).await;
                first.tell(job).await.unwrap();
            }
        };
        let watch = async {
            loop {
                assert!(mailboxes.iter().all(|mailbox| mailbox.depth() <= 16));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! { () = source => {}, () = watch => {} }
        // 1,000 messages at 10 a second, less what the chain holds: the source had to wait.
        assert!(began.elapsed() > 90 * SECOND, "{:?}", began.elapsed());
        let waited = system.actor("first").unwrap().backpressure_ms_by_sender["source"];
        assert!(waited > 90_000, "{waited}");
        until("all arrive", || log.done().len() == 1_000).await;
        assert!(log.done().is_sorted());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_or_dead_subscriber_delays_no_other() {
    local(async {
        let (system, _) = system();
        let group = system.group("media", Strategy::OneForOne, endless());
        let topic = group.broadcast::<u32>("topic", 8);
        let spec = |name: &str| ChildSpec {
            mailbox_capacity: 4,
            ..sturdy(name)
        };
        let (quick_log, slow_log) = (Log::default(), Log::default());
        let quick = group.child(spec("quick"), scripted(|_, _| Act::Finish, &quick_log));
        let slow = |_, _| Act::FinishAfter(3_600 * SECOND);
        let slow = group.child(spec("slow"), scripted(slow, &slow_log));
        let dead_spec = ChildSpec {
            restart: iyagi_actors::runtime::Restart::Temporary,
            ..spec("dead")
        };
        let dead = group.child(dead_spec, scripted(|_, _| Act::Panic, &Log::default()));
        for (name, mailbox) in [("quick", quick), ("slow", slow), ("dead", dead)] {
            topic.subscribe(name, mailbox, |message: Arc<u32>| *message);
        }
        let mut outcomes = Vec::new();
        for message in 0..100 {
            outcomes.push(topic.publish(&Arc::new(message)));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(quick_log.done(), (0..100).collect::<Vec<_>>());
        assert!(
            outcomes
                .iter()
                .all(|outcome| outcome[0].outcome == Outcome::Accepted)
        );
        let last = outcomes.last().unwrap();
        assert_eq!(
            (last[1].outcome, last[2].outcome),
            (Outcome::Full, Outcome::Dead)
        );
        // 1 in hand and 3 in the mailbox, 1 in the forwarder's hand and 8 in the backlog.
        let accepted = outcomes
            .iter()
            .filter(|outcome| outcome[1].outcome == Outcome::Accepted);
        assert_eq!(accepted.count(), 13);
        assert_eq!(topic.deliver("slow", &Arc::new(100)), Outcome::Full);
        let snapshot = system.actor("topic").unwrap();
        assert_eq!((snapshot.size, snapshot.mailbox.len), (Some(3), 9));
    })
    .await;
}
