//! A push: who is told of which change on which device, and every way it can end.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::cursor::Cursor;
use crate::device::{Device, Platform};
use crate::ids::{DeviceToken, ElementId, PersonId, PushId, TemplateId, Timestamp};

/// One notification for one device. It carries ids, never the text: that is rendered when it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Push {
    /// Derived from commit, element, template, recipient and device.
    pub id: PushId,
    /// Who is told.
    pub recipient: PersonId,
    /// The phone; absent when the person has none, which suppresses the push at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceToken>,
    /// The push service of the phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Language of the texts.
    pub locale: String,
    /// The kind of notification.
    pub template: TemplateId,
    /// The template's category.
    pub category: String,
    /// The commit that it tells of.
    pub commit: Cursor,
    /// The changed element.
    pub element: ElementId,
    /// Who did it, where the change says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<PersonId>,
    /// What it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<ElementId>,
    /// The property that changed, for subscriptions to a property.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When the change was requested.
    pub at: Timestamp,
    /// From when on it is stale.
    pub expires_at: Timestamp,
    /// What to do with an attempt whose outcome a crash swallowed.
    #[serde(default)]
    pub on_unknown_outcome: OnUnknownOutcome,
    /// The burst about one subject that it belongs to, by its first notification: on the phone all of a burst are one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<PushId>,
    /// Whether the recipient has asked to hear also of what they did themselves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_act_too: bool,
    /// Whether it tells that the element was deleted: nothing of it need be there for that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_deletion: bool,
}

/// A push but for whom it goes to: what everybody who is concerned is told of one change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// The kind of notification.
    pub template: TemplateId,
    /// The template's category.
    pub category: String,
    /// The commit that it tells of.
    pub commit: Cursor,
    /// The changed element.
    pub element: ElementId,
    /// Who did it, where the change says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<PersonId>,
    /// What it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<ElementId>,
    /// The property that changed, for subscriptions to a property.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When the change was requested.
    pub at: Timestamp,
    /// From when on it is stale.
    pub expires_at: Timestamp,
    /// What to do with an attempt whose outcome a crash swallowed.
    #[serde(default)]
    pub on_unknown_outcome: OnUnknownOutcome,
    /// Whether the recipient has asked to hear also of what they did themselves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_act_too: bool,
    /// Whether it tells that the element was deleted: nothing of it need be there for that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_deletion: bool,
}

impl Notice {
    /// One person's pushes: one for each phone. Who has none gets one without a phone, so that the journal can say why
    /// nothing was sent.
    pub fn to<'d>(
        &self,
        recipient: &PersonId,
        phones: impl Iterator<Item = &'d Device>,
    ) -> impl Iterator<Item = Push> {
        let mut phones = phones.map(Some).peekable();
        let nobody = phones.peek().is_none().then_some(None);
        phones
            .chain(nobody)
            .map(|phone| self.push(recipient, phone))
    }

    fn push(&self, recipient: &PersonId, phone: Option<&Device>) -> Push {
        let token = phone.map(|phone| &phone.token);
        let Self {
            commit,
            element,
            template,
            ..
        } = self;
        Push {
            id: PushId::derive(commit.commit, element, template, recipient, token),
            recipient: recipient.clone(),
            device: token.cloned(),
            platform: phone.map(|phone| phone.platform),
            locale: phone.map_or_else(String::new, |phone| phone.locale.clone()),
            template: template.clone(),
            category: self.category.clone(),
            commit: *commit,
            element: element.clone(),
            actor: self.actor.clone(),
            subject: self.subject.clone(),
            key: self.key.clone(),
            at: self.at,
            expires_at: self.expires_at,
            on_unknown_outcome: self.on_unknown_outcome,
            burst: None,
            own_act_too: self.own_act_too,
            of_deletion: self.of_deletion,
        }
    }
}

impl Push {
    /// What all phones of the recipient are told of the change by this template: one notification.
    pub fn notification(&self) -> PushId {
        let (element, recipient) = (&self.element, &self.recipient);
        PushId::derive(self.commit.commit, element, &self.template, recipient, None)
    }
}

