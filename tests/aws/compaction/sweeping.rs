//! The table keeps as much as is left, and what is missing in it for another reason is told apart.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use iyagi::aws::journal::OpenError;
use iyagi_actors::journal::Journal as _;
use iyagi_messages::fact::Fact;

use super::World;
use super::world::GUARD_HOURS;
use crate::faults::{Call, Fault, FaultProxy, Rule, Service, ServiceError};
use crate::servers::ministack;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_compacted_for_ever_keeps_as_many_items_as_it_has_of_what_lasts() {
    let world = World::new().await;
    let leader = world.host("leader").await;
    world.led_by(&leader).await;
    let mut sizes = Vec::new();
    for round in 0..6 {
        for id in 0..10 {
            leader.append(round * 10 + id).await;
        }
        world.clock.put_on_hours(GUARD_HOURS + 1);
        world.compact(&leader, 0).await.expect("compacted");
        sizes.push(world.items().await.len());
    }
    let standing = leader.compaction.standing();
    assert!(standing.log_removed > 40, "{standing:?}");
    // Each round leaves what says which exports there are, and those keys that are not yet free.
    assert!(sizes[5] <= sizes[2] + 6, "{sizes:?}");
    let newcomer = world.host("newcomer").await;
    let rows = leader.rows().await.expect("readable");
    assert_eq!(newcomer.rows().await.expect("readable"), rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_is_missing_is_damage_and_no_hole() {
    let world = World::new().await;
    let leader = world.host("leader").await;
    world.led_by(&leader).await;
    for id in 0..10 {
        leader.append(id).await;
    }
    world.compact(&leader, 0).await.expect("compacted");
    let client = ministack().clients().dynamodb;
    let last = leader.append(10).await;
    leader.append(11).await;
    let deleted = client
        .delete_item()
        .table_name(&world.table)
        .key("log", AttributeValue::S("main".to_owned()))
        .key("pos", AttributeValue::N(last.to_string()));
    deleted.send().await.expect("deleted");
    let folder = tempfile::tempdir().expect("a folder");
    let refused = world.host_by(ministack(), "newcomer", folder).await;
    let reason = refused.map(drop).expect_err("refused").to_string();
    assert!(
        reason.contains(&format!("positions from {last} on are missing")),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_was_emptied_although_nothing_of_it_was_taken_out_is_damage() {
    let world = World::new().await;
    let leader = world.host("leader").await;
    world.led_by(&leader).await;
    for id in 0..10 {
        leader.append(id).await;
    }
    world.compact(&leader, 0).await.expect("compacted");
    let whole = leader.append(10).await;
    leader.append(11).await;
    let emptied = ministack().clients().dynamodb.update_item();
    let emptied = emptied
        .table_name(&world.table)
        .key("log", AttributeValue::S("main".to_owned()))
        .key("pos", AttributeValue::N(whole.to_string()))
        .update_expression("SET emptied_at = :at REMOVE body")
        .expression_attribute_values(":at", AttributeValue::N("1".to_owned()));
    emptied.send().await.expect("emptied");
    let folder = tempfile::tempdir().expect("a folder");
    let refused = world.host_by(ministack(), "newcomer", folder).await;
    let refused = refused.map(drop).expect_err("refused");
    assert!(
        matches!(refused, OpenError::Unequal { missing, told, .. } if missing == told + 1),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_of_which_some_events_go_keeps_the_others_to_the_letter() {
    let world = World::new().await;
    let leader = world.host("leader").await;
    world.led_by(&leader).await;
    leader.append_some_that_last(40, 10).await;
    let last = leader.append_some_that_last(1_500, 500).await;
    assert!(world.parts().await > 1, "it is large");
    leader.append(0).await;
    leader.append(1).await;
    let rows = leader.rows().await.expect("readable");
    let mut staying: Vec<_> = rows.into_iter().filter(|it| it.pos <= last).collect();
    staying.retain(|event| !matches!(event.fact, Fact::MetadataRemoved(_)));
    world.compact(&leader, 0).await.expect("compacted");
    let rewritten = leader.compaction.standing().log_rewritten;
    assert_eq!(rewritten, 4, "both, and the two behind them");
    let newcomer = world.host("newcomer").await;
    let mut there = newcomer.rows().await.expect("readable");
    there.retain(|event| event.pos <= last);
    assert!(there == staying, "{} of {}", there.len(), staying.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_many_parts_loses_those_that_are_over_and_its_parts_go_when_nobody_reads_them()
{
    const EVENTS: u64 = 1_500;
    let world = World::new().await;
    let leader = world.host("leader").await;
    world.led_by(&leader).await;
    leader.append_large(EVENTS).await;
    let parts = world.parts().await;
    assert!(parts > 1, "it is large: {parts}");
    leader.append(1).await;
    leader.append(2).await;
    world.compact(&leader, 0).await.expect("compacted");
    assert_eq!(world.parts().await, parts, "whoever is reading finds them");
    let rows = leader.rows().await.expect("readable");
    assert!((rows.len() as u64) < EVENTS, "most of it is gone");
    let newcomer = world.host("newcomer").await;
    assert_eq!(newcomer.rows().await.expect("readable"), rows);
    world.clock.put_on_hours(GUARD_HOURS + 1);
    leader.append(3).await;
    leader.append(4).await;
    world.compact(&leader, 0).await.expect("compacted");
    assert_eq!(world.parts().await, 0);
    world.check(newcomer.die().await.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_throttled_is_waited_for() {
    const THROTTLED: Fault = Fault::Error(ServiceError {
        status: 400,
        code: "ProvisionedThroughputExceededException",
    });
    let world = World::new().await;
    let proxy = FaultProxy::before(ministack());
    let folder = tempfile::tempdir().expect("a folder");
    let leader = world.host_by(proxy.server(), "leader", folder).await;
    let leader = leader.expect("it opens");
    world.led_by(&leader).await;
    for round in 0..2 {
        for id in 0..10 {
            leader.append(round * 10 + id).await;
        }
        for operation in ["PutItem", "UpdateItem", "DeleteItem", "Query"] {
            let call = Call {
                service: Service::Dynamodb,
                operation,
            };
            proxy.inject(Rule::nth(call, 3, THROTTLED));
        }
        world.clock.put_on_hours(GUARD_HOURS + 1);
        let compacted = tokio::time::timeout(Duration::from_mins(1), world.compact(&leader, 0));
        let outcome = compacted.await.expect("in time").expect("compacted");
        assert!(outcome.taken_out >= 10, "{outcome:?}");
        proxy.heal();
    }
    let newcomer = world.host("newcomer").await;
    let rows = leader.rows().await.expect("readable");
    assert_eq!(newcomer.rows().await.expect("readable"), rows);
    assert_eq!(newcomer.journal.head().await, leader.journal.head().await);
}
