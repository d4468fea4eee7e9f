//! The recipient, the push and the event that decisions are tried on.

use iyagi_actors::push_sender::gates::Recipient;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::device::Platform;
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{DeviceToken, EventId, Incarnation, Pos, PushId, Seq, Timestamp};
use iyagi_messages::push::{OnUnknownOutcome, Push};

/// Somebody who may be told of anything, at any time.
pub(crate) const REACHABLE: Recipient = Recipient {
    blocked: false,
    hidden: false,
    muted: false,
    unsubscribed: false,
    device_registered: true,
    quiet_until: None,
    digest: true,
};

/// Daniel's like of a story in a commit, told to Minji's phone; it is stale after two hours.
pub(crate) fn push(commit: u64, at: Timestamp) -> Push {
    to_phone(
        Push {
            id: PushId::derive(0, &"".into(), &"".into(), &"".into(), None),
            recipient: "minji".into(),
            device: None,
            platform: Some(Platform::Fcm),
            locale: "ko".to_owned(),
            template: "like".into(),
            category: "reactions".to_owned(),
            commit: Cursor::new(commit, 1),
            element: format!("edge-{commit}").as_str().into(),
            actor: Some("daniel".into()),
            subject: Some("story".into()),
            key: None,
            at,
            expires_at: at.plus_ms(2 * 3_600_000),
            on_unknown_outcome: OnUnknownOutcome::Resend,
            burst: None,
            own_act_too: false,
            of_deletion: false,
        },
        "phone".into(),
    )
}

/// The same push to another phone.
pub(crate) fn to_phone(mut push: Push, device: DeviceToken) -> Push {
    let (element, recipient) = (&push.element, &push.recipient);
    push.id = PushId::derive(
        push.commit.commit,
        element,
        &push.template,
        recipient,
        Some(&device),
    );
    push.device = Some(device);
    push
}

/// A fact as the journal has it.
pub(crate) fn event(entity: Entity, at: Timestamp, fact: impl Into<Fact>) -> Event {
    Event {
        pos: Pos(1),
        id: EventId::root("test", "1"),
        entity,
        seq: Seq(1),
        at,
        cause: None,
        corr: String::new(),
        actor: Incarnation("test#1".to_owned()),
        fact: fact.into(),
    }
}
