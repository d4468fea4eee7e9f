//! The supervision tree as pure state: failures and instants in, verdicts out; no actor in sight.
//!
//! A child that fails is restarted as long as its own window and its group's allow it. When one of
//! them is full, the group has failed: its parent counts that against its own window, and either
//! has the whole group rebuilt or fails in turn. A failure no node bears fails the root.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::spec::{Backoff, ChildSpec, Intensity, Restart, Strategy};

/// A node's place in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NodeId(usize);

/// What follows from a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Restart the child after `delay` and rebuild `bounce` with it.
    Restart {
        delay: Duration,
        /// Children to be rebuilt once they have finished the message in hand.
        bounce: Vec<NodeId>,
        /// Groups that gave up on the way, innermost first.
        escalated: Vec<String>,
    },
    /// The child is not to be restarted.
    Stop,
    /// Nobody bears it: the system has failed.
    Fail {
        /// Groups that gave up on the way, innermost first.
        escalated: Vec<String>,
    },
}

/// The windows, streaks and strategies of every group and child.
#[derive(Debug)]
pub(super) struct Tree {
    seed: u64,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    name: String,
    parent: Option<NodeId>,
    intensity: Intensity,
    window: VecDeque<Instant>,
    role: Role,
    gone: bool,
}

#[derive(Debug)]
enum Role {
    Group {
        strategy: Strategy,
        children: Vec<NodeId>,
    },
    Child {
        restart: Restart,
        backoff: Backoff,
        streak: u32,
        last: Option<Instant>,
        rng: fastrand::Rng,
    },
}

impl Tree {
    pub(super) const ROOT: NodeId = NodeId(0);

    pub(super) fn new(seed: u64, intensity: Intensity) -> Self {
        let mut tree = Self {
            seed,
            nodes: Vec::new(),
        };
        let role = Role::Group {
            strategy: Strategy::OneForOne,
            children: Vec::new(),
        };
        tree.push("root".to_owned(), None, intensity, role);
        tree
    }

    pub(super) fn group(
        &mut self,
        parent: NodeId,
        name: &str,
        strategy: Strategy,
        intensity: Intensity,
    ) -> NodeId {
        let role = Role::Group {
            strategy,
            children: Vec::new(),
        };
        self.push(name.to_owned(), Some(parent), intensity, role)
    }

    pub(super) fn child(&mut self, parent: NodeId, spec: &ChildSpec, name: &str) -> NodeId {
        let role = Role::Child {
            restart: spec.restart,
            backoff: spec.backoff,
            streak: 0,
            last: None,
            rng: fastrand::Rng::with_seed(self.seed ^ stable_hash(name)),
        };
        self.push(name.to_owned(), Some(parent), spec.intensity, role)
    }

    /// Takes a child that stopped for good out of its group.
    pub(super) fn remove(&mut self, child: NodeId) {
        self.nodes[child.0].gone = true;
        if let Some(parent) = self.nodes[child.0].parent
            && let Role::Group { children, .. } = &mut self.nodes[parent.0].role
        {
            children.retain(|id| *id != child);
        }
    }

    /// The intensity of a group whose size changed.
    pub(super) fn set_intensity(&mut self, node: NodeId, intensity: Intensity) {
        self.nodes[node.0].intensity = intensity;
    }

    /// Restarts counted against a node's window just now.
    pub(super) fn restarts_in_window(&self, node: NodeId, now: Instant) -> u32 {
        let Node {
            intensity, window, ..
        } = &self.nodes[node.0];
        window
            .iter()
            .filter(|at| now.duration_since(**at) <= intensity.within)
            .count() as u32
    }

    /// A child failed, or stopped by itself (`by_itself`).
    pub(super) fn failed(&mut self, child: NodeId, now: Instant, by_itself: bool) -> Verdict {
        let Some(delay) = self.delay(child, now, by_itself) else {
            return Verdict::Stop;
        };
        let child_bears = self.count(child, now);
        let Some(group) = self.nodes[child.0].parent else {
            return Verdict::Fail {
                escalated: Vec::new(),
            };
        };
        if child_bears && self.count(group, now) {
            let bounce = self
                .siblings(group, child)
                .filter(|id| *id != child)
                .collect();
            return Verdict::Restart {
                delay,
                bounce,
                escalated: Vec::new(),
            };
        }
        self.escalate(child, group, now, delay)
    }

