//! What is told of inboxes and of who listens to them.

use iyagi_actors::ports::InboxCounts;

use crate::http::operations::exposition::Exposition;
use crate::http::public::inbox::{Live, LiveEnd};

pub(super) fn of_inbox(text: &mut Exposition, counts: InboxCounts, live: &Live) {
    let mut family = text.counter(
        "iyagi_inbox_notifications_total",
        "Notifications that were listed in inboxes, and of those the ones that were withdrawn, since the start",
    );
    family.sample(&[("outcome", "listed")], counts.listed);
    family.sample(&[("outcome", "withdrawn")], counts.withdrawn);
    text.counter(
        "iyagi_inbox_read_entries_total",
        "Entries that were marked as read, since the start",
    )
    .sample(&[], counts.read);
    let mut family = text.counter(
        "iyagi_inbox_dropped_entries_total",
        "Entries that were dropped because their person has too many, or because they were too old, since the start",
    );
    family.sample(&[("reason", "count")], counts.dropped_over_count);
    family.sample(&[("reason", "age")], counts.dropped_over_age);
    text.gauge(
        "iyagi_inbox_live_connections",
        "Apps that listen to an inbox",
    )
    .sample(&[], live.connections());
    text.counter(
        "iyagi_inbox_live_refused_total",
        "Apps that could not listen because every place was taken",
    )
    .sample(&[], live.refused());
    let mut family = text.counter(
        "iyagi_inbox_live_ended_total",
        "Apps that no longer listen, by why",
    );
    for end in LiveEnd::ALL {
        family.sample(&[("reason", end.as_str())], live.ended(end));
    }
}
