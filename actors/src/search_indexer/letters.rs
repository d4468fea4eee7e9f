//! Dead letters about documents that the search index does not take.

use std::sync::Arc;

use iyagi_messages::event::Entity;
use iyagi_messages::fact::LetterRequested;
use iyagi_messages::ids::LetterId;
use iyagi_messages::letter::{Letter, Origin};
use iyagi_search::projection::Standing;

use crate::dlq_keeper::DlqMessage;
use crate::journal::{Draft, Journal, JournalFault};
use crate::ports::{Clock, Rejection};
use crate::projections::Projections;
use crate::runtime::Mailbox;

/// Writes letters about documents.
pub struct DocumentLetters {
    /// Where they are written.
    pub journal: Arc<dyn Journal>,
    /// Which letters were written before.
    pub projections: Arc<Projections>,
    /// Takes what is given up.
    pub dlq: Mailbox<DlqMessage>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl DocumentLetters {
    /// Writes that a document is not taken as it is. Doing it again writes nothing again.
    pub(super) async fn write(
        &self,
        Standing { version, document }: &Standing,
        rejection: &Rejection,
    ) -> Result<(), JournalFault> {
        let as_of = version.operation();
        let (kind, element) = (document.document_type, &document.entity_id);
        let id = LetterId::of_document(kind, element, as_of);
        if self.projections.outbox().letter(id).is_some() {
            return Ok(());
        }
        let letter = Letter {
            id,
            generation: 1,
            origin: Origin::Document {
                kind,
                element: element.clone(),
                as_of,
            },
            reason: rejection.class.as_str().to_owned(),
            detail: rejection.detail.clone(),
            attempts: 1,
            at: self.clock.now(),
        };
        let mut draft = Draft::new(&"search-indexer", format!("commit:{}", as_of.commit));
        let requested = LetterRequested { letter };
        draft.begin(&id.to_string(), Entity::new("letter", id), requested);
        self.journal.append(draft.finish()).await?;
        if self.dlq.tell(DlqMessage::Deposit(id)).await.is_err() {
            tracing::warn!(letter = %id, "the dead-letter keeper is gone; it deposits the letter when it returns");
        }
        Ok(())
    }
}
