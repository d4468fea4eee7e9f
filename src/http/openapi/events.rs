//! What is told as it comes, as server-sent events.
#![expect(dead_code, reason = "their schemas are used")]

use utoipa::ToSchema;

use crate::embedded::push_log::Accepted;

/// One event, as a client for server-sent events reads it.
#[derive(ToSchema)]
pub(crate) struct LiveEvent {
    /// What a client sends as `Last-Event-ID` to go on behind it.
    #[schema(pattern = "^[0-9]+$", example = "4211")]
    id: String,
    event: LiveEventKind,
    /// JSON. Of `entry` it is an entry of the inbox, of `read` `{"ids": […]}`, of `withdrawn` `{"id": …}`, of `unread`
    /// `{"unread": n}`.
    #[schema(content_media_type = "application/json", example = r#"{"unread": 3}"#)]
    data: String,
}

/// What an event tells.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LiveEventKind {
    /// Something new, or new about something old.
    Entry,
    /// Entries were marked as read.
    Read,
    /// An entry is gone.
    Withdrawn,
    /// How much is unread has changed.
    Unread,
}

/// One event of what the gateway accepts.
#[derive(ToSchema)]
pub(crate) struct TapEvent {
    /// The gateway's own id of the push; absent of `missed`.
    id: Option<String>,
    event: TapEventKind,
    /// JSON. Of `accepted` it is the push, of `missed` `{"missed": n}`.
    #[schema(content_media_type = "application/json", example = r#"{"missed": 3}"#)]
    data: String,
}

/// What an event of a tap tells.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TapEventKind {
    /// A push was accepted.
    Accepted,
    /// Whoever listens was too slow for some.
    Missed,
}

/// One line of what the gateway accepts.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum TapLine {
    Accepted(Box<Accepted>),
    Missed(Missed),
}

/// Whoever listens was too slow for some.
#[derive(ToSchema)]
pub(crate) struct Missed {
    /// How many pushes are not told.
    missed: u64,
}

/// One event of what changes in an open page.
#[derive(ToSchema)]
pub(crate) struct PatchEvent {
    /// The position of the journal that it shows.
    #[schema(pattern = "^[0-9]+$", example = "4211")]
    id: String,
    event: PatchEventKind,
    /// JSON: `{"topic": …, "html": …}`.
    #[schema(
        content_media_type = "application/json",
        example = r#"{"topic": "verdict", "html": "…"}"#
    )]
    data: String,
}

/// What an event of an open page tells.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PatchEventKind {
    /// A part of the page as it is then, whole.
    Patch,
}
