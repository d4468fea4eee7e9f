//! Tables are what their definitions say.

use aws_sdk_dynamodb::types::{
    BillingMode, PointInTimeRecoveryStatus, ProjectionType, TimeToLiveStatus,
};
use iyagi::aws::dynamodb::definitions::{
    EXPIRES_AT, READY_WITHIN, TableDefinition, create, enable_expiry, enable_recovery,
};
use iyagi::aws::names::Names;

use crate::servers::{Server, localemu, ministack, moto, unique};

async fn are_made_as_defined(server: &Server) {
    let client = server.clients().dynamodb;
    for definition in TableDefinition::all(&Names::new(&unique("made"))) {
        let name = &definition.name;
        create(&client, &definition).await.expect("it is made");

        let described = client.describe_table().table_name(name).send().await;
        let table = described.expect("it is there").table.expect("described");
        let mut defined = definition.attribute_definitions();
        let mut attributes = table.attribute_definitions.unwrap_or_default();
        defined.sort_by(|one, other| one.attribute_name.cmp(&other.attribute_name));
        attributes.sort_by(|one, other| one.attribute_name.cmp(&other.attribute_name));
        assert_eq!(attributes, defined, "{name}");
        assert_eq!(table.key_schema, Some(definition.key.elements()), "{name}");
        let billing = table
            .billing_mode_summary
            .and_then(|billing| billing.billing_mode);
        assert_eq!(billing, Some(BillingMode::PayPerRequest), "{name}");
        let indexes = table.global_secondary_indexes.unwrap_or_default();
        assert_eq!(indexes.len(), definition.indexes.len(), "{name}");
        for (index, defined) in indexes.iter().zip(&definition.indexes) {
            assert_eq!(index.index_name(), Some(defined.name));
            assert_eq!(index.key_schema(), defined.key.elements());
            let projection = index
                .projection
                .as_ref()
                .and_then(|p| p.projection_type.clone());
            assert_eq!(projection, Some(ProjectionType::KeysOnly));
        }

        let expiry = client.describe_time_to_live().table_name(name).send().await;
        let expiry = expiry.expect("described").time_to_live_description;
        let expiry =
            expiry.filter(|expiry| expiry.time_to_live_status == Some(TimeToLiveStatus::Enabled));
        let attribute = expiry.and_then(|expiry| expiry.attribute_name);
        assert_eq!(
            attribute.as_deref(),
            definition.expires.then_some(EXPIRES_AT),
            "{name}"
        );

        let recovery = client
            .describe_continuous_backups()
            .table_name(name)
            .send()
            .await;
        let recovery = recovery
            .expect("described")
            .continuous_backups_description
            .and_then(|backups| backups.point_in_time_recovery_description)
            .and_then(|recovery| recovery.point_in_time_recovery_status);
        let enabled = recovery == Some(PointInTimeRecoveryStatus::Enabled);
        assert_eq!(enabled, definition.point_in_time_recovery, "{name}");

        // As after a creation whose answer was lost.
        let again = create(&client, &definition).await;
        again.expect("it goes on with the one that is there");
        if definition.expires {
            enable_expiry(&client, name)
                .await
                .expect("it is enabled already");
        }
        if definition.point_in_time_recovery {
            let repeated = enable_recovery(&client, name, READY_WITHIN).await;
            repeated.expect("it is enabled already");
        }
    }
}

#[tokio::test]
async fn are_made_as_defined_on_ministack() {
    are_made_as_defined(ministack()).await;
}

#[tokio::test]
async fn are_made_as_defined_on_moto() {
    are_made_as_defined(moto()).await;
}

#[tokio::test]
async fn are_made_as_defined_on_localemu() {
    if let Some(server) = localemu() {
        are_made_as_defined(server).await;
    }
}
