//! `iyagi dlq`: dead letters of a live daemon.

use std::io::{self, IsTerminal, Write};

use clap::{Args, Subcommand};
use iyagi_messages::event::Event;
use iyagi_messages::ids::LetterId;
use iyagi_messages::letter::{Letter, Origin};
use serde::Deserialize;
use serde_json::{Value, json};

use super::operations::encoded;
use super::output::moment;
use super::tell::sentence;
use super::{Context, Exit, Failure, Operations};

/// Letters that are asked for at once.
const PAGE: usize = 1_000;

#[derive(Debug, Subcommand)]
pub(super) enum DlqCommand {
    /// List dead letters, the newest first.
    Ls(LsArguments),
    /// Show a dead letter with its history.
    Show(ShowArguments),
    /// Try jobs anew.
    Redrive(SettleArguments),
    /// Give jobs up for good.
    Purge(SettleArguments),
}

#[derive(Debug, Args)]
pub(super) struct LsArguments {
    #[command(flatten)]
    filter: Filter,
    /// At most so many.
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: usize,
    /// Count them by origin and reason instead.
    #[arg(long, conflicts_with_all = ["origin", "reason", "limit"])]
    groups: bool,
}

#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Only of this job: push, thumbnails or metadata.
    #[arg(long)]
    origin: Option<String>,
    /// Only given up for this reason, such as poison.
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// The letter.
    #[arg(value_name = "LETTER")]
    id: LetterId,
}

