//! The items of one person, by the index of owners.
//!
//! The index holds keys alone, so that only a file's first record and its removal write to it; the items are read in the
//! table. It lags behind by a moment: an item just recorded may be missing, one that is gone never shows.

use std::collections::HashMap;

use iyagi_actors::ports::{MetadataFault, MetadataPage};
use iyagi_messages::object::ObjectKey;

use super::batch::BATCH_MAX;
use super::entry::item_of;
use super::placement::Shard;
use super::{DynamoMetadata, Item, KEY, OWNER, SHARD, TableFault, fault, text};
use crate::aws::dynamodb::attributes::text_of;
use crate::aws::dynamodb::definitions::metadata::BY_OWNER;

impl DynamoMetadata {
    /// A person's items in order of key, at most `limit` behind `after`. A page can be short of items that were just
    /// removed; it is the last one if it names no next.
    pub async fn list_of_owner(
        &self,
        owner: &str,
        after: Option<&ObjectKey>,
        limit: u32,
    ) -> Result<MetadataPage, MetadataFault> {
        self.try_list_of_owner(owner, after, limit)
            .await
            .map_err(fault)
    }

    async fn try_list_of_owner(
        &self,
        owner: &str,
        after: Option<&ObjectKey>,
        limit: u32,
    ) -> Result<MetadataPage, TableFault> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_OWNER)
            .expression_attribute_names("#owner", OWNER)
            .expression_attribute_values(":owner", text(owner))
            .limit(limit.clamp(1, BATCH_MAX) as i32);
        let query = match after {
            None => query.key_condition_expression("#owner = :owner"),
            Some(after) => query
                .key_condition_expression("#owner = :owner AND #key > :after")
                .expression_attribute_names("#key", KEY)
                .expression_attribute_values(":after", text(after.as_str())),
        };
        let answer = query.send().await;
        let answer = answer.map_err(|error| TableFault::of(&self.table, "Query", error))?;
        let mut keys = Vec::new();
        for entry in answer.items.unwrap_or_default() {
            let key = text_of(&entry, KEY).unwrap_or_default();
            keys.push(ObjectKey::new(key).map_err(|error| TableFault::Corrupt {
                table: self.table.clone(),
                key: key.to_owned(),
                detail: error.to_string(),
            })?);
        }
        let rest = answer.last_evaluated_key.unwrap_or_default();
        let next = keys.last().filter(|_| !rest.is_empty()).cloned();
        let mut items = Vec::new();
        for entry in self.entries(&keys).await? {
            let item = item_of(&self.table, &entry)?;
            items.extend(item.filter(|item| item.owner.as_deref() == Some(owner)));
        }
        items.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(MetadataPage { items, next })
    }

    /// What the table holds of these objects now, in no order.
    async fn entries(&self, keys: &[ObjectKey]) -> Result<Vec<Item>, TableFault> {
        let wanted = keys.iter().map(|key| {
            let shard = (SHARD.to_owned(), text(Shard::of(key).name()));
            HashMap::from([shard, (KEY.to_owned(), text(key.as_str()))])
        });
        self.batch(wanted.collect()).await
    }
}
