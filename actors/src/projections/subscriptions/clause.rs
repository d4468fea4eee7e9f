//! Conditions made ready: what can be told by a bit is told by a bit.

use iyagi_messages::change::{ChangeKind, ElementKind};
use iyagi_messages::predicate::{Side, ValueTest};
use iyagi_messages::stream::{Op, StreamRecord};
use iyagi_messages::subscription::{Anchor, Direction, Then, When};
use smol_str::SmolStr;

use super::lexicon::{Lexicon, Mask};

/// How a change lies to an anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// An edge points to the vertex.
    IncidentIn,
    /// An edge leaves the vertex.
    IncidentOut,
    /// It is the element itself.
    Element,
    /// It has the label.
    Labelled,
    /// An edge points to what the person follows.
    FollowedIn,
    /// An edge leaves whom the person follows.
    FollowedOut,
    /// It is what the person follows.
    FollowedElement,
    /// An edge points to what the person made.
    OwnedIn,
    /// An edge leaves what the person made.
    OwnedOut,
}

/// Roles of edges that touch a vertex by one of their ends: as it is pointed to, and as it points.
#[derive(Debug, Clone, Copy)]
pub struct EndRoles {
    /// The vertex is the anchor.
    pub incident: Role,
    /// A follower of the vertex is.
    pub followed: Role,
    /// The maker of the vertex is.
    pub owned: Role,
}

/// The vertex is the edge's target.
pub const POINTED_TO: EndRoles = EndRoles {
    incident: Role::IncidentIn,
    followed: Role::FollowedIn,
    owned: Role::OwnedIn,
};

/// The vertex is the edge's source.
pub const POINTING: EndRoles = EndRoles {
    incident: Role::IncidentOut,
    followed: Role::FollowedOut,
    owned: Role::OwnedOut,
};

/// A role, a kind of element and a kind of change, as one bit.
fn situation(role: Role, kind: ElementKind, change: ChangeKind) -> u64 {
    1 << (role as u32 * 6 + kind as u32 * 3 + change as u32)
}

/// What conditions are tested against.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'e> {
    /// Vertex or edge.
    pub kind: ElementKind,
    /// Created, updated or deleted.
    pub change: ChangeKind,
    /// Sets of a vertex's labels before and after.
    pub label_sets: [u32; 2],
    /// The label of an edge.
    pub edge_label: Option<u32>,
    /// Labels before or after.
    pub labels: Mask,
    /// Properties that changed.
    pub keys: Mask,
    /// The commit's records.
    pub records: &'e [StreamRecord],
    /// Which of them say what values the element's properties gained and lost.
    pub values: &'e [u32],
}

impl<'e> Evidence<'e> {
    /// Records of the values that the element's properties gained and lost.
    pub fn values(&self) -> impl Iterator<Item = &'e StreamRecord> + use<'e> {
        let records = self.records;
        self.values.iter().map(move |at| &records[*at as usize])
    }
}

/// A condition, with the shape of the anchor that it belongs to.
#[derive(Debug, Clone)]
pub struct Clause {
    situations: u64,
    labels: Mask,
    keys: Mask,
    other_labels: Mask,
    exact: Option<Box<Exact>>,
    /// Label of the edges by which the recipient follows, for a followed anchor.
    via: Option<u32>,
}

/// What no bit can tell.
#[derive(Debug, Clone)]
struct Exact {
    labels: Box<[u32]>,
    keys: Box<[SmolStr]>,
    other_labels: Box<[u32]>,
    predicates: Box<[(SmolStr, Side, ValueTest)]>,
}

