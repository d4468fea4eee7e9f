//! Why somebody is told of a commit, or why not.

use std::collections::BTreeSet;
use std::sync::Arc;

use iyagi_actors::projections::{Audience, Subscriptions, Wishes};
use iyagi_actors::stream_poller::assembler::Portion;
use iyagi_actors::subscription_matcher::addressing::People;
use iyagi_actors::subscription_matcher::explaining::{
    ExplainedChange, Grounds, PastGraph, Verdict, explain,
};
use iyagi_actors::subscription_matcher::graph::{Graph, GraphModel};
use iyagi_actors::subscription_matcher::matching::Matcher;
use iyagi_messages::change::Commit;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::SubscriptionCreated;
use iyagi_messages::ids::{ElementId, PersonId, TemplateId, Timestamp};
use iyagi_messages::subscription::Subscription;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use crate::matching::{records, templates};
use crate::sample::event;

/// Who is told of which element by which template.
type Told = BTreeSet<(PersonId, ElementId, TemplateId)>;

#[derive(Default)]
struct Given {
    graph: Graph,
    past: PastGraph,
    subscriptions: Subscriptions,
    commits: u64,
}

impl Given {
    fn subscribed(mut self, subscriptions: impl IntoIterator<Item = Subscription>) -> Self {
        for subscription in subscriptions {
            let created = SubscriptionCreated { subscription };
            let event = event(Entity::new("test", 1), Timestamp(0), created);
            self.subscriptions.apply(&event);
        }
        self
    }

    fn next(&mut self, statements: &[&str]) -> Commit {
        self.commits += 1;
        Commit {
            number: self.commits,
            at: Timestamp(1_000),
            records: records(self.commits, statements),
        }
    }

    fn given(mut self, statements: &[&str]) -> Self {
        let commit = self.next(statements);
        let model = GraphModel::default();
        self.graph.fold(&commit, &model);
        self.past.fold(&Portion::Whole(commit), &model);
        self
    }

    /// What the matcher decides, and what is explained to everybody.
    fn when(&mut self, statements: &[&str], people: &[&str]) -> (Told, Told, Vec<ExplainedChange>) {
        let commit = self.next(statements);
        let model = GraphModel::default();
        let templates = templates();
        let mut past = self.past.clone();
        let (mut explained, mut all) = (Told::new(), Vec::new());
        for person in people {
            past = self.past.clone();
            let person = PersonId::from(*person);
            let grounds = Grounds {
                model: &model,
                subscriptions: &self.subscriptions,
                templates: &templates,
            };
            for change in explain(&commit, &mut past, grounds, &person) {
                let matching = change
                    .rules
                    .iter()
                    .filter(|rule| rule.verdict == Verdict::Matches);
                explained.extend(matching.map(|rule| {
                    (
                        person.clone(),
                        change.element.clone(),
                        rule.template.clone(),
                    )
                }));
                all.push(change);
            }
        }
        self.past = past;
        let mut matcher = Matcher::new(model, Arc::new(templates), self.subscriptions.lexicon());
        let people = People {
            audience: &Audience::default(),
            wishes: &Wishes::default(),
        };
        let announced = matcher.announce(&commit, &mut self.graph, &self.subscriptions, people);
        let told = [announced.pushes, announced.hidden].concat();
        let told = told
            .into_iter()
            .map(|push| (push.recipient, push.element, push.template));
        (told.collect(), explained, all)
    }
}

#[test]
fn the_first_clause_that_is_false_is_named_with_what_is_and_what_is_wanted() {
    let subscription = json!({
        "id": "titles", "owner": "grace", "anchor": {"element": {"id": "s"}}, "when": {"keys": ["title"]},
    });
    let subscription = serde_json::from_value(subscription).expect("a subscription");
    let mut given = Given::default().subscribed([subscription]).given(&[
        "+v minji Person",
        "+v daniel Person",
        "+v grace Person",
        "+v s Story",
        "+e p minji POSTED s",
    ]);
    let why_not = |given: &mut Given, statements: &[&str], person| {
        let (.., explained) = given.when(statements, &[person]);
        let change = &explained[0];
        let rules = change.rules.iter().map(|rule| match &rule.verdict {
            Verdict::Fails(clause) => format!("{}: {clause}", rule.template),
            other => format!("{}: {other:?}", rule.template),
        });
        (change.change.clone(), rules.collect::<Vec<_>>())
    };
    let (change, rules) = why_not(&mut given, &["+e l daniel LIKES s"], "minji");
    assert_eq!(change, "(daniel)-[:LIKES]->(s) created");
    assert_eq!(
        rules,
        [
            "follow: anchor: (daniel)-[:LIKES]->(s); wanted is an edge to minji",
            "like: Matches",
            "post: anchor: minji does not follow daniel; wanted is someone whom they follow",
        ]
    );
    let (_, rules) = why_not(&mut given, &["+e k daniel KNOWS minji"], "minji");
    assert_eq!(
        rules[0],
        "follow: labels: the edge is KNOWS; wanted is FOLLOWS"
    );
    assert_eq!(
        rules[1],
        "like: anchor: minji was made by nobody known; wanted is something that minji made"
    );
    let (_, rules) = why_not(&mut given, &["-e l daniel LIKES s"], "minji");
    assert_eq!(rules[1], "like: change: it was deleted; wanted is created");
    let (change, rules) = why_not(&mut given, &["+p s mood blue"], "grace");
    assert_eq!(change, "(s:Story) updated: mood");
    assert_eq!(
        rules.last().map(String::as_str),
        Some("subscription: keys: changed were mood; wanted is title")
    );
    assert_eq!(rules[0], "follow: anchor: s is a vertex; wanted is an edge");
}

