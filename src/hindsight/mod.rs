//! The daemon's decisions of the past, explained and tried out anew: from the journal, the change log, and a snapshot of
//! the graph. Nothing is written, so it works beside a live daemon and at rest.
//!
//! # Layout
//! - this file: the sources, and what is no longer reachable of the past
//! - [`why_not`]: why one person was told of a commit, or was not
//! - [`gate`]: which event closed a gate
//! - [`what_if`]: what other templates would have made of recorded changes

pub mod gate;
pub mod what_if;
pub mod why_not;

use std::sync::Arc;
use std::time::Duration;

use iyagi_actors::journal::{JournalFault, Snapshot};
use iyagi_actors::ports::{ChangeStream, Clock, GraphQueries, StreamFault};
use iyagi_actors::stream_poller::assembler::{Assembler, CommitBounds, Gap, Gaps, Portion};
use iyagi_actors::subscription_matcher::{GRAPH_SNAPSHOT, GRAPH_VERSION, cursor_of};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{Pos, Timestamp};
use thiserror::Error;

use crate::aws::clients::{Clients, ClientsError};
use crate::aws::journal::Snapshots;
use crate::aws::neptune::{NeptuneGraph, NeptuneStream};
use crate::aws::s3::{OpenBucketError, S3Objects};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::embedded::graph::EmbeddedGraph;
use crate::embedded::journal::{Filter, JournalReader, OpenError};
use crate::embedded::sqlite::DatabaseError;
use crate::spool::Spool;

/// Events that are read at once.
const EVENTS: usize = 10_000;
/// Records that are read at once.
const RECORDS: u32 = 10_000;

/// What the past is read from.
pub struct Hindsight {
    journal: JournalReader,
    stream: Arc<dyn ChangeStream>,
    /// Names and titles, for whoever needs texts.
    graph: Option<Arc<dyn GraphQueries>>,
    /// Snapshots of the matcher's graph, the newest first.
    snapshots: Vec<(Cursor, Snapshot)>,
    /// Nobody is told of a larger commit.
    bounds: CommitBounds,
}

/// Why the past cannot be read.
#[derive(Debug, Error)]
pub enum PastFault {
    /// The journal's file.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its events.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// The embedded graph.
    #[error(transparent)]
    Graph(#[from] DatabaseError),
    /// The clients of AWS.
    #[error(transparent)]
    Clients(#[from] ClientsError),
    /// The bucket with the snapshots.
    #[error(transparent)]
    Bucket(#[from] OpenBucketError),
    /// The graph's address is not configured.
    #[error("`aws.neptune_endpoint` is missing: the graph and its change log are read there")]
    NoGraph,
    /// The change log cannot be read.
    #[error("the change log cannot be read: {0}")]
    Stream(#[from] StreamFault),
    /// The change log misses commits.
    #[error("the change log cannot be read: {0}")]
    Gap(#[from] Gap),
    /// The change log does not hold a commit yet.
    #[error("the change log has no commit {commit}; it ends at {tip}")]
    NotYet {
        /// The commit.
        commit: u64,
        /// Where the log ends.
        tip: Cursor,
    },
    /// The commit is one of those that nobody is told of.
    #[error(
        "commit {commit} changes too much at once: nobody is told of a migration or a clean-up"
    )]
    Withheld {
        /// The commit.
        commit: u64,
    },
    /// What was known when a commit was decided upon is no longer in the journal.
    #[error(
        "what was known when commit {commit} was matched is no longer in the journal: it was compacted up to commit {last}"
    )]
    TakenOut {
        /// The commit.
        commit: u64,
        /// The last commit of which that is so.
        last: u64,
    },
    /// The change log no longer holds a commit, or nothing is left to know the graph of then by.
    #[error(
        "the graph before commit {commit} is no longer reachable: the change log begins with commit {oldest}, and no \
         snapshot of the graph is kept that leads there. A longer `data.stream_expiry_days`, or on Neptune \
         neptune_streams_expiry_days, keeps more of what is to come"
    )]
    Gone {
        /// The commit.
        commit: u64,
        /// The first commit that is still there.
        oldest: u64,
    },
}

/// Where the daemon was done with a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// The position of the event that moved the cursor over it.
    pub pos: Pos,
    /// When that was.
    pub at: Timestamp,
    /// Where the cursor came to lie.
    pub to: Cursor,
}

