//! The daemon from start to stop: the one place where ports meet adapters.

mod adapters;
mod aws;
mod compacting;
mod companions;
mod data_lock;
mod embedded;
mod expiry;
mod fleet_life;
mod gateways;
mod host;
mod known_graph;
mod lifecycle;
mod on_threads;
mod stop;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use iyagi_actors::journal::{Draft, JournalFault};
use iyagi_actors::ports::Clock;
use iyagi_actors::push_sender::texts::{Texts, UnusableText};
use iyagi_actors::runtime::{DrainReport, Escalation, System, keep_crashes};
use iyagi_actors::subscription_matcher::matching::Templates;
use iyagi_actors::tree::{ROOT_INTENSITY, Roles, Settings, plant};
use iyagi_actors::visibility::Sight;
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{DaemonStarted, DaemonStopped};
use thiserror::Error;
use tokio::task::LocalSet;

pub use adapters::{AdapterError, Adapters};
pub use aws::{AwsAdapters, AwsError};
pub use companions::{Parted, accept_journal};
pub use data_lock::{DataLock, LockError};
pub use embedded::{EmbeddedAdapters, EmbeddedError};
pub use fleet_life::FleetLife;
pub use host::HostError;
pub use on_threads::OnThreads;
pub use stop::CutShort;
pub(crate) use stop::StopSignals;

use self::lifecycle::Lifecycle;
use crate::auth::operators::{Operators, OperatorsError};
use crate::auth::{SignIn, SignInError};
use crate::aws::instance::{Instance, Notice};
use crate::clock::SystemClock;
use crate::config::{Config, Loaded, Role};
use crate::http::{HttpError, Listeners, serve};
use crate::surface::Surface;

/// A daemon that is up.
pub struct Daemon {
    /// What listeners and the command line speak to.
    pub surface: Arc<Surface>,
    /// Where it listens.
    pub listeners: Listeners,
    adapters: Adapters,
    fleet: Option<FleetLife>,
    lifecycle: Lifecycle,
    _lock: DataLock,
}

