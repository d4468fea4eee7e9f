//! How much each person has uploaded on a day: one count for all hosts.
//!
//! The counts of a person are a partition of their own beside those of the items, so that no two people wait for each other.
//! A listing never looks there.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use iyagi_actors::ports::MetadataFault;
use iyagi_messages::ids::PersonId;

use super::{DynamoMetadata, EXPIRES_AT, KEY, SHARD, TableFault, fault};
use crate::aws::dynamodb::attributes::{number, number_of, text};
use crate::aws::dynamodb::conditional::{Changed, change};
use crate::upload_quota::{Counted, Day, UploadCounts, UploadQuota, Uploaded};

const BYTES: &str = "bytes";
const FILES: &str = "files";

/// For how long a count is kept behind its day, in seconds: the clocks of hosts differ.
const KEPT_SECONDS: u64 = 24 * 60 * 60;

impl DynamoMetadata {
    async fn try_count(
        &self,
        person: &PersonId,
        day: Day,
        bytes: u64,
        quota: &UploadQuota,
    ) -> Result<Counted, TableFault> {
        if !quota.takes(Uploaded::default(), bytes) {
            return Ok(Counted::Beyond(Uploaded::default()));
        }
        let ended = day.end().0.unsigned_abs() / 1000;
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(SHARD, text(format!("uploaded:{person}")))
            .key(KEY, text(day.number().to_string()))
            .condition_expression(
                "attribute_not_exists(#bytes) OR (#bytes <= :room AND #files < :files_max)",
            )
            .update_expression("ADD #bytes :bytes, #files :one SET #expires_at = :expires_at")
            .expression_attribute_names("#bytes", BYTES)
            .expression_attribute_names("#files", FILES)
            .expression_attribute_names("#expires_at", EXPIRES_AT)
            .expression_attribute_values(":room", number(quota.bytes - bytes))
            .expression_attribute_values(":files_max", number(quota.files))
            .expression_attribute_values(":bytes", number(bytes))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":expires_at", number(ended + KEPT_SECONDS))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        Ok(match change(&self.table, update).await? {
            Changed::Yes(_) => Counted::Yes,
            Changed::Refused(found) => {
                let found = found.unwrap_or_default();
                let count = |name| number_of(&found, name).unwrap_or_default();
                Counted::Beyond(Uploaded {
                    bytes: count(BYTES),
                    files: count(FILES),
                })
            }
        })
    }
}

#[async_trait]
impl UploadCounts for DynamoMetadata {
    async fn count(
        &self,
        person: &PersonId,
        day: Day,
        bytes: u64,
        quota: &UploadQuota,
    ) -> Result<Counted, MetadataFault> {
        let counted = self.try_count(person, day, bytes, quota).await;
        counted.map_err(fault)
    }
}
