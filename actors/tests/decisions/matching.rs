//! Who is told of a commit.

use std::sync::Arc;

use iyagi_actors::projections::{Audience, Subscriptions, Wishes};
use iyagi_actors::subscription_matcher::addressing::People;
use iyagi_actors::subscription_matcher::graph::{Graph, GraphModel};
use iyagi_actors::subscription_matcher::matching::{Matcher, Templates};
use iyagi_messages::change::Commit;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::device::{Device, Platform};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{DeviceRegistered, Fact, SubscriptionCreated};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::push::Push;
use iyagi_messages::stream::{Op, RecordData, RecordKind, StreamRecord, TypedValue};
use iyagi_messages::template::Template;
use serde_json::{Value, json};

use crate::sample::event;

#[derive(Default)]
struct Given {
    graph: Graph,
    audience: Audience,
    subscriptions: Subscriptions,
    commits: u64,
}

/// Statements in short: `+v id Label`, `-v id Label`, `+e id from LABEL to`, `-e …`, `+p id key value`, `-p …`,
/// `+q id key value` for a property of an edge.
pub(crate) fn records(commit: u64, statements: &[&str]) -> Vec<StreamRecord> {
    let record = |(statement, op_num): (&&str, u64)| {
        let words: Vec<&str> = statement.split(' ').collect();
        let op = if words[0].starts_with('+') {
            Op::Add
        } else {
            Op::Remove
        };
        let (kind, key, value, ends) = match &words[0][1..] {
            "v" => (RecordKind::VertexLabel, "label", words[2], None),
            "e" => (
                RecordKind::Edge,
                "label",
                words[3],
                Some((words[2], words[4])),
            ),
            "p" => (RecordKind::VertexProperty, words[2], words[3], None),
            _ => (RecordKind::EdgeProperty, words[2], words[3], None),
        };
        StreamRecord {
            commit_timestamp: Some(Timestamp(1_000)),
            event_id: Cursor::new(commit, op_num),
            data: RecordData {
                id: words[1].into(),
                kind,
                key: key.into(),
                value: TypedValue::string(value),
                from: ends.map(|(from, _)| from.into()),
                to: ends.map(|(_, to)| to.into()),
            },
            op,
            is_last_op: false,
        }
    };
    statements.iter().zip(1..).map(record).collect()
}

pub(crate) fn templates() -> Templates {
    let template = |id: &str, anchor: Value, labels: &[&str]| -> Template {
        let when = json!({"change": ["created"], "labels": labels});
        let texts = json!({"en": {"title": "t", "body": "b"}});
        let mut template = json!({
            "id": id, "when": when, "category": "c", "ttl_seconds": 60, "texts": texts,
        });
        if !anchor.is_null() {
            template["anchor"] = anchor;
        }
        serde_json::from_value(template).expect("a template")
    };
    Templates::new(vec![
        template(
            "follow",
            json!({"incident": {"vertex": "@me", "dir": "in"}}),
            &["FOLLOWS"],
        ),
        template("like", json!({"owned": {"dir": "in"}}), &["LIKES"]),
        template("post", json!({"followed": {"via": "FOLLOWS"}}), &["POSTED"]),
        template("subscription", Value::Null, &[]),
    ])
}

impl Given {
    fn people(mut self, names: &[&str]) -> Self {
        for name in names {
            self = self.commit(&[&format!("+v {name} Person")]);
            let device = Device {
                token: format!("{name}-phone").into(),
                person: (*name).into(),
                platform: Platform::Apns,
                locale: "en".to_owned(),
            };
            self.learn(DeviceRegistered { device }.into());
        }
        self
    }

    fn subscription(mut self, subscription: Value) -> Self {
        let subscription = serde_json::from_value(subscription).expect("a subscription");
        self.learn(SubscriptionCreated { subscription }.into());
        self
    }

    fn commit(mut self, statements: &[&str]) -> Self {
        self.when(statements);
        self
    }

