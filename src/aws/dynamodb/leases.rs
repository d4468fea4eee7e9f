//! Leases in DynamoDB: one item each, changed by conditional writes alone. No clock is read.
//!
//! The SDK repeats a write whose answer was lost, and the repeat may find the lease as the first attempt left it. Raising
//! the counter once more does no harm, and what is given up already need not be given up again; but whoever took a lease
//! must not be told that someone else was quicker. So each take leaves a mark of its own, and one that fails looks for
//! its mark in what it failed on.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use iyagi_actors::ports::{Lease, LeaseFault, Leases};
use uuid::Uuid;

use super::attributes::{Item, number, number_of, text, text_of};
use super::conditional::{Changed, change};
use super::definitions::leases::{FLEET, NAME};
use super::fault::TableFault;

/// All leases lie in one partition, so that one query reads them all. A fleet of hundreds renews less often than the
/// thousand times a second that a partition takes.
const FLEET_ALL: &str = "all";

const OWNER: &str = "owner";
const EPOCH: &str = "epoch";
const COUNTER: &str = "counter";
const DETAIL: &str = "detail";
/// Unique to one take, and kept until the next.
const CLAIM: &str = "claim";

/// Nobody has the lease, if there is one at all.
const VACANT: &str = "attribute_not_exists(#owner)";
/// The lease is still the holder's.
const MINE: &str = "#owner = :owner AND #epoch = :epoch";

/// Leases in a table.
#[derive(Debug, Clone)]
pub struct DynamoLeases {
    client: Client,
    table: String,
}

impl DynamoLeases {
    /// Leases in `table`.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    fn update(&self, name: &str) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .key(FLEET, text(FLEET_ALL))
            .key(NAME, text(name))
            .expression_attribute_names("#owner", OWNER)
            .expression_attribute_names("#epoch", EPOCH)
    }

    /// A change by a lease's holder.
    fn of_holder(&self, lease: &Lease, owner: &str) -> UpdateItemFluentBuilder {
        self.update(&lease.name)
            .condition_expression(MINE)
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":epoch", number(lease.epoch))
    }

    async fn query(&self, prefix: &str) -> Result<Vec<Lease>, TableFault> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .expression_attribute_names("#fleet", FLEET)
            .expression_attribute_values(":fleet", text(FLEET_ALL));
        // An empty value is no condition on a key.
        let query = if prefix.is_empty() {
            query.key_condition_expression("#fleet = :fleet")
        } else {
            query
                .key_condition_expression("#fleet = :fleet AND begins_with(#name, :prefix)")
                .expression_attribute_names("#name", NAME)
                .expression_attribute_values(":prefix", text(prefix))
        };
        let mut items = query.into_paginator().items().send();
        let mut leases = Vec::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| TableFault::of(&self.table, "Query", error))?;
            leases.push(self.lease(&item)?);
        }
        Ok(leases)
    }

    async fn try_take(
        &self,
        name: &str,
        owner: &str,
        detail: &str,
        seen: Option<&Lease>,
    ) -> Result<Option<Lease>, TableFault> {
        let claim = Uuid::now_v7().to_string();
        let update = self
            .update(name)
            .update_expression(
                "SET #owner = :owner, #epoch = if_not_exists(#epoch, :epoch) + :one, #counter = :zero, \
                 #detail = :detail, #claim = :claim",
            )
            .expression_attribute_names("#counter", COUNTER)
            .expression_attribute_names("#detail", DETAIL)
            .expression_attribute_names("#claim", CLAIM)
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":epoch", number(seen.map_or(0, |seen| seen.epoch)))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":detail", text(detail))
            .expression_attribute_values(":claim", text(&claim))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let update = match seen {
            None => update.condition_expression(VACANT),
            Some(seen) => update
                .condition_expression(format!(
                    "{VACANT} OR (#epoch = :epoch AND #counter = :counter)"
                ))
                .expression_attribute_values(":counter", number(seen.counter)),
        };
        match change(&self.table, update).await? {
            Changed::Yes(item) => Ok(Some(self.lease(&item)?)),
            Changed::Refused(Some(item)) if text_of(&item, CLAIM) == Some(&claim) => {
                tracing::info!(
                    lease = name,
                    "the answer to a take was lost and is found again"
                );
                Ok(Some(self.lease(&item)?))
            }
            Changed::Refused(_) => Ok(None),
        }
    }

    async fn try_renew(&self, lease: &Lease) -> Result<Option<Lease>, TableFault> {
        let Some(owner) = &lease.owner else {
            return Ok(None);
        };
        let update = self
            .of_holder(lease, owner)
            .update_expression("SET #counter = #counter + :one, #detail = :detail")
            .expression_attribute_names("#counter", COUNTER)
            .expression_attribute_names("#detail", DETAIL)
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":detail", text(&lease.detail))
            .return_values(ReturnValue::AllNew);
        match change(&self.table, update).await? {
            Changed::Yes(item) => Ok(Some(self.lease(&item)?)),
            Changed::Refused(_) => Ok(None),
        }
    }

    async fn try_release(&self, lease: &Lease) -> Result<(), TableFault> {
        let Some(owner) = &lease.owner else {
            return Ok(());
        };
        let update = self
            .of_holder(lease, owner)
            .update_expression("REMOVE #owner");
        change(&self.table, update).await.map(drop)
    }

    fn lease(&self, item: &Item) -> Result<Lease, TableFault> {
        let name = text_of(item, NAME).unwrap_or_default();
        let missing = |attribute: &str| TableFault::Corrupt {
            table: self.table.clone(),
            key: name.to_owned(),
            detail: format!("`{attribute}` is missing"),
        };
        Ok(Lease {
            name: name.to_owned(),
            owner: text_of(item, OWNER).map(str::to_owned),
            epoch: number_of(item, EPOCH).ok_or_else(|| missing(EPOCH))?,
            counter: number_of(item, COUNTER).ok_or_else(|| missing(COUNTER))?,
            detail: text_of(item, DETAIL)
                .ok_or_else(|| missing(DETAIL))?
                .to_owned(),
        })
    }
}

#[async_trait]
impl Leases for DynamoLeases {
    async fn list(&self, prefix: &str) -> Result<Vec<Lease>, LeaseFault> {
        self.query(prefix).await.map_err(fault)
    }

    async fn take(
        &self,
        name: &str,
        owner: &str,
        detail: &str,
        seen: Option<&Lease>,
    ) -> Result<Option<Lease>, LeaseFault> {
        self.try_take(name, owner, detail, seen)
            .await
            .map_err(fault)
    }

    async fn renew(&self, lease: &Lease) -> Result<Option<Lease>, LeaseFault> {
        self.try_renew(lease).await.map_err(fault)
    }

    async fn release(&self, lease: &Lease) -> Result<(), LeaseFault> {
        self.try_release(lease).await.map_err(fault)
    }
}

fn fault(fault: TableFault) -> LeaseFault {
    LeaseFault(fault.to_string())
}