impl Clause {
    /// Makes a condition ready.
    pub fn of(anchor: &Anchor, when: &When, lexicon: &mut Lexicon) -> Self {
        let numbers = |labels: &[String], lexicon: &mut Lexicon| -> Box<[u32]> {
            labels
                .iter()
                .map(|label| lexicon.labels.intern(label))
                .collect()
        };
        let labels = numbers(&when.labels, lexicon);
        let other_labels = numbers(&when.other_labels, lexicon);
        let keys: Vec<u32> = when
            .keys
            .iter()
            .map(|key| lexicon.keys.intern(key))
            .collect();
        let via = match anchor {
            Anchor::Followed { via, .. } => Some(lexicon.labels.intern(via)),
            _ => None,
        };
        let mask = |numbers: &[u32]| numbers.iter().copied().collect::<Mask>();
        let (label_mask, key_mask, other_mask) = (mask(&labels), mask(&keys), mask(&other_labels));
        let told_by_bits = ![label_mask, key_mask, other_mask]
            .iter()
            .any(|mask| mask.is_vague())
            && when.predicates.is_empty();
        let predicates = when.predicates.iter();
        let exact = (!told_by_bits).then(|| {
            Box::new(Exact {
                labels,
                other_labels,
                keys: when.keys.iter().map(SmolStr::from).collect(),
                predicates: predicates
                    .map(|one| (SmolStr::from(&one.key), one.on, one.test()))
                    .collect(),
            })
        });
        Self {
            situations: situations(anchor, when),
            labels: label_mask,
            keys: key_mask,
            other_labels: other_mask,
            exact,
            via,
        }
    }

    /// Label of the edges by which the recipient follows, for a followed anchor.
    pub fn via(&self) -> Option<u32> {
        self.via
    }

    /// Whether it holds of a change that lies so to its anchor. `other_labels` finds the set of labels of the other end.
    #[inline]
    pub fn holds(
        &self,
        role: Role,
        evidence: &Evidence<'_>,
        lexicon: &Lexicon,
        other_labels: impl Fn() -> u32,
    ) -> bool {
        if self.situations & situation(role, evidence.kind, evidence.change) == 0
            || !self.labels.allows(evidence.labels)
            || !self.keys.allows(evidence.keys)
        {
            return false;
        }
        let mut other = None;
        if !self.other_labels.is_empty() {
            let set = other_labels();
            if !self.other_labels.meets(lexicon.label_sets.mask(set)) {
                return false;
            }
            other = Some(set);
        }
        match &self.exact {
            None => true,
            Some(exact) => exact.holds(evidence, lexicon, other),
        }
    }
}

impl Exact {
    fn holds(&self, evidence: &Evidence<'_>, lexicon: &Lexicon, other: Option<u32>) -> bool {
        let has = |set: u32, label: u32| lexicon.label_sets.has(set, label);
        let of_element = |label: &u32| {
            evidence.edge_label == Some(*label)
                || evidence.label_sets.iter().any(|set| has(*set, *label))
        };
        (self.labels.is_empty() || self.labels.iter().any(of_element))
            && other.is_none_or(|set| self.other_labels.iter().any(|label| has(set, *label)))
            && (self.keys.is_empty()
                || evidence
                    .values()
                    .any(|record| self.keys.contains(&record.data.key)))
            && self.predicates.iter().all(|(key, side, test)| {
                evidence.values().any(|record| {
                    record.data.key == *key
                        && side.covers(record.op == Op::Add)
                        && test.holds(&record.data.value)
                })
            })
    }
}

fn situations(anchor: &Anchor, when: &When) -> u64 {
    let ends = |dir: Direction, incoming: Role, outgoing: Role| match dir {
        Direction::In => vec![incoming],
        Direction::Out => vec![outgoing],
        Direction::Any => vec![incoming, outgoing],
    };
    let roles = match anchor {
        Anchor::Incident { dir, .. } => ends(*dir, Role::IncidentIn, Role::IncidentOut),
        Anchor::Element { .. } => vec![Role::Element],
        Anchor::Followed { then, .. } => match then {
            Then::In => vec![Role::FollowedIn],
            Then::Out => vec![Role::FollowedOut],
            Then::Any => vec![Role::FollowedIn, Role::FollowedOut],
            Then::Element => vec![Role::FollowedElement],
        },
        Anchor::Owned { dir } => ends(*dir, Role::OwnedIn, Role::OwnedOut),
        Anchor::Label { .. } => vec![Role::Labelled],
    };
    let mut situations = 0;
    for role in roles {
        for kind in [ElementKind::Vertex, ElementKind::Edge] {
            for change in [
                ChangeKind::Created,
                ChangeKind::Updated,
                ChangeKind::Deleted,
            ] {
                let wanted = when.element.is_none_or(|wanted| wanted == kind)
                    && (when.change.is_empty() || when.change.contains(&change));
                if wanted {
                    situations |= situation(role, kind, change);
                }
            }
        }
    }
    situations
}
