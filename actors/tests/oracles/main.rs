//! The matcher against others: what it finds is what a plain reading of the subscriptions finds, and what two engines
//! find that nobody here wrote.

mod evaluator;
mod peers;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;

use fastrand::Rng;
use iyagi_actors::projections::Subscriptions;
use iyagi_actors::subscription_matcher::graph::{Graph, GraphModel};
use iyagi_actors::subscription_matcher::matching::{Matcher, Templates};
use iyagi_messages::change::{ChangeKind, Commit};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::subscription::Subscription;
use serde_json::{Value, json};

use evaluator::hears_of;
use peers::{PREDICATES_MAX, Peers};
use world::{Author, EDGE_LABELS, KEYS, World, changes, one_of, vertex_id, vertex_label};

/// Pairs of a change and all subscriptions at that time.
const CASES: usize = 100_000;
const SUBSCRIPTIONS: usize = 80;
const FOLLOW_LABELS: [&str; 2] = ["FOLLOWS", "LIKES"];
/// Commits after which some subscriptions are replaced by others.
const COMMITS_BETWEEN: u64 = 100;

#[test]
fn a_hundred_thousand_changes_find_the_same_subscriptions_whoever_looks() {
    let mut tally = Tally::default();
    for seed in 0.. {
        if tally.cases >= CASES {
            break;
        }
        live(seed, &mut tally);
    }
    println!("{tally:?}");
    // That nothing is found would show nothing.
    assert!(tally.matches > CASES, "{tally:?}");
    assert!(tally.matches_of_peers > CASES / 2, "{tally:?}");
}

#[derive(Debug, Default)]
struct Tally {
    cases: usize,
    matches: usize,
    matches_of_peers: usize,
}

/// One network's life.
fn live(seed: u64, tally: &mut Tally) {
    let mut dice = Rng::with_seed(seed);
    let mut world = World::default();
    let mut edges_made = 0;
    let mut graph = Graph::default();
    let mut index = Subscriptions::default();
    let templates = Arc::new(Templates::default());
    let model = GraphModel {
        follow_labels: FOLLOW_LABELS.map(str::to_owned).to_vec(),
        ..GraphModel::default()
    };
    let mut matcher = Matcher::new(model, templates, index.lexicon());
    let mut all: Vec<Subscription> = Vec::new();
    let mut peers = Peers::of(&all);
    for number in 1..=2_000 {
        if number % COMMITS_BETWEEN == 1 {
            replace_some(&mut all, &mut index, number, &mut dice);
            peers = Peers::of(&all);
        }
        let before = world.clone();
        let mut author = Author {
            world: &mut world,
            dice: &mut dice,
            records: Vec::new(),
            commit: number,
            edges_made: &mut edges_made,
        };
        let acts = author.dice.u32(1..5);
        (0..acts).for_each(|_| author.act());
        if author.dice.u32(..20) == 0 {
            // More elements than are looked through one by one.
            (0..40).for_each(|_| author.act());
        }
        let records = author.records;
        let commit = Commit {
            number,
            at: Timestamp(1_000),
            records,
        };
        if dice.bool() {
            matcher.look_ahead(std::iter::once(&commit), &index);
        }
        let found = matcher.matches(&commit, &mut graph, &index);
        let lexicon = index.lexicon().read();
        let found: BTreeSet<(String, bool, String)> = found
            .changes()
            .iter()
            .flat_map(|matched| {
                let element = lexicon.ids.text(matched.change.id).to_owned();
                let is_edge = matched.change.edge.is_some();
                let rows = found.rows(matched).iter();
                rows.map(move |row| (element.clone(), is_edge, *row))
            })
            .map(|(element, is_edge, row)| (element, is_edge, index.id(row).to_string()))
            .collect();
        drop(lexicon);
        let mut expected = BTreeSet::new();
        for change in changes(&before, &world, &commit) {
            let hearers = all
                .iter()
                .filter(|one| hears_of(one, &change, &before, &world));
            let hearers: BTreeSet<String> = hearers.map(|one| one.id.to_string()).collect();
            let judged_by = if change.what == ChangeKind::Deleted {
                &before
            } else {
                &world
            };
            let awake = |id: &String| {
                let one = all
                    .iter()
                    .find(|one| one.id.as_str() == id)
                    .expect("is there");
                one.awaits(change.first) && one.expires_at.is_none() && one.enabled
            };
            let sayable = |ids: &BTreeSet<String>| -> BTreeSet<String> {
                let ids = ids
                    .iter()
                    .filter(|id| peers.said.contains(*id) && awake(id));
                ids.cloned().collect()
            };
            for (peer, heard) in peers.hear_of(&change, judged_by) {
                let (by_peer, by_evaluator) = (sayable(&heard), sayable(&hearers));
                if let Some(id) = by_peer.symmetric_difference(&by_evaluator).next() {
                    let one = all.iter().find(|one| one.id.as_str() == id);
                    panic!(
                        "seed {seed}, commit {number}: {} and {}, found by {peer}: {}",
                        change.event(judged_by),
                        json!(one),
                        heard.contains(id)
                    );
                }
                tally.matches_of_peers += heard.len();
            }
            tally.cases += 1;
            tally.matches += hearers.len();
            let is_edge = change.edge.is_some();
            expected.extend(
                hearers
                    .into_iter()
                    .map(|id| (change.id.clone(), is_edge, id)),
            );
        }
        if let Some((element, _, id)) = found.symmetric_difference(&expected).next() {
            let one = all.iter().find(|one| one.id.as_str() == id);
            let its = commit
                .records
                .iter()
                .filter(|record| record.data.id.as_str() == element);
            let its: Vec<_> = its.map(|record| json!(record)).collect();
            panic!(
                "seed {seed}, commit {number}: {element} and {}, in the index: {}, records {its:#?}",
                json!(one),
                found
                    .iter()
                    .any(|(other, _, other_id)| (other, other_id) == (element, id)),
            );
        }
    }
}

