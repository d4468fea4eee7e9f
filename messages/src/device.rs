//! A phone that can be reached.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{DeviceToken, PersonId};

/// A registered phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// The push service's token.
    pub token: DeviceToken,
    /// Whose phone it is.
    pub person: PersonId,
    /// Which push service reaches it.
    pub platform: Platform,
    /// The language of its texts, such as `ko`.
    pub locale: String,
}

/// A push service.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Firebase Cloud Messaging.
    Fcm,
    /// Apple Push Notification service.
    Apns,
}
