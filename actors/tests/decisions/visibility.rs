//! Who may see a thing, and that nobody is told of what they may not.

use std::sync::Arc;

use iyagi_actors::projections::{Audience, Subscriptions, Wishes};
use iyagi_actors::subscription_matcher::addressing::{Announced, People};
use iyagi_actors::subscription_matcher::fan_out::FanOut;
use iyagi_actors::subscription_matcher::graph::{Graph, GraphModel};
use iyagi_actors::subscription_matcher::matching::Matcher;
use iyagi_actors::visibility::Visibility;
use iyagi_actors::visibility::rule::{Thing, Tie, VertexKind};
use iyagi_messages::change::Commit;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{Fact, PreferencesChanged, SubscriptionCreated};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::preferences::Preferences;
use serde_json::json;

use crate::matching::{records, templates};
use crate::sample::event;

const STRANGER: Tie = Tie {
    follows: false,
    blocked: false,
};
const FOLLOWER: Tie = Tie {
    follows: true,
    blocked: false,
};
const BLOCKED: Tie = Tie {
    follows: true,
    blocked: true,
};

#[test]
fn a_thing_is_for_its_owner_and_for_those_whom_it_names() {
    let thing = |owner: Option<&'static str>, said| {
        Thing::of_vertex("s", VertexKind::Other, owner, said, Visibility::Followers)
    };
    let seen = |thing: &Thing<&str>| {
        let by = [STRANGER, FOLLOWER, BLOCKED].map(|tie| thing.is_visible(&"ada", tie));
        (thing.is_visible(&"bora", BLOCKED), by)
    };
    let (public, private) = (Some(Visibility::Public), Some(Visibility::Private));
    assert_eq!(
        seen(&thing(Some("bora"), public)),
        (true, [true, true, false])
    );
    assert_eq!(
        seen(&thing(Some("bora"), None)),
        (true, [false, true, false])
    );
    assert_eq!(seen(&thing(Some("bora"), private)), (true, [false; 3]));
    // Of what is nobody's, only what is public is shown.
    assert_eq!(seen(&thing(None, public)).1, [true, true, false]);
    assert_eq!(seen(&thing(None, None)).1, [false; 3]);
}

#[test]
fn a_person_meets_everybody_unless_they_say_otherwise_and_the_unknown_nobody() {
    let of = |kind, said| Thing::of_vertex("bora", kind, None, said, Visibility::Public);
    let seen = |thing: &Thing<&str>| thing.is_visible(&"ada", STRANGER);
    assert!(seen(&of(VertexKind::Person, None)));
    assert!(!seen(&of(VertexKind::Person, Some(Visibility::Followers))));
    assert!(seen(&of(VertexKind::Other, None)), "the default is public");
    assert!(!seen(&of(VertexKind::Unknown, None)));
    assert!(seen(&of(VertexKind::Unknown, Some(Visibility::Public))));
}

#[test]
fn of_several_words_the_narrowest_counts_and_one_that_nobody_knows_hides() {
    let said = |words: &[&str]| Visibility::said(words);
    assert_eq!(said(&[]), None);
    assert_eq!(said(&["public"]), Some(Visibility::Public));
    assert_eq!(said(&["public", "followers"]), Some(Visibility::Followers));
    assert_eq!(said(&["Public"]), Some(Visibility::Private));
    assert_eq!(said(&["followers", "friends"]), Some(Visibility::Private));
}

#[derive(Default)]
struct Given {
    graph: Graph,
    wishes: Wishes,
    subscriptions: Subscriptions,
    model: GraphModel,
    commits: u64,
}

impl Given {
    fn learn(&mut self, fact: Fact) {
        let event = event(Entity::new("test", 1), Timestamp(0), fact);
        self.wishes.apply(&event);
        self.subscriptions.apply(&event);
    }

    /// Somebody wants to hear of an element, and of what points at it.
    fn subscribed(mut self, people: &[&str], id: &str) -> Self {
        for owner in people {
            for anchor in [
                json!({"element": {"id": id}}),
                json!({"incident": {"vertex": id, "dir": "any"}}),
            ] {
                let id = format!("{owner} {anchor}");
                let subscription =
                    json!({"id": id, "owner": owner, "anchor": anchor, "exclude_self": false});
                let subscription = serde_json::from_value(subscription).expect("a subscription");
                self.learn(SubscriptionCreated { subscription }.into());
            }
        }
        self
    }

