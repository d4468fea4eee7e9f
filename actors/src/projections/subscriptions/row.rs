//! One subscription as it is kept.

use std::hash::{Hash, Hasher};

use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::{SubscriptionId, TemplateId};
use iyagi_messages::subscription::{Anchor, Subscription, When};
use uuid::Uuid;

/// One subscription: what it shares with others is a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    name: RowName,
    pub(super) owner: u32,
    /// The number of an id, or of a label.
    pub(super) anchor: u32,
    pub(super) condition: u32,
    place: u32,
    /// High and low half, so that a row needs no padding.
    after_commit: [u32; 2],
    after_op: u32,
}

/// A subscription's id, if it is written as UUIDs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowName([u8; 16]);

/// Of a row that is in no group.
const NOWHERE: u32 = u32::MAX;

impl RowName {
    /// Of all ids that are written in another way.
    const ODD: Self = Self([0; 16]);

    pub(super) fn of(id: &SubscriptionId) -> Self {
        let mut buffer = Uuid::encode_buffer();
        match Uuid::try_parse(id.as_str()) {
            Ok(uuid) if uuid.as_hyphenated().encode_lower(&mut buffer) == id.as_str() => {
                Self(uuid.into_bytes())
            }
            _ => Self::ODD,
        }
    }

    /// The id, unless it is written in another way.
    pub(super) fn to_id(self) -> Option<SubscriptionId> {
        (self != Self::ODD).then(|| SubscriptionId(Uuid::from_bytes(self.0).to_string()))
    }
}

impl Row {
    pub(super) fn new(
        name: RowName,
        owner: u32,
        anchor: u32,
        condition: u32,
        after: Cursor,
    ) -> Self {
        Self {
            name,
            owner,
            anchor,
            condition,
            place: NOWHERE,
            after_commit: [(after.commit >> 32) as u32, after.commit as u32],
            // No commit has so many operations, so the rest means all of them.
            after_op: u32::try_from(after.op).unwrap_or(u32::MAX),
        }
    }

    pub(super) fn name(&self) -> RowName {
        self.name
    }

    /// Where it is in its group; nowhere if it is disabled.
    pub(super) fn place(&self) -> Option<u32> {
        (self.place != NOWHERE).then_some(self.place)
    }

    pub(super) fn set_place(&mut self, place: u32) {
        self.place = place;
    }

    /// The operation after which changes count.
    pub(super) fn effective_after(&self) -> Cursor {
        let [high, low] = self.after_commit.map(u64::from);
        let op = match self.after_op {
            u32::MAX => u64::MAX,
            op => u64::from(op),
        };
        Cursor::new(high << 32 | low, op)
    }
}

/// What subscriptions share that differ only in whose they are and where they are anchored.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    /// Anchored nowhere.
    pub(super) anchor: Anchor,
    pub(super) when: When,
    pub(super) template: TemplateId,
    pub(super) exclude_self: bool,
    /// By how many subscriptions.
    pub(super) uses: u32,
}

impl Condition {
    pub(super) fn of(subscription: &Subscription) -> Self {
        Self {
            anchor: anchored(&subscription.anchor, ""),
            when: subscription.when.clone(),
            template: subscription.template.clone(),
            exclude_self: subscription.exclude_self,
            uses: 1,
        }
    }

    fn key(&self) -> (&Anchor, &When, &TemplateId, bool) {
        (&self.anchor, &self.when, &self.template, self.exclude_self)
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Condition {}

impl Hash for Condition {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// The same anchor somewhere else.
pub(super) fn anchored(anchor: &Anchor, at: &str) -> Anchor {
    match anchor {
        Anchor::Incident { dir, .. } => Anchor::Incident {
            vertex: at.into(),
            dir: *dir,
        },
        Anchor::Element { .. } => Anchor::Element { id: at.into() },
        Anchor::Label { .. } => Anchor::Label { label: at.into() },
        relative => relative.clone(),
    }
}
