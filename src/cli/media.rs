//! `iyagi media backfill`: makes the files of a changed or added preset, or rendition, for uploads that are there already.
//! `iyagi media reprocess`: has one upload worked on anew.

use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};

use super::control::Reason;
use super::operations::{Operations, OperationsError, encoded};
use super::{Context, Exit, Failure};

const PATH: &str = "/v1/ops/media/backfills";
const REPROCESS_PATH: &str = "/v1/ops/media/reprocess";
/// How often the daemon is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Lines for a log, where nobody watches: one for each so many hundredths.
const STEP_PERCENT: u64 = 10;
/// Characters of the bar.
const BAR_WIDTH: u64 = 30;

#[derive(Debug, Subcommand)]
pub(super) enum MediaCommand {
    /// Make the files of a preset, or of a rendition, for what was uploaded before it was as it is.
    Backfill(BackfillArguments),
    /// Have everything made anew of one upload, and its dead letters redriven.
    Reprocess(ReprocessArguments),
}

#[derive(Debug, Args)]
pub(super) struct ReprocessArguments {
    /// The upload's key, such as `posts/1/photo.jpg`.
    #[arg(value_name = "KEY")]
    key: String,
    #[command(flatten)]
    reason: Reason,
}

#[derive(Debug, Args)]
#[command(
    after_long_help = "A changed preset gives its files new keys, so pictures that were uploaded before keep the old ones \
        until this is run; recordings that were uploaded before a rendition was switched on have none of it. The daemon \
        does it, behind new uploads and a few at a time, and goes on after a restart; this command begins it and watches. \
        Ctrl-C ends the watching only: the same command watches again."
)]
pub(super) struct BackfillArguments {
    /// The preset, or the rendition (opus-32k, aac-64k), as the daemon's configuration names it.
    #[arg(long, value_name = "NAME")]
    preset: String,
    /// Only count what would be made.
    #[arg(long)]
    dry_run: bool,
    /// Let it rest.
    #[arg(long, conflicts_with_all = ["dry_run", "resume", "detach"])]
    pause: bool,
    /// Let it go on after a rest.
    #[arg(long, conflicts_with = "dry_run")]
    resume: bool,
    /// Begin it and do not watch.
    #[arg(long)]
    detach: bool,
}

/// A backfill as the daemon tells of it.
#[derive(Debug, Deserialize)]
struct Told {
    dry_run: bool,
    uploads: Option<u64>,
    lacking: Option<u64>,
    offered: u64,
    stage: String,
    waiting: u64,
}

pub(super) fn media(context: &mut Context, command: &MediaCommand) -> Result<Exit, Failure> {
    match command {
        MediaCommand::Backfill(arguments) => backfill(context, arguments),
        MediaCommand::Reprocess(arguments) => reprocess(context, arguments),
    }
}

fn reprocess(context: &mut Context, arguments: &ReprocessArguments) -> Result<Exit, Failure> {
    let mut body = json!({ "key": arguments.key });
    arguments.reason.add_to(&mut body);
    let answer: Value = context.operations()?.post(REPROCESS_PATH, &body)?;
    if context.output.json() {
        context.output.document(&answer)?;
        return Ok(Exit::Done);
    }
    let redriven = answer["redriven"].as_array().map_or(0, Vec::len);
    let event = answer["event"].as_str().unwrap_or_default();
    context.output.line(format!(
        "{} is worked on anew, {redriven} dead letters of it were redriven; `iyagi journal trace {event}` shows what comes of it",
        arguments.key
    ))?;
    Ok(Exit::Done)
}

fn backfill(context: &mut Context, arguments: &BackfillArguments) -> Result<Exit, Failure> {
    let operations = context.operations()?;
    let one = format!("{PATH}/{}", encoded(&arguments.preset));
    let mut answer: Value = if arguments.pause {
        operations.post(&format!("{one}/pause"), &json!({}))?
    } else if arguments.resume {
        operations.post(&format!("{one}/resume"), &json!({}))?
    } else {
        let body = json!({ "preset": arguments.preset, "dry_run": arguments.dry_run });
        operations.post(PATH, &body)?
    };
    if !arguments.detach {
        answer = watch(context, &operations, &one, answer)?;
    }
    if context.output.json() {
        context.output.document(&answer)?;
    } else {
        let told = read(&answer)?;
        context.output.line(told.sentence(&arguments.preset))?;
    }
    Ok(Exit::Done)
}

