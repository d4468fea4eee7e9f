//! A panic costs its own worker and nothing else.

mod support;

use std::time::Duration;

use iyagi_actors::runtime::{
    ActorState, Backoff, ChildSpec, Cx, Done, Failure, Fault, Intensity, Placement, Restart,
    Strategy, Worker,
};
use support::{Act, Log, SECOND, endless, local, scripted, seeded, sturdy, system, until};

#[tokio::test(start_paused = true)]
async fn a_panic_leaves_siblings_alone_and_the_message_in_hand_is_seen_again_first() {
    local(async {
        let (system, witness) = system();
        let group = system.group("family", Strategy::OneForOne, endless());
        let (log, sibling_log) = (Log::default(), Log::default());
        let panics_once = |job, attempt| match (job, attempt) {
            (2, 0) => Act::Panic,
            _ => Act::Finish,
        };
        let mailbox = group.child(sturdy("a"), scripted(panics_once, &log));
        let sibling = group.child(sturdy("b"), scripted(|_, _| Act::Finish, &sibling_log));
        for job in 1..=4 {
            mailbox.tell(job).await.unwrap();
            sibling.tell(job).await.unwrap();
        }
        until("all are done", || {
            log.done().len() + sibling_log.done().len() == 8
        })
        .await;
        assert_eq!(log.tried(), [1, 2, 2, 3, 4]);
        assert_eq!(log.done(), [1, 2, 3, 4]);
        assert_eq!((log.built(), sibling_log.built()), (2, 1));
        assert_eq!((witness.restarts_of("a"), witness.restarts_of("b")), (1, 0));
        let snapshot = system.actor("a").unwrap();
        assert_eq!(snapshot.counters.panics, 1);
        assert_eq!(snapshot.incarnation, 2);
        assert_eq!(snapshot.last_failure.unwrap().reason, "job 2 panics");
        assert_eq!(
            (snapshot.mailbox.len, snapshot.state),
            (0, ActorState::Idle)
        );
    })
    .await;
}

