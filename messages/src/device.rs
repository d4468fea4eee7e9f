//! A phone that can be reached.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

use crate::ids::{DeviceToken, PersonId};

/// A registered phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
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
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Firebase Cloud Messaging.
    Fcm,
    /// Apple Push Notification service.
    Apns,
}

/// A text that names no push service.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("\"{0}\" is no push service; there are fcm and apns")]
pub struct UnknownPlatform(String);

impl Platform {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Fcm, Self::Apns];

    /// The service as it stands in metrics and the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fcm => "fcm",
            Self::Apns => "apns",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Platform {
    type Err = UnknownPlatform;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|it| it.as_str() == text);
        named.ok_or_else(|| UnknownPlatform(text.to_owned()))
    }
}
