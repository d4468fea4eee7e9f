//! Whose work a lane is: rendezvous hashing, so that hosts that come or go move only the lanes that must move.

use iyagi_messages::fleet::{FleetMember, Lane};
use iyagi_messages::ids::MemberId;

/// The host whose work a lane is, of those that send pushes.
pub fn owner_of(lane: Lane, members: &[FleetMember]) -> Option<&MemberId> {
    let senders = members.iter().filter(|member| member.pushes);
    let best = senders.max_by_key(|member| (weight(lane, &member.id), &member.id));
    best.map(|member| &member.id)
}

/// FNV-1a over member and lane, finished so that every bit counts. Hosts of different builds must agree on it, so it
/// never changes.
fn weight(lane: Lane, member: &MemberId) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in member.0.bytes().chain(lane.0.to_be_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}
