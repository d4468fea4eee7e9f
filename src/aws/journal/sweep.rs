//! Takes out of the table what every copy has taken out.
//!
//! That something is taken out is said in the log itself (`journal.trimmed`), so that each copy does it at the same place of
//! the log, and all decide upon the same. The table follows later, at leisure: an item is written anew without the events that
//! are gone, on condition that it is still the one that was read. Whoever reads the log finds such an item as far-reaching as
//! before, with fewer events.
//!
//! An item of which no event is left stays for a while as an empty one. A host that was stopped may still take its place
//! for the free one behind the last, and would write where others have long been; so its key is given free only when no
//! request can be on its way any more. Then the item before it takes over its positions, and only then it is deleted.
//!
//! Nothing here needs to be done by one host alone, or to its end: what is half done is done by the next sweep.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use iyagi_actors::journal::{JournalFault, SharedLog, Swept};
use iyagi_actors::ports::Clock;
use iyagi_messages::ids::{Pos, Timestamp};

use super::item::{Draft, Instead, Kept};
use super::log::{Fate, Log};
use crate::aws::dynamodb::fault::TableFault;

/// How long an empty item, and the parts of an item that was written anew, are kept for those who have not heard of it.
/// Requests are refused by AWS a quarter of an hour after they were signed, and hosts look before they write.
const KEPT_MS: u64 = 7 * 24 * 3_600_000;
/// Write capacity that a sweep uses at most: a fifth of what one partition gives, and the log is in one.
const UNITS_PER_SECOND: u32 = 200;
/// What one unit writes.
const UNIT_BYTES: usize = 1_024;
/// How soon a call that failed is tried again, how much later each time, and how often.
const RETRY_MIN: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(10);
const ATTEMPTS_MAX: u32 = 8;

/// Sweeps the log in a table.
pub struct LogSweep {
    log: Log,
    clock: Arc<dyn Clock>,
}

/// A sweep on its way.
struct Sweep<'a> {
    log: &'a Log,
    now: Timestamp,
    gone: &'a (dyn Fn(Pos) -> bool + Send + Sync),
    done: Swept,
    /// The last item that stays.
    keeper: Option<Kept>,
    /// Empty items behind it whose positions it is to take over.
    outlived: Vec<Kept>,
}

/// Another sweep has changed what this one saw.
struct Overtaken;

impl LogSweep {
    /// Of the log in `table`.
    pub fn new(client: aws_sdk_dynamodb::Client, table: String, clock: Arc<dyn Clock>) -> Self {
        let log = Log::new(client, table);
        Self { log, clock }
    }
}

#[async_trait]
impl SharedLog for LogSweep {
    async fn sweep(
        &self,
        through: Pos,
        gone: &(dyn Fn(Pos) -> bool + Send + Sync),
        goes_on: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Swept, JournalFault> {
        let mut sweep = Sweep {
            log: &self.log,
            now: self.clock.now(),
            gone,
            done: Swept::default(),
            keeper: None,
            outlived: Vec::new(),
        };
        let mut after = Pos(0);
        while goes_on() {
            let page = insist(|| self.log.kept_behind(after))
                .await
                .map_err(fault)?;
            let Some(last) = page.last().map(|kept| kept.first) else {
                break;
            };
            after = last;
            for kept in page.into_iter().take_while(|kept| kept.first <= through) {
                if let Some(Overtaken) = sweep.pass(kept).await.map_err(fault)? {
                    tracing::info!(
                        "another host sweeps the shared journal; this one leaves it to it"
                    );
                    return Ok(sweep.done);
                }
            }
            if last > through {
                break;
            }
        }
        sweep.hand_over().await.map_err(fault)?;
        Ok(sweep.done)
    }
}

impl Sweep<'_> {
    async fn pass(&mut self, mut kept: Kept) -> Result<Option<Overtaken>, TableFault> {
        self.drop_left(&mut kept, KEPT_MS).await?;
        if kept.emptied_at.is_none() {
            if let Some(Overtaken) = self.hand_over().await? {
                return Ok(Some(Overtaken));
            }
            let written = self.rewrite(&mut kept).await?;
            self.keeper = Some(kept);
            return Ok(written);
        }
        let reached = self.outlived.last().or(self.keeper.as_ref());
        let Some(reached) = reached.map(|before| before.last) else {
            self.keeper = Some(kept);
            return Ok(None);
        };
        if kept.last <= reached {
            // Its positions were taken over by a sweep that did not come to its end.
            self.delete(&kept).await?;
            return Ok(None);
        }
        let is_old = kept
            .emptied_at
            .is_some_and(|at| self.now.since_ms(at) >= KEPT_MS);
        if is_old && kept.left.is_none() && kept.first.0 == reached.0 + 1 {
            self.outlived.push(kept);
            return Ok(None);
        }
        let overtaken = self.hand_over().await?;
        self.keeper = Some(kept);
        Ok(overtaken)
    }

