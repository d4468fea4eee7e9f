//! A graph that is older than its change log, put into an index that nobody else writes.

use iyagi_messages::cursor::Cursor;
use iyagi_messages::stream::StreamRecord;

use super::IndexTarget;
use super::batch::Batch;
use super::following::COMMIT_DOCUMENTS;
use crate::ports::SearchFault;
use crate::stream_poller::PollPace;

/// Bits of a position that count operations of one commit, which a document's version has room for.
const OPERATION_BITS: u32 = 20;

/// Folds the records of a graph as it was as of an operation, into an empty index. They get positions of their own, from the
/// first on: there are no more of them than the log had operations until then, so that whatever the log tells later is newer.
/// `progress` is told how many were read. Yields how many there were.
pub async fn load<E: From<SearchFault>>(
    mut records: impl Iterator<Item = Result<StreamRecord, E>>,
    target: &IndexTarget,
    as_of: Cursor,
    pace: PollPace,
    mut progress: impl FnMut(u64),
) -> Result<u64, E> {
    let mut batch = Batch::behind(Cursor::START, pace);
    let mut read = 0;
    loop {
        while batch.has_room() {
            let Some(record) = records.next() else { break };
            let mut record = record?;
            read += 1;
            record.event_id = position(read);
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
            progress(read);
        }
    }
    if position(read) > as_of {
        let told = format!("an export of {read} records is not of a graph as of {as_of}");
        return Err(SearchFault::Refused(told).into());
    }
    target.index.commit(as_of).await?;
    progress(read);
    Ok(read)
}

fn position(number: u64) -> Cursor {
    let operation = number & ((1 << OPERATION_BITS) - 1);
    Cursor::new(number >> OPERATION_BITS, operation)
}
