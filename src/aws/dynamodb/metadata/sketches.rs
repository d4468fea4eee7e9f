//! Which recordings have which value of a sketch, so that those of one sound find each other.
//!
//! Each value is an item of its own, in a partition of its own beside those of the objects' items, with the set of digests
//! that it finds. So one call reads a whole sketch, and the condition of a write keeps the set small. A listing never
//! looks there.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use futures_util::future::try_join_all;
use iyagi_actors::ports::ALIKE_MAX;
use iyagi_messages::media::Sketch;

use super::{DynamoMetadata, EXPIRES_AT, Item, KEY, REMOVAL_REMEMBERED, SHARD, TableFault};
use crate::aws::dynamodb::attributes::{number, text};
use crate::aws::dynamodb::conditional::{Changed, change};

/// The digests, as a set. DynamoDB has no empty sets.
const ALIKE: &str = "alike";

impl DynamoMetadata {
    pub(super) async fn try_index_sketch(
        &self,
        sha256: &str,
        sketch: &Sketch,
    ) -> Result<usize, TableFault> {
        let updates = sketch.0.iter().map(|value| {
            let update = self
                .update_value(*value, sha256)
                .condition_expression(
                    "attribute_not_exists(#alike) OR size(#alike) < :max OR contains(#alike, :digest)",
                )
                .update_expression("ADD #alike :digests REMOVE #expires_at")
                .expression_attribute_names("#expires_at", EXPIRES_AT)
                .expression_attribute_values(":max", number(ALIKE_MAX as u64));
            change(&self.table, update)
        });
        let changed = try_join_all(updates).await?;
        let taken = |changed: &&Changed| matches!(changed, Changed::Yes(_));
        Ok(changed.iter().filter(taken).count())
    }

    pub(super) async fn try_sketched_alike(
        &self,
        sketch: &Sketch,
    ) -> Result<Vec<String>, TableFault> {
        let places = sketch.0.iter().map(|value| place(*value)).collect();
        let mut shared = BTreeMap::<String, usize>::new();
        for mut entry in self.batch(places).await? {
            if let Some(AttributeValue::Ss(digests)) = entry.remove(ALIKE) {
                for digest in digests {
                    *shared.entry(digest).or_default() += 1;
                }
            }
        }
        let mut alike: Vec<_> = shared.into_iter().collect();
        alike.sort_by_key(|(_, values)| Reverse(*values));
        Ok(alike.into_iter().map(|(digest, _)| digest).collect())
    }

    pub(super) async fn try_unindex_sketch(
        &self,
        sha256: &str,
        sketch: &Sketch,
    ) -> Result<(), TableFault> {
        let values = sketch.0.iter();
        try_join_all(values.map(|value| self.unindex_value(*value, sha256))).await?;
        Ok(())
    }

    async fn unindex_value(&self, value: u32, sha256: &str) -> Result<(), TableFault> {
        let update = self
            .update_value(value, sha256)
            .condition_expression("contains(#alike, :digest)")
            .update_expression("DELETE #alike :digests")
            .return_values(ReturnValue::AllNew);
        match change(&self.table, update).await? {
            Changed::Yes(left) if !left.contains_key(ALIKE) => {}
            Changed::Yes(_) | Changed::Refused(_) => return Ok(()),
        }
        // Left to expire instead of deleted, which would take what others may have added by now.
        let forgotten = self.clock.now().0 / 1000 + REMOVAL_REMEMBERED.as_secs() as i64;
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(place(value)))
            .condition_expression("attribute_not_exists(#alike)")
            .update_expression("SET #expires_at = :expires_at")
            .expression_attribute_names("#alike", ALIKE)
            .expression_attribute_names("#expires_at", EXPIRES_AT)
            .expression_attribute_values(":expires_at", number(forgotten.max(0) as u64));
        change(&self.table, update).await?;
        Ok(())
    }

    /// A write to a value's item whose expressions speak of a digest and of the set of it alone.
    fn update_value(&self, value: u32, sha256: &str) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(place(value)))
            .expression_attribute_names("#alike", ALIKE)
            .expression_attribute_values(":digest", text(sha256))
            .expression_attribute_values(":digests", AttributeValue::Ss(vec![sha256.to_owned()]))
    }
}

/// No shard of items has such a name.
fn place(value: u32) -> Item {
    let name = format!("sketches/{value:08x}");
    HashMap::from([
        (SHARD.to_owned(), text(&name)),
        (KEY.to_owned(), text(name)),
    ])
}
