//! `ThumbnailWorker`: makes the thumbnails of one picture.
//!
//! Told: [`Delivery`] from the queue `thumbnails`. Writes: `thumbnail.rendered`, `thumbnail.failed`, `letter.requested`.
//! Derived files are content-addressed: doing a job twice writes the same bytes under the same keys.
//!
//! **Invariant:** a message leaves its queue only after its outcome is durable.

mod candidate;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use iyagi_media::{Facts, Limits, Preset, RenderError, Rendered, render, sniff};
use iyagi_messages::fact::{ThumbnailFailed, ThumbnailRendered};
use iyagi_messages::ids::Incarnation as Writer;
use iyagi_messages::media::{Thumbnails, Variant};
use iyagi_messages::object::{ObjectEvent, ObjectEventKind, ObjectKey, Sequencer};

pub use self::candidate::{claims_to_be_a_picture, derived_key, is_candidate};
use crate::media_job::{
    GivenUp, MediaJournal, Reading, objects_of, queue_down, read_write, store_down,
};
use crate::ports::{MetadataTable, ObjectStore, PutOptions, StoreFault};
use crate::queue_intake::Delivery;
use crate::runtime::{CpuError, CpuPool, Cx, Done, Failure, Fault, Incarnation, Worker};

/// What every thumbnail worker works with.
pub struct ThumbnailWorkerContext {
    /// Where outcomes are written.
    pub media: MediaJournal,
    /// Where pictures are read and thumbnails are stored.
    pub store: Arc<dyn ObjectStore>,
    /// Where thumbnails are listed for readers.
    pub table: Arc<dyn MetadataTable>,
    /// Where pixels are computed.
    pub cpu: CpuPool,
    /// Which thumbnails to make.
    pub presets: Vec<Preset>,
    /// What is not even decoded.
    pub limits: Limits,
    /// Key prefixes whose pictures get thumbnails.
    pub prefixes: Vec<String>,
    /// How long one picture may take.
    pub deadline: Duration,
}

/// How long phones and caches may keep a derived file: its key changes with its content.
const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

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
        let bytes_max = self.context.limits.bytes_max;
        let reading = read_write(&*self.context.store, event, bytes_max).await;
        let (bytes, sequencer) = match reading.map_err(|fault| store_down(&fault))? {
            Reading::Whole {
                bytes, sequencer, ..
            } => (bytes, sequencer),
            Reading::Unread {
                sequencer, fault, ..
            } => {
                let reason = match fault {
                    StoreFault::TooLarge { .. } => "too_many_bytes",
                    _ => "unreadable",
                };
                let why = given_up(reason, &fault.to_string(), delivery);
                return self.fail(delivery, event, &sequencer, why).await;
            }
            Reading::Superseded => return Ok(()),
        };
        if !sniff(&bytes).is_picture() && !candidate::claims_to_be_a_picture(&event.key) {
            // A recording among the pictures of a post: somebody else's work.
            return Ok(());
        }
        match self.render(delivery, bytes).await {
            Ok(rendered) => self.store(&event.key, &sequencer, rendered).await,
            Err(Failed::ForGood(why)) => self.fail(delivery, event, &sequencer, why).await,
            Err(Failed::Down(fault)) => Err(fault),
        }
    }

    async fn render(&self, delivery: &Delivery, bytes: Vec<u8>) -> Result<Rendered, Failed> {
        let late = Arc::new(AtomicBool::new(false));
        let context = Arc::clone(&self.context);
        let cancel = Arc::clone(&late);
        let work = move || {
            render(&bytes, None, &context.presets, &context.limits, &|| {
                cancel.load(Ordering::Relaxed)
            })
        };
        let ran = self.context.cpu.run(self.context.deadline, work).await;
        late.store(true, Ordering::Relaxed);
        let for_good =
            |reason: &str, detail: &str| Failed::ForGood(given_up(reason, detail, delivery));
        match ran {
            Ok(Ok(rendered)) => Ok(rendered),
            Ok(Err(RenderError::Cancelled)) => {
                Err(for_good("cancelled", "it took longer than its deadline"))
            }
            Ok(Err(error)) => Err(for_good(error.reason_code(), &error.to_string())),
            Err(CpuError::TimedOut { deadline, .. }) => Err(for_good(
                "timed_out",
                &format!("it took longer than {deadline:?}"),
            )),
            Err(CpuError::Panicked { message, .. }) => Err(for_good("panicked", &message)),
            Err(error @ CpuError::Closed { .. }) => {
                Err(Failed::Down(Fault::dependency(error.to_string())))
            }
        }
    }

    async fn store(
        &self,
        key: &ObjectKey,
        sequencer: &Sequencer,
        rendered: Rendered,
    ) -> Result<(), Fault> {
        let [red, green, blue] = rendered.dominant_colour;
        let mut variants = Vec::with_capacity(rendered.variants.len());
        for variant in rendered.variants {
            let described = self.describe(&rendered.source, &variant);
            let options = PutOptions {
                content_type: Some(described.content_type.clone()),
                cache_control: Some(CACHE_CONTROL.to_owned()),
                ..PutOptions::default()
            };
            let put = self
                .context
                .store
                .put(&described.key, variant.bytes, options)
                .await;
            put.map_err(|fault| store_down(&fault))?;
            variants.push(described);
        }
        let thumbnails = Thumbnails {
            sequencer: sequencer.clone(),
            dominant_colour: format!("#{red:02x}{green:02x}{blue:02x}"),
            variants: variants.clone(),
        };
        let attached = self.context.table.attach_thumbnails(key, thumbnails).await;
        attached.map_err(|fault| Fault::dependency(fault.to_string()))?;
        let (key, sequencer) = (key.clone(), sequencer.clone());
        let fact = ThumbnailRendered {
            key: key.clone(),
            sequencer: sequencer.clone(),
            variants,
        };
        self.context
            .media
            .record(&self.me, &key, &sequencer, fact.into())
            .await?;
        Ok(())
    }

    fn describe(&self, source: &Facts, variant: &iyagi_media::Variant) -> Variant {
        let preset = self
            .context
            .presets
            .iter()
            .find(|preset| preset.name == variant.preset);
        let preset = preset.expect("a variant names the preset that it was made by");
        Variant {
            preset: variant.preset.clone(),
            content_type: variant.format.content_type().to_owned(),
            key: derived_key(&source.sha256, preset, variant.format),
            width: variant.width,
            height: variant.height,
            size: variant.bytes.len() as u64,
        }
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

fn given_up(reason: &str, detail: &str, delivery: &Delivery) -> GivenUp {
    GivenUp {
        reason: reason.to_owned(),
        detail: detail.to_owned(),
        attempts: delivery.received.receive_count,
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
        let detail = history
            .iter()
            .map(Failure::reason)
            .collect::<Vec<_>>()
            .join("; ");
        for event in objects_of(delivery).unwrap_or_default() {
            let why = given_up("worker_died", &detail, delivery);
            self.fail(delivery, &event, &event.sequencer, why).await?;
        }
        delivery.done().await.map_err(|fault| queue_down(&fault))
    }

    async fn hand_back(&mut self, delivery: Delivery) {
        delivery.hand_back().await;
    }
}
