//! What was requested of late: by it repeats are recognised, bursts gathered and rates kept.
//!
//! Everything here is forgotten as soon as no template looks back at it: the memory is bounded by the rate of pushes and
//! the longest window, not by their number.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;

use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{PersonId, PushId, Timestamp};
use iyagi_messages::push::{Push, SuppressReason};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::push_sender::gates::Verdict;

/// How many notifications a person may have at once, and how soon one more may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RatePolicy {
    /// Notifications that may come at once; 0 for any number, always.
    pub burst: u32,
    /// Seconds after which there may be one more.
    pub refill_seconds: u32,
}

impl Default for RatePolicy {
    /// What Firebase grants a phone of messages that replace each other.
    fn default() -> Self {
        Self {
            burst: 20,
            refill_seconds: 180,
        }
    }
}

/// How far is looked back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrafficPolicy {
    /// How many notifications a person may have.
    pub rate: RatePolicy,
    /// How long a notification is remembered, in milliseconds: no window of a template is longer.
    pub remembered_ms: u64,
}

/// How often people who may have all of their notifications again are left out, in milliseconds.
const SWEEP_MS: u64 = 60_000;

/// What was requested of late, folded up to a position.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// The last notification that said the same and was not a repeat itself.
    said: HashMap<Uuid, First>,
    /// The notification that opened the last burst of a person, a template and a subject.
    bursts: HashMap<Uuid, First>,
    /// What to forget next, oldest first.
    forgetting: VecDeque<(Timestamp, Uuid)>,
    /// Notifications that people have had and that still count.
    spent: HashMap<PersonId, Spent>,
    /// When those that no longer do were last left out.
    swept_at: Timestamp,
    /// The push requested last, for what follows on it in the same append.
    last: Option<Requested>,
}

/// The notification that opened a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct First {
    /// The notification.
    pub notification: PushId,
    /// When it was requested.
    pub at: Timestamp,
}

/// Notifications of a person, in thousandths, as of the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Spent {
    thousandths: u64,
    at: Timestamp,
    notification: PushId,
}

/// A push and what was known before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Requested {
    push: PushId,
    recipient: PersonId,
    same: Option<(Uuid, Option<First>)>,
    /// The burst that it opened, and what was known of it before.
    #[serde(default)]
    burst: Option<(Uuid, Option<First>)>,
    spent: Option<Spent>,
}

/// Traffic with what is about to be appended to it.
pub struct TrafficAhead<'a> {
    known: &'a Traffic,
    ahead: Traffic,
    policy: TrafficPolicy,
}

impl Traffic {
    /// Whether a fact may change it.
    pub fn concerns(fact: &Fact) -> bool {
        matches!(
            fact,
            Fact::PushRequested(_) | Fact::PushDeferred(_) | Fact::PushSuppressed(_)
        )
    }

    /// Folds the journal's next event.
    pub fn apply(&mut self, event: &Event, policy: TrafficPolicy) {
        match &event.fact {
            Fact::PushRequested(requested) => self.request(&requested.push, event.at, policy),
            Fact::PushDeferred(_) if self.is_last(&event.entity) => self.give_back(),
            Fact::PushSuppressed(suppressed) if self.is_last(&event.entity) => {
                self.suppress(suppressed.reason);
            }
            _ => {}
        }
    }

    fn is_last(&self, entity: &Entity) -> bool {
        self.last
            .as_ref()
            .is_some_and(|last| *entity == Entity::new("push", last.push))
    }

    fn request(&mut self, push: &Push, at: Timestamp, policy: TrafficPolicy) {
        self.forget(at, policy);
        let remembers = policy.remembered_ms > 0;
        let first = First {
            notification: push.notification(),
            at,
        };
        let same = remembers.then(|| sameness(push)).flatten().map(|key| {
            self.forgetting.push_back((at, key));
            (key, self.said.insert(key, first))
        });
        let opens = remembers && push.burst.is_none();
        let burst = opens.then(|| burst_of(push)).flatten().map(|key| {
            self.forgetting.push_back((at, key));
            (key, self.bursts.insert(key, first))
        });
        let spent = self.spent.get(&push.recipient).copied();
        self.last = Some(Requested {
            push: push.id,
            recipient: push.recipient.clone(),
            same,
            burst,
            spent,
        });
        // The person's other phones do not count again.
        if policy.rate.burst > 0
            && spent.is_none_or(|spent| spent.notification != first.notification)
        {
            let spent = Spent {
                thousandths: spent.map_or(0, |spent| spent.left(policy.rate, at)) + 1_000,
                at,
                notification: first.notification,
            };
            self.spent.insert(push.recipient.clone(), spent);
        }
    }

    fn suppress(&mut self, reason: SuppressReason) {
        if let Some(last) = &self.last {
            // What repeats another one has said nothing, and what is not visible has not even begun anything.
            let (said, begun) = match reason {
                SuppressReason::Duplicate => (last.same, None),
                SuppressReason::NotVisible => (last.same, last.burst),
                _ => (None, None),
            };
            restore(&mut self.said, said);
            restore(&mut self.bursts, begun);
        }
        self.give_back();
    }

    /// What disturbs nobody for now does not count.
    fn give_back(&mut self) {
        let Some(last) = self.last.take() else { return };
        match last.spent {
            Some(spent) => self.spent.insert(last.recipient, spent),
            None => self.spent.remove(&last.recipient),
        };
    }

