//! Who sees what, over the whole interface: the same as a rule that was written down apart from it.

use std::collections::BTreeSet;

use iyagi_actors::projections::Counts;
use iyagi_messages::push::SuppressReason;
use serde_json::{Value, json};

use crate::fixture::Fixture;

const PEOPLE: usize = 5;
const POSTS: usize = 10;
/// What a post may say of itself. A word that nobody knows hides it.
const WORDS: [Option<&str>; 5] = [
    None,
    Some("public"),
    Some("followers"),
    Some("private"),
    Some("Public"),
];

/// A network of which everything is known.
struct Network {
    /// Who follows whom.
    follows: BTreeSet<(usize, usize)>,
    /// Who blocks whom, by an edge of the graph.
    blocks: BTreeSet<(usize, usize)>,
    /// Who made a post, and what it says of itself.
    posts: Vec<(usize, Option<&'static str>)>,
}

impl Network {
    fn random(random: &mut fastrand::Rng) -> Self {
        let mut pairs = |percent: u8| -> BTreeSet<(usize, usize)> {
            let all = (0..PEOPLE).flat_map(|one| (0..PEOPLE).map(move |other| (one, other)));
            all.filter(|(one, other)| one != other && random.u8(0..100) < percent)
                .collect()
        };
        Self {
            follows: pairs(40),
            blocks: pairs(8),
            posts: (0..POSTS)
                .map(|post| (random.usize(0..PEOPLE), WORDS[post % WORDS.len()]))
                .collect(),
        }
    }

    fn commit_to(&self, fixture: &Fixture) {
        let people = (0..PEOPLE)
            .map(|one| json!({"op": "add_vertex", "id": format!("p{one}"), "label": "Person"}));
        let edge = |label: &'static str| move |(from, to): &(usize, usize)| json!({"op": "add_edge", "from": format!("p{from}"), "to": format!("p{to}"), "label": label});
        let mut operations: Vec<Value> = people.collect();
        operations.extend(self.follows.iter().map(edge("FOLLOWS")));
        operations.extend(self.blocks.iter().map(edge("BLOCKS")));
        for (post, (maker, word)) in self.posts.iter().enumerate() {
            let properties = word.map_or(json!({}), |word| json!({ "visibility": word }));
            operations.push(json!({"op": "add_vertex", "id": format!("s{post}"), "label": "Story", "properties": properties}));
            operations.push(json!({"op": "add_edge", "from": format!("p{maker}"), "to": format!("s{post}"), "label": "POSTED"}));
        }
        fixture.commit(&json!(operations));
    }

    /// Every file, and who it is for.
    fn files(&self) -> Vec<(String, BTreeSet<usize>)> {
        let everybody = || (0..PEOPLE).collect::<BTreeSet<_>>();
        let unblocked = |owner: usize, may: BTreeSet<usize>| {
            let apart = |one: usize, other: usize| self.blocks.contains(&(one, other));
            let mut may: BTreeSet<usize> = may
                .into_iter()
                .filter(|viewer| !apart(*viewer, owner) && !apart(owner, *viewer))
                .collect();
            may.insert(owner);
            may
        };
        let mut files = vec![
            ("posts/nobodys/a.txt".to_owned(), BTreeSet::new()),
            ("other/a.txt".to_owned(), BTreeSet::new()),
        ];
        for owner in 0..PEOPLE {
            files.push((
                format!("profile/p{owner}/a.txt"),
                unblocked(owner, everybody()),
            ));
            files.push((format!("uploads/p{owner}/a.txt"), BTreeSet::from([owner])));
        }
        for (post, (maker, word)) in self.posts.iter().enumerate() {
            let followers = (0..PEOPLE).filter(|one| self.follows.contains(&(*one, *maker)));
            let may = match word {
                Some("public") => everybody(),
                None | Some("followers") => followers.collect(),
                Some(_) => BTreeSet::new(),
            };
            files.push((format!("posts/s{post}/a.txt"), unblocked(*maker, may)));
        }
        files.sort();
        files
    }
}

fn listed(fixture: &Fixture, viewer: &str) -> Vec<String> {
    let (mut keys, mut next) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/media?limit=7{next}");
        let page = fixture.public_as(viewer, "GET", &path, "").json();
        let items = page["items"].as_array().expect("items");
        keys.extend(
            items
                .iter()
                .map(|item| item["key"].as_str().expect("a key").to_owned()),
        );
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => return keys,
        }
    }
}

