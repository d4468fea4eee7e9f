//! The metadata table in DynamoDB: one item an object, changed by one conditional write each.
//!
//! Each part of an item (the latest write, its thumbnails, the latest removal) stands beside its sequencer, and a write
//! is on condition that none of them is later. So the same changes in any order, any of them twice, end the same, and a
//! write that the SDK repeats because its answer was lost says what it said before; only the thumbnails that a removal
//! took are gone by then.
//!
//! # Layout
//! - `placement`: which partition a key lies in, and where a prefix is found
//! - `listing`: pages in order of key, merged from the partitions
//! - `ownership`: the items of one person
//! - `claims`: who uses which derived files
//! - `sketches`: which recordings sound alike
//! - `batch`: many items by their keys
//! - `entry`: what the table holds of one object
//! - `sequence`: sequencers in a form that DynamoDB compares
//! - `uploads`: how much each person has uploaded on a day

mod batch;
mod claims;
mod entry;
mod listing;
mod ownership;
mod placement;
mod sequence;
mod sketches;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use iyagi_actors::ports::{Clock, MetadataFault, MetadataPage, MetadataTable, Written};
use iyagi_messages::media::{Audio, Claim, Derived, MetadataItem, Sketch, Thumbnails};
use iyagi_messages::object::{ObjectKey, Sequencer};
use serde::Serialize;

use self::entry::{
    ITEM, ITEM_SEQUENCE, REMOVED_SEQUENCE, THUMBNAILS, THUMBNAILS_SEQUENCE, derived_of, item_of,
};
use self::placement::Shard;
use super::attributes::{Item, number, text, text_of};
use super::conditional::{Changed, change};
use super::definitions::EXPIRES_AT;
use super::definitions::metadata::{KEY, OWNER, SHARD};
use super::document::to_document;
use super::fault::TableFault;

/// How long a removal is remembered: longer than a late notification can wait in its queue and then among the dead
/// letters, fourteen days each.
const REMOVAL_REMEMBERED: Duration = Duration::from_hours(30 * 24);
/// Most bytes of an item's each part. DynamoDB takes 400 KB in all.
const PART_BYTES_MAX: usize = 190 * 1024;
/// How often a removal looks again at an object that others change at the same time.
const REMOVAL_ATTEMPTS: u32 = 8;

/// The metadata table.
#[derive(Clone)]
pub struct DynamoMetadata {
    client: Client,
    table: String,
    clock: Arc<dyn Clock>,
}

impl DynamoMetadata {
    /// What is in `table`.
    pub fn new(client: Client, table: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self {
            client,
            table: table.into(),
            clock,
        }
    }

    async fn try_record(&self, mut item: MetadataItem) -> Result<Written, TableFault> {
        let derived = item.take_derived();
        let sequence = self.sortable(&item.key, &item.sequencer)?;
        // An empty text can be no key of the index.
        let owner = item.owner.as_ref().filter(|owner| !owner.is_empty());
        let (set_owner, remove_owner) = match owner {
            Some(_) => (", #owner = :owner", ""),
            None => ("", ", #owner"),
        };
        let update = self
            .update(&item.key, &sequence)
            .condition_expression(all_of([
                earlier("#removed"),
                not_later("#item_sequence"),
            ]))
            .update_expression(format!(
                "SET #item = :item, #item_sequence = :sequence{set_owner} REMOVE #expires_at{remove_owner}"
            ))
            .expression_attribute_names("#item", ITEM)
            .expression_attribute_names("#owner", OWNER)
            .expression_attribute_names("#expires_at", EXPIRES_AT)
            .expression_attribute_values(":item", self.document(&item.key, &item)?);
        let update = match owner {
            Some(owner) => update.expression_attribute_values(":owner", text(owner)),
            None => update,
        };
        let written = written(&change(&self.table, update).await?);
        if let (Written::Yes, Some(derived)) = (written, derived) {
            // An outdated one is for nobody to see, and the item is recorded all the same.
            self.try_attach(&item.key, &derived).await?;
        }
        Ok(written)
    }

