//! What a rule asks of a change besides where it is anchored: `when`, key by key.

use iyagi_messages::change::PropertyChange;
use iyagi_messages::ids::ElementId;
use iyagi_messages::predicate::{Comparison, Predicate};
use iyagi_messages::stream::TypedValue;
use iyagi_messages::subscription::When;

use super::words::{self, comparison, listed, side};
use super::{Clause, View, clause};

impl View<'_> {
    pub(super) fn when(&self, when: &When, others: &[&ElementId]) -> Clause {
        let change = self.change;
        clause(
            "element",
            when.element.is_none_or(|wanted| wanted == change.kind),
            || format!("it is {}", words::element_kind(change.kind)),
            when.element.map(words::element_kind).unwrap_or_default(),
        )?;
        clause(
            "change",
            when.change.is_empty() || when.change.contains(&change.change),
            || format!("it was {}", words::kind(change.change)),
            listed(
                &when
                    .change
                    .iter()
                    .map(|wanted| words::kind(*wanted))
                    .collect::<Vec<_>>(),
            ),
        )?;
        clause(
            "labels",
            when.labels.is_empty() || change.has_label(&when.labels),
            || format!("the {} is {}", self.kind(), listed(&self.labels())),
            listed(&when.labels),
        )?;
        clause(
            "keys",
            when.keys.is_empty() || when.keys.iter().any(|key| change.touches(key)),
            || {
                let mut keys: Vec<_> = change.properties.keys().collect();
                keys.sort();
                format!("changed were {}", listed(&keys))
            },
            listed(&when.keys),
        )?;
        for predicate in &when.predicates {
            self.predicate(predicate)?;
        }
        let labels = |other: &ElementId| self.graph.labels_of(other);
        let wanted = |other: &&ElementId| {
            labels(other)
                .iter()
                .any(|label| when.other_labels.contains(label))
        };
        clause(
            "other_labels",
            when.other_labels.is_empty() || others.iter().any(wanted),
            || match others.first() {
                Some(other) => format!("{other} is {}", listed(&labels(other))),
                None => "it has no other end".to_owned(),
            },
            listed(&when.other_labels),
        )
    }

    fn predicate(&self, predicate: &Predicate) -> Clause {
        let Predicate { key, op, value, on } = predicate;
        let test = predicate.test();
        let property = self.change.properties.get(key);
        let mut looked_at: Vec<&TypedValue> = Vec::new();
        if let Some(PropertyChange { removed, added }) = property {
            looked_at.extend(removed.iter().filter(|_| on.covers(false)));
            looked_at.extend(added.iter().filter(|_| on.covers(true)));
        }
        let holds = looked_at.iter().any(|value| test.holds(value));
        let is = || {
            let texts: Vec<_> = looked_at.iter().map(|value| value.text()).collect();
            format!("{} of {key} is {}", side(*on), listed(&texts))
        };
        let wants = match op {
            Comparison::Exists => format!("{key} with {}", side(*on)),
            op => format!("{key} {} {value}", comparison(*op)),
        };
        clause("where", holds, is, wants)
    }
}
