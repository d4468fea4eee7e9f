//! `iyagi run`

use std::io;

use tracing_subscriber::EnvFilter;

use super::{Context, Exit, Failure, RunFlags};
use crate::config::{LogConfig, LogFormat};
use crate::daemon;

pub(super) fn run(context: &Context, flags: &RunFlags) -> Result<Exit, Failure> {
    let loaded = context.load(flags)?;
    start_log(&loaded.config.log);
    let file = loaded
        .file
        .as_deref()
        .map(|path| path.display().to_string());
    tracing::info!(
        file = file.as_deref().unwrap_or("none, the built-in one"),
        "configuration"
    );
    daemon::run(loaded)?;
    Ok(Exit::Done)
}

/// Logs go to standard error, so that standard output stays the commands' own.
fn start_log(config: &LogConfig) {
    let filter = EnvFilter::new(&config.filter);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match config.format {
        LogFormat::Json => log.json().flatten_event(true).init(),
        LogFormat::Text => {
            let colour = io::IsTerminal::is_terminal(&io::stderr())
                && std::env::var_os("NO_COLOR").is_none();
            log.with_ansi(colour).init();
        }
    }
}
