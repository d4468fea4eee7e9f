//! What the matcher's benches share: a network of people, what they subscribe to, and what happens in it.
#![allow(dead_code, reason = "each bench uses its own part of this")]

use std::fmt::Write as _;

use iyagi_messages::change::ChangeKind;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::subscription::{Anchor, Direction, Subscription, When};

/// People, and the things that they are as likely to touch.
pub(crate) const PEOPLE: u32 = 1_000_000;
const LABELS: [&str; 4] = ["LIKES", "FOLLOWS", "COMMENTS_ON", "POSTED"];
const KEYS: [&str; 4] = ["title", "name", "bio", "status"];

/// Draws a person: the k-th most popular is `k` to a power times rarer than the most popular.
pub(crate) struct Popularity {
    cumulative: Vec<f64>,
    dice: fastrand::Rng,
}

impl Popularity {
    pub(crate) fn new(seed: u64, power: f64) -> Self {
        let mut sum = 0.0;
        let cumulative = (1..=PEOPLE).map(|rank| {
            sum += f64::from(rank).powf(-power);
            sum
        });
        Self {
            cumulative: cumulative.collect(),
            dice: fastrand::Rng::with_seed(seed),
        }
    }

    /// A person by their popularity.
    fn person(&mut self) -> u32 {
        let total = self.cumulative[self.cumulative.len() - 1];
        let drawn = self.dice.f64() * total;
        let rank = self.cumulative.partition_point(|sum| *sum < drawn);
        // Popular people are not neighbours in any order of ids.
        (rank as u32).wrapping_mul(387_420_489) % PEOPLE
    }

    fn anybody(&mut self) -> u32 {
        self.dice.u32(..PEOPLE)
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.dice.usize(..words.len())]
    }
}

pub(crate) fn id_of(person: u32) -> String {
    format!("user-{person}")
}

/// What a subscription asks for, so that it can be said in every engine's language.
pub(crate) enum Asked {
    EdgeTo(u32, &'static str),
    EdgeFrom(u32, &'static str),
    Property(u32, &'static str),
}

/// How much more often the popular are in what happens: Zipf's law.
const HAPPENING: f64 = 1.0;
/// How much more often they are subscribed to: less, for people have their favourites.
const INTEREST: f64 = 0.6;

/// 60 % to edges that point to somebody, mostly the subscriber; 20 % to a property of someone popular, 20 % to edges that
/// leave someone popular.
pub(crate) fn asked(count: usize) -> Vec<Asked> {
    let mut popularity = Popularity::new(1, INTEREST);
    let one = |_| match popularity.dice.u32(..10) {
        0..6 => Asked::EdgeTo(popularity.anybody(), popularity.one_of(&LABELS)),
        6..8 => Asked::Property(popularity.person(), popularity.one_of(&KEYS)),
        _ => Asked::EdgeFrom(popularity.person(), popularity.one_of(&LABELS)),
    };
    (0..count).map(one).collect()
}

impl Asked {
    /// As a subscription of somebody.
    pub(crate) fn subscription(&self, nth: usize, popularity: &mut Popularity) -> Subscription {
        let incident = |person: u32, dir| Anchor::Incident {
            vertex: id_of(person).into(),
            dir,
        };
        let created = |label: &str| When {
            change: vec![ChangeKind::Created],
            labels: vec![label.to_owned()],
            ..When::default()
        };
        let (anchor, when) = match *self {
            Self::EdgeTo(person, label) => (incident(person, Direction::In), created(label)),
            Self::EdgeFrom(person, label) => (incident(person, Direction::Out), created(label)),
            Self::Property(person, key) => (
                Anchor::Element {
                    id: id_of(person).into(),
                },
                When {
                    keys: vec![key.to_owned()],
                    ..When::default()
                },
            ),
        };
        let id = uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + nth as u128);
        Subscription {
            id: id.to_string().into(),
            owner: id_of(popularity.anybody()).into(),
            anchor,
            when,
            template: "subscription".into(),
            exclude_self: true,
            enabled: true,
            expires_at: None,
            effective_after: Cursor::new(1, 1),
        }
    }

    /// As one word, for engines that compare words.
    pub(crate) fn key(&self) -> String {
        let mut key = String::new();
        match *self {
            Self::EdgeTo(person, label) => write!(key, "to:{label}:user-{person}"),
            Self::EdgeFrom(person, label) => write!(key, "from:{label}:user-{person}"),
            Self::Property(person, name) => write!(key, "prop:{name}:user-{person}"),
        }
        .expect("a string takes all");
        key
    }
}

/// Records in a page, as much as the poller asks for.
const PAGE_RECORDS: u64 = 10_000;

/// What happens, in pages: three of four records are new edges, the others new values; a commit has one to four of them.
/// Calls go on where the last one ended.
pub(crate) struct Log {
    popularity: Popularity,
    commit: u64,
    records: u64,
}

impl Log {
    /// A log whose first commit is number 2.
    pub(crate) fn new() -> Self {
        Self {
            popularity: Popularity::new(2, HAPPENING),
            commit: 2,
            records: 0,
        }
    }

    pub(crate) fn pages(&mut self, records: u64) -> Vec<Vec<u8>> {
        let first = self.records;
        self.records += records;
        let pages = (first..self.records).step_by(PAGE_RECORDS as usize);
        pages
            .map(|begin| self.page(begin, (begin + PAGE_RECORDS).min(self.records)))
            .collect()
    }

    fn page(&mut self, begin: u64, end: u64) -> Vec<u8> {
        let Self {
            popularity, commit, ..
        } = self;
        let (mut op, mut left) = (0, 1);
        let mut body = String::new();
        let mut has_value = false;
        for nth in begin..end {
            op += 1;
            left -= 1;
            let last = left == 0 || nth + 1 == end;
            let data = if has_value || popularity.dice.u32(..4) > 0 {
                let (from, to) = (popularity.person(), popularity.person());
                let label = popularity.one_of(&LABELS);
                format!(
                    r#"{{"id":"e-{nth}","type":"e","key":"label","value":{{"value":"{label}","dataType":"String"}},"from":"user-{from}","to":"user-{to}"}}"#
                )
            } else {
                has_value = true;
                let (person, key) = (popularity.person(), popularity.one_of(&KEYS));
                format!(
                    r#"{{"id":"user-{person}","type":"vp","key":"{key}","value":{{"value":"새로운 값 {nth}","dataType":"String"}}}}"#
                )
            };
            let comma = if nth == begin { "" } else { "," };
            let mark = if last { r#","isLastOp":true"# } else { "" };
            write!(
                body,
                r#"{comma}{{"commitTimestamp":1700000000000,"eventId":{{"commitNum":{commit},"opNum":{op}}},"data":{data},"op":"ADD"{mark}}}"#
            )
            .expect("a string takes all");
            if last {
                *commit += 1;
                (op, has_value) = (0, false);
                left = [1, 1, 1, 1, 1, 1, 2, 2, 3, 4][popularity.dice.usize(..10)];
            }
        }
        let page = format!(
            r#"{{"lastEventId":{{"commitNum":{},"opNum":1}},"lastTrxTimestamp":1700000000000,"format":"PG_JSON","records":[{body}],"totalRecords":{}}}"#,
            *commit - 1,
            end - begin
        );
        page.into_bytes()
    }
}