    async fn try_attach(&self, key: &ObjectKey, derived: &Derived) -> Result<Written, TableFault> {
        let sequence = self.sortable(key, derived.sequencer())?;
        let update = self
            .update(key, &sequence)
            .condition_expression(all_of([
                earlier("#removed"),
                not_later("#item_sequence"),
                not_later("#thumbnails_sequence"),
            ]))
            .update_expression(
                "SET #thumbnails = :thumbnails, #thumbnails_sequence = :sequence REMOVE #expires_at",
            )
            .expression_attribute_names("#thumbnails", THUMBNAILS)
            .expression_attribute_names("#thumbnails_sequence", THUMBNAILS_SEQUENCE)
            .expression_attribute_names("#expires_at", EXPIRES_AT)
            .expression_attribute_values(":thumbnails", self.document(key, derived)?);
        Ok(written(&change(&self.table, update).await?))
    }

    async fn try_remove(
        &self,
        key: &ObjectKey,
        sequencer: &Sequencer,
    ) -> Result<(Written, Option<Thumbnails>), TableFault> {
        let sequence = self.sortable(key, sequencer)?;
        let mut later = Later::default();
        for _ in 0..REMOVAL_ATTEMPTS {
            match change(&self.table, self.removal(key, &sequence, later)).await? {
                Changed::Yes(before) => {
                    let thumbnails = if later.thumbnails {
                        None
                    } else {
                        derived_of(&self.table, &before)?.and_then(Derived::into_thumbnails)
                    };
                    return Ok((later.written(), thumbnails));
                }
                Changed::Refused(found) => {
                    let found = found.unwrap_or_default();
                    let is_later = |part| text_of(&found, part) > Some(sequence.as_str());
                    if is_later(REMOVED_SEQUENCE) {
                        return Ok((Written::Outdated, None));
                    }
                    later = Later {
                        item: is_later(ITEM_SEQUENCE),
                        thumbnails: is_later(THUMBNAILS_SEQUENCE),
                    };
                }
            }
        }
        Err(TableFault::Contended {
            table: self.table.clone(),
            key: key.to_string(),
            attempts: REMOVAL_ATTEMPTS,
        })
    }

    /// Removes what is not later, on condition that the rest is.
    fn removal(&self, key: &ObjectKey, sequence: &str, later: Later) -> UpdateItemFluentBuilder {
        let standing = |part: &str, later| {
            if later {
                format!("{part} > :sequence")
            } else {
                not_later(part)
            }
        };
        let mut set = "SET #removed = :sequence".to_owned();
        let mut removed = Vec::new();
        let mut update = self.update(key, sequence);
        if !later.item {
            removed.extend(["#item", "#item_sequence", "#owner"]);
            update = update
                .expression_attribute_names("#item", ITEM)
                .expression_attribute_names("#owner", OWNER);
        }
        if !later.thumbnails {
            removed.extend(["#thumbnails", "#thumbnails_sequence"]);
            update = update.expression_attribute_names("#thumbnails", THUMBNAILS);
        }
        if later == Later::default() {
            set.push_str(", #expires_at = :expires_at");
            let forgotten = self.clock.now().0 / 1000 + REMOVAL_REMEMBERED.as_secs() as i64;
            update = update
                .expression_attribute_names("#expires_at", EXPIRES_AT)
                .expression_attribute_values(":expires_at", number(forgotten.max(0) as u64));
        }
        if !removed.is_empty() {
            set = format!("{set} REMOVE {}", removed.join(", "));
        }
        update
            .condition_expression(all_of([
                not_later("#removed"),
                standing("#item_sequence", later.item),
                standing("#thumbnails_sequence", later.thumbnails),
            ]))
            .update_expression(set)
            .expression_attribute_names("#thumbnails_sequence", THUMBNAILS_SEQUENCE)
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    async fn try_get(&self, key: &ObjectKey) -> Result<Option<MetadataItem>, TableFault> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(SHARD, text(Shard::of(key).name()))
            .key(KEY, text(key.as_str()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| TableFault::of(&self.table, "GetItem", error))?;
        item_of(&self.table, &answer.item.unwrap_or_default())
    }

    /// A write to an object's item whose expressions speak of `:sequence`, the latest removal and the item's sequencer.
    fn update(&self, key: &ObjectKey, sequence: &str) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .key(SHARD, text(Shard::of(key).name()))
            .key(KEY, text(key.as_str()))
            .expression_attribute_names("#removed", REMOVED_SEQUENCE)
            .expression_attribute_names("#item_sequence", ITEM_SEQUENCE)
            .expression_attribute_values(":sequence", text(sequence))
    }

