//! What people are told of is what they may see: the matcher, which keeps a graph of its own, held against reading, which
//! asks the graph itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fastrand::Rng;
use iyagi::clock::SystemClock;
use iyagi::config::built_in_templates;
use iyagi::embedded::graph::EmbeddedGraph;
use iyagi_actors::journal::{Draft, Journal, MemoryJournal};
use iyagi_actors::ports::GraphQueries;
use iyagi_actors::projections::{Audience, Projections, Subscriptions, TrafficPolicy};
use iyagi_actors::subscription_matcher::addressing::{Announced, People};
use iyagi_actors::subscription_matcher::graph::{Graph, GraphModel};
use iyagi_actors::subscription_matcher::matching::Matcher;
use iyagi_actors::visibility::{Sight, Viewer, Visibility};
use iyagi_messages::change::{Commit, EdgeEnds};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{SilencePlaced, SubscriptionCreated};
use iyagi_messages::ids::{ElementId, PersonId, Pos};
use iyagi_messages::preferences::Silence;
use iyagi_messages::push::Push;
use serde_json::{Value, json};

use crate::fixture::Fixture;

const PEOPLE: [&str; 4] = ["ada", "bora", "cho", "dae"];
const THINGS: [&str; 5] = ["s", "t", "u", "v", "w"];
const WORDS: [&str; 5] = ["public", "followers", "private", "friends", "public"];
const LABELS: [&str; 6] = ["Person", "Story", "FOLLOWS", "POSTED", "LIKES", "ABOUT"];
const ROUNDS: u64 = 16;
/// Some histories have little of what is looked for.
const ROUNDS_MAX: u64 = 200;
const COMMITS: usize = 40;
/// Pushes of earlier commits that still wait.
const EARLIER: usize = 40;

/// What everybody sees at one moment.
#[derive(Default)]
struct Seen {
    vertices: BTreeMap<ElementId, BTreeSet<PersonId>>,
    /// Vertices that are nobody's and say nothing.
    common: BTreeSet<ElementId>,
    edges: BTreeMap<ElementId, EdgeEnds>,
}

impl Seen {
    async fn now(graph: &EmbeddedGraph, sight: &Sight, model: &GraphModel) -> Self {
        let mut seen = Self::default();
        for (id, labels) in graph.vertices(None, 1_000).await.expect("an answer") {
            let mut by = BTreeSet::new();
            for person in PEOPLE.map(PersonId::from) {
                let viewer = Viewer {
                    person: &person,
                    is_admin: false,
                };
                if sight.of(viewer).sees_element(&id).await == Ok(true) {
                    by.insert(person);
                }
            }
            let owner = graph.owner_of(&id, &model.authored_labels).await;
            let words = graph.values_of(&id, &model.visibility_property).await;
            if owner == Ok(None) && words == Ok(Vec::new()) && labels != [&*model.person_label] {
                seen.common.insert(id.clone());
            }
            seen.vertices.insert(id, by);
        }
        seen.edges = graph
            .edges(None, 1_000)
            .await
            .expect("an answer")
            .into_iter()
            .collect();
        seen
    }

    /// Whether a person sees an element; nothing if it is not there.
    fn by(&self, person: &PersonId, element: &ElementId) -> Option<bool> {
        let sees = |vertex: &ElementId| self.vertices.get(vertex).map(|by| by.contains(person));
        let Some(EdgeEnds { from, to, .. }) = self.edges.get(element) else {
            return sees(element);
        };
        let ends = [from, to]
            .into_iter()
            .filter(|end| !self.common.contains(*end));
        Some(ends.into_iter().all(|end| sees(end) == Some(true)))
    }
}

