//! Whoever takes out what is over is broken off at any of its writes, and another host ends what it began.

use std::time::Duration;

use iyagi::aws::journal::Reachable;
use iyagi_actors::ports::Clock as _;
use proptest::strategy::{Strategy as _, ValueTree as _};

use super::twin::runner;
use super::world::GUARD_HOURS;
use super::{History, Host, World, steps};
use crate::faults::{Fault, FaultProxy, Rule};
use crate::servers::ministack;

/// Runs that are broken off, each of a log of its own.
const BREAKS: u32 = 4;

/// A host that leads, and a log of which much is over.
async fn filled(seed: u64, proxy: &FaultProxy) -> (World, Host) {
    let world = World::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let host = world.host_by(proxy.server(), "first", folder).await;
    let host = host.expect("it opens");
    world.led_by(&host).await;
    let mut history = History::new(world.clock.clone());
    let part = steps().new_tree(&mut runner(seed));
    let part = part.expect("a history").current();
    history.go_on(&*host.journal, &part).await;
    world.clock.put_on_hours(24);
    (world, host)
}

async fn another_host_ends_what_one_began(seed: u64, broken_at: u32) {
    let proxy = FaultProxy::before(ministack());
    let (world, first) = filled(seed, &proxy).await;
    proxy.inject(Rule::from_change(broken_at, Fault::Page(503)));
    let mut reachable = first.journal.reachable();
    tokio::select! {
        ended = world.compact(&first, 0) => {
            ended.expect_err("it was broken off");
        }
        // An append waits for as long as the log does not answer; a crash is the end of it.
        told = reachable.wait_for(|now| matches!(now, Reachable::No(_))) => {
            told.expect("it runs");
        }
    }
    let folder = first.die().await;
    proxy.heal();

    let second = world.host("second").await;
    world.nothing_is_lost(&second).await;
    world.led_by(&second).await;
    let gone_on = world.compact(&second, 0).await;
    gone_on.expect("it goes on where the first one was");
    // Enough for the keys of empty items to be given free.
    world.clock.put_on_hours(GUARD_HOURS + 1);
    world.compact(&second, 0).await.expect("it ends it");
    let now = world.clock.now();
    let expected = world.expected(now).await;
    let live = second.state(now).await;
    live.must_be(&expected, "of the one that went on");
    let back = world.host_by(ministack(), "first", folder).await;
    let newcomer = world.host("newcomer").await;
    let rows = second.rows().await.expect("readable");
    for host in [back.expect("it opens"), newcomer] {
        assert_eq!(host.rows().await.expect("readable"), rows);
        let folded = host.state(now).await;
        folded.must_be(&expected, "of the others");
        world.nothing_is_lost(&host).await;
        world.check(host.die().await.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_off_at_any_write_it_loses_nothing_and_another_host_ends_it() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let proxy = FaultProxy::before(ministack());
    let (world, undisturbed) = filled(seed, &proxy).await;
    let before = proxy.changes();
    world.compact(&undisturbed, 0).await.expect("compacted");
    let writes = proxy.changes() - before;
    assert!(writes > 20, "{writes}");
    for _ in 0..BREAKS {
        let broken_at = random.u32(1..=writes);
        println!("broken off at write {broken_at} of {writes}");
        another_host_ends_what_one_began(seed, broken_at).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_is_done_once() {
    let proxy = FaultProxy::before(ministack());
    let world = World::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let host = world.host_by(proxy.server(), "host", folder).await;
    let host = host.expect("it opens");
    world.led_by(&host).await;
    let mut history = History::new(world.clock.clone());
    let mut runner = runner(fastrand::u64(..));
    for nth in [1, 2, 3, 5, 8, 13, 21] {
        let part = steps().new_tree(&mut runner);
        let part = part.expect("a history").current();
        history.go_on(&*host.journal, &part).await;
        proxy.inject(Rule::nth_change(nth, Fault::AnswerLost));
        let compacted = tokio::time::timeout(Duration::from_mins(1), world.compact(&host, 0));
        compacted.await.expect("in time").expect("compacted");
        proxy.heal();
        let now = world.clock.now();
        let expected = world.expected(now).await;
        let newcomer = world.host("newcomer").await;
        let folded = newcomer.state(now).await;
        folded.must_be(&expected, "of a newcomer");
        world.nothing_is_lost(&newcomer).await;
    }
}
