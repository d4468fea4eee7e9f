//! Which objects use which derived files. Those of the same bytes share them, so a file goes with its last claim.
//!
//! The claims of some bytes are a partition of their own beside those of the items, one item an object, so that a
//! consistent query finds whoever else claims them. A listing never looks there.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use iyagi_messages::media::Claim;
use iyagi_messages::object::{ObjectKey, Sequencer};

use super::{
    DynamoMetadata, EXPIRES_AT, Item, KEY, REMOVAL_REMEMBERED, SHARD, TableFault, sequence,
};
use crate::aws::dynamodb::attributes::{number, text, text_of};
use crate::aws::dynamodb::conditional::change;
use crate::aws::dynamodb::document::from_document;

/// The files, as a document. Without it a claim was released.
const FILES: &str = "files";
/// The claiming write's sequencer, sortable.
const CLAIM_SEQUENCE: &str = "claim_sequence";

impl DynamoMetadata {
    pub(super) async fn try_claim(&self, claim: &Claim) -> Result<(), TableFault> {
        let sequence = self.sortable(&claim.key, &claim.sequencer)?;
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(place(claim)))
            .condition_expression(
                "attribute_not_exists(#claim_sequence) OR #claim_sequence <= :sequence",
            )
            .update_expression(
                "SET #files = :files, #claim_sequence = :sequence REMOVE #expires_at",
            )
            .expression_attribute_names("#files", FILES)
            .expression_attribute_names("#claim_sequence", CLAIM_SEQUENCE)
            .expression_attribute_names("#expires_at", EXPIRES_AT)
            .expression_attribute_values(":sequence", text(sequence))
            .expression_attribute_values(":files", self.document(&claim.key, &claim.files)?);
        // Refused, a later write of the object holds the claim.
        change(&self.table, update).await?;
        Ok(())
    }

    pub(super) async fn try_release(&self, claim: &Claim) -> Result<Vec<ObjectKey>, TableFault> {
        let sequence = self.sortable(&claim.key, &claim.sequencer)?;
        let forgotten = self.clock.now().0 / 1000 + REMOVAL_REMEMBERED.as_secs() as i64;
        // Left to expire instead of deleted, so that no further permission is needed.
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(place(claim)))
            .condition_expression("attribute_exists(#files) AND #claim_sequence <= :sequence")
            .update_expression("SET #expires_at = :expires_at REMOVE #files, #claim_sequence")
            .expression_attribute_names("#files", FILES)
            .expression_attribute_names("#claim_sequence", CLAIM_SEQUENCE)
            .expression_attribute_names("#expires_at", EXPIRES_AT)
            .expression_attribute_values(":sequence", text(sequence))
            .expression_attribute_values(":expires_at", number(forgotten.max(0) as u64));
        change(&self.table, update).await?;
        let mut unclaimed = claim.files.clone();
        self.each_claim(&claim.sha256, |other| {
            unclaimed.retain(|file| !other.files.contains(file));
            !unclaimed.is_empty()
        })
        .await?;
        Ok(unclaimed)
    }

    pub(super) async fn try_claimants(
        &self,
        sha256: &str,
        wanted: &[ObjectKey],
        limit: usize,
    ) -> Result<Vec<(ObjectKey, Sequencer)>, TableFault> {
        let mut found = Vec::new();
        self.each_claim(sha256, |claim| {
            if claim.files.iter().any(|file| wanted.contains(file)) {
                found.push((claim.key, claim.sequencer));
            }
            found.len() < limit
        })
        .await?;
        Ok(found)
    }

    /// Shows the claims of some bytes for as long as `look` wants to see more.
    async fn each_claim(
        &self,
        sha256: &str,
        mut look: impl FnMut(Claim) -> bool,
    ) -> Result<(), TableFault> {
        let mut behind = None;
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("#shard = :shard")
                .filter_expression("attribute_exists(#files)")
                .expression_attribute_names("#shard", SHARD)
                .expression_attribute_names("#files", FILES)
                .expression_attribute_values(":shard", partition(sha256))
                .set_exclusive_start_key(behind)
                .send()
                .await;
            let answer = answer.map_err(|error| TableFault::of(&self.table, "Query", error))?;
            for entry in answer.items.unwrap_or_default() {
                if !look(self.read_claim(sha256, &entry)?) {
                    return Ok(());
                }
            }
            behind = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if behind.is_none() {
                return Ok(());
            }
        }
    }

    fn read_claim(&self, sha256: &str, entry: &Item) -> Result<Claim, TableFault> {
        let key = text_of(entry, KEY).unwrap_or_default();
        let corrupt = |detail: String| TableFault::Corrupt {
            table: self.table.clone(),
            key: key.to_owned(),
            detail,
        };
        let files = entry.get(FILES).map(from_document).transpose();
        let files = files.map_err(|fault| corrupt(format!("`{FILES}`: {fault}")))?;
        let key = ObjectKey::new(key).map_err(|error| corrupt(error.to_string()))?;
        let sequence = text_of(entry, CLAIM_SEQUENCE).unwrap_or_default();
        Ok(Claim {
            sha256: sha256.to_owned(),
            key,
            sequencer: sequence::sequencer(sequence),
            files: files.unwrap_or_default(),
        })
    }
}

/// No shard of items has such a name.
fn partition(sha256: &str) -> AttributeValue {
    text(format!("claims/{sha256}"))
}

fn place(claim: &Claim) -> HashMap<String, AttributeValue> {
    HashMap::from([
        (SHARD.to_owned(), partition(&claim.sha256)),
        (KEY.to_owned(), text(claim.key.as_str())),
    ])
}
