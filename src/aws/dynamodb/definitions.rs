//! What each table is: keys, indexes, expiry, recovery.
//!
//! All of them are billed by request. What is defined here is what the adapters count on, what `iyagi provision` makes
//! and repairs, and what tests create.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
    PointInTimeRecoverySpecification, Projection, ProjectionType, ScalarAttributeType, TableStatus,
    TimeToLiveSpecification, TimeToLiveStatus,
};
use thiserror::Error;
use tokio::time::Instant;

use super::fault::TableFault;
use crate::aws::names::Names;

/// The attribute of every table whose items expire: seconds since the Unix epoch.
pub const EXPIRES_AT: &str = "expires_at";

/// What a table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDefinition {
    /// What it is called.
    pub name: String,
    /// What its items are found by.
    pub key: KeySchema,
    /// What else they are found by.
    pub indexes: Vec<IndexDefinition>,
    /// Whether items are removed after the moment in [`EXPIRES_AT`].
    pub expires: bool,
    /// Whether it can be restored to any second of the last weeks.
    pub point_in_time_recovery: bool,
}

/// What the items of a table or an index are found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySchema {
    /// Items that agree in it lie together.
    pub partition: KeyAttribute,
    /// The order within a partition, if it has more than one item.
    pub sort: Option<KeyAttribute>,
}

/// An attribute that is part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyAttribute {
    /// What it is called.
    pub name: &'static str,
    /// What it holds.
    pub kind: KeyKind,
}

/// What a key's attribute holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// Text, ordered by the bytes of its UTF-8.
    Text,
    /// A number.
    Number,
}

/// An index over the items that have its key. It lags behind the table and holds keys alone: what it finds is read in the
/// table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexDefinition {
    /// What it is called.
    pub name: &'static str,
    /// What its items are found by.
    pub key: KeySchema,
}

/// Names of the metadata table's attributes and index that other files need.
pub(super) mod metadata {
    pub(crate) const SHARD: &str = "shard";
    pub(crate) const KEY: &str = "key";
    pub(crate) const OWNER: &str = "owner";
    pub(crate) const BY_OWNER: &str = "by_owner";
}

/// Names of the leases table's attributes that other files need.
pub(super) mod leases {
    pub(crate) const FLEET: &str = "fleet";
    pub(crate) const NAME: &str = "name";
}

impl TableDefinition {
    /// Every table of an installation.
    pub fn all(names: &Names) -> [Self; 4] {
        [
            Self::metadata(names.metadata_table()),
            Self::leases(names.leases_table()),
            Self::journal(names.journal_table()),
            Self::endpoints(names.endpoints_table()),
        ]
    }

    /// What is known about every file, by key and by owner. The memory of a removal expires.
    pub fn metadata(name: impl Into<String>) -> Self {
        let key = KeyAttribute::text(metadata::KEY);
        Self {
            name: name.into(),
            key: KeySchema::sorted(KeyAttribute::text(metadata::SHARD), key),
            indexes: vec![IndexDefinition {
                name: metadata::BY_OWNER,
                key: KeySchema::sorted(KeyAttribute::text(metadata::OWNER), key),
            }],
            expires: true,
            point_in_time_recovery: true,
        }
    }

    /// The leases by which hosts know of each other, all in one partition so that one query reads them all.
    pub fn leases(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            key: KeySchema::sorted(
                KeyAttribute::text(leases::FLEET),
                KeyAttribute::text(leases::NAME),
            ),
            indexes: Vec::new(),
            expires: false,
            // A lease of last week is worse than none: its epoch is lower than those that were given out since.
            point_in_time_recovery: false,
        }
    }

    /// The journal: one partition a log, in order of position.
    pub fn journal(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            key: KeySchema::sorted(KeyAttribute::text("log"), KeyAttribute::number("pos")),
            indexes: Vec::new(),
            expires: false,
            point_in_time_recovery: true,
        }
    }

    /// The platform endpoint of each phone, by a digest of its token. One that was not used for long expires.
    pub fn endpoints(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            key: KeySchema::lone(KeyAttribute::text("token")),
            indexes: Vec::new(),
            expires: true,
            point_in_time_recovery: true,
        }
    }

    /// The attributes of every key in it, each once.
    pub fn attribute_definitions(&self) -> Vec<AttributeDefinition> {
        let mut found: Vec<KeyAttribute> = Vec::new();
        let indexes = self.indexes.iter().map(|index| index.key);
        for key in std::iter::once(self.key).chain(indexes) {
            for attribute in key.attributes() {
                if !found.contains(&attribute) {
                    found.push(attribute);
                }
            }
        }
        found.into_iter().map(KeyAttribute::definition).collect()
    }
}

