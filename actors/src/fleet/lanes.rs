//! Which member has which lane: rendezvous hashing.
//!
//! Each member draws a lot for each lane, and the highest has it. Every host that knows the same members comes to the
//! same answer without asking, and a member that comes or goes moves no lane but those that it wins or had. So that
//! hosts of two versions agree during a deploy, what is drawn is fixed for good by `lot` and [`lane_of`].

use sha2::{Digest, Sha256};

/// How many lanes there are. One is the unit that moves between members; with this many, the shares of ten members differ
/// from the mean by a few per cent.
pub const LANES: u16 = 16_384;

/// One running host among those that share the work.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub String);

/// Who has each lane, worked out once for a set of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    members: Vec<MemberId>,
    /// The place in `members` of each lane's owner; empty if there are no members.
    owners: Vec<usize>,
}

/// The lane of whatever must stay in order, such as a person's pushes.
pub fn lane_of(key: &str) -> u16 {
    let lane = digest(key) % u64::from(LANES);
    u16::try_from(lane).expect("less than the number of lanes")
}

/// The member that has a lane; nobody if there are no members. Their order says nothing.
pub fn owner_of(lane: u16, members: &[MemberId]) -> Option<&MemberId> {
    let drawn = |member: &MemberId| lot(digest(&member.0), lane);
    members.iter().max_by_key(|&member| (drawn(member), member))
}

impl Assignment {
    /// Shares the lanes out among members.
    pub fn of(members: impl IntoIterator<Item = MemberId>) -> Self {
        let mut members: Vec<_> = members.into_iter().collect();
        members.sort();
        members.dedup();
        let seeds: Vec<_> = members.iter().map(|member| digest(&member.0)).collect();
        let owner = |lane| (0..seeds.len()).max_by_key(|&at| (lot(seeds[at], lane), at));
        let owners = (0..LANES).filter_map(owner).collect();
        Self { members, owners }
    }

    /// The members, by id.
    pub fn members(&self) -> &[MemberId] {
        &self.members
    }

    /// The member that has a lane; nobody if there are no members or no such lane.
    pub fn owner(&self, lane: u16) -> Option<&MemberId> {
        let at = *self.owners.get(usize::from(lane))?;
        self.members.get(at)
    }

    /// The lanes of a member.
    pub fn lanes<'a>(&'a self, member: &'a MemberId) -> impl Iterator<Item = u16> + 'a {
        (0..LANES).filter(move |&lane| self.owner(lane) == Some(member))
    }
}

/// What a member draws for a lane.
fn lot(member: u64, lane: u16) -> u64 {
    mixed(member ^ mixed(u64::from(lane)))
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

    fn members(count: usize) -> Vec<MemberId> {
        (0..count)
            .map(|number| MemberId(format!("i-{number:017x}")))
            .collect()
    }

    #[test]
    fn shares_are_even_within_a_few_per_cent() {
        for count in 1..=20 {
            let members = members(count);
            let assignment = Assignment::of(members.clone());
            let mean = f64::from(LANES) / count as f64;
            let mut total = 0;
            for member in &members {
                let share = assignment.lanes(member).count();
                total += share;
                let off = (share as f64 - mean).abs() / mean;
                // Three standard deviations of a fair draw.
                let fair = 3.0 * ((count as f64 - 1.0) / f64::from(LANES)).sqrt();
                assert!(off <= fair, "{count} members: {share} of {mean} lanes");
            }
            assert_eq!(total, usize::from(LANES), "every lane has one owner");
        }
    }

    #[test]
    fn a_member_that_comes_or_goes_moves_only_its_own_lanes() {
        let all = members(8);
        let with = Assignment::of(all.clone());
        for (at, leaver) in all.iter().enumerate() {
            let mut rest = all.clone();
            rest.remove(at);
            let without = Assignment::of(rest);
            for lane in 0..LANES {
                let before = with.owner(lane).expect("there are members");
                let after = without.owner(lane).expect("there are members");
                assert_eq!(before == after, before != leaver, "lane {lane}");
            }
        }
    }

    #[test]
    fn all_who_know_the_same_members_agree_in_whatever_order_they_learnt_of_them() {
        let all = members(5);
        let mut shuffled = all.clone();
        shuffled.reverse();
        shuffled.push(all[2].clone());
        let assignment = Assignment::of(all.clone());
        assert_eq!(Assignment::of(shuffled.clone()), assignment);
        for lane in 0..LANES {
            let owner = assignment.owner(lane);
            assert_eq!(owner_of(lane, &all), owner);
            assert_eq!(owner_of(lane, &shuffled), owner);
        }
    }

    #[test]
    fn without_members_nobody_has_a_lane() {
        assert_eq!(owner_of(7, &[]), None);
        assert_eq!(Assignment::of([]).owner(7), None);
        assert_eq!(
            Assignment::of(members(3)).owner(LANES),
            None,
            "no such lane"
        );
    }

    /// Hosts of two versions share the work during a deploy: a change of these numbers would send pushes twice or never.
    #[test]
    fn what_is_drawn_never_changes() {
        let members = members(4);
        let owners = [0, 1, 2, 1_000, LANES - 1].map(|lane| {
            let owner = owner_of(lane, &members).expect("there are members");
            members
                .iter()
                .position(|member| member == owner)
                .expect("one of them")
        });
        let lanes = ["", "u-104233", "\u{d55c}"].map(lane_of);
        assert_eq!((owners, lanes), ([3, 0, 0, 0, 3], [7188, 8714, 8902]));
    }
}