    fn sortable(&self, key: &ObjectKey, sequencer: &Sequencer) -> Result<String, TableFault> {
        sequence::sortable(sequencer).ok_or_else(|| TableFault::TooLarge {
            table: self.table.clone(),
            key: key.to_string(),
            bytes: sequencer.0.len(),
            max: sequence::DIGITS_MAX,
        })
    }

    fn document(
        &self,
        key: &ObjectKey,
        part: &impl Serialize,
    ) -> Result<AttributeValue, TableFault> {
        // DynamoDB counts names and values; JSON has these and more.
        let bytes = serde_json::to_vec(part).expect("plain data is JSON").len();
        if bytes > PART_BYTES_MAX {
            return Err(TableFault::TooLarge {
                table: self.table.clone(),
                key: key.to_string(),
                bytes,
                max: PART_BYTES_MAX,
            });
        }
        Ok(to_document(part))
    }
}

/// Which parts of an item a removal finds to be later than itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Later {
    item: bool,
    thumbnails: bool,
}

impl Later {
    fn written(self) -> Written {
        if self.item || self.thumbnails {
            Written::Outdated
        } else {
            Written::Yes
        }
    }
}

fn written(changed: &Changed) -> Written {
    match changed {
        Changed::Yes(_) => Written::Yes,
        Changed::Refused(_) => Written::Outdated,
    }
}

fn earlier(part: &str) -> String {
    format!("(attribute_not_exists({part}) OR {part} < :sequence)")
}

fn not_later(part: &str) -> String {
    format!("(attribute_not_exists({part}) OR {part} <= :sequence)")
}

fn all_of<const N: usize>(conditions: [String; N]) -> String {
    conditions.join(" AND ")
}

#[async_trait]
impl MetadataTable for DynamoMetadata {
    async fn record(&self, item: MetadataItem) -> Result<Written, MetadataFault> {
        self.try_record(item).await.map_err(fault)
    }

    async fn attach_thumbnails(
        &self,
        key: &ObjectKey,
        thumbnails: Thumbnails,
    ) -> Result<Written, MetadataFault> {
        self.try_attach(key, &thumbnails.into())
            .await
            .map_err(fault)
    }

    async fn attach_audio(&self, key: &ObjectKey, audio: Audio) -> Result<Written, MetadataFault> {
        self.try_attach(key, &audio.into()).await.map_err(fault)
    }

    async fn remove(
        &self,
        key: &ObjectKey,
        sequencer: &Sequencer,
    ) -> Result<(Written, Option<Thumbnails>), MetadataFault> {
        self.try_remove(key, sequencer).await.map_err(fault)
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<MetadataItem>, MetadataFault> {
        self.try_get(key).await.map_err(fault)
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: u32,
    ) -> Result<MetadataPage, MetadataFault> {
        self.try_list(prefix, after, limit).await.map_err(fault)
    }

    async fn claim(&self, claim: Claim) -> Result<(), MetadataFault> {
        self.try_claim(&claim).await.map_err(fault)
    }

    async fn release(&self, claim: &Claim) -> Result<Vec<ObjectKey>, MetadataFault> {
        self.try_release(claim).await.map_err(fault)
    }

    async fn claimants(
        &self,
        sha256: &str,
        files: &[ObjectKey],
        limit: usize,
    ) -> Result<Vec<(ObjectKey, Sequencer)>, MetadataFault> {
        self.try_claimants(sha256, files, limit)
            .await
            .map_err(fault)
    }

    async fn index_sketch(&self, sha256: &str, sketch: &Sketch) -> Result<usize, MetadataFault> {
        self.try_index_sketch(sha256, sketch).await.map_err(fault)
    }

    async fn sketched_alike(&self, sketch: &Sketch) -> Result<Vec<String>, MetadataFault> {
        self.try_sketched_alike(sketch).await.map_err(fault)
    }

    async fn unindex_sketch(&self, sha256: &str, sketch: &Sketch) -> Result<(), MetadataFault> {
        self.try_unindex_sketch(sha256, sketch).await.map_err(fault)
    }
}

fn fault(fault: TableFault) -> MetadataFault {
    MetadataFault(fault.to_string())
}
