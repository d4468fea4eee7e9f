//! Who is still to be told of changes that concern many, some at a time.
//!
//! Of each such change its people are queued in lists, in the append that moves the cursor behind it. A list's turn comes
//! when the senders have little else to do, and commits take turns, so that a person with a million followers holds up
//! nobody else's notifications.

use std::collections::VecDeque;

use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{EventId, Pos};
use serde::{Deserialize, Serialize};

/// Lists of people who are still to be told, folded up to a position.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FanOuts {
    /// The commits that have lists left, the next one first.
    turns: VecDeque<Turn>,
    /// People on all lists.
    people: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Turn {
    /// The event that says that the commit was matched.
    matched: Option<EventId>,
    /// Where its lists are, and how many people each has.
    lists: VecDeque<(Pos, u64)>,
}

impl FanOuts {
    /// Whether a fact changes who is still to be told.
    pub fn concerns(fact: &Fact) -> bool {
        matches!(fact, Fact::FanOutQueued(_) | Fact::FanOutCompleted(_))
    }

    /// Where the list is whose turn it is.
    pub fn next(&self) -> Option<Pos> {
        let turn = self.turns.front()?;
        turn.lists.front().map(|(pos, _)| *pos)
    }

    /// Where the first list is that is left.
    pub fn oldest(&self) -> Option<Pos> {
        let lists = self.turns.iter().flat_map(|turn| &turn.lists);
        lists.map(|(pos, _)| *pos).min()
    }

    /// How many people are still to be told of something.
    pub fn people(&self) -> u64 {
        self.people
    }

    /// Folds the journal's next event.
    pub fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::FanOutQueued(queued) => {
                let list = (event.pos, queued.people.len() as u64);
                self.people += list.1;
                let mut turns = self.turns.iter_mut();
                match turns.find(|turn| turn.matched == event.cause) {
                    Some(turn) => turn.lists.push_back(list),
                    None => self.turns.push_back(Turn {
                        matched: event.cause,
                        lists: [list].into(),
                    }),
                }
            }
            Fact::FanOutCompleted(completed) => self.complete(completed.queued),
            _ => {}
        }
    }

    fn complete(&mut self, queued: Pos) {
        for at in 0..self.turns.len() {
            let lists = &mut self.turns[at].lists;
            let Some(nth) = lists.iter().position(|(pos, _)| *pos == queued) else {
                continue;
            };
            if let Some((_, people)) = lists.remove(nth) {
                self.people -= people;
            }
            if let Some(turn) = self.turns.remove(at)
                && !turn.lists.is_empty()
            {
                self.turns.push_back(turn);
            }
            return;
        }
    }
}
