//! The tables in DynamoDB: what they are, and the adapters that stand on them.

mod definitions;
mod leases;
mod lost_answers;
mod metadata;

use aws_sdk_dynamodb::Client;
use iyagi::aws::dynamodb::definitions::{TableDefinition, create};

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
