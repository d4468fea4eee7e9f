//! Hosts that see less of the log than others: one that lost the lead, one that was stopped, one that was away.

use iyagi::embedded::journal::CompactionFault;
use iyagi_actors::journal::{Append, Journal as _, JournalFault};
use iyagi_actors::ports::Clock as _;

use super::World;
use super::world::GUARD_HOURS;
use crate::faults::{Call, Fault, FaultProxy, Rule, Service};
use crate::servers::ministack;

/// How often the SDK tries one call.
const ATTEMPTS: u32 = 3;
const QUERY: Call = Call {
    service: Service::Dynamodb,
    operation: "Query",
};
const PUT_ITEM: Call = Call {
    service: Service::Dynamodb,
    operation: "PutItem",
};
const UPDATE_ITEM: Call = Call {
    service: Service::Dynamodb,
    operation: "UpdateItem",
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
    let reason = stopped.outrun().await;
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

/// A host drafts an append, and `fault` keeps it from the log for so many hours, in which others write and sweep.
async fn an_append_that_comes_late_is_refused(fault: Fault, hours: u64) {
    let world = World::new().await;
    let proxy = FaultProxy::before(ministack());
    let folder = tempfile::tempdir().expect("a folder");
    let late = world.host_by(proxy.server(), "late", folder).await;
    let late = late.expect("it opens");
    let leader = world.host("leader").await;
    world.led_by(&leader).await;
    let place = leader.append(0).await.0 + 1;
    late.follows(&leader).await;
    proxy.inject(Rule::always(PUT_ITEM, fault));
    let meanwhile = async {
        World::faults(&proxy, 1).await;
        // It hears of nothing meanwhile.
        proxy.inject(Rule::always(QUERY, Fault::Page(503)));
        for id in 1..10 {
            leader.append(id).await;
        }
        world.compact(&leader, 0).await.expect("compacted");
        assert_eq!(world.items().await.get(&place), Some(&false), "it is empty");
        world.clock.put_on_hours(hours);
        leader.append(10).await;
        leader.append(11).await;
        world.compact(&leader, 0).await.expect("compacted");
        let there = world.items().await;
        if fault != Fault::Held {
            // One call is tried so often; the next one begins when it is that late.
            World::faults(&proxy, ATTEMPTS + 1).await;
        }
        proxy.deliver_held();
        there
    };
    let (there, refused) = tokio::join!(meanwhile, late.try_append(100));
    assert_eq!(there.contains_key(&place), hours < GUARD_HOURS, "{there:?}");
    assert!(
        matches!(refused, Err(JournalFault::Stopped(_))),
        "{refused:?}"
    );
    assert_eq!(world.items().await, there, "nothing is written");
    late.outrun().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_on_its_way_while_its_place_was_emptied_finds_it_taken() {
    an_append_that_comes_late_is_refused(Fault::Held, GUARD_HOURS - 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_waited_until_its_place_was_given_free_looks_before_it_is_written() {
    an_append_that_comes_late_is_refused(Fault::Page(503), GUARD_HOURS + 1).await;
}

/// A host is about to write an item anew, and another one sweeps the log meanwhile, and once more after so many hours.
async fn what_is_written_anew_too_late_is_refused(hours: u64) {
    let world = World::new().await;
    let proxy = FaultProxy::before(ministack());
    let folder = tempfile::tempdir().expect("a folder");
    let first = world.host_by(proxy.server(), "first", folder).await;
    let first = first.expect("it opens");
    let second = world.host("second").await;
    world.led_by(&first).await;
    first.append_some_that_last(6, 10).await;
    for id in 0..10 {
        first.append(id).await;
    }
    // Behind what says that an export is there, and what is taken out.
    proxy.inject(Rule::nth(PUT_ITEM, 3, Fault::Held));
    tokio::select! {
        ended = world.compact(&first, 0) => panic!("it is held: {ended:?}"),
        () = World::faults(&proxy, 1) => {}
    }
    assert!(world.items().await.values().all(|has_events| *has_events));
    first.die().await;

    world.led_by(&second).await;
    second.append(10).await;
    second.append(11).await;
    world.compact(&second, 0).await.expect("compacted");
    let swept = world.items().await;
    world.clock.put_on_hours(hours);
    second.append(12).await;
    second.append(13).await;
    world.compact(&second, 0).await.expect("compacted");
    let there = world.items().await;
    let given_free = swept.keys().filter(|first| !there.contains_key(first));
    assert_eq!(given_free.count() >= 9, hours > GUARD_HOURS, "{there:?}");
    let before = world.scan().await;
    proxy.deliver_held();
    assert_eq!(world.scan().await, before);
    let newcomer = world.host("newcomer").await;
    let rows = second.rows().await.expect("readable");
    assert_eq!(newcomer.rows().await.expect("readable"), rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_anew_too_late_does_not_undo_what_another_host_has_swept() {
    what_is_written_anew_too_late_is_refused(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_anew_too_late_gives_up_no_positions_that_were_taken_over() {
    what_is_written_anew_too_late_is_refused(GUARD_HOURS + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_before_an_item_took_over_other_positions_is_not_written_in_its_place() {
    let world = World::new().await;
    let proxies = [(); 2].map(|()| FaultProxy::before(ministack()));
    let mut hosts = Vec::new();
    for (proxy, name) in proxies.iter().zip(["first", "second"]) {
        let folder = tempfile::tempdir().expect("a folder");
        let host = world.host_by(proxy.server(), name, folder).await;
        hosts.push(host.expect("it opens"));
    }
    let second = hosts.pop().expect("there are two");
    let first = hosts.pop().expect("there are two");
    // That it leads is said in an item that stays until another one does.
    world.led_by(&first).await;
    for id in 0..10 {
        first.append(id).await;
    }
    world.compact(&first, 0).await.expect("compacted");
    world.clock.put_on_hours(GUARD_HOURS + 1);
    first.append(10).await;
    first.append(11).await;
    proxies[0].inject(Rule::always(UPDATE_ITEM, Fault::Held));
    let takes_over = world.compact(&first, 0);
    let meanwhile = async {
        World::faults(&proxies[0], 1).await;
        world.led_by(&second).await;
        second.append(12).await;
        // Behind what says that an export is there, and what is taken out.
        proxies[1].inject(Rule::nth(PUT_ITEM, 3, Fault::Held));
        tokio::select! {
            ended = world.compact(&second, 0) => panic!("it is held: {ended:?}"),
            () = World::faults(&proxies[1], 1) => {}
        }
        first.follows(&second).await;
        second.die().await;
        proxies[0].deliver_held();
    };
    let (took_over, ()) = tokio::join!(takes_over, meanwhile);
    assert!(
        matches!(took_over, Err(CompactionFault::Follows)),
        "{took_over:?}"
    );
    let given_free = world.items().await;
    assert!(!given_free.contains_key(&2), "{given_free:?}");
    proxies[1].deliver_held();
    assert_eq!(world.items().await, given_free);
    let newcomer = world.host("newcomer").await;
    first.follows(&newcomer).await;
    let rows = first.rows().await.expect("readable");
    assert_eq!(newcomer.rows().await.expect("readable"), rows);
}
