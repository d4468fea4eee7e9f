//! What every consumer of objects does alike: read the notification, and write off what cannot be done.
//!
//! # Layout
//! - this file: notifications, outcomes and letters
//! - `candidate`: which objects a consumer works on
//! - `reading`: which write of an object was read
//! - `derived`: the account of derived files
//! - `offer`: objects that are offered once more
//! - `budget`: the memory that all decodes share, or the like
//! - `watch`: the end of work that nobody waits for

mod budget;
mod candidate;
mod derived;
mod offer;
mod reading;
mod watch;

use std::fmt::Display;
use std::sync::Arc;

use iyagi_messages::event::Entity;
use iyagi_messages::fact::{Fact, LetterRequested};
use iyagi_messages::ids::{Incarnation as Writer, LetterId};
use iyagi_messages::letter::{Letter, Origin};
use iyagi_messages::media::DERIVED_PREFIX;
use iyagi_messages::object::{Notification, ObjectEvent, ObjectKey, Sequencer};

pub use self::budget::{ByteBudget, Share};
pub use self::candidate::is_candidate;
pub(crate) use self::derived::stands;
pub use self::derived::{DerivedFiles, Gone};
pub use self::offer::{Offers, is_offer, reprocessing_of};
pub use self::reading::{Reading, Whole, read_write, read_write_of};
pub use self::watch::Watch;
use crate::dlq_keeper::DlqMessage;
use crate::journal::{Draft, Journal, JournalFault};
use crate::ports::{Clock, MetadataFault, QueueFault, StoreFault};
use crate::projections::Projections;
use crate::queue_intake::Delivery;
use crate::runtime::{Failure, Fault, Mailbox};

/// Writes what happens to objects.
#[derive(Clone)]
pub struct MediaJournal {
    /// Where everything is written.
    pub journal: Arc<dyn Journal>,
    /// Which letters were written before.
    pub projections: Arc<Projections>,
    /// Takes what is given up.
    pub dlq: Mailbox<DlqMessage>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// Why an object's job is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// As a stable word.
    pub reason: String,
    /// In words.
    pub detail: String,
    /// How often it was tried.
    pub attempts: u32,
}

impl GivenUp {
    /// Given up at this attempt, for a reason as a stable word and in words.
    pub fn new(reason: &str, detail: &str, delivery: &Delivery) -> Self {
        Self {
            reason: reason.to_owned(),
            detail: detail.to_owned(),
            attempts: delivery.received.receive_count,
        }
    }

    /// Given up because it has ended too many workers.
    pub fn deadly(history: &[Failure], delivery: &Delivery) -> Self {
        let reasons: Vec<_> = history.iter().map(Failure::reason).collect();
        Self::new("worker_died", &reasons.join("; "), delivery)
    }
}

/// The objects that a delivery tells of, without those that iyagi itself derived; or why it cannot be read.
pub fn objects_of(delivery: &Delivery) -> Result<Vec<ObjectEvent>, GivenUp> {
    match Notification::parse(&delivery.received.body) {
        Ok(Notification::Test) => Ok(Vec::new()),
        Ok(Notification::Objects(mut events)) => {
            events.retain(|event| !event.key.as_str().starts_with(DERIVED_PREFIX));
            Ok(events)
        }
        Err(unknown) => Err(GivenUp::new(
            "unknown_notification",
            &unknown.to_string(),
            delivery,
        )),
    }
}

impl MediaJournal {
    /// Writes that a consumer did something with one write of an object. Doing it again writes nothing again.
    pub async fn record(
        &self,
        writer: &Writer,
        key: &ObjectKey,
        sequencer: &Sequencer,
        fact: Fact,
    ) -> Result<(), JournalFault> {
        let mut draft = Draft::new(writer, correlation(key, sequencer));
        draft.begin(
            &upstream(key, sequencer, &fact.body()),
            entity_of(&fact, key),
            fact,
        );
        self.journal.append(draft.finish()).await.map(|_| ())
    }

