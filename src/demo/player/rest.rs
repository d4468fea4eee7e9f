//! When a scene has ended: everything is settled, or waits for a gateway that is down.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use iyagi_actors::media_job::is_candidate;
use iyagi_actors::platforms::Platforms;
use iyagi_actors::platforms::breaker::BreakerState;
use iyagi_actors::projections::InTurn;
use iyagi_actors::push_sender::state::Stage;
use iyagi_messages::ids::Timestamp;
use iyagi_messages::object::ObjectKey;
use tokio::time::Instant;

use super::Player;
use crate::demo::DemoError;

/// How often to look whether the daemon has come to rest.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long less and less must remain before waiting is given up.
const PATIENCE: Duration = Duration::from_mins(1);
/// Events that are read at once.
const PAGE: usize = 1_000;
/// What is still to come before the next scene.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Remaining {
    commits: bool,
    pushes: usize,
    files: usize,
    letters: usize,
}

impl Player<'_> {
    /// Waits until everything is settled, or waits for a gateway that is down.
    pub(super) async fn come_to_rest(&mut self, scene: usize) -> Result<(), DemoError> {
        let mut least: Option<Remaining> = None;
        let mut lessened = Instant::now();
        loop {
            self.catch_up().await?;
            let remaining = self.remaining().await?;
            if remaining.nothing() {
                // What happened between the two looks.
                self.catch_up().await?;
                break;
            }
            if least
                .as_ref()
                .is_none_or(|least| remaining.total() < least.total())
            {
                least = Some(remaining.clone());
                lessened = Instant::now();
            }
            if lessened.elapsed() > PATIENCE {
                return Err(DemoError::Restless {
                    scene,
                    seconds: PATIENCE.as_secs(),
                    remaining: remaining.to_string(),
                });
            }
            self.narrator.progress(&remaining.to_string())?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn remaining(&self) -> Result<Remaining, DemoError> {
        let tip = self.one_machine().graph.tip().await?;
        let media = &self.surface.config.media;
        let (pictures, recordings) = (&media.thumbnail_prefixes, &media.audio.prefixes);
        let settled = |key: &&ObjectKey| {
            let (pictures, recordings) =
                (is_candidate(key, pictures), is_candidate(key, recordings));
            self.chronicle.file_settled(key, pictures, recordings)
        };
        let outbox = self.surface.tree.projections.outbox();
        let down = self.lasting.iter().any(|rule| rule.device.is_none());
        let pending: Vec<_> = outbox.in_turn().collect();
        let pushes = if down {
            stirring(
                &pending,
                &self.surface.tree.platforms,
                self.surface.clock.now(),
            )
        } else {
            pending.len()
        };
        Ok(Remaining {
            commits: outbox.cursor < tip,
            pushes,
            files: self.uploaded.iter().filter(|key| !settled(key)).count(),
            letters: outbox
                .letters()
                .filter(|letter| letter.message_id.is_none())
                .count(),
        })
    }

    async fn catch_up(&mut self) -> Result<(), DemoError> {
        loop {
            let events = self.surface.journal.read(self.chronicle.pos, PAGE).await?;
            for event in &events {
                self.chronicle.apply(event);
            }
            if events.len() < PAGE {
                return Ok(());
            }
        }
    }
}

impl Remaining {
    fn total(&self) -> usize {
        usize::from(self.commits) + self.pushes + self.files + self.letters
    }

    fn nothing(&self) -> bool {
        self.total() == 0
    }
}

impl fmt::Display for Remaining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.commits {
            parts.push("changes of the graph to match".to_owned());
        }
        for (count, what) in [
            (self.pushes, "pushes on their way"),
            (self.files, "files in work"),
            (self.letters, "letters on their way"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        f.write_str(&parts.join(", "))
    }
}

/// Pushes that are neither settled nor waiting for a next attempt, their own, that of one before them in their lane, or
/// their push service's.
fn stirring(pending: &[InTurn], platforms: &Platforms, now: Timestamp) -> usize {
    let waits = |push: &&InTurn| {
        let down = |platform| platforms.state(platform, now) != BreakerState::Closed;
        let later = Stage::Pending { not_before: None } != push.progress.stage;
        push.platform.is_some_and(down) || later && push.progress.stage != Stage::Attempting
    };
    let waiting: HashSet<_> = pending
        .iter()
        .filter(waits)
        .map(|push| push.phone)
        .collect();
    pending
        .iter()
        .filter(|push| !waiting.contains(&push.phone))
        .count()
}
