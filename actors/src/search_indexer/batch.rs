//! What is on its way from the log to the index.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use iyagi_messages::cursor::Cursor;
use iyagi_messages::stream::StreamRecord;
use iyagi_search::projection::{Fold, Folded, Write};

use super::IndexTarget;
use crate::ports::{Outcome, SearchFault};
use crate::stream_poller::PollPace;
use crate::stream_poller::assembler::Portion;

/// Records that are folded together: an index that is far away is asked twice for each such part.
const RECORDS_AT_ONCE: usize = 1_000;

/// Records and documents that are in hand.
pub(super) struct Batch {
    records: VecDeque<StreamRecord>,
    /// Names of properties that the index has, or will have.
    names: BTreeSet<String>,
    /// Documents that the index had no time for.
    pending: Vec<Write>,
    /// The last record that is folded into `pending` or written.
    folded_to: Cursor,
    /// The last record that is written with all before it.
    written_to: Cursor,
    uncommitted: usize,
    /// Documents in one call; halved each time that this was too much.
    at_once: usize,
    /// Calls in a row that were too much.
    throttled: u32,
    pace: PollPace,
}

impl Batch {
    pub(super) fn behind(cursor: Cursor, names: BTreeSet<String>, pace: PollPace) -> Self {
        Self {
            records: VecDeque::new(),
            names,
            pending: Vec::new(),
            folded_to: cursor,
            written_to: cursor,
            uncommitted: 0,
            at_once: RECORDS_AT_ONCE,
            throttled: 0,
            pace,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.pending.is_empty()
    }

    /// The last record that is written with all before it.
    pub(super) fn written_to(&self) -> Cursor {
        self.written_to
    }

    /// Documents written since the last commit.
    pub(super) fn uncommitted(&self) -> usize {
        self.uncommitted
    }

    pub(super) fn committed(&mut self) {
        self.uncommitted = 0;
    }

    /// Whether the next part can have more records.
    pub(super) fn has_room(&self) -> bool {
        self.records.len() < RECORDS_AT_ONCE
    }

    pub(super) fn push(&mut self, record: StreamRecord) {
        self.records.push_back(record);
    }

    pub(super) fn take(&mut self, portions: Vec<Portion>) {
        for portion in portions {
            match portion {
                Portion::Whole(commit) => self.records.extend(commit.records),
                Portion::Part(records) => self.records.extend(records),
                // Its records came before.
                Portion::End(_) => {}
            }
        }
    }

    /// Writes the next part. Yields how long to wait where the index asks for patience.
    pub(super) async fn write(
        &mut self,
        target: &IndexTarget,
    ) -> Result<Option<Duration>, SearchFault> {
        if self.pending.is_empty() {
            self.fold(target).await?;
        }
        let mut later = Vec::new();
        while later.is_empty() && !self.pending.is_empty() {
            let some = self.pending.len().min(self.at_once);
            let writes: Vec<Write> = self.pending.drain(..some).collect();
            let outcomes = target.index.write(writes.clone()).await?;
            for (write, outcome) in writes.into_iter().zip(outcomes) {
                target.counts.outcome(&write, &outcome);
                match outcome {
                    Outcome::Throttled => later.push(write),
                    Outcome::Written => self.uncommitted += 1,
                    Outcome::Newer => {}
                    Outcome::Rejected(rejection) => target.give_up(&write, &rejection).await?,
                }
            }
        }
        if later.is_empty() {
            self.written_to = self.folded_to;
            self.at_once = (self.at_once * 2).min(RECORDS_AT_ONCE);
            self.throttled = 0;
            return Ok(None);
        }
        self.pending.splice(..0, later);
        self.at_once = (self.at_once / 2).max(1);
        self.throttled += 1;
        Ok(Some(self.pace.stalled(self.throttled)))
    }

    async fn fold(&mut self, target: &IndexTarget) -> Result<(), SearchFault> {
        let some = self.records.len().min(RECORDS_AT_ONCE);
        let part = || self.records.range(..some);
        let Some(last) = part().next_back() else {
            return Ok(());
        };
        let last = last.event_id;
        let touched = target.projection.touched(part());
        let standing = target.index.standing(&touched).await?;
        let mut fold = Fold::onto(&target.projection, &mut self.names, standing);
        for record in self.records.range(..some) {
            fold.fold(record);
        }
        let Folded {
            writes,
            rejected,
            left_out,
        } = fold.finish();
        target.counts.left_out.count(left_out);
        for rejected in rejected {
            target.counts.rejected(&rejected);
        }
        target.counts.records.count(some as u64);
        self.records.drain(..some);
        self.pending = writes;
        self.folded_to = last;
        Ok(())
    }
}