    fn escalate(&mut self, child: NodeId, group: NodeId, now: Instant, delay: Duration) -> Verdict {
        let mut failing = group;
        let mut escalated = Vec::new();
        while let Some(parent) = self.nodes[failing.0].parent {
            escalated.push(self.nodes[failing.0].name.clone());
            self.forget(failing);
            if self.count(parent, now) {
                let members = self.siblings(parent, failing).collect::<Vec<_>>();
                let mut bounce = Vec::new();
                for member in members {
                    self.leaves(member, &mut bounce);
                }
                bounce.retain(|id| *id != child);
                return Verdict::Restart {
                    delay,
                    bounce,
                    escalated,
                };
            }
            failing = parent;
        }
        Verdict::Fail { escalated }
    }

    /// The pause before the next restart; none if the child is not to be restarted.
    fn delay(&mut self, child: NodeId, now: Instant, by_itself: bool) -> Option<Duration> {
        let Role::Child {
            restart,
            backoff,
            streak,
            last,
            rng,
        } = &mut self.nodes[child.0].role
        else {
            return None;
        };
        match restart {
            Restart::Temporary => return None,
            Restart::Transient if by_itself => return None,
            Restart::Permanent | Restart::Transient => {}
        }
        if last.is_none_or(|last| now.duration_since(last) > backoff.reset_after) {
            *streak = 0;
        }
        let delay = backoff.delay(*streak, rng);
        *streak = streak.saturating_add(1);
        *last = Some(now + delay);
        Some(delay)
    }

    /// Counts one restart; false if the window does not bear it.
    fn count(&mut self, node: NodeId, now: Instant) -> bool {
        let Node {
            intensity, window, ..
        } = &mut self.nodes[node.0];
        while window
            .front()
            .is_some_and(|at| now.duration_since(*at) > intensity.within)
        {
            window.pop_front();
        }
        if window.len() >= intensity.max as usize {
            return false;
        }
        window.push_back(now);
        true
    }

    /// Those that the group's strategy rebuilds with `failing`, itself included.
    fn siblings(&self, group: NodeId, failing: NodeId) -> impl Iterator<Item = NodeId> {
        let (strategy, children) = match &self.nodes[group.0].role {
            Role::Group { strategy, children } => (*strategy, children.as_slice()),
            Role::Child { .. } => (Strategy::OneForOne, &[][..]),
        };
        let at = children.iter().position(|id| *id == failing).unwrap_or(0);
        let range = match strategy {
            Strategy::OneForOne => at..(at + 1).min(children.len()),
            Strategy::RestForOne => at..children.len(),
            Strategy::OneForAll => 0..children.len(),
        };
        children[range].iter().copied()
    }

    fn leaves(&self, node: NodeId, found: &mut Vec<NodeId>) {
        match &self.nodes[node.0].role {
            Role::Group { children, .. } => {
                for child in children {
                    self.leaves(*child, found);
                }
            }
            Role::Child { .. } => found.push(node),
        }
    }

    /// A rebuilt group starts with empty windows, or its first failure would escalate again.
    fn forget(&mut self, node: NodeId) {
        self.nodes[node.0].window.clear();
        let children = match &self.nodes[node.0].role {
            Role::Group { children, .. } => children.clone(),
            Role::Child { .. } => Vec::new(),
        };
        for child in children {
            self.forget(child);
        }
    }

    fn push(
        &mut self,
        name: String,
        parent: Option<NodeId>,
        intensity: Intensity,
        role: Role,
    ) -> NodeId {
        // A pool that shrinks and grows again takes up the place it left.
        let reusable = self
            .nodes
            .iter()
            .position(|node| node.gone && node.name == name);
        let node = Node {
            name,
            parent,
            intensity,
            window: VecDeque::new(),
            role,
            gone: false,
        };
        let id = NodeId(reusable.unwrap_or(self.nodes.len()));
        if id.0 == self.nodes.len() {
            self.nodes.push(node);
        } else {
            self.nodes[id.0] = node;
        }
        if let Some(parent) = parent
            && let Role::Group { children, .. } = &mut self.nodes[parent.0].role
        {
            children.push(id);
        }
        id
    }
}

