//! `MediaBackfill`: makes the files of a changed or added preset for pictures that are there already.
//!
//! Told: [`Step`], by itself. Writes: `backfill.counted`, `backfill.advanced`, `backfill.completed`; operators write the
//! others. It walks the metadata table, first to count and then to offer what lacks files of the preset to the thumbnail
//! workers, a page at a time and only while little else waits for them. Among them its offers take turns with uploads as
//! one more uploader would.
//!
//! **Invariant:** how far it is, is in the journal, so a crash or another host repeats a page at most; and a picture that
//! is offered twice is rendered once.
//!
//! # Layout
//! - this file: when what is done
//! - `walk`: every picture, and which of them lack what

mod walk;

use std::sync::Arc;
use std::time::Duration;

use iyagi_media::Preset;
use iyagi_messages::fact::{BackfillAdvanced, BackfillCompleted, BackfillCounted, Fact};
use iyagi_messages::ids::{Incarnation as Writer, Seq};
use iyagi_messages::object::ObjectKey;

use crate::fleet::Fleet;
use crate::journal::{Draft, Journal};
use crate::media_job::{Offers, queue_down, table_down};
use crate::ports::{MetadataTable, Queue};
use crate::projections::{Backfill, Backfills, Projections};
use crate::runtime::{Cx, Done, Failure, Fault, Incarnation, Worker};

/// The loop's tick.
#[derive(Debug)]
pub struct Step;

/// What a backfill works with.
pub struct MediaBackfillContext {
    /// Where it is written how far it is.
    pub journal: Arc<dyn Journal>,
    /// Which backfills there are.
    pub projections: Arc<Projections>,
    /// Whether it is this host's work.
    pub fleet: Fleet,
    /// Which pictures there are.
    pub table: Arc<dyn MetadataTable>,
    /// Where they are offered.
    pub offers: Offers,
    /// The workers' queue.
    pub queue: Arc<dyn Queue>,
    /// The presets as they are now.
    pub presets: Vec<Preset>,
    /// Key prefixes whose pictures get thumbnails.
    pub prefixes: Vec<String>,
}

/// How often it is looked whether there is something to do.
const IDLE: Duration = Duration::from_millis(500);
/// How long to wait while the workers have enough to do.
const BUSY: Duration = Duration::from_millis(200);
/// Messages that may wait for the workers while more is offered. An upload waits behind no more than these.
const WAITING_MAX: u64 = 20;

/// Offers pictures, one page at a time.
pub struct MediaBackfill {
    me: Writer,
    context: Arc<MediaBackfillContext>,
    counting: Option<Counting>,
}

/// A count on its way. It is not kept: after a crash it begins anew.
struct Counting {
    /// Which backfill it is for: the event that began it, or resumed it.
    preset: String,
    seq: Seq,
    through: Option<ObjectKey>,
    pictures: u64,
    lacking: u64,
}

impl MediaBackfill {
    /// One with nothing counted.
    pub fn new(me: &Incarnation, context: Arc<MediaBackfillContext>) -> Self {
        Self {
            me: Writer(me.to_string()),
            context,
            counting: None,
        }
    }

    /// Does the next bit, and says when to do the one after it.
    async fn step(&mut self) -> Result<Duration, Fault> {
        if self.context.fleet.leads().is_none() {
            return Ok(IDLE);
        }
        let Some(backfill) = self.context.projections.backfills().next().cloned() else {
            self.counting = None;
            return Ok(IDLE);
        };
        let preset = self.context.presets.iter();
        let preset = preset
            .clone()
            .find(|preset| preset.name == backfill.preset)
            .cloned();
        let Some(preset) = preset else {
            tracing::warn!(
                preset = backfill.preset,
                "a backfill ends: the configuration no longer has its preset"
            );
            return self.complete(&backfill, backfill.offered).await;
        };
        match backfill.lacking {
            None => self.count(&backfill, &preset).await,
            Some(_) if backfill.dry_run => self.complete(&backfill, 0).await,
            Some(_) => self.offer(&backfill, &preset).await,
        }
    }

