//! Events as the bytes of a commit: one JSON document a line, deflated, with a checksum over what was deflated.
//!
//! A body is kept to the letter: what this build does not know, another one may.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::{DecodeError, Fact};
use iyagi_messages::ids::{EventId, Incarnation, Pos, Seq, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

/// Why bytes are no commit.
#[derive(Debug, Error)]
pub(super) enum Undecodable {
    #[error("they do not inflate: {0}")]
    Deflate(#[from] std::io::Error),
    #[error("an event cannot be read: {0}")]
    Event(#[from] serde_json::Error),
    #[error(transparent)]
    Fact(#[from] DecodeError),
    #[error("they are cut short")]
    Short,
    #[error("they do not match their checksum")]
    Sum,
}

/// Bytes of the checksum, which comes first.
const SUM_BYTES: usize = 4;

/// An event as a line.
#[derive(Serialize, Deserialize)]
struct Line {
    pos: Pos,
    id: EventId,
    entity: Entity,
    seq: Seq,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<EventId>,
    corr: String,
    actor: Incarnation,
    kind: String,
    v: u16,
    body: Box<RawValue>,
}

impl Line {
    fn of(event: &Event) -> Self {
        let body = RawValue::from_string(event.fact.body());
        Self {
            pos: event.pos,
            id: event.id,
            entity: event.entity.clone(),
            seq: event.seq,
            at: event.at,
            cause: event.cause,
            corr: event.corr.clone(),
            actor: event.actor.clone(),
            kind: event.fact.kind().to_owned(),
            v: event.fact.version(),
            body: body.expect("a body is JSON"),
        }
    }

    fn event(self) -> Result<Event, Undecodable> {
        Ok(Event {
            pos: self.pos,
            id: self.id,
            entity: self.entity,
            seq: self.seq,
            at: self.at,
            cause: self.cause,
            corr: self.corr,
            actor: self.actor,
            fact: Fact::decode(&self.kind, self.v, self.body.get())?,
        })
    }
}

pub(super) fn encode(events: &[Event]) -> Vec<u8> {
    let mut lines = Vec::new();
    for event in events {
        serde_json::to_writer(&mut lines, &Line::of(event))
            .expect("an event has only text keys, so it is always JSON");
        lines.push(b'\n');
    }
    let sum = crc32fast::hash(&lines).to_le_bytes().to_vec();
    let mut encoder = DeflateEncoder::new(sum, Compression::fast());
    encoder
        .write_all(&lines)
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}

pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Event>, Undecodable> {
    let (sum, deflated) = bytes
        .split_at_checked(SUM_BYTES)
        .ok_or(Undecodable::Short)?;
    let mut lines = Vec::new();
    DeflateDecoder::new(deflated).read_to_end(&mut lines)?;
    if crc32fast::hash(&lines).to_le_bytes() != sum {
        return Err(Undecodable::Sum);
    }
    let lines = serde_json::Deserializer::from_slice(&lines).into_iter::<Line>();
    lines.map(|line| line?.event()).collect()
}

#[cfg(test)]
mod tests {
    use iyagi_messages::fact::{PushAttempted, UnknownFact};

    use super::*;

    fn event(pos: u64, fact: Fact) -> Event {
        Event {
            pos: Pos(pos),
            id: EventId::root("test", &pos.to_string()),
            entity: Entity::new("push", "민지"),
            seq: Seq(1),
            at: Timestamp(7),
            cause: None,
            corr: "commit:1".to_owned(),
            actor: "host-a~1/push-sender-1#1".into(),
            fact,
        }
    }

    fn events() -> Vec<Event> {
        let unknown = UnknownFact {
            kind: "star.born".to_owned(),
            version: 3,
            body: r#"{"name": "별", "mass":1.50}"#.to_owned(),
        };
        vec![
            event(u64::from(u32::MAX) * 4, PushAttempted { attempt: 1 }.into()),
            event(2, Fact::Unknown(unknown)),
        ]
    }

    #[test]
    fn events_come_back_as_they_were() {
        assert_eq!(decode(&encode(&events())).expect("decodes"), events());
        assert_eq!(decode(&encode(&[])).expect("decodes"), []);
    }

    #[test]
    fn damage_is_never_taken_for_events() {
        let whole = encode(&events());
        for length in 0..whole.len() {
            assert!(decode(&whole[..length]).is_err(), "cut to {length}");
        }
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            if let Ok(read) = decode(&flipped) {
                assert_eq!(read, events(), "byte {at}");
            }
        }
    }
}
