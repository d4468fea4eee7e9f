//! One entry of an inbox, and how it grows and shrinks.

use std::collections::HashSet;

use iyagi_messages::ids::{ElementId, PersonId, Pos, PushId, TemplateId, Timestamp};
use iyagi_messages::push::Push;
use serde::{Deserialize, Serialize};

use crate::projections::Wishes;

/// Notifications that an entry tells apart. Of older ones of the same burst it knows only how many they were: a burst has
/// no bound, and an entry is written anew with each of them.
pub const NOTED_MAX: usize = 100;

/// What a person was told of one thing: one notification, or the burst that it opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the phone knows it by, as `tag` and `apns-collapse-id`.
    pub id: PushId,
    /// Where its newest notification was requested; entries stand in this order.
    pub pos: Pos,
    /// The last event that added something to it or took something from it.
    pub changed: Pos,
    /// When and where it was marked as read; what is added afterwards is unread.
    pub read: Option<ReadMark>,
    /// What it tells.
    pub content: Content,
}

/// That an entry was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadMark {
    /// The event that says so.
    pub pos: Pos,
    /// When.
    pub at: Timestamp,
}

/// What an entry tells, in ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The kind of notification.
    pub template: TemplateId,
    /// The template's category.
    pub category: String,
    /// Language of the phone that it was for, empty without one.
    pub locale: String,
    /// Its notifications, the newest last, at most [`NOTED_MAX`]. None once all were withdrawn.
    pub noted: Vec<Noted>,
    /// Notifications before those.
    #[serde(default)]
    pub earlier: u32,
    /// People who did what those tell of. Whoever comes back after [`NOTED_MAX`] others is counted again.
    #[serde(default)]
    pub earlier_actors: u32,
}

/// One notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// What all phones of the person are told of the change by this template.
    pub id: PushId,
    /// When the change was requested.
    pub at: Timestamp,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<PersonId>,
    /// What it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<ElementId>,
    /// The property that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether it tells that something was deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_deletion: bool,
}

/// As much of an entry as its person is to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View<'e> {
    /// The newest notification.
    pub newest: &'e Noted,
    /// How many notifications it tells of.
    pub count: u32,
    /// How many people did it besides the newest one's actor.
    pub others: u32,
}

impl Entry {
    /// What a push belongs to: the burst that it is part of, or itself.
    pub fn id_of(push: &Push) -> PushId {
        push.burst.unwrap_or_else(|| push.notification())
    }

    /// The entry that a push opens.
    pub fn opened_by(push: &Push, pos: Pos) -> Self {
        Self {
            id: Self::id_of(push),
            pos,
            changed: pos,
            read: None,
            content: Content {
                template: push.template.clone(),
                category: push.category.clone(),
                locale: push.locale.clone(),
                noted: vec![Noted::of(push)],
                earlier: 0,
                earlier_actors: 0,
            },
        }
    }

    /// Adds what a push tells, which makes the entry the newest and unread; false if another phone's push told it already.
    pub fn add(&mut self, push: &Push, pos: Pos) -> bool {
        let added = Noted::of(push);
        let content = &mut self.content;
        if content.noted.iter().any(|noted| noted.id == added.id) {
            return false;
        }
        content.noted.push(added);
        if content.noted.len() > NOTED_MAX {
            let oldest = content.noted.remove(0);
            content.earlier += 1;
            let named_again = content
                .noted
                .iter()
                .any(|noted| noted.actor == oldest.actor);
            content.earlier_actors += u32::from(oldest.actor.is_some() && !named_again);
        }
        content.locale.clone_from(&push.locale);
        self.pos = pos;
        self.changed = pos;
        self.read = None;
        true
    }

    /// Takes back what a notification told; false if it told nothing.
    pub fn withdraw(&mut self, notification: PushId, pos: Pos) -> bool {
        let noted = &mut self.content.noted;
        let before = noted.len();
        noted.retain(|one| one.id != notification);
        let changed = noted.len() < before;
        if changed {
            self.changed = pos;
        }
        changed
    }

