//! The same subscriptions in the languages of engines that others wrote, as far as they can be said there.

use std::collections::BTreeSet;

use iyagi_messages::change::{ChangeKind, ElementKind};
use iyagi_messages::predicate::{Comparison, Predicate, Side};
use iyagi_messages::subscription::{Anchor, Direction, Subscription};
use mokaccino::prelude::{CNFQueryable as _, Document, Percolator, Qid, Query};
use quamina::Quamina;
use serde_json::{Map, Value, json};

use crate::world::{Change, World};

/// One field that must have one of several values, or one that fits.
#[derive(Clone)]
enum Term {
    OneOf(String, Vec<String>),
    Prefix(String, String),
    Less(String, i64),
    Greater(String, i64),
    Exists(String),
}

/// A subscription as alternatives of terms that must all hold; nothing if it is about followers or makers, whom these
/// engines do not know, or compares in a way that they do not.
fn said(subscription: &Subscription) -> Option<Vec<Vec<Term>>> {
    let one = |field: &str, value: &str| Term::OneOf(field.to_owned(), vec![value.to_owned()]);
    let other = |field: &str| {
        let labels = &subscription.when.other_labels;
        (!labels.is_empty()).then(|| Term::OneOf(field.to_owned(), labels.clone()))
    };
    let at_end = |end: &str, other_end: &str, vertex: &str| {
        let mut terms = vec![one(end, vertex)];
        terms.extend(other(other_end));
        terms
    };
    let mut alternatives = match &subscription.anchor {
        Anchor::Incident { vertex, dir } => {
            let incoming = at_end("to", "from_labels", vertex.as_str());
            let outgoing = at_end("from", "to_labels", vertex.as_str());
            match dir {
                Direction::In => vec![incoming],
                Direction::Out => vec![outgoing],
                Direction::Any => vec![incoming, outgoing],
            }
        }
        _ if !subscription.when.other_labels.is_empty() => return None,
        Anchor::Element { id } => vec![vec![one("id", id.as_str())]],
        Anchor::Label { label } => vec![vec![one("anchor_labels", label)]],
        Anchor::Followed { .. } | Anchor::Owned { .. } => return None,
    };
    let when = &subscription.when;
    let mut common = Vec::new();
    if let Some(kind) = when.element {
        common.push(one("kind", kind_word(kind)));
    }
    let changes: Vec<_> = when
        .change
        .iter()
        .map(|change| change_word(*change).to_owned())
        .collect();
    for (field, words) in [
        ("change", &changes),
        ("labels", &when.labels),
        ("keys", &when.keys),
    ] {
        if !words.is_empty() {
            common.push(Term::OneOf(field.to_owned(), words.clone()));
        }
    }
    for alternative in &mut alternatives {
        alternative.extend(common.iter().cloned());
    }
    for (nth, predicate) in when.predicates.iter().enumerate() {
        let sides: &[&str] = match predicate.on {
            Side::New => &["new"],
            Side::Old => &["old"],
            Side::Either => &["new", "old"],
        };
        let mut spread = Vec::new();
        for side in sides {
            // A field for each condition, so that two on one property do not get into each other's way.
            let term = said_of_value(predicate, &format!("{side}_{}_{nth}", predicate.key))?;
            spread.extend(alternatives.iter().map(|terms| {
                let mut terms = terms.clone();
                terms.push(term.clone());
                terms
            }));
        }
        alternatives = spread;
    }
    Some(alternatives)
}

/// Only what compares the same way everywhere: texts as texts, whole numbers as such.
fn said_of_value(predicate: &Predicate, field: &str) -> Option<Term> {
    let field = field.to_owned();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(match (predicate.key.as_str(), predicate.op) {
        ("title", Comparison::Eq) => Term::OneOf(field, vec![text(&predicate.value)?]),
        ("title", Comparison::In) => {
            let values = predicate.value.as_array()?.iter().map(text);
            Term::OneOf(field, values.collect::<Option<_>>()?)
        }
        // mokaccino 0.9 misses some prefixes beyond ASCII, and nothing is a prefix that engines do not agree on.
        ("title", Comparison::Prefix) => {
            let usual = |prefix: &String| !prefix.is_empty() && prefix.is_ascii();
            Term::Prefix(field, text(&predicate.value).filter(usual)?)
        }
        ("score", Comparison::Lt) => Term::Less(field, predicate.value.as_i64()?),
        ("score", Comparison::Gt) => Term::Greater(field, predicate.value.as_i64()?),
        (_, Comparison::Exists) => Term::Exists(field),
        _ => return None,
    })
}

fn kind_word(kind: ElementKind) -> &'static str {
    match kind {
        ElementKind::Vertex => "vertex",
        ElementKind::Edge => "edge",
    }
}

fn change_word(change: ChangeKind) -> &'static str {
    match change {
        ChangeKind::Created => "created",
        ChangeKind::Updated => "updated",
        ChangeKind::Deleted => "deleted",
    }
}