fn mixed(job: u32, attempt: u32) -> Act {
    match (job % 50, job % 200) {
        (_, 7) => Act::Panic,
        (3, _) if attempt < 2 => Act::Panic,
        _ => Act::Finish,
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_thousand_jobs_the_poisonous_are_set_aside_and_all_others_done_once_in_order() {
    local(async {
        let (system, witness) = system();
        let group = system.group("family", Strategy::OneForOne, endless());
        let log = Log::default();
        let mailbox = group.child(sturdy("a"), scripted(mixed, &log));
        for job in 0..1_000 {
            mailbox.tell(job).await.unwrap();
        }
        until("all are settled", || mailbox.depth() == 0).await;
        let poison = [7, 207, 407, 607, 807];
        let expected = (0..1_000)
            .filter(|job| !poison.contains(job))
            .collect::<Vec<_>>();
        assert_eq!(log.done(), expected);
        assert_eq!(*log.set_aside.lock().unwrap(), poison.map(|job| (job, 3)));
        assert_eq!(witness.restarts_of("a"), 20 * 2 + 5 * 3);
        let counters = system.actor("a").unwrap().counters;
        assert_eq!(
            (counters.received, counters.handled, counters.set_aside),
            (1_000, 995, 5)
        );
    })
    .await;
}

#[tokio::test]
async fn the_same_holds_on_a_thread_of_its_own() {
    let (system, _) = system();
    let group = system.group("family", Strategy::OneForOne, endless());
    let log = Log::default();
    let spec = ChildSpec {
        placement: Placement::Arbiter("test-arbiter".into()),
        backoff: Backoff {
            min: Duration::ZERO,
            max: Duration::ZERO,
            ..Backoff::default()
        },
        ..sturdy("a")
    };
    let mailbox = group.child(spec, scripted(mixed, &log));
    for job in 0..1_000 {
        mailbox.tell(job).await.unwrap();
    }
    let report = system.drain(60 * SECOND).await;
    assert!(report.clean(), "{report:?}");
    assert_eq!(log.set_aside(), [7, 207, 407, 607, 807]);
    assert_eq!(log.done().len(), 995);
    assert!(log.done().is_sorted());
    assert!(mailbox.tell(1).await.is_err());
}

/// Panics while it works and again while it is dropped.
struct Booby;

impl Drop for Booby {
    fn drop(&mut self) {
        panic!("a second panic");
    }
}

impl Worker for Booby {
    type Msg = u32;

    async fn handle(&mut self, job: &u32, _: &Cx<u32>) -> Result<Done, Fault> {
        tokio::task::yield_now().await;
        assert_ne!(*job, 1, "a first panic");
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, _: &u32, _: &[Failure]) -> Result<(), Fault> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_a_panicked_worker_is_dropped_cannot_abort_the_process() {
    local(async {
        let (system, _) = system();
        let group = system.group("family", Strategy::OneForOne, endless());
        let mailbox = group.child(sturdy("booby"), |_| async { Ok(Booby) });
        for job in 0..3 {
            mailbox.tell(job).await.unwrap();
        }
        until("all are settled", || mailbox.depth() == 0).await;
        let counters = system.actor("booby").unwrap().counters;
        assert_eq!(
            (counters.handled, counters.panics, counters.set_aside),
            (2, 3, 1)
        );
        assert!(system.drain(SECOND).await.clean());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_factory_that_fails_or_panics_is_tried_again_and_the_messages_wait() {
    local(async {
        let (system, witness) = system();
        let group = system.group("family", Strategy::OneForOne, endless());
        let log = Log::default();
        let good = scripted(|_, _| Act::Finish, &log);
        let mailbox = group.child(sturdy("a"), move |incarnation| {
            let good = good.clone();
            async move {
                assert_ne!(incarnation.number, 1, "no disk");
                if incarnation.number == 2 {
                    return Err(Fault::worker("snapshot unreadable"));
                }
                good(incarnation).await
            }
        });
        mailbox.tell(1).await.unwrap();
        until("it is done", || log.done() == [1]).await;
        assert_eq!(witness.restarts_of("a"), 2);
        assert_eq!(log.built.lock().unwrap()[0], "a#3");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn each_class_of_fault_has_its_own_way_back() {
    local(async {
        let (system, witness) = system();
        let group = system.group("family", Strategy::OneForOne, endless());
        let log = Log::default();
        let script = |job, attempt| match (job, attempt) {
            (1, _) => Act::Fail(Fault::job("device gone")),
            (2, 0..3) => Act::Fail(Fault::retry(SECOND, "throttled")),
            (3, 0..5) => Act::Fail(Fault::dependency("gateway down")),
            (4, _) => Act::Fail(Fault::poison("not a picture")),
            (5, 0) => Act::Fail(Fault::worker("cache is inconsistent")),
            (6, 0) => Act::HoldFor(SECOND),
            _ => Act::Finish,
        };
        let mailbox = group.child(sturdy("a"), scripted(script, &log));
        for job in 1..=7 {
            mailbox.tell(job).await.unwrap();
        }
        until("all are settled", || mailbox.depth() == 0).await;
        assert_eq!(log.done(), [2, 3, 5, 6, 7]);
        assert_eq!(log.set_aside(), [4]);
        assert_eq!(
            witness.restarts_of("a"),
            1,
            "only the worker's own fault restarts it"
        );
        let counters = system.actor("a").unwrap().counters;
        assert_eq!(
            (counters.failed, counters.set_aside, counters.panics),
            (1, 1, 0)
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_delays() {
    async fn delays(seed: u64) -> Vec<Duration> {
        local(async {
            let (system, witness) = seeded(seed, endless());
            let group = system.group("family", Strategy::OneForOne, endless());
            let log = Log::default();
            let spec = ChildSpec {
                intensity: endless(),
                max_deaths: 8,
                ..ChildSpec::new("a")
            };
            let mailbox = group.child(spec, scripted(|_, _| Act::Panic, &log));
            mailbox.tell(1).await.unwrap();
            until("it is set aside", || mailbox.depth() == 0).await;
            witness.delays_of("a")
        })
        .await
    }
    let once = delays(1).await;
    assert_eq!(once, delays(1).await);
    assert_ne!(once, delays(2).await);
    for (streak, delay) in once.iter().enumerate() {
        let full = Duration::from_millis(100) * 2_u32.pow(streak as u32);
        assert!(*delay <= full && *delay >= full / 2, "{streak}: {delay:?}");
    }
}

/// Counts up by telling itself; panics at 3 once.
struct Loop {
    log: Log,
}

impl Worker for Loop {
    type Msg = u32;

    async fn handle(&mut self, count: &u32, cx: &Cx<u32>) -> Result<Done, Fault> {
        self.log.note_tried(*count);
        cx.tell_self_after(SECOND, count + 1);
        assert!(*count != 3 || cx.attempt() > 0, "at three");
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, _: &u32, _: &[Failure]) -> Result<(), Fault> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_loop_goes_on_over_restarts_and_never_doubles() {
    local(async {
        let (system, _) = system();
        let group = system.group("family", Strategy::OneForOne, endless());
        let log = Log::default();
        let own = log.clone();
        let spec = ChildSpec {
            mailbox_capacity: 1,
            source: true,
            ..sturdy("poller")
        };
        let mailbox = group.child(spec, move |_| {
            let log = own.clone();
            async { Ok(Loop { log }) }
        });
        mailbox.tell(0).await.unwrap();
        until("it runs", || log.tried().contains(&5)).await;
        system.restart("poller").unwrap();
        until("it runs on", || log.tried().contains(&9)).await;
        assert_eq!(log.tried(), [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9]);
        assert!(system.drain(SECOND).await.clean());
        tokio::time::sleep(10 * SECOND).await;
        assert_eq!(log.tried().len(), 11, "a source's ticks end with the drain");
    })
    .await;
}

/// Stops itself after every message.
struct Mayfly;

impl Worker for Mayfly {
    type Msg = u32;

    async fn handle(&mut self, _: &u32, cx: &Cx<u32>) -> Result<Done, Fault> {
        cx.stop();
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, _: &u32, _: &[Failure]) -> Result<(), Fault> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_permanent_actor_comes_back_after_it_stopped_itself() {
    local(async {
        let (system, _) = system();
        let group = system.group("family", Strategy::OneForOne, endless());
        for (name, restart) in [
            ("permanent", Restart::Permanent),
            ("transient", Restart::Transient),
        ] {
            let mailbox = group.child(
                ChildSpec {
                    restart,
                    ..sturdy(name)
                },
                |_| async { Ok(Mayfly) },
            );
            mailbox.tell(1).await.unwrap();
            tokio::time::sleep(SECOND).await;
            let permanent = restart == Restart::Permanent;
            assert_eq!(mailbox.tell(2).await.is_ok(), permanent, "{name}");
            assert_eq!(
                system.actor(name).unwrap().state == ActorState::Stopped,
                !permanent
            );
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_gets_its_turn_while_another_has_a_long_queue() {
    local(async {
        let (system, _) = system();
        let group = system.group("family", Strategy::OneForOne, endless());
        let (hog_log, log) = (Log::default(), Log::default());
        let spec = ChildSpec {
            mailbox_capacity: 10_000,
            ..sturdy("hog")
        };
        let hog = group.child(spec, scripted(|_, _| Act::Finish, &hog_log));
        let neighbour = group.child(sturdy("neighbour"), scripted(|_, _| Act::Finish, &log));
        for job in 0..10_000 {
            hog.try_tell(job).unwrap();
        }
        neighbour.tell(1).await.unwrap();
        while log.done().is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(hog_log.done().len() < 1_000, "{}", hog_log.done().len());
        let _ = (system, Intensity::default());
    })
    .await;
}
