//! `DlqKeeper`: the only one who writes, lists, redrives and purges dead letters.
//!
//! The journal is the truth about letters; the FIFO queue is where operators and other tools find them.
//! Told: [`DlqMessage`]. Writes: `letter.dead_lettered`, `letter.redriven`, `letter.purged`, `letter.expired`.
//!
//! **Invariant:** a letter that is requested in the journal reaches the queue, however often the keeper dies; a letter
//! leaves the queue only after its redrive or purge is durable.

mod age;
mod message;
mod reply;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use iyagi_messages::event::Entity;
use iyagi_messages::fact::{Fact, LetterDeadLettered, LetterExpired, LetterPurged, LetterRedriven};
use iyagi_messages::ids::LetterId;
use iyagi_messages::letter::Origin;
use iyagi_search::document::DocumentId;
use serde::Serialize;
use tokio::time::Instant;

pub use age::LetterAge;
pub use message::{DeadLetter, deduplication_id, group_id};
pub use reply::Reply;

use crate::fleet::Fleet;
use crate::journal::{Draft, Journal};
use crate::ports::{Clock, Outcome, Outgoing, Queue, QueueFault, Rejection, SearchIndex};
use crate::projections::{LetterState, Projections};
use crate::runtime::{Cx, Done, Failure, Fault, Incarnation, Worker};

/// What the keeper is told.
#[derive(Debug)]
pub enum DlqMessage {
    /// A letter was requested in the journal: put it in the queue.
    Deposit(LetterId),
    /// Put every letter in the queue that a crash kept out of it.
    Recover,
    /// Give up for good what nobody had tried anew in time.
    Expire,
    /// Try jobs anew.
    Redrive {
        /// Which.
        letters: Vec<LetterId>,
        /// Who asks for it, and why.
        order: Order,
        /// Gets the result.
        reply: Reply<Settled>,
    },
    /// Try jobs anew whose messages somebody has taken out of the queue, so that it need not be searched for them.
    RedriveMoved {
        /// Which.
        letters: Vec<LetterId>,
        /// Who asks for it, and why.
        order: Order,
        /// Gets the result.
        reply: Reply<Settled>,
    },
    /// Give jobs up for good.
    Purge {
        /// Which.
        letters: Vec<LetterId>,
        /// Who asks for it, and why.
        order: Order,
        /// Gets the result.
        reply: Reply<Settled>,
    },
}

/// Who wants something done with letters, and why: it is written with each of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Who.
    pub by: String,
    /// Why, in their words.
    pub because: Option<String>,
}

/// What a redrive or a purge did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Settled {
    /// Letters that were redriven or purged.
    pub done: Vec<LetterId>,
    /// Letters that were not: they are unknown, no longer wait, or their document was rejected once more.
    pub skipped: Vec<LetterId>,
}

/// What the keeper works with.
pub struct DlqKeeperContext {
    /// Where everything is written before it is done.
    pub journal: Arc<dyn Journal>,
    /// Which letters wait.
    pub projections: Arc<Projections>,
    /// The FIFO dead-letter queue.
    pub queue: Arc<dyn Queue>,
    /// Queues of the consumers of objects, for redriven media jobs.
    pub consumers: Vec<Arc<dyn Queue>>,
    /// Where redriven documents go, if there is an index.
    pub search: Option<Arc<dyn SearchIndex>>,
    /// Whose work it is to let letters expire: that of whoever leads.
    pub fleet: Fleet,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// How long letters are kept.
    pub keep: LetterAge,
}

/// How long a letter is hidden while the keeper looks at it.
const SWEEP_VISIBILITY: Duration = Duration::from_secs(30);
/// How long the queue is looked through for letters that are settled: what was seen stays hidden meanwhile, so nothing is seen
/// twice, and letters that are given up do not wait longer for the keeper.
const SWEEP_MAX: Duration = Duration::from_secs(15);
/// A receive that does not wait asks only some of the servers that hold the queue, and may find nothing.
const SWEEP_WAIT: Duration = Duration::from_secs(1);
/// Letters that one look at the queue takes, as many as SQS gives.
const SWEEP_BATCH: usize = 10;
/// Letters that expire in one go, so that nobody's order waits long behind them.
const EXPIRED_AT_ONCE: usize = 1_000;

/// Keeps the dead letters.
pub struct DlqKeeper {
    me: Incarnation,
    context: Arc<DlqKeeperContext>,
    /// Letters that are settled in the journal and whose messages may still be in the queue.
    unswept: HashSet<LetterId>,
}

impl DlqKeeper {
    /// A keeper with nothing in hand.
    pub fn new(me: Incarnation, context: Arc<DlqKeeperContext>) -> Self {
        Self {
            me,
            context,
            unswept: HashSet::new(),
        }
    }

    fn waiting(&self, id: LetterId) -> Option<LetterState> {
        self.context
            .projections
            .outbox()
            .letter(id)
            .filter(|state| state.waiting)
            .cloned()
    }

