//! The table's items, and what they say.
//!
//! A commit is one item under its log, or a head under its log and its bytes in parts elsewhere. An item says how far it
//! reaches, and each begins behind the one before. So positions that are missing between two of them are damage, and
//! positions that are missing among the events of one were taken out: see [`super::sweep`].

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::{Pos, Timestamp};
use uuid::Uuid;

use super::commit;
use super::log::Stretch;

/// Bytes in one item; the rest of 400 KB is for names and numbers.
const PART_BYTES_MAX: usize = 380 * 1024;

/// The key attributes, as the table's definition has them.
pub(super) const LOG: &str = "log";
pub(super) const POS: &str = "pos";
/// Position of the commit's last event.
pub(super) const LAST: &str = "last";
/// Tells a writer its own commit from that of another one.
pub(super) const TOKEN: &str = "token";
/// The events.
pub(super) const BODY: &str = "body";
/// How many items hold the events, if it is not this one.
const PARTS: &str = "parts";
/// The same, where an event is among them that every copy must heed: builds that do not know such events find nothing that
/// they could read, and stop instead of keeping what others take out.
const HEEDED_BODY: &str = "heeded_body";
const HEEDED_PARTS: &str = "heeded_parts";
/// When the last of its events was taken out, in milliseconds since 1970. It has neither events nor parts then.
const EMPTIED_AT: &str = "emptied_at";
/// The parts of the item in whose place it is, and since when it is there.
pub(super) const LEFT_TOKEN: &str = "left_token";
pub(super) const LEFT_PARTS: &str = "left_parts";
pub(super) const LEFT_AT: &str = "left_at";

/// The log of every commit. There is one in a table.
pub(super) const MAIN: &str = "main";

pub(super) type Item = HashMap<String, AttributeValue>;

/// An item that is to be written, ever again with the same token until its fate is known.
pub(super) struct Draft {
    pub(super) first: Pos,
    pub(super) last: Pos,
    token: String,
    /// Nothing if no event of it is left.
    body: Option<Vec<u8>>,
    /// Whether every copy must heed some of it.
    heeded: bool,
    /// What it takes the place of.
    pub(super) instead_of: Option<Instead>,
}

/// The item that another one takes the place of, and when.
pub(super) struct Instead {
    pub(super) token: String,
    /// How many others hold its events, if they do. They are left for those who are about to read them.
    pub(super) parts: Option<u64>,
    pub(super) at: Timestamp,
}

/// An item as it is kept.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) first: Pos,
    pub(super) last: Pos,
    pub(super) token: String,
    pub(super) parts: Option<u64>,
    /// When the last of its events was taken out, if it was.
    pub(super) emptied_at: Option<Timestamp>,
    /// Parts that are no longer its own.
    pub(super) left: Option<Left>,
    pub(super) item: Item,
}

/// Parts that an item has left.
#[derive(Debug, Clone)]
pub(super) struct Left {
    pub(super) token: String,
    pub(super) parts: u64,
    pub(super) at: Timestamp,
}

impl Draft {
    /// The commit of events that are not in the log yet; there must be some.
    pub(super) fn of(events: &[Event]) -> Self {
        let place = |event: Option<&Event>| event.map_or_else(Pos::default, |event| event.pos);
        Self {
            first: place(events.first()),
            last: place(events.last()),
            token: new_token(),
            body: Some(commit::encode(events)),
            heeded: events.iter().any(is_heeded),
            instead_of: None,
        }
    }

    /// What is left of a stretch, in the place of the item that holds all of it.
    pub(super) fn left(stretch: &Stretch, instead_of: Instead) -> Self {
        let events = &stretch.events;
        Self {
            first: stretch.first,
            last: stretch.last,
            token: new_token(),
            body: (!events.is_empty()).then(|| commit::encode(events)),
            heeded: events.iter().any(is_heeded),
            instead_of: Some(instead_of),
        }
    }