/// Why a daemon did not come up, or went down.
#[derive(Debug, Error)]
pub enum DaemonError {
    /// Another daemon has the data folder, or nobody can.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A store cannot be opened.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// The journal cannot be folded or written.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// A template's text.
    #[error(transparent)]
    Text(#[from] UnusableText),
    /// Nobody could sign in.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// No operator could.
    #[error(transparent)]
    Operators(#[from] OperatorsError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The threads cannot be started.
    #[error("the daemon cannot start its threads: {0}")]
    Threads(std::io::Error),
    /// An actor kept failing.
    #[error("actor {} failed more often than its supervisors bear: {}", .0.actor, .0.reason)]
    Escalated(Escalation),
    /// The others no longer know this host.
    #[error("this host is no longer part of the fleet: {0}")]
    Expelled(String),
    /// A store met a full disk or an I/O error.
    #[error("a store has stopped, so nothing is acknowledged any more: {0}")]
    StoreStopped(String),
    /// It was not given the time to finish what it had in hand.
    #[error(transparent)]
    CutShort(#[from] CutShort),
}

/// Runs a daemon until it is told to stop, or until it cannot go on.
pub fn run(loaded: Loaded) -> Result<(), DaemonError> {
    block_on(async {
        let daemon = Daemon::start_loaded(loaded).await?;
        let mut signals = StopSignals::watch();
        daemon.announce();
        let instance = daemon.adapters.instance();
        let end = tokio::select! {
            () = signals.next() => Ok(None),
            notice = noticed(instance.as_deref()) => Ok(Some(notice)),
            failure = daemon.failed() => Err(failure),
        };
        if let Err(failure) = &end {
            tracing::error!(%failure, "the daemon goes down");
        }
        let surface = Arc::clone(&daemon.surface);
        let stop = daemon.stop();
        let stopped = async {
            match (&end, &instance) {
                (Ok(Some(notice)), Some(instance)) => instance.heed(notice, stop).await,
                _ => stop.await,
            }
        };
        let report = tokio::select! {
            report = stopped => report,
            () = signals.insisted() => return Err(CutShort::of(&surface).into()),
        };
        tracing::info!(clean = report.clean(), took = ?report.took, "drained");
        end.map(drop)
    })
}

/// Runs a future where a daemon can live: on a runtime with a thread of its own for actors that name none.
pub fn block_on<T>(future: impl Future<Output = Result<T, DaemonError>>) -> Result<T, DaemonError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("iyagi")
        .enable_all()
        .build()
        .map_err(DaemonError::Threads)?;
    let result = LocalSet::new().block_on(&runtime, future);
    // A blocking call that hangs must not keep a stopped daemon alive.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

impl Daemon {
    /// Opens every store, folds the journal, starts the actors and listens.
    pub async fn start_loaded(loaded: Loaded) -> Result<Self, DaemonError> {
        let Loaded {
            config,
            templates,
            provenance,
            file: config_file,
        } = loaded;
        // What Rust's own backtraces are switched off by.
        keep_crashes(std::env::var_os("RUST_LIB_BACKTRACE").is_none_or(|value| value != "0"));
        let lock = DataLock::take(&config.data.dir)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let started_at = clock.now();
        let sign_in = SignIn::new(&config.auth, &config.data.dir, Arc::clone(&clock))?;
        let operators = Operators::load(&config.operations)?;
        let (adapters, following) = Adapters::open(&config, &clock).await?;
        let templates = Arc::new(if config.push.moderate {
            templates
        } else {
            templates.unmoderated()
        });
        let (observer, lifecycle) = Lifecycle::observe(&clock);
        let actors = System::new(started_at.0.unsigned_abs(), ROOT_INTENSITY, observer);
        let settings = settings(&config, &templates)?;
        let ports = adapters.ports();
        let tree = plant(&actors, &ports, &settings, adapters.member()).await?;
        let fleet = adapters.live(&actors, &tree, following);
        let mut draft = Draft::new(&"daemon", "daemon");
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let host = adapters
            .member()
            .map_or_else(String::new, |member| member.0);
        let upstream = format!("{host}{}#{}", started_at.0, std::process::id());
        let daemon = Entity::new("daemon", "iyagi");
        let started = draft.begin(&upstream, daemon, DaemonStarted { version });
        ports.journal.append(draft.finish()).await?;
        let sight = Sight::new(
            Arc::clone(&ports.graph),
            config.graph.clone(),
            Arc::clone(&tree.projections),
        );
        let compaction = adapters.compaction(&tree.projections, &config);
        let surface = Arc::new(Surface {
            config,
            provenance,
            config_file,
            sign_in,
            operators,
            sight,
            actors,
            member: adapters.member(),
            tree,
            journal: Arc::clone(&ports.journal),
            journal_path: adapters.journal_path(),
            compaction,
            one_machine: adapters.one_machine(),
            stream: Arc::clone(&ports.stream),
            gateway: ports.gateway,
            store: ports.store,
            spool: adapters.spool(),
            links: adapters.links(),
            upload_counts: adapters.upload_counts(),
            table: ports.table,
            search: ports.search,
            queues: adapters.queues(),
            templates,
            clock,
            started_at,
        });
        let lifecycle = lifecycle.record(&surface, started);
        lifecycle.watch_drop_folder(&surface);
        lifecycle.fetch_keys(&surface);
        let listeners = serve(Arc::clone(&surface)).await?;
        Ok(Self {
            surface,
            listeners,
            adapters,
            fleet,
            lifecycle,
            _lock: lock,
        })
    }

    /// Starts one with a configuration that a program made.
    pub async fn start(config: Config, templates: Templates) -> Result<Self, DaemonError> {
        Self::start_loaded(Loaded::made(config, templates)).await
    }

    /// Resolves when the daemon cannot go on.
    pub async fn failed(&self) -> DaemonError {
        tokio::select! {
            escalation = self.surface.actors.failed() => DaemonError::Escalated(escalation),
            reason = expelled(self.fleet.as_ref()) => DaemonError::Expelled(reason),
            reason = self.adapters.stopped() => DaemonError::StoreStopped(reason),
        }
    }

    /// Stops taking work, finishes what is in hand, and keeps what the next start needs.
    pub async fn stop(self) -> DrainReport {
        // A supervisor that is not there needs no notice.
        sd_notify::notify(&[sd_notify::NotifyState::Stopping]).ok();
        let now = self.surface.clock.now();
        self.surface
            .tree
            .health
            .report("drain", false, "the daemon is stopping", now);
        if let Some(fleet) = &self.fleet {
            fleet.leave();
        }
        let timeout = Duration::from_millis(self.surface.config.drain.timeout_ms);
        let report = self.surface.actors.drain(timeout).await;
        for actor in report.actors.iter().filter(|actor| !actor.stopped_in_time) {
            tracing::warn!(actor = actor.name, "did not stop in time");
        }
        self.listeners.stop().await;
        if let Err(fault) = self.lifecycle.finish(&self.surface, report.clean()).await {
            tracing::error!(%fault, "the end of the daemon is not in the journal");
        }
        if let Some(fleet) = self.fleet {
            fleet.end().await;
        }
        report
    }

    /// Says where it listens, to the log and to systemd.
    pub fn announce(&self) {
        tracing::info!(
            public = self.listeners.public.map(tracing::field::display),
            operations = %self.listeners.operations,
            data = %self.surface.config.data.dir.display(),
            "the daemon is up"
        );
        sd_notify::notify(&[sd_notify::NotifyState::Ready]).ok();
    }
}

/// Resolves when the instance that the daemon runs on is told of its end.
async fn noticed(instance: Option<&Instance>) -> Notice {
    if let Some(instance) = instance
        && let Some(notice) = instance.notice().await
    {
        return notice;
    }
    std::future::pending().await
}

async fn expelled(fleet: Option<&FleetLife>) -> String {
    match fleet {
        Some(fleet) => fleet.failed().await,
        None => std::future::pending().await,
    }
}

fn settings(config: &Config, templates: &Arc<Templates>) -> Result<Settings, UnusableText> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = config.media.cpu_threads;
    let has = |role| config.fleet.roles.contains(&role);
    Ok(Settings {
        roles: Roles {
            ingest: has(Role::Poller) && has(Role::Matcher),
            push: has(Role::Pusher),
            media: has(Role::Media),
        },
        pace: config.stream,
        model: config.graph.clone(),
        search: config.projection(),
        templates: Arc::clone(templates),
        texts: Arc::new(Texts::of(templates)?),
        rate: config.push.rate,
        push_max_in_flight: config.push.max_in_flight,
        push_backlog: config.push.backlog,
        retry: config.push.retry,
        breaker: config.push.breaker,
        dying_tokens: config.push.dying_tokens,
        catch_up: config.push.catch_up,
        keep_letters: config.dead_letters.age(),
        gateway_timeout: Duration::from_millis(config.push.gateway_timeout_ms),
        thumbnail_workers: config.media.thumbnail_workers,
        audio_workers: config.media.audio.workers,
        audio_limits: config.media.audio.limits.clone(),
        audio_prefixes: config.media.audio.prefixes.clone(),
        audio_deadline: Duration::from_millis(config.media.audio.deadline_ms),
        renditions: config.media.audio.renditions.clone(),
        rendition_deadline: Duration::from_millis(config.media.audio.rendition_deadline_ms),
        metadata_workers: config.media.metadata_workers,
        media_lookahead: config.media.lookahead,
        decode_budget_bytes: config.media.decode_budget_bytes,
        bucket: config.media.bucket.clone(),
        cpu_threads: if threads == 0 { cores } else { threads },
        presets: config.media.presets.clone(),
        limits: config.media.limits.clone(),
        thumbnail_prefixes: config.media.thumbnail_prefixes.clone(),
        file_bytes_max: config.media.file_bytes_max,
        media_deadline: Duration::from_millis(config.media.deadline_ms),
    })
}

impl Lifecycle {
    async fn finish(self, surface: &Surface, drained: bool) -> Result<(), JournalFault> {
        let started = self.end().await;
        let mut draft = Draft::new(&"daemon", "daemon");
        draft.follow(
            started,
            Entity::new("daemon", "iyagi"),
            DaemonStopped { drained },
        );
        surface.journal.append(draft.finish()).await?;
        surface.tree.projections.save(&*surface.journal).await?;
        companions::see(surface).await;
        Ok(())
    }
}
