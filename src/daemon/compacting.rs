//! Takes out of the journal what is over, once a day and beside everything else.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::embedded::journal::{Compaction, Outcome};
use crate::retention::kept_since;
use crate::surface::Surface;

/// How often it is looked whether another day is old enough, and what failed is tried anew.
const INTERVAL: Duration = Duration::from_mins(15);

/// Runs as long as the daemon is up: when another day is old enough, and when an operator says so.
pub(super) async fn compact_daily(surface: Arc<Surface>) {
    let Some(compaction) = &surface.compaction else {
        return;
    };
    let days = surface.config.journal_keep_days();
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once, and a start has more urgent work.
    interval.tick().await;
    let mut done = None;
    let mut given_back = None;
    let due = || days.map(|days| kept_since(surface.clock.now(), days));
    loop {
        let until = tokio::select! {
            _ = interval.tick() => due().filter(|due| done.is_none_or(|done| done < *due)),
            ordered = compaction.ordered() => Some(ordered),
        };
        if !compaction.leads() {
            follow(&surface, compaction, &mut given_back).await;
            // What the one that leads has begun may be left to this one.
            done = None;
            continue;
        }
        let Some(until) = until else { continue };
        match compaction.run(until).await {
            Ok(outcome) => {
                tell(&outcome);
                done = due().filter(|due| until >= *due).or(done);
            }
            Err(fault) if !compaction.leads() => {
                tracing::info!(%fault, "the journal is compacted by another host now");
            }
            Err(fault) => {
                tracing::error!(%fault, "the journal is not compacted; it is tried again soon");
            }
        }
    }
}

/// Gives back the room of what the host that leads has taken out of every copy.
async fn follow(surface: &Surface, compaction: &Compaction, given_back: &mut Option<u64>) {
    let taken_out = match surface.journal.compacted().await {
        Ok(compacted) => compacted.map(|compacted| compacted.events),
        Err(fault) => {
            tracing::warn!(%fault, "it is not known whether there is room to be given back");
            return;
        }
    };
    if taken_out == *given_back {
        return;
    }
    match compaction.give_room_back().await {
        Ok(()) => *given_back = taken_out,
        Err(fault) => tracing::warn!(%fault, "the room of what was taken out is not given back"),
    }
}

fn tell(outcome: &Outcome) {
    if !outcome.exports.is_empty() || outcome.taken_out > 0 {
        tracing::info!(
            exports = outcome.exports.len(),
            taken_out = outcome.taken_out,
            returned_bytes = outcome.returned_bytes,
            "what is over was taken out of the journal"
        );
    }
}
