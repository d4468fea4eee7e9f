//! `iyagi demo`: the whole daemon in a fresh folder, a small story played to it over HTTP, and an account at the end.
//!
//! # Layout
//! - `story`: what is played, and whether it makes sense
//! - `assets`: the story that ships, inside the binary
//! - `folder`: files that the user brings
//! - `client`: how the story reaches the daemon
//! - `player`: who does what when
//! - `chronicle`: what came of it, read from the journal
//! - `narrative`, `table`: how that is told
//!
//! The demo changes the daemon only through its listeners. What it tells comes from the journal.

mod assets;
mod chronicle;
mod client;
mod folder;
mod narrative;
mod player;
mod story;
mod table;

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use iyagi_actors::invariants::Report;
use iyagi_actors::journal::JournalFault;
use iyagi_actors::ports::MetadataFault;
use iyagi_actors::push_sender::decision::RetryPolicy;
use tempfile::TempDir;
use thiserror::Error;
use tokio::time::Instant;

pub use self::client::ClientError;
pub use self::folder::FolderError;
pub use self::narrative::Style;
pub use self::story::StoryError;

use self::client::Client;
use self::folder::Listing;
use self::narrative::{Ink, Narrator};
use self::player::Player;
use self::story::Story;
use self::table::{Account, Media};
use crate::config::{Config, built_in_templates};
use crate::daemon::{CutShort, Daemon, DaemonError, StopSignals, block_on};
use crate::embedded::journal::{JournalReader, OpenError};
use crate::embedded::sqlite::DatabaseError;
use crate::http::Listeners;
use crate::surface::Surface;

/// How fast the story can be told.
const SPEEDS: RangeInclusive<f32> = 0.1..=100.0;

/// How the demo is to be given.
#[derive(Debug, Clone, PartialEq)]
pub struct DemoOptions {
    /// Stop after the account instead of running on.
    pub exit: bool,
    /// A folder of the user's own files, uploaded in a scene of their own.
    pub media: Option<PathBuf>,
    /// Another story; its files lie in the folder `media` beside it.
    pub story: Option<PathBuf>,
    /// How fast scenes follow each other where someone watches: 2 is twice as fast.
    pub speed: f32,
    /// A new folder to play in, which stays afterwards with a configuration to look into it with.
    pub keep: Option<PathBuf>,
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self {
            exit: false,
            media: None,
            story: None,
            speed: 1.0,
            keep: None,
        }
    }
}

/// How the demo ended.
#[derive(Debug, Clone, PartialEq)]
pub struct DemoOutcome {
    /// What the journal says after the drain.
    pub audit: Report,
    /// Whether the daemon finished everything in hand.
    pub drained: bool,
    /// Whether the story was played to its end.
    pub played: bool,
}

impl DemoOutcome {
    /// Whether all went as promised.
    pub fn passed(&self) -> bool {
        self.faults().is_empty()
    }

    /// What did not go as promised.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = table::faults(&self.audit);
        if !self.drained {
            faults.push("the daemon did not finish what it had in hand".to_owned());
        }
        if !self.played {
            faults.push("the story was not played to its end".to_owned());
        }
        faults
    }
}

