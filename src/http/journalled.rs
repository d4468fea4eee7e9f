//! Writes what clients and operators ask for into the journal: nothing is done that was not first appended.

use iyagi_actors::journal::{Draft, Journal, JournalFault};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{EventId, Seq};

use super::problem::{Kind, Problem};

/// How often a request decides anew because someone else was quicker.
const DECISIONS_MAX: usize = 16;

/// What a request comes to, and what is to be written before that is true.
pub struct Decision<T> {
    draft: Option<Draft>,
    outcome: T,
}

impl<T> Decision<T> {
    /// It is so already: nothing is written.
    pub fn nothing(outcome: T) -> Self {
        Self {
            draft: None,
            outcome,
        }
    }

    /// It is so once `fact` is the next event of the entity, whose last one the decision saw as `seen`.
    pub fn next(
        writer: &str,
        entity: Entity,
        seen: Seq,
        fact: impl Into<Fact>,
        outcome: T,
    ) -> Self {
        let corr = entity.to_string();
        Self::within(corr, writer, entity, seen, fact, |_| outcome)
    }

    /// The same for an event that belongs to what began with `corr`; what it comes to may have the event's id.
    pub fn within(
        corr: String,
        writer: &str,
        entity: Entity,
        seen: Seq,
        fact: impl Into<Fact>,
        outcome: impl FnOnce(EventId) -> T,
    ) -> Self {
        let mut draft = Draft::new(&writer, corr);
        // The same request at the same place in the entity's history is the same event.
        let upstream = format!("{entity}@{}", seen.0 + 1);
        draft.expect(entity.clone(), seen);
        let event = draft.begin(&upstream, entity, fact);
        Self {
            draft: Some(draft),
            outcome: outcome(event),
        }
    }
}

/// Decides and writes, and decides anew as long as someone else is quicker.
pub async fn settle<T>(
    journal: &dyn Journal,
    mut decide: impl AsyncFnMut() -> Result<Decision<T>, Problem>,
) -> Result<T, Problem> {
    for _ in 0..DECISIONS_MAX {
        let Decision { draft, outcome } = decide().await?;
        let Some(draft) = draft else {
            return Ok(outcome);
        };
        match journal.append(draft.finish()).await {
            Ok(appended) if appended.duplicates == 0 => return Ok(outcome),
            // Someone else wrote at this place of the history, perhaps something else.
            Ok(_) | Err(JournalFault::Conflict { .. }) => tokio::task::yield_now().await,
            Err(fault) => return Err(problem_of(&fault)),
        }
    }
    Err(Problem::new(
        Kind::Contended,
        "others keep changing the same thing; try again",
    )
    .retry_after(1))
}

/// Writes what is so whatever happened before, as the next event of the entity.
pub async fn note(
    journal: &dyn Journal,
    writer: &str,
    entity: Entity,
    fact: impl Into<Fact>,
) -> Result<(), Problem> {
    let fact = fact.into();
    settle(journal, async || {
        let seen = seq_of(journal, &entity).await?;
        let (entity, fact) = (entity.clone(), fact.clone());
        Ok(Decision::next(writer, entity, seen, fact, ()))
    })
    .await
}

/// The number of an entity's last event.
pub async fn seq_of(journal: &dyn Journal, entity: &Entity) -> Result<Seq, Problem> {
    let events = journal.entity(entity).await;
    let events = events.map_err(|fault| problem_of(&fault))?;
    Ok(events.last().map_or(Seq::default(), |event| event.seq))
}

/// What a fault of the journal is to a client.
pub fn problem_of(fault: &JournalFault) -> Problem {
    match fault {
        JournalFault::Stopped(reason) => {
            tracing::error!(reason, "the journal takes no more events");
            Problem::new(
                Kind::StorageFull,
                "the journal takes no more events: free the disk and start the daemon again",
            )
        }
        other => Problem::internal("the journal", other),
    }
}