/// Why a push waits although it could be sent.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DeferReason {
    /// The recipient is not to be disturbed before then.
    Quiet,
    /// More of the same may come until then, and goes with it.
    Burst,
    /// The change log is read late: what would come now, one by one, comes as one later.
    CatchUp,
}

impl DeferReason {
    /// The reason as it stands in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Burst => "burst",
            Self::CatchUp => "catch_up",
        }
    }
}

impl fmt::Display for DeferReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the pushes that go as one have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MergeKind {
    /// Their template and subject: "Ada and 4 others".
    Burst,
    /// Only the phone: "5 new notifications".
    Digest,
}

/// What to do with an attempt whose outcome a crash swallowed.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknownOutcome {
    /// Send again with the same id and collapse key, so that the phone replaces the first copy.
    #[default]
    Resend,
    /// Never send twice, at the price of a push that perhaps never left.
    GiveUp,
}

/// Why a push was not sent although its change matched.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SuppressReason {
    /// The recipient did it themselves.
    Myself,
    /// One of recipient and actor has blocked the other.
    Blocked,
    /// The recipient has muted the actor or the subject.
    Muted,
    /// The recipient has opted out, or unsubscribed meanwhile.
    Unsubscribed,
    /// The recipient has no phone registered.
    NoDevice,
    /// The phone was signed out or handed to someone else meanwhile.
    DeviceGone,
    /// The push service says that the token is dead.
    EndpointDead,
    /// It is older than its category allows.
    Stale,
    /// A crash swallowed the outcome and its category forbids sending twice.
    UnknownOutcome,
    /// The same person did the same to the same thing a moment ago.
    Duplicate,
    /// It would have to wait until after the recipient's quiet hours, and is worth nothing by then.
    Quiet,
    /// The recipient has had too many of late.
    RateLimited,
    /// It went with another one.
    Merged,
    /// The change log is read late, and it is not worth waiting with others.
    CatchUp,
    /// The recipient may not see what it tells of.
    NotVisible,
}

impl SuppressReason {
    /// The reason as it stands in metrics and the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Myself => "myself",
            Self::Blocked => "blocked",
            Self::Muted => "muted",
            Self::Unsubscribed => "unsubscribed",
            Self::NoDevice => "no_device",
            Self::DeviceGone => "device_gone",
            Self::EndpointDead => "endpoint_dead",
            Self::Stale => "stale",
            Self::UnknownOutcome => "unknown_outcome",
            Self::Duplicate => "duplicate",
            Self::Quiet => "quiet",
            Self::RateLimited => "rate_limited",
            Self::Merged => "merged",
            Self::CatchUp => "catch_up",
            Self::NotVisible => "not_visible",
        }
    }
}

impl fmt::Display for SuppressReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why nothing is sent by a push service.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// A person said so.
    Operator,
    /// Too many of its tokens are told to be dead at once, which wrong credentials look like.
    DyingTokens,
}

impl PauseReason {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Operator, Self::DyingTokens];

    /// The reason as it stands in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::DyingTokens => "dying_tokens",
        }
    }
}

impl fmt::Display for PauseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What kind of failure a gateway answered with; each has one rule.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The service stumbled: try again later, a bounded number of times.
    Transient,
    /// The service asks for patience: try again later, without counting the attempt.
    Throttled,
    /// The token is dead: the device is dropped, nothing is retried.
    EndpointDead,
    /// This payload will never be accepted: dead letter at once.
    Poison,
    /// The platform application is disabled: stop pulling for everybody until it is mended.
    ApplicationBroken,
    /// Credentials or permissions are wrong: stop pulling for everybody until they are mended.
    ConfigurationBroken,
    /// No answer: it may or may not have been accepted.
    Unknown,
}

impl FailureClass {
    /// The class as it stands in metrics and the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::EndpointDead => "endpoint_dead",
            Self::Poison => "poison",
            Self::ApplicationBroken => "application_broken",
            Self::ConfigurationBroken => "configuration_broken",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
