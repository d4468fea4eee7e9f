//! `iyagi dlq redrive | purge`

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroU32;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use iyagi_messages::ids::LetterId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Filter;
use crate::cli::{Context, Exit, Failure, Operations};

#[derive(Debug, Args)]
pub(in crate::cli) struct RedriveArguments {
    #[command(flatten)]
    settle: SettleArguments,
    /// No more than so many a second; what has not begun when this command ends is left.
    #[arg(long, value_name = "COUNT")]
    per_second: Option<NonZeroU32>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PurgeArguments {
    #[command(flatten)]
    settle: SettleArguments,
}

#[derive(Debug, Args)]
struct SettleArguments {
    /// These letters.
    #[arg(value_name = "LETTER", conflicts_with_all = ["filter", "all"])]
    ids: Vec<LetterId>,
    #[command(flatten)]
    filter: Filter,
    /// Every letter.
    #[arg(long, conflicts_with = "filter")]
    all: bool,
    /// Say what would be done, and how many of the pushes would be held back all the same.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Why, for whoever reads the journal.
    #[arg(long, value_name = "WHY")]
    because: Option<String>,
    /// Who is named in the journal [default: who is signed in here].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// What is to become of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Redrive,
    Purge,
}

/// What was done, or would be.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Outcome {
    dry_run: bool,
    selected: u64,
    done: u64,
    skipped: u64,
    letters: Vec<LetterId>,
    skipped_letters: Vec<LetterId>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    held: BTreeMap<String, u64>,
}

pub(super) fn redrive(
    context: &mut Context,
    operations: Operations,
    arguments: &RedriveArguments,
) -> Result<Exit, Failure> {
    let RedriveArguments { settle, per_second } = arguments;
    Settling::new(operations, settle, Fate::Redrive).run(context, *per_second)
}

pub(super) fn purge(
    context: &mut Context,
    operations: Operations,
    arguments: &PurgeArguments,
) -> Result<Exit, Failure> {
    Settling::new(operations, &arguments.settle, Fate::Purge).run(context, None)
}

struct Settling<'a> {
    operations: Operations,
    arguments: &'a SettleArguments,
    fate: Fate,
}

impl<'a> Settling<'a> {
    fn new(operations: Operations, arguments: &'a SettleArguments, fate: Fate) -> Self {
        let operations = match &arguments.by {
            Some(name) => operations.by(name),
            None => operations,
        };
        Self {
            operations,
            arguments,
            fate,
        }
    }

    fn run(&self, context: &mut Context, per_second: Option<NonZeroU32>) -> Result<Exit, Failure> {
        let arguments = self.arguments;
        let which = which(arguments)?;
        // Letters that were named one by one are meant; whatever a filter finds is shown first.
        let asks = !arguments.yes && (self.fate == Fate::Purge || arguments.ids.is_empty());
        if arguments.dry_run || asks || per_second.is_some() {
            let found = self.post(&which, true)?;
            if arguments.dry_run {
                self.tell_what_would_be(context, &found)?;
                return Ok(Exit::Done);
            }
            if asks && !found.letters.is_empty() && !confirmed(self.verb(), found.letters.len())? {
                return Ok(Exit::Failed);
            }
            if let Some(per_second) = per_second {
                return self.pace(context, found, per_second);
            }
        }
        let outcome = self.post(&which, false)?;
        self.tell(context, &outcome)
    }

    /// Settles letters a second's worth at a time. Whatever ends this ends it between two letters.
    fn pace(
        &self,
        context: &mut Context,
        found: Outcome,
        per_second: NonZeroU32,
    ) -> Result<Exit, Failure> {
        let mut outcome = Outcome {
            selected: found.selected,
            skipped: found.skipped,
            skipped_letters: found.skipped_letters,
            ..Outcome::default()
        };
        let began = Instant::now();
        let seconds = found.letters.chunks(per_second.get() as usize).zip(0..);
        for (letters, second) in seconds {
            let due = began + Duration::from_secs(second);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let answer = self.post(&json!({ "ids": letters }), false);
            let Outcome {
                done,
                skipped,
                letters,
                skipped_letters,
                ..
            } = match answer {
                Ok(answer) => answer,
                Err(failure) => {
                    self.tell(context, &outcome)?;
                    return Err(failure);
                }
            };
            outcome.done += done;
            outcome.skipped += skipped;
            outcome.letters.extend(letters);
            outcome.skipped_letters.extend(skipped_letters);
            if io::stderr().is_terminal() {
                eprint!("\r{} of {} letters", outcome.done, outcome.selected);
            }
        }
        if io::stderr().is_terminal() {
            eprintln!();
        }
        self.tell(context, &outcome)
    }

    fn post(&self, which: &Value, dry_run: bool) -> Result<Outcome, Failure> {
        let mut body = which.clone();
        body["dry_run"] = json!(dry_run);
        if let Some(because) = &self.arguments.because {
            body["because"] = json!(because);
        }
        let path = format!("/v1/ops/dead-letters/{}", self.verb());
        Ok(self.operations.post(&path, &body)?)
    }

    fn verb(&self) -> &'static str {
        match self.fate {
            Fate::Redrive => "redrive",
            Fate::Purge => "purge",
        }
    }

    fn tell_what_would_be(&self, context: &mut Context, found: &Outcome) -> Result<(), Failure> {
        let out = &mut context.output;
        if out.json() {
            return Ok(out.document(found)?);
        }
        for letter in &found.letters {
            out.line(letter)?;
        }
        out.line(format_args!(
            "would {} {} letters",
            self.verb(),
            found.letters.len()
        ))?;
        for (reason, count) in &found.held {
            out.line(format_args!(
                "  of these {count} would be suppressed at once: {reason}"
            ))?;
        }
        Ok(())
    }

    fn tell(&self, context: &mut Context, outcome: &Outcome) -> Result<Exit, Failure> {
        let out = &mut context.output;
        if out.json() {
            out.document(outcome)?;
        } else {
            let done = match self.fate {
                Fate::Redrive => "redriven",
                Fate::Purge => "purged",
            };
            let Outcome {
                selected,
                done: count,
                skipped,
                ..
            } = outcome;
            out.line(format_args!(
                "{done} {count} of {selected} letters; {skipped} skipped"
            ))?;
        }
        let missed = !self.arguments.ids.is_empty() && outcome.skipped > 0;
        Ok(if missed { Exit::Failed } else { Exit::Done })
    }
}

fn which(arguments: &SettleArguments) -> Result<Value, Failure> {
    if !arguments.ids.is_empty() {
        return Ok(json!({ "ids": arguments.ids }));
    }
    let fields = arguments.filter.fields();
    if fields.is_empty() && !arguments.all {
        return Err(Failure::Usage {
            what: "which letters are meant?".to_owned(),
            help: "name them by id, or with --origin, --reason, --template, --person, --platform, --since, --until or \
                   --all; --dry-run shows what would be done"
                .to_owned(),
        });
    }
    Ok(json!({ "filter": fields }))
}

fn confirmed(verb: &str, count: usize) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage {
            what: format!("{count} letters would be affected, and nobody can be asked"),
            help: format!("--yes does {verb} them, --dry-run shows them"),
        });
    }
    eprint!("{verb} {count} letters? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
