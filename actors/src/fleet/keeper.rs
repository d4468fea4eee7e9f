//! Keeps this host known to the others, sees who is silent, and divides the work while it leads.
//!
//! It runs beside the supervision tree, from before the first actor to after the last: a host that drains is still one
//! whose attempts may end.

use std::sync::Arc;
use std::time::Duration;

use iyagi_messages::fact::{FleetAssigned, FleetLed};
use iyagi_messages::fleet::FleetMember;
use iyagi_messages::ids::MemberId;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;

use super::observation::{Observation, Standing, Watch};
use crate::health::Health;
use crate::journal::{Draft, Journal, JournalFault};
use crate::ports::{Clock, Lease, LeaseFault, Leases};
use crate::projections::{Members, Projections};

/// Begins the name of each host's own lease.
const MEMBER: &str = "member/";
/// The lease of the host that reads the change log and divides the work.
const LEADER: &str = "leader";
/// Name of the fleet among the dependencies.
const DEPENDENCY: &str = "fleet";
/// A host is heard of several times within the time that it may be silent, so that one loss costs nothing.
const BEATS: u32 = 3;

/// This host's own lease: what it is known by.
#[derive(Debug, Clone)]
pub struct Membership {
    /// What others know this start of the daemon as.
    pub id: MemberId,
    lease: Lease,
}

/// What a host says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Says {
    /// Whether pushes are its work.
    pushes: bool,
}

/// What the keeper works with.
pub struct FleetKeeperContext {
    /// Where hosts know of each other.
    pub leases: Arc<dyn Leases>,
    /// Where the division of the work is written.
    pub journal: Arc<dyn Journal>,
    /// The division as it is.
    pub projections: Arc<Projections>,
    /// Where the fleet's condition is reported.
    pub health: Arc<Health>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// How long a host may be silent.
    pub patience: Duration,
    /// Whether this host may lead.
    pub candidate: bool,
    /// Whether this host sends pushes.
    pub pushes: bool,
}

/// Why a host is no longer part of the fleet.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum FleetFault {
    /// Another process took its lease.
    #[error("another daemon runs as host `{host}`: give each data folder to one daemon")]
    Replaced {
        /// The host.
        host: String,
    },
}

impl Membership {
    /// Makes `host` known. A lease that an earlier start of its daemon left is taken over at once: the caller has made
    /// sure, by the lock on the data folder, that it is gone.
    pub async fn join(leases: &dyn Leases, host: &str, pushes: bool) -> Result<Self, LeaseFault> {
        let name = format!("{MEMBER}{host}");
        let detail = Says { pushes }.to_detail();
        loop {
            let known = leases.list(&name).await?;
            let seen = known.iter().find(|lease| lease.name == name);
            if let Some(lease) = leases.take(&name, host, &detail, seen).await? {
                let id = MemberId::new(host, lease.epoch);
                return Ok(Self { id, lease });
            }
        }
    }
}

impl Says {
    fn to_detail(self) -> String {
        serde_json::to_string(&self).expect("a flag is always JSON")
    }

    /// A host of another build may say more, or what is not understood: its pushes are then left to others.
    fn of(lease: &Lease) -> Self {
        serde_json::from_str(&lease.detail).unwrap_or(Self { pushes: false })
    }
}

/// Keeps a host's place in the fleet.
pub struct FleetKeeper {
    context: FleetKeeperContext,
    me: MemberId,
    mine: Lease,
    leadership: Option<Lease>,
    watch: Watch,
    began: Instant,
}

impl FleetKeeper {
    /// A keeper of `membership`.
    pub fn new(context: FleetKeeperContext, membership: Membership) -> Self {
        let watch = Watch::new(context.patience);
        Self {
            context,
            me: membership.id,
            mine: membership.lease,
            leadership: None,
            watch,
            began: Instant::now(),
        }
    }

