//! What may keep a push from a phone, in one order: a pure function of the push, its recipient and the moment.
//!
//! Asked when a push is matched, before each attempt and when it is redriven. Whether it repeats another one, belongs to a
//! burst or is one too many is decided once, when it is matched: later it would be held against itself.

use iyagi_messages::ids::{ElementId, PushId, Timestamp};
use iyagi_messages::preferences::Preferences;
use iyagi_messages::push::{DeferReason, Push, SuppressReason};
use iyagi_messages::template::Template;

use super::quiet::end_of_quiet;
use crate::projections::{Audience, TrafficAhead, Wishes};

/// A push that would have to wait is worth it only if it lives at least this long, in milliseconds.
const WORTH_WAITING_MS: u64 = 3_600_000;

/// What is known of the recipient at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recipient {
    /// One of recipient and actor has blocked the other.
    pub blocked: bool,
    /// The recipient may not see what it tells of, as the matcher finds. Later it is asked last, and of the graph
    /// ([`SecondLook`](super::second_look::SecondLook)).
    pub hidden: bool,
    /// The recipient has muted the actor or the subject.
    pub muted: bool,
    /// The recipient does not want this kind of notification.
    pub unsubscribed: bool,
    /// The phone is still registered for this person.
    pub device_registered: bool,
    /// When the recipient may be disturbed again; absent if they may be now.
    pub quiet_until: Option<Timestamp>,
    /// Whether several notifications may come as one.
    pub digest: bool,
}

/// What was requested before a push, as far as it bears on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Before {
    /// It says what another one has said.
    pub repeated: bool,
    /// The burst that it belongs to, and when that is told of.
    pub burst: Option<(PushId, Timestamp)>,
    /// The recipient has had too many.
    pub too_many: bool,
    /// When people are told of what is matched now, while the change log is read late.
    pub catch_up: Option<Timestamp>,
}

/// What the gates say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be sent now.
    Pass,
    /// It is not sent.
    Suppress(SuppressReason),
    /// It waits.
    Defer {
        /// Until when.
        until: Timestamp,
        /// Why.
        reason: DeferReason,
    },
}

/// The first gate that a push does not pass. `deadline` is from when on it is stale.
pub fn gate(
    push: &Push,
    urgent: bool,
    deadline: Timestamp,
    recipient: Recipient,
    before: Before,
    now: Timestamp,
) -> Verdict {
    use SuppressReason as Reason;
    let lifetime_ms = push.expires_at.since_ms(push.at);
    let quiet_until = recipient.quiet_until.filter(|_| !urgent);
    let suppressed = [
        (
            push.actor.as_ref() == Some(&push.recipient) && !push.own_act_too,
            Reason::Myself,
        ),
        (recipient.blocked, Reason::Blocked),
        (recipient.hidden, Reason::NotVisible),
        (recipient.muted, Reason::Muted),
        (recipient.unsubscribed, Reason::Unsubscribed),
        (before.repeated, Reason::Duplicate),
        (deadline <= now, Reason::Stale),
        (
            quiet_until.is_some() && lifetime_ms < WORTH_WAITING_MS,
            Reason::Quiet,
        ),
    ];
    if let Some((_, reason)) = suppressed.iter().find(|(holds, _)| *holds) {
        return Verdict::Suppress(*reason);
    }
    let has_phone = push.device.is_some();
    if let Some(until) = quiet_until.filter(|_| has_phone) {
        let reason = DeferReason::Quiet;
        return Verdict::Defer { until, reason };
    }
    if let Some(until) = before.catch_up.filter(|_| has_phone && !urgent) {
        if !recipient.digest || lifetime_ms < WORTH_WAITING_MS {
            return Verdict::Suppress(Reason::CatchUp);
        }
        let reason = DeferReason::CatchUp;
        return Verdict::Defer { until, reason };
    }
    if let Some((_, until)) = before.burst.filter(|_| has_phone)
        && until > now
    {
        let reason = DeferReason::Burst;
        return Verdict::Defer { until, reason };
    }
    if before.too_many && !urgent {
        Verdict::Suppress(Reason::RateLimited)
    } else if !has_phone {
        Verdict::Suppress(Reason::NoDevice)
    } else if !recipient.device_registered {
        Verdict::Suppress(Reason::DeviceGone)
    } else {
        Verdict::Pass
    }
}

impl Recipient {
    /// What is known of a push's recipient.
    pub fn of(push: &Push, audience: &Audience, wishes: &Wishes, now: Timestamp) -> Self {
        let person = &push.recipient;
        let unsaid = Preferences::default();
        let preferences = wishes.of(person).unwrap_or(&unsaid);
        let actor = push.actor.as_ref();
        let muted = |id: &ElementId| wishes.mutes(person, id);
        let device = push
            .device
            .as_ref()
            .and_then(|token| audience.device(token));
        Self {
            blocked: actor.is_some_and(|actor| wishes.blocked_between(person, actor)),
            hidden: false,
            muted: actor.is_some_and(|actor| muted(&actor.clone().into()))
                || push.subject.as_ref().is_some_and(muted),
            unsubscribed: audience.has_opted_out(person, &push.template)
                || wishes.has_left(person, &push.category),
            device_registered: device.is_some_and(|device| device.person == *person),
            quiet_until: end_of_quiet(preferences, now),
            digest: preferences.digest,
        }
    }
}

impl Before {
    /// What bears on a push of a template.
    pub fn of(
        push: &Push,
        template: &Template,
        recipient: Recipient,
        traffic: &TrafficAhead<'_>,
        now: Timestamp,
    ) -> Self {
        let ms = |seconds: u32| u64::from(seconds) * 1_000;
        let window_ms = ms(template.burst_seconds);
        let burst = recipient
            .digest
            .then(|| traffic.burst(push, window_ms, now))
            .flatten()
            .map(|first| (first.notification, first.at.plus_ms(window_ms)));
        Self {
            repeated: traffic
                .repeated(push, ms(template.duplicate_seconds), now)
                .is_some(),
            burst,
            too_many: burst.is_none() && traffic.too_many(push, now),
            catch_up: None,
        }
    }
}
