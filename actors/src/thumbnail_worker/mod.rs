//! `ThumbnailWorker`: makes the thumbnails of one picture.
//!
//! Told: [`Delivery`] from the queue `thumbnails`. Writes: `derived.claimed`, `thumbnail.rendered`, `thumbnail.failed`,
//! `letter.requested`. Derived files are content-addressed and immutable: pictures of the same bytes share them, a second
//! render of the same bytes by the same preset does not happen unless an operator orders it, and a changed preset gives new
//! keys.
//!
//! **Invariant:** a message leaves its queue only after its outcome is durable; no file is stored that was not claimed.
//!
//! # Layout
//! - this file: one picture from its notification to its outcome
//! - `candidate`: which objects, and under which keys
//! - `files`: what is to be there, and what each file says of itself
//! - `rendering`: the work on pixels

mod candidate;
mod files;
mod rendering;

use std::sync::Arc;

use iyagi_media::{FocalPoint, Format, Preset, RenderError, Rendered};
use iyagi_messages::fact::{ThumbnailFailed, ThumbnailRendered};
use iyagi_messages::ids::Incarnation as Writer;
use iyagi_messages::media::{Claim, Sketch, Thumbnails, Variant};
use iyagi_messages::object::{ObjectEvent, ObjectEventKind, ObjectKey, Sequencer};

pub use self::candidate::{claims_to_be_a_picture, derived_key, focal_point};
use self::files::{Look, Wanted, presets_of, wanted};
pub use self::rendering::{Foreseen, Rendering, Unrendered};
use crate::media_job::{
    DerivedFiles, GivenUp, Gone, MediaJournal, Reading, is_candidate, objects_of, queue_down,
    read_write, read_write_of, reprocessing_of, store_down, table_down,
};
use crate::ports::{DecoderFault, MetadataTable, NewObject, ObjectStore, StoreFault, Written};
use crate::queue_intake::Delivery;
use crate::runtime::{CpuError, Cx, Done, Failure, Fault, Incarnation, Worker};

/// What every thumbnail worker works with.
pub struct ThumbnailWorkerContext {
    /// Where outcomes are written.
    pub media: MediaJournal,
    /// Where pictures are read and thumbnails are stored.
    pub store: Arc<dyn ObjectStore>,
    /// Where thumbnails are listed for readers.
    pub table: Arc<dyn MetadataTable>,
    /// Whose derived files are whose.
    pub derived: DerivedFiles,
    /// Where pixels are computed.
    pub rendering: Rendering,
    /// Which thumbnails to make.
    pub presets: Vec<Preset>,
    /// Key prefixes whose pictures get thumbnails.
    pub prefixes: Vec<String>,
}

/// Makes thumbnails, one picture at a time.
pub struct ThumbnailWorker {
    me: Writer,
    context: Arc<ThumbnailWorkerContext>,
}

/// Why a picture has no thumbnails.
enum Failed {
    /// It never will have.
    ForGood(GivenUp),
    /// What is needed is down.
    Down(Fault),
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Down(fault)
    }
}

/// One write of a picture.
struct Picture {
    key: ObjectKey,
    sequencer: Sequencer,
    bytes: Arc<Vec<u8>>,
    /// Of the bytes, if the store knows it.
    sha256: Option<String>,
    focal_point: Option<FocalPoint>,
}

impl ThumbnailWorker {
    /// A worker with nothing in hand.
    pub fn new(me: &Incarnation, context: Arc<ThumbnailWorkerContext>) -> Self {
        Self {
            me: Writer(me.to_string()),
            context,
        }
    }

    async fn one(&self, delivery: &Delivery, event: &ObjectEvent) -> Result<(), Fault> {
        if event.kind != ObjectEventKind::Created
            || !is_candidate(&event.key, &self.context.prefixes)
        {
            return Ok(());
        }
        let store = &*self.context.store;
        let bytes_max = self.context.rendering.limits.bytes_max;
        let reading = if claims_to_be_a_picture(&event.key) {
            read_write(store, event, bytes_max).await.map(Some)
        } else {
            read_write_of(store, event, bytes_max, Format::is_picture).await
        };
        let Some(reading) = reading.map_err(|fault| store_down(&fault))? else {
            // A recording among the pictures of a post: somebody else's work.
            return Ok(());
        };
        let picture = match reading {
            Reading::Whole {
                whole,
                info,
                sequencer,
            } => Picture {
                key: event.key.clone(),
                sequencer,
                bytes: Arc::new(whole),
                focal_point: focal_point(&info),
                sha256: info.sha256,
            },
            Reading::Unread {
                sequencer, fault, ..
            } => {
                let reason = match fault {
                    StoreFault::TooLarge { .. } => "too_many_bytes",
                    _ => "unreadable",
                };
                let why = GivenUp::new(reason, &fault.to_string(), delivery);
                return self.fail(delivery, event, &sequencer, why).await;
            }
            Reading::Superseded => {
                // Perhaps not at the first attempt, which died with some of its files stored.
                let gone = Gone::Abandoned(&event.sequencer);
                let derived = &self.context.derived;
                return derived.release(&self.me, &event.key, gone).await;
            }
        };
        match self.make(delivery, &picture).await {
            Ok(thumbnails) => self.attach(delivery, &picture, thumbnails).await,
            Err(Failed::ForGood(why)) => self.fail(delivery, event, &picture.sequencer, why).await,
            Err(Failed::Down(fault)) => Err(fault),
        }
    }