    async fn deposit(&self, id: LetterId) -> Result<(), Fault> {
        let Some(state) = self.waiting(id).filter(|state| state.message_id.is_none()) else {
            return Ok(());
        };
        let letter = &state.letter;
        let message = Outgoing {
            body: DeadLetter::of(letter).to_json(),
            group: Some(group_id(letter)),
            deduplication_id: Some(deduplication_id(letter)),
            ..Outgoing::default()
        };
        let sent = self
            .context
            .queue
            .send(vec![message])
            .await
            .map_err(|fault| down(&fault))?;
        let sent = sent
            .into_iter()
            .next()
            .expect("one result for one message")
            .map_err(|fault| down(&fault))?;
        let generation = letter.generation;
        let fact = LetterDeadLettered {
            generation,
            message_id: sent.message_id,
        };
        self.append(&state, fact.into()).await
    }

    async fn recover(&self) -> Result<(), Fault> {
        let missing: Vec<LetterId> = {
            let outbox = self.context.projections.outbox();
            let missing = outbox.letters().filter(|state| state.message_id.is_none());
            missing.map(|state| state.letter.id).collect()
        };
        for id in missing {
            self.deposit(id).await?;
        }
        Ok(())
    }

    async fn redrive(&self, letters: &[LetterId], order: &Order) -> Result<Settled, Fault> {
        let mut settled = Settled::default();
        for id in letters {
            let Some(state) = self.waiting(*id) else {
                settled.skipped.push(*id);
                continue;
            };
            // Done first: a crash before the append repeats the job, which is a no-op; the other way round it would be
            // lost.
            match &state.letter.origin {
                Origin::Push { .. } => {}
                Origin::Object {
                    consumer, message, ..
                } => self.send_to_consumer(consumer, message).await?,
                Origin::Document { kind, element, .. } => {
                    let document = DocumentId::of(*kind, element);
                    if let Some(rejection) = self.index(&document).await? {
                        tracing::warn!(letter = %id, %rejection, "a document is rejected once more, and its letter waits on");
                        settled.skipped.push(*id);
                        continue;
                    }
                }
            }
            let generation = state.letter.generation;
            self.append(
                &state,
                LetterRedriven {
                    generation,
                    by: order.by.clone(),
                    because: order.because.clone(),
                }
                .into(),
            )
            .await?;
            settled.done.push(*id);
        }
        Ok(settled)
    }

    async fn purge(&self, letters: &[LetterId], order: &Order) -> Result<Settled, Fault> {
        let mut settled = Settled::default();
        for id in letters {
            let Some(state) = self.waiting(*id) else {
                settled.skipped.push(*id);
                continue;
            };
            let generation = state.letter.generation;
            self.append(
                &state,
                LetterPurged {
                    generation,
                    by: order.by.clone(),
                    because: order.because.clone(),
                }
                .into(),
            )
            .await?;
            settled.done.push(*id);
        }
        Ok(settled)
    }

    /// Lets letters expire, the oldest first. The queue of AWS forgets a message at the same age or later, so that the journal
    /// has said what became of it by then.
    async fn expire(&mut self) -> Result<(), Fault> {
        let Some(lead) = self.context.fleet.leads() else {
            return Ok(());
        };
        let Some((keep_days, oldest_kept)) = self.context.keep.at(self.context.clock.now()) else {
            return Ok(());
        };
        let expired: Vec<LetterState> = {
            let outbox = self.context.projections.outbox();
            let expired = outbox.letters_since(oldest_kept).take(EXPIRED_AT_ONCE);
            expired.cloned().collect()
        };
        for state in &expired {
            let letter = &state.letter;
            tracing::warn!(letter = %letter.id, job = letter.origin.name(), reason = letter.reason, keep_days, "a dead letter has expired: nobody had its job tried anew");
            let generation = letter.generation;
            let fact = LetterExpired {
                generation,
                keep_days,
            };
            let mut draft = self.draft(state, fact.into());
            lead.expect(&mut draft);
            self.context.journal.append(draft.finish()).await?;
        }
        self.unswept
            .extend(expired.iter().map(|state| state.letter.id));
        self.sweep().await
    }

    /// Answers, and takes what is settled out of the queue. The answer does not wait for a queue that is away: this message is
    /// then handled once more, and finds nothing left to settle.
    async fn conclude(&mut self, settled: Settled, reply: &Reply<Settled>) -> Result<(), Fault> {
        self.unswept.extend(&settled.done);
        let swept = self.sweep().await;
        reply.send(settled);
        swept
    }

    async fn append(&self, state: &LetterState, fact: Fact) -> Result<(), Fault> {
        let draft = self.draft(state, fact);
        self.context.journal.append(draft.finish()).await?;
        Ok(())
    }

    /// The next fact of a letter.
    fn draft(&self, state: &LetterState, fact: Fact) -> Draft {
        let entity = Entity::new("letter", state.letter.id);
        let mut draft = Draft::new(&self.me, &state.corr);
        draft.expect(entity.clone(), state.seq);
        draft.follow(state.last_event, entity, fact);
        draft
    }

