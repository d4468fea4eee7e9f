//! What request bodies bring, as clients write it.
//!
//! Handlers read bodies field by field, so that a mistake is known by its field; these types only say what they read.
#![expect(dead_code, reason = "their schemas are used")]

use iyagi_messages::device::Platform;
use iyagi_messages::ids::{ElementId, PersonId, PushId, TemplateId, Timestamp};
use iyagi_messages::preferences::QuietHours;
use iyagi_messages::subscription::{Anchor, When};
use utoipa::ToSchema;

/// A phone that is to be registered.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registration {
    /// The caller, who need not be named.
    person: Option<PersonId>,
    platform: Platform,
    /// The language of its texts.
    #[schema(
        pattern = "^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$",
        max_length = 35,
        example = "ko-KR"
    )]
    locale: String,
}

/// A file that is to be uploaded, with one checksum of the two.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadDeclaration {
    /// Its media type.
    #[schema(example = "image/jpeg")]
    content_type: String,
    /// Its bytes.
    #[schema(minimum = 1)]
    size: u64,
    /// Its SHA-256 in Base64.
    #[schema(example = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=")]
    checksum_sha256: Option<String>,
    /// Its CRC-32 in Base64, most significant byte first.
    #[schema(example = "NSRBwg==")]
    checksum_crc32: Option<String>,
    /// How it is sent; PUT if absent. Forms are taken by S3 alone.
    method: Option<UploadMethod>,
}

/// How an upload is sent.
#[derive(ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum UploadMethod {
    /// The bytes, with the headers of the answer.
    Put,
    /// A form, with the fields of the answer and then the bytes.
    Post,
}

/// What is read: the `ids`, or all that stand at or before `up_to`, or both: these as far as they stand there.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InboxMark {
    /// The caller, who need not be named.
    person: Option<PersonId>,
    #[schema(min_items = 1, max_items = 100)]
    ids: Option<Vec<PushId>>,
    /// The `position` of an entry.
    up_to: Option<u64>,
}

/// A new subscription, or a default notification that is enabled again.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum SubscriptionRequest {
    New(NewSubscription),
    Default(OptIn),
}

/// A new subscription.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSubscription {
    /// The caller, who need not be named.
    owner: Option<PersonId>,
    anchor: Anchor,
    when: Option<When>,
    /// The texts that announce it; `subscription` if absent.
    template: Option<TemplateId>,
    /// Whether the owner's own acts are left out; they are if absent.
    exclude_self: Option<bool>,
    /// Whether it tells of anything at all; it does if absent.
    enabled: Option<bool>,
    /// From when on it tells of nothing more.
    expires_at: Option<Timestamp>,
}

/// A default notification that is enabled again.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OptIn {
    /// The caller, who need not be named.
    owner: Option<PersonId>,
    #[schema(example = "follow")]
    template: TemplateId,
}

/// What of a subscription changes.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubscriptionChange {
    /// One of another kind replaces the whole anchor; of the same kind, what is left out stays.
    #[schema(value_type = Option<Object>)]
    anchor: Option<Anchor>,
    #[schema(value_type = Option<Object>)]
    when: Option<When>,
    template: Option<TemplateId>,
    exclude_self: Option<bool>,
    enabled: Option<bool>,
    expires_at: Option<Timestamp>,
}

/// What of the preferences changes. Null unsets what may be absent.
#[derive(Default, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PreferencesChange {
    /// The language of notifications; that of the phone if null.
    #[schema(
        pattern = "^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$",
        max_length = 35,
        example = "ko-KR"
    )]
    locale: Option<String>,
    /// Name in the IANA time zone database; UTC if null.
    #[schema(example = "Asia/Seoul")]
    time_zone: Option<String>,
    quiet_hours: Option<QuietHours>,
    /// Whether several notifications may come as one.
    digest: bool,
    /// Categories that are not wanted.
    opted_out_categories: Vec<String>,
    /// People and things of which nothing is to be heard.
    #[schema(max_items = 1000)]
    muted: Vec<ElementId>,
    /// People of whom nothing is to be heard, and who are to hear nothing of this person.
    #[schema(max_items = 1000)]
    blocked: Vec<PersonId>,
}