/// FNV-1a: the same on every platform and release, so a seed gives the same delays everywhere.
pub(super) fn stable_hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_mins(1);

    fn family(strategy: Strategy, max: u32) -> (Tree, Vec<NodeId>) {
        let mut tree = Tree::new(
            1,
            Intensity {
                max: 1,
                within: WITHIN,
            },
        );
        let bears = Intensity {
            max,
            within: WITHIN,
        };
        let group = tree.group(Tree::ROOT, "family", strategy, bears);
        let children = ["a", "b", "c"].map(|name| {
            tree.child(
                group,
                &ChildSpec {
                    intensity: bears,
                    ..ChildSpec::new(name)
                },
                name,
            )
        });
        (tree, children.to_vec())
    }

    fn bounced(verdict: Verdict) -> Vec<NodeId> {
        match verdict {
            Verdict::Restart { bounce, .. } => bounce,
            other => panic!("expected a restart, got {other:?}"),
        }
    }

    #[test]
    fn one_for_one_rebuilds_the_child_alone() {
        let (mut tree, ids) = family(Strategy::OneForOne, 5);
        assert_eq!(bounced(tree.failed(ids[1], Instant::now(), false)), vec![]);
    }

    #[test]
    fn rest_for_one_rebuilds_later_siblings_only() {
        let (mut tree, ids) = family(Strategy::RestForOne, 5);
        assert_eq!(
            bounced(tree.failed(ids[1], Instant::now(), false)),
            vec![ids[2]]
        );
    }

    #[test]
    fn one_for_all_rebuilds_every_sibling() {
        let (mut tree, ids) = family(Strategy::OneForAll, 5);
        assert_eq!(
            bounced(tree.failed(ids[1], Instant::now(), false)),
            vec![ids[0], ids[2]]
        );
    }

    #[test]
    fn a_full_window_escalates_and_the_rebuilt_group_starts_with_an_empty_one() {
        let (mut tree, ids) = family(Strategy::OneForOne, 2);
        let now = Instant::now();
        for _ in 0..2 {
            let verdict = tree.failed(ids[0], now, false);
            assert!(
                matches!(verdict, Verdict::Restart { ref escalated, .. } if escalated.is_empty())
            );
        }
        match tree.failed(ids[0], now, false) {
            Verdict::Restart {
                escalated, bounce, ..
            } => {
                assert_eq!(escalated, ["family"]);
                assert_eq!(bounce, vec![ids[1], ids[2]]);
            }
            other => panic!("expected the root to bear it, got {other:?}"),
        }
        assert_eq!(tree.restarts_in_window(ids[0], now), 0);
    }

    #[test]
    fn the_root_bears_its_own_intensity_and_no_more() {
        let (mut tree, ids) = family(Strategy::OneForOne, 0);
        let now = Instant::now();
        assert!(matches!(
            tree.failed(ids[0], now, false),
            Verdict::Restart { .. }
        ));
        let escalated = vec!["family".to_owned()];
        assert_eq!(tree.failed(ids[0], now, false), Verdict::Fail { escalated });
    }

    #[test]
    fn restarts_outside_the_window_are_forgotten() {
        let (mut tree, ids) = family(Strategy::OneForOne, 1);
        let start = Instant::now();
        for minute in 0..10 {
            let now = start + WITHIN * 2 * minute;
            let verdict = tree.failed(ids[0], now, false);
            assert!(
                matches!(verdict, Verdict::Restart { ref escalated, .. } if escalated.is_empty())
            );
        }
    }

    #[test]
    fn a_temporary_child_stays_down_and_a_transient_one_only_if_it_chose_to_stop() {
        let mut tree = Tree::new(1, Intensity::default());
        let group = tree.group(Tree::ROOT, "g", Strategy::OneForOne, Intensity::default());
        let mut child = |name: &str, restart| {
            tree.child(
                group,
                &ChildSpec {
                    restart,
                    ..ChildSpec::new(name)
                },
                name,
            )
        };
        let temporary = child("temporary", Restart::Temporary);
        let transient = child("transient", Restart::Transient);
        let now = Instant::now();
        assert_eq!(tree.failed(temporary, now, false), Verdict::Stop);
        assert_eq!(tree.failed(transient, now, true), Verdict::Stop);
        assert!(matches!(
            tree.failed(transient, now, false),
            Verdict::Restart { .. }
        ));
    }

    #[test]
    fn the_streak_ends_after_a_quiet_time() {
        let (mut tree, ids) = family(Strategy::OneForOne, 100);
        let start = Instant::now();
        let mut delay = |at| match tree.failed(ids[0], at, false) {
            Verdict::Restart { delay, .. } => delay,
            other => panic!("{other:?}"),
        };
        for _ in 0..6 {
            delay(start);
        }
        assert!(delay(start) > Duration::from_secs(3));
        assert!(delay(start + Duration::from_mins(30)) <= Duration::from_millis(100));
    }
}
