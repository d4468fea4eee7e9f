//! Hosts that share the work: who they are, and how the people are divided among them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::ids::{Incarnation, MemberId, PersonId};

/// A host of the fleet, as its leader sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
pub struct FleetMember {
    /// Which host, and which start of it.
    pub id: MemberId,
    /// Whether pushes are its work. A host that is leaving finishes what it has begun, and begins nothing.
    pub pushes: bool,
}

impl MemberId {
    /// The start with number `epoch` of the daemon on `host`.
    pub fn new(host: &str, epoch: u64) -> Self {
        Self(format!("{host}~{epoch}"))
    }

    /// An actor's incarnation, told apart from its namesakes on other hosts.
    pub fn incarnation(&self, of: &Incarnation) -> Incarnation {
        Incarnation(format!("{}{MEMBER_END}{}", self.0, of.0))
    }
}

impl Incarnation {
    /// The member of the fleet that the actor belongs to; none if there was no fleet.
    pub fn member(&self) -> Option<MemberId> {
        let (member, _) = self.0.split_once(MEMBER_END)?;
        Some(MemberId(member.to_owned()))
    }

    /// The actor and its start, without the member of the fleet.
    pub fn on_its_host(&self) -> &str {
        self.0
            .split_once(MEMBER_END)
            .map_or(&self.0, |(_, actor)| actor)
    }
}

/// Stands between the member and the actor in an incarnation's name.
const MEMBER_END: char = '/';

/// A share of the people: what is pushed to one of them is one host's work at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(pub u16);

impl Lane {
    /// How many there are: with so many, the shares of ten hosts differ by a few per cent. It never changes, because hosts
    /// of different builds must agree on it.
    pub const COUNT: u16 = 16_384;

    /// The lane of everything that is pushed to a person. It is the same on every host and in every build.
    pub fn of(person: &PersonId) -> Self {
        let digest = Sha256::digest(person.0.as_bytes());
        Self(u16::from_be_bytes([digest[0], digest[1]]) % Self::COUNT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persons_lane_is_the_same_in_every_build() {
        let lanes = ["minji", "daniel", "민지", ""].map(|person| Lane::of(&person.into()).0);
        assert_eq!(lanes, LANES_OF_OLD);
    }

    /// Computed with `sha256sum`: the first four hexadecimal digits, modulo 16,384.
    const LANES_OF_OLD: [u16; 4] = [6487, 15677, 5237, 9136];

    #[test]
    fn an_incarnation_tells_its_member() {
        let member = MemberId::new("host-a", 3);
        let there = member.incarnation(&"push-sender-2#1".into());
        assert_eq!(there.0, "host-a~3/push-sender-2#1");
        assert_eq!(there.member(), Some(member));
        assert_eq!(there.on_its_host(), "push-sender-2#1");
        assert_eq!(Incarnation::from("push-sender-2#1").member(), None);
    }
}