    fn learn(&mut self, fact: Fact) {
        let event = event(Entity::new("test", 1), Timestamp(0), fact);
        self.audience.apply(&event);
        self.subscriptions.apply(&event);
    }

    fn pushes(&mut self, statements: &[&str]) -> Vec<Push> {
        self.commits += 1;
        let records = records(self.commits, statements);
        let commit = Commit {
            number: self.commits,
            at: Timestamp(1_000),
            records,
        };
        let (model, templates) = (GraphModel::default(), Arc::new(templates()));
        let mut matcher = Matcher::new(model, templates, self.subscriptions.lexicon());
        let announced = matcher.announce(
            &commit,
            &mut self.graph,
            &self.subscriptions,
            People {
                audience: &self.audience,
                wishes: &Wishes::default(),
            },
        );
        assert_eq!(announced.fan_outs, [], "nothing here concerns many");
        // Who may see it is the matter of other tests.
        [announced.pushes, announced.hidden].concat()
    }

    /// Who is told by which template, in order.
    fn when(&mut self, statements: &[&str]) -> Vec<String> {
        let pushes = self.pushes(statements);
        let told = pushes.iter().map(|push| {
            let actor = push.actor.as_ref().map_or("?", |actor| actor.as_str());
            format!("{} {} by {actor}", push.recipient, push.template)
        });
        told.collect()
    }
}

fn given() -> Given {
    Given::default()
}

#[test]
fn a_new_follower_is_told_to_the_followed_person_only() {
    let mut given = given().people(&["minji", "daniel", "grace"]);
    assert_eq!(
        given.when(&["+e f1 daniel FOLLOWS minji"]),
        ["minji follow by daniel"]
    );
    assert_eq!(
        given.when(&["-e f1 daniel FOLLOWS minji"]),
        Vec::<String>::new()
    );
}

#[test]
fn a_story_and_its_first_like_in_one_commit_reach_followers_and_maker() {
    let mut given = given()
        .people(&["minji", "daniel"])
        .commit(&["+e f daniel FOLLOWS minji"]);
    let told = given.when(&["+v s Story", "+e p minji POSTED s", "+e l daniel LIKES s"]);
    assert_eq!(told, ["daniel post by minji", "minji like by daniel"]);
}

#[test]
fn who_has_stopped_following_hears_nothing_more() {
    let given = given().people(&["minji", "daniel"]);
    let mut given = given
        .commit(&["+e f daniel FOLLOWS minji"])
        .commit(&["-e f daniel FOLLOWS minji"]);
    assert_eq!(
        given.when(&["+v s Story", "+e p minji POSTED s"]),
        Vec::<String>::new()
    );
}

#[test]
fn each_person_is_told_once_of_each_changed_element_and_defaults_win() {
    let given = given()
        .people(&["minji", "daniel"])
        .commit(&["+v s Story", "+e p minji POSTED s"]);
    let anchors = [
        json!({"incident": {"vertex": "s"}}),
        json!({"label": {"label": "LIKES"}}),
        json!({"owned": {}}),
    ];
    let mut given = anchors
        .into_iter()
        .zip(1..)
        .fold(given, |given, (anchor, n)| {
            given.subscription(json!({"id": format!("s{n}"), "owner": "minji", "anchor": anchor}))
        });
    assert_eq!(
        given.when(&["+e l daniel LIKES s"]),
        ["minji like by daniel"]
    );
}

