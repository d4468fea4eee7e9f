//! The leases in memory.

use std::sync::Arc;

use iyagi::embedded::leases::EmbeddedLeases;
use iyagi_actors::ports::contract;

#[tokio::test]
async fn keep_the_contract() {
    let leases = EmbeddedLeases::default();
    contract::leases::all(&|| Arc::new(leases.clone()), "under/test/").await;
}
