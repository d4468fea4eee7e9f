//! Open pushes as they lie in a snapshot: a million of them must be there again within a moment of a start.

use std::collections::BTreeMap;

use iyagi_messages::device::Platform;
use iyagi_messages::ids::{Pos, PushId, Timestamp};
use iyagi_messages::push::DeferReason;
use thiserror::Error;
use uuid::Uuid;

use super::open_push::{Life, OpenPush, Phone};

/// Bytes that are no packed pushes of this build.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
#[error("the packed pushes are not whole behind byte {0}")]
pub(super) struct Unpackable(usize);

const FRESH: u8 = 0;
const DEFERRED: u8 = 1;
const EVENTFUL: u8 = 2;

/// Bytes of a push to which nothing has happened, as nearly all are when there are many.
const BYTES_MOST_OFTEN: usize = 30;

/// Pushes in one piece: a snapshot is written piece by piece, so that it is never in memory twice.
const PIECE: usize = 65_536;

/// Packs pushes in order of their ids.
pub(super) fn pack(open: &BTreeMap<PushId, OpenPush>) -> Vec<Vec<u8>> {
    let mut rest = open.iter().peekable();
    let mut pieces = Vec::with_capacity(open.len() / PIECE + 1);
    while rest.peek().is_some() {
        let piece = rest.by_ref().take(PIECE);
        pieces.push(pack_piece(piece, open.len().min(PIECE)));
    }
    pieces
}

fn pack_piece<'p>(
    open: impl Iterator<Item = (&'p PushId, &'p OpenPush)>,
    expected: usize,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(expected * BYTES_MOST_OFTEN);
    for (id, push) in open {
        bytes.extend(id.0.as_bytes());
        bytes.extend(push.requested.0.to_le_bytes());
        bytes.push(code_of_platform(push.platform));
        bytes.extend(push.phone.0.to_le_bytes());
        match &push.life {
            Life::Fresh => bytes.push(FRESH),
            Life::Deferred {
                until,
                reason,
                waited_ms,
            } => {
                bytes.extend([DEFERRED, code_of_reason(*reason)]);
                bytes.extend(until.0.to_le_bytes());
                bytes.extend(waited_ms.to_le_bytes());
            }
            Life::Eventful(eventful) => {
                let json = serde_json::to_vec(eventful).expect("it has only text keys");
                let length = u32::try_from(json.len()).expect("a life is told in a few lines");
                bytes.push(EVENTFUL);
                bytes.extend(length.to_le_bytes());
                bytes.extend(json);
            }
        }
    }
    bytes
}

/// Unpacks a piece.
pub(super) fn unpack(bytes: &[u8]) -> Result<Vec<(PushId, OpenPush)>, Unpackable> {
    let mut rest = Rest { bytes, done: 0 };
    let mut open = Vec::with_capacity(bytes.len() / BYTES_MOST_OFTEN);
    while rest.done < bytes.len() {
        let id = PushId(Uuid::from_bytes(rest.take()?));
        let push = OpenPush {
            requested: Pos(u64::from_le_bytes(rest.take()?)),
            platform: rest.platform()?,
            phone: Phone(u32::from_le_bytes(rest.take()?)),
            life: rest.life()?,
        };
        open.push((id, push));
    }
    Ok(open)
}

struct Rest<'a> {
    bytes: &'a [u8],
    done: usize,
}

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Unpackable> {
        let found = self.bytes[self.done..].first_chunk();
        let found = *found.ok_or(Unpackable(self.done))?;
        self.done += N;
        Ok(found)
    }

    fn platform(&mut self) -> Result<Option<Platform>, Unpackable> {
        Ok(match self.take()? {
            [0] => None,
            [1] => Some(Platform::Fcm),
            [2] => Some(Platform::Apns),
            [_] => return Err(Unpackable(self.done)),
        })
    }

    fn reason(&mut self) -> Result<DeferReason, Unpackable> {
        Ok(match self.take()? {
            [0] => DeferReason::Quiet,
            [1] => DeferReason::Burst,
            [2] => DeferReason::CatchUp,
            [_] => return Err(Unpackable(self.done)),
        })
    }

    fn life(&mut self) -> Result<Life, Unpackable> {
        match self.take()? {
            [FRESH] => Ok(Life::Fresh),
            [DEFERRED] => Ok(Life::Deferred {
                reason: self.reason()?,
                until: Timestamp(i64::from_le_bytes(self.take()?)),
                waited_ms: u32::from_le_bytes(self.take()?),
            }),
            [EVENTFUL] => {
                let length = u32::from_le_bytes(self.take()?) as usize;
                let json = self.bytes.get(self.done..self.done.saturating_add(length));
                let life = json.and_then(|json| serde_json::from_slice(json).ok());
                let life = life.ok_or(Unpackable(self.done))?;
                self.done += length;
                Ok(Life::Eventful(Box::new(life)))
            }
            [_] => Err(Unpackable(self.done)),
        }
    }
}

