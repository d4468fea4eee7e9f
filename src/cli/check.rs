//! `iyagi check`: the configuration, and whether a daemon could come up with it here and now.

use std::borrow::Cow;
use std::fs::{File, TryLockError};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use iyagi_actors::ports::Clock;
use serde::Serialize;
use serde_json::json;

use super::provision::{block_on, needs_aws};
use super::{Context, Exit, Failure, RunFlags};
use crate::auth::operators::Operators;
use crate::aws;
use crate::aws::clients::Clients;
use crate::clock::SystemClock;
use crate::config::{Config, ConfigError, ExportsPlace, Loaded};
use crate::fcm::ServiceAccount;

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Look at the files only, not at the data folder and the ports.
    #[arg(long)]
    offline: bool,
    /// Also try everything on AWS that this host's roles need. Changes nothing.
    #[arg(long, conflicts_with = "offline")]
    aws: bool,
    #[command(flatten)]
    flags: RunFlags,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Looked {
    /// What: `data_folder`, `data_lock`, `http.public`, `http.operations`, `operations.operators`, `push.fcm.credential_file`,
    /// `journal.retention.exports`, `media.spool_bytes_max`, `drop_folder`, or something on AWS.
    at: Cow<'static, str>,
    ok: bool,
    /// How it is.
    detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cure: Option<String>,
}

impl Looked {
    fn good(at: &'static str, detail: impl Into<String>) -> Self {
        Self {
            at: Cow::Borrowed(at),
            ok: true,
            detail: detail.into(),
            cure: None,
        }
    }

    fn bad(at: &'static str, detail: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            at: Cow::Borrowed(at),
            ok: false,
            detail: detail.into(),
            cure: Some(cure.into()),
        }
    }
}

pub(super) fn check(context: &mut Context, arguments: &CheckArguments) -> Result<Exit, Failure> {
    let loaded = match context.sources(&arguments.flags).load() {
        Ok(loaded) => loaded,
        Err(error) => return report_mistakes(context, error),
    };
    let mut looked: Vec<Looked> = unused_spool(&loaded.config).into_iter().collect();
    if !arguments.offline {
        looked.extend(surroundings(&loaded.config));
    }
    let here = looked.iter().all(|looked| looked.ok);
    if arguments.aws {
        looked.extend(on_aws(&loaded.config)?);
    }
    if !arguments.offline {
        looked.extend(search_index(&loaded.config)?);
    }
    let ok = looked.iter().all(|looked| looked.ok);
    if context.output.json() {
        context.output.document(&json!({
            "ok": ok,
            "file": loaded.file,
            "findings": [],
            "surroundings": looked,
            "config": loaded.config,
            "provenance": loaded.provenance,
        }))?;
    } else {
        describe(context, &loaded, &looked)?;
    }
    Ok(match (here, ok) {
        (false, _) => Exit::Config,
        (true, false) => Exit::Failed,
        (true, true) => Exit::Done,
    })
}

fn on_aws(config: &Config) -> Result<Vec<Looked>, Failure> {
    needs_aws(config)?;
    block_on(async {
        let clients = Clients::new(&config.aws).await?;
        let looked = aws::check::check(&clients, config).await;
        Ok(looked.into_iter().map(Looked::from).collect())
    })
}

fn search_index(config: &Config) -> Result<Option<Looked>, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    block_on(async { Ok(aws::check::search(config, &clock).await.map(Looked::from)) })
}

impl From<aws::check::Looked> for Looked {
    fn from(looked: aws::check::Looked) -> Self {
        let aws::check::Looked {
            at,
            ok,
            detail,
            cure,
        } = looked;
        let at = Cow::Owned(at);
        Self {
            at,
            ok,
            detail,
            cure,
        }
    }
}

fn report_mistakes(context: &mut Context, error: ConfigError) -> Result<Exit, Failure> {
    if !context.output.json() {
        return Err(error.into());
    }
    context.output.document(&json!({
        "ok": false,
        "findings": error.findings,
        "surroundings": [],
    }))?;
    Ok(Exit::Config)
}

fn describe(context: &mut Context, loaded: &Loaded, looked: &[Looked]) -> Result<(), Failure> {
    let out = &mut context.output;
    let config = &loaded.config;
    match &loaded.file {
        Some(file) => out.line(format_args!("ok   configuration: {}", file.display()))?,
        None => out.line("ok   configuration: built in; `iyagi init` writes a file")?,
    }
    let templates = match &config.push.templates {
        Some(path) => path.display().to_string(),
        None => "built in".to_owned(),
    };
    let count = loaded.templates.iter().count();
    out.line(format_args!(
        "ok   templates: {count}, {templates}; `iyagi test FILE` plays what they promise"
    ))?;
    let presets = config.media.presets.iter();
    let presets: Vec<_> = presets
        .map(|preset| format!("{} {}", preset.name, preset.longest_side))
        .collect();
    out.line(format_args!("ok   presets: {}", presets.join(", ")))?;
    for looked in looked {
        let verdict = if looked.ok { "ok " } else { "BAD" };
        out.line(format_args!("{verdict}  {}: {}", looked.at, looked.detail))?;
        if let Some(cure) = &looked.cure {
            out.line(format_args!("     {cure}"))?;
        }
    }
    Ok(())
}