    /// Works until `end` says so, then gives up its leases. From when `leaving` says so, pushes are left to the others.
    pub async fn run(
        mut self,
        mut leaving: watch::Receiver<bool>,
        mut end: watch::Receiver<bool>,
    ) -> Result<(), FleetFault> {
        loop {
            let leaves = *leaving.borrow_and_update();
            match self.beat(leaves).await {
                Ok(()) => self.report(true, self.standing()),
                Err(BeatFault::Replaced) => {
                    let (host, _) = self.me.0.rsplit_once('~').unwrap_or((&self.me.0, ""));
                    let host = host.to_owned();
                    return Err(FleetFault::Replaced { host });
                }
                Err(BeatFault::Leases(fault)) => self.report(false, fault.to_string()),
                Err(BeatFault::Journal(fault)) => self.report(false, fault.to_string()),
            }
            let next = self.context.patience / BEATS;
            let next = (Instant::now() + next).min(self.began + self.watch.next_look());
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                // Whoever tells has gone without a word: then there is nothing more to hear.
                Ok(()) = leaving.changed() => {}
                _ = end.wait_for(|end| *end) => break,
            }
        }
        self.give_up().await;
        Ok(())
    }

    async fn beat(&mut self, leaves: bool) -> Result<(), BeatFault> {
        let leases = Arc::clone(&self.context.leases);
        let pushes = self.context.pushes && !leaves;
        self.mine.detail = Says { pushes }.to_detail();
        let renewed = leases.renew(&self.mine).await?;
        self.mine = renewed.ok_or(BeatFault::Replaced)?;
        let asked = self.began.elapsed();
        let found = leases.list("").await?;
        let answered = self.began.elapsed();
        self.watch.note(Observation {
            asked,
            answered,
            leases: found.clone(),
        });
        self.lead_or_follow(&found, leaves).await?;
        match &self.leadership {
            Some(leadership) => self.divide(leadership.epoch).await.map_err(BeatFault::from),
            None => Ok(()),
        }
    }

    async fn lead_or_follow(&mut self, found: &[Lease], leaves: bool) -> Result<(), LeaseFault> {
        let leases = &self.context.leases;
        if let Some(leadership) = &self.leadership {
            self.leadership = leases.renew(leadership).await?;
            if self.leadership.is_none() {
                tracing::warn!("another host has taken the lead");
            }
            return Ok(());
        }
        let vacant = !matches!(self.watch.standing(LEADER), Some(Standing::Held));
        if !self.context.candidate || leaves || !vacant {
            return Ok(());
        }
        let seen = found.iter().find(|lease| lease.name == LEADER);
        let taken = leases.take(LEADER, &self.me.0, "", seen).await?;
        if let Some(lease) = &taken {
            tracing::info!(epoch = lease.epoch, "this host takes the lead");
        }
        self.leadership = taken;
        Ok(())
    }

    /// Writes the division of the work if it is no longer as it should be.
    async fn divide(&self, epoch: u64) -> Result<(), JournalFault> {
        let known = self.context.projections.members().clone();
        let hosts = self.watch.held();
        let Some(division) = division(&known, epoch, &self.me, hosts) else {
            return Ok(());
        };
        let members: Vec<&str> = division.members.iter().map(|one| one.id.as_str()).collect();
        tracing::info!(epoch, ?members, "the work is divided anew");
        let mut draft = Draft::new(&"fleet-keeper#1", "fleet");
        draft.expect(Members::entity(), known.seq);
        draft.expect(Members::lead(), known.leader_seq);
        let upstream = format!("{epoch}.{}", known.seq);
        if known.leader.as_ref() != Some(&self.me) || known.epoch != epoch {
            let leader = self.me.clone();
            draft.begin(&upstream, Members::lead(), FleetLed { epoch, leader });
        }
        draft.begin(&upstream, Members::entity(), division);
        match self.context.journal.append(draft.finish()).await {
            // Someone else has divided it meanwhile; the next look shows whether that is right.
            Ok(_) | Err(JournalFault::Conflict { .. }) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    fn standing(&self) -> String {
        let members = self.context.projections.members();
        let hosts = members.all.len();
        match &members.leader {
            Some(leader) if *leader == self.me => format!("leads {hosts} hosts as {}", self.me),
            Some(leader) => format!("follows {leader} as {} of {hosts} hosts", self.me),
            None => format!("nobody leads yet; known as {}", self.me),
        }
    }

    fn report(&self, ready: bool, detail: String) {
        let now = self.context.clock.now();
        self.context.health.report(DEPENDENCY, ready, detail, now);
    }

    /// What is not given up runs out by itself.
    async fn give_up(&mut self) {
        let leadership = self.leadership.take();
        for lease in leadership.iter().chain([&self.mine]) {
            if let Err(fault) = self.context.leases.release(lease).await {
                tracing::warn!(%fault, lease = lease.name, "a lease is not given up; it runs out by itself");
            }
        }
    }
}

enum BeatFault {
    Replaced,
    Leases(LeaseFault),
    Journal(JournalFault),
}

impl From<LeaseFault> for BeatFault {
    fn from(fault: LeaseFault) -> Self {
        Self::Leases(fault)
    }
}

impl From<JournalFault> for BeatFault {
    fn from(fault: JournalFault) -> Self {
        Self::Journal(fault)
    }
}

/// How the leader `me` of `epoch` divides the work among the `hosts` that live; nothing if that is how it is, or if
/// someone leads who came after.
pub fn division<'l>(
    known: &Members,
    epoch: u64,
    me: &MemberId,
    hosts: impl Iterator<Item = &'l Lease>,
) -> Option<FleetAssigned> {
    if known.epoch > epoch {
        return None;
    }
    let member = |lease: &Lease| {
        let host = lease.name.strip_prefix(MEMBER)?;
        Some(FleetMember {
            id: MemberId::new(host, lease.epoch),
            pushes: Says::of(lease).pushes,
        })
    };
    let mut members: Vec<FleetMember> = hosts.filter_map(member).collect();
    members.sort_by(|one, other| one.id.cmp(&other.id));
    let settled = known.epoch == epoch && known.leader.as_ref() == Some(me);
    if settled && known.all == members {
        return None;
    }
    Some(FleetAssigned {
        epoch,
        leader: me.clone(),
        members,
    })
}

