//! Tables: keys, index, expiry, recovery. What each is, is defined beside its adapter.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{
    ContinuousBackupsStatus, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndexUpdate,
    PointInTimeRecoveryStatus, Projection, ProjectionType, TableDescription, TimeToLiveStatus,
};
use tokio::time::Instant;

use super::plan::{Action, Difference, Kind, Resource};
use super::site::Site;
use super::{Look, Part};
use crate::aws::dynamodb::definitions::{
    self, CreationFault, EXPIRES_AT, IndexDefinition, READY_WITHIN, TableDefinition,
};
use crate::aws::dynamodb::fault::TableFault;
use crate::aws::fault::{CallFault, FaultKind, code};
use crate::aws::names::Names;
use crate::config::Config;

const EXPIRY: &str = "TimeToLive";
const RECOVERY: &str = "PointInTimeRecovery";
/// How often a table that is being deleted is asked for.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(500);

/// One table.
pub(super) struct TablePart {
    resource: Resource,
    definition: TableDefinition,
}

impl TablePart {
    pub(super) fn all(config: &Config) -> Vec<Self> {
        let names = Names::new(&config.aws.name_prefix);
        let tables = TableDefinition::all(&names)
            .into_iter()
            .map(|definition| Self {
                resource: Resource::new(Kind::Table, &definition.name),
                definition,
            });
        tables.collect()
    }

    fn name(&self) -> &str {
        &self.definition.name
    }

    async fn describe(&self, site: &Site<'_>) -> Result<Option<TableDescription>, CallFault> {
        let call = site
            .clients
            .dynamodb
            .describe_table()
            .table_name(self.name());
        match call.send().await {
            Ok(answer) => Ok(answer.table),
            Err(error) if code(&error) == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(CallFault::of(
                &self.resource,
                "dynamodb:DescribeTable",
                &error,
            )),
        }
    }

    /// The attribute by which items expire, if they do.
    async fn expiry(&self, site: &Site<'_>) -> Result<Option<String>, CallFault> {
        let call = site
            .clients
            .dynamodb
            .describe_time_to_live()
            .table_name(self.name());
        let answer = call.send().await.map_err(|error| {
            CallFault::of(&self.resource, "dynamodb:DescribeTimeToLive", &error)
        })?;
        let description = answer.time_to_live_description;
        Ok(description.and_then(|description| {
            let on = matches!(
                description.time_to_live_status,
                Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
            );
            description.attribute_name.filter(|_| on)
        }))
    }

    async fn recovers(&self, site: &Site<'_>) -> Result<bool, CallFault> {
        let call = site.clients.dynamodb.describe_continuous_backups();
        let answer = call.table_name(self.name()).send().await;
        let answer = answer.map_err(|error| {
            CallFault::of(&self.resource, "dynamodb:DescribeContinuousBackups", &error)
        })?;
        let backups = answer.continuous_backups_description;
        Ok(backups.is_some_and(|backups| {
            let recovery = backups.point_in_time_recovery_description;
            let status = recovery.and_then(|recovery| recovery.point_in_time_recovery_status);
            backups.continuous_backups_status == ContinuousBackupsStatus::Enabled
                && status == Some(PointInTimeRecoveryStatus::Enabled)
        }))
    }

    /// Keys are for the life of a table: one with others is not ours to mend.
    fn refuse_other_keys(&self, table: &TableDescription) -> Result<(), CallFault> {
        let is = keys(table.key_schema());
        let wanted = keys(&self.definition.key.elements());
        if is == wanted {
            return Ok(());
        }
        Err(CallFault::refused(
            &self.resource,
            "dynamodb:DescribeTable",
            format!(
                "its key is {is}, not {wanted}, and a table's key cannot be changed: move the table away, or set \
                 aws.name_prefix to another"
            ),
        ))
    }

    async fn add_index(&self, site: &Site<'_>, index: &IndexDefinition) -> Result<(), CallFault> {
        let keys = Projection::builder().projection_type(ProjectionType::KeysOnly);
        let create = CreateGlobalSecondaryIndexAction::builder()
            .index_name(index.name)
            .set_key_schema(Some(index.key.elements()))
            .projection(keys.build())
            .build()
            .expect("name, keys and projection are given");
        let update = GlobalSecondaryIndexUpdate::builder().create(create).build();
        let call = site.clients.dynamodb.update_table().table_name(self.name());
        let call = call
            .set_attribute_definitions(Some(self.definition.attribute_definitions()))
            .global_secondary_index_updates(update);
        call.send()
            .await
            .map_err(|error| CallFault::of(&self.resource, "dynamodb:UpdateTable", &error))?;
        // One index at a time is added, and a table takes no other change meanwhile.
        let ready =
            definitions::wait_until_active(&site.clients.dynamodb, self.name(), READY_WITHIN);
        ready.await.map_err(|fault| self.fault(fault))
    }

