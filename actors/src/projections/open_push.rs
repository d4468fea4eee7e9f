//! A push that is not settled, in few bytes: there may be a million of them.
//!
//! Its body stays in the journal, where it was requested, and is read back when the push is offered. What has happened to
//! it is kept in full only where that was out of the ordinary.

use iyagi_messages::device::Platform;
use iyagi_messages::event::Event;
use iyagi_messages::ids::{EventId, Pos, Seq, Timestamp};
use iyagi_messages::push::{DeferReason, Push};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::waiting_room::Place;
use crate::push_sender::state::{Deferred, Impossible, Progress, Stage};

/// A push that is pending or dead.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OpenPush {
    /// Where it was requested, and its body is.
    pub(super) requested: Pos,
    /// The push service of its phone.
    pub(super) platform: Option<Platform>,
    /// Its phone.
    pub(super) phone: Phone,
    pub(super) life: Life,
}

/// What has happened to a push.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Life {
    /// Nothing.
    Fresh,
    /// It was told to wait on purpose, and nothing else.
    Deferred {
        until: Timestamp,
        reason: DeferReason,
        waited_ms: u32,
    },
    /// More than that.
    Eventful(Box<Eventful>),
}

/// A life that is not the ordinary one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Eventful {
    progress: Progress,
    /// Its last event.
    last_event: EventId,
    /// Where it was requested or last redriven, if it is pending and does not wait on purpose.
    turn: Option<Pos>,
}

/// A person's phone, as good as told from every other: whoever finds a push by it looks at the push itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone(pub(super) u32);

/// Where a push is among those of its platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is to be sent when its turn comes.
    Turn(Pos),
    /// It was tried, and is to be once more, in its turn.
    Retry(Pos),
    /// It waits on purpose.
    Waits(Place),
    /// It is dead.
    Nowhere,
}

/// The number that a push's first event has.
const FIRST: Seq = Seq(1);

impl Phone {
    /// The phone that a push is for. It is the same in every build, for it stands in snapshots.
    pub fn of(push: &Push) -> Self {
        let device = push.device.as_ref().map_or("", |device| device.as_str());
        let name = format!("{}\n{device}", push.recipient);
        let digest = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        let head = digest.as_bytes().first_chunk();
        Self(u32::from_be_bytes(*head.expect("an id has 16 bytes")))
    }
}

impl OpenPush {
    /// A push that an event requests.
    pub(super) fn requested(push: &Push, event: &Event) -> Self {
        Self {
            requested: event.pos,
            platform: push.platform,
            phone: Phone::of(push),
            life: Life::of(
                Progress::requested(event.seq),
                Some(event.pos),
                event.pos,
                event.id,
            ),
        }
    }

    /// All that has happened to it.
    pub(super) fn progress(&self) -> Progress {
        match &self.life {
            Life::Fresh => Progress::requested(FIRST),
            Life::Deferred {
                until,
                reason,
                waited_ms,
            } => deferred_at_once(
                Deferred {
                    until: *until,
                    reason: *reason,
                },
                u64::from(*waited_ms),
            ),
            Life::Eventful(eventful) => eventful.progress.clone(),
        }
    }

    /// The event that its next event follows from; that which requested it if absent, as it is until it is first attempted.
    pub(super) fn last_event(&self) -> Option<EventId> {
        match &self.life {
            Life::Fresh | Life::Deferred { .. } => None,
            Life::Eventful(eventful) => Some(eventful.last_event),
        }
    }

    /// Where it is among those of its platform.
    pub(super) fn standing(&self) -> Standing {
        let waits = |until| Standing::Waits(Place::new(until, self.requested));
        match &self.life {
            Life::Fresh => Standing::Turn(self.requested),
            Life::Deferred { until, .. } => waits(*until),
            Life::Eventful(eventful) => match (eventful.turn, eventful.progress.waits()) {
                (Some(turn), _) if eventful.progress.is_to_be_retried() => Standing::Retry(turn),
                (Some(turn), _) => Standing::Turn(turn),
                (None, Some(wait)) => waits(wait.until),
                (None, None) => Standing::Nowhere,
            },
        }
    }

    /// Folds its next event, and yields what it was before and is now. One of another entity leaves its number as it is.
    pub(super) fn advance(
        &mut self,
        event: &Event,
        seq: Option<Seq>,
    ) -> Result<(Stage, Stage), Impossible> {
        let mut progress = self.progress();
        let before = progress.stage;
        let seq = seq.unwrap_or(progress.seq);
        progress.apply(&event.fact, &event.actor, seq, event.at)?;
        let after = progress.stage;
        let turn = progress.has_turn().then(|| match self.standing() {
            Standing::Turn(turn) | Standing::Retry(turn) => turn,
            Standing::Waits(_) | Standing::Nowhere => event.pos,
        });
        self.life = Life::of(progress, turn, self.requested, event.id);
        Ok((before, after))
    }
}

impl Life {
    fn of(progress: Progress, turn: Option<Pos>, requested: Pos, last_event: EventId) -> Self {
        if turn == Some(requested) && progress == Progress::requested(FIRST) {
            return Self::Fresh;
        }
        if let (Some(wait), Ok(waited_ms)) = (progress.deferred, u32::try_from(progress.waited_ms))
            && progress == deferred_at_once(wait, progress.waited_ms)
        {
            let Deferred { until, reason } = wait;
            return Self::Deferred {
                until,
                reason,
                waited_ms,
            };
        }
        Self::Eventful(Box::new(Eventful {
            progress,
            last_event,
            turn,
        }))
    }
}

/// What has happened to a push whose second event let it wait on purpose.
fn deferred_at_once(wait: Deferred, waited_ms: u64) -> Progress {
    Progress {
        seq: Seq(FIRST.0 + 1),
        deferred: Some(wait),
        waited_ms,
        ..Progress::requested(FIRST)
    }
}
