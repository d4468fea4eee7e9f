//! Who wants to hear of what: every explicit subscription, found by what it is anchored at.
//!
//! Subscriptions are held by the million, so each is a row of numbers. At an anchor lie its subscriptions grouped by their
//! condition: equal conditions, which are nearly all, are one and are tested once for a change and an anchor, however many
//! people have subscribed. Nothing is ever rebuilt: adding and removing touch the one group.

pub mod clause;
pub mod lexicon;
mod lists;
mod row;
mod table;

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::hint::black_box;

use foldhash::fast::RandomState;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{PersonId, SubscriptionId, TemplateId, Timestamp};
use iyagi_messages::subscription::{Anchor, Subscription, When};
use serde::{Deserialize, Serialize, Serializer};

use self::clause::Clause;
use self::lexicon::{Lexicon, SharedLexicon, push_tightly};
use self::lists::{Lists, Place};
use self::row::{Condition, Row, RowName};
use self::table::Table;

/// Every explicit subscription.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "Vec<Subscription>")]
pub struct Subscriptions {
    /// Numbers of ids and labels, which the graph shares.
    lexicon: SharedLexicon,
    rows: Vec<Row>,
    free_rows: Vec<u32>,
    /// Ids that are not written as UUIDs are, by row.
    odd_names: HashMap<u32, Box<str>, RandomState>,
    by_name: Table,
    seed: RandomState,
    conditions: Vec<Condition>,
    clauses: Vec<Clause>,
    free_conditions: Vec<u32>,
    by_condition: Table,
    /// By number of an id: the groups that lie there.
    at_ids: Vec<Handle>,
    /// By number of a label: the groups that lie there.
    at_labels: Vec<Handle>,
    groups: Lists<Group>,
    /// By number of an id: whose rows these are.
    by_owner: Vec<Rows>,
    lists: Lists<u32>,
    expiries: HashMap<u32, Timestamp, RandomState>,
    /// How many are anchored at their owner's relations.
    relative: usize,
    /// The latest operation after which any of them counts.
    awaited_after: Cursor,
}

/// Subscriptions at one anchor that have one condition.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    condition: u32,
    rows: Rows,
}

/// No list, or one.
#[derive(Debug, Clone, Copy, Default)]
struct Handle(u32);

impl Handle {
    fn of(place: Option<Place>) -> Self {
        Self(place.map_or(0, |place| place.bits() + 1))
    }

    fn place(self) -> Option<Place> {
        (self.0 != 0).then(|| Place::from_bits(self.0 - 1))
    }
}

/// No row, one, or a list of rows: most groups and most owners have one.
#[derive(Debug, Clone, Copy, Default)]
struct Rows(u32);

/// Marks a list of rows.
const LIST: u32 = 1 << 31;

impl Rows {
    fn one(row: u32) -> Self {
        assert!(row + 1 < LIST, "memory ends before there are so many rows");
        Self(row + 1)
    }

    fn list(place: Place) -> Self {
        Self(LIST | place.bits())
    }

    /// Adds a row and says where among the others it is.
    fn push(&mut self, row: u32, lists: &mut Lists<u32>) -> u32 {
        if self.0 == 0 {
            *self = Self::one(row);
            return 0;
        }
        let place = if self.0 & LIST == 0 {
            lists.create(&[self.0 - 1, row])
        } else {
            lists.push(Place::from_bits(self.0 & !LIST), row)
        };
        *self = Self::list(place);
        lists.get(place).len() as u32 - 1
    }

    /// Takes out the row at a place, and says which one is there now.
    fn swap_remove(&mut self, at: u32, lists: &mut Lists<u32>) -> Option<u32> {
        if self.0 & LIST == 0 {
            *self = Self::default();
            return None;
        }
        let place = Place::from_bits(self.0 & !LIST);
        let left = lists.swap_remove(place, at as usize)?;
        let moved = lists.get(left).get(at as usize).copied();
        *self = match lists.get(left) {
            &[only] => {
                lists.free(left);
                Self::one(only)
            }
            _ => Self::list(left),
        };
        moved
    }