    fn given(mut self, statements: &[&str]) -> Self {
        self.announced(statements);
        self
    }

    fn announced(&mut self, statements: &[&str]) -> Announced {
        self.commits += 1;
        let commit = Commit {
            number: self.commits,
            at: Timestamp(1_000),
            records: records(self.commits, statements),
        };
        let templates = Arc::new(templates());
        let lexicon = self.subscriptions.lexicon();
        let mut matcher = Matcher::new(self.model.clone(), templates, lexicon);
        let people = People {
            audience: &Audience::default(),
            wishes: &self.wishes,
        };
        matcher.announce(&commit, &mut self.graph, &self.subscriptions, people)
    }

    /// Who is told, and from whom it is hidden.
    fn when(&mut self, statements: &[&str]) -> (Vec<String>, Vec<String>) {
        let Announced { pushes, hidden, .. } = self.announced(statements);
        [pushes, hidden]
            .map(|pushes| {
                let who = pushes.iter().map(|push| push.recipient.to_string());
                let mut who: Vec<String> = who.collect();
                who.sort();
                who
            })
            .into()
    }
}

/// `ada` follows `bora`, whose story is `s`; `cho` does not. All three want to hear of it.
fn given() -> Given {
    Given::default()
        .subscribed(&["ada", "bora", "cho"], "s")
        .given(&[
            "+v ada Person",
            "+v bora Person",
            "+v cho Person",
            "+e f ada FOLLOWS bora",
            "+v s Story",
            "+e p bora POSTED s",
        ])
}

fn names(told: &[&str], hidden: &[&str]) -> (Vec<String>, Vec<String>) {
    [told, hidden]
        .map(|names| names.iter().map(ToString::to_string).collect())
        .into()
}

#[test]
fn a_change_is_told_to_those_alone_who_may_see_the_thing_after_it() {
    let mut given = given();
    let (all, nobody) = (["ada", "bora", "cho"], []);
    assert_eq!(
        given.when(&["+p s title x"]),
        names(&["ada", "bora"], &["cho"])
    );
    let published = given.when(&["+p s visibility public"]);
    assert_eq!(published, names(&all, &nobody));
    let narrowed = given.when(&["-p s visibility public", "+p s visibility private"]);
    assert_eq!(narrowed, names(&["bora"], &["ada", "cho"]));
    // Set cardinality: the old value stays.
    let both = given.when(&["+p s visibility public"]);
    assert_eq!(both, names(&["bora"], &["ada", "cho"]));
    // What is said twice is taken back once.
    given.when(&["+p s visibility private"]);
    let taken_back = given.when(&["-p s visibility private"]);
    assert_eq!(taken_back, names(&all, &nobody));
    let unknown = given.when(&["+p s visibility friends", "+p s visibility family"]);
    assert_eq!(unknown, names(&["bora"], &["ada", "cho"]));
    let one_left = given.when(&["-p s visibility friends"]);
    assert_eq!(one_left, names(&["bora"], &["ada", "cho"]));
    let unsaid = given.when(&["-p s visibility family", "-p s visibility public"]);
    assert_eq!(unsaid, names(&["ada", "bora"], &["cho"]));
}

#[test]
fn what_is_gone_is_told_to_those_who_could_see_it() {
    let mut given = given();
    given.when(&["+p s visibility private"]);
    let gone = given.when(&[
        "-e p bora POSTED s",
        "-p s visibility private",
        "-v s Story",
    ]);
    // The edge and the vertex.
    let hidden = ["ada", "ada", "cho", "cho"];
    assert_eq!(gone, names(&["bora", "bora"], &hidden));
    let again = given.when(&["+v s Story", "+e p bora POSTED s"]);
    let told = ["ada", "ada", "bora", "bora"];
    assert_eq!(
        again,
        names(&told, &["cho", "cho"]),
        "it says nothing any more"
    );
}