fn code_of_platform(platform: Option<Platform>) -> u8 {
    match platform {
        None => 0,
        Some(Platform::Fcm) => 1,
        Some(Platform::Apns) => 2,
    }
}

fn code_of_reason(reason: DeferReason) -> u8 {
    match reason {
        DeferReason::Quiet => 0,
        DeferReason::Burst => 1,
        DeferReason::CatchUp => 2,
    }
}

#[cfg(test)]
mod tests {
    use iyagi_messages::cursor::Cursor;
    use iyagi_messages::event::{Entity, Event};
    use iyagi_messages::fact::{Fact, PushAttempted, PushDeferred, PushFailed, PushRequested};
    use iyagi_messages::ids::{EventId, Seq};
    use iyagi_messages::push::{FailureClass, OnUnknownOutcome, Push};

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn push(number: u64, platform: Option<Platform>) -> Push {
        let (element, template) = (format!("e{number}").into(), "follow".into());
        let (recipient, device) = ("minji".into(), "phone".into());
        Push {
            id: PushId::derive(number, &element, &template, &recipient, Some(&device)),
            recipient,
            device: Some(device),
            platform,
            locale: "ko".to_owned(),
            template,
            category: "people".to_owned(),
            commit: Cursor::new(number, 1),
            element,
            actor: None,
            subject: None,
            key: None,
            at: NOW,
            expires_at: NOW.plus_ms(3_600_000),
            on_unknown_outcome: OnUnknownOutcome::Resend,
            burst: None,
            own_act_too: false,
            of_deletion: false,
        }
    }

    fn event(pos: u64, seq: u64, push: &Push, fact: Fact) -> Event {
        Event {
            pos: Pos(pos),
            id: EventId::root(fact.kind(), &pos.to_string()),
            entity: Entity::new("push", push.id),
            seq: Seq(seq),
            at: NOW,
            cause: None,
            corr: String::new(),
            actor: "push-sender-1#1".into(),
            fact,
        }
    }

    /// A push of each life.
    fn open() -> BTreeMap<PushId, OpenPush> {
        let deferred = |reason, wait_ms| -> Fact {
            let until = NOW.plus_ms(wait_ms);
            PushDeferred { until, reason }.into()
        };
        let failed = PushFailed {
            attempt: 1,
            class: FailureClass::Poison,
            code: "Code".to_owned(),
            detail: String::new(),
            retry_at: None,
            counted: true,
        };
        let lives: [Vec<Fact>; 7] = [
            vec![],
            vec![deferred(DeferReason::Quiet, 60_000)],
            vec![deferred(DeferReason::Burst, 1)],
            vec![deferred(DeferReason::CatchUp, 600_000)],
            // Longer than what is kept in few bytes.
            vec![deferred(DeferReason::Quiet, u64::from(u32::MAX) + 1)],
            vec![PushAttempted { attempt: 1 }.into()],
            vec![PushAttempted { attempt: 1 }.into(), failed.into()],
        ];
        let platforms = [None, Some(Platform::Fcm), Some(Platform::Apns)];
        let (mut open, mut pos) = (BTreeMap::new(), 0);
        for (number, life) in (0..).zip(lives) {
            let push = push(number, platforms[number as usize % 3]);
            pos += 1;
            let requested = PushRequested { push: push.clone() };
            let requested = event(pos, 1, &push, requested.into());
            let mut kept = OpenPush::requested(&push, &requested);
            for (seq, fact) in (2..).zip(life) {
                pos += 1;
                let advanced = kept.advance(&event(pos, seq, &push, fact), Some(Seq(seq)));
                advanced.expect("a possible history");
            }
            open.insert(push.id, kept);
        }
        open
    }

    #[test]
    fn every_life_is_unpacked_as_it_was_packed() {
        let open = open();
        let lives: Vec<_> = open.values().map(|push| &push.life).collect();
        let count = |of: fn(&Life) -> bool| lives.iter().filter(|life| of(life)).count();
        assert_eq!(count(|life| *life == Life::Fresh), 1);
        assert_eq!(count(|life| matches!(life, Life::Deferred { .. })), 3);
        let pieces = pack(&open);
        let unpacked = pieces.iter().map(|piece| unpack(piece).expect("whole"));
        assert_eq!(unpacked.flatten().collect::<BTreeMap<_, _>>(), open);
    }

    #[test]
    fn bytes_that_are_cut_off_or_foreign_are_refused() {
        let mut one = open();
        while one.len() > 1 {
            one.pop_last();
        }
        let mut bytes = pack(&one).remove(0);
        for length in 1..bytes.len() {
            assert!(unpack(&bytes[..length]).is_err(), "{length}");
        }
        bytes[BYTES_MOST_OFTEN - 6] = 9;
        assert!(unpack(&bytes).is_err(), "there is no such platform");
    }

    #[test]
    fn a_push_that_only_waits_takes_few_bytes() {
        assert!(size_of::<(PushId, OpenPush)>() <= 48);
    }
}
