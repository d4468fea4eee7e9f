//! What stands in a file of templates about its tests.

use std::collections::{BTreeMap, BTreeSet};

use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::{ElementId, PersonId, SubscriptionId, TemplateId, Timestamp};
use iyagi_messages::preferences::{Preferences, QuietHours};
use iyagi_messages::push::SuppressReason;
use iyagi_messages::stream::StreamRecord;
use iyagi_messages::subscription::{Anchor, Subscription, When};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::notation;
use crate::embedded::graph::{CommitRequest, Operation, PgRecord};

/// One test: given, when, then.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// What it shows.
    pub name: String,
    /// When it begins, such as "2026-11-25T09:00:00Z".
    #[serde(default = "noon")]
    pub at: String,
    /// People with their phones and wishes, by id. Each is a vertex of the graph.
    #[serde(default)]
    pub people: BTreeMap<String, Person>,
    /// Commits that have been before. Nobody is told of them.
    #[serde(default)]
    pub given: Vec<Value>,
    /// Commits, and waits such as { wait = "10m" } between them.
    pub when: Vec<Value>,
    /// What rings, in order of time.
    #[serde(default)]
    pub push: Vec<Push>,
    /// What matches and is kept from the phone.
    #[serde(default)]
    pub held: Vec<Held>,
}

fn noon() -> String {
    "2026-11-25T12:00:00Z".to_owned()
}

/// Somebody.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Person {
    /// Their name; their id if absent.
    pub name: Option<String>,
    /// The language of each of their phones, such as `ko`.
    pub phones: Vec<String>,
    /// Language that they chose for themselves.
    pub locale: Option<String>,
    /// Name in the IANA time zone database.
    pub time_zone: Option<String>,
    /// When they want to be left alone, such as { from = "22:00", to = "07:00" }.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub quiet_hours: Option<QuietHours>,
    /// Whether several notifications may come as one.
    pub digest: Option<bool>,
    /// Templates that they do not want to hear of.
    pub opted_out: Vec<TemplateId>,
    /// Categories that they do not want to hear of.
    pub opted_out_categories: BTreeSet<String>,
    /// People and things that they do not want to hear of.
    pub muted: BTreeSet<ElementId>,
    /// People whom they have blocked.
    pub blocked: BTreeSet<PersonId>,
    /// What they have subscribed to.
    pub subscriptions: Vec<Wanted>,
}

/// A subscription of somebody.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Where changes are looked for.
    pub anchor: Anchor,
    /// What else must hold.
    #[serde(default)]
    pub when: When,
    /// The texts that announce it.
    pub template: Option<TemplateId>,
}

/// Phones that must ring.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// Whose.
    pub to: PersonId,
    /// By which template; "digest" for what tells of different things.
    pub template: TemplateId,
    /// How long after the test began, such as "1m"; not looked at if absent.
    pub after: Option<String>,
    /// Where a tap leads; not looked at if absent.
    pub link: Option<String>,
    /// What is shown, by language; languages that are absent are not looked at.
    #[serde(default)]
    pub texts: BTreeMap<String, Shown>,
}

/// What a phone must show.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// First line; not looked at if absent.
    pub title: Option<String>,
    /// Second line; not looked at if absent.
    pub body: Option<String>,
}

/// Somebody who must not hear of it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Who.
    pub to: PersonId,
    /// What they would have heard by.
    pub template: TemplateId,
    /// The gate that is closed, such as "blocked".
    #[schemars(with = "String")]
    pub reason: SuppressReason,
}

/// What a test does next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The graph changes.
    Commit(CommitRequest),
    /// Nothing does, for so many milliseconds.
    Wait(u64),
}

impl Test {
    /// When it begins.
    pub fn begins(&self) -> Result<Timestamp, String> {
        let moment: Result<jiff::Timestamp, _> = self.at.parse();
        moment
            .map(|moment| Timestamp(moment.as_millisecond()))
            .map_err(|_| {
                format!(
                    "\"{}\" is no moment, such as \"2026-11-25T09:00:00Z\"",
                    self.at
                )
            })
    }
}

impl Person {
    /// All that they wish, or nothing if they never said anything.
    pub fn preferences(&self) -> Option<Preferences> {
        let unsaid = Preferences::default();
        let preferences = Preferences {
            locale: self.locale.clone(),
            time_zone: self.time_zone.clone(),
            quiet_hours: self.quiet_hours,
            digest: self.digest.unwrap_or(unsaid.digest),
            opted_out_categories: self.opted_out_categories.clone(),
            muted: self.muted.clone(),
            blocked: self.blocked.clone(),
        };
        (preferences != unsaid).then_some(preferences)
    }
}

impl Wanted {
    /// The subscription of somebody, of a number among theirs.
    pub fn of(&self, owner: &str, number: usize) -> Subscription {
        let id = SubscriptionId::from(format!("{owner}-{number}"));
        Subscription {
            id,
            owner: owner.into(),
            anchor: self.anchor.clone(),
            when: self.when.clone(),
            template: self
                .template
                .clone()
                .unwrap_or_else(|| "subscription".into()),
            exclude_self: true,
            enabled: true,
            expires_at: None,
            effective_after: Cursor::START,
        }
    }
}

/// How long a text says, in milliseconds.
pub fn span_ms(text: &str) -> Result<u64, String> {
    let span: Result<jiff::SignedDuration, _> = text.parse();
    let ms = span
        .ok()
        .and_then(|span| u64::try_from(span.as_millis()).ok());
    ms.ok_or_else(|| format!("\"{text}\" is no span of time, such as \"90s\" or \"1h 30m\""))
}

/// Reads a commit: a text in the [`notation`], an operation as `POST /v1/graph/commits` takes it, a raw stream record, or
/// a list of these.
pub fn commit(value: &Value) -> Result<CommitRequest, String> {
    let entries = match value {
        Value::Array(entries) => entries.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut operations: Vec<Operation> = Vec::new();
    let mut records = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        match entry {
            Value::String(text) => {
                operations.extend(notation::parse(text).map_err(|error| error.to_string())?);
            }
            Value::Object(fields) if fields.contains_key("eventId") => {
                let record: StreamRecord =
                    serde_json::from_value(entry.clone()).map_err(|error| error.to_string())?;
                records.push(PgRecord::from(record));
            }
            Value::Object(fields) if fields.contains_key("data") => {
                let record = PgRecord::parse(index, &entry.to_string());
                records.push(record.map_err(|error| error.to_string())?);
            }
            Value::Object(_) => {
                let operation = Operation::parse(index, &entry.to_string());
                operations.push(operation.map_err(|error| error.to_string())?);
            }
            other => return Err(format!("{other} is no change of the graph")),
        }
    }
    match (operations.is_empty(), records.is_empty()) {
        (false, true) => Ok(CommitRequest::Operations(operations)),
        (true, false) => Ok(CommitRequest::Records(records)),
        (true, true) => Err("a commit without a change".to_owned()),
        (false, false) => Err("raw records and other changes cannot be in one commit".to_owned()),
    }
}

/// Reads a commit, or a wait.
pub fn step(value: &Value) -> Result<Step, String> {
    if let Value::Object(fields) = value
        && let Some(wait) = fields.get("wait")
    {
        let text = wait.as_str().filter(|_| fields.len() == 1);
        let text = text.ok_or("a wait is a table such as { wait = \"10m\" }")?;
        return span_ms(text).map(Step::Wait);
    }
    commit(value).map(Step::Commit)
}