    /// Tells it from every other item that was ever at its place.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// What it costs to write it.
    pub(super) fn bytes(&self) -> usize {
        self.body.as_ref().map_or(0, Vec::len)
    }

    pub(super) fn parts(&self) -> std::slice::Chunks<'_, u8> {
        self.body
            .as_deref()
            .unwrap_or_default()
            .chunks(PART_BYTES_MAX)
    }

    pub(super) fn is_large(&self) -> bool {
        self.bytes() > PART_BYTES_MAX
    }

    pub(super) fn head(&self) -> Item {
        let mut head = key_of(MAIN, self.first.0);
        head.insert(LAST.to_owned(), number(self.last.0));
        head.insert(TOKEN.to_owned(), AttributeValue::S(self.token.clone()));
        let (in_one, in_parts) = if self.heeded {
            (HEEDED_BODY, HEEDED_PARTS)
        } else {
            (BODY, PARTS)
        };
        if self.is_large() {
            head.insert(in_parts.to_owned(), number(self.parts().len() as u64));
        } else if let Some(body) = &self.body {
            let body = AttributeValue::B(Blob::new(body.as_slice()));
            head.insert(in_one.to_owned(), body);
        }
        if let Some(Instead { token, parts, at }) = &self.instead_of {
            let at = AttributeValue::N(at.0.to_string());
            if self.body.is_none() {
                head.insert(EMPTIED_AT.to_owned(), at.clone());
            }
            if let Some(parts) = parts {
                head.insert(LEFT_TOKEN.to_owned(), AttributeValue::S(token.clone()));
                head.insert(LEFT_PARTS.to_owned(), number(*parts));
                head.insert(LEFT_AT.to_owned(), at);
            }
        }
        head
    }
}

impl Kept {
    /// What an item says, or why it says nothing.
    pub(super) fn of(item: &Item) -> Result<Self, &'static str> {
        let (first, last) = span(item)?;
        let token = text(item, TOKEN).ok_or("it has no token")?;
        let moment = |name| number_of(item, name).map(|ms| Timestamp(ms.cast_signed()));
        let left = text(item, LEFT_TOKEN).zip(number_of(item, LEFT_PARTS));
        Ok(Self {
            first,
            last,
            token: token.to_owned(),
            parts: number_of(item, PARTS).or_else(|| number_of(item, HEEDED_PARTS)),
            emptied_at: moment(EMPTIED_AT),
            left: left.map(|(token, parts)| Left {
                token: token.to_owned(),
                parts,
                at: moment(LEFT_AT).unwrap_or(Timestamp(0)),
            }),
            item: item.clone(),
        })
    }
}

/// The first position of an item, and the last.
pub(super) fn span(item: &Item) -> Result<(Pos, Pos), &'static str> {
    match (number_of(item, POS), number_of(item, LAST)) {
        (Some(first), Some(last)) if first <= last => Ok((Pos(first), Pos(last))),
        _ => Err("it does not say how far it reaches"),
    }
}

