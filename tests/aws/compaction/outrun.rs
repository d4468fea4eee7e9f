//! Hosts that see less of the log than others: one that lost the lead, one that was stopped, one that was away.

use iyagi::embedded::journal::CompactionFault;
use iyagi_actors::journal::{Append, Journal as _, JournalFault};
use iyagi_actors::ports::Clock as _;

use super::World;
use super::world::GUARD_HOURS;
use crate::faults::{Call, Fault, FaultProxy, Rule, Service};
use crate::servers::ministack;

const QUERY: Call = Call {
    service: Service::Dynamodb,
    operation: "Query",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_does_not_lead_takes_nothing_out() {
    let world = World::new().await;
    let hosts = [world.host("a").await, world.host("b").await];
    world.led_by(&hosts[0]).await;
    hosts[0].append(1).await;
    hosts[0].append(2).await;
    hosts[1].follows(&hosts[0]).await;
    let refused = world.compact(&hosts[1], 0).await;
    assert!(
        matches!(refused, Err(CompactionFault::Follows)),
        "{refused:?}"
    );
    let preview = hosts[1].compaction.preview(world.clock.now()).await;
    assert_eq!(
        preview.expect("judged").taken_out,
        1,
        "it can tell all the same"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_host_says_that_lost_the_lead_meanwhile_is_refused() {
    let world = World::new().await;
    let proxy = FaultProxy::before(ministack());
    let folder = tempfile::tempdir().expect("a folder");
    let old = world.host_by(proxy.server(), "old", folder).await;
    let old = old.expect("it opens");
    let new = world.host("new").await;
    world.led_by(&old).await;
    for id in 0..10 {
        old.append(id).await;
    }
    new.follows(&old).await;
    // It hears of nothing while another one takes over.
    proxy.inject(Rule::always(QUERY, Fault::Page(503)));
    world.led_by(&new).await;
    let compacted = world.compact(&old, 0);
    let (of_old, of_new) = tokio::join!(compacted, async {
        let of_new = world.compact(&new, 0).await;
        proxy.heal();
        of_new
    });
    assert!(
        matches!(
            of_old,
            Err(CompactionFault::Overtaken(_) | CompactionFault::Follows)
        ),
        "{of_old:?}"
    );
    let taken_out = of_new.expect("it leads").taken_out;
    assert!(taken_out > 0);
    old.follows(&new).await;
    let rows = old.rows().await.expect("readable");
    assert_eq!(rows, new.rows().await.expect("readable"));
    let newcomer = world.host("newcomer").await;
    assert_eq!(rows, newcomer.rows().await.expect("readable"));
    world.check(newcomer.die().await.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_stopped_for_too_long_says_so_writes_nothing_and_starts_anew() {
    let world = World::new().await;
    let proxy = FaultProxy::before(ministack());
    let folder = tempfile::tempdir().expect("a folder");
    let stopped = world.host_by(proxy.server(), "stopped", folder).await;
    let stopped = stopped.expect("it opens");
    let leader = world.host("leader").await;
    world.led_by(&leader).await;
    stopped.follows(&leader).await;
    proxy.inject(Rule::every(Fault::Page(503)));
    for id in 0..10 {
        leader.append(id).await;
    }
    // Twice, so that the keys that it would take for free ones are given free.
    world.compact(&leader, 0).await.expect("compacted");
    world.clock.put_on_hours(GUARD_HOURS + 1);
    leader.append(10).await;
    leader.append(11).await;
    world.compact(&leader, 0).await.expect("compacted");
    let before = world.items().await;
    assert!(before.len() < 12, "keys are given free: {before:?}");
    proxy.heal();
    let reason = stopped.journal.outrun().await;
    assert!(reason.contains("was taken out"), "{reason}");
    let refused = stopped
        .journal
        .append(Append {
            actor: "test#1".into(),
            events: vec![],
            expected: vec![],
        })
        .await;
    assert!(
        matches!(refused, Err(JournalFault::Stopped(_))),
        "{refused:?}"
    );
    assert_eq!(world.items().await, before, "nothing is written");
    let folder = stopped.die().await;
    let back = world.host_by(ministack(), "stopped", folder).await;
    let back = back.expect("it opens");
    let rows = leader.rows().await.expect("readable");
    assert_eq!(back.rows().await.expect("readable"), rows);
    back.append(12).await;
    leader.follows(&back).await;
    world.check(back.die().await.path()).await;
}
