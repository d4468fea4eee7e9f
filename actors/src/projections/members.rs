//! Who shares the work, as the journal says.

use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::Fact;
use iyagi_messages::fleet::FleetMember;
use iyagi_messages::ids::{MemberId, Seq};
use serde::{Deserialize, Serialize};

/// The fleet as of a position; empty where a daemon is alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// Number of the last division of the work: whoever decides on it expects it.
    pub seq: Seq,
    /// Which leadership it is.
    pub epoch: u64,
    /// The host that reads the change log.
    pub leader: Option<MemberId>,
    /// Number of the last change of the lead: whoever reads the change log expects it.
    pub leader_seq: Seq,
    /// Every host that lives.
    pub all: Vec<FleetMember>,
}

impl Members {
    /// The entity whose events divide the work.
    pub fn entity() -> Entity {
        Entity::new("fleet", "iyagi")
    }

    /// The entity whose events pass on the lead.
    pub fn lead() -> Entity {
        Entity::new("fleet", "leader")
    }

    /// Whether a host lives.
    pub fn has(&self, id: &MemberId) -> bool {
        self.all.iter().any(|member| member.id == *id)
    }

    /// Whether a fact is about it.
    pub fn concerns(fact: &Fact) -> bool {
        matches!(fact, Fact::FleetLed(_) | Fact::FleetAssigned(_))
    }

    /// Folds the journal's next event.
    pub fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::FleetLed(led) => {
                self.epoch = led.epoch;
                self.leader = Some(led.leader.clone());
                self.leader_seq = event.seq;
            }
            Fact::FleetAssigned(assigned) => {
                self.seq = event.seq;
                self.all.clone_from(&assigned.members);
            }
            _ => {}
        }
    }
}