#[cfg(test)]
mod tests {
    use iyagi_messages::ids::Seq;

    use super::*;

    fn host(name: &str, epoch: u64, pushes: bool) -> Lease {
        Lease {
            name: format!("{MEMBER}{name}"),
            owner: Some(name.to_owned()),
            epoch,
            counter: 7,
            detail: Says { pushes }.to_detail(),
        }
    }

    fn member(name: &str, epoch: u64, pushes: bool) -> FleetMember {
        FleetMember {
            id: MemberId::new(name, epoch),
            pushes,
        }
    }

    fn led_by_a(all: Vec<FleetMember>) -> Members {
        Members {
            seq: Seq(4),
            epoch: 2,
            leader: Some(MemberId::new("a", 1)),
            leader_seq: Seq(2),
            all,
        }
    }

    #[test]
    fn the_work_is_divided_anew_only_when_a_host_comes_goes_or_leaves() {
        let a = MemberId::new("a", 1);
        let both = vec![member("a", 1, true), member("b", 1, true)];
        let known = led_by_a(both.clone());
        let divided = |leases: &[Lease]| {
            let division = division(&known, 2, &a, leases.iter());
            division.map(|division| division.members)
        };
        let (one, other) = (host("a", 1, true), host("b", 1, true));
        assert_eq!(divided(&[other.clone(), one.clone()]), None, "as it is");
        assert_eq!(
            divided(std::slice::from_ref(&one)),
            Some(vec![member("a", 1, true)])
        );
        let leaving = host("b", 1, false);
        assert_eq!(
            divided(&[one.clone(), leaving]),
            Some(vec![member("a", 1, true), member("b", 1, false)])
        );
        let restarted = host("b", 2, true);
        assert_eq!(
            divided(&[one, restarted]),
            Some(vec![member("a", 1, true), member("b", 2, true)])
        );
    }

    #[test]
    fn a_new_leader_says_so_and_an_old_one_says_nothing_any_more() {
        let known = led_by_a(vec![member("b", 1, true)]);
        let leases = [host("b", 1, true)];
        let b = MemberId::new("b", 1);
        let taken = division(&known, 3, &b, leases.iter()).expect("another leads now");
        assert_eq!((taken.epoch, taken.leader), (3, b));
        let a = MemberId::new("a", 1);
        assert_eq!(division(&known, 1, &a, leases.iter()), None);
    }

    #[test]
    fn a_lease_that_is_no_hosts_and_a_host_that_cannot_be_understood_get_no_pushes() {
        let known = led_by_a(Vec::new());
        let mut strange = host("c", 1, true);
        strange.detail = "from another build".to_owned();
        let leader = Lease {
            name: LEADER.to_owned(),
            ..host("a", 2, true)
        };
        let leases = [leader, strange];
        let division = division(&known, 2, &MemberId::new("a", 1), leases.iter());
        assert_eq!(division.expect("new").members, [member("c", 1, false)]);
    }
}
