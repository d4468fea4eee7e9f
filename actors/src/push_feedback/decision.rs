//! What a failed delivery means: pure functions of the push's and the phone's history.

use iyagi_messages::device::Device;
use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::feedback::{BounceClass, DeliveryFailure};
use iyagi_messages::ids::{Pos, Seq};
use iyagi_messages::push::Push;

/// A sent push's history.
pub(super) struct Story<'a> {
    pub(super) push: &'a Push,
    /// The gateway's yes.
    pub(super) accepted: &'a Event,
    /// Number of its last event.
    pub(super) seq: Seq,
    /// Whether its failure is known already.
    pub(super) bounced: bool,
}

impl<'a> Story<'a> {
    /// The history, if the push was sent.
    pub(super) fn of(events: &'a [Event]) -> Option<Self> {
        let push = events.iter().find_map(|event| match &event.fact {
            Fact::PushRequested(requested) => Some(&requested.push),
            _ => None,
        })?;
        let accepted = events
            .iter()
            .find(|event| matches!(event.fact, Fact::PushAccepted(_)))?;
        Some(Self {
            push,
            accepted,
            seq: events.last()?.seq,
            bounced: events
                .iter()
                .any(|event| matches!(event.fact, Fact::PushBounced(_))),
        })
    }
}

/// A push that was not delivered.
pub(super) struct Bounce<'a> {
    pub(super) failure: &'a DeliveryFailure,
    pub(super) push: &'a Push,
    pub(super) accepted_at: Pos,
}

impl Bounce<'_> {
    /// Number of the phone's last event, if the failure ends its registration.
    ///
    /// One that is younger than the push stays: the phone has told us since that it is there, or is someone else's by
    /// now, and its own pushes will show whether the token lives.
    pub(super) fn ends_registration(
        &self,
        known: Option<&Device>,
        events: &[Event],
    ) -> Option<Seq> {
        let class = BounceClass::of(&self.failure.failure_type, &self.failure.detail);
        let last = events.last()?;
        let same_person = known.is_some_and(|device| device.person == self.push.recipient);
        (class.token_is_dead() && same_person && last.pos < self.accepted_at).then_some(last.seq)
    }
}
