//! `MediaBackfill`: makes the files of a changed or added preset, or rendition, for uploads that are there already.
//!
//! Told: [`Step`], by itself. Writes: `backfill.counted`, `backfill.advanced`, `backfill.completed`; operators write the
//! others. It walks the metadata table, first to count and then to offer what lacks files to the workers that make them, a
//! page at a time and only while little else waits for these. Among them its offers take turns with uploads as one more
//! uploader would. Several backfills go on side by side: those of pictures and of recordings wait for different workers.
//!
//! **Invariant:** how far it is, is in the journal, so a crash or another host repeats a page at most; and of an upload
//! that is offered twice everything is made once.
//!
//! # Layout
//! - this file: when what is done
//! - `recipe`: what is made, and which uploads lack it
//! - `walk`: every upload

mod recipe;
mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use iyagi_media::Preset;
use iyagi_media::audio::Rendition;
use iyagi_messages::fact::{BackfillAdvanced, BackfillCompleted, BackfillCounted, Fact};
use iyagi_messages::ids::{Incarnation as Writer, Seq};
use iyagi_messages::object::ObjectKey;

pub use self::recipe::Recipe;
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
    /// Which uploads there are.
    pub table: Arc<dyn MetadataTable>,
    /// Who makes thumbnails.
    pub pictures: Workers,
    /// Who makes renditions.
    pub recordings: Workers,
    /// The presets as they are now.
    pub presets: Vec<Preset>,
    /// The renditions that recordings are to have.
    pub renditions: Vec<Rendition>,
}

/// Those who make files of one kind.
pub struct Workers {
    /// Where uploads are offered to them.
    pub offers: Offers,
    /// Their queue.
    pub queue: Arc<dyn Queue>,
    /// Key prefixes of the uploads that they work on.
    pub prefixes: Vec<String>,
}

impl MediaBackfillContext {
    /// The backfills that go on, as they are at this moment.
    fn running(&self) -> Vec<Backfill> {
        self.projections.backfills().running().cloned().collect()
    }

    fn workers(&self, recipe: &Recipe) -> &Workers {
        match recipe {
            Recipe::Thumbnails(_) => &self.pictures,
            Recipe::Rendition(_) => &self.recordings,
        }
    }
}

/// How often it is looked whether there is something to do.
const IDLE: Duration = Duration::from_millis(500);
/// How long to wait while the workers have enough to do.
const BUSY: Duration = Duration::from_millis(200);
/// Messages that may wait for the workers while more is offered. An upload waits behind no more than these.
const WAITING_MAX: u64 = 20;

/// Offers uploads, one page at a time.
pub struct MediaBackfill {
    me: Writer,
    context: Arc<MediaBackfillContext>,
    /// By the name of what is made.
    counts: BTreeMap<String, Count>,
}

/// A count on its way. It is not kept: after a crash it begins anew.
#[derive(Default)]
struct Count {
    /// The event that began its backfill, or resumed it.
    seq: Seq,
    through: Option<ObjectKey>,
    uploads: u64,
    lacking: u64,
}

impl MediaBackfill {
    /// One with nothing counted.
    pub fn new(me: &Incarnation, context: Arc<MediaBackfillContext>) -> Self {
        Self {
            me: Writer(me.to_string()),
            context,
            counts: BTreeMap::new(),
        }
    }

    /// Does the next bit of each backfill, and says when to do the one after it.
    async fn step(&mut self) -> Result<Duration, Fault> {
        if self.context.fleet.leads().is_none() {
            return Ok(IDLE);
        }
        let running = self.context.running();
        let goes_on = |name: &String, count: &mut Count| {
            let mut running = running.iter();
            running.any(|one| (&one.preset, one.seq) == (name, count.seq))
        };
        self.counts.retain(goes_on);
        let mut pause = IDLE;
        for backfill in &running {
            pause = pause.min(self.advance(backfill).await?);
        }
        Ok(pause)
    }

    async fn advance(&mut self, backfill: &Backfill) -> Result<Duration, Fault> {
        let MediaBackfillContext {
            presets,
            renditions,
            ..
        } = &*self.context;
        let Some(recipe) = Recipe::named(&backfill.preset, presets, renditions) else {
            tracing::warn!(
                preset = backfill.preset,
                "a backfill ends: the configuration no longer has its preset"
            );
            return self.complete(backfill, backfill.offered).await;
        };
        match backfill.lacking {
            None => self.count(backfill, &recipe).await,
            Some(_) if backfill.dry_run => self.complete(backfill, 0).await,
            Some(_) => self.offer(backfill, &recipe).await,
        }
    }

    async fn count(&mut self, backfill: &Backfill, recipe: &Recipe) -> Result<Duration, Fault> {
        let prefixes = &self.context.workers(recipe).prefixes;
        let begun = || Count {
            seq: backfill.seq,
            ..Count::default()
        };
        let count = self.counts.entry(backfill.preset.clone());
        let count = count.or_insert_with(begun);
        let page = walk::page(&*self.context.table, prefixes, count.through.as_ref()).await;
        let page = page.map_err(|fault| table_down(&fault))?;
        let Some(last) = page.last() else {
            let counted = BackfillCounted {
                uploads: count.uploads,
                lacking: count.lacking,
            };
            self.write(backfill, counted.into()).await?;
            return Ok(Duration::ZERO);
        };
        count.through = Some(last.key.clone());
        for item in page.iter().filter(|item| recipe.concerns(item)) {
            count.uploads += 1;
            count.lacking += u64::from(recipe.lacks(item));
        }
        Ok(Duration::ZERO)
    }

    async fn offer(&self, backfill: &Backfill, recipe: &Recipe) -> Result<Duration, Fault> {
        let Workers {
            offers,
            queue,
            prefixes,
        } = self.context.workers(recipe);
        let depth = queue.depth().await.map_err(|fault| queue_down(&fault))?;
        if depth.visible + depth.in_flight >= WAITING_MAX {
            return Ok(BUSY);
        }
        let page = walk::page(&*self.context.table, prefixes, backfill.through.as_ref()).await;
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
            if recipe.concerns(&item) && recipe.lacks(&item) {
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
