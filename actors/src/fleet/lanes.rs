//! Whose work a lane is: rendezvous hashing.
//!
//! Each member draws a lot for each lane, and the highest has it. Every host that knows the same members comes to the
//! same answer without asking, and a member that comes or goes moves no lane but those that it wins or had. What is
//! drawn is fixed for good, because hosts of two builds must agree during a deploy.

use iyagi_messages::fleet::{FleetMember, Lane};
use iyagi_messages::ids::MemberId;
use sha2::{Digest, Sha256};

/// The member whose work a lane is, of those that send pushes. Their order says nothing.
pub fn owner_of(lane: Lane, members: &[FleetMember]) -> Option<&MemberId> {
    let senders = members.iter().filter(|member| member.pushes);
    let ids = senders.map(|member| &member.id);
    ids.max_by_key(|&id| (lot(digest(&id.0), lane), id))
}

/// What a member draws for a lane.
fn lot(member: u64, lane: Lane) -> u64 {
    mixed(member ^ mixed(u64::from(lane.0)))
}

/// The finaliser of `SplitMix64`: each bit of the input turns about half of the output's.
fn mixed(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The standard library's hashes may change with its version.
fn digest(text: &str) -> u64 {
    let digest = Sha256::digest(text.as_bytes());
    let (head, _) = digest.split_first_chunk().expect("SHA-256 has 32 bytes");
    u64::from_be_bytes(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(count: usize) -> Vec<FleetMember> {
        (0..count)
            .map(|number| FleetMember {
                id: MemberId::new(&format!("i-{number:017x}"), 1),
                pushes: true,
            })
            .collect()
    }

    fn lanes() -> impl Iterator<Item = Lane> {
        (0..Lane::COUNT).map(Lane)
    }

    #[test]
    fn shares_are_even_within_a_few_per_cent() {
        for count in [1, 2, 3, 5, 10] {
            let members = members(count);
            let mean = f64::from(Lane::COUNT) / count as f64;
            for member in &members {
                let owned = lanes().filter(|lane| owner_of(*lane, &members) == Some(&member.id));
                let share = owned.count();
                let off = (share as f64 - mean).abs() / mean;
                // Three standard deviations of a fair draw.
                let fair = 3.0 * ((count as f64 - 1.0) / f64::from(Lane::COUNT)).sqrt();
                assert!(off <= fair, "{count} members: {share} of {mean} lanes");
            }
        }
    }

    #[test]
    fn a_member_that_comes_or_goes_moves_only_its_own_lanes() {
        let all = members(5);
        for (at, leaver) in all.iter().enumerate() {
            let mut rest = all.clone();
            rest.remove(at);
            for lane in lanes() {
                let before = owner_of(lane, &all).expect("there are members");
                let after = owner_of(lane, &rest).expect("there are members");
                assert_eq!(before == after, *before != leaver.id, "{lane:?}");
            }
        }
    }

    #[test]
    fn a_member_that_leaves_has_no_lane_any_more_and_without_members_nobody_has() {
        let mut some = members(2);
        some[0].pushes = false;
        let stays = &some[1].id;
        assert!(lanes().all(|lane| owner_of(lane, &some) == Some(stays)));
        assert_eq!(owner_of(Lane(7), &[]), None);
    }

    /// Hosts of two builds share the work during a deploy: a change of these would send pushes twice or never.
    #[test]
    fn what_is_drawn_never_changes() {
        let members = members(4);
        let owners = [0, 1, 2, 1_000, Lane::COUNT - 1].map(|lane| {
            let owner = owner_of(Lane(lane), &members).expect("there are members");
            members.iter().position(|member| member.id == *owner)
        });
        assert_eq!(owners, OWNERS_OF_OLD.map(Some));
    }

    const OWNERS_OF_OLD: [usize; 5] = [1, 1, 2, 2, 2];
}
