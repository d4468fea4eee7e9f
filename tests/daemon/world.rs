//! A daemon in a folder of its own, and the few words that the stories need.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use iyagi::config::{Config, built_in_templates};
use iyagi::daemon::{Daemon, DaemonError, block_on};
use iyagi::embedded::graph::Operation;
use iyagi::embedded::journal::JournalReader;
use iyagi::embedded::push_log::Accepted;
use iyagi_actors::invariants::Report;
use iyagi_actors::journal::Draft;
use iyagi_actors::projections::Counts;
use iyagi_actors::push_sender::decision::RetryPolicy;
use iyagi_actors::runtime::ActorState;
use iyagi_actors::subscription_matcher::matching::Templates;
use iyagi_messages::device::{Device, Platform};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{DeviceRegistered, Fact, SubscriptionCreated};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Nothing here takes this long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) daemon: Daemon,
}

/// Plays a story in a fresh folder, stops the daemon and audits its journal.
pub(crate) fn play<F>(story: impl FnOnce(World) -> F) -> Report
where
    F: Future<Output = World>,
{
    let folder = TempDir::new().expect("a folder");
    play_in(folder.path(), story)
}

/// Plays a story in a folder that may have seen one before.
pub(crate) fn play_in<F>(folder: &Path, story: impl FnOnce(World) -> F) -> Report
where
    F: Future<Output = World>,
{
    play_with(config(folder), built_in_templates(), story)
}

/// Plays a story under another configuration.
pub(crate) fn play_changed<F>(
    change: impl FnOnce(&mut Config),
    story: impl FnOnce(World) -> F,
) -> Report
where
    F: Future<Output = World>,
{
    let folder = TempDir::new().expect("a folder");
    play_changed_in(folder.path(), change, story)
}

/// Plays a story under another configuration in a folder that may have seen one before.
pub(crate) fn play_changed_in<F>(
    folder: &Path,
    change: impl FnOnce(&mut Config),
    story: impl FnOnce(World) -> F,
) -> Report
where
    F: Future<Output = World>,
{
    let mut config = config(folder);
    change(&mut config);
    play_with(config, built_in_templates(), story)
}

/// Plays a story in which bursts are gathered.
pub(crate) fn play_gathering<F>(templates: Templates, story: impl FnOnce(World) -> F) -> Report
where
    F: Future<Output = World>,
{
    let folder = TempDir::new().expect("a folder");
    let mut config = config(folder.path());
    config.push.moderate = true;
    play_with(config, templates, story)
}

fn play_with<F>(config: Config, templates: Templates, story: impl FnOnce(World) -> F) -> Report
where
    F: Future<Output = World>,
{
    let folder = config.data.dir.clone();
    let played = block_on(async {
        let world = World {
            daemon: Daemon::start(config, templates).await?,
        };
        let world = story(world).await;
        let report = world.daemon.stop().await;
        let in_time = report.actors.iter().all(|actor| actor.stopped_in_time);
        assert!(in_time, "an actor did not stop: {report:?}");
        assert!(
            report.took < PATIENCE / 10,
            "the drain waited in vain: {report:?}"
        );
        Ok::<_, DaemonError>(())
    });
    played.expect("the daemon runs");
    let report = audit(&folder);
    assert_eq!(report.violations, [], "the journal breaks its invariants");
    report
}

pub(crate) fn config(folder: &Path) -> Config {
    let mut config = Config::default();
    // Each push by itself and at once, whatever came before it.
    config.push.moderate = false;
    config.push.rate.burst = 0;
    folder.clone_into(&mut config.data.dir);
    config.http.public.set_port(0);
    config.http.operations.set_port(0);
    config.stream.interval_ms_min = 5;
    config.stream.interval_ms_max = 20;
    config.push.retry = RetryPolicy {
        attempts_max: 3,
        backoff_ms_min: 10,
        backoff_ms_max: 50,
    };
    config
}

fn audit(folder: &Path) -> Report {
    let journal = JournalReader::open(&folder.join("journal.db")).expect("a journal");
    journal.audit().expect("readable")
}

impl World {
    /// Commits operations as clients send them.
    pub(crate) async fn commit(&self, operations: Value) {
        let operations: Vec<Operation> = serde_json::from_value(operations).expect("operations");
        self.daemon
            .surface
            .one_machine
            .as_ref()
            .expect("everything is on one machine")
            .graph
            .commit(operations)
            .await
            .expect("accepted");
    }