    /// The rows; `only` is room for one.
    #[inline]
    fn slice<'r>(self, only: &'r mut [u32; 1], lists: &'r Lists<u32>) -> &'r [u32] {
        if self.0 & LIST != 0 {
            return lists.get(Place::from_bits(self.0 & !LIST));
        }
        if self.0 == 0 {
            return &[];
        }
        *only = [self.0 - 1];
        only
    }
}

impl Subscriptions {
    /// Whether a fact changes them.
    pub fn concerns(fact: &Fact) -> bool {
        matches!(
            fact,
            Fact::SubscriptionCreated(_)
                | Fact::SubscriptionChanged(_)
                | Fact::SubscriptionRemoved(_)
        )
    }

    /// Folds the journal's next event.
    pub fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::SubscriptionCreated(created) => self.put(&created.subscription),
            Fact::SubscriptionChanged(changed) => self.put(&changed.subscription),
            Fact::SubscriptionRemoved(removed) => self.remove(&removed.id),
            _ => {}
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len() - self.free_rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A subscription.
    pub fn get(&self, id: &SubscriptionId) -> Option<Subscription> {
        let row = self.row_of(id)?;
        Some(self.read(row, &self.lexicon.read()))
    }

    /// A person's subscriptions, by id.
    pub fn of(&self, owner: &PersonId) -> Vec<Subscription> {
        let mut only = [0];
        let lexicon = self.lexicon.read();
        let rows = lexicon.ids.get(owner.as_str());
        let rows = rows.and_then(|id| self.by_owner.get(id as usize));
        let rows = rows
            .copied()
            .unwrap_or_default()
            .slice(&mut only, &self.lists);
        let mut found: Vec<_> = rows.iter().map(|row| self.read(*row, &lexicon)).collect();
        found.sort_by(|one, other| one.id.cmp(&other.id));
        found
    }

    /// Adds a subscription, in the place of one with the same id.
    pub fn put(&mut self, subscription: &Subscription) {
        self.remove(&subscription.id);
        let shared = self.lexicon.clone();
        let lexicon = &mut *shared.write();
        let owner = lexicon.ids.intern(subscription.owner.as_str());
        let anchor = match &subscription.anchor {
            Anchor::Incident { vertex: id, .. } | Anchor::Element { id } => {
                lexicon.ids.intern(id.as_str())
            }
            Anchor::Followed { .. } | Anchor::Owned { .. } => owner,
            Anchor::Label { label } => lexicon.labels.intern(label),
        };
        let condition = self.condition(subscription, lexicon);
        let row = self.free_rows.pop().unwrap_or(self.rows.len() as u32);
        let name = RowName::of(&subscription.id);
        if name.to_id().is_none() {
            self.odd_names.insert(row, subscription.id.as_str().into());
        }
        let mut added = Row::new(name, owner, anchor, condition, subscription.effective_after);
        if subscription.enabled {
            let is_label = matches!(subscription.anchor, Anchor::Label { .. });
            added.set_place(self.enlist(row, is_label, anchor, condition));
            self.relative += usize::from(self.is_relative(condition));
        }
        if let Some(at) = subscription.expires_at {
            self.expiries.insert(row, at);
        }
        self.awaited_after = self.awaited_after.max(subscription.effective_after);
        if row as usize == self.rows.len() {
            push_tightly(&mut self.rows, added);
        } else {
            self.rows[row as usize] = added;
        }
        let owned = slot(&mut self.by_owner, owner);
        owned.push(row, &mut self.lists);
        let hash = self.seed.hash_one(subscription.id.as_str());
        self.by_name.insert(hash, row);
    }

    /// Removes a subscription, if it is there.
    pub fn remove(&mut self, id: &SubscriptionId) {
        let Some(row) = self.row_of(id) else { return };
        let gone = self.rows[row as usize];
        let Row {
            owner,
            anchor,
            condition,
            ..
        } = gone;
        if let Some(place) = gone.place() {
            self.relative -= usize::from(self.is_relative(condition));
            self.delist(anchor, condition, place);
        }
        let owned = slot(&mut self.by_owner, owner);
        let mut only = [0];
        let rows = owned.slice(&mut only, &self.lists);
        if let Some(at) = rows.iter().position(|other| *other == row) {
            owned.swap_remove(at as u32, &mut self.lists);
        }
        self.by_name.remove(self.seed.hash_one(id.as_str()), row);
        self.odd_names.remove(&row);
        self.expiries.remove(&row);
        self.release(condition);
        push_tightly(&mut self.free_rows, row);
    }

