//! Which endpoint of the service reaches which phone, shared by all hosts.
//!
//! A row saves calls about endpoints, whose quota is small, and nothing else: one that is lost or out of date is made
//! anew from the service's own answers. Tokens are kept and logged only as their hash.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use iyagi_actors::ports::Clock;
use iyagi_messages::device::Platform;
use iyagi_messages::ids::{DeviceToken, Seq};
use sha2::{Digest, Sha256};

use crate::aws::dynamodb::definitions::EXPIRES_AT;
use crate::aws::dynamodb::fault::TableFault;

/// Keeps the endpoint of each phone.
#[async_trait]
pub trait EndpointRegistry: Send + Sync + 'static {
    /// The endpoint of a phone.
    async fn get(&self, key: &EndpointKey) -> Result<Option<Endpoint>, TableFault>;

    /// Keeps the endpoint of a phone in the place of an older one.
    async fn put(&self, key: &EndpointKey, endpoint: &Endpoint) -> Result<(), TableFault>;

    /// Forgets the endpoint of a phone.
    async fn remove(&self, key: &EndpointKey) -> Result<(), TableFault>;
}

/// A phone's token as it may be shown: SHA-256 of platform and token, hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EndpointKey(String);

impl EndpointKey {
    /// The key of a phone.
    pub fn of(platform: Platform, token: &DeviceToken) -> Self {
        let platform = match platform {
            Platform::Fcm => "fcm",
            Platform::Apns => "apns",
        };
        let digest = Sha256::digest(format!("{platform}:{token}"));
        let mut key = String::with_capacity(2 * digest.len());
        for byte in digest {
            write!(key, "{byte:02x}").expect("a string takes whatever is written to it");
        }
        Self(key)
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An endpoint of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its ARN.
    pub arn: String,
    /// ARN of its platform application: another application's endpoint is of no use.
    pub application: String,
    /// The registration of the phone that it was last made sure for.
    pub registration: Seq,
}

/// How long a row is kept after its registration: Firebase forgets a silent phone's token after as long.
const ROW_LIFETIME: Duration = Duration::from_hours(270 * 24);

/// The registry in a table of DynamoDB.
pub struct DynamoEndpoints {
    dynamodb: Client,
    table: String,
    clock: Arc<dyn Clock>,
}

impl DynamoEndpoints {
    /// The registry in a table with the hash key `token` and the expiry [`EXPIRES_AT`].
    pub fn new(dynamodb: Client, table: String, clock: Arc<dyn Clock>) -> Self {
        Self {
            dynamodb,
            table,
            clock,
        }
    }
}

#[async_trait]
impl EndpointRegistry for DynamoEndpoints {
    async fn get(&self, key: &EndpointKey) -> Result<Option<Endpoint>, TableFault> {
        let call = self.dynamodb.get_item().table_name(&self.table);
        let call = call.key("token", text(key.as_str()));
        let answer = call
            .send()
            .await
            .map_err(|error| TableFault::of(&self.table, "GetItem", error))?;
        let Some(row) = answer.item else {
            return Ok(None);
        };
        let endpoint = read(&row);
        if endpoint.is_none() {
            tracing::warn!(table = self.table, token = %key, "the row of an endpoint is damaged and is made anew");
        }
        Ok(endpoint)
    }

    async fn put(&self, key: &EndpointKey, endpoint: &Endpoint) -> Result<(), TableFault> {
        let expires_at = self.clock.now().plus_ms(ROW_LIFETIME.as_millis() as u64).0 / 1_000;
        let call = self.dynamodb.put_item().table_name(&self.table);
        let call = call
            .item("token", text(key.as_str()))
            .item("endpoint", text(&endpoint.arn))
            .item("application", text(&endpoint.application))
            .item("registration", number(endpoint.registration))
            .item(EXPIRES_AT, number(expires_at));
        call.send()
            .await
            .map_err(|error| TableFault::of(&self.table, "PutItem", error))?;
        Ok(())
    }

    async fn remove(&self, key: &EndpointKey) -> Result<(), TableFault> {
        let call = self.dynamodb.delete_item().table_name(&self.table);
        let call = call.key("token", text(key.as_str()));
        call.send()
            .await
            .map_err(|error| TableFault::of(&self.table, "DeleteItem", error))?;
        Ok(())
    }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: impl fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn read(row: &HashMap<String, AttributeValue>) -> Option<Endpoint> {
    let text = |name: &str| row.get(name)?.as_s().ok().cloned();
    let registration = row.get("registration")?.as_n().ok()?.parse().ok()?;
    Some(Endpoint {
        arn: text("endpoint")?,
        application: text("application")?,
        registration: Seq(registration),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_platforms_apart_and_not_the_token() {
        let token = DeviceToken::from("a-secret-token");
        let (fcm, apns) = (
            EndpointKey::of(Platform::Fcm, &token),
            EndpointKey::of(Platform::Apns, &token),
        );
        assert_ne!(fcm, apns);
        assert_eq!(fcm.as_str().len(), 64);
        assert!(!fcm.to_string().contains("secret"));
    }
}
