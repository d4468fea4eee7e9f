//! The journal is compacted while the daemon works, and goes on as if nothing had been taken out.

use std::path::Path;
use std::sync::Arc;

use iyagi::config::Config;
use iyagi::embedded::journal::SqliteJournal;
use iyagi_actors::journal::{Draft, Journal as _};
use iyagi_actors::ports::contract::inbox;
use iyagi_actors::ports::{Clock, Retention};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{PushAccepted, PushAttempted, PushRequested};
use iyagi_messages::ids::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::world::{World, play_changed_in};

/// Pushes of long ago, and that are sent while the journal is compacted, each.
const PUSHES: u64 = 30;

/// A clock of long ago.
struct LongAgo;

impl Clock for LongAgo {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }
}

/// A journal with pushes that were sent long ago, of which an inbox tells only the last.
async fn old_pushes(folder: &Path) {
    let retention = Retention {
        entries_max: 1,
        age_ms_max: u64::MAX,
    };
    let path = folder.join("journal.db");
    let journal = SqliteJournal::open_retaining(&path, Arc::new(LongAgo), retention);
    let journal = journal.expect("made");
    for nth in 0..PUSHES {
        let push = inbox::push("minji", "minji", nth, "daniel");
        let entity = Entity::new("push", push.id);
        let gateway_id = push.id.to_string();
        let mut draft = Draft::new(&"test", "test");
        let requested = draft.begin(&gateway_id, entity.clone(), PushRequested { push });
        let attempted = draft.follow(requested, entity.clone(), PushAttempted { attempt: 1 });
        let accepted = PushAccepted {
            attempt: 1,
            gateway_id,
        };
        draft.follow(attempted, entity, accepted);
        journal.append(draft.finish()).await.expect("appended");
    }
}

fn unchanged(_: &mut Config) {}

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
    let forgotten = connection.execute("DELETE FROM snapshot", []);
    assert_ne!(forgotten, Ok(0));
}

#[test]
fn what_is_over_is_taken_out_beside_the_sending_and_the_counts_go_on_over_a_restart() {
    let folder = TempDir::new().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .expect("a runtime")
        .block_on(old_pushes(folder.path()));
    let everything = Timestamp(i64::MAX);
    let report = play_changed_in(folder.path(), unchanged, async |world| {
        world.person("minji", "민지", "ko").await;
        world.person("daniel", "Daniel", "en").await;
        let surface = &world.daemon.surface;
        let compaction = surface.compaction.as_ref().expect("one machine");
        let (outcome, ()) = tokio::join!(compaction.run(everything), like(&world, 0));
        let outcome = outcome.expect("compacted");
        // The last one may still be told of in an inbox.
        assert!(
            outcome.kinds["push.accepted"].go >= PUSHES - 1,
            "{outcome:?}"
        );
        assert_eq!(outcome.kinds["device.registered"].go, 0, "{outcome:?}");
        world.settle().await;
        assert_eq!(world.counts().sent, 2 * PUSHES);
        world
    });
    let counts = report.counts;
    assert_eq!((counts.matched, counts.sent), (2 * PUSHES, 2 * PUSHES));
    forget_snapshots(folder.path());
    let report = play_changed_in(folder.path(), unchanged, async |world| {
        assert_eq!(world.counts().sent, 2 * PUSHES, "as the sums say");
        like(&world, PUSHES).await;
        world.settle().await;
        assert_eq!(
            world.shown("minji").len() as u64,
            PUSHES,
            "phones ring as before"
        );
        world
    });
    let counts = report.counts;
    assert_eq!((counts.matched, counts.sent), (3 * PUSHES, 3 * PUSHES));
}