/// Where an item's events are.
pub(super) enum Body<'a> {
    /// All of them were taken out.
    None,
    /// In the item itself.
    Here(&'a [u8]),
    /// In so many others, which have this name.
    Parts(&'a str, u64),
}

/// Where an item's events are, unless it does not say so.
pub(super) fn body_of(item: &Item) -> Result<Body<'_>, &'static str> {
    if item.contains_key(EMPTIED_AT) {
        return Ok(Body::None);
    }
    let either = |one, other| item.get(one).or_else(|| item.get(other));
    match (either(BODY, HEEDED_BODY), either(PARTS, HEEDED_PARTS)) {
        (Some(AttributeValue::B(body)), _) => Ok(Body::Here(body.as_ref())),
        (None, Some(AttributeValue::N(parts))) => {
            let token = text(item, TOKEN).ok_or("it has no token")?;
            let parts = parts.parse().map_err(|_| "its parts are no number")?;
            Ok(Body::Parts(token, parts))
        }
        _ => Err("it has neither events nor parts"),
    }
}

pub(super) fn parts_of(token: &str) -> String {
    format!("parts/{token}")
}

pub(super) fn key_of(log: &str, pos: u64) -> Item {
    let log = (LOG.to_owned(), AttributeValue::S(log.to_owned()));
    [log, (POS.to_owned(), number(pos))].into()
}

/// Whether every copy must do what an event says.
fn is_heeded(event: &Event) -> bool {
    matches!(event.fact, Fact::JournalTrimmed(_))
}

fn new_token() -> String {
    Uuid::now_v7().simple().to_string()
}

pub(super) fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(super) fn number_of(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

pub(super) fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use iyagi_messages::event::Entity;
    use iyagi_messages::fact::{JournalCompacted, JournalTrimmed, PushAttempted};
    use iyagi_messages::ids::{EventId, Seq};

    use super::*;

    fn event(pos: u64, fact: impl Into<Fact>) -> Event {
        Event {
            pos: Pos(pos),
            id: EventId::root("test", &pos.to_string()),
            entity: Entity::new("push", pos),
            seq: Seq(1),
            at: Timestamp(0),
            cause: None,
            corr: String::new(),
            actor: "test".into(),
            fact: fact.into(),
        }
    }

    #[test]
    fn what_every_copy_must_heed_is_nothing_to_builds_that_would_not() {
        let attempted = event(1, PushAttempted { attempt: 1 });
        let trimmed = JournalTrimmed {
            runs: vec![(Pos(1), Pos(1))],
            by_now: JournalCompacted::default(),
        };
        let plain = Draft::of(std::slice::from_ref(&attempted)).head();
        assert!(plain.contains_key(BODY));
        let heeded = Draft::of(&[attempted, event(2, trimmed)]).head();
        assert!(!heeded.contains_key(BODY) && !heeded.contains_key(PARTS));
        for head in [plain, heeded] {
            let body = body_of(&head).expect("it says where");
            assert!(matches!(body, Body::Here(bytes) if !bytes.is_empty()));
        }
    }

    #[test]
    fn an_item_of_which_nothing_is_left_says_so_and_what_it_has_left_elsewhere() {
        let stretch = Stretch {
            first: Pos(3),
            last: Pos(7),
            events: Vec::new(),
        };
        let instead = Instead {
            token: "before".to_owned(),
            parts: Some(2),
            at: Timestamp(9),
        };
        let kept = Kept::of(&Draft::left(&stretch, instead).head()).expect("it can be read");
        assert_eq!((kept.first, kept.last), (Pos(3), Pos(7)));
        assert_eq!((kept.parts, kept.emptied_at), (None, Some(Timestamp(9))));
        let left = kept.left.as_ref().expect("its parts are named");
        assert_eq!(
            (&*left.token, left.parts, left.at),
            ("before", 2, Timestamp(9))
        );
        assert!(matches!(body_of(&kept.item), Ok(Body::None)));
        assert_eq!(stretch.hole(), Some(Pos(3)));
    }

    #[test]
    fn a_stretch_knows_the_first_that_it_lacks() {
        let hole = |positions: &[u64]| {
            let events = positions
                .iter()
                .map(|pos| event(*pos, PushAttempted { attempt: 1 }));
            let stretch = Stretch {
                first: Pos(3),
                last: Pos(6),
                events: events.collect(),
            };
            stretch.hole()
        };
        assert_eq!(hole(&[3, 4, 5, 6]), None);
        assert_eq!(hole(&[4, 5, 6]), Some(Pos(3)));
        assert_eq!(hole(&[3, 6]), Some(Pos(4)));
        assert_eq!(hole(&[3, 4, 5]), Some(Pos(6)));
        assert_eq!(hole(&[]), Some(Pos(3)));
    }
}
