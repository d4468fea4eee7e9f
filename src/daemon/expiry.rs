//! Trims the embedded graph's change log by age, as Neptune trims its own.
//!
//! Neptune trims what nobody has read, too, and so loses it. Here the one who reads is known: it may have been off for
//! weeks on somebody's laptop, and what happened before must still be told. So nothing goes that this daemon needs: what
//! it has not matched, what of it is in no snapshot of the matcher's graph, what the search index does not have. Others
//! who read the log are not waited for.

use std::sync::Arc;
use std::time::Duration;

use iyagi_actors::journal::{Journal, JournalFault};
use iyagi_actors::ports::{Clock, SearchFault, SearchIndex};
use iyagi_actors::projections::Projections;
use iyagi_actors::subscription_matcher::{GRAPH_SNAPSHOT, GRAPH_VERSION, cursor_of};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::Timestamp;
use thiserror::Error;
use tokio::time::MissedTickBehavior;

use crate::embedded::graph::EmbeddedGraph;
use crate::embedded::sqlite::DatabaseError;
use crate::surface::Surface;

/// How often the age of the oldest commit is looked at. It goes by days.
const INTERVAL: Duration = Duration::from_mins(10);

/// Trims for as long as it is polled, if the graph is on this machine.
pub(super) async fn expire_change_log(surface: Arc<Surface>) {
    let Some(here) = &surface.one_machine else {
        return;
    };
    let needs = Needs {
        journal: &*surface.journal,
        projections: &surface.tree.projections,
        search: surface.search.as_deref(),
    };
    let expiry = surface.config.data.stream_expiry();
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        match expire(&here.graph, &*surface.clock, expiry, &needs).await {
            Ok(0) => {}
            Ok(commits) => tracing::info!(commits, "commits have expired in the change log"),
            Err(fault) => tracing::warn!(%fault, "old commits are still in the change log"),
        }
    }
}

/// Who still needs what of the log.
struct Needs<'a> {
    journal: &'a dyn Journal,
    projections: &'a Projections,
    search: Option<&'a dyn SearchIndex>,
}

/// Why nothing is trimmed.
#[derive(Debug, Error)]
enum ExpiryFault {
    #[error(transparent)]
    Graph(#[from] DatabaseError),
    #[error(transparent)]
    Journal(#[from] JournalFault),
    #[error(transparent)]
    Search(#[from] SearchFault),
}

async fn expire(
    graph: &EmbeddedGraph,
    clock: &dyn Clock,
    expiry: Duration,
    needs: &Needs<'_>,
) -> Result<u64, ExpiryFault> {
    let expiry_ms = i64::try_from(expiry.as_millis()).unwrap_or(i64::MAX);
    let before = Timestamp(clock.now().0.saturating_sub(expiry_ms));
    let kept_since = graph.kept_since().await?;
    if kept_since.is_none_or(|at| at >= before) {
        return Ok(0);
    }
    let done = needs.done().await?;
    Ok(graph.expire(before, done).await?)
}

impl Needs<'_> {
    /// The operation up to which nobody needs the log any more. It may lie within a commit: a large one is indexed in parts.
    async fn done(&self) -> Result<Cursor, ExpiryFault> {
        let snapshot = self.journal.snapshot(GRAPH_SNAPSHOT, GRAPH_VERSION).await?;
        let mut done = snapshot.as_ref().and_then(cursor_of).unwrap_or_default();
        done = done.min(self.projections.outbox().cursor);
        if let Some(search) = self.search {
            done = done.min(search.cursor().await?);
        }
        Ok(done)
    }
}