    /// Renders and stores what is not there yet. What other pictures of the same bytes have is shared.
    async fn make(&self, delivery: &Delivery, picture: &Picture) -> Result<Thumbnails, Failed> {
        let ThumbnailWorkerContext {
            rendering, presets, ..
        } = &*self.context;
        let looked = rendering.look(Arc::clone(&picture.bytes), picture.sha256.clone());
        let looked = looked.await;
        let Foreseen { sha256, probe } = looked.map_err(|error| failed(error.into(), delivery))?;
        let files = wanted(&sha256, presets, picture.focal_point);
        let claim = Claim {
            sha256,
            key: picture.key.clone(),
            sequencer: picture.sequencer.clone(),
            files: files.iter().map(|file| file.key.clone()).collect(),
        };
        let mut stored = vec![None; files.len()];
        if reprocessing_of(delivery).is_none() && self.is_claimed(&claim).await? {
            // In this order, or they could be removed behind the look.
            self.claim(claim.clone()).await?;
            stored = self.stored(&files).await?;
        }
        let lacking: Vec<&Wanted> = files
            .iter()
            .zip(&stored)
            .filter_map(|(file, stored)| stored.is_none().then_some(file))
            .collect();
        let mut look = stored.iter().flatten().map(|(_, look)| look.clone()).next();
        let mut made = Vec::new();
        if look.is_none() || !lacking.is_empty() {
            let presets = presets_of(&lacking, presets);
            let bytes = Arc::clone(&picture.bytes);
            let focal_point = picture.focal_point;
            let rendered = rendering.render(bytes, probe.as_ref(), focal_point, presets);
            let rendered = rendered.await;
            let (rendered, took) = rendered.map_err(|unrendered| failed(unrendered, delivery))?;
            self.claim(claim).await?;
            let own = Look::of(&rendered, took);
            made = self.store(&lacking, rendered, &own).await?;
            look = Some(own);
        }
        let mut made = made.into_iter();
        let variants = stored.into_iter().filter_map(|stored| match stored {
            Some((variant, _)) => Some(variant),
            None => made.next(),
        });
        let variants = variants.collect();
        let look = look.expect("it was found or made");
        Ok(Thumbnails {
            sequencer: picture.sequencer.clone(),
            dominant_colour: look.dominant_colour,
            placeholder: look.placeholder,
            rendered_in_ms: look.rendered_in_ms,
            variants,
        })
    }

    async fn claim(&self, claim: Claim) -> Result<(), Fault> {
        let derived = &self.context.derived;
        derived.claim(&self.me, claim, &Sketch::default()).await
    }

    /// Whether any picture, perhaps this one at an earlier time, has files of these bytes.
    async fn is_claimed(&self, claim: &Claim) -> Result<bool, Fault> {
        let table = &self.context.table;
        let found = table.claimants(&claim.sha256, &claim.files, 1).await;
        Ok(!found.map_err(|fault| table_down(&fault))?.is_empty())
    }

    /// What each file says of itself, if it is there.
    async fn stored(&self, files: &[Wanted]) -> Result<Vec<Option<(Variant, Look)>>, Fault> {
        let heads = files.iter().map(|file| self.context.store.head(&file.key));
        let heads = futures_util::future::join_all(heads).await;
        let read = files.iter().zip(heads).map(|(file, head)| match head {
            Ok(info) => Ok(file.read(&info)),
            Err(StoreFault::NotFound(_)) => Ok(None),
            Err(fault) => Err(store_down(&fault)),
        });
        read.collect()
    }

