//! What a person may upload in a day.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use iyagi_messages::ids::PersonId;

use crate::http::State;
use crate::http::limits::seconds;
use crate::http::problem::{Kind, Problem};
use crate::upload_quota::{Counted, Day, UploadQuota, Uploaded};

/// Takes a file from what is left of a person's day.
pub(super) async fn take(state: &State, person: &PersonId, bytes: u64) -> Result<(), Problem> {
    let surface = &state.surface;
    let now = surface.clock.now();
    let (day, quota) = (Day::of(now), surface.config.media.quota.per_day());
    let counted = surface.upload_counts.count(person, day, bytes, &quota);
    match counted.await {
        Ok(Counted::Yes) => Ok(()),
        Ok(Counted::Beyond(uploaded)) => {
            state.over_quota.fetch_add(1, Relaxed);
            let wait = Duration::from_millis(day.end().since_ms(now));
            Err(beyond(&quota, uploaded).retry_after(seconds(wait)))
        }
        Err(fault) => {
            tracing::warn!(%fault, "an upload was not granted");
            let detail = "what you have uploaded today cannot be told at present";
            Err(Problem::new(Kind::Unavailable, detail).retry_after(RETRY_SECONDS))
        }
    }
}

/// When to ask again while the counts cannot be reached.
const RETRY_SECONDS: u32 = 5;

fn beyond(quota: &UploadQuota, uploaded: Uploaded) -> Problem {
    let (limit, max, left, what) = if uploaded.files >= quota.files {
        ("media.quota.files_per_day", quota.files, 0, "files")
    } else {
        let left = quota.bytes.saturating_sub(uploaded.bytes);
        ("media.quota.bytes_per_day", quota.bytes, left, "bytes")
    };
    let detail =
        format!("you may upload {max} {what} a day, and {left} are left until midnight, UTC");
    Problem::new(Kind::QuotaExceeded, detail)
        .with("limit", limit)
        .with("max", max)
        .with("left", left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_was_reached_is_named_with_what_is_left_of_it() {
        let quota = UploadQuota {
            bytes: 10,
            files: 2,
        };
        for (bytes, files, limit, max, left) in [
            (4, 1, "media.quota.bytes_per_day", 10, 6),
            (10, 1, "media.quota.bytes_per_day", 10, 0),
            (4, 2, "media.quota.files_per_day", 2, 0),
        ] {
            let problem = beyond(&quota, Uploaded { bytes, files }).to_json();
            assert_eq!(problem["limit"], limit);
            assert_eq!(
                (&problem["max"], &problem["left"]),
                (&max.into(), &left.into())
            );
        }
    }
}