#[test]
fn an_edge_is_told_to_those_who_may_see_both_its_ends() {
    let mut given = given().given(&["+v dae Person", "+v t Topic", "+p s visibility public"]);
    let all = ["ada", "bora", "cho"];
    assert_eq!(given.when(&["+e l dae LIKES s"]), names(&all, &[]));
    // A topic is nobody's, and there is nobody from whom to hide it.
    assert_eq!(given.when(&["+e a s ABOUT t"]), names(&all, &[]));
    given.when(&["+p t visibility private"]);
    assert_eq!(given.when(&["+e b s ABOUT t"]), names(&[], &all));
    given.when(&["+p dae visibility private"]);
    assert_eq!(given.when(&["+e m dae LIKES s"]), names(&[], &all));
    given.when(&["+p s visibility private"]);
    let hidden = ["ada", "cho"];
    assert_eq!(given.when(&["+e n ada LIKES s"]), names(&["bora"], &hidden));
    assert_eq!(given.when(&["-e n ada LIKES s"]), names(&["bora"], &hidden));
    assert_eq!(given.when(&["+q l stars 5"]), names(&[], &all));
}

#[test]
fn whoever_blocks_or_is_blocked_hears_of_nothing_of_theirs() {
    let mut given = given().given(&["+p s visibility public"]);
    let preferences = Preferences {
        blocked: ["bora".into()].into(),
        ..Preferences::default()
    };
    let person = "cho".into();
    given.learn(
        PreferencesChanged {
            person,
            preferences,
        }
        .into(),
    );
    assert_eq!(
        given.when(&["+p s title x"]),
        names(&["ada", "bora"], &["cho"])
    );
}

#[test]
fn of_what_the_graph_does_not_know_nobody_is_told_whatever_the_default() {
    let mut given = Given::default().subscribed(&["ada"], "s");
    given.model.visibility_default = Visibility::Public;
    assert_eq!(given.when(&["+p s title x"]), names(&[], &["ada"]));
    assert_eq!(given.when(&["+e l dae LIKES s"]), names(&[], &["ada"]));
    assert_eq!(given.when(&["+v s Story"]), names(&["ada"], &[]));
}

#[test]
fn of_many_followers_those_who_may_not_see_it_are_on_lists_of_their_own() {
    let fans: Vec<String> = (0..1_200).map(|nth| format!("fan-{nth}")).collect();
    let mut statements = vec!["+v star Person".to_owned()];
    for fan in &fans {
        statements.push(format!("+v {fan} Person"));
        statements.push(format!("+e f-{fan} {fan} FOLLOWS star"));
    }
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    let mut given = Given::default().given(&statements);
    let preferences = Preferences {
        blocked: ["star".into()].into(),
        ..Preferences::default()
    };
    let person = "fan-7".into();
    given.learn(
        PreferencesChanged {
            person,
            preferences,
        }
        .into(),
    );
    let lists = |announced: Announced| {
        assert!(announced.pushes.is_empty() && announced.hidden.is_empty());
        let lists = announced.fan_outs.into_iter();
        let mut lists: Vec<_> = lists
            .map(|FanOut { people, hidden, .. }| (hidden, people.len()))
            .collect();
        lists.sort_unstable();
        lists
    };
    let told = given.announced(&["+v s Story", "+e p star POSTED s"]);
    assert_eq!(lists(told), [(false, 1_199), (true, 1)]);
    let private = [
        "+v t Story",
        "+p t visibility private",
        "+e q star POSTED t",
    ];
    assert_eq!(lists(given.announced(&private)), [(true, 1_200)]);
}

#[test]
fn what_things_say_is_kept_over_a_snapshot() {
    let mut given = given().given(&[
        "+p s visibility public",
        "+p s visibility friends",
        "+p cho visibility private",
    ]);
    let body = given.graph.to_snapshot();
    given.graph = serde_json::from_slice(&body).expect("a graph");
    assert_eq!(given.graph.to_snapshot(), body);
    let hidden = ["ada", "cho"];
    assert_eq!(given.when(&["+p s title x"]), names(&["bora"], &hidden));
    let told = given.when(&["-p s visibility friends"]);
    assert_eq!(told, names(&["ada", "bora", "cho"], &[]));
    assert_eq!(
        given.when(&["+e l cho LIKES s"]),
        names(&["cho"], &["ada", "bora"])
    );
}

#[test]
fn a_snapshot_from_before_things_said_anything_is_no_graph() {
    let body = json!({
        "cursor": {"commit": 3, "op": 1}, "ids": ["s"], "labels": ["Story"], "vertices": [[0, [0]]], "edges": [],
        "followers": [], "makers": [],
    });
    let error = serde_json::from_value::<Graph>(body).expect_err("is refused");
    assert!(error.to_string().contains("words"), "{error}");
}