    /// Writes an item anew without the events that are gone, if it has any.
    async fn rewrite(&mut self, kept: &mut Kept) -> Result<Option<Overtaken>, TableFault> {
        let (log, seen): (&Log, &Kept) = (self.log, kept);
        let mut stretch = insist(|| log.open(seen)).await?;
        let before = stretch.events.len();
        stretch.events.retain(|event| !(self.gone)(event.pos));
        if stretch.events.len() == before {
            return Ok(None);
        }
        // There is room for the parts of one item only.
        self.drop_left(kept, 0).await?;
        let instead_of = Instead {
            token: kept.token.clone(),
            parts: kept.parts,
            at: self.now,
        };
        let draft = Draft::left(&stretch, instead_of);
        if insist(|| log.write(&draft)).await? == Fate::Taken {
            return Ok(Some(Overtaken));
        }
        pace(draft.bytes()).await;
        draft.token().clone_into(&mut kept.token);
        if stretch.events.is_empty() {
            self.done.emptied += 1;
        } else {
            self.done.rewritten += 1;
        }
        Ok(None)
    }

    /// Deletes the parts that an item has left for so long.
    async fn drop_left(&mut self, kept: &mut Kept, kept_ms: u64) -> Result<(), TableFault> {
        let Some(left) = kept
            .left
            .take_if(|left| self.now.since_ms(left.at) >= kept_ms)
        else {
            return Ok(());
        };
        let (log, seen): (&Log, &Kept) = (self.log, kept);
        insist(|| log.delete_parts(&left.token, left.parts)).await?;
        insist(|| log.forget_left(seen)).await?;
        self.done.removed += left.parts;
        Ok(())
    }

    /// Lets the last item that stays take over the positions of the empty ones behind it, which then go.
    async fn hand_over(&mut self) -> Result<Option<Overtaken>, TableFault> {
        let outlived = std::mem::take(&mut self.outlived);
        let (Some(keeper), Some(last)) = (&mut self.keeper, outlived.last()) else {
            return Ok(None);
        };
        let (log, seen): (&Log, &Kept) = (self.log, keeper);
        if !insist(|| log.extend(seen, last.last)).await? {
            return Ok(Some(Overtaken));
        }
        keeper.last = last.last;
        pace(UNIT_BYTES).await;
        for one in &outlived {
            self.delete(one).await?;
        }
        Ok(None)
    }

    async fn delete(&mut self, emptied: &Kept) -> Result<(), TableFault> {
        let log = self.log;
        insist(|| log.delete_emptied(emptied)).await?;
        pace(UNIT_BYTES).await;
        self.done.removed += 1;
        Ok(())
    }
}

/// Does it again while the table is throttled or does not answer, but not for ever: another run comes.
async fn insist<T, F>(mut call: impl FnMut() -> F) -> Result<T, TableFault>
where
    F: Future<Output = Result<T, TableFault>>,
{
    let mut wait = RETRY_MIN;
    for _ in 1..ATTEMPTS_MAX {
        match call().await {
            Err(fault @ (TableFault::Throttled { .. } | TableFault::Unreachable { .. })) => {
                wait = pause(&fault, wait).await;
            }
            done => return done,
        }
    }
    call().await
}

async fn pause(fault: &TableFault, wait: Duration) -> Duration {
    tracing::warn!(%fault, wait_ms = wait.as_millis(), "the sweep of the shared journal waits");
    tokio::time::sleep(wait).await;
    (wait * 2).min(RETRY_MAX)
}

/// Waits for as long as a write's share of the capacity lasts.
async fn pace(bytes: usize) {
    let units = bytes.div_ceil(UNIT_BYTES).max(1);
    let units = u32::try_from(units).unwrap_or(u32::MAX);
    tokio::time::sleep(Duration::from_secs(1) * units / UNITS_PER_SECOND).await;
}

fn fault(fault: TableFault) -> JournalFault {
    JournalFault::Unreadable(format!("the shared log is not swept: {fault}"))
}
