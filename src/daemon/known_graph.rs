//! A graph for the matcher to begin with, where the change log has lost what it would be folded from.
//!
//! The log goes no sooner than a snapshot of the matcher's graph has what is in it. But a snapshot may be damaged, and a
//! build that folds otherwise passes those of an older one over. The graph itself is on this machine then, as it is now.

use std::sync::Arc;

use iyagi_actors::journal::{Journal, Snapshot};
use iyagi_actors::ports::{ChangeStream, Clock};
use iyagi_actors::subscription_matcher::bootstrap::{Bootstrap, OFFER, Sources};
use iyagi_actors::subscription_matcher::{GRAPH_SNAPSHOT, GRAPH_VERSION, cursor_of};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::Pos;

use super::EmbeddedError;
use crate::config::Config;
use crate::embedded::graph::EmbeddedGraph;
use crate::embedded::journal::{Filter, JournalReader, SqliteJournal};

/// Vertices or edges in one query.
const PAGE: u32 = 5_000;

/// Reads the graph for a matcher that could not fold it any more, unless it is the position that was trimmed away:
/// what is done about that is for the configuration to say.
pub(super) async fn make_known(
    config: &Config,
    graph: &EmbeddedGraph,
    journal: &SqliteJournal,
    head: Pos,
    clock: &Arc<dyn Clock>,
) -> Result<(), EmbeddedError> {
    let first = graph.first_commit().await.map_err(EmbeddedError::Log)?;
    if first == 1 {
        return Ok(());
    }
    for name in [GRAPH_SNAPSHOT, OFFER] {
        let snapshot = journal.snapshot(name, GRAPH_VERSION).await?;
        let known = snapshot.as_ref().and_then(cursor_of);
        if known.is_some_and(|known| known.commit + 1 >= first) {
            return Ok(());
        }
    }
    let cursor = cursor(config)?;
    if cursor.commit + 1 < first {
        return Ok(());
    }
    tracing::warn!(
        first,
        "no snapshot of the matcher's graph is kept that the change log leads on from; it is read from the graph itself"
    );
    let sources = Sources {
        queries: graph,
        stream: graph,
        pace: config.stream,
        clock: &**clock,
        model: &config.graph,
        page: PAGE,
    };
    let read = Bootstrap::by_queries(sources, |_| {}).await?;
    // What is not matched yet is in it already, and changes nothing when it is folded again.
    let snapshot = Snapshot {
        pos: head,
        ..read.as_of(cursor).into_offer()
    };
    journal.save_snapshot(GRAPH_SNAPSHOT, snapshot).await?;
    Ok(())
}

/// The last operation that the journal is done with.
fn cursor(config: &Config) -> Result<Cursor, EmbeddedError> {
    let path = config.data.dir.join("journal.db");
    let moves = Filter {
        kinds: vec!["cursor.advanced".to_owned()],
        newest_first: true,
        ..Filter::default()
    };
    let reader =
        JournalReader::open(&path).map_err(|error| EmbeddedError::of_journal(&path, error))?;
    let last = reader.find(&moves, 1)?.pop();
    Ok(match last.map(|event| event.fact) {
        Some(Fact::CursorAdvanced(advanced)) => advanced.to,
        _ => Cursor::START,
    })
}
