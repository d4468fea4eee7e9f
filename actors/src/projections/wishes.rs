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
    /// By person: how many others block them, by either word. It follows from the above.
    #[serde(default)]
    blocked_by: HashMap<PersonId, u32>,
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

    /// Whether a person may have anybody or anything of whom they are to hear nothing; false is certain.
    pub fn may_silence(&self, person: &PersonId) -> bool {
        self.silences.contains_key(person)
            || self.blocked_by.contains_key(person)
            || self.of(person).is_some_and(|preferences| {
                !preferences.blocked.is_empty() || !preferences.muted.is_empty()
            })
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
                for other in &changed.preferences.blocked {
                    self.count_blocker(other, 1);
                }
                if let Some(before) = self.people.insert(changed.person.clone(), wished) {
                    for other in &before.preferences.blocked {
                        self.count_blocker(other, -1);
                    }
                }
            }
            Fact::SilencePlaced(placed) => {
                let others = self.silences.entry(placed.person.clone()).or_default();
                let silences = others.entry(placed.other.clone()).or_default();
                let blocked = silences.blocks;
                silences.set(placed.silence, true);
                if silences.blocks && !blocked {
                    self.count_blocker(&placed.other.clone().into(), 1);
                }
            }
            Fact::SilenceLifted(lifted) => {
                let Some(others) = self.silences.get_mut(&lifted.person) else {
                    return;
                };
                let mut unblocked = false;
                if let Some(silences) = others.get_mut(&lifted.other) {
                    let blocked = silences.blocks;
                    silences.set(lifted.silence, false);
                    unblocked = blocked && !silences.blocks;
                    if *silences == Silences::default() {
                        others.remove(&lifted.other);
                    }
                }
                if others.is_empty() {
                    self.silences.remove(&lifted.person);
                }
                if unblocked {
                    self.count_blocker(&lifted.other.clone().into(), -1);
                }
            }
            _ => {}
        }
    }

    fn count_blocker(&mut self, blocked: &PersonId, by: i32) {
        let count = self.blocked_by.entry(blocked.clone()).or_default();
        *count = count.saturating_add_signed(by);
        if *count == 0 {
            self.blocked_by.remove(blocked);
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

#[cfg(test)]
mod tests {
    use iyagi_messages::fact::{PreferencesChanged, SilenceLifted, SilencePlaced};
    use iyagi_messages::ids::{EventId, Pos, Timestamp};

    use super::*;

    fn apply(wishes: &mut Wishes, fact: impl Into<Fact>) {
        wishes.apply(&Event {
            pos: Pos(1),
            id: EventId::root("test", ""),
            entity: iyagi_messages::event::Entity::new("test", "test"),
            seq: Seq(1),
            at: Timestamp(0),
            cause: None,
            corr: String::new(),
            actor: "test".into(),
            fact: fact.into(),
        });
    }

    #[test]
    fn who_is_blocked_by_anyone_is_known_until_the_last_has_lifted_it() {
        let mut wishes = Wishes::default();
        let blocking = |blocked: &[&str]| PreferencesChanged {
            person: "minji".into(),
            preferences: Preferences {
                blocked: blocked.iter().map(|one| PersonId::from(*one)).collect(),
                ..Preferences::default()
            },
        };
        let daniel = PersonId::from("daniel");
        assert!(!wishes.may_silence(&daniel));
        apply(&mut wishes, blocking(&["daniel"]));
        apply(&mut wishes, blocking(&["daniel", "ada"]));
        let (person, other) = (PersonId::from("grace"), ElementId::from("daniel"));
        let silence = Silence::Block;
        for _ in 0..2 {
            let (person, other) = (person.clone(), other.clone());
            apply(
                &mut wishes,
                SilencePlaced {
                    person,
                    other,
                    silence,
                },
            );
        }
        apply(&mut wishes, blocking(&[]));
        assert!(wishes.may_silence(&daniel), "grace still does");
        assert!(!wishes.may_silence(&"ada".into()));
        apply(
            &mut wishes,
            SilenceLifted {
                person,
                other,
                silence,
            },
        );
        assert!(!wishes.may_silence(&daniel));
    }
}