    fn row_of(&self, id: &SubscriptionId) -> Option<u32> {
        let name = RowName::of(id);
        let odd = name.to_id().is_none();
        self.by_name.find(self.seed.hash_one(id.as_str()), |row| {
            self.rows[row as usize].name() == name
                && (!odd
                    || self
                        .odd_names
                        .get(&row)
                        .is_some_and(|odd| **odd == *id.as_str()))
        })
    }

    fn read(&self, row: u32, lexicon: &Lexicon) -> Subscription {
        let found = &self.rows[row as usize];
        let condition = &self.conditions[found.condition as usize];
        let anchored_at = match &condition.anchor {
            Anchor::Label { .. } => lexicon.labels.text(found.anchor),
            _ => lexicon.ids.text(found.anchor),
        };
        Subscription {
            id: self.id(row),
            owner: lexicon.ids.text(found.owner).into(),
            anchor: row::anchored(&condition.anchor, anchored_at),
            when: condition.when.clone(),
            template: condition.template.clone(),
            exclude_self: condition.exclude_self,
            enabled: found.place().is_some(),
            expires_at: self.expiries.get(&row).copied(),
            effective_after: found.effective_after(),
        }
    }
}

/// For matching.
impl Subscriptions {
    /// The numbers of ids and labels.
    pub fn lexicon(&self) -> &SharedLexicon {
        &self.lexicon
    }

    /// The groups at a vertex, an edge or, of what is relative to a person, at the person.
    #[inline]
    pub fn at(&self, id: u32) -> &[Group] {
        match self
            .at_ids
            .get(id as usize)
            .and_then(|handle| handle.place())
        {
            Some(place) => self.groups.get(place),
            None => &[],
        }
    }

    /// Reads where the groups at many ids are, so that whoever asks for them one by one does not wait for memory each time:
    /// here the processor waits for many at once.
    pub fn touch(&self, ids: impl Iterator<Item = u32>) {
        let handles = ids.filter_map(|id| self.at_ids.get(id as usize));
        let places = handles.filter_map(|handle| handle.place());
        let read = places.fold(0, |read, place| read ^ self.groups.get(place)[0].condition);
        black_box(read);
    }

    /// The groups at a label.
    pub fn at_label(&self, label: u32) -> &[Group] {
        match self
            .at_labels
            .get(label as usize)
            .and_then(|handle| handle.place())
        {
            Some(place) => self.groups.get(place),
            None => &[],
        }
    }

    /// Whether anything is anchored at a label.
    pub fn any_at_labels(&self) -> bool {
        !self.at_labels.is_empty()
    }

    /// Whether anything is anchored at whom people follow or at what they made.
    pub fn any_relative(&self) -> bool {
        self.relative > 0
    }

    /// The condition of a group.
    #[inline]
    pub fn clause(&self, group: Group) -> &Clause {
        &self.clauses[group.condition as usize]
    }

    /// Appends the rows of a group that a change, made at an operation and a moment, is news to.
    #[inline]
    pub fn collect(&self, group: Group, operation: Cursor, at: Timestamp, rows: &mut Vec<u32>) {
        let mut only = [0];
        let members = group.rows.slice(&mut only, &self.lists);
        // That someone has subscribed after what is being matched is rare, and seen without looking at any row.
        if operation > self.awaited_after && self.expiries.is_empty() {
            rows.extend_from_slice(members);
        } else {
            let awaits = |row: &&u32| {
                operation > self.rows[**row as usize].effective_after()
                    && self.expiries.get(*row).is_none_or(|expiry| at < *expiry)
            };
            rows.extend(members.iter().filter(awaits));
        }
    }

    /// Whose row it is.
    pub fn owner(&self, row: u32) -> u32 {
        self.rows[row as usize].owner
    }

    /// What a row's subscription is announced by, what it asks for, and whether its owner's own acts are left out.
    pub fn terms(&self, row: u32) -> (&TemplateId, &When, bool) {
        let condition = &self.conditions[self.rows[row as usize].condition as usize];
        (&condition.template, &condition.when, condition.exclude_self)
    }