#[test]
fn nothing_leaks_whatever_the_graph() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..4 {
        let fixture = Fixture::start();
        let network = Network::random(&mut random);
        network.commit_to(&fixture);
        let files = network.files();
        for (key, _) in &files {
            let answer = fixture.public("PUT", &format!("/v1/files/{key}"), "text");
            assert_eq!(answer.status, 201, "{}", answer.text());
        }
        fixture.until("metadata of every file", |fixture| {
            let operator = fixture.get("/v1/media?limit=1000", &[]).json();
            (operator["items"].as_array()?.len() == files.len()).then_some(())
        });
        fixture.until("every block", |fixture| {
            let status = fixture.operations("GET", "/v1/ops/status", "").json();
            (status["stream"]["cursor"] == status["stream"]["tip"]).then_some(())
        });
        for viewer in 0..PEOPLE {
            let name = format!("p{viewer}");
            let theirs = files.iter().filter(|(_, who)| who.contains(&viewer));
            let theirs: Vec<String> = theirs.map(|(key, _)| key.clone()).collect();
            assert_eq!(listed(&fixture, &name), theirs, "{name}");
            for (key, who) in &files {
                for place in ["media", "files"] {
                    let path = format!("/v1/{place}/{key}");
                    let answer = fixture.public_as(&name, "GET", &path, "");
                    let expected = if who.contains(&viewer) { 200 } else { 404 };
                    assert_eq!(answer.status, expected, "{name} {path}: {}", answer.text());
                }
            }
        }
    }
}

/// Waits until every commit is matched and every push settled.
fn settled(fixture: &Fixture) {
    fixture.until("rest", |fixture| {
        let status = fixture.operations("GET", "/v1/ops/status", "").json();
        let stream = &status["stream"];
        (stream["cursor"] == stream["tip"] && status["pushes"]["pending"] == 0).then_some(())
    });
}

#[test]
fn nobody_is_told_of_what_they_may_not_see_whatever_the_graph() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..3 {
        let fixture = Fixture::start();
        let network = Network::random(&mut random);
        network.commit_to(&fixture);
        settled(&fixture);
        for viewer in 0..PEOPLE {
            let name = format!("p{viewer}");
            let device = json!({"platform": "fcm", "locale": "en"}).to_string();
            let path = format!("/v1/devices/phone-{viewer}");
            let answer = fixture.public_as(&name, "PUT", &path, device);
            assert_eq!(answer.status, 201, "{}", answer.text());
            for post in 0..POSTS {
                let wanted = json!({"anchor": {"element": {"id": format!("s{post}")}}}).to_string();
                let answer = fixture.public_as(&name, "POST", "/v1/subscriptions", wanted);
                assert_eq!(answer.status, 201, "{}", answer.text());
            }
        }
        let counts = || fixture.surface.tree.projections.outbox().counts.clone();
        let before = counts();
        for post in 0..POSTS {
            let title = json!({"op": "set_property", "id": format!("s{post}"), "key": "title", "value": "new"});
            fixture.commit(&json!([title]));
        }
        settled(&fixture);
        let files = network.files();
        let mut seen = 0;
        for viewer in 0..PEOPLE {
            let posts = files.iter().filter(|(_, who)| who.contains(&viewer));
            let posts =
                posts.filter_map(|(key, _)| key.strip_prefix("posts/")?.strip_suffix("/a.txt"));
            let posts: BTreeSet<String> = posts.map(str::to_owned).collect();
            let name = format!("p{viewer}");
            let inbox = fixture
                .public_as(&name, "GET", "/v1/inbox?limit=100", "")
                .json();
            let entries = inbox["entries"].as_array().expect("a list").iter();
            let told = entries.filter(|entry| entry["template"] == "subscription");
            let told = told.map(|entry| entry["subject"]["id"].as_str().expect("an id").to_owned());
            assert_eq!(told.collect::<BTreeSet<_>>(), posts, "{name}");
            seen += posts.len() as u64;
        }
        let after = counts();
        assert_eq!(
            after.sent - before.sent,
            seen,
            "phones rang for what may be seen alone"
        );
        let hidden = |counts: &Counts| counts.suppressed.get(&SuppressReason::NotVisible).copied();
        let hidden = hidden(&after).unwrap_or_default() - hidden(&before).unwrap_or_default();
        assert_eq!(hidden, (PEOPLE * POSTS) as u64 - seen);
    }
}

#[test]
fn what_may_not_be_seen_answers_as_what_is_not_there() {
    let fixture = Fixture::start().with_people();
    let secret = "uploads/minji/diary.txt";
    let written = fixture.public_as("minji", "PUT", &format!("/v1/files/{secret}"), "dear diary");
    assert_eq!(written.status, 201);
    fixture.until("the metadata", |fixture| {
        let answer = fixture.public_as("minji", "GET", &format!("/v1/media/{secret}"), "");
        (answer.status == 200).then_some(())
    });
    for path in ["/v1/files/", "/v1/media/"] {
        let told = |key: &str| {
            let answer = fixture.public_as("grace", "GET", &format!("{path}{key}"), "");
            answer
                .problem(404, "not-found")
                .to_string()
                .replace(key, "KEY")
        };
        assert_eq!(told(secret), told("uploads/minji/nothing.txt"));
    }
    let foreign = fixture.public_as("grace", "PUT", &format!("/v1/files/{secret}"), "hers");
    foreign.problem(403, "forbidden");
    let foreign = fixture.public_as("grace", "DELETE", &format!("/v1/files/{secret}"), "");
    foreign.problem(403, "forbidden");
}