impl KeySchema {
    const fn lone(partition: KeyAttribute) -> Self {
        Self {
            partition,
            sort: None,
        }
    }

    const fn sorted(partition: KeyAttribute, sort: KeyAttribute) -> Self {
        Self {
            partition,
            sort: Some(sort),
        }
    }

    /// As the SDK says it.
    pub fn elements(self) -> Vec<KeySchemaElement> {
        let partition = (self.partition, KeyType::Hash);
        let sort = self.sort.map(|sort| (sort, KeyType::Range));
        std::iter::once(partition)
            .chain(sort)
            .map(|(attribute, kind)| {
                KeySchemaElement::builder()
                    .attribute_name(attribute.name)
                    .key_type(kind)
                    .build()
                    .expect("name and type are given")
            })
            .collect()
    }

    fn attributes(self) -> impl Iterator<Item = KeyAttribute> {
        std::iter::once(self.partition).chain(self.sort)
    }
}

impl KeyAttribute {
    const fn text(name: &'static str) -> Self {
        Self {
            name,
            kind: KeyKind::Text,
        }
    }

    const fn number(name: &'static str) -> Self {
        Self {
            name,
            kind: KeyKind::Number,
        }
    }

    fn definition(self) -> AttributeDefinition {
        let kind = match self.kind {
            KeyKind::Text => ScalarAttributeType::S,
            KeyKind::Number => ScalarAttributeType::N,
        };
        AttributeDefinition::builder()
            .attribute_name(self.name)
            .attribute_type(kind)
            .build()
            .expect("name and type are given")
    }
}

impl IndexDefinition {
    /// As the SDK says it.
    pub fn global_secondary_index(&self) -> GlobalSecondaryIndex {
        let keys = Projection::builder().projection_type(ProjectionType::KeysOnly);
        GlobalSecondaryIndex::builder()
            .index_name(self.name)
            .set_key_schema(Some(self.key.elements()))
            .projection(keys.build())
            .build()
            .expect("name and keys are given")
    }
}

/// Why a table was not made as defined.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum CreationFault {
    /// A call failed.
    #[error(transparent)]
    Table(#[from] TableFault),
    /// It took too long.
    #[error(
        "the table `{table}` did not become ready within {} s: it may still; run `iyagi provision` again",
        waited.as_secs()
    )]
    Unready {
        /// Its name.
        table: String,
        /// How long it was waited for.
        waited: Duration,
    },
}

/// How long a new table may take: seconds as a rule, a minute or two on a bad day.
pub const READY_WITHIN: Duration = Duration::from_mins(3);
/// How often it is asked for: the first answer may be the good one, as on test servers.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Makes a table that is not there yet, waits until it can be used, and sets its expiry and recovery.
///
/// The SDK repeats a creation whose answer was lost, and the repeat finds the table there: it goes on with that one.
pub async fn create(client: &Client, definition: &TableDefinition) -> Result<(), CreationFault> {
    let indexes: Vec<_> = definition
        .indexes
        .iter()
        .map(IndexDefinition::global_secondary_index)
        .collect();
    let created = client
        .create_table()
        .table_name(&definition.name)
        .set_attribute_definitions(Some(definition.attribute_definitions()))
        .set_key_schema(Some(definition.key.elements()))
        // An empty list is refused.
        .set_global_secondary_indexes((!indexes.is_empty()).then_some(indexes))
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await;
    if let Err(error) = created {
        let there = error
            .as_service_error()
            .is_some_and(CreateTableError::is_resource_in_use_exception);
        if !there {
            return Err(TableFault::of(&definition.name, "CreateTable", error).into());
        }
        tracing::info!(table = definition.name, "the table is there already");
    }
    wait_until_active(client, &definition.name, READY_WITHIN).await?;
    if definition.expires {
        enable_expiry(client, &definition.name).await?;
    }
    if definition.point_in_time_recovery {
        enable_recovery(client, &definition.name, READY_WITHIN).await?;
    }
    Ok(())
}

