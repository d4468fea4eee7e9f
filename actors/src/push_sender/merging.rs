//! Which pushes go as one: a pure function of those that wait for the same phone.

use std::collections::BTreeSet;

use iyagi_messages::fact::{MERGED_LISTED_MAX, PushMerged};
use iyagi_messages::ids::PersonId;
use iyagi_messages::push::{DeferReason, MergeKind, Push};

use super::state::PushState;

/// What one push tells of when it takes others along.
#[derive(Debug, Clone, PartialEq)]
pub struct Merger<'w> {
    /// The fact of the push that is sent.
    pub merged: PushMerged,
    /// The others.
    pub others: Vec<&'w PushState>,
}

/// What goes with a push that is due after it has waited; nothing if it goes by itself.
///
/// After a burst that is the rest of the burst. After quiet hours or an outage it is all that waited for their end: the phone
/// rings once, and if all of it is one burst, it says so.
pub fn merger_of<'w>(push: &PushState, waiting: &'w [PushState]) -> Option<Merger<'w>> {
    let due = push.progress.deferred?;
    let goes_along = |other: &&PushState| {
        other.push.id != push.push.id
            && other
                .progress
                .deferred
                .is_some_and(|wait| match due.reason {
                    DeferReason::Burst => {
                        wait.reason == DeferReason::Burst && other.push.burst == push.push.burst
                    }
                    DeferReason::Quiet | DeferReason::CatchUp => {
                        wait.reason == due.reason && wait.until <= due.until
                    }
                })
    };
    let others: Vec<&PushState> = waiting.iter().filter(goes_along).collect();
    // What opened the burst is on the phone already, and counts.
    let opened = u32::from(due.reason == DeferReason::Burst);
    if others.is_empty() && opened == 0 {
        return None;
    }
    let all = || others.iter().copied().chain([push]);
    let burst = |push: &Push| push.burst.unwrap_or_else(|| push.notification());
    let one_burst = all().all(|other| {
        let digest = other.progress.merged.map(|merged| merged.kind) == Some(MergeKind::Digest);
        let same = burst(&other.push) == burst(&push.push);
        other.push.template == push.push.template && same && !digest
    });
    let kind = if due.reason == DeferReason::Burst || one_burst {
        MergeKind::Burst
    } else {
        MergeKind::Digest
    };
    let actors = all().filter_map(|one| one.push.actor.as_ref());
    let actors: BTreeSet<&PersonId> = actors.collect();
    // One that failed after it had taken others along still tells of them. Who they are about is not known any more, so
    // that a person who did both is counted twice.
    let before = || all().filter_map(|one| one.progress.merged);
    let told_before: u32 = before().map(|merged| merged.count.saturating_sub(1)).sum();
    let actors_before: u32 = before().map(|merged| merged.actors.saturating_sub(1)).sum();
    let ids = others.iter().map(|other| other.push.id);
    let merged = PushMerged {
        kind,
        pushes: ids.take(MERGED_LISTED_MAX).collect(),
        count: others.len() as u32 + 1 + opened + told_before,
        // Whoever opened the burst is one more: the same person again would have been a repeat.
        actors: actors.len() as u32 + opened + actors_before,
    };
    Some(Merger { merged, others })
}
