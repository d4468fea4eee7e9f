//! Whether the graph and the journal of a data folder belong together.
//!
//! The journal knows how far the graph's change log was read and who was told of what. A journal that was lost, or put
//! back from an older copy, beside a graph that was not would have people told again of what they know. So the graph
//! remembers how far its journal had come, and a daemon does not start with one that is behind that, unless somebody
//! says so: `iyagi backfill --from-graph` and `iyagi journal accept` do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::Pos;
use thiserror::Error;
use tokio::time::MissedTickBehavior;

use super::{AdapterError, DaemonError, DataLock, EmbeddedError, known_graph};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::embedded::graph::EmbeddedGraph;
use crate::embedded::journal::JournalReader;
use crate::surface::Surface;

/// One of the two is not the one that the other was used with.
#[derive(Debug, Error)]
pub enum Parted {
    /// The journal.
    #[error(
        "{} has come to event {head}, but {} was last used with a journal that had come to event {seen}: it was lost, or is an \
         older copy, and people would be told again of what they know. Put the newest copy of it back, without the `-wal` and \
         `-shm` files that lie there; or `iyagi backfill --from-graph` goes on at the end of the change log, and tells nobody of \
         what is before; or `iyagi journal accept` goes on with what there is, and tells people again",
        .journal.display(), .graph.display()
    )]
    Journal {
        /// Its file.
        journal: PathBuf,
        /// The graph's.
        graph: PathBuf,
        /// Where it ends.
        head: Pos,
        /// Where it had come to before.
        seen: Pos,
    },
    /// The graph.
    #[error(
        "{} has no commit, but {} has read its change log up to {cursor}: the graph was lost. Put the newest copy of it back, \
         without the `-wal` and `-shm` files that lie there; or set both aside, and commit the graph again before anybody's \
         device is registered",
        .graph.display(), .journal.display()
    )]
    Graph {
        /// Its file.
        graph: PathBuf,
        /// The journal's.
        journal: PathBuf,
        /// What it is done with.
        cursor: Cursor,
    },
}

/// Refuses a journal that is behind what a graph has seen of it.
pub(super) fn check_journal(dir: &Path, head: Pos, seen: Pos) -> Result<(), Parted> {
    if head >= seen {
        return Ok(());
    }
    Err(Parted::Journal {
        journal: dir.join("journal.db"),
        graph: dir.join("graph.db"),
        head,
        seen,
    })
}

/// Refuses a graph without any commit of which the journal, which is there, knows some.
pub(super) async fn check_graph(
    config: &Config,
    graph: &EmbeddedGraph,
) -> Result<(), EmbeddedError> {
    if graph.tip().await? != Cursor::START {
        return Ok(());
    }
    let cursor = known_graph::cursor(config)?;
    if cursor == Cursor::START {
        return Ok(());
    }
    let dir = &config.data.dir;
    Err(EmbeddedError::from(Parted::Graph {
        graph: dir.join("graph.db"),
        journal: dir.join("journal.db"),
        cursor,
    }))
}

/// How often the graph is told how far the journal is: an older copy of it than that is known for one.
const INTERVAL: Duration = Duration::from_mins(1);

/// Tells the graph of the journal for as long as it is polled, if both are on this machine.
pub(super) async fn keep_seeing(surface: Arc<Surface>) {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        see(&surface).await;
    }
}

/// Tells the graph how far the journal is, if both are on this machine.
pub(super) async fn see(surface: &Surface) {
    let Some(here) = &surface.one_machine else {
        return;
    };
    let pos = surface.tree.projections.outbox().pos;
    if let Err(error) = here.graph.see_journal(pos).await {
        tracing::warn!(%error, "the graph does not know how far the journal is");
    }
}

/// Takes the journal that a data folder has for the right one, however far it is. Yields where it ends.
pub async fn accept_journal(config: &Config) -> Result<Pos, DaemonError> {
    let _lock = DataLock::take(&config.data.dir)?;
    let accepted = accept(config).await;
    accepted.map_err(|error| AdapterError::from(error).into())
}

async fn accept(config: &Config) -> Result<Pos, EmbeddedError> {
    let dir = &config.data.dir;
    let journal = dir.join("journal.db");
    let there = journal.exists();
    let head = if there {
        let reader = JournalReader::open(&journal);
        let head = reader.and_then(|reader| Ok(reader.head()?));
        head.map_err(|error| EmbeddedError::of_journal(&journal, error))?
    } else {
        Pos::default()
    };
    let graph = EmbeddedGraph::open(&dir.join("graph.db"), Arc::new(SystemClock))?;
    if there {
        check_graph(config, &graph).await?;
    }
    graph.see_journal(head).await?;
    Ok(head)
}