/// Waits until a table that is being made or changed can be used.
pub async fn wait_until_active(
    client: &Client,
    table: &str,
    within: Duration,
) -> Result<(), CreationFault> {
    let start = Instant::now();
    loop {
        let described = client.describe_table().table_name(table).send().await;
        match described.map_err(|error| TableFault::of(table, "DescribeTable", error)) {
            Ok(answer) => {
                let status = answer.table.and_then(|table| table.table_status);
                if status == Some(TableStatus::Active) {
                    return Ok(());
                }
            }
            // The control plane is eventually consistent: what it just made may not be there yet.
            Err(TableFault::Missing { .. }) => {}
            Err(fault) => return Err(fault.into()),
        }
        look_again(table, start, within).await?;
    }
}

/// Has items expire, if they do not yet.
pub async fn enable_expiry(client: &Client, table: &str) -> Result<(), TableFault> {
    let described = client
        .describe_time_to_live()
        .table_name(table)
        .send()
        .await;
    let described =
        described.map_err(|error| TableFault::of(table, "DescribeTimeToLive", error))?;
    let status = described
        .time_to_live_description
        .and_then(|description| description.time_to_live_status);
    // Asking for what is there already is refused.
    if matches!(
        status,
        Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
    ) {
        return Ok(());
    }
    let expiry = TimeToLiveSpecification::builder()
        .enabled(true)
        .attribute_name(EXPIRES_AT)
        .build()
        .expect("both are given");
    client
        .update_time_to_live()
        .table_name(table)
        .time_to_live_specification(expiry)
        .send()
        .await
        .map_err(|error| TableFault::of(table, "UpdateTimeToLive", error))?;
    Ok(())
}

/// Has the table be restorable to any second of the last weeks. Asking again changes nothing.
pub async fn enable_recovery(
    client: &Client,
    table: &str,
    within: Duration,
) -> Result<(), CreationFault> {
    let start = Instant::now();
    loop {
        let recovery = PointInTimeRecoverySpecification::builder()
            .point_in_time_recovery_enabled(true)
            .build()
            .expect("it is given");
        let updated = client
            .update_continuous_backups()
            .table_name(table)
            .point_in_time_recovery_specification(recovery)
            .send()
            .await;
        match updated {
            Ok(_) => return Ok(()),
            // A new table's backups are set up behind the scenes.
            Err(error) if error.code() == Some("ContinuousBackupsUnavailableException") => {
                look_again(table, start, within).await?;
            }
            Err(error) => {
                return Err(TableFault::of(table, "UpdateContinuousBackups", error).into());
            }
        }
    }
}

async fn look_again(table: &str, start: Instant, within: Duration) -> Result<(), CreationFault> {
    if start.elapsed() >= within {
        return Err(CreationFault::Unready {
            table: table.to_owned(),
            waited: within,
        });
    }
    tokio::time::sleep(LOOK_EVERY).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_attribute_is_defined_once() {
        for definition in TableDefinition::all(&Names::new("iyagi")) {
            let mut names: Vec<_> = definition
                .attribute_definitions()
                .into_iter()
                .map(|attribute| attribute.attribute_name)
                .collect();
            let defined = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), defined, "{}", definition.name);
            // The service refuses an attribute that no key uses, and a key that is not defined.
            let used: std::collections::BTreeSet<_> = std::iter::once(definition.key)
                .chain(definition.indexes.iter().map(|index| index.key))
                .flat_map(KeySchema::attributes)
                .map(|attribute| attribute.name.to_owned())
                .collect();
            assert_eq!(names, Vec::from_iter(used), "{}", definition.name);
        }
    }

    #[test]
    fn tables_are_called_by_their_names() {
        let names = Names::new("voice");
        let all = TableDefinition::all(&names).map(|definition| definition.name);
        let expected = [
            "voice-metadata",
            "voice-leases",
            "voice-journal",
            "voice-endpoints",
        ];
        assert_eq!(all, expected);
    }
}