    /// Has the index try a document once more, and says why it does not take it if it does not.
    async fn index(&self, document: &DocumentId) -> Result<Option<Rejection>, Fault> {
        let index = self.context.search.as_ref();
        let index = index.ok_or_else(|| Fault::job("there is no search index here"))?;
        // An index that does not answer fails this order only: letters about everything else go on.
        let failed = |reason: &dyn Display| Fault::job(format!("{document}: {reason}"));
        match index
            .retry(document)
            .await
            .map_err(|fault| failed(&fault))?
        {
            Outcome::Written | Outcome::Newer => Ok(None),
            Outcome::Rejected(rejection) => Ok(Some(rejection)),
            Outcome::Throttled => Err(failed(&"the search index has too much to do")),
        }
    }

    async fn send_to_consumer(&self, consumer: &str, message: &str) -> Result<(), Fault> {
        let queue = self
            .context
            .consumers
            .iter()
            .find(|queue| queue.name() == consumer);
        let queue = queue.ok_or_else(|| {
            Fault::job(format!(
                "the letter's consumer `{consumer}` does not run here"
            ))
        })?;
        let message = Outgoing {
            body: message.to_owned(),
            ..Outgoing::default()
        };
        for sent in queue
            .send(vec![message])
            .await
            .map_err(|fault| down(&fault))?
        {
            sent.map_err(|fault| down(&fault))?;
        }
        Ok(())
    }

    /// Deletes letters from the queue that no longer wait, until each that was settled is gone or everything was seen.
    async fn sweep(&mut self) -> Result<(), Fault> {
        let queue = Arc::clone(&self.context.queue);
        let enough = Instant::now() + SWEEP_MAX;
        let mut kept = Vec::new();
        while !self.unswept.is_empty() && Instant::now() < enough {
            let received = queue
                .receive(SWEEP_BATCH, SWEEP_WAIT, SWEEP_VISIBILITY)
                .await;
            let received = received.map_err(|fault| down(&fault))?;
            if received.is_empty() {
                self.unswept.clear();
                break;
            }
            let mut gone = Vec::new();
            for message in received {
                match DeadLetter::parse(&message.body) {
                    Ok(found) if self.waiting(found.letter.id).is_none() => {
                        gone.push((found.letter.id, message.receipt));
                    }
                    Ok(_) => kept.push(message.receipt),
                    Err(error) => {
                        tracing::warn!(%error, message = message.message_id, "a foreign message in the dead-letter queue is left there");
                        kept.push(message.receipt);
                    }
                }
            }
            let (letters, receipts): (Vec<_>, Vec<_>) = gone.into_iter().unzip();
            let deleted = queue.delete(&receipts).await;
            deleted.map_err(|fault| down(&fault))?;
            for letter in letters {
                self.unswept.remove(&letter);
            }
        }
        let left = self.unswept.len();
        if left > 0 {
            tracing::info!(
                left,
                "the dead-letter queue is long: a later order takes these settled letters out of it"
            );
            self.unswept.clear();
        }
        for given_back in queue.change_visibilities(&kept, Duration::ZERO).await {
            match given_back {
                // One whose receipt has run out is visible already.
                Ok(()) | Err(QueueFault::NotInFlight { .. }) => {}
                Err(fault) => return Err(down(&fault)),
            }
        }
        Ok(())
    }
}

impl Worker for DlqKeeper {
    type Msg = DlqMessage;

    async fn handle(&mut self, message: &DlqMessage, _: &Cx<DlqMessage>) -> Result<Done, Fault> {
        match message {
            DlqMessage::Deposit(id) => self.deposit(*id).await?,
            DlqMessage::Recover => self.recover().await?,
            DlqMessage::Expire => self.expire().await?,
            DlqMessage::Redrive {
                letters,
                order,
                reply,
            } => {
                let settled = self.redrive(letters, order).await?;
                self.conclude(settled, reply).await?;
            }
            DlqMessage::RedriveMoved {
                letters,
                order,
                reply,
            } => {
                reply.send(self.redrive(letters, order).await?);
            }
            DlqMessage::Purge {
                letters,
                order,
                reply,
            } => {
                let settled = self.purge(letters, order).await?;
                self.conclude(settled, reply).await?;
            }
        }
        Ok(Done::Finished)
    }

    async fn set_aside(&mut self, message: &DlqMessage, history: &[Failure]) -> Result<(), Fault> {
        // The letters themselves are in the journal: the next `Recover`, `Expire` or operator's call finds them.
        tracing::error!(
            ?message,
            ?history,
            "a message to the dead-letter keeper is given up"
        );
        Ok(())
    }

    fn kind(message: &DlqMessage) -> &'static str {
        match message {
            DlqMessage::Deposit(_) => "Deposit",
            DlqMessage::Recover => "Recover",
            DlqMessage::Expire => "Expire",
            DlqMessage::Redrive { .. } => "Redrive",
            DlqMessage::RedriveMoved { .. } => "RedriveMoved",
            DlqMessage::Purge { .. } => "Purge",
        }
    }
}

fn down(fault: &QueueFault) -> Fault {
    Fault::dependency(fault.to_string())
}
