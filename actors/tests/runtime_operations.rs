//! What operators do: drain, pause, resume, restart, scale.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use iyagi_actors::runtime::{
    ActorState, ChildSpec, ControlError, Cx, Done, Failure, Fault, Placement, PoolHandle, PoolSpec,
    RuntimeEvent, Strategy, Worker,
};
use support::{Act, Log, SECOND, endless, local, scripted, sturdy, system, until};
use tokio::time::Instant;

/// A source that hands a job to the pool every millisecond.
struct Ticker {
    pool: PoolHandle<u32>,
    sent: Log,
}

impl Worker for Ticker {
    type Msg = u32;

    async fn handle(&mut self, job: &u32, cx: &Cx<u32>) -> Result<Done, Fault> {
        self.pool
            .submit(*job)
            .await
            .map_err(|closed| Fault::fatal(closed.to_string()))?;
        self.sent.note_tried(*job);
        cx.tell_self_after(Duration::from_millis(1), job + 1);
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, _: &u32, _: &[Failure]) -> Result<(), Fault> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_finishes_everything_accepted_upstream_to_downstream() {
    local(async {
        let (system, _) = system();
        let group = system.group("push", Strategy::RestForOne, endless());
        let (sent, log) = (Log::default(), Log::default());
        let script = |job, attempt| match (job % 50, attempt) {
            (9, 0) => Act::Panic,
            _ => Act::FinishAfter(Duration::from_millis(20)),
        };
        let spec = PoolSpec {
            capacity: 32,
            ..PoolSpec::new(sturdy("push"), 4)
        };
        let pool = group.pool(spec, scripted(script, &log));
        let source = (pool.clone(), sent.clone());
        // Declared last and drained first all the same: it is the source.
        let ticker = group.child(
            ChildSpec {
                source: true,
                ..sturdy("ticker")
            },
            move |_| {
                let (pool, sent) = source.clone();
                async { Ok(Ticker { pool, sent }) }
            },
        );
        ticker.tell(0).await.unwrap();
        tokio::time::sleep(2 * SECOND).await;
        assert!(pool.len() > 20);
        let report = system.drain(10 * SECOND).await;
        assert!(report.clean(), "{report:?}");
        let (mut done, sent) = (log.done(), sent.tried());
        done.sort_unstable();
        assert_eq!(done, sent);
        assert!(report.took < SECOND, "{:?}", report.took);
        let names = report
            .actors
            .iter()
            .map(|actor| actor.name.as_str())
            .collect::<Vec<_>>();
        assert_eq!(names, ["push", "ticker"]);
        assert!(report.actors[0].finished >= 20);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn past_the_deadline_every_undone_message_is_handed_back_in_order() {
    local(async {
        let (system, _) = system();
        let group = system.group("push", Strategy::OneForOne, endless());
        let (log, pool_log) = (Log::default(), Log::default());
        let slow = |_, _| Act::FinishAfter(3 * SECOND);
        let mailbox = group.child(sturdy("a"), scripted(slow, &log));
        let pool = group.pool(PoolSpec::new(sturdy("pool"), 2), scripted(slow, &pool_log));
        for job in 0..20 {
            mailbox.tell(job).await.unwrap();
            pool.submit(job).await.unwrap();
        }
        let began = Instant::now();
        let report = system.drain(10 * SECOND).await;
        assert!(began.elapsed() <= 11 * SECOND, "{:?}", began.elapsed());
        assert!(!report.clean());
        assert_eq!(log.done(), [0, 1, 2]);
        assert_eq!(log.handed_back(), (3..20).collect::<Vec<_>>());
        let mut all = [pool_log.done(), pool_log.handed_back()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<_>>());
        for actor in &report.actors {
            assert_eq!(actor.finished + actor.handed_back, 20, "{actor:?}");
            assert!(actor.stopped_in_time);
        }
        assert!(mailbox.tell(20).await.is_err() && pool.submit(20).await.is_err());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_jobs_that_are_held_beyond_it() {
    local(async {
        let (system, _) = system();
        let group = system.group("push", Strategy::OneForOne, endless());
        let log = Log::default();
        let pool = group.pool(
            PoolSpec::new(sturdy("pool"), 2),
            scripted(|_, _| Act::HoldFor(3_600 * SECOND), &log),
        );
        for job in 0..3 {
            pool.submit(job).await.unwrap();
        }
        tokio::time::sleep(SECOND).await;
        let report = system.drain(10 * SECOND).await;
        assert!(report.took < SECOND, "{:?}", report.took);
        assert_eq!(log.handed_back(), [0, 1, 2]);
        assert_eq!(report.actors[0].handed_back, 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_in_time_with_an_actor_that_keeps_failing() {
    local(async {
        let (system, _) = system();
        let group = system.group("push", Strategy::OneForOne, endless());
        let log = Log::default();
        let spec = ChildSpec {
            max_deaths: u32::MAX,
            ..sturdy("a")
        };
        let mailbox = group.child(spec, scripted(|_, _| Act::Panic, &log));
        for job in 0..3 {
            mailbox.tell(job).await.unwrap();
        }
        let report = system.drain(5 * SECOND).await;
        assert!(report.took <= 6 * SECOND, "{:?}", report.took);
        assert_eq!(log.handed_back(), [0, 1, 2]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_empties_a_topic_between_its_publisher_and_its_subscribers() {
    local(async {
        let (system, _) = system();
        let group = system.group("media", Strategy::OneForOne, endless());
        let log = Log::default();
        let topic = group.broadcast::<u32>("topic", 64);
        let spec = ChildSpec {
            mailbox_capacity: 2,
            ..sturdy("a")
        };
        let slow = |_, _| Act::FinishAfter(Duration::from_millis(100));
        topic.subscribe(
            "a",
            group.child(spec, scripted(slow, &log)),
            |message: Arc<u32>| *message,
        );
        for message in 0..50 {
            topic.publish(&Arc::new(message));
        }
        let report = system.drain(10 * SECOND).await;
        assert!(report.clean(), "{report:?}");
        assert_eq!(log.done(), (0..50).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_actor_or_pool_keeps_what_it_gets_until_it_is_resumed() {
    local(async {
        let (system, witness) = system();
        let group = system.group("push", Strategy::OneForOne, endless());
        let (log, pool_log) = (Log::default(), Log::default());
        let mailbox = group.child(sturdy("a"), scripted(|_, _| Act::Finish, &log));
        let pool = group.pool(
            PoolSpec::new(sturdy("pool"), 2),
            scripted(|_, _| Act::Finish, &pool_log),
        );
        tokio::time::sleep(SECOND).await;
        for name in ["a", "pool"] {
            system.pause(name).unwrap();
            assert_eq!(system.actor(name).unwrap().state, ActorState::Paused);
        }
        for job in 0..5 {
            mailbox.tell(job).await.unwrap();
            pool.submit(job).await.unwrap();
        }
        tokio::time::sleep(SECOND).await;
        assert!(log.done().is_empty() && pool_log.done().is_empty());
        assert_eq!(system.actor("a").unwrap().state, ActorState::Paused);
        for name in ["a", "pool"] {
            system.resume(name).unwrap();
        }
        until("all are done", || mailbox.depth() + pool.len() == 0).await;
        assert_eq!((log.done().len(), pool_log.done().len()), (5, 5));
        assert_eq!(
            witness.count(|event| matches!(event, RuntimeEvent::Paused { .. })),
            2
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_topic_or_worker_keeps_what_it_gets_and_others_go_on() {
    local(async {
        let (system, _) = system();
        let group = system.group("media", Strategy::OneForOne, endless());
        let log = Log::default();
        let topic = group.broadcast::<u32>("topic", 8);
        let spec = PoolSpec::new(sturdy("pool"), 2);
        let pool = group.pool(spec, scripted(|_, _| Act::Finish, &log));
        topic.subscribe("pool", pool, |message: Arc<u32>| *message);
        tokio::time::sleep(SECOND).await;
        system.pause("topic").unwrap();
        topic.publish(&Arc::new(1));
        tokio::time::sleep(SECOND).await;
        assert!(log.done().is_empty());
        system.pause("pool-1").unwrap();
        system.resume("topic").unwrap();
        for message in 2..=4 {
            topic.publish(&Arc::new(message));
        }
        until("the other worker does it all", || {
            log.done() == [1, 2, 3, 4]
        })
        .await;
        assert_eq!(system.actor("pool-1").unwrap().counters.handled, 0);
        system.pause("pool-2").unwrap();
        topic.publish(&Arc::new(5));
        tokio::time::sleep(SECOND).await;
        assert_eq!(log.done().len(), 4);
        system.resume("pool-1").unwrap();
        until("the resumed worker does it", || log.done().len() == 5).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_an_operator_to_resume() {
    local(async {
        let (system, _) = system();
        let group = system.group("push", Strategy::OneForOne, endless());
        let log = Log::default();
        let mailbox = group.child(sturdy("a"), scripted(|_, _| Act::Finish, &log));
        system.pause("a").unwrap();
        mailbox.tell(1).await.unwrap();
        tokio::time::sleep(SECOND).await;
        assert!(system.drain(SECOND).await.clean());
        assert_eq!(log.done(), [1]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn restart_rebuilds_at_once_when_idle_and_cuts_off_what_is_stuck() {
    local(async {
        let (system, _) = system();
        let group = system.group("push", Strategy::OneForOne, endless());
        let log = Log::default();
        let script = |job, attempt| match (job, attempt) {
            (1, 0) => Act::FinishAfter(1_000_000 * SECOND),
            _ => Act::Finish,
        };
        let mailbox = group.child(sturdy("a"), scripted(script, &log));
        tokio::time::sleep(SECOND).await;
        system.restart("a").unwrap();
        until("it is rebuilt", || log.built() == 2).await;
        for job in [1, 2] {
            mailbox.tell(job).await.unwrap();
        }
        tokio::time::sleep(31 * SECOND).await;
        let snapshot = system.actor("a").unwrap();
        assert_eq!(snapshot.state, ActorState::Stuck);
        assert_eq!(snapshot.handling.unwrap().message, "u32");
        assert_eq!(snapshot.oldest_message_ms, Some(31_000));
        system.restart("a").unwrap();
        until("all are done", || mailbox.depth() == 0).await;
        assert_eq!(log.tried(), [1, 1, 2]);
        assert_eq!(system.actor("a").unwrap().counters.restarts, 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_name_is_answered_with_those_that_come_close() {
    local(async {
        let (system, _) = system();
        let group = system.group("push", Strategy::OneForOne, endless());
        let log = Log::default();
        group.child(sturdy("stream-poller"), scripted(|_, _| Act::Finish, &log));
        group.pool(PoolSpec::new(sturdy("push-sender"), 1), scripted(|_, _| Act::Finish, &log));
        let error = system.pause("steam-poller").unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no actor steam-poller; did you mean stream-poller?"
        );
        let unknown = system.scale("xyz", 3).unwrap_err();
        assert!(matches!(unknown, ControlError::UnknownActor { ref candidates, .. } if candidates.is_empty()));
        let error = system.scale("stream-poller", 3).unwrap_err();
        assert_eq!(error.to_string(), "actor stream-poller is not a pool, so it has no size to change");
        assert_eq!(system.scale("push-sender", 3), Ok(1));
        let names = system.actors().into_iter().map(|actor| actor.name).collect::<Vec<_>>();
        let expected =
            ["stream-poller", "push-sender", "push-sender-1", "push-sender-2", "push-sender-3"];
        assert_eq!(names, expected);
    })
    .await;
}

/// Blocks its thread until it is told to go on.
struct Blocking {
    go_on: Arc<Mutex<std::sync::mpsc::Receiver<()>>>,
}

impl Worker for Blocking {
    type Msg = ();

    async fn handle(&mut self, (): &(), _: &Cx<()>) -> Result<Done, Fault> {
        let go_on = self.go_on.lock().expect("nobody panics");
        go_on.recv().expect("it is told");
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, (): &(), _: &[Failure]) -> Result<(), Fault> {
        Ok(())
    }
}

#[tokio::test]
async fn a_thread_that_an_actor_blocks_has_no_pulse_until_it_goes_on() {
    local(async {
        let (system, _) = system();
        let group = system.group("media", Strategy::OneForOne, endless());
        let (tell, told) = std::sync::mpsc::channel();
        let go_on = Arc::new(Mutex::new(told));
        let spec = ChildSpec {
            placement: Placement::Arbiter("blocked".to_owned()),
            ..ChildSpec::new("blocking")
        };
        let blocking = group.child(spec, move |_| {
            let go_on = Arc::clone(&go_on);
            async { Ok(Blocking { go_on }) }
        });
        system.pulse().await;
        blocking.tell(()).await.unwrap();
        let running = || system.actor("blocking").unwrap().state == ActorState::Running;
        until("it runs", running).await;
        let mut pulse = std::pin::pin!(system.pulse());
        let felt = tokio::time::timeout(Duration::from_millis(200), pulse.as_mut()).await;
        assert!(felt.is_err(), "its thread is blocked");
        tell.send(()).unwrap();
        pulse.await;
        assert!(system.drain(10 * SECOND).await.clean());
        system.pulse().await;
    })
    .await;
}
