//! What people wish of notifications, by their own word and by the graph's.

use std::collections::HashMap;

use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{ElementId, PersonId, Seq};
use iyagi_messages::preferences::{Preferences, Silence};
use serde::{Deserialize, Serialize};

/// Preferences, blocks and mutes, folded up to a position.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Wishes {
    people: HashMap<PersonId, Wished>,
    /// By person: whom and what the graph says that they silence.
    silences: HashMap<PersonId, HashMap<ElementId, Silences>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Wished {
    preferences: Preferences,
    /// Number of the entity's last event, for the next change.
    seq: Seq,
}

/// How one silences another by edges of the graph.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Silences {
    blocks: bool,
    mutes: bool,
}

impl Silences {
    fn has(self, silence: Silence) -> bool {
        match silence {
            Silence::Block => self.blocks,
            Silence::Mute => self.mutes,
        }
    }

    fn set(&mut self, silence: Silence, holds: bool) {
        match silence {
            Silence::Block => self.blocks = holds,
            Silence::Mute => self.mutes = holds,
        }
    }
}

impl Wishes {
    /// Whether a fact changes somebody's wishes.
    pub fn concerns(fact: &Fact) -> bool {
        matches!(
            fact,
            Fact::PreferencesChanged(_) | Fact::SilencePlaced(_) | Fact::SilenceLifted(_)
        )
    }

    /// A person's own preferences, if they ever said anything.
    pub fn of(&self, person: &PersonId) -> Option<&Preferences> {
        self.people.get(person).map(|wished| &wished.preferences)
    }

    /// Number of the last change of a person's preferences.
    pub fn seq_of(&self, person: &PersonId) -> Seq {
        self.people
            .get(person)
            .map_or(Seq::default(), |wished| wished.seq)
    }

    /// Whether one of two people has blocked the other, whichever.
    pub fn blocked_between(&self, one: &PersonId, other: &PersonId) -> bool {
        self.blocks(one, other) || self.blocks(other, one)
    }

    /// Whether a person wants to hear nothing of somebody or something.
    pub fn mutes(&self, person: &PersonId, whom: &ElementId) -> bool {
        self.of(person)
            .is_some_and(|preferences| preferences.muted.contains(whom))
            || self.silences(person, whom, Silence::Mute)
    }

    /// Whether a person wants no notification of a category.
    pub fn has_left(&self, person: &PersonId, category: &str) -> bool {
        self.of(person)
            .is_some_and(|preferences| preferences.opted_out_categories.contains(category))
    }

    /// Whether the graph says that a person silences somebody or something in this way.
    pub fn silences(&self, person: &PersonId, whom: &ElementId, how: Silence) -> bool {
        self.by_graph(person, whom).has(how)
    }

    /// Every silence that the graph says, in no order.
    pub fn all_silences(&self) -> impl Iterator<Item = (&PersonId, &ElementId, Silence)> {
        self.silences.iter().flat_map(|(person, others)| {
            others.iter().flat_map(move |(other, silences)| {
                let held = [Silence::Block, Silence::Mute]
                    .into_iter()
                    .filter(|silence| silences.has(*silence));
                held.map(move |silence| (person, other, silence))
            })
        })
    }

    /// Folds the journal's next event.
    pub fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::PreferencesChanged(changed) => {
                let wished = Wished {
                    preferences: changed.preferences.clone(),
                    seq: event.seq,
                };
                self.people.insert(changed.person.clone(), wished);
            }
            Fact::SilencePlaced(placed) => {
                let others = self.silences.entry(placed.person.clone()).or_default();
                let silences = others.entry(placed.other.clone()).or_default();
                silences.set(placed.silence, true);
            }
            Fact::SilenceLifted(lifted) => {
                let Some(others) = self.silences.get_mut(&lifted.person) else {
                    return;
                };
                if let Some(silences) = others.get_mut(&lifted.other) {
                    silences.set(lifted.silence, false);
                    if *silences == Silences::default() {
                        others.remove(&lifted.other);
                    }
                }
                if others.is_empty() {
                    self.silences.remove(&lifted.person);
                }
            }
            _ => {}
        }
    }

    fn blocks(&self, person: &PersonId, other: &PersonId) -> bool {
        self.of(person)
            .is_some_and(|preferences| preferences.blocked.contains(other))
            || self.silences(person, &other.clone().into(), Silence::Block)
    }

    fn by_graph(&self, person: &PersonId, whom: &ElementId) -> Silences {
        self.silences
            .get(person)
            .and_then(|others| others.get(whom))
            .copied()
            .unwrap_or_default()
    }
}