    /// The same for what a delivery led to. If it was asked for by an operator, it follows from that, and is written again
    /// even where it is what it was before.
    pub async fn record_for(
        &self,
        delivery: &Delivery,
        writer: &Writer,
        (key, sequencer): (&ObjectKey, &Sequencer),
        fact: Fact,
    ) -> Result<(), JournalFault> {
        let Some(request) = reprocessing_of(delivery) else {
            return self.record(writer, key, sequencer, fact).await;
        };
        let mut draft = Draft::new(writer, correlation(key, sequencer));
        draft.follow(request, entity_of(&fact, key), fact);
        self.journal.append(draft.finish()).await.map(|_| ())
    }

    /// Writes that a consumer gave up, with its own fact about it if it has one, and posts the letter.
    pub async fn give_up(
        &self,
        writer: &Writer,
        delivery: &Delivery,
        object: Option<(&ObjectKey, &Sequencer)>,
        why: GivenUp,
        fact: Option<Fact>,
    ) -> Result<(), JournalFault> {
        let (key, sequencer) = object.map_or_else(
            || (delivery.received.message_id.clone(), Sequencer::default()),
            |(key, sequencer)| (key.to_string(), sequencer.clone()),
        );
        let consumer = delivery.consumer();
        let id = LetterId::of_object(consumer, &key, &sequencer.0);
        let known = self.projections.outbox().letter(id).cloned();
        if known.as_ref().is_some_and(|state| state.waiting) {
            // The same job was given up before and waits: a second delivery of it adds nothing.
            return Ok(());
        }
        let generation = known.map_or(0, |state| state.letter.generation) + 1;
        let letter = Letter {
            id,
            generation,
            origin: Origin::Object {
                consumer: consumer.to_owned(),
                key: key.clone(),
                message: delivery.received.body.clone(),
            },
            reason: why.reason,
            detail: why.detail,
            attempts: why.attempts,
            at: self.clock.now(),
        };
        let corr = format!("upload:{key}#{sequencer}");
        let mut draft = Draft::new(writer, corr);
        let upstream = format!("{id}.{generation}");
        let letter_entity = Entity::new("letter", id);
        let requested = LetterRequested { letter };
        match fact {
            Some(fact) => {
                let cause = draft.begin(&upstream, entity_of(&fact, &key), fact);
                draft.follow(cause, letter_entity, requested);
            }
            None => {
                draft.begin(&upstream, letter_entity, requested);
            }
        }
        self.journal.append(draft.finish()).await?;
        if self.dlq.tell(DlqMessage::Deposit(id)).await.is_err() {
            tracing::warn!(letter = %id, "the dead-letter keeper is gone; it deposits the letter when it returns");
        }
        Ok(())
    }
}

/// What an upload's events began with.
pub fn correlation(key: &ObjectKey, sequencer: &Sequencer) -> String {
    format!("upload:{key}#{sequencer}")
}

/// What a fact about an object is an event of.
fn entity_of(fact: &Fact, key: impl Display) -> Entity {
    let noun = fact.kind().split('.').next().unwrap_or_default();
    Entity::new(noun, key)
}

fn upstream(key: &ObjectKey, sequencer: &Sequencer, body: &str) -> String {
    format!("{}:{key}|{sequencer}|{body}", key.as_str().len())
}

/// A store that cannot be used stops the pool, not the job.
pub fn store_down(fault: &StoreFault) -> Fault {
    Fault::dependency(fault.to_string())
}

/// A table that cannot be used stops the pool, not the job.
pub fn table_down(fault: &MetadataFault) -> Fault {
    Fault::dependency(fault.to_string())
}

/// A queue that cannot be used stops the pool, not the job.
pub fn queue_down(fault: &QueueFault) -> Fault {
    Fault::dependency(fault.to_string())
}