/// What may happen to the network next.
fn operation(random: &mut Rng, seen: &Seen) -> Value {
    let of = |random: &mut Rng, ids: &[&'static str]| ids[random.usize(..ids.len())];
    let any = |random: &mut Rng| {
        if random.bool() {
            of(random, &PEOPLE)
        } else {
            of(random, &THINGS)
        }
    };
    let there = |id: &str| seen.vertices.contains_key(&ElementId::from(id));
    let edge = |from: &str, label: &str, to: &str| json!({"op": "add_edge", "id": format!("{from}-{label}-{to}"), "from": from, "label": label, "to": to});
    let missing = PEOPLE.iter().chain(&THINGS).find(|id| !there(id));
    let maker = |thing: &str| {
        let mut edges = seen.edges.values();
        edges.any(|edge| edge.label == "POSTED" && edge.to.as_str() == thing)
    };
    match (random.u8(..12), missing) {
        (0..4, Some(id)) => {
            let label = if PEOPLE.contains(id) {
                "Person"
            } else {
                "Story"
            };
            json!({"op": "add_vertex", "id": id, "label": label})
        }
        (0, None) => json!({"op": "drop_vertex", "id": any(random)}),
        (1 | 2, None) => edge(of(random, &PEOPLE), "FOLLOWS", of(random, &PEOPLE)),
        (3 | 4, _) => {
            let thing = of(random, &THINGS);
            // A thing has one maker.
            let label = if maker(thing) { "LIKES" } else { "POSTED" };
            edge(of(random, &PEOPLE), label, thing)
        }
        (5, _) => edge(of(random, &PEOPLE), "LIKES", any(random)),
        (6, _) => edge(of(random, &THINGS), "ABOUT", of(random, &THINGS)),
        (7, _) => match seen.edges.keys().nth(random.usize(..20)) {
            Some(id) => json!({"op": "drop_edge", "id": id}),
            None => json!({"op": "set_property", "id": any(random), "key": "title", "value": "x"}),
        },
        (8, _) => {
            json!({"op": "set_property", "id": any(random), "key": "title", "value": random.u8(..)})
        }
        (9, _) => {
            json!({"op": "set_property", "id": any(random), "key": "visibility", "value": of(random, &WORDS)})
        }
        (10, _) => {
            json!({"op": "add_property", "id": any(random), "key": "visibility", "value": of(random, &WORDS)})
        }
        _ => json!({"op": "drop_property", "id": any(random), "key": "visibility"}),
    }
}

/// What people wished before: who blocks whom, and that everybody wants to hear of everything.
async fn wished(journal: &MemoryJournal, random: &mut Rng) -> Subscriptions {
    let mut draft = Draft::new(&"test", "test");
    for person in PEOPLE {
        for label in LABELS {
            let id = format!("{person}-{label}");
            let subscription = json!({"id": id, "owner": person, "anchor": {"label": {"label": label}}, "exclude_self": false});
            let subscription = serde_json::from_value(subscription).expect("a subscription");
            let created = SubscriptionCreated { subscription };
            draft.begin(&id, Entity::new("subscription", &id), created);
        }
        let other = PEOPLE[random.usize(..PEOPLE.len())];
        if other != person && random.bool() {
            let placed = SilencePlaced {
                person: person.into(),
                other: other.into(),
                silence: Silence::Block,
            };
            draft.begin(person, Entity::new("silence", person), placed);
        }
    }
    journal.append(draft.finish()).await.expect("appended");
    let mut subscriptions = Subscriptions::default();
    for event in journal.read(Pos::default(), 1_000).await.expect("reads") {
        subscriptions.apply(&event);
    }
    subscriptions
}

async fn commit_of(fixture: &Fixture, number: u64) -> Commit {
    let log = fixture.log(10_000).await;
    let records: Vec<_> = log
        .into_iter()
        .filter(|record| record.event_id.commit == number)
        .collect();
    Commit {
        number,
        at: records[0].commit_timestamp.expect("a time"),
        records,
    }
}

#[tokio::test]
async fn nobody_is_told_of_what_reading_would_not_show_them_whatever_the_graph() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let (mut told, mut hidden, mut gone) = (0, 0, 0);
    for round in 0..ROUNDS_MAX {
        if round >= ROUNDS && told > 100 && hidden > 100 && gone > 10 {
            break;
        }
        let visibility_default = [Visibility::Public, Visibility::Followers][random.usize(..2)];
        let model = GraphModel {
            visibility_default,
            ..GraphModel::default()
        };
        let fixture = Fixture::new();
        let graph = Arc::new(crate::fixture::open(fixture.folder.path()));
        let journal = MemoryJournal::new(Arc::new(SystemClock));
        let subscriptions = wished(&journal, &mut random).await;
        let projections = Projections::recover(&journal, TrafficPolicy::default())
            .await
            .expect("recovers");
        let queries = Arc::clone(&graph) as Arc<dyn GraphQueries>;
        let sight = Sight::new(queries, model.clone(), Arc::clone(&projections));
        let mut matcher = Matcher::new(
            model.clone(),
            Arc::new(built_in_templates()),
            subscriptions.lexicon(),
        );
        let mut known = Graph::default();
        let mut before = Seen::default();
        let mut number = 0;
        let mut earlier: Vec<Push> = Vec::new();
        for _ in 0..COMMITS {
            let operations = (0..random.usize(1..4)).map(|_| operation(&mut random, &before));
            // Nor is a thing made twice in one commit.
            let mut made = BTreeSet::new();
            let operations: Value = operations
                .filter(|it| it["label"] != "POSTED" || made.insert(it["to"].to_string()))
                .collect();
            // What cannot be is refused, and what changes nothing is no commit.
            if fixture.commit(&operations).await.is_err() {
                continue;
            }
            let tip = graph.tip().await.expect("a tip").commit;
            if std::mem::replace(&mut number, tip) == tip {
                continue;
            }
            let commit = commit_of(&fixture, number).await;
            let after = Seen::now(&graph, &sight, &model).await;
            let announced = {
                let people = People {
                    audience: &Audience::default(),
                    wishes: &projections.wishes(),
                };
                matcher.announce(&commit, &mut known, &subscriptions, people)
            };
            let Announced {
                pushes,
                hidden: withheld,
                ..
            } = announced;
            let sees = |push: &Push| {
                let Push {
                    recipient, element, ..
                } = push;
                // What is gone was seen, or was not.
                let seen = after
                    .by(recipient, element)
                    .or_else(|| before.by(recipient, element));
                seen.unwrap_or_else(|| panic!("{push:?} is of nothing"))
            };
            for push in &pushes {
                assert!(
                    sees(push),
                    "round {round}: {operations}: {push:?} is a leak"
                );
            }
            for push in &withheld {
                assert!(
                    !sees(push),
                    "round {round}: {operations}: {push:?} is withheld"
                );
            }
            earlier.truncate(EARLIER);
            for push in &earlier {
                still(&sight, &after, push, &mut gone).await;
            }
            (told, hidden) = (told + pushes.len(), hidden + withheld.len());
            earlier.splice(0..0, pushes);
            before = after;
        }
    }
    // That nothing happens would show nothing.
    assert!(
        told > 100 && hidden > 100 && gone > 10,
        "{told} told, {hidden} hidden, {gone} gone"
    );
}

