//! The leases in DynamoDB.

use std::sync::Arc;

use iyagi::aws::dynamodb::definitions::TableDefinition;
use iyagi::aws::dynamodb::leases::DynamoLeases;
use iyagi_actors::ports::{Leases, contract};

use super::{UPDATE_ITEM, lose_next_answer, table};
use crate::faults::{Fault, FaultProxy, Rule};
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
    let (_, definition) = table(ministack(), TableDefinition::leases).await;
    let proxy = FaultProxy::before(ministack());
    let leases = DynamoLeases::new(proxy.server().clients().dynamodb, &definition.name);

    lose_next_answer(&proxy);
    let first = leases.take("poller", "a", "", None).await;
    let first = first.expect("answers").expect("nobody else was there");
    assert_eq!((proxy.fired(), first.epoch), (1, 1));
    lose_next_answer(&proxy);
    let over = leases.take("poller", "b", "", Some(&first)).await;
    let over = over.expect("answers").expect("nobody else was there");
    assert_eq!((proxy.fired(), over.epoch), (2, 2));

    // Without a loss the same question has the other answer.
    let not_its_own = leases.take("poller", "b", "", Some(&first)).await;
    assert_eq!(not_its_own, Ok(None));

    lose_next_answer(&proxy);
    let renewed = leases.renew(&over).await;
    let renewed = renewed.expect("answers").expect("is b's");
    assert!(renewed.counter > over.counter);
    assert_eq!(renewed.epoch, 2);
    lose_next_answer(&proxy);
    assert_eq!(leases.release(&renewed).await, Ok(()));
    let listed = leases.list("poller").await.expect("lists");
    assert_eq!((proxy.fired(), &listed[0].owner), (4, &None));
}

#[tokio::test]
async fn a_take_that_nobody_answers_any_more_is_a_fault_and_no_refusal() {
    let (_, definition) = table(ministack(), TableDefinition::leases).await;
    let proxy = FaultProxy::before(ministack());
    let leases = DynamoLeases::new(proxy.server().clients().dynamodb, &definition.name);
    // It takes effect, and then the service is out of reach.
    lose_next_answer(&proxy);
    proxy.inject(Rule::always(UPDATE_ITEM, Fault::Page(503)));
    let fault = leases.take("poller", "a", "", None).await;
    let fault = fault.expect_err("no answer");
    let named = format!("no answer about the table `{}`", definition.name);
    assert!(fault.0.starts_with(&named), "{fault}");
    proxy.heal();
    let listed = leases.list("").await.expect("lists");
    let owner = listed[0].owner.as_deref();
    assert_eq!(owner, Some("a"), "it was taken nevertheless");
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