    fn fault(&self, fault: CreationFault) -> CallFault {
        let reason = fault.to_string();
        let (kind, action) = match fault {
            CreationFault::Table(TableFault::Denied { action, .. }) => (FaultKind::Denied, action),
            CreationFault::Unready { .. } | CreationFault::Table(TableFault::Throttled { .. }) => {
                (FaultKind::Busy, "CreateTable")
            }
            CreationFault::Table(TableFault::Unreachable { .. }) => {
                (FaultKind::Unreachable, "CreateTable")
            }
            CreationFault::Table(TableFault::Refused { action, .. }) => {
                (FaultKind::Refused, action)
            }
            CreationFault::Table(_) => (FaultKind::Refused, "CreateTable"),
        };
        CallFault {
            resource: self.resource.to_string(),
            action: format!("dynamodb:{action}"),
            reason,
            kind,
        }
    }

    fn missing_indexes(&self, table: &TableDescription) -> Vec<&IndexDefinition> {
        let there = table.global_secondary_indexes();
        let wanted = self.definition.indexes.iter();
        let missing = wanted.filter(|index| {
            let mut there = there.iter();
            !there.any(|one| one.index_name() == Some(index.name))
        });
        missing.collect()
    }
}

fn keys(elements: &[aws_sdk_dynamodb::types::KeySchemaElement]) -> String {
    let mut keys: Vec<_> = elements
        .iter()
        .map(|element| {
            format!(
                "{} {}",
                element.key_type().as_str(),
                element.attribute_name()
            )
        })
        .collect();
    // HASH before RANGE, in whatever order the service lists them.
    keys.sort();
    keys.join(", ")
}

#[async_trait]
impl Part for TablePart {
    fn resource(&self) -> &Resource {
        &self.resource
    }

    async fn look(&self, site: &Site<'_>) -> Result<Look, CallFault> {
        let Some(table) = self.describe(site).await? else {
            return Ok(Action::Create.into());
        };
        self.refuse_other_keys(&table)?;
        let missing = self.missing_indexes(&table).into_iter();
        let mut differences: Vec<_> = missing
            .map(|index| Difference::new(format!("index {}", index.name), "missing", "there"))
            .collect();
        if self.definition.expires {
            let is = self.expiry(site).await?;
            if is.as_deref() != Some(EXPIRES_AT) {
                let is = is.unwrap_or_else(|| "off".to_owned());
                differences.push(Difference::new(EXPIRY, is, EXPIRES_AT));
            }
        }
        if self.definition.point_in_time_recovery && !self.recovers(site).await? {
            differences.push(Difference::new(RECOVERY, "off", "on"));
        }
        Ok(Action::mending(differences).into())
    }

    async fn create(&self, site: &Site<'_>) -> Result<(), CallFault> {
        let created = definitions::create(&site.clients.dynamodb, &self.definition).await;
        created.map_err(|fault| self.fault(fault))
    }

    async fn change(&self, site: &Site<'_>, differences: &[Difference]) -> Result<(), CallFault> {
        let client = &site.clients.dynamodb;
        for difference in differences {
            match difference.setting.as_str() {
                EXPIRY => {
                    let enabled = definitions::enable_expiry(client, self.name()).await;
                    enabled.map_err(|fault| self.fault(fault.into()))?;
                }
                RECOVERY => {
                    let enabled =
                        definitions::enable_recovery(client, self.name(), READY_WITHIN).await;
                    enabled.map_err(|fault| self.fault(fault))?;
                }
                setting => {
                    let mut wanted = self.definition.indexes.iter();
                    let index = wanted.find(|index| setting.ends_with(index.name));
                    self.add_index(
                        site,
                        index.expect("only defined indexes are found to be missing"),
                    )
                    .await?;
                }
            }
        }
        Ok(())
    }

    async fn farewell(
        &self,
        site: &Site<'_>,
        with_data: bool,
    ) -> Result<Option<Action>, CallFault> {
        let there = self.describe(site).await?;
        Ok(there.map(|_| {
            if with_data {
                return Action::Delete { with_data };
            }
            let why = "it may hold items; --with-data deletes it with them".to_owned();
            Action::Retain { why }
        }))
    }

    async fn delete(&self, site: &Site<'_>, _: bool) -> Result<(), CallFault> {
        let call = site.clients.dynamodb.delete_table().table_name(self.name());
        match call.send().await {
            Ok(_) => {}
            Err(error) if code(&error) == Some("ResourceNotFoundException") => return Ok(()),
            Err(error) => {
                let fault = CallFault::of(&self.resource, "dynamodb:DeleteTable", &error);
                return Err(fault);
            }
        }
        // Its name is free only once it is gone.
        let start = Instant::now();
        while self.describe(site).await?.is_some() {
            if start.elapsed() >= READY_WITHIN {
                let reason = format!("it is still there after {} s", READY_WITHIN.as_secs());
                let mut fault = CallFault::refused(&self.resource, "dynamodb:DeleteTable", reason);
                fault.kind = FaultKind::Busy;
                return Err(fault);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}