impl Hindsight {
    /// Opens what the configuration names, to read.
    pub async fn open(config: &Config, journal: JournalReader) -> Result<Self, PastFault> {
        if config.aws.enabled {
            let clients = Clients::new(&config.aws).await?;
            let neptune = clients.neptune.ok_or(PastFault::NoGraph)?;
            let timeout = Duration::from_millis(config.aws.call_timeout_ms);
            let spool = Arc::new(Spool::of(config));
            let store = S3Objects::open(clients.s3, &config.media.bucket, timeout, spool).await?;
            let snapshots = Snapshots::new(Arc::new(store));
            let newest = snapshots.newest(GRAPH_SNAPSHOT, GRAPH_VERSION).await?;
            return Ok(Self {
                journal,
                stream: Arc::new(NeptuneStream::new(neptune.clone())),
                graph: Some(Arc::new(NeptuneGraph::new(neptune))),
                snapshots: placed(newest.into_iter().collect()),
                bounds: config.stream.commit,
            });
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let path = config.data.dir.join("graph.db");
        let graph = Arc::new(EmbeddedGraph::open_to_read(&path, clock)?);
        let snapshots = journal.snapshots(GRAPH_SNAPSHOT, GRAPH_VERSION)?;
        Ok(Self {
            journal,
            stream: Arc::clone(&graph) as _,
            graph: Some(graph),
            snapshots: placed(snapshots),
            bounds: config.stream.commit,
        })
    }

    /// The past of a daemon that is live, from what it works with.
    pub fn of_daemon(
        journal: JournalReader,
        stream: Arc<dyn ChangeStream>,
        newest: Option<Snapshot>,
        bounds: CommitBounds,
    ) -> Result<Self, PastFault> {
        let mut snapshots = journal.snapshots(GRAPH_SNAPSHOT, GRAPH_VERSION)?;
        snapshots.extend(newest);
        let mut snapshots = placed(snapshots);
        snapshots.sort_by(|(one, _), (other, _)| other.cmp(one));
        Ok(Self {
            journal,
            stream,
            graph: None,
            snapshots,
            bounds,
        })
    }

    /// The newest snapshot of the graph from which a commit can be reached; nothing for the graph before the first
    /// commit.
    async fn base_of(&self, commit: u64) -> Result<(Cursor, Option<&Snapshot>), PastFault> {
        let before = |(cursor, _): &&(Cursor, Snapshot)| cursor.commit < commit;
        let base = self.snapshots.iter().find(before);
        let (cursor, snapshot) = match base {
            Some((cursor, snapshot)) => (*cursor, Some(snapshot)),
            None => (Cursor::START, None),
        };
        let oldest = self.stream.first_commit().await?;
        if oldest > cursor.commit + 1 {
            return Err(PastFault::Gone { commit, oldest });
        }
        Ok((cursor, snapshot))
    }

    /// Reads the change log behind a place, up to and including a commit.
    async fn commits<E: From<PastFault>>(
        &self,
        behind: Cursor,
        last: u64,
        mut each: impl AsyncFnMut(Portion) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut assembler = Assembler::behind(behind, self.bounds);
        while assembler.done().commit < last {
            let portions = match self.stream.fetch(assembler.next(), RECORDS).await {
                Ok(page) => assembler
                    .take(page, Gaps::Refuse)
                    .map_err(PastFault::from)?,
                Err(StreamFault::NotFound { last_valid }) => {
                    let rest = assembler.close_at_tip();
                    if rest.is_empty() {
                        let tip = last_valid.unwrap_or(assembler.done());
                        return Err(PastFault::NotYet { commit: last, tip }.into());
                    }
                    rest
                }
                Err(fault) => return Err(PastFault::from(fault).into()),
            };
            for portion in portions {
                if portion.commit() <= last {
                    each(portion).await?;
                }
            }
        }
        Ok(())
    }

    /// Where the daemon was done with commits, by the commit that the cursor came to lie on.
    fn passed(&self) -> Result<Vec<Passed>, PastFault> {
        let mut all = Vec::new();
        self.events(&["cursor.advanced"], None, |event| {
            if let Fact::CursorAdvanced(advanced) = &event.fact {
                all.push(Passed {
                    pos: event.pos,
                    at: event.at,
                    to: advanced.to,
                });
            }
        })?;
        Ok(all)
    }

    /// The last commit of which it is no longer known what was known when it was decided upon.
    fn forgotten(&self, passed: &[Passed]) -> Result<Option<u64>, PastFault> {
        let Some(compacted) = self.journal.compacted()? else {
            return Ok(None);
        };
        let old = passed.iter().take_while(|one| one.pos <= compacted.through);
        Ok(old.last().map(|one| one.to.commit))
    }

    /// Hands on every event of some kinds before a position, in order.
    fn events(
        &self,
        kinds: &[&str],
        before: Option<Pos>,
        mut each: impl FnMut(Event),
    ) -> Result<(), PastFault> {
        let mut filter = Filter {
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            ..Filter::default()
        };
        loop {
            let page = self.journal.find(&filter, EVENTS)?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            filter.after = last.pos;
            for event in page {
                if before.is_some_and(|before| event.pos >= before) {
                    return Ok(());
                }
                each(event);
            }
        }
    }
}

/// Snapshots with the place in the change log that each is of.
fn placed(snapshots: Vec<Snapshot>) -> Vec<(Cursor, Snapshot)> {
    let snapshots = snapshots.into_iter();
    snapshots
        .filter_map(|snapshot| Some((cursor_of(&snapshot)?, snapshot)))
        .collect()
}
