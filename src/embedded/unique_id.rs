//! Ids that are never given twice and sort by time.

use iyagi_messages::ids::Timestamp;
use uuid::{NoContext, Uuid};

/// A new id.
pub(crate) fn unique_id(now: Timestamp) -> Uuid {
    let ms = u64::try_from(now.0).unwrap_or(0);
    let nanoseconds = u32::try_from(ms % 1000).expect("below 1,000") * 1_000_000;
    Uuid::new_v7(uuid::Timestamp::from_unix(
        NoContext,
        ms / 1000,
        nanoseconds,
    ))
}
