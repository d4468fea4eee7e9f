//! The journal is compacted while the daemon works, and goes on as if nothing had been taken out.

use std::path::Path;

use iyagi::config::Config;
use iyagi_messages::ids::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::world::{World, play_changed_in};

/// Pushes before the first compaction, while it runs, and after the restart, each.
const PUSHES: u64 = 30;

/// An inbox holds the push of its one entry only, and nothing else is looked back at.
fn with_small_inboxes(config: &mut Config) {
    config.inbox.entries_max = 1;
}

async fn like(world: &World, from: u64) {
    for nth in from..from + PUSHES {
        let story = format!("story-{nth}");
        world.story("minji", &story, "첫 이야기").await;
        world.edge("daniel", "LIKES", &story).await;
    }
}

/// What was kept for a quick start is gone, so all is folded from what is left.
fn forget_snapshots(folder: &Path) {
    let connection = Connection::open(folder.join("journal.db")).expect("opens");
    connection
        .execute("DELETE FROM snapshot", [])
        .expect("gone");
}

fn events(folder: &Path) -> u64 {
    let connection = Connection::open(folder.join("journal.db")).expect("opens");
    let sql = "SELECT count(*) FROM event";
    let count: i64 = connection
        .query_row(sql, [], |row| row.get(0))
        .expect("counted");
    count.unsigned_abs()
}

#[test]
fn what_is_over_is_taken_out_beside_the_sending_and_the_counts_go_on_over_a_restart() {
    let folder = TempDir::new().expect("a folder");
    let everything = Timestamp(i64::MAX);
    let report = play_changed_in(folder.path(), with_small_inboxes, async |world| {
        world.person("minji", "민지", "ko").await;
        world.person("daniel", "Daniel", "en").await;
        like(&world, 0).await;
        world.settle().await;
        let before = events(folder.path());
        let compaction = world
            .daemon
            .surface
            .compaction
            .as_ref()
            .expect("one machine");
        let (outcome, ()) = tokio::join!(compaction.run(everything), like(&world, PUSHES));
        let outcome = outcome.expect("compacted");
        // Each push has three events, and each commit some more.
        assert!(outcome.taken_out > 3 * (PUSHES - 1), "{outcome:?}");
        assert!(outcome.taken_out < before, "{outcome:?}");
        assert!(outcome.kinds["device.registered"].go == 0, "{outcome:?}");
        world.settle().await;
        assert_eq!(world.counts().sent, 2 * PUSHES);
        world
    });
    assert_eq!(
        (report.counts.matched, report.counts.sent),
        (2 * PUSHES, 2 * PUSHES)
    );
    forget_snapshots(folder.path());
    let report = play_changed_in(folder.path(), with_small_inboxes, async |world| {
        assert_eq!(world.counts().sent, 2 * PUSHES, "as the sums say");
        like(&world, 2 * PUSHES).await;
        world.settle().await;
        let compaction = world
            .daemon
            .surface
            .compaction
            .as_ref()
            .expect("one machine");
        let outcome = compaction.run(everything).await.expect("compacted");
        assert!(outcome.taken_out > 0);
        assert!(
            world.shown("minji").len() as u64 >= PUSHES,
            "phones ring as before"
        );
        world
    });
    assert_eq!(
        (report.counts.matched, report.counts.sent),
        (3 * PUSHES, 3 * PUSHES)
    );
    // What is left is about what lasts, and the last entries.
    assert!(events(folder.path()) < 60, "{}", events(folder.path()));
}
