//! Hosts that share the work: one reads the change log, each sends the pushes of a share of the people.
//!
//! Who does what is an event like any other: the leader appends a division of the work (`fleet.assigned`), every host
//! folds it, and whatever is decided on a division expects that it still holds when it is appended. So a host that was
//! paused, cut off or replaced can decide what it likes: its append is refused, and it learns why.
//!
//! # Layout
//! - this file: what an actor asks about the division
//! - [`keeper`]: keeps this host known to the others, and divides the work while it leads
//! - [`lanes`]: which host sends whose pushes
//! - [`observation`]: who is silent for so long that its work may be taken over
//!
//! **Invariant:** an attempt is appended only under the division that it was decided on, and a move of the cursor only
//! under the lead.

pub mod keeper;
pub mod lanes;
pub mod observation;

use std::sync::Arc;

use iyagi_messages::fleet::Lane;
use iyagi_messages::ids::{MemberId, PersonId, Seq};

use crate::journal::Draft;
use crate::projections::{Members, Projections};

/// This host among the others.
#[derive(Clone)]
pub struct Fleet {
    me: Option<MemberId>,
    projections: Arc<Projections>,
}

/// The division of the work that a decision was made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Division(Seq);

/// The lead that a decision was made under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lead(Seq);

impl Fleet {
    /// A host without others: everything is its work.
    pub fn alone(projections: Arc<Projections>) -> Self {
        Self {
            me: None,
            projections,
        }
    }

    /// A host that others know as `me`.
    pub fn member(me: MemberId, projections: Arc<Projections>) -> Self {
        Self {
            me: Some(me),
            projections,
        }
    }

    /// The division of the work as it is now.
    pub fn division(&self) -> Division {
        Division(self.projections.members().seq)
    }

    /// How many hosts send pushes, this one included where it is alone.
    pub fn senders(&self) -> usize {
        let members = self.projections.members();
        let senders = members.all.iter().filter(|member| member.pushes).count();
        senders.max(1)
    }

    /// The lead under which this host reads the change log; nothing if another one does.
    pub fn leads(&self) -> Option<Lead> {
        let members = self.projections.members();
        let leads = self.me.is_none() || members.leader == self.me;
        leads.then_some(Lead(members.leader_seq))
    }

    /// Whether what is pushed to a person is this host's work.
    pub fn pushes_to(&self, person: &PersonId) -> bool {
        let Some(me) = &self.me else { return true };
        let members = self.projections.members();
        lanes::owner_of(Lane::of(person), &members.all) == Some(me)
    }

    /// Whether this host is known by this name; one without others has none.
    pub fn is_me(&self, member: Option<&MemberId>) -> bool {
        member == self.me.as_ref()
    }

    /// Whether another host that lives is known by this name.
    pub fn lives_elsewhere(&self, member: Option<&MemberId>) -> bool {
        member.is_some() && !self.is_me(member) && {
            let members = self.projections.members();
            member.is_some_and(|member| members.has(member))
        }
    }
}

impl Lead {
    /// Lets the append fail if another host has taken the lead.
    pub fn expect(self, draft: &mut Draft) {
        draft.expect(Members::lead(), self.0);
    }
}

impl Division {
    /// Lets the append fail unless this division still holds.
    pub fn expect(self, draft: &mut Draft) {
        draft.expect(Members::entity(), self.0);
    }
}
