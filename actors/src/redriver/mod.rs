//! `Redriver`: tries anew what an operator moved out of the dead-letter queue with AWS's own tools.
//!
//! Told: [`Delivery`] from the redrive queue, whose dead-letter queue is that of the letters: a letter that cannot be
//! redriven here goes back there by itself after a few receives. Tells `DlqKeeper`, who alone writes about letters.
//!
//! **Invariant:** a message leaves the redrive queue only after its letter is settled in the journal.

use std::sync::Arc;

use iyagi_messages::letter::Letter;

use crate::dlq_keeper::{DeadLetter, DlqMessage, Reply};
use crate::media_job::queue_down;
use crate::projections::Projections;
use crate::queue_intake::Delivery;
use crate::runtime::{Cx, Done, Failure, Fault, Mailbox, Worker};

/// Who the journal says has redriven such letters: AWS does not tell the person.
const BY: &str = "console";

/// What the redriver works with.
pub struct RedriverContext {
    /// Which letters wait.
    pub projections: Arc<Projections>,
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
    /// It was redriven or purged, or given up once more: that has a message of its own.
    Settled,
    /// Nobody here has heard of it.
    Unknown,
}

impl Redriver {
    /// A redriver with nothing in hand.
    pub fn new(context: Arc<RedriverContext>) -> Self {
        Self { context }
    }

    fn standing(&self, letter: &Letter) -> Standing {
        match self.context.projections.outbox().letter(letter.id) {
            None => Standing::Unknown,
            Some(known) if known.waiting && known.letter.generation == letter.generation => {
                Standing::Waits
            }
            Some(_) => Standing::Settled,
        }
    }

    async fn redrive(&self, letter: &Letter) -> Result<(), Fault> {
        let (reply, answer) = Reply::channel();
        let message = DlqMessage::RedriveMoved {
            letters: vec![letter.id],
            by: BY.to_owned(),
            reply,
        };
        let told = self.context.dlq.tell(message).await;
        told.map_err(|_| Fault::dependency("the dead-letter keeper is gone"))?;
        // It skips a letter only if somebody else has settled it meanwhile, which is as good.
        answer.await.map(drop).map_err(|_| {
            Fault::job(format!(
                "the dead-letter keeper gave up on letter {}; its message comes again",
                letter.id
            ))
        })
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
        match self.standing(&letter) {
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
