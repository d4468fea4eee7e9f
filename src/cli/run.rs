//! `iyagi run`

use super::{Context, Exit, Failure, RunFlags};
use crate::{daemon, log};

pub(super) fn run(context: &Context, flags: &RunFlags) -> Result<Exit, Failure> {
    let loaded = context.load(flags)?;
    log::start(&loaded.config.log);
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