    async fn count(&mut self, backfill: &Backfill, preset: &Preset) -> Result<Duration, Fault> {
        let goes_on = |counting: &Counting| {
            (&counting.preset, counting.seq) == (&backfill.preset, backfill.seq)
        };
        let counting = self.counting.take().filter(goes_on);
        let mut counting = counting.unwrap_or_else(|| Counting {
            preset: backfill.preset.clone(),
            seq: backfill.seq,
            through: None,
            pictures: 0,
            lacking: 0,
        });
        let MediaBackfillContext {
            table, prefixes, ..
        } = &*self.context;
        let page = walk::page(&**table, prefixes, counting.through.as_ref()).await;
        let page = page.map_err(|fault| table_down(&fault))?;
        let Some(last) = page.last() else {
            let counted = BackfillCounted {
                pictures: counting.pictures,
                lacking: counting.lacking,
            };
            self.write(backfill, counted.into()).await?;
            return Ok(Duration::ZERO);
        };
        counting.through = Some(last.key.clone());
        for item in page.iter().filter(|item| walk::is_picture(item)) {
            counting.pictures += 1;
            counting.lacking += u64::from(walk::lacks(item, preset));
        }
        self.counting = Some(counting);
        Ok(Duration::ZERO)
    }

    async fn offer(&self, backfill: &Backfill, preset: &Preset) -> Result<Duration, Fault> {
        let MediaBackfillContext {
            table,
            prefixes,
            offers,
            queue,
            ..
        } = &*self.context;
        let depth = queue.depth().await.map_err(|fault| queue_down(&fault))?;
        if depth.visible + depth.in_flight >= WAITING_MAX {
            return Ok(BUSY);
        }
        let page = walk::page(&**table, prefixes, backfill.through.as_ref()).await;
        let page = page.map_err(|fault| table_down(&fault))?;
        if page.is_empty() {
            return self.complete(backfill, backfill.offered).await;
        }
        let mut through = None;
        let mut offered = 0;
        for item in page {
            if offered == WAITING_MAX {
                break;
            }
            if walk::is_picture(&item) && walk::lacks(&item, preset) {
                offered += u64::from(offers.offer(&item.key, &item.sequencer).await?);
            }
            through = Some(item.key);
        }
        let advanced = BackfillAdvanced {
            through: through.expect("a page that is not empty has a first item"),
            offered: backfill.offered + offered,
        };
        self.write(backfill, advanced.into()).await?;
        Ok(Duration::ZERO)
    }

    async fn complete(&self, backfill: &Backfill, offered: u64) -> Result<Duration, Fault> {
        self.write(backfill, BackfillCompleted { offered }.into())
            .await?;
        Ok(Duration::ZERO)
    }

    /// Writes the next event of a backfill, unless an operator was quicker.
    async fn write(&self, backfill: &Backfill, fact: Fact) -> Result<(), Fault> {
        let entity = Backfills::entity(&backfill.preset);
        let mut draft = Draft::new(&self.me, entity.to_string());
        let upstream = format!("{entity}@{}", backfill.seq.0 + 1);
        draft.expect(entity.clone(), backfill.seq);
        draft.begin(&upstream, entity, fact);
        self.context.journal.append(draft.finish()).await?;
        Ok(())
    }
}

impl Worker for MediaBackfill {
    type Msg = Step;

    async fn handle(&mut self, _: &Step, cx: &Cx<Step>) -> Result<Done, Fault> {
        let pause = self.step().await?;
        cx.tell_self_after(pause, Step);
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, _: &Step, history: &[Failure]) -> Result<(), Fault> {
        // A tick carries nothing, but without it the loop would end.
        let reason = history.last().map_or("no reason", Failure::reason);
        Err(Fault::worker(format!(
            "the backfill keeps failing: {reason}"
        )))
    }
}