const PEOPLE: [&str; 3] = ["minji", "daniel", "grace"];
const ELEMENTS: [&str; 5] = ["minji", "daniel", "grace", "s", "t"];
const EDGE_LABELS: [&str; 4] = ["FOLLOWS", "LIKES", "POSTED", "KNOWS"];

/// A statement that a commit may hold; an edge's id says what it is, so that it has the same ends for good.
fn statement() -> impl Strategy<Value = String> {
    let sign = || select(&["+", "+", "-"][..]);
    let edge = (
        sign(),
        select(&ELEMENTS[..]),
        select(&EDGE_LABELS[..]),
        select(&ELEMENTS[..]),
    );
    let edge = edge.prop_map(|(sign, from, label, to)| {
        format!("{sign}e {from}-{label}-{to} {from} {label} {to}")
    });
    let label = (
        sign(),
        select(&ELEMENTS[..]),
        select(&["Person", "Story"][..]),
    );
    let label = label.prop_map(|(sign, id, label)| format!("{sign}v {id} {label}"));
    let property = (
        sign(),
        select(&ELEMENTS[..]),
        select(&["title", "mood"][..]),
    );
    let property = property.prop_map(|(sign, id, key)| format!("{sign}p {id} {key} x"));
    prop_oneof![4 => edge, 2 => label, 1 => property]
}

fn subscription() -> impl Strategy<Value = Subscription> {
    let dir = || select(&["in", "out", "any"][..]);
    let anchor = prop_oneof![
        (select(&ELEMENTS[..]), dir())
            .prop_map(|(vertex, dir)| json!({"incident": {"vertex": vertex, "dir": dir}})),
        select(&ELEMENTS[..]).prop_map(|id| json!({"element": {"id": id}})),
        (select(&["FOLLOWS", "KNOWS"][..]), dir())
            .prop_map(|(via, dir)| json!({"followed": {"via": via, "dir": dir}})),
        dir().prop_map(|dir| json!({"owned": {"dir": dir}})),
        select(&["Person", "Story", "LIKES"][..])
            .prop_map(|label| json!({"label": {"label": label}})),
    ];
    let some = |words: &'static [&'static str]| proptest::sample::subsequence(words, 0..=1);
    let when = (
        some(&["created", "updated", "deleted"]),
        some(&["Person", "LIKES", "FOLLOWS"]),
        some(&["Person", "Story"]),
        some(&["title"]),
    );
    let template = select(&["subscription", "subscription", "missing"][..]);
    (anchor, when, select(&PEOPLE[..]), 0..9_u64, template, 0..6_u64).prop_map(
        |(anchor, (change, labels, other_labels, keys), owner, number, template, after)| {
            let subscription = json!({
                "id": format!("{owner}-{number}"), "owner": owner, "anchor": anchor, "template": template,
                "effective_after": after,
                "when": {"change": change, "labels": labels, "other_labels": other_labels, "keys": keys},
            });
            serde_json::from_value(subscription).expect("a subscription")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_rule_is_said_to_match_exactly_when_the_matcher_makes_a_push_by_it(
        subscriptions in prop::collection::vec(subscription(), 0..8),
        commits in prop::collection::vec(prop::collection::vec(statement(), 1..5), 1..8),
    ) {
        let mut given = Given::default().subscribed(subscriptions);
        for commit in commits {
            let statements: Vec<&str> = commit.iter().map(String::as_str).collect();
            let (told, explained, _) = given.when(&statements, &ELEMENTS);
            prop_assert_eq!(told, explained, "{:?}", statements);
        }
    }
}
