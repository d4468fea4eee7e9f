//! `MetadataRecorder`: writes down what every uploaded file is.
//!
//! Told: [`Delivery`] from the queue `metadata`. Writes: `metadata.recorded`, `metadata.removed`, `derived.released`,
//! `letter.requested`. What was derived from a write goes when the write does, whether it was removed or replaced.
//!
//! **Invariant:** a message leaves its queue only after its outcome is durable; the later write of an object wins.

mod description;

use std::sync::Arc;
use std::time::Duration;

use iyagi_messages::fact::{MetadataRecorded, MetadataRemoved};
use iyagi_messages::ids::Incarnation as Writer;
use iyagi_messages::object::{ObjectEvent, ObjectEventKind};

use self::description::{describe, unread};
use crate::media_job::{
    DerivedFiles, GivenUp, Gone, MediaJournal, Reading, objects_of, queue_down, read_write,
    store_down, table_down,
};
use crate::ports::{MetadataTable, ObjectStore, StoreFault, Written};
use crate::queue_intake::Delivery;
use crate::runtime::{CpuPool, Cx, Done, Failure, Fault, Incarnation, Worker};

/// What every recorder works with.
pub struct MetadataRecorderContext {
    /// Where outcomes are written.
    pub media: MediaJournal,
    /// Where files are read.
    pub store: Arc<dyn ObjectStore>,
    /// Where items are stored.
    pub table: Arc<dyn MetadataTable>,
    /// Whose derived files are whose.
    pub derived: DerivedFiles,
    /// Where files are hashed.
    pub cpu: CpuPool,
    /// Larger files are listed without being read.
    pub bytes_max: u64,
    /// How long hashing one file may take.
    pub deadline: Duration,
}

/// Records metadata, one file at a time.
pub struct MetadataRecorder {
    me: Writer,
    context: Arc<MetadataRecorderContext>,
}

impl MetadataRecorder {
    /// A recorder with nothing in hand.
    pub fn new(me: &Incarnation, context: Arc<MetadataRecorderContext>) -> Self {
        Self {
            me: Writer(me.to_string()),
            context,
        }
    }

    async fn one(&self, event: &ObjectEvent) -> Result<(), Fault> {
        match event.kind {
            ObjectEventKind::Created => self.record(event).await,
            ObjectEventKind::Removed | ObjectEventKind::Expired => self.remove(event).await,
        }
    }

    async fn record(&self, event: &ObjectEvent) -> Result<(), Fault> {
        let MetadataRecorderContext {
            store,
            table,
            cpu,
            media,
            ..
        } = &*self.context;
        let now = media.clock.now();
        let reading = read_write(&**store, event, self.context.bytes_max).await;
        let item = match reading.map_err(|fault| store_down(&fault))? {
            Reading::Whole {
                whole,
                info,
                sequencer,
            } => {
                let work = move || describe(&info, sequencer, &whole, now);
                let described = cpu.run(self.context.deadline, work).await;
                let described = described.map_err(|error| Fault::worker(error.to_string()))?;
                described.map_err(|error| store_down(&StoreFault::of_disk(&error)))?
            }
            Reading::Unread {
                info,
                sequencer,
                fault,
            } => {
                let defect = match fault {
                    StoreFault::TooLarge { .. } => "it is too large to be read".to_owned(),
                    other => other.to_string(),
                };
                let mut item = unread(&info, sequencer, now);
                item.defect = Some(defect);
                item
            }
            Reading::Superseded => return Ok(()),
        };
        let recorded = MetadataRecorded {
            key: item.key.clone(),
            sequencer: item.sequencer.clone(),
            content_type: item.content_type.clone(),
            size: item.size,
            sha256: item.sha256.clone(),
        };
        let written = table.record(item).await;
        match written.map_err(|fault| table_down(&fault))? {
            Written::Yes => {
                let (key, sequencer) = (recorded.key.clone(), recorded.sequencer.clone());
                let sha256 = recorded.sha256.clone();
                media
                    .record(&self.me, &key, &sequencer, recorded.into())
                    .await?;
                let gone = Gone::Before(&sequencer, sha256.as_deref());
                self.context.derived.release(&self.me, &key, gone).await?;
            }
            Written::Outdated => {
                tracing::debug!(key = %event.key, "a later write of the object is already recorded");
            }
        }
        Ok(())
    }

    /// Whether a removal took away a version that is not the one we describe, and left the object there.
    async fn spares_the_object(&self, event: &ObjectEvent) -> Result<bool, Fault> {
        // An expiry has the sequencer of the write that it removes, which is enough.
        if event.kind == ObjectEventKind::Expired || event.version_id.is_none() {
            return Ok(false);
        }
        let recorded = self.context.table.get(&event.key).await;
        let recorded = recorded.map_err(|fault| table_down(&fault))?;
        if recorded.is_some_and(|item| item.version_id == event.version_id) {
            return Ok(false);
        }
        match self.context.store.head(&event.key).await {
            Ok(_) => Ok(true),
            Err(StoreFault::NotFound(_)) => Ok(false),
            Err(fault) => Err(store_down(&fault)),
        }
    }

    async fn remove(&self, event: &ObjectEvent) -> Result<(), Fault> {
        if self.spares_the_object(event).await? {
            tracing::debug!(key = %event.key, version = event.version_id, "an older version was removed; the object is still there");
            return Ok(());
        }
        let removed = self
            .context
            .table
            .remove(&event.key, &event.sequencer)
            .await;
        let (written, _) = removed.map_err(|fault| table_down(&fault))?;
        if written == Written::Yes {
            let fact = MetadataRemoved {
                key: event.key.clone(),
                sequencer: event.sequencer.clone(),
            };
            let media = &self.context.media;
            media
                .record(&self.me, &event.key, &event.sequencer, fact.into())
                .await?;
            let gone = Gone::Through(&event.sequencer);
            let derived = &self.context.derived;
            derived.release(&self.me, &event.key, gone).await?;
        }
        Ok(())
    }
}

impl Worker for MetadataRecorder {
    type Msg = Delivery;

    async fn handle(&mut self, delivery: &Delivery, _: &Cx<Delivery>) -> Result<Done, Fault> {
        match objects_of(delivery) {
            Ok(events) => {
                for event in &events {
                    self.one(event).await?;
                }
            }
            Err(why) => {
                self.context
                    .media
                    .give_up(&self.me, delivery, None, why, None)
                    .await?;
            }
        }
        delivery.done().await.map_err(|fault| queue_down(&fault))?;
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, delivery: &Delivery, history: &[Failure]) -> Result<(), Fault> {
        for event in objects_of(delivery).unwrap_or_default() {
            let why = GivenUp::deadly(history, delivery);
            let object = Some((&event.key, &event.sequencer));
            self.context
                .media
                .give_up(&self.me, delivery, object, why, None)
                .await?;
        }
        delivery.done().await.map_err(|fault| queue_down(&fault))
    }

    async fn hand_back(&mut self, delivery: Delivery) {
        delivery.hand_back().await;
    }
}
