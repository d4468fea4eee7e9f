//! The change log forgets what is old, and the daemon misses nothing by it.

use std::path::Path;
use std::sync::Arc;

use iyagi::clock::SystemClock;
use iyagi::config::Config;
use iyagi::embedded::graph::{EmbeddedGraph, Operation};
use iyagi::embedded::journal::JournalReader;
use iyagi_actors::ports::{ChangeStream, Clock};
use iyagi_actors::stream_poller::OnExpired;
use iyagi_messages::change::ElementKind;
use iyagi_messages::fact::{Fact, StreamSkipped};
use iyagi_messages::ids::{ElementId, Pos, Timestamp};
use iyagi_search::document::DocumentId;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::world::{World, play_changed_in};

const DAY_MS: i64 = 24 * 3_600_000;

/// The wall clock of some days ago.
struct Ago {
    days: i64,
}

impl Clock for Ago {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0 - self.days * DAY_MS)
    }
}

fn on_runtime<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

fn open_graph(folder: &Path, clock: impl Clock) -> EmbeddedGraph {
    EmbeddedGraph::open(&folder.join("graph.db"), Arc::new(clock)).expect("opens")
}

async fn commit(graph: &EmbeddedGraph, operations: Value) {
    let operations: Vec<Operation> = serde_json::from_value(operations).expect("operations");
    graph.commit(operations).await.expect("accepted");
}

/// `ada` follows `bora`, since eight days.
fn eight_days_ago(folder: &Path) {
    on_runtime(async {
        let graph = open_graph(folder, Ago { days: 8 });
        let people = json!([
            {"op": "add_vertex", "id": "ada", "label": "Person", "properties": {"name": "Ada"}},
            {"op": "add_vertex", "id": "bora", "label": "Person", "properties": {"name": "Bora"}},
        ]);
        commit(&graph, people).await;
        let follows =
            json!([{"op": "add_edge", "id": "f", "from": "ada", "label": "FOLLOWS", "to": "bora"}]);
        commit(&graph, follows).await;
    });
}

fn first_commit(folder: &Path) -> u64 {
    let graph = open_graph(folder, SystemClock);
    on_runtime(graph.first_commit()).expect("says")
}

/// Plays a story at whose beginning late news is told like any other.
fn here<F: Future<Output = World>>(folder: &Path, story: impl FnOnce(World) -> F) {
    let tell_late = |config: &mut Config| config.push.catch_up.lag_seconds = 0;
    play_changed_in(folder, tell_late, story);
}

/// Bora tells a story, and `ada` is told of it.
async fn a_story(world: World, id: &str) -> World {
    world.story("bora", id, id).await;
    world.settle().await;
    let shown = world.shown("ada");
    assert!(
        shown.iter().any(|text| text.contains(id)),
        "{id}: {shown:?}"
    );
    world
}

fn facts(folder: &Path) -> Vec<Fact> {
    let journal = JournalReader::open(&folder.join("journal.db")).expect("a journal");
    let events = journal.read(Pos::default(), usize::MAX).expect("reads");
    events.into_iter().map(|event| event.fact).collect()
}

fn skipped(folder: &Path) -> Vec<StreamSkipped> {
    let skipped = facts(folder).into_iter().filter_map(|fact| match fact {
        Fact::StreamSkipped(skipped) => Some(skipped),
        _ => None,
    });
    skipped.collect()
}

#[test]
fn old_commits_expire_once_nobody_here_needs_them_and_everybody_is_known_all_the_same() {
    let folder = TempDir::new().expect("a folder");
    let folder = folder.path();
    eight_days_ago(folder);
    // It was off for eight days, and nothing of them is lost.
    here(folder, async |world: World| {
        world.settle().await;
        world.device("ada", "ada", "en").await;
        a_story(world, "first").await
    });
    assert_eq!(skipped(folder).len(), 0);
    assert_eq!(
        first_commit(folder),
        1,
        "who follows whom is in no snapshot"
    );
    here(folder, async |world: World| a_story(world, "second").await);
    here(folder, async |world: World| {
        let here = world.daemon.surface.one_machine.clone();
        let graph = here.expect("everything is on one machine").graph;
        for _ in 0..2_000 {
            if graph.first_commit().await == Ok(3) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(graph.first_commit().await, Ok(3));
        a_story(world, "third").await
    });
    here(folder, async |world: World| a_story(world, "fourth").await);
    assert_eq!(skipped(folder).len(), 0);
}

#[test]
fn a_cursor_that_has_expired_halts_or_goes_on_at_the_horizon_and_the_journal_says_what_is_passed_over()
 {
    let folder = TempDir::new().expect("a folder");
    let folder = folder.path();
    eight_days_ago(folder);
    here(folder, async |world: World| {
        world.settle().await;
        world.device("ada", "ada", "en").await;
        world
    });
    // As beside a journal that was put back from a backup.
    on_runtime(async {
        let graph = open_graph(folder, SystemClock);
        for id in ["x", "y", "z"] {
            commit(
                &graph,
                json!([{"op": "add_vertex", "id": id, "label": "Story"}]),
            )
            .await;
        }
        graph.trim_before(5).await.expect("trims");
    });
    here(folder, async |world: World| {
        let health = &world.daemon.surface.tree.health;
        world
            .until("the stream halts", || {
                let stream = health.all().remove("stream");
                stream.is_some_and(|stream| {
                    !stream.ready
                        && stream.detail.contains("iyagi backfill")
                        && stream.detail.contains("trim_horizon")
                })
            })
            .await;
        assert_eq!(
            world.daemon.surface.tree.projections.outbox().cursor.commit,
            2
        );
        world
    });
    assert_eq!(skipped(folder).len(), 0);
    let at_horizon = |config: &mut Config| config.stream.on_expired = OnExpired::TrimHorizon;
    play_changed_in(folder, at_horizon, async |world: World| {
        world.settle().await;
        world
    });
    let [passed_over] = &skipped(folder)[..] else {
        panic!("one gap: {:?}", skipped(folder))
    };
    assert_eq!((passed_over.after.commit, passed_over.commits), (2, 2));
}

#[test]
fn a_search_index_that_the_log_cannot_bring_forward_is_made_anew_from_the_graph() {
    let folder = TempDir::new().expect("a folder");
    let folder = folder.path();
    eight_days_ago(folder);
    here(folder, async |world: World| {
        world.settle().await;
        world
    });
    let trim = || {
        on_runtime(async {
            let graph = open_graph(folder, SystemClock);
            graph.trim_before(u64::MAX).await.expect("trims");
        });
    };
    let documents = |ids: &[&str]| {
        let ids = ids.iter().map(|id| ElementId::from(*id));
        let ids: Vec<_> = ids
            .map(|id| DocumentId::of(ElementKind::Vertex, &id))
            .collect();
        let mut found = 0;
        here(folder, async |world: World| {
            let search = world
                .daemon
                .surface
                .search
                .clone()
                .expect("there is an index");
            found = search.standing(&ids).await.expect("answers").len();
            world
        });
        found
    };
    trim();
    std::fs::remove_dir_all(folder.join("search")).expect("removed");
    assert_eq!(documents(&["ada", "bora"]), 2, "one that was lost");
    // One that nobody has written for longer than the log keeps: it was switched off.
    on_runtime(async {
        let graph = open_graph(folder, SystemClock);
        for id in ["x", "y"] {
            commit(
                &graph,
                json!([{"op": "add_vertex", "id": id, "label": "Story"}]),
            )
            .await;
        }
    });
    trim();
    assert_eq!(documents(&["ada", "bora", "x", "y"]), 4);
}
