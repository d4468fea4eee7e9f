//! `iyagi init`: files to begin with.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::{Context, Exit, Failure};
use crate::config::{AWS_FILE, BUILT_IN_TEMPLATES, DEFAULT_FILE};

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// Where to write them.
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Write one for a host on AWS.
    #[arg(long)]
    aws: bool,
    /// Write over files that are there.
    #[arg(long)]
    force: bool,
    /// Say what would be written.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn init(context: &mut Context, arguments: &InitArguments) -> Result<Exit, Failure> {
    let InitArguments {
        dir,
        aws,
        force,
        dry_run,
    } = arguments;
    // The templates are written beside it, so the file names them.
    let config = if *aws {
        AWS_FILE.replacen(
            "[log]",
            "[push]\ntemplates = \"templates.toml\"\n\n[log]",
            1,
        )
    } else {
        DEFAULT_FILE.replace("# templates = ", "templates = ")
    };
    let files = [
        (dir.join("iyagi.toml"), config.as_str()),
        (dir.join("templates.toml"), BUILT_IN_TEMPLATES),
    ];
    // Both or none: half a configuration is no good.
    if let Some((taken, _)) = files.iter().find(|(path, _)| !force && path.exists()) {
        return Err(Failure::Usage {
            what: format!("{} is there already", taken.display()),
            help: "--force writes over it; another folder can be named".to_owned(),
        });
    }
    if !dry_run {
        let unmade = |source| failed(dir, source);
        fs::create_dir_all(dir).map_err(unmade)?;
        for (path, text) in &files {
            write(path, text, *force).map_err(|source| failed(path, source))?;
        }
    }
    let paths = files.map(|(path, _)| path);
    if context.output.json() {
        context
            .output
            .document(&json!({ "written": paths, "dry_run": dry_run }))?;
        return Ok(Exit::Done);
    }
    let verb = if *dry_run { "would write" } else { "wrote" };
    for path in &paths {
        context
            .output
            .line(format_args!("{verb} {}", path.display()))?;
    }
    if !dry_run {
        let config = paths[0].display();
        context
            .output
            .line(format_args!("next: iyagi check --config {config}"))?;
    }
    Ok(Exit::Done)
}

fn write(path: &Path, text: &str, force: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    options.open(path)?.write_all(text.as_bytes())
}

fn failed(path: &Path, source: io::Error) -> Failure {
    Failure::File {
        path: path.display().to_string(),
        source,
    }
}