/// Why there was no demo, or only half of one.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The pace makes no sense.
    #[error("the speed is a number from {least} to {most}, such as 2 for twice as fast, not {0}", least = SPEEDS.start(), most = SPEEDS.end())]
    Speed(f32),
    /// The story cannot be played.
    #[error(transparent)]
    Story(#[from] StoryError),
    /// The user's files cannot be taken.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is no temporary folder.
    #[error("no temporary folder can be made in {}: {source}; set TMPDIR to another", .path.display())]
    TemporaryFolder {
        /// Where it was tried.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The folder that is to stay cannot be made.
    #[error("the folder {} cannot be made: {source}; --keep names a new one", .path.display())]
    KeptFolder {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The daemon did not come up, or went down.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// The daemon did not do what it was asked for.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A scene did not end.
    #[error(
        "scene {scene} does not come to rest: for {seconds} s there has been no less than {remaining}"
    )]
    Restless {
        /// Which scene; 0 is before the first.
        scene: usize,
        /// How long nothing was settled.
        seconds: u64,
        /// What is still to come.
        remaining: String,
    },
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// The journal cannot be opened for the audit.
    #[error(transparent)]
    Audit(#[from] OpenError),
    /// The graph cannot be read.
    #[error(transparent)]
    Graph(#[from] DatabaseError),
    /// The metadata table cannot be read.
    #[error(transparent)]
    Metadata(#[from] MetadataFault),
    /// Nobody reads what is told.
    #[error("the narrative cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Gives the demo on standard output.
pub fn run(options: DemoOptions) -> Result<DemoOutcome, DemoError> {
    run_to(&options, &mut io::stdout(), Style::of_stdout())
}

/// Gives the demo where the caller wants it.
pub fn run_to(
    options: &DemoOptions,
    out: &mut dyn Write,
    style: Style,
) -> Result<DemoOutcome, DemoError> {
    let started = Instant::now();
    if !SPEEDS.contains(&options.speed) {
        return Err(DemoError::Speed(options.speed));
    }
    let story = match &options.story {
        Some(path) => Story::read(path)?,
        None => Story::embedded()?,
    };
    let yours = options.media.as_deref().map(folder::list).transpose()?;
    let folder = Room::open(options.keep.as_deref())?;
    let show = Show {
        options,
        started,
        folder: folder.path(),
    };
    let narrator = Narrator::new(out, style, options.speed);
    let ended = block_on(async { Ok(show.give(story, yours, narrator).await) });
    let outcome = ended.map_err(DemoError::from).flatten();
    let outcome = outcome.and_then(|(played, drained)| {
        Ok(DemoOutcome {
            audit: audit(&folder.path().join("journal.db"))?,
            drained,
            played,
        })
    });
    // What went wrong can be looked into.
    let looked_into = !outcome
        .as_ref()
        .is_ok_and(|outcome| outcome.passed() || !outcome.played);
    if let Some(kept) = folder.close(looked_into) {
        writeln!(out, "\n The folder is kept: {}", kept.display())?;
    }
    outcome
}

/// Where the demo is played.
enum Room {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Room {
    fn open(keep: Option<&Path>) -> Result<Self, DemoError> {
        let Some(path) = keep else {
            let folder = TempDir::with_prefix("iyagi-demo-");
            let path = std::env::temp_dir();
            return folder
                .map(Self::Temporary)
                .map_err(|source| DemoError::TemporaryFolder { path, source });
        };
        let unmade = |source| DemoError::KeptFolder {
            path: path.to_owned(),
            source,
        };
        fs::create_dir(path).map_err(unmade)?;
        // Wherever it is looked into from.
        let dir = path.canonicalize().map_err(unmade)?;
        let settings = format!(
            "# As the demo was played: each push by itself and at once.\n\
             [data]\ndir = {:?}\n\n[push]\nmoderate = false\nrate.burst = 0\n",
            dir.display().to_string()
        );
        fs::write(path.join("iyagi.toml"), settings).map_err(unmade)?;
        Ok(Self::Kept(path.to_owned()))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(path) => path,
        }
    }

    /// Removes the folder unless it was to stay, and yields where it is otherwise.
    fn close(self, keep: bool) -> Option<PathBuf> {
        match self {
            Self::Temporary(folder) => keep.then(|| folder.keep()),
            Self::Kept(path) => Some(path),
        }
    }
}

/// One performance.
struct Show<'o> {
    options: &'o DemoOptions,
    started: Instant,
    folder: &'o Path,
}

impl Show<'_> {
    /// Runs the daemon for as long as the demo takes. Yields whether the story came to its end and the drain was clean.
    async fn give(
        &self,
        story: Story,
        yours: Option<Listing>,
        mut narrator: Narrator<'_>,
    ) -> Result<(bool, bool), DemoError> {
        let title = narrator.ink(Ink::Strong, &story.title);
        narrator.line(format_args!("\n iyagi demo: {title}"))?;
        let daemon = Daemon::start(config(self.folder), built_in_templates()).await?;
        let surface = Arc::clone(&daemon.surface);
        let listeners = &daemon.listeners;
        let client = Client::new(
            public_of(listeners),
            listeners.operations,
            Arc::clone(&surface),
        );
        let mut signals = StopSignals::watch();
        let mut player = Player::new(story, client, Arc::clone(&surface), narrator);
        let ended = tokio::select! {
            ended = self.perform(&mut player, yours, &daemon) => ended.map(|()| true),
            () = signals.next() => Ok(false),
            failure = daemon.failed() => Err(failure.into()),
        };
        let report = tokio::select! {
            report = daemon.stop() => report,
            () = signals.insisted() => return Err(DaemonError::from(CutShort::of(&surface)).into()),
        };
        let played = ended? || player.ended;
        let end = if played {
            "Stopped."
        } else {
            "Stopped before the end."
        };
        if !self.options.exit || !played {
            player.narrator.line(format_args!("\n {end}"))?;
        }
        Ok((played, report.clean()))
    }

    async fn perform(
        &self,
        player: &mut Player<'_>,
        yours: Option<Listing>,
        daemon: &Daemon,
    ) -> Result<(), DemoError> {
        let yours = self.options.media.as_deref().zip(yours);
        player.play(yours).await?;
        let surface = &daemon.surface;
        let path = surface.journal_path.clone();
        // The journal is read beside its writer, on a thread that may block.
        let audited = tokio::task::spawn_blocking(move || audit(&path)).await;
        let audit = audited.map_err(io::Error::other)??;
        let account = Account {
            files_in: player.uploaded.len(),
            media: Media::count(&*surface.table).await?,
            chronicle: &player.chronicle,
            audit: &audit,
            seconds: self.started.elapsed().as_secs_f64(),
        };
        account.write(&mut player.narrator)?;
        player.ended = true;
        if self.options.exit {
            return Ok(());
        }
        invite(
            player,
            surface,
            &daemon.listeners,
            self.options.keep.is_some(),
        )?;
        std::future::pending().await
    }
}

/// A demo's daemon has every role.
fn public_of(listeners: &Listeners) -> SocketAddr {
    listeners
        .public
        .expect("answering the public API is one of them")
}

/// Says what there is to look at, and how to end.
fn invite(
    player: &mut Player<'_>,
    surface: &Surface,
    listeners: &Listeners,
    keep: bool,
) -> Result<(), DemoError> {
    let (public, operations) = (public_of(listeners), listeners.operations);
    let folder = surface.config.data.dir.display();
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "iyagi".to_owned());
    let title = player
        .narrator
        .ink(Ink::Strong, "It is running. Have a look");
    player.narrator.line(format_args!("\n {title}\n"))?;
    let visitor = player.protagonist();
    let token = format!("{program} token --sub {visitor} --data-dir {folder}");
    let bearer = format!("curl -H \"Authorization: Bearer $({token})\"");
    for line in [
        format!("http://{operations}/ in a browser; sign in at /search and look for 로켓"),
        format!("{bearer} 'http://{public}/v1/media?prefix=posts/'"),
        format!("{bearer} -G --data-urlencode q=로켓 http://{public}/v1/search"),
        format!("http://{public}/docs for all that phones may ask"),
        format!("http://{operations}/metrics"),
        format!("http://{operations}/readyz"),
        format!("http://{operations}/v1/ops/actors"),
        format!("http://{operations}/v1/ops/dead-letters"),
    ] {
        player.narrator.line(format_args!("    {line}"))?;
    }
    if let Some(push) = player.interesting_push() {
        let command = format!("{program} why {push} --data-dir {folder}");
        player.narrator.line(format_args!("    {command}"))?;
    }
    let fate = if keep { "leaves" } else { "removes" };
    let end = format!("Ctrl-C ends it and {fate} {folder}.");
    let end = player.narrator.ink(Ink::Faint, end);
    player.narrator.line(format_args!("\n {end}"))?;
    Ok(())
}

/// A daemon that nobody else meets, in a hurry.
fn config(folder: &Path) -> Config {
    let mut config = Config::default();
    // Each push by itself and at once, whatever came before it.
    config.push.moderate = false;
    config.push.rate.burst = 0;
    folder.clone_into(&mut config.data.dir);
    config.http.public.set_port(0);
    config.http.operations.set_port(0);
    config.stream.interval_ms_min = 10;
    config.stream.interval_ms_max = 20;
    config.push.retry = RetryPolicy {
        // The gateway is down for as long as a scene takes, which on a slow machine is many attempts at this pace.
        attempts_max: 1_000,
        backoff_ms_min: 50,
        backoff_ms_max: 400,
    };
    config
}

fn audit(journal: &Path) -> Result<Report, DemoError> {
    Ok(JournalReader::open(journal)?.audit()?)
}
