//! `iyagi journal`: the journal's file, read beside its writer or at rest.

mod compact;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::fact::KINDS;
use iyagi_messages::ids::{EventId, Pos};
use serde_json::json;

use super::provision::block_on;
use super::{Context, Exit, Failure, Output, RunFlags};
use crate::aws::clients::Clients;
use crate::config::ExportsPlace;
use crate::daemon::accept_journal;
use crate::embedded::journal::{
    ExportsReport, Filter, JournalReader, Place, Report, TakenOut, TraceNode,
};
use crate::retention::exports_bucket;
use crate::tell::{moment, number, sentence};

/// Events that are read at once.
const PAGE: usize = 10_000;
const EVENTS: [&str; 2] = ["event", "events"];

#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// List events, the latest by default.
    Ls(LsArguments),
    /// Show one event, or all of an entity, in full.
    Show(ShowArguments),
    /// Show the causes of an event and all that it led to.
    Trace(TraceArguments),
    /// Write every event that is left as a line of JSON.
    Export(ExportArguments),
    /// Check every row, and every export; status 1 if anything is damaged.
    Verify,
    /// Take what is over out of the journal, after it was exported. The daemon does so by itself once a day.
    Compact(compact::CompactArguments),
    /// Go on with the journal that is there, although the graph was used with one that had come further.
    #[command(
        after_long_help = "A daemon does not start beside a graph whose journal was lost, or put back from an older copy: \
            people would be told again of what came since. Put the newest copy back, or run `iyagi backfill --from-graph` \
            to go on at the end of the change log. This is for who wants them told again. On one machine alone, and with \
            the daemon stopped."
    )]
    Accept,
}

#[derive(Debug, Args)]
pub(super) struct LsArguments {
    /// Only what is behind this position, from there on.
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// At most so many.
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: usize,
    /// Only this kind, such as push.failed; may be repeated.
    #[arg(long)]
    kind: Vec<String>,
    /// Only entities that begin so, such as push/.
    #[arg(long, value_name = "PREFIX")]
    entity: Option<String>,
    /// Only what began with this, such as commit:17.
    #[arg(long, value_name = "CORRELATION")]
    corr: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// A position, an event id, or an entity such as push/<uuid>.
    #[arg(value_name = "POSITION|ID|ENTITY")]
    what: String,
}

#[derive(Debug, Args)]
pub(super) struct TraceArguments {
    /// A position or an event id.
    #[arg(value_name = "POSITION|ID")]
    what: String,
}

#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    /// Only what is behind this position.
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after: u64,
    /// Write to this new file instead of standard output.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

pub(super) fn journal(context: &mut Context, command: &JournalCommand) -> Result<Exit, Failure> {
    match command {
        JournalCommand::Ls(arguments) => ls(context, arguments),
        JournalCommand::Show(arguments) => show(context, &arguments.what),
        JournalCommand::Trace(arguments) => trace(context, &arguments.what),
        JournalCommand::Export(arguments) => export(context, arguments),
        JournalCommand::Verify => verify(context),
        JournalCommand::Compact(arguments) => compact::compact(context, arguments),
        JournalCommand::Accept => accept(context),
    }
}

fn accept(context: &mut Context) -> Result<Exit, Failure> {
    let config = context.load(&RunFlags::default())?.config;
    if config.aws.enabled {
        return Err(Failure::Usage {
            what: "on AWS the journal is a table, and a host's file is a copy of it".to_owned(),
            help: "`iyagi journal accept` is for a daemon that has everything on one machine"
                .to_owned(),
        });
    }
    let folder = &config.data.dir;
    if !["journal.db", "graph.db"]
        .iter()
        .any(|file| folder.join(file).exists())
    {
        return Err(Failure::NotFound {
            what: format!(
                "there is neither a journal nor a graph in the data folder {}",
                folder.display()
            ),
            help: "--data-dir names another folder; `iyagi run` makes it".to_owned(),
        });
    }
    block_on(async {
        let head = accept_journal(&config).await?;
        let out = &mut context.output;
        if out.json() {
            out.document(&json!({ "head": head }))?;
        } else {
            out.line(format_args!(
                "the next start goes on with the journal that ends at event {head}"
            ))?;
        }
        Ok(Exit::Done)
    })
}

