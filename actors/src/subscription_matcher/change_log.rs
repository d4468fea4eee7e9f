//! Brings a graph forward along the change log. Nothing is matched.

use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::Timestamp;
use iyagi_messages::stream::StreamRecord;
use thiserror::Error;

use super::graph::{Graph, GraphModel};
use crate::ports::{ChangeStream, Clock, StreamFault};
use crate::stream_poller::assembler::{Assembler, Portion};
use crate::stream_poller::{OnGap, PollPace, out_of_patience};

/// The change log, and how patiently it is read.
pub(super) struct ChangeLog<'a> {
    pub(super) stream: &'a dyn ChangeStream,
    pub(super) pace: PollPace,
    pub(super) clock: &'a dyn Clock,
}

/// Why a graph cannot be brought forward.
#[derive(Debug, Error)]
pub(super) enum Unfollowable {
    /// The log does not reach back, or no longer reaches as far, as the graph needs.
    #[error("the change log does not have what follows: {0}")]
    Gone(StreamFault),
    /// Commits are missing, and may not be.
    #[error("{0}")]
    Gap(String),
    /// The log cannot be read now.
    #[error("{0}")]
    Unreadable(StreamFault),
}

/// Records in one page.
const PAGE: u32 = 10_000;

impl ChangeLog<'_> {
    /// Folds the commits behind the graph up to and including the one that `to` lies in. Yields when the first of them was
    /// requested, as far as the engine says.
    pub(super) async fn follow(
        &self,
        graph: &mut Graph,
        to: Cursor,
        model: &GraphModel,
    ) -> Result<Option<Timestamp>, Unfollowable> {
        if graph.cursor == Cursor::START && to > Cursor::START {
            self.check_beginning(to).await?;
        }
        let pace = self.pace;
        let mut first_at = None;
        let mut assembler = Assembler::behind(graph.cursor, pace.commit);
        let mut gaps = 0;
        let mut behind_since = None;
        while assembler.done() < to {
            let page = self.stream.fetch(assembler.next(), PAGE);
            let available = match page.await {
                Ok(page) => match assembler.take(page, pace.after_gaps(gaps)) {
                    Ok(available) => available,
                    Err(gap) if pace.on_gap == OnGap::Skip => {
                        tracing::warn!(%gap, reads = gaps + 1, "the graph's rebuild waits for a commit");
                        tokio::time::sleep(pace.stalled(gaps)).await;
                        gaps += 1;
                        continue;
                    }
                    Err(gap) => return Err(Unfollowable::Gap(gap.to_string())),
                },
                Err(StreamFault::NotFound { .. }) if assembler.position() >= to => {
                    assembler.close_at_tip()
                }
                Err(fault @ StreamFault::NotFound { .. }) => {
                    let now = self.clock.now();
                    if out_of_patience(*behind_since.get_or_insert(now), now) {
                        return Err(Unfollowable::Gone(fault));
                    }
                    tracing::warn!(%fault, %to, "the graph's rebuild waits for a replica that lags");
                    tokio::time::sleep(pace.at_tip(u32::MAX)).await;
                    continue;
                }
                Err(fault @ StreamFault::Expired) => return Err(Unfollowable::Gone(fault)),
                Err(fault) => return Err(Unfollowable::Unreadable(fault)),
            };
            (gaps, behind_since) = (0, None);
            for portion in &available {
                first_at = first_at.or(portion.at());
                fold(portion, to, graph, model);
            }
        }
        Ok(first_at)
    }

    /// An empty graph is folded from the log's beginning, and lacks what that has lost.
    async fn check_beginning(&self, to: Cursor) -> Result<(), Unfollowable> {
        let first = self.stream.first_commit().await;
        let first = first.map_err(Unfollowable::Unreadable)?;
        if first > to.commit {
            return Err(Unfollowable::Gone(StreamFault::Expired));
        }
        if first > 1 {
            tracing::warn!(
                first,
                "the change log has lost its beginning, and the graph is folded from what is left: followers and makers \
                 from before are unknown. `iyagi backfill` reads them from the graph itself, or from an export"
            );
        }
        Ok(())
    }
}

fn fold(portion: &Portion, to: Cursor, graph: &mut Graph, model: &GraphModel) {
    match portion {
        Portion::Whole(commit) if commit.number <= to.commit => graph.fold(commit, model),
        Portion::Part(records) => {
            let within = |record: &&StreamRecord| record.event_id.commit <= to.commit;
            for record in records.iter().filter(within) {
                graph.absorb(record, model);
            }
        }
        Portion::End(extent) if extent.end.commit <= to.commit => graph.cursor = extent.end,
        Portion::Whole(_) | Portion::End(_) => {}
    }
}