/// Some go, some come, some change: by the ways by which clients do it.
fn replace_some(all: &mut Vec<Subscription>, index: &mut Subscriptions, now: u64, dice: &mut Rng) {
    for _ in 0..dice.usize(..=all.len() / 4) {
        let gone = all.swap_remove(dice.usize(..all.len()));
        index.remove(&gone.id);
    }
    for _ in 0..all.len() / 8 {
        let at = dice.usize(..all.len());
        let id = all[at].id.to_string();
        all[at] = subscription(&id, now, dice);
        index.put(&all[at]);
    }
    let mut nth = 0;
    while all.len() < SUBSCRIPTIONS {
        nth += 1;
        let id = match dice.u32(..4) {
            0 => format!("odd-{now}-{nth}"),
            _ => uuid::Uuid::from_u128(u128::from(now) << 64 | nth).to_string(),
        };
        all.push(subscription(&id, now, dice));
        index.put(&all[all.len() - 1]);
    }
    for one in all.iter() {
        assert_eq!(
            index.get(&one.id).as_ref(),
            Some(one),
            "what was put in comes out"
        );
    }
    assert_eq!(index.len(), all.len());
}

fn subscription(id: &str, now: u64, dice: &mut Rng) -> Subscription {
    let dir = |dice: &mut Rng| one_of(dice, &["in", "out", "any"]);
    let anchor = match dice.u32(..10) {
        0..4 => json!({"incident": {"vertex": vertex_id(dice), "dir": dir(dice)}}),
        4 | 5 => {
            let id = match dice.u32(..3) {
                0 => format!("e{}", dice.u32(..200)),
                _ => vertex_id(dice),
            };
            json!({"element": {"id": id}})
        }
        6 => {
            let then = one_of(dice, &["in", "out", "any", "element"]);
            json!({"followed": {"via": one_of(dice, &FOLLOW_LABELS), "then": then}})
        }
        7 => json!({"owned": {"dir": dir(dice)}}),
        _ if dice.bool() => json!({"label": {"label": one_of(dice, &EDGE_LABELS)}}),
        _ => json!({"label": {"label": vertex_label(dice)}}),
    };
    let mut when = json!({});
    if dice.u32(..4) == 0 {
        when["element"] = json!(one_of(dice, &["vertex", "edge"]));
    }
    if dice.bool() {
        let mut change = vec!["created", "updated", "deleted"];
        change.truncate(dice.usize(1..=3));
        when["change"] = json!(change);
    }
    if dice.u32(..3) == 0 {
        let labels = [
            one_of(dice, &EDGE_LABELS).to_owned(),
            vertex_label(dice),
            vertex_label(dice),
        ];
        when["labels"] = json!(labels[..dice.usize(1..=3)]);
    }
    if dice.u32(..6) == 0 {
        when["other_labels"] = json!([vertex_label(dice), vertex_label(dice)]);
    }
    if dice.u32(..4) == 0 {
        when["keys"] = json!([one_of(dice, &KEYS)]);
    }
    if dice.u32(..3) == 0 {
        let predicates = (0..dice.usize(1..=PREDICATES_MAX)).map(|_| predicate(dice));
        when["where"] = predicates.collect();
    }
    let mut subscription = json!({
        "id": id, "owner": vertex_id(dice), "anchor": anchor, "when": when,
        // Sometimes it begins a little later, or in the midst of a commit.
        "effective_after": {"commit": now - 1 + dice.u64(..3), "op": dice.u64(..4)},
    });
    match dice.u32(..20) {
        0 => subscription["enabled"] = json!(false),
        1 => subscription["expires_at"] = json!(1_000),
        2 => subscription["expires_at"] = json!(1_001),
        _ => {}
    }
    serde_json::from_value(subscription).expect("a subscription")
}

fn predicate(dice: &mut Rng) -> Value {
    let key = one_of(dice, &KEYS);
    let on = one_of(dice, &["new", "old", "either"]);
    let scalar = |dice: &mut Rng| match key {
        "title" => json!(one_of(dice, &["a", "ab", "b", "가", ""])),
        "score" if dice.bool() => json!(dice.i64(-3..4)),
        "score" => json!(dice.i64(-3..4).to_string()),
        _ if dice.bool() => json!(one_of(
            dice,
            &["2023-11-14T22:13:20Z", "2023-11-15T22:13:20Z"]
        )),
        _ => json!(1_700_000_000_000_i64 + dice.i64(0..4) * 86_400_000),
    };
    let (op, value) = match dice.u32(..7) {
        0 => ("eq", scalar(dice)),
        1 => ("ne", scalar(dice)),
        2 => ("in", json!([scalar(dice), scalar(dice)])),
        3 if key == "title" => ("prefix", scalar(dice)),
        3 | 4 => ("lt", scalar(dice)),
        5 => ("gt", scalar(dice)),
        _ => ("exists", Value::Null),
    };
    json!({"key": key, "op": op, "value": value, "on": on})
}
