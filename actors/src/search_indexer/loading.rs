//! A graph that is older than its change log, put into an index that nobody else writes.

use std::collections::BTreeSet;

use iyagi_messages::cursor::Cursor;
use iyagi_messages::stream::StreamRecord;
use iyagi_search::document::Version;

use super::IndexTarget;
use super::batch::Batch;
use super::following::COMMIT_DOCUMENTS;
use crate::ports::SearchFault;
use crate::stream_poller::PollPace;

/// Folds the records of a graph as it was as of an operation, into an empty index. They get positions of their own, from the
/// first on: there are no more of them than the log had operations until then, so that whatever the log tells later is newer.
pub async fn load<E: From<SearchFault>>(
    mut records: impl Iterator<Item = Result<StreamRecord, E>>,
    target: &IndexTarget,
    as_of: Cursor,
    pace: PollPace,
) -> Result<(), E> {
    let mut batch = Batch::behind(Cursor::START, BTreeSet::new(), pace);
    let mut read = 0;
    loop {
        while batch.has_room() {
            let Some(record) = records.next() else { break };
            let mut record = record?;
            read += 1;
            record.event_id = Version::from_number(read).operation();
            batch.push(record);
        }
        if batch.is_empty() {
            break;
        }
        if let Some(wait) = batch.write(target).await? {
            tokio::time::sleep(wait).await;
        }
        if batch.uncommitted() >= COMMIT_DOCUMENTS {
            // Whoever finds it half done begins anew.
            target.index.commit(Cursor::START).await?;
            batch.committed();
        }
    }
    if Version::from_number(read).operation() > as_of {
        let told = format!("an export of {read} records is not of a graph as of {as_of}");
        return Err(SearchFault::Refused(told).into());
    }
    Ok(target.index.commit(as_of).await?)
}