    fn forget(&mut self, now: Timestamp, policy: TrafficPolicy) {
        let due = |at: Timestamp| now.since_ms(at) >= policy.remembered_ms;
        while let Some((_, key)) = self.forgetting.pop_front_if(|(at, _)| due(*at)) {
            for windows in [&mut self.said, &mut self.bursts] {
                // It may have been opened anew since.
                if windows.get(&key).is_some_and(|first| due(first.at)) {
                    windows.remove(&key);
                }
            }
        }
        if now.since_ms(self.swept_at) >= SWEEP_MS {
            self.swept_at = now;
            self.spent
                .retain(|_, spent| spent.left(policy.rate, now) > 0);
        }
    }
}

impl<'a> TrafficAhead<'a> {
    /// Nothing is ahead yet.
    pub fn of(known: &'a Traffic, policy: TrafficPolicy) -> Self {
        Self {
            known,
            ahead: Traffic::default(),
            policy,
        }
    }

    /// The notification within `window_ms` that says the same as a push, if it is not the push's own.
    pub fn repeated(&self, push: &Push, window_ms: u64, now: Timestamp) -> Option<First> {
        let key = (window_ms > 0).then(|| sameness(push))??;
        let first = self
            .ahead
            .said
            .get(&key)
            .or_else(|| self.known.said.get(&key));
        within(first, push, window_ms, now)
    }

    /// The notification within `window_ms` that opened the burst to which a push belongs, if it is not the push's own.
    pub fn burst(&self, push: &Push, window_ms: u64, now: Timestamp) -> Option<First> {
        let key = (window_ms > 0).then(|| burst_of(push))??;
        let first = self
            .ahead
            .bursts
            .get(&key)
            .or_else(|| self.known.bursts.get(&key));
        within(first, push, window_ms, now)
    }

    /// Whether a push would be one more than its recipient may have.
    pub fn too_many(&self, push: &Push, now: Timestamp) -> bool {
        let rate = self.policy.rate;
        rate.burst > 0
            && self.spent(&push.recipient).is_some_and(|spent| {
                spent.notification != push.notification()
                    && spent.left(rate, now) + 1_000 > u64::from(rate.burst) * 1_000
            })
    }

    /// Goes on as if a push was requested, with what the gates said of it.
    pub fn note(&mut self, push: &Push, now: Timestamp, verdict: Verdict) {
        if let (false, Some(spent)) = (
            self.ahead.spent.contains_key(&push.recipient),
            self.known.spent.get(&push.recipient),
        ) {
            self.ahead.spent.insert(push.recipient.clone(), *spent);
        }
        self.ahead.request(push, now, self.policy);
        match verdict {
            Verdict::Pass => {}
            Verdict::Defer { .. } => self.ahead.give_back(),
            Verdict::Suppress(reason) => self.ahead.suppress(reason),
        }
    }

    fn spent(&self, person: &PersonId) -> Option<&Spent> {
        let ahead = self.ahead.spent.get(person);
        ahead.or_else(|| self.known.spent.get(person))
    }
}

/// Makes a window what it was.
fn restore(windows: &mut HashMap<Uuid, First>, window: Option<(Uuid, Option<First>)>) {
    match window {
        Some((key, Some(before))) => {
            windows.insert(key, before);
        }
        Some((key, None)) => {
            windows.remove(&key);
        }
        None => {}
    }
}

fn within(first: Option<&First>, push: &Push, window_ms: u64, now: Timestamp) -> Option<First> {
    let first = first.copied()?;
    let open = first.notification != push.notification() && now.since_ms(first.at) < window_ms;
    open.then_some(first)
}

impl Spent {
    /// What still counts at a moment.
    fn left(self, policy: RatePolicy, now: Timestamp) -> u64 {
        let refill_ms = u64::from(policy.refill_seconds.max(1)) * 1_000;
        let returned = now.since_ms(self.at).saturating_mul(1_000) / refill_ms;
        self.thousandths.saturating_sub(returned)
    }
}

/// What pushes have in common that say the same; nothing is the same if nobody is known to have done it.
fn sameness(push: &Push) -> Option<Uuid> {
    let (actor, subject) = (push.actor.as_ref()?, push.subject.as_ref()?);
    Some(key(&[
        "same",
        push.recipient.as_str(),
        &push.category,
        subject.as_str(),
        actor.as_str(),
    ]))
}

/// What the pushes of a burst have in common. What is about its actor is about the recipient, as a new follower is.
fn burst_of(push: &Push) -> Option<Uuid> {
    let subject = push.subject.as_ref()?.as_str();
    let recipient = push.recipient.as_str();
    let about_its_actor = push
        .actor
        .as_ref()
        .is_some_and(|actor| actor.as_str() == subject);
    let about = if about_its_actor { recipient } else { subject };
    Some(key(&["burst", recipient, push.template.as_str(), about]))
}

fn key(parts: &[&str]) -> Uuid {
    let mut name = String::with_capacity(128);
    for part in parts {
        // Lengths keep "a" + "bc" apart from "ab" + "c".
        write!(name, "{}:{part}|", part.len()).expect("writing to a String cannot fail");
    }
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
}