fn surroundings(config: &Config) -> Vec<Looked> {
    let dir = &config.data.dir;
    let mut looked = vec![data_folder(dir), data_lock(dir)];
    looked.push(port("http.public", config.http.public));
    looked.push(port("http.operations", config.http.operations));
    looked.extend(operators(config));
    looked.extend(fcm_key(config));
    looked.extend(exports_place(config));
    if let Some(folder) = &config.media.drop_folder {
        looked.push(match std::fs::read_dir(folder) {
            Ok(_) => Looked::good("drop_folder", folder.display().to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Looked::good(
                "drop_folder",
                format!("{} does not exist yet", folder.display()),
            ),
            Err(error) => Looked::bad(
                "drop_folder",
                format!("{} cannot be read: {error}", folder.display()),
                "make it readable, or set media.drop_folder to another",
            ),
        });
    }
    looked
}

/// A spool that is too small is refused where something is spooled, and said where nothing is: one day something may be.
fn unused_spool(config: &Config) -> Option<Looked> {
    let needed = config.spool_elsewhere()?;
    let spool_bytes_max = config.media.spool_bytes_max;
    Some(Looked::good(
        "media.spool_bytes_max",
        format!(
            "{spool_bytes_max} is of no effect here; on AWS, or with ffmpeg, it must be {needed} or more"
        ),
    ))
}

/// Whether everybody who may use the operations listener has a token that can be read.
fn operators(config: &Config) -> Option<Looked> {
    let at = "operations.operators";
    let operators = &config.operations.operators;
    if operators.is_empty() {
        return None;
    }
    Some(match Operators::load(&config.operations) {
        Ok(_) => {
            let names: Vec<_> = operators.iter().map(|one| one.name.as_str()).collect();
            Looked::good(at, format!("{} have tokens", names.join(", ")))
        }
        Err(error) => Looked::bad(
            at,
            error.to_string(),
            "docs/security.md says how an operator gets a token",
        ),
    })
}

/// Whether the key that pushes to Android phones are signed for with can be read and signs.
fn fcm_key(config: &Config) -> Option<Looked> {
    let at = "push.fcm.credential_file";
    let file = config.push.fcm.as_ref()?.credential_file.as_ref()?;
    let account = match ServiceAccount::read(file) {
        Ok(account) => account,
        Err(error) => return Some(Looked::bad(at, error.to_string(), error.cure())),
    };
    let configured = config.push.fcm.as_ref()?.project_id.as_ref();
    let email = &account.client_email;
    Some(match configured.or(account.project_id.as_ref()) {
        Some(project) => Looked::good(at, format!("{email} sends to phones of {project}")),
        None => Looked::bad(
            at,
            format!("the key of {email} names no project"),
            "set push.fcm.project_id to the app's",
        ),
    })
}

fn data_folder(dir: &Path) -> Looked {
    folder("data_folder", dir, "data.dir")
}

/// Whether exports of the journal can be written, where that is not in the data folder.
fn exports_place(config: &Config) -> Option<Looked> {
    let key = "journal.retention.exports";
    match config.exports_place() {
        ExportsPlace::Folder(dir) if config.journal.retention.exports.is_some() => {
            Some(folder(key, &dir, key))
        }
        ExportsPlace::Folder(_) if config.aws.enabled => Some(Looked::good(
            key,
            format!(
                "there is no bucket, so the fleet's journal keeps everything for ever; s3://{}/journal/exports would let \
                 go what is over after 90 days",
                config.media.bucket
            ),
        )),
        // With --aws it is looked whether it can be written to.
        ExportsPlace::Folder(_) | ExportsPlace::Bucket { .. } => None,
    }
}

/// Nothing is made here: a folder that does not exist yet is looked for one step further up.
fn folder(at: &'static str, dir: &Path, key: &str) -> Looked {
    let here = Path::new(".");
    let nearest = dir
        .ancestors()
        .map(|folder| {
            if folder.as_os_str().is_empty() {
                here
            } else {
                folder
            }
        })
        .find(|folder| folder.exists());
    let nearest = nearest.unwrap_or(here);
    match tempfile::tempfile_in(nearest) {
        Ok(_) if nearest == dir => Looked::good(at, format!("{} can be written to", dir.display())),
        Ok(_) => Looked::good(at, format!("{} will be made", dir.display())),
        Err(error) => Looked::bad(
            at,
            format!("{} cannot be written to: {error}", nearest.display()),
            format!(
                "give the daemon's user the right to write there, or set {key} to another folder"
            ),
        ),
    }
}

fn data_lock(dir: &Path) -> Looked {
    let at = "data_lock";
    let path = dir.join("lock");
    let free = || Looked::good(at, "free");
    let Ok(file) = File::open(&path) else {
        return free();
    };
    match file.try_lock() {
        Ok(()) => free(),
        Err(TryLockError::WouldBlock) => {
            let holder = std::fs::read_to_string(&path).unwrap_or_default();
            Looked::bad(
                at,
                format!(
                    "a daemon (process {}) uses {}",
                    holder.trim(),
                    dir.display()
                ),
                "stop it, or set data.dir to another folder",
            )
        }
        Err(TryLockError::Error(error)) => Looked::bad(
            at,
            format!("{} cannot be locked: {error}", path.display()),
            "set data.dir to a folder on a local disk",
        ),
    }
}

fn port(at: &'static str, address: SocketAddr) -> Looked {
    match TcpListener::bind(address) {
        Ok(_) => Looked::good(at, format!("{address} is free")),
        Err(error) => Looked::bad(
            at,
            format!("{address} cannot be had: {error}"),
            format!("stop what has it, or set {at} to another address; port 0 takes a free one"),
        ),
    }
}
