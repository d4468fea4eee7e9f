//! A graph that was read as it stands, because the change log does not reach back to its beginning.
//!
//! Two sources: an export, whose records come by [`Bootstrap::absorb`], and queries, page by page, by
//! [`Bootstrap::by_queries`]. What is read is offered as a snapshot under a name of its own; the matcher that leads takes
//! it over at its next start or message. That append moves the cursor to the watermark, and no push is made for
//! anything at or before it.

use iyagi_messages::change::EdgeEnds;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::{ElementId, Pos};
use iyagi_messages::stream::{Op, RecordData, RecordKind, StreamRecord, TypedValue};
use thiserror::Error;

use super::GRAPH_VERSION;
use super::change_log::{ChangeLog, Unfollowable};
use super::graph::{Graph, GraphModel};
use crate::journal::Snapshot;
use crate::ports::{ChangeStream, Clock, GraphFault, GraphQueries, StreamFault};
use crate::stream_poller::PollPace;

/// Name of the snapshot that holds what was read until the matcher has taken it over.
pub const OFFER: &str = "graph-offer";

/// A graph in the making.
#[derive(Debug, Default)]
pub struct Bootstrap {
    graph: Graph,
    read: Read,
}

/// How much was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Read {
    /// Labels of vertices.
    pub labels: u64,
    /// Edges.
    pub edges: u64,
    /// Records of properties. Matching needs the one alone that says who may see a vertex.
    pub properties: u64,
}

/// Where a graph is asked for as it stands.
pub struct Sources<'a> {
    /// The graph itself.
    pub queries: &'a dyn GraphQueries,
    /// Its change log, for what changes while it is read.
    pub stream: &'a dyn ChangeStream,
    /// How patiently the log is read.
    pub pace: PollPace,
    /// Tells how long a replica has lagged.
    pub clock: &'a dyn Clock,
    /// What the graph's labels mean.
    pub model: &'a GraphModel,
    /// Vertices or edges in one page.
    pub page: u32,
}

/// Why a graph cannot be read as it stands.
#[derive(Debug, Error)]
pub enum BootstrapError {
    /// An edge whose ends are not told.
    #[error("the edge {id} has no ends: the export is damaged")]
    LooseEdge {
        /// Which edge.
        id: ElementId,
    },
    /// A query.
    #[error(transparent)]
    Query(#[from] GraphFault),
    /// A page that ends where it begins would be asked for without end.
    #[error("the graph's pages do not go on: {id} comes again")]
    Repeated {
        /// The id.
        id: ElementId,
    },
    /// The log's head.
    #[error("the change log does not say where it ends: {0}")]
    Head(StreamFault),
    /// What happened while the graph was read cannot be read.
    #[error("what changed while the graph was read cannot be followed: {0}")]
    Tail(String),
}

impl Bootstrap {
    /// Takes one record of an export.
    pub fn absorb(
        &mut self,
        record: &StreamRecord,
        model: &GraphModel,
    ) -> Result<(), BootstrapError> {
        let data = &record.data;
        let count = match data.kind {
            RecordKind::VertexLabel => &mut self.read.labels,
            RecordKind::Edge if data.from.is_none() || data.to.is_none() => {
                let id = data.id.clone();
                return Err(BootstrapError::LooseEdge { id });
            }
            RecordKind::Edge => &mut self.read.edges,
            RecordKind::VertexProperty | RecordKind::EdgeProperty => &mut self.read.properties,
        };
        *count += 1;
        self.graph.absorb(record, model);
        Ok(())
    }

