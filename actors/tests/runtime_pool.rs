//! A pool loses nothing and doubles nothing, and keeps the order of each lane.

mod support;

use std::collections::HashMap;
use std::time::Duration;

use iyagi_actors::runtime::{
    ActorKind, ActorState, ChildSpec, Fault, LaneKey, Placement, PoolSpec, RuntimeEvent, Strategy,
};
use support::{Act, Log, SECOND, endless, local, scripted, sturdy, system, until};

#[tokio::test(start_paused = true)]
async fn resizing_under_load_loses_and_doubles_no_job() {
    local(async {
        let (system, witness) = system();
        let group = system.group("push", Strategy::OneForOne, endless());
        let log = Log::default();
        let work = |job, _| Act::FinishAfter(Duration::from_millis(u64::from(job % 7)));
        let spec = PoolSpec {
            capacity: 64,
            ..PoolSpec::new(sturdy("push"), 2)
        };
        let pool = group.pool(spec, scripted(work, &log));
        for job in 0..3_000 {
            match job {
                1_000 => assert_eq!(system.scale("push", 8), Ok(2)),
                2_000 => assert_eq!(system.scale("push", 3), Ok(8)),
                _ => {}
            }
            pool.submit(job).await.unwrap();
        }
        until("all are done", || pool.is_empty()).await;
        let mut done = log.done();
        done.sort_unstable();
        assert_eq!(done, (0..3_000).collect::<Vec<_>>());
        assert!(log.handed_back().is_empty());
        let workers = system
            .actors()
            .into_iter()
            .filter(|actor| actor.kind == ActorKind::Worker);
        assert_eq!((workers.count(), pool.size(), log.built()), (3, 3, 8));
        let snapshot = system.actor("push").unwrap();
        assert_eq!((snapshot.size, snapshot.counters.handled), (Some(3), 3_000));
        assert!(snapshot.mailbox.peak <= 64);
        assert_eq!(
            witness.count(|event| matches!(event, RuntimeEvent::Resized { .. })),
            2
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_pool_scaled_to_nothing_keeps_its_jobs_until_it_has_workers_again() {
    local(async {
        let (system, _) = system();
        let group = system.group("push", Strategy::OneForOne, endless());
        let log = Log::default();
        let pool = group.pool(
            PoolSpec::new(sturdy("push"), 2),
            scripted(|_, _| Act::Finish, &log),
        );
        until("workers are free", || log.built() == 2).await;
        pool.resize(0);
        for job in 0..10 {
            pool.submit(job).await.unwrap();
        }
        tokio::time::sleep(SECOND).await;
        assert!(log.done().is_empty());
        pool.resize(1);
        until("all are done", || pool.is_empty()).await;
        assert_eq!(log.done(), (0..10).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_drained_before_its_surplus_workers_are_free_still_tells_its_size() {
    local(async {
        let (system, _) = system();
        let group = system.group("push", Strategy::OneForOne, endless());
        let log = Log::default();
        let endless_job = |_, _| Act::FinishAfter(3_600 * SECOND);
        let pool = group.pool(
            PoolSpec::new(sturdy("push"), 2),
            scripted(endless_job, &log),
        );
        for job in 0..2 {
            pool.submit(job).await.unwrap();
        }
        until("both work", || log.tried().len() == 2).await;
        pool.resize(0);
        system.drain(SECOND).await;
        assert_eq!(log.handed_back().len(), 2);
        assert_eq!(system.actor("push").unwrap().size, Some(0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn lanes_keep_their_order_under_panics_holds_and_resizes() {
    local(async {
        let (system, _) = system();
        let group = system.group("push", Strategy::OneForOne, endless());
        let log = Log::default();
        let script = |job: u32, attempt| match (job % 11, attempt) {
            (3, 0) => Act::Panic,
            (5, 0..2) => Act::HoldFor(SECOND),
            (7, 0) => Act::Fail(Fault::retry(SECOND, "throttled")),
            (8, _) => Act::FinishAfter(Duration::from_millis(u64::from(job % 13))),
            _ => Act::Finish,
        };
        let spec = PoolSpec {
            capacity: 128,
            lane: |job| Some(LaneKey::of(&(job % 20))),
            ..PoolSpec::new(sturdy("push"), 4)
        };
        let pool = group.pool(spec, scripted(script, &log));
        for job in 0..2_000 {
            if job % 500 == 250 {
                pool.resize(if pool.size() == 4 { 9 } else { 4 });
            }
            pool.submit(job).await.unwrap();
        }
        until("all are done", || pool.is_empty()).await;
        let done = log.done();
        assert_eq!(done.len(), 2_000);
        let mut lanes = HashMap::<u32, Vec<u32>>::new();
        for job in &done {
            lanes.entry(job % 20).or_default().push(*job);
        }
        assert!(lanes.values().all(|lane| lane.is_sorted()), "{lanes:?}");
        assert!(!done.is_sorted(), "lanes do not wait for each other");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_held_job_occupies_no_worker() {
    local(async {
        let (system, _) = system();
        let group = system.group("push", Strategy::OneForOne, endless());
        let log = Log::default();
        let script = |job, attempt| match (job, attempt) {
            (0..5, 0) => Act::HoldFor(60 * SECOND),
            _ => Act::Finish,
        };
        let pool = group.pool(PoolSpec::new(sturdy("push"), 1), scripted(script, &log));
        for job in 0..10 {
            pool.submit(job).await.unwrap();
        }
        tokio::time::sleep(SECOND).await;
        assert_eq!(log.done(), [5, 6, 7, 8, 9]);
        assert_eq!(pool.len(), 5);
        tokio::time::sleep(60 * SECOND).await;
        assert_eq!(log.done(), [5, 6, 7, 8, 9, 0, 1, 2, 3, 4]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_pauses_the_pool_and_costs_no_job_an_attempt() {
    local(async {
        let (system, witness) = system();
        let group = system.group("push", Strategy::OneForOne, endless());
        let log = Log::default();
        let script = |job, attempt| match (job, attempt) {
            (0, 0..5) => Act::Fail(Fault::dependency("gateway down")),
            _ => Act::FinishAfter(Duration::from_millis(1)),
        };
        let pool = group.pool(PoolSpec::new(sturdy("push"), 3), scripted(script, &log));
        for job in 0..50 {
            pool.submit(job).await.unwrap();
        }
        until("all are done", || pool.is_empty()).await;
        let mut done = log.done();
        done.sort_unstable();
        assert_eq!(done, (0..50).collect::<Vec<_>>());
        let counters = system.actor("push").unwrap().counters;
        assert_eq!(
            (counters.failed, counters.set_aside, counters.restarts),
            (0, 0, 0)
        );
        let opened = |event: &RuntimeEvent| matches!(event, RuntimeEvent::BreakerOpened { .. });
        let closed = |event: &RuntimeEvent| matches!(event, RuntimeEvent::BreakerClosed { .. });
        assert_eq!((witness.count(opened), witness.count(closed)), (5, 1));
        // While it was open, nothing but single probes was tried.
        assert_eq!(log.tried()[..6], [0; 6]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_poisonous_job_is_set_aside_and_its_lane_goes_on() {
    local(async {
        let (system, _) = system();
        let group = system.group("push", Strategy::OneForOne, endless());
        let log = Log::default();
        let script = |job, _| if job == 20 { Act::Panic } else { Act::Finish };
        let spec = PoolSpec {
            lane: |job| Some(LaneKey::of(&(job % 20))),
            ..PoolSpec::new(sturdy("push"), 2)
        };
        let pool = group.pool(spec, scripted(script, &log));
        for job in [0, 20, 40, 1, 2] {
            pool.submit(job).await.unwrap();
        }
        until("all are settled", || pool.is_empty()).await;
        assert_eq!(*log.set_aside.lock().unwrap(), [(20, 3)]);
        assert_eq!(log.done().len(), 4);
        let snapshot = system.actor("push").unwrap();
        assert_eq!(
            (snapshot.counters.panics, snapshot.counters.set_aside),
            (3, 1)
        );
        assert_eq!(snapshot.state, ActorState::Idle);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_holds_for_workers_on_another_thread_than_those_who_resize_them() {
    let (system, _) = system();
    let group = system.group("push", Strategy::OneForOne, endless());
    let log = Log::default();
    let script = |job: u32, attempt| match (job % 97, attempt) {
        (3, 0) => Act::Panic,
        (5, 0) => Act::HoldFor(Duration::from_millis(2)),
        (7, _) => Act::FinishAfter(Duration::from_micros(50)),
        _ => Act::Finish,
    };
    let child = ChildSpec {
        placement: Placement::Arbiter("test-push".into()),
        ..sturdy("push")
    };
    let spec = PoolSpec {
        lane: |job| Some(LaneKey::of(&(job % 20))),
        ..PoolSpec::new(child, 2)
    };
    let pool = group.pool(spec, scripted(script, &log));
    let senders = (0..4).map(|sender| {
        let pool = pool.for_sender(&format!("sender-{sender}"));
        system.spawn_named("sender", async move {
            for job in (sender..4_000).step_by(4) {
                pool.submit(job).await.unwrap();
            }
        })
    });
    let senders = senders.collect::<Vec<_>>();
    for size in [8, 3, 1, 5] {
        tokio::time::sleep(Duration::from_millis(5)).await;
        pool.resize(size);
    }
    for sender in senders {
        sender.await.unwrap();
    }
    let report = system.drain(60 * SECOND).await;
    assert!(report.clean(), "{report:?}");
    let mut lanes = HashMap::<u32, Vec<u32>>::new();
    for job in log.done() {
        lanes.entry(job % 20).or_default().push(job);
    }
    assert!(lanes.values().all(|lane| lane.is_sorted()), "{lanes:?}");
    assert_eq!(lanes.values().map(Vec::len).sum::<usize>(), 4_000);
}
