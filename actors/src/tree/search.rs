//! The part of the tree that keeps the search index.

use std::sync::Arc;

use super::Shared;
use super::child::{on, tell_now};
use crate::dlq_keeper::DlqMessage;
use crate::ports::SearchIndex;
use crate::runtime::{ChildSpec, Group, Mailbox};
use crate::search_indexer::{
    CURE, DocumentLetters, IndexTarget, LOG, SearchCounts, SearchIndexer, SearchIndexerContext,
    Step,
};
use crate::stream_poller::reading::LogSource;

pub(super) fn search_group(
    group: &Group,
    index: &Arc<dyn SearchIndex>,
    shared: &Shared<'_>,
    dlq: &Mailbox<DlqMessage>,
) -> Arc<SearchCounts> {
    let (ports, settings) = (shared.ports, shared.settings);
    let counts = Arc::new(SearchCounts::default());
    let letters = DocumentLetters {
        journal: Arc::clone(&ports.journal),
        projections: Arc::clone(shared.projections),
        dlq: dlq.for_sender("search-indexer"),
        clock: Arc::clone(&ports.clock),
    };
    let context = Arc::new(SearchIndexerContext {
        log: LogSource {
            stream: Arc::clone(&ports.stream),
            health: Arc::clone(shared.health),
            dependency: LOG,
            clock: Arc::clone(&ports.clock),
            pace: settings.pace,
            cure: CURE,
        },
        target: IndexTarget {
            index: Arc::clone(index),
            projection: settings.search.clone(),
            counts: Arc::clone(&counts),
            letters: Some(Arc::new(letters)),
        },
        fleet: shared.fleet.clone(),
    });
    let spec = ChildSpec {
        source: true,
        ..on("search", ChildSpec::new("search-indexer"))
    };
    let indexer = group.child(spec, move |_| {
        let context = Arc::clone(&context);
        async move { Ok(SearchIndexer::new(context)) }
    });
    tell_now(&indexer, Step);
    counts
}