    /// Reads the graph by queries, and then what changed meanwhile, so that it is the graph as of one moment: the log's
    /// end once everything was read. `progress` is told of every page.
    ///
    /// Each page shows the graph at a moment of its own, none before the log's end as it was at the beginning. Folding the
    /// log from there on makes them one, because adding and removing what is already so changes nothing.
    pub async fn by_queries(
        sources: Sources<'_>,
        mut progress: impl FnMut(Read),
    ) -> Result<Self, BootstrapError> {
        let Sources {
            queries,
            stream,
            model,
            ..
        } = sources;
        let mut bootstrap = Self::default();
        let begin = head_of(stream).await?;
        let mut after: Option<ElementId> = None;
        loop {
            let page = queries.vertices(after.as_ref(), sources.page).await?;
            let Some((last, _)) = page.last() else { break };
            let last = another(after.as_ref(), last)?;
            for (vertex, labels) in page {
                for label in labels {
                    bootstrap.absorb(&label_record(&vertex, &label), model)?;
                }
            }
            after = Some(last);
            progress(bootstrap.read);
        }
        let key = &model.visibility_property;
        let mut after: Option<ElementId> = None;
        loop {
            let page = queries
                .vertices_with(key, after.as_ref(), sources.page)
                .await?;
            let Some((last, _)) = page.last() else { break };
            let last = another(after.as_ref(), last)?;
            for (vertex, words) in page {
                for word in words {
                    bootstrap.absorb(&property_record(&vertex, key, &word), model)?;
                }
            }
            after = Some(last);
            progress(bootstrap.read);
        }
        let mut after: Option<ElementId> = None;
        loop {
            let page = queries.edges(after.as_ref(), sources.page).await?;
            let Some((last, _)) = page.last() else { break };
            let last = another(after.as_ref(), last)?;
            for (edge, ends) in page {
                bootstrap.absorb(&edge_record(edge, ends), model)?;
            }
            after = Some(last);
            progress(bootstrap.read);
        }
        bootstrap.graph.cursor = begin;
        let log = ChangeLog {
            stream,
            pace: sources.pace,
            clock: sources.clock,
        };
        let end = head_of(stream).await?;
        let followed = log.follow(&mut bootstrap.graph, end, model).await;
        followed.map_err(|fault: Unfollowable| BootstrapError::Tail(fault.to_string()))?;
        Ok(bootstrap)
    }

    /// Says as of which operation of the log the export is.
    #[must_use]
    pub fn as_of(mut self, watermark: Cursor) -> Self {
        self.graph.cursor = watermark;
        self
    }

    /// No push is made for what lies at or before this operation.
    pub fn watermark(&self) -> Cursor {
        self.graph.cursor
    }

    /// How much was read.
    pub fn read(&self) -> Read {
        self.read
    }

    /// The offer, to be saved under [`OFFER`].
    pub fn into_offer(self) -> Snapshot {
        Snapshot {
            code_version: GRAPH_VERSION,
            // Only orders offers: a later one has the higher watermark.
            pos: Pos(self.graph.cursor.commit),
            body: self.graph.to_snapshot(),
        }
    }
}

async fn head_of(stream: &dyn ChangeStream) -> Result<Cursor, BootstrapError> {
    let head = stream.head().await.map_err(BootstrapError::Head)?;
    Ok(head.unwrap_or(Cursor::START))
}

/// The end of a page that goes on. Which of two ids comes first is the service's to say.
fn another(after: Option<&ElementId>, last: &ElementId) -> Result<ElementId, BootstrapError> {
    if after == Some(last) {
        let id = last.clone();
        return Err(BootstrapError::Repeated { id });
    }
    Ok(last.clone())
}

fn label_record(vertex: &ElementId, label: &str) -> StreamRecord {
    vertex_record(RecordKind::VertexLabel, vertex, "label", label)
}

fn property_record(vertex: &ElementId, key: &str, value: &str) -> StreamRecord {
    vertex_record(RecordKind::VertexProperty, vertex, key, value)
}

fn vertex_record(kind: RecordKind, id: &ElementId, key: &str, value: &str) -> StreamRecord {
    added(RecordData {
        id: id.clone(),
        kind,
        key: key.into(),
        value: TypedValue::string(value),
        from: None,
        to: None,
    })
}

fn edge_record(id: ElementId, ends: EdgeEnds) -> StreamRecord {
    added(RecordData {
        id,
        kind: RecordKind::Edge,
        key: "label".into(),
        value: TypedValue::string(&ends.label),
        from: Some(ends.from),
        to: Some(ends.to),
    })
}

fn added(data: RecordData) -> StreamRecord {
    StreamRecord {
        commit_timestamp: None,
        event_id: Cursor::START,
        data,
        op: Op::Add,
        is_last_op: false,
    }
}
