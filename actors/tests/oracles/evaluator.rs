//! The meaning of subscriptions, one condition after the other, with nothing prepared and nothing shared.

use iyagi_messages::change::{ChangeKind, ElementKind};
use iyagi_messages::predicate::{Comparison, Predicate, Side};
use iyagi_messages::stream::TypedValue;
use iyagi_messages::subscription::{Anchor, Direction, Subscription, Then};

use crate::world::{Change, Edge, World};

pub(crate) fn hears_of(
    subscription: &Subscription,
    change: &Change,
    before: &World,
    after: &World,
) -> bool {
    if !subscription.enabled || change.first <= subscription.effective_after {
        return false;
    }
    // All changes happen at the moment 1000.
    if subscription.expires_at.is_some_and(|at| at.0 <= 1_000) {
        return false;
    }
    let world = if change.what == ChangeKind::Deleted {
        before
    } else {
        after
    };
    let when = &subscription.when;
    let holds_anyhow = when.element.is_none_or(|kind| kind == change.kind)
        && (when.change.is_empty() || when.change.contains(&change.what))
        && (when.labels.is_empty()
            || when
                .labels
                .iter()
                .any(|label| change.labels.contains(label)))
        && (when.keys.is_empty() || when.keys.iter().any(|key| touches(change, key)))
        && when
            .predicates
            .iter()
            .all(|predicate| holds(predicate, change));
    if !holds_anyhow {
        return false;
    }
    let with_other = |other: Option<&String>| {
        when.other_labels.is_empty()
            || other
                .and_then(|other| world.vertices.get(other))
                .is_some_and(|labels| when.other_labels.iter().any(|label| labels.contains(label)))
    };
    let ends = |dir: Direction, concerns: &dyn Fn(&String) -> bool| {
        change.edge.as_ref().is_some_and(|Edge { from, to, .. }| {
            dir != Direction::Out && concerns(to) && with_other(Some(from))
                || dir != Direction::In && concerns(from) && with_other(Some(to))
        })
    };
    let owner = subscription.owner.as_str();
    let linked = |label: &str, to: &String| {
        let mut edges = world.edges.values();
        edges.any(|edge| edge.label == label && edge.from == owner && edge.to == *to)
    };
    match &subscription.anchor {
        Anchor::Incident { vertex, dir } => ends(*dir, &|end| end == vertex.as_str()),
        Anchor::Element { id } => change.id == id.as_str() && with_other(None),
        Anchor::Label { label } => change.labels.contains(label) && with_other(None),
        Anchor::Owned { dir } => ends(*dir, &|end| linked("POSTED", end)),
        Anchor::Followed { via, then } => match then {
            Then::In => ends(Direction::In, &|end| linked(via, end)),
            Then::Out => ends(Direction::Out, &|end| linked(via, end)),
            Then::Any => ends(Direction::Any, &|end| linked(via, end)),
            Then::Element => {
                change.kind == ElementKind::Vertex && linked(via, &change.id) && with_other(None)
            }
        },
    }
}

fn touches(change: &Change, key: &str) -> bool {
    change
        .old
        .iter()
        .chain(&change.new)
        .any(|(name, _)| name == key)
}

fn holds(predicate: &Predicate, change: &Change) -> bool {
    let old = change.old.iter().filter(|_| predicate.on != Side::New);
    let new = change.new.iter().filter(|_| predicate.on != Side::Old);
    let mut its = old.chain(new).filter(|(key, _)| *key == predicate.key);
    its.any(|(_, value)| value_is(predicate, value))
}

/// Each property of this network has one type, so each is compared in one way.
fn value_is(predicate: &Predicate, value: &TypedValue) -> bool {
    let number = |text: &str| -> i64 {
        match text {
            "2023-11-14T22:13:20Z" => 1_700_000_000_000,
            "2023-11-15T22:13:20Z" => 1_700_086_400_000,
            other => other.parse().expect("a number"),
        }
    };
    let texts = |value: &serde_json::Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let wanted: Vec<String> = match &predicate.value {
        serde_json::Value::Array(values) => values.iter().map(texts).collect(),
        value => vec![texts(value)],
    };
    let value = value.text().into_owned();
    let numeric = predicate.key != "title";
    let equal = |wanted: &String| {
        if numeric {
            number(&value) == number(wanted)
        } else {
            value == *wanted
        }
    };
    match predicate.op {
        Comparison::Eq | Comparison::In => wanted.iter().any(equal),
        Comparison::Ne => !wanted.iter().any(equal),
        Comparison::Prefix => value.starts_with(&wanted[0]),
        Comparison::Lt if numeric => number(&value) < number(&wanted[0]),
        Comparison::Lt => value < wanted[0],
        Comparison::Gt if numeric => number(&value) > number(&wanted[0]),
        Comparison::Gt => value > wanted[0],
        Comparison::Exists => true,
    }
}