    /// The id of a row's subscription.
    pub fn id(&self, row: u32) -> SubscriptionId {
        let usual = self.rows[row as usize].name().to_id();
        usual.unwrap_or_else(|| SubscriptionId::from(&*self.odd_names[&row]))
    }
}

/// The index.
impl Subscriptions {
    /// Puts a row into its group, and says where in it.
    fn enlist(&mut self, row: u32, is_label: bool, anchor: u32, condition: u32) -> u32 {
        let at = if is_label {
            &mut self.at_labels
        } else {
            &mut self.at_ids
        };
        let handle = slot(at, anchor);
        let Some(place) = handle.place() else {
            let rows = Rows::one(row);
            *handle = Handle::of(Some(self.groups.create(&[Group { condition, rows }])));
            return 0;
        };
        let groups = self.groups.get_mut(place);
        if let Some(group) = groups.iter_mut().find(|group| group.condition == condition) {
            return group.rows.push(row, &mut self.lists);
        }
        let rows = Rows::one(row);
        *handle = Handle::of(Some(self.groups.push(place, Group { condition, rows })));
        0
    }

    fn delist(&mut self, anchor: u32, condition: u32, place_in_group: u32) {
        let is_label = matches!(
            self.conditions[condition as usize].anchor,
            Anchor::Label { .. }
        );
        let at = if is_label {
            &mut self.at_labels
        } else {
            &mut self.at_ids
        };
        let handle = slot(at, anchor);
        let Some(place) = handle.place() else { return };
        let groups = self.groups.get_mut(place);
        let Some(nth) = groups.iter().position(|group| group.condition == condition) else {
            return;
        };
        let rows = &mut groups[nth].rows;
        if let Some(moved) = rows.swap_remove(place_in_group, &mut self.lists) {
            self.rows[moved as usize].set_place(place_in_group);
        }
        if rows.0 == 0 {
            *handle = Handle::of(self.groups.swap_remove(place, nth));
        }
    }

    fn is_relative(&self, condition: u32) -> bool {
        let anchor = &self.conditions[condition as usize].anchor;
        matches!(anchor, Anchor::Followed { .. } | Anchor::Owned { .. })
    }

    fn condition(&mut self, subscription: &Subscription, lexicon: &mut Lexicon) -> u32 {
        let wanted = Condition::of(subscription);
        let hash = self.seed.hash_one(&wanted);
        let known = self
            .by_condition
            .find(hash, |number| self.conditions[number as usize] == wanted);
        if let Some(number) = known {
            self.conditions[number as usize].uses += 1;
            return number;
        }
        let clause = Clause::of(&wanted.anchor, &wanted.when, lexicon);
        let number = if let Some(free) = self.free_conditions.pop() {
            self.conditions[free as usize] = wanted;
            self.clauses[free as usize] = clause;
            free
        } else {
            self.conditions.push(wanted);
            self.clauses.push(clause);
            self.conditions.len() as u32 - 1
        };
        self.by_condition.insert(hash, number);
        number
    }

    fn release(&mut self, number: u32) {
        let condition = &mut self.conditions[number as usize];
        condition.uses -= 1;
        if condition.uses == 0 {
            self.by_condition
                .remove(self.seed.hash_one(&*condition), number);
            self.free_conditions.push(number);
        }
    }
}

/// What a list has at a number, which it may not reach yet.
fn slot<T: Default>(list: &mut Vec<T>, number: u32) -> &mut T {
    while list.len() <= number as usize {
        push_tightly(list, T::default());
    }
    &mut list[number as usize]
}

impl From<Vec<Subscription>> for Subscriptions {
    fn from(stored: Vec<Subscription>) -> Self {
        let mut subscriptions = Self::default();
        for one in &stored {
            subscriptions.put(one);
        }
        subscriptions
    }
}

impl Serialize for Subscriptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut vacant = vec![false; self.rows.len()];
        for row in &self.free_rows {
            vacant[*row as usize] = true;
        }
        let rows = (0..self.rows.len() as u32).filter(|row| !vacant[*row as usize]);
        let lexicon = self.lexicon.read();
        serializer.collect_seq(rows.map(|row| self.read(row, &lexicon)))
    }
}
