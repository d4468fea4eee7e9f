//! What is told of the journal: what was taken out of it, and how that went.

use iyagi_messages::fact::JournalCompacted;
use iyagi_messages::ids::Timestamp;

use crate::embedded::journal::CompactionStanding;
use crate::http::operations::exposition::Exposition;

pub(super) fn of_compaction(
    text: &mut Exposition,
    compacted: &JournalCompacted,
    oldest: Option<Timestamp>,
    standing: CompactionStanding,
) {
    let mut family = text.gauge(
        "iyagi_journal_oldest_event_timestamp_seconds",
        "When the oldest event that is in the journal was appended, since 1970",
    );
    if let Some(at) = oldest {
        family.sample(&[], at.0 as f64 / 1_000.0);
    }
    text.counter(
        "iyagi_journal_compacted_events_total",
        "Events that were taken out of the journal, after they were exported",
    )
    .sample(&[], compacted.events);
    text.gauge(
        "iyagi_journal_compacted_position",
        "Position behind which nothing was ever taken out of the journal",
    )
    .sample(&[], compacted.through.0);
    text.counter(
        "iyagi_journal_returned_bytes_total",
        "Bytes of the journal's file that were given back since the daemon came up",
    )
    .sample(&[], standing.returned_bytes);
    let mut family = text.counter(
        "iyagi_journal_log_items_total",
        "Items of the log that hosts share that this one has changed since it came up, because of what was taken out",
    );
    for (outcome, items) in [
        ("rewritten", standing.log_rewritten),
        ("removed", standing.log_removed),
    ] {
        family.sample(&[("outcome", outcome)], items);
    }
    let mut family = text.counter(
        "iyagi_journal_compactions_total",
        "Runs that took out what is over since the daemon came up, by outcome",
    );
    let done = standing.runs - standing.failed;
    for (outcome, runs) in [("done", done), ("failed", standing.failed)] {
        family.sample(&[("outcome", outcome)], runs);
    }
    let mut family = text.gauge(
        "iyagi_journal_compaction_timestamp_seconds",
        "When the last of them was done, since 1970",
    );
    if let Some(at) = standing.done_at {
        family.sample(&[], at.0 as f64 / 1_000.0);
    }
}
