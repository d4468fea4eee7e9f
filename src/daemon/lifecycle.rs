//! Writes the actors' lives into the journal, and keeps snapshots, for as long as the daemon is up.

use std::sync::Arc;
use std::time::Duration;

use iyagi_actors::dlq_keeper::DlqMessage;
use iyagi_actors::journal::Draft;
use iyagi_actors::ports::Clock;
use iyagi_actors::runtime::{Observer, RuntimeEvent};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{ActorEscalated, ActorRestarted, Fact};
use iyagi_messages::ids::{EventId, Incarnation, Pos, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::compacting::compact_daily;
use super::companions::keep_seeing;
use super::expiry::expire_change_log;
use crate::config::AuthMode;
use crate::embedded::drop_folder::DropFolder;
use crate::log;
use crate::surface::Surface;

/// Events between two snapshots of the projections; bounds what a start folds again.
const SNAPSHOT_EVENTS: u64 = 50_000;
/// How often the distance to the last snapshot is looked at.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(5);
/// How often the keys of a user pool are asked for while there are none.
const KEYS_INTERVAL: Duration = Duration::from_secs(10);
/// How often it is looked for dead letters that are too old. It goes by days.
const LETTERS_INTERVAL: Duration = Duration::from_mins(1);
/// How often the next part of the inboxes is looked through.
const DROP_INTERVAL: Duration = Duration::from_secs(10);

/// Signs of life in the time that systemd waits for one: a late one is not the end yet.
const WATCHDOG_SIGNS: u32 = 3;

/// Logs what happens to actors and passes on what belongs in the journal.
struct Watcher {
    clock: Arc<dyn Clock>,
    facts: mpsc::UnboundedSender<(Timestamp, Fact)>,
}

/// A lifecycle that does not write yet: the journal is opened before the actors, the surface after them.
pub(super) struct Observed {
    facts: mpsc::UnboundedReceiver<(Timestamp, Fact)>,
}

/// The tasks beside the actors.
pub(super) struct Lifecycle {
    started: EventId,
    tasks: std::cell::RefCell<Vec<JoinHandle<()>>>,
}

impl Lifecycle {
    /// An observer for the actors, and what it will be told.
    pub(super) fn observe(clock: &Arc<dyn Clock>) -> (Arc<dyn Observer>, Observed) {
        let (facts, received) = mpsc::unbounded_channel();
        let watcher = Watcher {
            clock: Arc::clone(clock),
            facts,
        };
        (Arc::new(watcher), Observed { facts: received })
    }

    /// Uploads what appears in the drop folder, if there is one.
    pub(super) fn watch_drop_folder(&self, surface: &Arc<Surface>) {
        let Some(folder) = &surface.config.media.drop_folder else {
            return;
        };
        let drop_folder = DropFolder::new(
            folder,
            Arc::clone(&surface.store),
            Arc::clone(&surface.clock),
        );
        let surface = Arc::clone(surface);
        self.spawn(async move {
            let report = |ready, detail: String| {
                let now = surface.clock.now();
                surface
                    .tree
                    .health
                    .report("drop folder", ready, detail, now);
            };
            report(true, "watched".to_owned());
            let Err(error) = drop_folder.run().await;
            tracing::error!(%error, "the drop folder is no longer watched");
            report(false, error.to_string());
        });
    }

    /// Fetches the keys of a user pool ahead of the first request, and says that nobody can sign in until they are there.
    pub(super) fn fetch_keys(&self, surface: &Arc<Surface>) {
        if surface.config.auth.mode != AuthMode::Cognito {
            return;
        }
        let surface = Arc::clone(surface);
        self.spawn(async move {
            loop {
                let ready = surface.sign_in.is_ready().await;
                let detail = if ready { "known" } else { "not fetched yet" };
                let health = &surface.tree.health;
                health.report("user pool", ready, detail, surface.clock.now());
                if ready {
                    return;
                }
                tokio::time::sleep(KEYS_INTERVAL).await;
            }
        });
    }

    /// Ends every task and yields the event that the daemon came up with.
    pub(super) async fn end(self) -> EventId {
        for task in self.tasks.into_inner() {
            task.abort();
            // Cancelled is what it should be.
            task.await.ok();
        }
        self.started
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "held and ended by the lifecycle itself"
    )]
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.borrow_mut().push(tokio::spawn(task));
    }
}

impl Observed {
    /// Begins to write, for the daemon that came up with the event `started`.
    pub(super) fn record(self, surface: &Arc<Surface>, started: EventId) -> Lifecycle {
        let lifecycle = Lifecycle {
            started,
            tasks: std::cell::RefCell::default(),
        };
        lifecycle.spawn(record(Arc::clone(surface), started, self.facts));
        lifecycle.spawn(keep_snapshots(Arc::clone(surface)));
        lifecycle.spawn(drop_old_entries(Arc::clone(surface)));
        lifecycle.spawn(expire_letters(Arc::clone(surface)));
        lifecycle.spawn(compact_daily(Arc::clone(surface)));
        lifecycle.spawn(keep_seeing(Arc::clone(surface)));
        lifecycle.spawn(log::tell_unreadable());
        lifecycle.spawn(log::filter::keep_time());
        lifecycle.spawn(expire_change_log(Arc::clone(surface)));
        if let Some(patience) = sd_notify::watchdog_enabled() {
            lifecycle.spawn(feed_watchdog(
                Arc::clone(surface),
                patience / WATCHDOG_SIGNS,
            ));
        }
        lifecycle
    }
}

