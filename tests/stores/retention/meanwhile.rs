//! What happens while it is judged what is over.

use std::cell::RefCell;

use iyagi::embedded::journal::SqliteJournal;
use iyagi_actors::journal::{Append, Draft, Journal as _, JournalFault};
use iyagi_actors::ports::Clock as _;
use iyagi_actors::retention::{Bounds, Hold, Past, Retention, Verdict};
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::{Fact, LetterPurged};
use iyagi_messages::ids::{PersonId, Pos};
use iyagi_messages::letter::{Letter, Origin};
use iyagi_messages::push::Push;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use tokio::runtime::Handle;

use super::World;
use super::history::History;
use super::steps::steps;

/// A past to which something is added as soon as its first history was read.
struct Growing<'a> {
    journal: &'a SqliteJournal,
    then: RefCell<Option<Append>>,
}

impl Past for Growing<'_> {
    type Fault = JournalFault;

    fn history(&self, entity: &Entity) -> Result<Vec<Event>, JournalFault> {
        Handle::current().block_on(async {
            let history = self.journal.entity(entity).await?;
            if let Some(then) = self.then.take() {
                self.journal.append(then).await?;
            }
            Ok(history)
        })
    }

    fn later(&self, _: &Event, _: Pos, _: bool) -> Result<Option<Pos>, JournalFault> {
        Ok(None)
    }

    fn tells_of(&self, _: &Push) -> Result<bool, JournalFault> {
        Ok(false)
    }

    fn marks(&self, _: &PersonId, _: Pos) -> Result<bool, JournalFault> {
        Ok(false)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_purged_while_it_is_judged_goes_with_its_purge_or_not_at_all() {
    let world = World::new();
    let mut history = History::new(world.clock.clone());
    let opened = world.open().await;
    let mut runner = TestRunner::deterministic();
    let letter = loop {
        let part = steps().new_tree(&mut runner).expect("a history").current();
        history.go_on(&opened.journal, &part).await;
        let outbox = opened.projections.outbox();
        let mut waiting = outbox.letters().map(|state| &state.letter);
        let of_push = |letter: &&Letter| matches!(letter.origin, Origin::Push { .. });
        if let Some(letter) = waiting.find(of_push) {
            break letter.clone();
        }
    };
    let entity = Entity::new("letter", letter.id);
    let story = opened.journal.entity(&entity).await.expect("readable");
    let first = story.into_iter().next().expect("it was requested");
    assert!(matches!(first.fact, Fact::LetterRequested(_)));
    world.clock.put_on_hours(1_000);
    let mut draft = Draft::new(&"test", "test");
    let purged = LetterPurged {
        generation: letter.generation,
        by: "minji".to_owned(),
        because: None,
    };
    draft.begin("purged", first.entity.clone(), purged);
    let bounds = Bounds {
        through: opened.journal.head().await.expect("there is one"),
        looked_back_at: world.clock.now(),
    };
    let past = Growing {
        journal: &opened.journal,
        then: RefCell::new(Some(draft.finish())),
    };
    let verdict = tokio::task::block_in_place(|| {
        Retention::new(&opened.projections, &past, bounds).judge(&first)
    });
    assert_eq!(verdict, Ok(Verdict::Stays(Hold::DeadLetter)));
    if let Some(then) = past.then.take() {
        opened.journal.append(then).await.expect("appended");
    }
    let verdict = tokio::task::block_in_place(|| {
        Retention::new(&opened.projections, &past, bounds).judge(&first)
    });
    assert_eq!(verdict, Ok(Verdict::Stays(Hold::Young)));
}