/// Holds what is decided of a push that has waited against what everybody sees by now.
async fn still(sight: &Sight, now: &Seen, push: &Push, gone: &mut usize) {
    let viewer = Viewer {
        person: &push.recipient,
        is_admin: false,
    };
    let told = sight.of(viewer).may_be_told(push).await;
    let told = told.expect("an answer");
    if let Some(seen) = now.by(&push.recipient, &push.element) {
        assert_eq!(told, seen, "{push:?} has waited");
        return;
    }
    *gone += 1;
    let left = |id: &ElementId| now.by(&push.recipient, id);
    let common = |id: &ElementId| now.common.contains(id);
    // A person whom the graph does not know is hidden from nobody, and nor is what was deleted with the edge.
    let actor = push.actor.clone().map(ElementId::from);
    let mut ends = actor.iter().chain(&push.subject);
    let seen = ends.all(|end| common(end) || left(end) != Some(false));
    assert_eq!(
        told,
        push.of_deletion && seen,
        "{push:?} is of what is gone"
    );
}

#[tokio::test]
async fn vertices_that_have_a_property_are_paged_with_all_its_values() {
    let fixture = Fixture::with_people().await;
    let operations = json!([
        {"op": "set_property", "id": "c", "key": "visibility", "value": "private"},
        {"op": "set_property", "id": "a", "key": "visibility", "value": "public"},
        {"op": "add_property", "id": "a", "key": "visibility", "value": "friends"},
        {"op": "set_property", "id": "e", "key": "visibility", "value": "public"},
    ]);
    fixture.commit(&operations).await.expect("is accepted");
    let graph = &fixture.graph;
    let page = |after: Option<&'static str>, limit| async move {
        let after = after.map(ElementId::from);
        let page = graph
            .vertices_with("visibility", after.as_ref(), limit)
            .await;
        let page = page.expect("an answer").into_iter();
        page.map(|(id, values)| format!("{id} {}", values.join(" ")))
            .collect::<Vec<_>>()
    };
    assert_eq!(page(None, 9).await, ["a friends public", "c private"]);
    assert_eq!(page(None, 1).await, ["a friends public"]);
    assert_eq!(page(Some("a"), 1).await, ["c private"]);
    assert_eq!(page(Some("c"), 1).await, Vec::<String>::new());
}
