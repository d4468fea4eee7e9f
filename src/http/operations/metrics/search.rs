//! What is told of the search index.

use iyagi_actors::search_indexer::SearchCounts;
use iyagi_messages::cursor::Cursor;

use crate::http::operations::exposition::Exposition;
use crate::surface::Surface;

/// As of which operation the index is; nothing if there is none, or it does not answer.
pub(super) async fn cursor(surface: &Surface) -> Option<Cursor> {
    surface.search.as_ref()?.cursor().await.ok()
}

pub(super) fn of_search(
    text: &mut Exposition,
    cursor: Option<Cursor>,
    counts: Option<&SearchCounts>,
) {
    let mut family = text.gauge(
        "iyagi_search_cursor_commit",
        "The last commit of the graph that is in the search index",
    );
    if let Some(cursor) = cursor {
        family.sample(&[], cursor.commit);
    }
    let mut family = text.counter(
        "iyagi_search_records_total",
        "Records of the change log that were folded into documents, since the start",
    );
    if let Some(counts) = counts {
        family.sample(&[], counts.records.get());
    }
    let mut family = text.counter(
        "iyagi_search_documents_total",
        "Documents that were handed to the search index, by what became of them, since the start",
    );
    for (outcome, count) in counts.into_iter().flat_map(SearchCounts::documents) {
        family.sample(&[("outcome", outcome)], count);
    }
    let mut family = text.counter(
        "iyagi_search_rejected_total",
        "Records and documents that are not searched for, by reason, since the start",
    );
    for (reason, count) in counts
        .into_iter()
        .flat_map(SearchCounts::rejected_by_reason)
    {
        family.sample(&[("reason", reason)], count);
    }
    let mut family = text.counter(
        "iyagi_search_left_out_total",
        "Records of properties that search.properties leaves out, since the start",
    );
    if let Some(counts) = counts {
        family.sample(&[], counts.left_out.get());
    }
    let mut family = text.counter(
        "iyagi_search_commits_total",
        "Commits of the search index, since the start",
    );
    if let Some(counts) = counts {
        family.sample(&[], counts.commits.get());
    }
}
