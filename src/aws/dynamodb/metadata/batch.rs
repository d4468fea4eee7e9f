//! Many items of the table by their keys, in as few calls as it takes.

use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;

use super::{DynamoMetadata, Item, TableFault};

/// Most items of one answer of `BatchGetItem`.
pub(super) const BATCH_MAX: u32 = 100;
/// How often what a batch left out is asked for.
const BATCH_ATTEMPTS: u32 = 6;
/// The first wait before that; each further one is twice as long.
const BATCH_PAUSE: Duration = Duration::from_millis(50);

impl DynamoMetadata {
    /// The items with these keys, at most [`BATCH_MAX`], as they are now, in no order.
    pub(super) async fn batch(&self, mut wanted: Vec<Item>) -> Result<Vec<Item>, TableFault> {
        let mut found = Vec::new();
        let mut pause = BATCH_PAUSE;
        for attempt in 0..BATCH_ATTEMPTS {
            if wanted.is_empty() {
                return Ok(found);
            }
            if attempt > 0 {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(std::mem::take(&mut wanted)))
                .consistent_read(true)
                .build()
                .expect("keys are given");
            let batch = self.client.batch_get_item();
            let answer = batch.request_items(&self.table, keys).send().await;
            let answer =
                answer.map_err(|error| TableFault::of(&self.table, "BatchGetItem", error))?;
            found.extend(
                answer
                    .responses
                    .into_iter()
                    .flatten()
                    .flat_map(|(_, items)| items),
            );
            let left = answer.unprocessed_keys.into_iter().flatten();
            wanted.extend(left.flat_map(|(_, left)| left.keys));
        }
        if wanted.is_empty() {
            return Ok(found);
        }
        Err(TableFault::Throttled {
            table: self.table.clone(),
            detail: format!("{} items of a batch were left out each time", wanted.len()),
        })
    }
}