    /// Stores what was rendered, in the order of what was lacking.
    async fn store(
        &self,
        lacking: &[&Wanted],
        rendered: Rendered,
        look: &Look,
    ) -> Result<Vec<Variant>, Fault> {
        let files = lacking.iter().zip(rendered.variants).map(|(file, made)| {
            assert!(
                (&file.preset, file.format) == (&made.preset, made.format),
                "the engine renders in the order of presets and formats"
            );
            let variant = file.variant(made.width, made.height, made.bytes.len() as u64);
            let object = NewObject {
                key: file.key.clone(),
                bytes: made.bytes,
                options: look.options(&variant),
            };
            (variant, object)
        });
        let (variants, objects): (Vec<_>, Vec<_>) = files.unzip();
        let put = self.context.store.put_all(objects).await;
        put.map_err(|fault| store_down(&fault))?;
        Ok(variants)
    }

    async fn attach(
        &self,
        delivery: &Delivery,
        picture: &Picture,
        thumbnails: Thumbnails,
    ) -> Result<(), Fault> {
        let Picture { key, sequencer, .. } = picture;
        let context = &self.context;
        let variants = thumbnails.variants.clone();
        let attached = context.table.attach_thumbnails(key, thumbnails).await;
        let attached = attached.map_err(|fault| table_down(&fault))?;
        let fact = ThumbnailRendered {
            key: key.clone(),
            sequencer: sequencer.clone(),
            variants,
        };
        context
            .media
            .record_for(delivery, &self.me, (key, sequencer), fact.into())
            .await?;
        if attached == Written::Outdated {
            // Removed or replaced meanwhile, so nobody will ask for them.
            let gone = Gone::Abandoned(sequencer);
            context.derived.release(&self.me, key, gone).await?;
        }
        Ok(())
    }

    async fn fail(
        &self,
        delivery: &Delivery,
        event: &ObjectEvent,
        sequencer: &Sequencer,
        why: GivenUp,
    ) -> Result<(), Fault> {
        let fact = ThumbnailFailed {
            key: event.key.clone(),
            sequencer: sequencer.clone(),
            reason: why.reason.clone(),
            detail: why.detail.clone(),
        };
        let object = Some((&event.key, sequencer));
        let media = &self.context.media;
        media
            .give_up(&self.me, delivery, object, why, Some(fact.into()))
            .await?;
        Ok(())
    }
}

/// What follows from a picture that was not rendered.
fn failed(unrendered: Unrendered, delivery: &Delivery) -> Failed {
    let for_good =
        |reason: &str, detail: &str| Failed::ForGood(GivenUp::new(reason, detail, delivery));
    match unrendered {
        Unrendered::Picture(RenderError::Cancelled) => {
            for_good("cancelled", "it took longer than its deadline")
        }
        Unrendered::Picture(error) => for_good(error.reason_code(), &error.to_string()),
        Unrendered::Decoder(DecoderFault::Refused(detail)) => for_good("undecodable", &detail),
        Unrendered::Decoder(fault @ (DecoderFault::Unavailable(_) | DecoderFault::Full(_))) => {
            Failed::Down(Fault::dependency(fault.to_string()))
        }
        Unrendered::Work(CpuError::TimedOut { deadline, .. }) => {
            for_good("timed_out", &format!("it took longer than {deadline:?}"))
        }
        Unrendered::Work(CpuError::Panicked { message, .. }) => for_good("panicked", &message),
        Unrendered::Work(error @ CpuError::Closed { .. }) => {
            Failed::Down(Fault::dependency(error.to_string()))
        }
    }
}

impl Worker for ThumbnailWorker {
    type Msg = Delivery;

    async fn handle(&mut self, delivery: &Delivery, _: &Cx<Delivery>) -> Result<Done, Fault> {
        match objects_of(delivery) {
            Ok(events) => {
                for event in &events {
                    self.one(delivery, event).await?;
                }
            }
            // The recorder of metadata writes the letter of a message that nobody can read.
            Err(why) => tracing::warn!(reason = why.detail, "a notification cannot be read"),
        }
        delivery.done().await.map_err(|fault| queue_down(&fault))?;
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, delivery: &Delivery, history: &[Failure]) -> Result<(), Fault> {
        for event in objects_of(delivery).unwrap_or_default() {
            let why = GivenUp::deadly(history, delivery);
            self.fail(delivery, &event, &event.sequencer, why).await?;
        }
        delivery.done().await.map_err(|fault| queue_down(&fault))
    }

    async fn hand_back(&mut self, delivery: Delivery) {
        delivery.hand_back().await;
    }
}
