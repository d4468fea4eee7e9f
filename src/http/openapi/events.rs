//! What is told as it comes, as server-sent events.
#![expect(dead_code, reason = "their schemas are used")]

use utoipa::ToSchema;

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