/// Conditions on values that one subscription has at most.
pub(crate) const PREDICATES_MAX: usize = 2;

impl Change {
    /// The change as an engine is told of it.
    pub(crate) fn event(&self, world: &World) -> Value {
        Value::Object(flat(self, world))
    }
}

/// A change as fields with several values each.
fn flat(change: &Change, world: &World) -> Map<String, Value> {
    let mut event = Map::new();
    event.insert("id".to_owned(), json!(change.id));
    event.insert("kind".to_owned(), json!(kind_word(change.kind)));
    event.insert("change".to_owned(), json!(change_word(change.what)));
    event.insert("labels".to_owned(), json!(change.labels));
    event.insert("anchor_labels".to_owned(), json!(change.labels));
    if let Some(edge) = &change.edge {
        for (end, id) in [("from", &edge.from), ("to", &edge.to)] {
            let labels = world.vertices.get(id).cloned().unwrap_or_default();
            event.insert(end.to_owned(), json!(id));
            event.insert(format!("{end}_labels"), json!(labels));
        }
    }
    let mut keys = BTreeSet::new();
    for (side, values) in [("new", &change.new), ("old", &change.old)] {
        for (key, value) in values {
            keys.insert(key.clone());
            let text = value.text();
            let value = match key.as_str() {
                "title" => json!(text),
                _ => json!(text.parse::<i64>().expect("a whole number")),
            };
            for nth in 0..PREDICATES_MAX {
                let field = event
                    .entry(format!("{side}_{key}_{nth}"))
                    .or_insert(json!([]));
                field.as_array_mut().expect("a list").push(value.clone());
            }
        }
    }
    event.insert("keys".to_owned(), json!(keys));
    event
}

/// The engines, with those subscriptions that they can say.
pub(crate) struct Peers {
    pub(crate) said: BTreeSet<String>,
    quamina: Quamina<String>,
    mokaccino: Percolator,
    queries: std::collections::HashMap<Qid, String>,
}

impl Peers {
    pub(crate) fn of(subscriptions: &[Subscription]) -> Self {
        let builder = quamina::QuaminaBuilder::new().with_arena_byte_budget(1 << 30);
        let mut quamina = builder.build().expect("builds");
        let mut mokaccino = Percolator::default();
        let (mut names, mut queries) = (BTreeSet::new(), std::collections::HashMap::new());
        for subscription in subscriptions {
            let id = subscription.id.to_string();
            let Some(alternatives) = said(subscription) else {
                continue;
            };
            for terms in &alternatives {
                let pattern = Value::Object(terms.iter().map(Term::pattern).collect());
                quamina
                    .add_pattern(id.clone(), &pattern.to_string())
                    .expect("a pattern");
                let query = terms
                    .iter()
                    .map(Term::query)
                    .reduce(|one, other| one & other);
                queries.insert(mokaccino.add_query(query.expect("a term")), id.clone());
            }
            names.insert(id);
        }
        Self {
            said: names,
            quamina,
            mokaccino,
            queries,
        }
    }

    /// Who hears of a change, by each engine.
    pub(crate) fn hear_of(
        &self,
        change: &Change,
        world: &World,
    ) -> [(&'static str, BTreeSet<String>); 2] {
        let event = flat(change, world);
        let mut document = Document::default();
        for (field, value) in &event {
            let values = match value {
                Value::Array(values) => values.as_slice(),
                value => std::slice::from_ref(value),
            };
            for value in values {
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                document.with_value_mut(field.as_str(), text.as_str());
            }
        }
        let event = Value::Object(event).to_string();
        let by_quamina = self
            .quamina
            .matches_for_event(event.as_bytes())
            .expect("JSON");
        let by_mokaccino = self.mokaccino.percolate(&document);
        [
            ("quamina", by_quamina.into_iter().collect()),
            (
                "mokaccino",
                by_mokaccino.map(|qid| self.queries[&qid].clone()).collect(),
            ),
        ]
    }
}

impl Term {
    fn pattern(&self) -> (String, Value) {
        match self {
            Self::OneOf(field, values) => (field.clone(), json!(values)),
            Self::Prefix(field, prefix) => (field.clone(), json!([{"prefix": prefix}])),
            Self::Less(field, number) => (field.clone(), json!([{"numeric": ["<", number]}])),
            Self::Greater(field, number) => (field.clone(), json!([{"numeric": [">", number]}])),
            Self::Exists(field) => (field.clone(), json!([{"exists": true}])),
        }
    }

    fn query(&self) -> Query {
        match self {
            Self::OneOf(field, values) => {
                let any = values
                    .iter()
                    .map(|value| field.as_str().has_value(value.as_str()));
                any.reduce(|one, other| one | other).expect("a value")
            }
            Self::Prefix(field, prefix) => field.as_str().has_prefix(prefix.as_str()),
            Self::Less(field, number) => field.as_str().i64_lt(*number),
            Self::Greater(field, number) => field.as_str().i64_gt(*number),
            Self::Exists(field) => field.as_str().has_prefix(""),
        }
    }
}