/// Shows how far it is until it is complete or rests.
fn watch(
    context: &mut Context,
    operations: &Operations,
    path: &str,
    mut answer: Value,
) -> Result<Value, Failure> {
    let mut progress = Progress::new(context.output.json());
    loop {
        let told = read(&answer)?;
        progress.show(&told);
        if told.stage != "running" {
            progress.end();
            return Ok(answer);
        }
        thread::sleep(LOOK_EVERY);
        answer = operations.get(path)?;
    }
}

fn read(answer: &Value) -> Result<Told, Failure> {
    Told::deserialize(answer).map_err(|error| {
        Failure::from(OperationsError::Unreadable {
            url: PATH.to_owned(),
            reason: error.to_string(),
        })
    })
}

impl Told {
    fn sentence(&self, preset: &str) -> String {
        let lacking = self.lacking.unwrap_or(0);
        let uploads = self.uploads.unwrap_or(0);
        match (self.stage.as_str(), self.dry_run) {
            ("completed", true) => format!(
                "{lacking} of {uploads} uploads lack the files of \"{preset}\"; nothing was made: this was a dry run"
            ),
            ("completed", false) => format!(
                "{} of {uploads} uploads were offered for \"{preset}\"; {} wait for the workers",
                self.offered, self.waiting
            ),
            ("paused", _) => format!(
                "paused at {} of {lacking} uploads; `iyagi media backfill --preset {preset} --resume` goes on",
                self.offered
            ),
            (_, _) if self.lacking.is_none() => format!("\"{preset}\": the uploads are counted"),
            (stage, _) => format!(
                "\"{preset}\": {stage}, {} of {lacking} uploads",
                self.offered
            ),
        }
    }
}

/// A bar for people who watch, and a line from time to time for a log.
struct Progress {
    silent: bool,
    terminal: bool,
    last: Option<u64>,
}

impl Progress {
    fn new(silent: bool) -> Self {
        Self {
            silent,
            terminal: io::stderr().is_terminal(),
            last: None,
        }
    }

    fn show(&mut self, told: &Told) {
        let Some(lacking) = told.lacking.filter(|_| !self.silent && !told.dry_run) else {
            return;
        };
        let percent = (told.offered * 100)
            .checked_div(lacking)
            .unwrap_or(100)
            .min(100);
        let mut errors = io::stderr();
        // Whoever closed it does not want to know.
        if self.terminal {
            write!(errors, "\r{}", bar(percent, told.offered, lacking)).ok();
            errors.flush().ok();
        } else if self.last.is_none_or(|last| percent >= last + STEP_PERCENT) {
            writeln!(
                errors,
                "{} of {lacking} uploads offered, {percent} %",
                told.offered
            )
            .ok();
            self.last = Some(percent - percent % STEP_PERCENT);
        }
    }

    fn end(&self) {
        if self.terminal && !self.silent {
            eprintln!();
        }
    }
}

fn bar(percent: u64, offered: u64, lacking: u64) -> String {
    let full = (percent * BAR_WIDTH / 100) as usize;
    let (full, empty) = ("#".repeat(full), "-".repeat(BAR_WIDTH as usize - full));
    format!("[{full}{empty}] {percent:>3} %  {offered} of {lacking} uploads")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_grows_with_what_is_done() {
        assert_eq!(
            bar(0, 0, 12),
            "[------------------------------]   0 %  0 of 12 uploads"
        );
        assert_eq!(
            bar(50, 6, 12),
            "[###############---------------]  50 %  6 of 12 uploads"
        );
        assert_eq!(
            bar(100, 12, 12),
            "[##############################] 100 %  12 of 12 uploads"
        );
    }
}