async fn record(
    surface: Arc<Surface>,
    started: EventId,
    mut facts: mpsc::UnboundedReceiver<(Timestamp, Fact)>,
) {
    let mut written: u64 = 0;
    while let Some((at, fact)) = facts.recv().await {
        let (Fact::ActorRestarted(ActorRestarted { actor, .. })
        | Fact::ActorEscalated(ActorEscalated { actor, .. })) = &fact
        else {
            continue;
        };
        written += 1;
        let upstream = format!("{started}|{}|{written}", at.0);
        let entity = Entity::new("actor", actor);
        let mut draft = Draft::new(&"supervisor", "daemon");
        draft.begin(&upstream, entity, fact);
        if let Err(fault) = surface.journal.append(draft.finish()).await {
            tracing::error!(%fault, "an actor's restart is not in the journal");
        }
    }
}

async fn keep_snapshots(surface: Arc<Surface>) {
    let mut saved = Pos::default();
    let mut interval = tokio::time::interval(SNAPSHOT_INTERVAL);
    loop {
        interval.tick().await;
        let head = surface.tree.projections.outbox().pos;
        if head.0 - saved.0 < SNAPSHOT_EVENTS {
            continue;
        }
        match surface.tree.projections.save(&*surface.journal).await {
            Ok(pos) => saved = pos,
            Err(fault) => tracing::warn!(%fault, "no snapshot was kept; the next start folds more"),
        }
    }
}

/// Looks through everybody's inbox, a little at a time, for what is too old: who is told nothing more drops nothing.
async fn drop_old_entries(surface: Arc<Surface>) {
    let age_ms_max = surface.config.inbox.retention().age_ms_max;
    let inbox = &surface.tree.inbox.store;
    let mut interval = tokio::time::interval(DROP_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let now = surface.clock.now();
        let before = Timestamp(now.0.saturating_sub_unsigned(age_ms_max));
        if let Err(fault) = inbox.drop_older(before).await {
            tracing::warn!(%fault, "old entries are still in the inboxes");
        }
    }
}

/// Has the keeper of dead letters look for those that are too old.
async fn expire_letters(surface: Arc<Surface>) {
    let mut interval = tokio::time::interval(LETTERS_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if surface.tree.dlq.tell(DlqMessage::Expire).await.is_err() {
            // The daemon goes down.
            return;
        }
    }
}

/// Tells systemd that no thread of actors is blocked. What only a new process mends is left to it: a dependency that is
/// away, or a message that takes long, is none of it.
async fn feed_watchdog(surface: Arc<Surface>, period: Duration) {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        surface.actors.pulse().await;
        if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]) {
            tracing::warn!(%error, "the watchdog hears no sign of life");
        }
    }
}

impl Observer for Watcher {
    fn on(&self, event: &RuntimeEvent) {
        match event {
            RuntimeEvent::Restarted {
                name,
                incarnation,
                reason,
                delay,
            } => {
                tracing::warn!(
                    actor = name,
                    incarnation,
                    reason,
                    ?delay,
                    "an actor is rebuilt"
                );
                self.pass_on(ActorRestarted {
                    actor: name.clone(),
                    incarnation: Incarnation(format!("{name}#{incarnation}")),
                    reason: reason.clone(),
                    delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
                });
            }
            RuntimeEvent::Escalated {
                group,
                actor,
                reason,
            } => {
                tracing::error!(group, actor, reason, "a failure is passed up");
                self.pass_on(ActorEscalated {
                    actor: actor.clone(),
                    reason: reason.clone(),
                });
            }
            RuntimeEvent::SetAside {
                name,
                deaths,
                reason,
                ..
            } => {
                tracing::error!(actor = name, deaths, reason, "a message is set aside");
            }
            RuntimeEvent::Failed { name, reason, .. } => {
                tracing::warn!(actor = name, reason, "a message failed");
            }
            RuntimeEvent::BreakerOpened {
                pool,
                reason,
                delay,
            } => {
                tracing::warn!(pool, reason, ?delay, "a dependency is down; the pool waits");
            }
            RuntimeEvent::BreakerClosed { pool } => tracing::info!(pool, "the pool works again"),
            other => tracing::debug!(?other, "runtime"),
        }
    }
}

impl Watcher {
    fn pass_on(&self, fact: impl Into<Fact>) {
        // Nobody listens any more once the daemon is down.
        self.facts.send((self.clock.now(), fact.into())).ok();
    }
}
