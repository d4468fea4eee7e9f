//! `Redriver`: tries anew what an operator moved out of the dead-letter queue with AWS's own tools.
//!
//! Told: [`Delivery`] from the redrive queue, whose dead-letter queue is that of the letters: a letter that cannot be
//! redriven here goes back there by itself after a few receives. Tells `DlqKeeper`, who alone writes about letters. It
//! asks the journal itself how a letter stands, because letters that are done with are in no projection.
//!
//! **Invariant:** a message leaves the redrive queue only after its letter is settled in the journal.

use std::cmp::Ordering;
use std::sync::Arc;

use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::Fact;
use iyagi_messages::letter::Letter;

use crate::dlq_keeper::{DeadLetter, DlqMessage, Order, Reply};
use crate::journal::Journal;
use crate::media_job::queue_down;
use crate::queue_intake::Delivery;
use crate::runtime::{Cx, Done, Failure, Fault, Mailbox, Worker};

/// Who the journal says has redriven such letters: AWS does not tell the person.
const BY: &str = "console";

/// What the redriver works with.
pub struct RedriverContext {
    /// How letters stand.
    pub journal: Arc<dyn Journal>,
    /// Redrives them.
    pub dlq: Mailbox<DlqMessage>,
}

/// Redrives letters, one at a time.
pub struct Redriver {
    context: Arc<RedriverContext>,
}

/// What is known of a letter that came by the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Its job waits to be tried anew.
    Waits,
    /// It was redriven or purged, has expired, or was given up once more: that has a message of its own.
    Settled,
    /// The journal has never heard of it, or no longer.
    Unknown,
}

impl Standing {
    /// How a letter stands after its events.
    fn of(letter: &Letter, events: &[Event]) -> Self {
        let mut standing = Self::Unknown;
        for event in events {
            match &event.fact {
                Fact::LetterRequested(requested) => {
                    standing = match requested.letter.generation.cmp(&letter.generation) {
                        Ordering::Less => Self::Unknown,
                        Ordering::Equal => Self::Waits,
                        Ordering::Greater => Self::Settled,
                    };
                }
                Fact::LetterRedriven(_) | Fact::LetterPurged(_) | Fact::LetterExpired(_)
                    if standing == Self::Waits =>
                {
                    standing = Self::Settled;
                }
                _ => {}
            }
        }
        standing
    }
}

impl Redriver {
    /// A redriver with nothing in hand.
    pub fn new(context: Arc<RedriverContext>) -> Self {
        Self { context }
    }

    async fn standing(&self, letter: &Letter) -> Result<Standing, Fault> {
        let entity = Entity::new("letter", letter.id);
        let events = self.context.journal.entity(&entity).await?;
        Ok(Standing::of(letter, &events))
    }

    async fn redrive(&self, letter: &Letter) -> Result<(), Fault> {
        let (reply, answer) = Reply::channel();
        let message = DlqMessage::RedriveMoved {
            letters: vec![letter.id],
            order: Order {
                by: BY.to_owned(),
                because: None,
            },
            reply,
        };
        let told = self.context.dlq.tell(message).await;
        told.map_err(|_| Fault::dependency("the dead-letter keeper is gone"))?;
        match answer.await {
            Ok(settled) if settled.done.contains(&letter.id) => Ok(()),
            // Settled by somebody else meanwhile, or not yet known to this host's projections: the next look tells.
            Ok(_) => Err(again("was skipped by the dead-letter keeper", letter)),
            Err(_) => Err(again("was given up by the dead-letter keeper", letter)),
        }
    }
}

impl Worker for Redriver {
    type Msg = Delivery;

    async fn handle(&mut self, delivery: &Delivery, _: &Cx<Delivery>) -> Result<Done, Fault> {
        let message = &delivery.received;
        let letter = match DeadLetter::parse(&message.body) {
            Ok(found) => found.letter,
            Err(error) => {
                tracing::warn!(%error, message = message.message_id, "a foreign message in the redrive queue is left to go back");
                return Ok(Done::Finished);
            }
        };
        match self.standing(&letter).await? {
            Standing::Waits => self.redrive(&letter).await?,
            Standing::Settled => {
                tracing::info!(letter = %letter.id, generation = letter.generation, "a letter was settled before it came to the redrive queue");
            }
            Standing::Unknown => {
                tracing::warn!(letter = %letter.id, "a letter in the redrive queue is not in the journal and is left to go back");
                return Ok(Done::Finished);
            }
        }
        delivery.done().await.map_err(|fault| queue_down(&fault))?;
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, delivery: &Delivery, history: &[Failure]) -> Result<(), Fault> {
        // The queue still has it, and moves it back to the dead letters after a few receives.
        let message = &delivery.received.message_id;
        tracing::error!(message, ?history, "a moved letter is given up here");
        Ok(())
    }

    async fn hand_back(&mut self, delivery: Delivery) {
        delivery.hand_back().await;
    }
}

fn again(what: &str, letter: &Letter) -> Fault {
    Fault::job(format!(
        "letter {} {what}; its message comes again",
        letter.id
    ))
}
