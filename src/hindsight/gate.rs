//! Which event closed a gate to a push.

use std::collections::HashSet;

use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{ElementId, PersonId, Pos};
use iyagi_messages::preferences::Silence;
use iyagi_messages::push::{Push, SuppressReason};

use super::{Hindsight, PastFault};

impl Hindsight {
    /// The event because of which a push was suppressed at a position; none if the reason lies in the push itself, or if
    /// the journal does not tell.
    pub(super) fn gate_of(
        &self,
        push: &Push,
        reason: SuppressReason,
        suppressed: &Event,
    ) -> Result<Option<Event>, PastFault> {
        if reason == SuppressReason::Merged {
            return Ok(match suppressed.cause {
                Some(cause) => self.journal.event(cause)?,
                None => None,
            });
        }
        if reason == SuppressReason::NoDevice {
            return self.last_phone_of(push, suppressed.pos);
        }
        let Some((kinds, closes)) = closer_of(reason) else {
            return Ok(None);
        };
        self.last_before(suppressed.pos, kinds, |event| closes(push, event))
    }

    /// When the last phone of a push's recipient was removed, if they ever had one.
    fn last_phone_of(&self, push: &Push, before: Pos) -> Result<Option<Event>, PastFault> {
        let mut theirs = HashSet::new();
        let mut last = None;
        let kinds = ["device.registered", "device.removed"];
        self.events(&kinds, Some(before), |event| match &event.fact {
            Fact::DeviceRegistered(registered) => {
                let device = &registered.device;
                if device.person == push.recipient {
                    theirs.insert(device.token.clone());
                } else if theirs.remove(&device.token) {
                    last = Some(event);
                }
            }
            Fact::DeviceRemoved(removed) if theirs.remove(&removed.token) => last = Some(event),
            _ => {}
        })?;
        Ok(last)
    }

    fn last_before(
        &self,
        before: Pos,
        kinds: &[&str],
        closes: impl Fn(&Event) -> bool,
    ) -> Result<Option<Event>, PastFault> {
        let mut last = None;
        self.events(kinds, Some(before), |event| {
            if closes(&event) {
                last = Some(event);
            }
        })?;
        Ok(last)
    }
}

type Closes = fn(&Push, &Event) -> bool;

/// The kinds of event that close a gate, and whether one of them does for a push.
fn closer_of(reason: SuppressReason) -> Option<(&'static [&'static str], Closes)> {
    use SuppressReason as Reason;
    Some(match reason {
        Reason::Blocked => (&["preferences.changed", "silence.placed"], blocks),
        Reason::Muted => (&["preferences.changed", "silence.placed"], mutes),
        Reason::Unsubscribed => (&["preferences.changed", "template.opted_out"], leaves),
        Reason::Quiet => (&["preferences.changed"], keeps_quiet),
        Reason::Duplicate => (&["push.requested"], says_the_same),
        Reason::DeviceGone | Reason::EndpointDead => {
            (&["device.removed", "device.registered"], takes_the_phone)
        }
        Reason::CatchUp => (&["catch_up.begun"], |_, _| true),
        Reason::Myself
        | Reason::NoDevice
        | Reason::Stale
        | Reason::UnknownOutcome
        | Reason::RateLimited
        | Reason::Merged
        // The graph says it, or a block; which of the two the push does not tell.
        | Reason::NotVisible => return None,
    })
}

fn blocks(push: &Push, event: &Event) -> bool {
    let Some(actor) = &push.actor else {
        return false;
    };
    let between = |one: &PersonId, other: &str| {
        (*one == push.recipient && other == actor.as_str())
            || (one == actor && other == push.recipient.as_str())
    };
    match &event.fact {
        Fact::PreferencesChanged(changed) => {
            let mut blocked = changed.preferences.blocked.iter();
            blocked.any(|other| between(&changed.person, other.as_str()))
        }
        Fact::SilencePlaced(placed) => {
            placed.silence == Silence::Block && between(&placed.person, placed.other.as_str())
        }
        _ => false,
    }
}

fn mutes(push: &Push, event: &Event) -> bool {
    let meant = |other: &ElementId| {
        let actor = push.actor.as_ref().map(PersonId::as_str);
        actor == Some(other.as_str()) || push.subject.as_ref() == Some(other)
    };
    match &event.fact {
        Fact::PreferencesChanged(changed) => {
            changed.person == push.recipient && changed.preferences.muted.iter().any(meant)
        }
        Fact::SilencePlaced(placed) => {
            placed.silence == Silence::Mute
                && placed.person == push.recipient
                && meant(&placed.other)
        }
        _ => false,
    }
}

fn leaves(push: &Push, event: &Event) -> bool {
    match &event.fact {
        Fact::PreferencesChanged(changed) => {
            let left = &changed.preferences.opted_out_categories;
            changed.person == push.recipient && left.contains(&push.category)
        }
        Fact::TemplateOptedOut(opted) => {
            opted.person == push.recipient && opted.template == push.template
        }
        _ => false,
    }
}

fn keeps_quiet(push: &Push, event: &Event) -> bool {
    match &event.fact {
        Fact::PreferencesChanged(changed) => {
            changed.person == push.recipient && changed.preferences.quiet_hours.is_some()
        }
        _ => false,
    }
}

fn says_the_same(push: &Push, event: &Event) -> bool {
    let Fact::PushRequested(requested) = &event.fact else {
        return false;
    };
    let other = &requested.push;
    other.notification() != push.notification()
        && (&other.recipient, &other.category) == (&push.recipient, &push.category)
        && (&other.subject, &other.actor) == (&push.subject, &push.actor)
}

fn takes_the_phone(push: &Push, event: &Event) -> bool {
    match &event.fact {
        Fact::DeviceRemoved(removed) => Some(&removed.token) == push.device.as_ref(),
        Fact::DeviceRegistered(registered) => {
            let device = &registered.device;
            Some(&device.token) == push.device.as_ref() && device.person != push.recipient
        }
        _ => false,
    }
}