    /// Adds a person with one phone, whose token is the person's name.
    pub(crate) async fn person(&self, id: &str, name: &str, locale: &str) {
        self.commit(json!([
            {"op": "add_vertex", "id": id, "label": "Person", "properties": {"name": name}}
        ]))
        .await;
        self.device(id, id, locale).await;
    }

    /// Registers a phone.
    pub(crate) async fn device(&self, person: &str, token: &str, locale: &str) {
        let device = Device {
            token: token.into(),
            person: person.into(),
            platform: Platform::Fcm,
            locale: locale.to_owned(),
        };
        self.append("device", token, DeviceRegistered { device }.into())
            .await;
    }

    /// Appends a fact that would otherwise come over HTTP.
    pub(crate) async fn append(&self, kind: &str, key: &str, fact: Fact) {
        let mut draft = Draft::new(&"test", "test");
        draft.begin(
            &format!("{kind}/{key}/{}", fact.body()),
            Entity::new(kind, key),
            fact,
        );
        self.daemon
            .surface
            .journal
            .append(draft.finish())
            .await
            .expect("appended");
    }

    /// Lets somebody hear of whatever becomes of an element, also by their own doing.
    pub(crate) async fn subscribe(&self, owner: &str, element: &str) {
        let subscription = json!({
            "id": format!("{owner}-{element}"), "owner": owner, "anchor": {"element": {"id": element}}, "exclude_self": false,
        });
        let subscription = serde_json::from_value(subscription).expect("a subscription");
        let created = SubscriptionCreated { subscription };
        let key = format!("{owner}-{element}");
        self.append("subscription", &key, created.into()).await;
    }

    pub(crate) async fn follow(&self, who: &str, whom: &str) {
        self.edge(who, "FOLLOWS", whom).await;
    }

    pub(crate) async fn edge(&self, from: &str, label: &str, to: &str) {
        self.commit(json!([{"op": "add_edge", "from": from, "label": label, "to": to}]))
            .await;
    }

    pub(crate) async fn story(&self, who: &str, id: &str, title: &str) {
        self.commit(json!([
            {"op": "add_vertex", "id": id, "label": "Story", "properties": {"title": title}},
            {"op": "add_edge", "from": who, "label": "POSTED", "to": id},
        ]))
        .await;
    }

    /// Lets all that is committed meanwhile be matched together, however slow this machine is.
    pub(crate) async fn at_once(&self, commits: impl Future<Output = ()>) {
        const POLLER: &str = "stream-poller";
        let actors = &self.daemon.surface.actors;
        actors.pause(POLLER).expect("it runs");
        self.until("the poller pauses", || {
            actors.actor(POLLER).expect("it runs").state == ActorState::Paused
        })
        .await;
        commits.await;
        actors.resume(POLLER).expect("it runs");
    }

    pub(crate) fn counts(&self) -> Counts {
        self.daemon.surface.tree.projections.outbox().counts.clone()
    }

    pub(crate) fn accepted(&self) -> Vec<Accepted> {
        self.daemon
            .surface
            .one_machine
            .as_ref()
            .expect("everything is on one machine")
            .push_log
            .tail()
            .iter()
            .map(|one| (**one).clone())
            .collect()
    }

    /// What a phone has shown, as title and body.
    pub(crate) fn shown(&self, device: &str) -> Vec<String> {
        let accepted = self.accepted().into_iter();
        let mine = accepted.filter(|one| one.payload.device.as_str() == device);
        mine.map(|one| format!("{}: {}", one.payload.title, one.payload.body))
            .collect()
    }

    /// Waits until every commit is matched and every push settled.
    pub(crate) async fn settle(&self) {
        let tip = self
            .daemon
            .surface
            .one_machine
            .as_ref()
            .expect("everything is on one machine")
            .graph
            .tip()
            .await
            .expect("a tip");
        self.until("everything is settled", || {
            let projections = &self.daemon.surface.tree.projections;
            let outbox = projections.outbox();
            let queued = projections.fan_outs().next();
            outbox.cursor >= tip && queued.is_none() && outbox.counts.pending == 0
        })
        .await;
    }

    /// Waits for a condition that the daemon will bring about by itself.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "in vain: {what}; {:?}", self.counts());
    }
}
