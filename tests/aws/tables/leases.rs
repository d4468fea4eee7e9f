//! The leases in DynamoDB.

use std::sync::Arc;

use iyagi::aws::dynamodb::definitions::TableDefinition;
use iyagi::aws::dynamodb::leases::DynamoLeases;
use iyagi_actors::ports::{Leases, contract};

use super::lost_answers::losing_answers;
use super::table;
use crate::servers::{Server, localemu, ministack, moto, unique};

/// Makes a table, and stores that stand on it.
async fn stores(server: &Server) -> impl Fn() -> Arc<dyn Leases> + Sync + use<> {
    let (client, definition) = table(server, TableDefinition::leases).await;
    move || Arc::new(DynamoLeases::new(client.clone(), &definition.name))
}

#[tokio::test]
async fn keep_the_contract_on_ministack() {
    contract::leases::all(&stores(ministack()).await, "under/test/").await;
}

// Moto checks an item's condition and writes the item in two steps with no lock around them, and `LocalEmu` stands on
// it: of ten plain `UpdateItem` on `attribute_not_exists` two succeed now and then. DynamoDB itself writes atomically.

#[tokio::test]
async fn keep_the_contract_but_for_races_on_moto() {
    contract::leases::one_after_another(&stores(moto()).await, "under/test/").await;
}

#[tokio::test]
async fn keep_the_contract_but_for_races_on_localemu() {
    if let Some(server) = localemu() {
        contract::leases::one_after_another(&stores(server).await, "under/test/").await;
    }
}

#[tokio::test]
async fn whoever_took_a_lease_learns_it_though_the_answer_was_lost() {
    let (client, definition) = table(ministack(), TableDefinition::leases).await;
    let (client, losses) = losing_answers(&client);
    let leases = DynamoLeases::new(client, &definition.name);

    losses.lose_next(1);
    let first = leases.take("poller", "a", "", None).await;
    let first = first.expect("answers").expect("nobody else was there");
    assert_eq!((losses.left(), first.epoch), (0, 1));
    losses.lose_next(2);
    let over = leases.take("poller", "b", "", Some(&first)).await;
    let over = over.expect("answers").expect("nobody else was there");
    assert_eq!((losses.left(), over.epoch), (0, 2));

    // Without a loss the same question has the other answer.
    let not_its_own = leases.take("poller", "b", "", Some(&first)).await;
    assert_eq!(not_its_own, Ok(None));

    losses.lose_next(1);
    let renewed = leases.renew(&over).await.expect("answers").expect("is b's");
    assert!(renewed.counter > over.counter);
    assert_eq!(renewed.epoch, 2);
    losses.lose_next(1);
    assert_eq!(leases.release(&renewed).await, Ok(()));
    let listed = leases.list("poller").await.expect("lists");
    assert_eq!((losses.left(), &listed[0].owner), (0, &None));
}

#[tokio::test]
async fn a_take_whose_every_answer_was_lost_is_a_fault_and_no_refusal() {
    let (client, definition) = table(ministack(), TableDefinition::leases).await;
    let (client, losses) = losing_answers(&client);
    let leases = DynamoLeases::new(client, &definition.name);
    losses.lose_next(u32::MAX);
    let fault = leases
        .take("poller", "a", "", None)
        .await
        .expect_err("no answer");
    assert!(fault.0.contains(&definition.name), "{fault}");
    losses.lose_next(0);
    let listed = leases.list("").await.expect("lists");
    assert_eq!(
        listed[0].owner.as_deref(),
        Some("a"),
        "it was taken nevertheless"
    );
}

#[tokio::test]
async fn a_table_that_is_not_there_is_named_with_the_cure() {
    let name = unique("absent");
    let leases = DynamoLeases::new(ministack().clients().dynamodb, &name);
    for fault in [
        leases.list("").await.map(drop),
        leases.take("poller", "a", "", None).await.map(drop),
    ] {
        let fault = fault.expect_err("there is no table").to_string();
        assert!(
            fault.contains(&name) && fault.contains("`iyagi provision`"),
            "{fault}"
        );
    }
}