    /// Whether it counts as unread.
    pub fn is_unread(&self) -> bool {
        self.read.is_none() && self.count() > 0
    }

    /// How many notifications it tells of; 0 once all were withdrawn.
    pub fn count(&self) -> u32 {
        match self.content.noted.len() {
            0 => 0,
            noted => self.content.earlier + noted as u32,
        }
    }

    /// What its person is to see of it; nothing if all of it comes from whom they do not want to hear of by now.
    pub fn seen_by(&self, person: &PersonId, wishes: &Wishes) -> Option<View<'_>> {
        let hidden = |noted: &Noted| {
            let by = noted.actor.as_ref();
            by.is_some_and(|actor| {
                wishes.blocked_between(person, actor) || wishes.mutes(person, &actor.clone().into())
            }) || noted
                .subject
                .as_ref()
                .is_some_and(|subject| wishes.mutes(person, subject))
        };
        let seen: Vec<&Noted> = self
            .content
            .noted
            .iter()
            .filter(|noted| !hidden(noted))
            .collect();
        let newest = *seen.last()?;
        let actors: HashSet<&PersonId> = seen
            .iter()
            .filter_map(|noted| noted.actor.as_ref())
            .collect();
        let actors = actors.len() as u32 + self.content.earlier_actors;
        Some(View {
            newest,
            count: self.content.earlier + seen.len() as u32,
            others: actors.saturating_sub(1),
        })
    }
}

impl Noted {
    fn of(push: &Push) -> Self {
        Self {
            id: push.notification(),
            at: push.at,
            actor: push.actor.clone(),
            subject: push.subject.clone(),
            key: push.key.clone(),
            of_deletion: push.of_deletion,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::contract::inbox::push;

    #[test]
    fn several_phones_of_one_person_make_one_notification() {
        let first = push("minji", "phone-1", 1, "daniel");
        let mut entry = Entry::opened_by(&first, Pos(5));
        assert!(!entry.add(&push("minji", "phone-2", 1, "daniel"), Pos(6)));
        assert_eq!((entry.count(), entry.pos), (1, Pos(5)));
    }

    #[test]
    fn of_a_burst_without_end_only_the_newest_are_kept_apart_and_all_are_counted() {
        let mut entry = Entry::opened_by(&push("minji", "p", 0, "actor-0"), Pos(1));
        for number in 1..=250_u64 {
            let actor = format!("actor-{number}");
            let pos = Pos(number + 1);
            assert!(entry.add(&push("minji", "p", number, &actor), pos));
        }
        assert_eq!(entry.content.noted.len(), NOTED_MAX);
        assert_eq!(entry.count(), 251);
        let view = entry
            .seen_by(&"minji".into(), &Wishes::default())
            .expect("seen");
        assert_eq!((view.count, view.others), (251, 250));
    }

    #[test]
    fn what_is_added_to_a_read_entry_makes_it_unread() {
        let mut entry = Entry::opened_by(&push("minji", "p", 1, "daniel"), Pos(1));
        let at = Timestamp(9);
        entry.read = Some(ReadMark { pos: Pos(2), at });
        assert!(entry.add(&push("minji", "p", 2, "grace"), Pos(3)));
        assert_eq!((entry.read, entry.pos), (None, Pos(3)));
    }

    #[test]
    fn what_is_withdrawn_is_no_longer_told_and_the_one_before_it_speaks() {
        let withdrawn = push("minji", "p", 2, "grace");
        let mut entry = Entry::opened_by(&push("minji", "p", 1, "daniel"), Pos(1));
        entry.add(&withdrawn, Pos(2));
        assert!(entry.withdraw(withdrawn.notification(), Pos(3)));
        assert!(!entry.withdraw(withdrawn.notification(), Pos(4)));
        let view = entry
            .seen_by(&"minji".into(), &Wishes::default())
            .expect("seen");
        assert_eq!(view.newest.actor, Some("daniel".into()));
        assert_eq!((view.count, view.others, entry.changed), (1, 0, Pos(3)));
    }
}