fn ls(context: &mut Context, arguments: &LsArguments) -> Result<Exit, Failure> {
    let journal = context.journal()?;
    for kind in &arguments.kind {
        if !KINDS.iter().any(|(known, _)| known == kind) {
            let kinds: Vec<_> = KINDS.iter().map(|(kind, _)| *kind).collect();
            return Err(Failure::Usage {
                what: format!("there is no kind \"{kind}\""),
                help: format!("kinds are {}", kinds.join(", ")),
            });
        }
    }
    let events = select(&journal, arguments)?;
    let out = &mut context.output;
    if out.json() {
        for event in &events {
            out.object(event)?;
        }
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = events
        .iter()
        .map(|event| {
            vec![
                event.pos.to_string(),
                moment(event.at),
                event.fact.kind().to_owned(),
                event.entity.to_string(),
                sentence(event),
            ]
        })
        .collect();
    out.table(&["POSITION", "AT", "KIND", "ENTITY", "WHAT"], &rows)?;
    Ok(Exit::Done)
}

/// In order of position; without `--after` the last ones.
fn select(journal: &JournalReader, arguments: &LsArguments) -> Result<Vec<Event>, Failure> {
    let after = Pos(arguments.after.unwrap_or(0));
    let latest = arguments.after.is_none();
    let filter = Filter {
        entity_prefix: arguments.entity.clone(),
        kinds: arguments.kind.clone(),
        corr: arguments.corr.clone(),
        after,
        newest_first: latest,
        ..Filter::default()
    };
    let mut events = journal.find(&filter, arguments.limit)?;
    events.sort_by_key(|event| event.pos);
    Ok(events)
}

fn show(context: &mut Context, what: &str) -> Result<Exit, Failure> {
    let journal = context.journal()?;
    let events = if what.contains('/') {
        journal.entity(&Entity(what.to_owned()))?
    } else {
        vec![find(&journal, what)?]
    };
    if events.is_empty() {
        return Err(Failure::NotFound {
            what: format!("the journal has no entity {what}"),
            help: "`iyagi journal ls --entity PREFIX` lists those that begin so".to_owned(),
        });
    }
    if context.output.json() {
        context.output.document(&json!({ "events": events }))?;
        return Ok(Exit::Done);
    }
    for event in &events {
        context.output.line(sentence(event))?;
        context.output.document(event)?;
    }
    Ok(Exit::Done)
}

fn find(journal: &JournalReader, what: &str) -> Result<Event, Failure> {
    let found = if let Ok(id) = what.parse::<EventId>() {
        journal.event(id)?
    } else if let Ok(pos) = what.parse::<u64>() {
        if let Some(export) = journal.taken_out(Pos(pos))? {
            let line = pos - export.first.0 + 1;
            return Err(Failure::NotFound {
                what: format!("the event at position {pos} was taken out of the journal"),
                help: format!(
                    "it is line {line} of the export {file}: `zstdcat {file} | sed -n {line}p`",
                    file = export.file
                ),
            });
        }
        let mut here = match pos.checked_sub(1) {
            Some(before) => journal.read(Pos(before), 1)?,
            None => Vec::new(),
        };
        here.pop()
    } else {
        return Err(Failure::Usage {
            what: format!("\"{what}\" is neither a position nor an event id"),
            help: "positions are whole numbers, event ids have 32 hexadecimal digits".to_owned(),
        });
    };
    let head = journal.head()?;
    found.ok_or_else(|| Failure::NotFound {
        what: format!("the journal has no event {what}"),
        help: format!("its last position is {head}"),
    })
}

fn trace(context: &mut Context, what: &str) -> Result<Exit, Failure> {
    let journal = context.journal()?;
    let event = find(&journal, what)?;
    let trace = journal.trace(event.id)?;
    let trace = trace.ok_or_else(|| Failure::NotFound {
        what: format!("the journal has no event {what}"),
        help: "`iyagi journal verify` tells whether it is damaged".to_owned(),
    })?;
    let out = &mut context.output;
    if out.json() {
        out.document(&trace)?;
        return Ok(Exit::Done);
    }
    if let Some(TakenOut { pos, export }) = &trace.taken_out {
        out.line(format_args!(
            "  {pos:>8}  is no longer in the journal: export {export} has it"
        ))?;
    }
    for cause in &trace.causes {
        out.line(line(cause, " ", 0))?;
    }
    let mut waiting = vec![(&trace.event, 0)];
    while let Some((node, depth)) = waiting.pop() {
        let TraceNode {
            event,
            consequences,
        } = node;
        let mark = if depth == 0 { ">" } else { " " };
        out.line(line(event, mark, depth))?;
        waiting.extend(consequences.iter().rev().map(|node| (node, depth + 1)));
    }
    if trace.truncated {
        out.line("… and more than can be shown")?;
    }
    Ok(Exit::Done)
}

fn line(event: &Event, mark: &str, depth: usize) -> String {
    /// Deeper levels would only push the words out of sight.
    const DEPTH_MAX: usize = 12;
    let indent = "  ".repeat(depth.min(DEPTH_MAX));
    let Event {
        pos,
        id,
        entity,
        fact,
        ..
    } = event;
    format!("{mark} {pos:>8}  {id}  {indent}{} {entity}", fact.kind())
}

fn export(context: &mut Context, arguments: &ExportArguments) -> Result<Exit, Failure> {
    let journal = context.journal()?;
    // What is appended meanwhile is left for the next export, so that this one ends.
    let head = journal.head()?;
    let mut after = Pos(arguments.after);
    let Some(path) = &arguments.to else {
        while let Some(events) = page(&journal, &mut after, head)? {
            for event in &events {
                context.output.object(event)?;
            }
        }
        return Ok(Exit::Done);
    };
    let failed = |source| file_failure(path, source);
    let mut file = BufWriter::new(File::create_new(path).map_err(failed)?);
    let mut written = 0_u64;
    while let Some(events) = page(&journal, &mut after, head)? {
        for event in &events {
            let line = serde_json::to_writer(&mut file, event).map_err(io::Error::from);
            line.and_then(|()| file.write_all(b"\n")).map_err(failed)?;
            written += 1;
        }
    }
    let file = file
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    if context.output.json() {
        context
            .output
            .document(&json!({ "file": path, "events": written, "last": after }))?;
    } else {
        context
            .output
            .line(format_args!("{written} events in {}", path.display()))?;
    }
    Ok(Exit::Done)
}

/// The next events up to `head`, none at its end.
fn page(
    journal: &JournalReader,
    after: &mut Pos,
    head: Pos,
) -> Result<Option<Vec<Event>>, Failure> {
    let left = usize::try_from(head.0.saturating_sub(after.0)).unwrap_or(PAGE);
    let events = journal.read(*after, left.min(PAGE))?;
    let Some(last) = events.last() else {
        return Ok(None);
    };
    *after = last.pos;
    Ok(Some(events))
}

fn file_failure(path: &Path, source: io::Error) -> Failure {
    Failure::File {
        path: path.display().to_string(),
        source,
    }
}

fn verify(context: &mut Context) -> Result<Exit, Failure> {
    let journal = context.journal()?;
    let report = journal.verify()?;
    let config = context.load(&RunFlags::default())?.config;
    let exports = block_on(async {
        let kept = match config.exports_place() {
            ExportsPlace::Folder(folder) => Place::Folder(folder),
            ExportsPlace::Bucket { .. } => {
                let clients = Clients::new(&config.aws).await?;
                exports_bucket(&config, &clients).expect("exports have a bucket")
            }
        };
        Ok(journal.verify_exports(&kept).await?)
    })?;
    let out = &mut context.output;
    let sound = report.sound() && exports.damages.is_empty();
    if out.json() {
        let mut document = json!(report);
        document["exports"] = json!(exports);
        out.document(&document)?;
    } else {
        tell_verified(out, &report, &exports)?;
    }
    Ok(if sound { Exit::Done } else { Exit::Failed })
}

fn tell_verified(out: &mut Output, report: &Report, exports: &ExportsReport) -> io::Result<()> {
    let Report {
        head,
        events,
        taken_out,
        entities,
        snapshots,
        damages,
    } = report;
    out.line(format_args!(
        "{events} events up to position {head}, {entities} entities, {snapshots} snapshots"
    ))?;
    if exports.exports > 0 {
        out.line(format_args!(
            "{} taken out, {} in {}",
            number(*taken_out, EVENTS),
            number(exports.events, EVENTS),
            number(exports.exports, ["export", "exports"])
        ))?;
    }
    let damages = damages.iter().chain(&exports.damages);
    let mut whole = true;
    for damage in damages {
        out.line(format_args!("DAMAGED {damage}"))?;
        whole = false;
    }
    out.line(if whole {
        "whole"
    } else {
        "restore it from a backup"
    })
}
