//! The tables in DynamoDB: what they are, and the adapters that stand on them.

mod definitions;
mod leases;
mod metadata;

use aws_sdk_dynamodb::Client;
use iyagi::aws::dynamodb::definitions::{TableDefinition, create};

use crate::faults::{Call, Fault, FaultProxy, Rule, Service};
use crate::servers::{Server, unique};

/// A client, and a table of its own as `define` says.
async fn table(
    server: &Server,
    define: impl FnOnce(String) -> TableDefinition,
) -> (Client, TableDefinition) {
    let client = server.clients().dynamodb;
    let definition = define(unique("table"));
    create(&client, &definition).await.expect("a table is made");
    (client, definition)
}

/// The next write takes effect, and nobody hears of it.
fn lose_next_answer(proxy: &FaultProxy) {
    proxy.inject(Rule::nth(UPDATE_ITEM, 1, Fault::AnswerLost));
}

/// What every conditional write is.
const UPDATE_ITEM: Call = Call {
    service: Service::Dynamodb,
    operation: "UpdateItem",
};