#[derive(Debug, Args)]
pub(super) struct SettleArguments {
    /// These letters.
    #[arg(value_name = "LETTER", conflicts_with_all = ["origin", "reason", "all"])]
    ids: Vec<LetterId>,
    #[command(flatten)]
    filter: Filter,
    /// Every letter.
    #[arg(long, conflicts_with_all = ["origin", "reason"])]
    all: bool,
    /// Say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Deserialize)]
struct Page {
    letters: Vec<Value>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
struct Group {
    origin: String,
    reason: String,
    count: u64,
    oldest_at: iyagi_messages::ids::Timestamp,
    newest_at: iyagi_messages::ids::Timestamp,
}

/// A letter with what the daemon knows of it.
#[derive(Debug, Deserialize)]
struct View {
    #[serde(flatten)]
    letter: Letter,
    waiting: bool,
    message_id: Option<String>,
    corr: String,
    #[serde(default)]
    history: Vec<Event>,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    selected: u64,
    done: u64,
    skipped: u64,
    letters: Vec<LetterId>,
}

/// What is to become of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Redrive,
    Purge,
}

pub(super) fn dlq(context: &mut Context, command: &DlqCommand) -> Result<Exit, Failure> {
    let operations = context.operations()?;
    match command {
        DlqCommand::Ls(arguments) if arguments.groups => groups(context, &operations),
        DlqCommand::Ls(arguments) => ls(context, &operations, arguments),
        DlqCommand::Show(arguments) => show(context, &operations, arguments.id),
        DlqCommand::Redrive(arguments) => settle(context, &operations, arguments, Fate::Redrive),
        DlqCommand::Purge(arguments) => settle(context, &operations, arguments, Fate::Purge),
    }
}

fn groups(context: &mut Context, operations: &Operations) -> Result<Exit, Failure> {
    let path = "/v1/ops/dead-letters/groups";
    if context.output.json() {
        let answer: Value = operations.get(path)?;
        context.output.document(&answer)?;
        return Ok(Exit::Done);
    }
    let Groups { groups } = operations.get(path)?;
    let rows: Vec<_> = groups
        .into_iter()
        .map(|group| {
            vec![
                group.count.to_string(),
                group.origin,
                group.reason,
                moment(group.oldest_at),
                moment(group.newest_at),
            ]
        })
        .collect();
    let header = ["COUNT", "ORIGIN", "REASON", "OLDEST", "NEWEST"];
    context.output.table(&header, &rows)?;
    Ok(Exit::Done)
}

fn ls(
    context: &mut Context,
    operations: &Operations,
    arguments: &LsArguments,
) -> Result<Exit, Failure> {
    let mut letters = Vec::new();
    let mut cursor = None;
    while letters.len() < arguments.limit {
        let limit = (arguments.limit - letters.len()).min(PAGE);
        let mut path = format!("/v1/ops/dead-letters?limit={limit}");
        let Filter { origin, reason } = &arguments.filter;
        for (name, value) in [("origin", origin), ("reason", reason), ("cursor", &cursor)] {
            if let Some(value) = value {
                path.extend(["&", name, "=", &encoded(value)]);
            }
        }
        let page: Page = operations.get(&path)?;
        letters.extend(page.letters);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let out = &mut context.output;
    if out.json() {
        for letter in &letters {
            out.object(letter)?;
        }
        return Ok(Exit::Done);
    }
    let views: Result<Vec<View>, _> = letters.iter().map(View::deserialize).collect();
    let rows: Vec<_> = views
        .map_err(io::Error::from)?
        .into_iter()
        .map(|View { letter, .. }| {
            vec![
                letter.id.to_string(),
                moment(letter.at),
                letter.origin.name().to_owned(),
                letter.reason.clone(),
                letter.attempts.to_string(),
                job(&letter.origin),
                letter.detail,
            ]
        })
        .collect();
    let header = [
        "LETTER", "AT", "ORIGIN", "REASON", "ATTEMPTS", "JOB", "DETAIL",
    ];
    out.table(&header, &rows)?;
    if cursor.is_some() {
        out.line("… there are more; --limit shows them")?;
    }
    Ok(Exit::Done)
}

fn job(origin: &Origin) -> String {
    match origin {
        Origin::Push { recipient, .. } => format!("to {recipient}"),
        Origin::Object { key, .. } => key.clone(),
    }
}

fn show(context: &mut Context, operations: &Operations, id: LetterId) -> Result<Exit, Failure> {
    let path = format!("/v1/ops/dead-letters/{id}");
    if context.output.json() {
        let answer: Value = operations.get(&path)?;
        context.output.document(&answer)?;
        return Ok(Exit::Done);
    }
    let view: View = operations.get(&path)?;
    let letter = &view.letter;
    let state = match (view.waiting, &view.message_id) {
        (true, Some(message)) => format!("waits in the queue as {message}"),
        (true, None) => "is on its way to the queue".to_owned(),
        (false, _) => "no longer waits".to_owned(),
    };
    let rows = [
        ("letter", letter.id.to_string()),
        ("state", state),
        (
            "job",
            format!("{}: {}", letter.origin.name(), job(&letter.origin)),
        ),
        ("reason", letter.reason.clone()),
        ("detail", letter.detail.clone()),
        ("attempts", letter.attempts.to_string()),
        (
            "given up",
            format!("{}, time {}", moment(letter.at), letter.generation),
        ),
        ("began with", view.corr),
    ];
    for (name, value) in rows {
        context.output.line(format_args!("{name:<11} {value}"))?;
    }
    context.output.line("")?;
    for event in &view.history {
        context.output.line(format_args!(
            "{}  {:<20} {}",
            moment(event.at),
            event.fact.kind(),
            sentence(event)
        ))?;
    }
    Ok(Exit::Done)
}

fn settle(
    context: &mut Context,
    operations: &Operations,
    arguments: &SettleArguments,
    fate: Fate,
) -> Result<Exit, Failure> {
    let mut body = which(arguments)?;
    let (path, verb, done) = match fate {
        Fate::Redrive => ("/v1/ops/dead-letters/redrive", "redrive", "redriven"),
        Fate::Purge => ("/v1/ops/dead-letters/purge", "purge", "purged"),
    };
    // Letters that were named one by one are meant; whatever a filter finds is shown first.
    let asks = !arguments.yes && (fate == Fate::Purge || arguments.ids.is_empty());
    if asks && !arguments.dry_run {
        body["dry_run"] = json!(true);
        let Outcome { letters, .. } = operations.post(path, &body)?;
        if !letters.is_empty() && !confirmed(verb, letters.len())? {
            return Ok(Exit::Failed);
        }
    }
    body["dry_run"] = json!(arguments.dry_run);
    let answer: Value = operations.post(path, &body)?;
    let outcome = Outcome::deserialize(&answer).map_err(io::Error::from)?;
    let out = &mut context.output;
    if out.json() {
        out.document(&answer)?;
    } else if arguments.dry_run {
        for letter in &outcome.letters {
            out.line(letter)?;
        }
        out.line(format_args!(
            "would {verb} {} letters",
            outcome.letters.len()
        ))?;
    } else {
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
    let missed = !arguments.ids.is_empty() && outcome.skipped > 0;
    Ok(if missed { Exit::Failed } else { Exit::Done })
}

fn which(arguments: &SettleArguments) -> Result<Value, Failure> {
    let Filter { origin, reason } = &arguments.filter;
    if !arguments.ids.is_empty() {
        return Ok(json!({ "ids": arguments.ids }));
    }
    if arguments.all {
        return Ok(json!({ "filter": {} }));
    }
    if origin.is_none() && reason.is_none() {
        return Err(Failure::Usage {
            what: "which letters are meant?".to_owned(),
            help: "name them by id, or with --origin, --reason or --all; --dry-run shows what would be done"
                .to_owned(),
        });
    }
    let mut filter = json!({});
    for (name, value) in [("origin", origin), ("reason", reason)] {
        if let Some(value) = value {
            filter[name] = json!(value);
        }
    }
    Ok(json!({ "filter": filter }))
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