#[test]
fn conditions_restrict_by_change_label_other_end_and_property() {
    let subscribed = |when: Value| {
        given()
            .people(&["minji", "daniel"])
            .commit(&["+v s Story", "+p s title old", "+e p minji POSTED s"])
            .subscription(json!({
                "id": "x", "owner": "daniel", "anchor": {"element": {"id": "s"}}, "when": when,
            }))
    };
    let rename: &[&str] = &["-p s title old", "+p s title new"];
    let told = vec!["daniel subscription by ?".to_owned()];
    assert_eq!(subscribed(json!({"keys": ["title"]})).when(rename), told);
    assert_eq!(
        subscribed(json!({"keys": ["mood"]})).when(rename),
        Vec::<String>::new()
    );
    assert_eq!(
        subscribed(json!({"change": ["deleted"]})).when(rename),
        Vec::<String>::new()
    );
    assert_eq!(subscribed(json!({"labels": ["Story"]})).when(rename), told);
    let incident =
        |labels: &str| {
            given().people(&["minji", "daniel"]).commit(&["+v s Story"]).subscription(json!({
            "id": "x", "owner": "daniel", "anchor": {"incident": {"vertex": "s", "dir": "in"}},
            "when": {"other_labels": [labels]},
        }))
        };
    let like: &[&str] = &["+e l minji SHARES s"];
    assert_eq!(
        incident("Person").when(like),
        ["daniel subscription by minji"]
    );
    assert_eq!(incident("Robot").when(like), Vec::<String>::new());
}

#[test]
fn a_subscription_tells_of_nothing_that_was_committed_before_it() {
    let subscribed = |effective_after: u64| {
        given()
            .people(&["minji", "daniel"])
            .commit(&["+v s Story"])
            .subscription(json!({
                "id": "x", "owner": "daniel", "anchor": {"incident": {"vertex": "s"}},
                "effective_after": effective_after,
            }))
    };
    let like: &[&str] = &["+e l minji LIKES s"];
    // The like is the fourth commit: a matcher that comes to it late must not tell who asked at that point.
    assert_eq!(subscribed(4).when(like), Vec::<String>::new());
    assert_eq!(subscribed(3).when(like), ["daniel subscription by minji"]);
}

#[test]
fn a_deleted_vertex_is_judged_by_the_graph_before_its_commit() {
    let mut given = given()
        .people(&["minji", "daniel"])
        .commit(&["+v s Story", "+e p minji POSTED s"])
        .subscription(json!({
            "id": "x", "owner": "daniel", "anchor": {"label": {"label": "Story"}},
            "when": {"change": ["deleted"]},
        }));
    let told = given.when(&["-e p minji POSTED s", "-v s Story"]);
    assert_eq!(told, ["daniel subscription by ?"]);
}

#[test]
fn a_change_of_an_edges_property_alone_finds_the_edges_ends() {
    let mut given = given()
        .people(&["minji", "daniel"])
        .commit(&["+v s Story", "+e l minji LIKES s"])
        .subscription(json!({
            "id": "x", "owner": "daniel", "anchor": {"incident": {"vertex": "s"}},
            "when": {"keys": ["stars"]},
        }));
    assert_eq!(
        given.when(&["+q l stars 5"]),
        ["daniel subscription by minji"]
    );
}

#[test]
fn the_same_commits_always_make_the_same_push_ids() {
    let ids = || {
        let mut given = given().people(&["minji", "daniel"]);
        let pushes = given.pushes(&["+e f daniel FOLLOWS minji"]);
        pushes.iter().map(|push| push.id).collect::<Vec<_>>()
    };
    assert_eq!(ids().len(), 1);
    assert_eq!(ids(), ids());
}

#[test]
fn a_graph_survives_its_snapshot() {
    let given = given().people(&["minji", "daniel"]).commit(&[
        "+v s Story",
        "+e p minji POSTED s",
        "+e f daniel FOLLOWS minji",
    ]);
    let mut edges = given.graph.edges();
    edges.sort_by(|one, other| one.0.cmp(&other.0));
    // Another process gives other numbers.
    let restored: Graph = serde_json::from_slice(&given.graph.to_snapshot()).expect("reads");
    let mut restored_edges = restored.edges();
    restored_edges.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(restored_edges, edges);
    assert_eq!(restored.cursor, given.graph.cursor);
    assert_eq!(restored.labels_of(&"s".into()), ["Story"]);
    assert_eq!(restored.maker_of(&"s".into()), Some("minji".into()));
    assert!(restored.follows(&"daniel".into(), &"minji".into(), "FOLLOWS"));
    assert_eq!((restored.vertex_count(), restored.edge_count()), (3, 2));
}
